"""A toy that scores images by known functions, and labelled data for it.

`register` adds them to the tables; `--import=anomaly_toys_registered` does so too.
"""

from contextlib import contextmanager
from typing import Any

import jax.numpy as jnp
import maps
import numpy as np

from jaxgan import train as programs
from jaxgan.data import SOURCES, from_fields
from jaxgan.networks import NETWORKS
from jaxgan.tasks import TASKS
from jaxgan.types import AnomalyParts, Players, Samples, Task, image_example

SIDE, TRAIN, TEST, HELD = 8, 120, 60, 40
CLASSES = ("bad", "good")
WEIGHTS = {"mean": 0.25}
"""Of the parts of the toy's score."""


def spots():
    """Scores by the distance to a filtered image, by the logit, and by the mean."""

    def play(generator, batch, keys, step):
        return Samples(batch["image"], generator(batch["image"]))

    def score(generator, critic, inputs, keys):
        x = inputs["image"]
        back = generator(x)
        return AnomalyParts(
            back,
            jnp.square(x - back).mean(-1),
            jnp.square(critic(x).logits),
            {"mean": jnp.square(x.mean((1, 2, 3)))},
        )

    return Task(play, ("image",), ("image",), score=score, weights=WEIGHTS)


def images(split, count, bad):
    """Smooth images `[count, 8, 8, 1]`, with a bright spot in those of class 0."""
    rng = np.random.default_rng(list(split.encode()))
    labels = np.ones(count, np.int32)
    labels[:bad] = 0
    slope = np.linspace(0, 1, SIDE)
    pixels = 100 + 60 * rng.random((count, 1, 1)) * slope + 5 * rng.random((SIDE, SIDE))
    at = rng.integers(1, SIDE - 1, (bad, 2))
    pixels[np.arange(bad), at[:, 0], at[:, 1]] = 255
    return pixels.astype(np.uint8)[..., None], labels


TESTS, LABELS = images("test", TEST, TEST // 3)
"""The test examples, of which those of class 0 have a spot."""


def train(folder, *flags):
    """Trains a run of two steps, and returns its folder."""
    own = ["--dataset=spots", "--task=spots", "--networks=blur_one"]
    own += ["--batch_size=2", "--steps=2", "--samples=2", "--score_samples=2"]
    own += ["--devices=1", f"--held_out={HELD}", f"--workdir={folder}"]
    own += ["--eval_metrics=sliced_wasserstein", "--import=anomaly_toys_registered"]
    own += ["--score_weights=task"]
    assert programs.main([*own, *flags]) == 0
    return folder


def source(request):
    """The data set `spots`: normal examples, and a split `test` with anomalies."""
    bad = TEST // 3 if request.split == "test" else 0
    pixels, labels = images(request.split, TEST if bad else TRAIN, bad)
    arrays: dict[str, Any] = {"image": pixels, "label": labels}
    example = image_example(pixels.shape[1:], np.uint8, CLASSES)
    return from_fields(request.name, arrays, example=example, origin="made-up spots")


TABLES: list[dict[str, Any]] = [TASKS, NETWORKS, SOURCES]


@contextmanager
def registered():
    """Adds all of them for a `with` block, which other tests do not see."""
    before = [dict(table) for table in TABLES]
    register()
    yield
    for table, own in zip(TABLES, before, strict=True):
        table.clear()
        table.update(own)


def register():
    """Adds all of them to the tables."""
    TASKS["spots"] = spots
    NETWORKS["blur_one"] = lambda *, example: Players(maps.Blur(out=1), maps.Judge())
    SOURCES["spots"] = source
