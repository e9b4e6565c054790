"""Flags of earlier versions of presets, with which their runs are resumed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxgan.config.presets import PRESETS
from jaxgan.config.training import Config

# Gamma was 1 for all images.
_ONE = {"d_terms": "r1(1)|r2(1)"}
_LONG = {
    "g_optimizer": "adam(cosine(2e-3, 1e-5, 12000), b1=0.0, b2=0.99)",
    "d_optimizer": "adam(cosine(2e-3, 1e-5, 12000), b1=0.0, b2=0.99)",
    "steps": 12_000,
}
_GOODFELLOW = {
    "g_latents": "fresh",
    "networks": "mlp((128,), (128,), g_activation='leaky_relu')",
}
EARLIER: dict[str, tuple[dict[str, Any], ...]] = {
    "default": (_ONE,),
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
    "dcgan": ({"g_optimizer": "adam(1e-4)", "d_optimizer": "adam(1e-4)"},),
    "projection": (_ONE,),
    "conditional": ({**_ONE, "loss": "relativistic", **_LONG}, _ONE),
    "acgan": ({"d_terms": "r1(1)|r2(1)|auxiliary_classifier"},),
    "infogan": ({"d_terms": "r1(1)|r2(1)|mutual_information(0.1)"},),
    "specgan": (
        {
            "g_optimizer": "adam(cosine(1e-3, 1e-5, 12000), b1=0.0, b2=0.99)",
            "d_optimizer": "adam(cosine(1e-3, 1e-5, 12000), b1=0.0, b2=0.99)",
            "steps": 12_000,
        },
    ),
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
      The flags that the preset set differently then. Empty if `stored` has another
      preset or the values of no earlier version, or if one of `flags` has neither the
      value of that version nor that of today's.

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
    for version in EARLIER.get(preset, ()):
        then = dict(version)
        # A resumed run may have other steps: only those of the preset are replaced.
        steps = then.pop("steps", None)
        started_then = all(stored.get(name) == value for name, value in then.items())
        # A flag that the user has changed prevents the replacement.
        unchanged = all(flags[name] in (now[name], then[name]) for name in then)
        if started_then and unchanged:
            replaced = steps and flags["steps"] == now["steps"]
            return {**then, "steps": steps} if replaced else then
    return {}
