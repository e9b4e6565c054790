"""Flags of earlier versions of presets, with which their runs are resumed."""

from collections.abc import Mapping
from typing import Any

from jaxgan.config.presets import PRESETS

EARLIER_FLAGS: dict[str, dict[str, Any]] = {
    "mlp": {
        "g_latents": "same",
        "networks": "mlp((256, 512, 1024), (1024, 512, 256), dropout=0.3)",
    },
    "mlp-small": {
        "g_latents": "same",
        "networks": "mlp((256,), (256,), d_activation='relu')",
    },
    "goodfellow": {
        "g_latents": "fresh",
        "networks": "mlp((128,), (128,), g_activation='leaky_relu')",
    },
    "dcgan": {"g_optimizer": "adam(1e-4)", "d_optimizer": "adam(1e-4)"},
    "conditional": {
        "loss": "relativistic",
        "g_optimizer": "adam(cosine(2e-3, 1e-5, 12000), b1=0.0, b2=0.99)",
        "d_optimizer": "adam(cosine(2e-3, 1e-5, 12000), b1=0.0, b2=0.99)",
    },
    "specgan": {
        "g_optimizer": "adam(cosine(1e-3, 1e-5, 12000), b1=0.0, b2=0.99)",
        "d_optimizer": "adam(cosine(1e-3, 1e-5, 12000), b1=0.0, b2=0.99)",
    },
}
EARLIER_FLAGS["goodfellow-ns"] = EARLIER_FLAGS["goodfellow"]
"""Flags that earlier versions of presets set differently."""
EARLIER_STEPS = {"conditional": 12_000, "specgan": 12_000}
"""Steps of earlier versions of presets, where they differ."""


def earlier_flags(
    flags: Mapping[str, Any], stored: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the flags with which to resume a run of an earlier version of a preset.

    Args:
      flags: all current flags.
      stored: the flags with which the run was started.

    Returns:
      The flags that the preset set differently then. Empty if `stored` has another
      preset or other values, or if one of `flags` has the value of neither version.

    >>> now = {"preset": "dcgan", **PRESETS["dcgan"]}
    >>> then = {**now, "g_optimizer": "adam(1e-4)", "d_optimizer": "adam(1e-4)"}
    >>> earlier_flags(now, then)
    {'g_optimizer': 'adam(1e-4)', 'd_optimizer': 'adam(1e-4)'}
    >>> earlier_flags(now, now)
    {}
    """
    preset = flags["preset"]
    now, then = PRESETS[preset], EARLIER_FLAGS.get(preset, {})
    if stored.get("preset") != preset:
        return {}
    started_then = all(stored.get(name) == value for name, value in then.items())
    # A flag that the user has changed prevents the replacement.
    unchanged = all(
        flags[name] in (now.get(name, flags[name]), value)
        for name, value in then.items()
    )
    if not (started_then and unchanged):
        return {}
    earlier = dict(then)
    # A resumed run may have other steps: only those of the preset are replaced.
    if preset in EARLIER_STEPS and flags["steps"] == now["steps"]:
        earlier["steps"] = EARLIER_STEPS[preset]
    return earlier
