"""Presets of the residual networks: SNGAN, SAGAN and BigGAN.

Those without a size are for images of about 32 pixels and adapt to that of the data.
Small ones are narrow, for two CPU cores.
"""

from typing import Any

# SNGAN for CIFAR-10: hinge loss, spectral norms in D, five updates of D, Adam with b1=0
# and b2=0.9, https://arxiv.org/abs/1802.05957, appendix B; rates that fall to 0 in
# 100,000 steps, https://arxiv.org/abs/2005.02494, which has the same for 64 pixels.
# Schedules count updates: D has five times as many.
_SNGAN = {
    "task": "generate(128)",
    "networks": "resnet",
    "discriminator_wrap": "spectral_norm",
    "loss": "hinge",
    "d_terms": "",
    "d_updates": 5,
    "batch_size": 64,
    "g_optimizer": "adam(linear(2e-4, 0, 100000), b1=0.0, b2=0.9)",
    "d_optimizer": "adam(linear(2e-4, 0, 500000), b1=0.0, b2=0.9)",
    "ema_half_life": 0.0,
    "steps": 100_000,
}

# SAGAN: labels by conditional BatchNorm and projection, spectral norms in both players,
# a rate of D four times as high instead of more updates, batches of 256,
# https://arxiv.org/abs/1805.08318. The paper has 128 pixels and a million steps.
_SAGAN = {
    "task": "conditional(128)",
    "networks": "sagan",
    "generator_wrap": "spectral_norm",
    "discriminator_wrap": "spectral_norm",
    "loss": "hinge",
    "d_terms": "",
    "batch_size": 256,
    "g_optimizer": "adam(1e-4, b1=0.0, b2=0.9)",
    "d_optimizer": "adam(4e-4, b1=0.0, b2=0.9)",
    "ema_half_life": 0.0,
    "steps": 100_000,
}

# BigGAN, https://arxiv.org/abs/1809.11096, with the settings of
# https://arxiv.org/abs/2206.09479 for CIFAR-10: 80 latents, five updates of D, rates of
# 2e-4 with b1=0.5. Its moving average has a decay of 0.9999 per step, a half-life of
# 6,931 batches.
_BIGGAN = {
    "task": "conditional(80)",
    "networks": "biggan(96)",
    "generator_wrap": "spectral_norm",
    "discriminator_wrap": "spectral_norm",
    "loss": "hinge",
    "d_terms": "",
    "d_updates": 5,
    "batch_size": 64,
    "g_optimizer": "adam(2e-4, b1=0.5)",
    "d_optimizer": "adam(2e-4, b1=0.5)",
    "ema_half_life": 443_600.0,
    "steps": 100_000,
}

# Two CPU cores: one update of D, whose rate is higher, and the default moving average.
_SMALL = {
    "d_updates": 1,
    "batch_size": 32,
    "g_optimizer": "adam(2e-4, b1=0.0, b2=0.9)",
    "d_optimizer": "adam(8e-4, b1=0.0, b2=0.9)",
    "ema_half_life": 32_000.0,
    "steps": 6_000,
}

NETWORK_PRESETS: dict[str, dict[str, Any]] = {
    "sngan-resnet": _SNGAN,
    "sngan-resnet-64": {**_SNGAN, "image_size": "64"},
    "sngan-resnet-small": {**_SNGAN, **_SMALL, "networks": "resnet(16)"},
    "sagan": _SAGAN,
    "sagan-64": {**_SAGAN, "image_size": "64"},
    "sagan-small": {**_SAGAN, **_SMALL, "networks": "sagan(16)"},
    "biggan": _BIGGAN,
    # The same source for Tiny ImageNet: 100 latents, and the paper's rates.
    "biggan-64": {
        **_BIGGAN,
        "task": "conditional(100)",
        "networks": "biggan(80)",
        "image_size": "64",
        "d_updates": 1,
        "batch_size": 1_024,
        "g_optimizer": "adam(1e-4, b1=0.0)",
        "d_optimizer": "adam(4e-4, b1=0.0)",
        "ema_half_life": 7_098_000.0,
    },
    "biggan-small": {
        **_BIGGAN,
        **_SMALL,
        "networks": "biggan(16, embedding=32)",
    },
}
"""Flags by preset."""
