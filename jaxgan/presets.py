"""Recipes by name: flags that go together, as papers and tutorials have them."""

from typing import Any

_PLAIN = {"d_terms": "", "ema_half_life": 0.0}

PRESETS: dict[str, dict[str, Any]] = {
    # Relativistic pairing with R1 and R2, https://arxiv.org/abs/2501.05441.
    "default": {},
    # The same on 2-D points.
    "toy": {
        "task": "generate(2)",
        "networks": "mlp((128, 128, 128), (128, 128, 128), d_activation='swish')",
        "batch_size": 256,
        "d_terms": "r1(0.1)|r2(0.1)",
        "samples": 512,
    },
    # The tutorials' perceptrons, with dropout in D.
    "mlp": {
        **_PLAIN,
        "task": "generate(100)",
        "networks": "mlp((256, 512, 1024), (1024, 512, 256), dropout=0.3)",
        "loss": "non_saturating",
        "batch_size": 128,
        "g_optimizer": "adam(2e-4, b1=0.5)",
        "d_optimizer": "adam(2e-4, b1=0.5)",
    },
    # One hidden layer each.
    "mlp-small": {
        **_PLAIN,
        "task": "generate(100)",
        "networks": "mlp((256,), (256,), d_activation='relu')",
        "loss": "non_saturating",
        "batch_size": 128,
        "g_optimizer": "adam(1e-3)",
        "d_optimizer": "adam(1e-3)",
    },
    # The value function of https://arxiv.org/abs/1406.2661, saturating for G.
    "goodfellow": {
        **_PLAIN,
        "task": "generate(100, latents='uniform')",
        "networks": "mlp((128,), (128,), g_activation='leaky_relu')",
        "loss": "minimax",
        "batch_size": 128,
        "g_optimizer": "adam(1e-3)",
        "d_optimizer": "adam(1e-3)",
    },
    # The DCGAN of the tutorials, https://arxiv.org/abs/1511.06434.
    "dcgan": {
        **_PLAIN,
        "task": "generate(100)",
        "networks": "dcgan",
        "loss": "non_saturating",
        "batch_size": 128,
        "g_optimizer": "adam(1e-4)",
        "d_optimizer": "adam(1e-4)",
    },
    # Least squares against vanishing gradients, https://arxiv.org/abs/1611.04076.
    "lsgan": {
        **_PLAIN,
        "task": "generate(100)",
        "networks": "mlp((256, 512, 1024), (512, 256))",
        "loss": "least_squares",
        "batch_size": 64,
        "g_optimizer": "adam(2e-4, b1=0.5)",
        "d_optimizer": "adam(2e-4, b1=0.5)",
    },
    # Clipped weights and five critic updates, https://arxiv.org/abs/1701.07875.
    "wgan": {
        **_PLAIN,
        "task": "generate(100)",
        "networks": "mlp((256, 512, 1024), (512, 256))",
        "loss": "wasserstein",
        "d_updates": 5,
        "batch_size": 64,
        "g_optimizer": "rmsprop(5e-5)",
        "d_optimizer": "rmsprop(5e-5)|clip_weights(0.01)",
    },
}
PRESETS["goodfellow-ns"] = {**PRESETS["goodfellow"], "loss": "non_saturating"}

DATASET_PRESETS = {"ring8": "toy", "grid25": "toy"}
"""What `--preset=auto` means for a data set; any other has `default`."""
