"""The training examples nearest to a sample, and what D says of it."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data
from jaxgan.errors import UsageError
from jaxgan.evaluation.sample_inputs import CONDITIONS
from jaxgan.experiment.setup import load_data
from jaxgan.gan import objective
from jaxgan.gan.judging import judge_alone
from jaxgan.monitoring.probe import mean_logits
from jaxgan.types import Players, Tree
from jaxgan.viewer.models import Opened, conditions_of

MOST_EXAMPLES = 10_000
"""Maximum number of training examples that are looked at."""

MOST_BYTES = 64 * 2**20
"""Maximum bytes of them."""

NEAREST = 6
"""Number of examples that are shown."""

AT_ONCE = 256
"""Examples of which features are computed at a time."""

SPACES = ("pixels", "D's features")
"""Distances between images."""


class Close(NamedTuple):
    """The training examples nearest to a sample."""

    images: np.ndarray
    """`[n, H, W, C]`, of the raw data."""
    numbers: np.ndarray
    """Their numbers in the data set, `[n]`."""
    distances: np.ndarray
    """`[n]`, ascending; root mean squares over entries."""
    searched: int
    size: int
    """Examples that were compared, of all."""


class Said(NamedTuple):
    """D's logit of a sample."""

    logit: float
    label: str
    """The class for which it is largest, if D reads labels."""
    step: int


class Examples(NamedTuple):
    """Some training examples of a run."""

    images: np.ndarray
    numbers: np.ndarray
    size: int


@functools.lru_cache(maxsize=2)
def examples_of(run: Opened) -> Examples:
    """Reads training examples, spread evenly over the data set.

    Raises:
      UsageError: if the data cannot be read.
    """
    dataset, _ = load_data(run.run.config)
    if dataset.example[dataset.example.generated].kind != "image":
        raise UsageError("only images have neighbors here")
    each = max(math.prod(dataset.shape) * dataset.dtype.itemsize, 1)
    count = min(dataset.size, MOST_EXAMPLES, max(MOST_BYTES // each, 1))
    numbers = np.unique(np.linspace(0, dataset.size - 1, count).round().astype(int))
    images = dataset.read(numbers)[dataset.example.generated]
    return Examples(np.asarray(images), numbers, dataset.size)


def nearest(run: Opened, sample: np.ndarray, space: str) -> Close:
    """Returns the training examples nearest to a sample.

    Args:
      run: the run.
      sample: `[H, W, C]` uint8.
      space: in `SPACES`.
    """
    examples = examples_of(run)
    known = _features(run, space)
    own = _in_space(run, space, sample[None])[0]
    distances = np.sqrt(np.mean((known - own) ** 2, axis=1, dtype=np.float64))
    order = np.argsort(distances, kind="stable")[:NEAREST]
    return Close(
        *(examples.images[order], examples.numbers[order], distances[order]),
        searched=len(examples.images),
        size=examples.size,
    )


@functools.lru_cache(maxsize=4)
def _features(run: Opened, space: str) -> np.ndarray:
    """Returns the features of the training examples, `[n, d]`."""
    images = examples_of(run).images
    return np.concatenate(
        [
            _in_space(run, space, images[start : start + AT_ONCE])
            for start in range(0, len(images), AT_ONCE)
        ]
    )


def _in_space(run: Opened, space: str, images: np.ndarray) -> np.ndarray:
    """Returns images as vectors, `[n, d]`: pixels in [-1, 1], or D's features."""
    count, generated = len(images), run.run.example.generated
    field = run.run.example[generated]
    # Samples have 8 bits, whatever the data have.
    normal = data.normalize(
        {generated: images},
        type(run.run.example)({generated: field._replace(dtype=images.dtype)}),
    )[generated]
    if space == "pixels":
        return np.asarray(normal, np.float32).reshape(count, -1)
    # All calls have one of two shapes.
    size = 1 if count == 1 else AT_ONCE
    padded = np.resize(np.asarray(normal), (size, *normal.shape[1:]))
    features = _judge(run)(run.players.discriminator, padded, _labels(run, 0, size))[1]
    return np.asarray(features, np.float32)[:count]


@functools.lru_cache(maxsize=4)
def _judge(run: Opened):
    """Returns a compiled function of (D's variables, images, labels)."""
    network = run.run.gan.networks.discriminator

    def judge(variables, images, labels):
        keys = objective.example_keys(jax.random.key(0), len(images))
        # An example has the same features beside any others.
        output = judge_alone(network, variables, images, labels, keys)
        leaves = jax.tree.leaves(output.features) or jax.tree.leaves(output.logits)
        # The last features, those before the logits.
        return mean_logits(output), leaves[-1].reshape(len(images), -1)

    return jax.jit(judge)


def _labels(run: Opened, label: int, count: int) -> Tree:
    """Returns the condition of D: labels or attributes, or None."""
    if set(run.run.gan.task.inputs) - set(CONDITIONS):
        raise UsageError("D compares with an input here, not with the sample alone")
    names, conditions = conditions_of(run.run)
    return jnp.repeat(conditions[label][None], count, 0) if names else None


def judge(run: Opened, sample: np.ndarray) -> Said:
    """Returns what the discriminator of the newest checkpoint says of a sample.

    Args:
      run: the run.
      sample: `[H, W, C]` uint8.

    Raises:
      UsageError: if D needs more than the sample.
    """
    players: Players = run.players
    names, _ = conditions_of(run.run)
    shape = (-1, *sample.shape)
    image = _in_space(run, "pixels", sample[None]).reshape(shape)
    best = Said(-math.inf, "", run.step)
    for number, name in enumerate(names or ("",)):
        labels = _labels(run, number, 1)
        logit = float(_judge(run)(players.discriminator, image, labels)[0][0])
        best = max(best, Said(logit, name, run.step))
    return best
