"""Presets of StyleGAN2 and R3GAN."""

from typing import Any

# ADA's settings for CIFAR-10, https://arxiv.org/abs/2006.06676: a small gamma, two
# layers of mapping, minibatches of 32 for the deviation; no path length, no style
# mixing and no skip connections in D; 100 million images. A penalty at every 16th step
# is part of that step here, not an update of its own, so that Adam's rate and b2 are
# not corrected for it (section 4 of https://arxiv.org/abs/1912.04958, appendix B).
_STYLEGAN2: dict[str, Any] = {
    "task": "generate(512)",
    "networks": "stylegan2(32768, depth=2, mixing=0, residual=False, group=32)",
    "loss": "non_saturating",
    "d_terms": "every(16, r1(0.01))",
    "batch_size": 64,
    "g_optimizer": "adam(2.5e-3, b1=0.0, b2=0.99)",
    "d_optimizer": "adam(2.5e-3, b1=0.0, b2=0.99)",
    "augment": "geometric|ada_color",
    "augment_p": "ada(0.6)",
    "ema_half_life": 500_000.0,
    "ema_ramp": 0.05,
    "steps": 1_562_500,
}

# R3GAN's settings for CIFAR-10, https://arxiv.org/abs/2501.05441: a burn-in of 20 of
# 250 million images in batches of 512.
_R3GAN: dict[str, Any] = {
    "networks": "r3gan",
    "batch_size": 512,
    "d_terms": "r1(cosine(0.05, 0.005, 39062))|r2(cosine(0.05, 0.005, 39062))",
    "g_optimizer": "adam(cosine(2e-4, 5e-5, 39062), b1=0.0, "
    "b2=cosine(0.9, 0.99, 39062))",
    "d_optimizer": "adam(cosine(2e-4, 5e-5, 39062), b1=0.0, "
    "b2=cosine(0.9, 0.99, 39062))",
    "augment": "geometric|ada_color(0.5, 0.5, 0.5, 0.5, 0.5)|cutout",
    "augment_p": "cosine(0, 0.55, 39062)",
    "ema_half_life": "cosine(0, 5e6, 39062)",
    "ema_ramp": 0.0,
    "steps": 488_281,
}

STYLE_PRESETS: dict[str, dict[str, Any]] = {
    "stylegan2": _STYLEGAN2,
    # Half as many channels, and ADA's rule for sizes that were not tuned: gamma is
    # 0.0002 H W / batch, the half-life 20,000 images for batches of 64. With style
    # mixing, and path lengths at every eighth step, for 25 million images.
    "stylegan2-64": {
        **_STYLEGAN2,
        "networks": "stylegan2",
        "d_terms": "every(16, r1(0.0128))",
        "g_terms": "every(8, path_length(2))",
        "ema_half_life": 20_000.0,
        "steps": 390_625,
    },
    # For two CPU cores, where a lazy penalty costs as much as one at each step.
    "stylegan2-small": {
        "task": "generate(64)",
        "networks": "stylegan2(512, 64, 64, depth=4)",
        "loss": "non_saturating",
        "d_terms": "r1(1)",
        "batch_size": 32,
        "g_optimizer": "adam(2.5e-3, b1=0.0, b2=0.99)",
        "d_optimizer": "adam(2.5e-3, b1=0.0, b2=0.99)",
        "ema_half_life": 10_000.0,
    },
    "r3gan": _R3GAN,
    # For ImageNet at 64 pixels, with labels: a burn-in of 200 million images in batches
    # of 4096. The width, and a run of twice the burn-in, are not from the paper.
    "r3gan-64": {
        **_R3GAN,
        "task": "conditional(64)",
        "networks": "r3gan(1536, conditional=True)",
        "batch_size": 4096,
        "d_terms": "r1(cosine(1, 0.1, 48828))|r2(cosine(1, 0.1, 48828))",
        "g_optimizer": "adam(cosine(2e-4, 5e-5, 48828), b1=0.0, "
        "b2=cosine(0.9, 0.99, 48828))",
        "d_optimizer": "adam(cosine(2e-4, 5e-5, 48828), b1=0.0, "
        "b2=cosine(0.9, 0.99, 48828))",
        "augment_p": "cosine(0, 0.4, 48828)",
        "ema_half_life": "cosine(0, 5e7, 48828)",
        "steps": 97_656,
    },
    # For trials: a narrow network with the losses and rates of `default`.
    "r3gan-small": {
        "networks": "r3gan(32, 1)",
        "g_optimizer": "adam(1e-3, b1=0.0, b2=0.99)",
        "d_optimizer": "adam(1e-3, b1=0.0, b2=0.99)",
        "batch_size": 32,
    },
}
"""Flags by preset."""
