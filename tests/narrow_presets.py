"""Small networks and images for the presets, which take minutes to compile whole."""

from typing import Any

NARROW: dict[str, dict[str, Any]] = {
    "residual": {"networks": "residual(32, 1)"},
    "dcgan": {"networks": "dcgan(8)"},
    "pix2pix": {"networks": "image_to_image(unet(8, depth=2), patch(8, layers=1))"},
    "cyclegan": {
        "networks": "two_domains(resnet_generator(8, blocks=1), patch(8, layers=1))"
    },
    "style": {
        "networks": "two_domains(resnet_generator(8, blocks=1), patch(8, layers=1))"
    },
    "stargan": {
        "networks": "image_to_image(resnet_generator(8, blocks=1), patch(8, layers=1))"
    },
    "srgan": {"networks": "image_to_image(srresnet(8, blocks=1), patch(8, layers=1))"},
    "esrgan": {"networks": "image_to_image(rrdb(8, blocks=1), patch(8, layers=1))"},
    "inpaint": {
        "networks": "image_to_image(gated_unet(8, depth=2), patch(8, layers=1))"
    },
    "vocoder": {"networks": "griffin_lim(8, 2, 1, 1, 2, periods=(3,), scales=0)"},
}
"""Flags of narrow networks by preset."""

PICTURE = {"image": (32, 32, 3)}
SOURCED = {**PICTURE, "source": (32, 32, 3)}
SHAPES = {
    **dict.fromkeys(("pix2pix", "cyclegan", "style"), SOURCED),
    **dict.fromkeys(("stargan", "srgan", "esrgan", "inpaint"), PICTURE),
    "vocoder": {"waveform": (2_048, 1)},
}
"""Fields of the presets that are not for digits or points."""
WITHOUT_WEIGHTS = {"srgan": {"g_terms": "l1(100)"}, "esrgan": {"g_terms": "l1(100)"}}
"""Flags without the term that reads the weights of the extra `features`."""


def flags_of(preset: str) -> dict[str, Any]:
    """Returns the flags that make a preset small."""
    return {**NARROW.get(preset, {}), **WITHOUT_WEIGHTS.get(preset, {})}
