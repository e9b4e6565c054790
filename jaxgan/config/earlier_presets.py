"""Flags of earlier versions of presets, with which their runs are resumed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxgan.config.presets import PRESETS
from jaxgan.config.training import ADAM, Config


def _falling(start: str, end: str, steps: int, more: str = "b1=0.0, b2=0.99") -> str:
    # Rates fell in a fixed number of steps.
    return f"adam(cosine({start}, {end}, {steps}), {more})"


def _both(optimizer: str) -> dict[str, Any]:
    return {"g_optimizer": optimizer, "d_optimizer": optimizer}


# Updates were not clipped.
_PLAIN = _both("adam(2e-3, b1=0.0, b2=0.99)")
_CLIPPED = "b1=0.0, b2=0.99, clipping_threshold=1"
_GOODFELLOW = {
    "g_latents": "fresh",
    "networks": "mlp((128,), (128,), g_activation='leaky_relu')",
}
EARLIER: dict[str, tuple[dict[str, Any], ...]] = {
    "default": (_PLAIN,),
    "toy": (_both(_falling("2e-3", "1e-5", 8_000)),),
    "toy-grid": (_both(_falling("2e-3", "1e-5", 8_000)),),
    "stacked": (_both(_falling("2e-3", "1e-5", 12_000)),),
    "mlp": (
        {
            "g_latents": "same",
            "networks": "mlp((256, 512, 1024), (1024, 512, 256), dropout=0.3)",
        },
    ),
    "mlp-small": (
        {
            "g_latents": "same",
            "networks": "mlp((256,), (256,), d_activation='relu')",
        },
    ),
    "goodfellow": (_GOODFELLOW,),
    "goodfellow-ns": (_GOODFELLOW,),
    "dcgan": (_both("adam(1e-4)"),),
    "projection": (_both(ADAM),),
    "conditional": (
        {
            "loss": "relativistic",
            **_both(_falling("2e-3", "1e-5", 12_000)),
            "steps": 12_000,
        },
        _both(_falling("2e-3", "1e-5", 8_000)),
    ),
    "acgan": (_PLAIN,),
    "infogan": (_PLAIN,),
    "attributes": (_both(_falling("2e-3", "1e-5", 12_000, _CLIPPED)),),
    "alice": ({"g_optimizer": _falling("1e-3", "1e-5", 600, "b1=0.5, b2=0.99")},),
    "wavegan": (_both(_falling("1e-3", "1e-5", 12_000)),),
    "specgan": (
        {**_both(_falling("1e-3", "1e-5", 12_000)), "steps": 12_000},
        _both(_falling("1e-3", "1e-5", 1_800, _CLIPPED)),
    ),
    "vocoder": (
        {
            "g_optimizer": _falling("1e-3", "1e-4", 1_500, "b1=0.8, b2=0.99"),
            "d_optimizer": _falling("5e-4", "1e-4", 1_500, "b1=0.8, b2=0.99"),
        },
    ),
    "language_model": ({"g_optimizer": "adam(cosine(3e-3, 1e-4, 4000))"},),
}
"""Flags that earlier versions of presets set differently, the first version first."""


def earlier_flags(
    flags: Mapping[str, Any], stored: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the flags with which to resume a run of an earlier version of a preset.

    Args:
      flags: all current flags.
      stored: the flags with which the run was started.

    Returns:
      The flags of `stored` that are those of an earlier version, where `flags` has what
      the preset sets today. A flag that the user has set is not among them.

    >>> now = {"preset": "dcgan", **PRESETS["dcgan"]}
    >>> then = {**now, "g_optimizer": "adam(1e-4)", "d_optimizer": "adam(1e-4)"}
    >>> earlier_flags(now, then)
    {'g_optimizer': 'adam(1e-4)', 'd_optimizer': 'adam(1e-4)'}
    >>> earlier_flags(now, now)
    {}
    """
    preset = flags["preset"]
    if stored.get("preset") != preset:
        return {}
    defaults = {field.name: field.default for field in dataclasses.fields(Config)}
    now = {**defaults, **PRESETS[preset]}
    # What the user has not set, and the run has otherwise.
    left = {k for k, v in now.items() if flags.get(k) == v != stored.get(k, v)}
    earlier = {}
    for version in EARLIER.get(preset, ()):
        then = {k: v for k, v in version.items() if k in left and stored[k] == v}
        # A resumed run may have any steps: they alone are of no version.
        earlier |= then if then.keys() - {"steps"} else {}
    return earlier
