"""Texts and sounds for networks and tasks of another kind: the presets that help."""

import kinds
import numpy as np
import pytest

from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config
from jaxgan.data.text import END, tokens_example
from jaxgan.errors import FieldError, KindError
from jaxgan.evaluation.sample_inputs import or_train
from jaxgan.gan import builder
from jaxgan.networks import NETWORKS
from jaxgan.types import ExampleSpec, Field, image_example

TEXTS = tokens_example(6, (END, "a", "b"))
SOUND = Field((4_096, 1), np.dtype(np.int16), "waveform", rate=8_000)
SOUNDS = ExampleSpec(waveform=SOUND, label=kinds.LABEL)

OF_IMAGES = (
    *("default", "dcgan", "r3gan", "stylegan2-64", "infogan", "stacked", "acgan"),
    *("sngan-resnet-small", "sagan-small", "biggan-small", "attributes"),
    *("pix2pix", "stargan", "srgan", "esrgan", "inpaint"),
)
OF_VECTORS = ("mlp", "goodfellow", "toy", "wgan", "bigan", "f-anogan", "alice")


def refusal(example, **flags):
    with pytest.raises(FieldError) as found:
        builder.build_gan(make_config(**flags), example)
    return str(found.value)


@pytest.mark.parametrize("preset", OF_IMAGES)
def test_networks_of_images_name_the_preset_of_texts_and_of_sounds(preset):
    said = refusal(TEXTS, preset=preset)
    assert said.startswith("--networks: ")
    assert said.endswith(" needs images, not texts: use --preset=language_model")
    said = refusal(SOUNDS, preset=preset)
    assert said.endswith(" needs images, not sounds: use --preset=wavegan")


@pytest.mark.parametrize("preset", OF_VECTORS)
def test_perceptrons_name_the_preset_of_texts(preset):
    name = PRESETS[preset]["networks"].partition("(")[0]
    said = f"--networks: {name} needs numbers, not texts: use --preset=language_model"
    assert refusal(TEXTS, preset=preset) == said


@pytest.mark.parametrize("task", ["generate", "conditional", "codes", "anomaly"])
def test_tasks_from_noise_name_the_preset_of_texts(task):
    said = refusal(TEXTS, preset="language_model", task=task)
    assert (
        said == f"--task: {task} needs numbers, not texts: use --preset=language_model"
    )


@pytest.mark.parametrize("example", [image_example((8, 8, 1)), image_example((2,))])
def test_networks_of_texts_and_sounds_name_a_data_set(example):
    for preset, words in (
        ("language_model", "use a data set of texts, such as text:PATH"),
        ("text_gan", "use a data set of texts, such as text:PATH"),
        ("wavegan", "use a dataset of sounds, such as audio:PATH"),
        ("specgan", "use a dataset of sounds, such as audio:PATH"),
        ("vocoder", "use a data set of sounds, such as asterisk"),
    ):
        assert refusal(example, preset=preset).endswith(words)


def test_without_flags_the_advice_names_none():
    with pytest.raises(KindError, match="not texts: use a network and a task of texts"):
        NETWORKS["small"](example=TEXTS)


def test_advice_for_samples_of_a_class():
    assert or_train(TEXTS) == "; texts have no labels"
    assert or_train(SOUNDS).startswith(", or train with --preset=wavegan or specgan")
    pictures = image_example((8, 8, 1))
    assert or_train(pictures) == ", or train with --preset=projection"
    assert or_train(pictures, "attributes") == ", or train with --task=conditional"
