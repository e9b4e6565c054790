"""Errors of programs for other tasks name the program or the preset that fits."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from jaxgan.config.inverting import InversionOptions
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.evaluation.invert import check_run
from jaxgan.evaluation.latent_space import LatentSpace, check_has_latents
from jaxgan.evaluation.picture_facts import check_maps_pictures
from jaxgan.evaluation.scorer import Scorer
from jaxgan.gan import builder
from jaxgan.metrics.features.base import image_shape
from jaxgan.types import ExampleSpec, Field, image_example

IMAGES = image_example((16, 16, 3), classes=2)
TEXTS = ExampleSpec(tokens=Field((4,), np.dtype(np.int32), "tokens", ("a", "b")))


def opened(task, example=IMAGES) -> Any:
    """A run of a task, of which nothing but the task is built."""
    config = make_config(task=task)
    gan = SimpleNamespace(task=builder.build_task(config, example))
    folder = Path("runs/mine")
    return SimpleNamespace(config=config, gan=gan, example=example, folder=folder)


@pytest.mark.parametrize(
    ("task", "example", "message"),
    [
        ("inpainting", IMAGES, "use python -m jaxgan.apply --workdir=runs/mine"),
        ("domains", IMAGES, "use python -m jaxgan.apply --workdir=runs/mine"),
        ("text", TEXTS, "use python -m jaxgan.sample --n=64"),
    ],
)
def test_runs_without_latents_are_for_another_program(task, example, message):
    run = opened(task, example)
    with pytest.raises(UsageError, match=f"^mine .*: {message}$"):
        check_has_latents(run)
    # The inversion says so before it asks for a label.
    if example is IMAGES:
        with pytest.raises(UsageError, match=f": {message}$"):
            check_run(run, InversionOptions())
    check_has_latents(opened("conditional(4)"))


def test_a_detector_with_an_encoder_is_for_another_program():
    # Those of users, which start from a latent, are inverted in test_buckets_programs.
    networks = "encoder_mlp((4,), (4,), (4,))"
    config = make_config(task="anomaly(4)", networks=networks, batch_size=2, d_terms="")
    gan = builder.build_gan(config, IMAGES, trains=False)
    state = gan.init(jax.random.key(0))
    run: Any = SimpleNamespace(
        config=config, gan=gan, example=IMAGES, folder=Path("runs/mine"), dataset=None
    )
    with pytest.raises(UsageError, match=r"use python -m jaxgan.score --workdir=runs/"):
        LatentSpace(run, state.ema)


def test_a_detector_maps_no_pictures():
    with pytest.raises(UsageError, match=r"; score pictures with python -m jaxgan.sco"):
        check_maps_pictures(opened("anomaly(4)"))
    with pytest.raises(UsageError, match=r"; draw samples with python -m jaxgan.sampl"):
        check_maps_pictures(opened("generate(4)"))


def test_the_preset_of_a_detector_has_its_networks():
    with pytest.raises(UsageError, match=r"or train with --preset=alice$"):
        Scorer(opened("generate(4)"))


def test_features_of_images_name_those_of_texts():
    with pytest.raises(UsageError, match=r"tokens of shape \[4\]: use fd\(minilm\)$"):
        image_shape(TEXTS, "random")
