"""Small networks and examples for the presets, which take minutes to compile whole."""

from typing import Any

import numpy as np

from jaxgan.config.network_presets import NETWORK_PRESETS
from jaxgan.types import ExampleSpec, Field, image_example

NARROW: dict[str, dict[str, Any]] = {
    "residual": {"networks": "residual(32, 1)"},
    **{
        name: {"networks": f"{flags['networks'].partition('(')[0]}(2)", "d_updates": 1}
        for name, flags in NETWORK_PRESETS.items()
    },
    "r3gan": {"networks": "r3gan(32, 1)"},
    **{
        f"r3gan-{name}": {"networks": "r3gan(8, 1, conditional=True)"}
        for name in ("cifar10", "32", "64")
    },
    **{f"r3gan-ffhq-{name}": {"networks": "r3gan(8, 1)"} for name in (64, 256)},
    "r3gan-small": {"networks": "r3gan(8, 1)"},
    "stylegan2": {"networks": "stylegan2(16, 4, 4, 1, 0, False, 32)"},
    "stylegan2-64": {"networks": "stylegan2(16, 4, 4, 1)"},
    "stylegan2-small": {"networks": "stylegan2(16, 4, 4, 1)"},
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
    "wavegan": {"networks": "wavegan(2)"},
    "specgan": {"networks": "specgan(2)"},
    "inpaint": {
        "networks": "image_to_image(gated_unet(8, depth=2), patch(8, layers=1))"
    },
    "vocoder": {"networks": "griffin_lim(8, 2, 1, 1, 2, periods=(3,), scales=0)"},
    "language_model": {
        "networks": "text(recurrent_generator(8, 8), no_discriminator())",
        "vocabulary": 20,
    },
    "text_gan": {
        "networks": "text(recurrent_generator(8, 8), "
        "text_discriminator(2, 4, (2,), filters=4, hidden=4))",
        "vocabulary": 20,
    },
}
"""Flags of narrow networks by preset."""

TEXTS = {"language_model": {"tokens": (6,)}, "text_gan": {"tokens": (6,)}}
"""Fields of the presets that are for texts."""

PICTURE = {"image": (32, 32, 3)}
SOURCED = {**PICTURE, "source": (32, 32, 3)}
SHAPES = {
    **dict.fromkeys(("pix2pix", "cyclegan", "style"), SOURCED),
    **dict.fromkeys(("stargan", "srgan", "esrgan", "inpaint"), PICTURE),
    "wavegan": {"waveform": (256, 1)},
    "specgan": {"waveform": (2_048, 1)},
    "vocoder": {"waveform": (2_048, 1)},
}
"""Fields of the presets that are not for digits or points."""
WITHOUT_WEIGHTS = {"srgan": {"g_terms": "l1(100)"}, "esrgan": {"g_terms": "l1(100)"}}
"""Flags without the term that reads the weights of the extra `features`."""


def example_of(preset: str) -> ExampleSpec:
    """Returns the fields that a preset is for, with labels of ten classes."""
    shape = (2,) if "toy" in preset else (28, 28, 1)
    shapes = SHAPES.get(preset, {"image": shape})
    if "waveform" in shapes:
        sound = Field(shapes["waveform"], np.dtype(np.int16), "waveform", rate=16_000)
        label = image_example((1,), classes=10)["label"]
        return ExampleSpec(waveform=sound, label=label)
    example = image_example(shapes["image"], classes=10)
    # The second image of pairs and of two domains.
    if "source" in shapes:
        example["source"] = example["image"]
    return example


def flags_of(preset: str) -> dict[str, Any]:
    """Returns the flags that make a preset small."""
    return {**NARROW.get(preset, {}), **WITHOUT_WEIGHTS.get(preset, {})}
