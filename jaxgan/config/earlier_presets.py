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
