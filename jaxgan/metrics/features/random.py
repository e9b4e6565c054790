"""Features of a random convolutional network, for tests and for quick looks."""

import itertools
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.metrics.features.base import (
    Extractor,
    Seed,
    digest,
    image_shape,
    in_batches,
)
from jaxgan.ranges import Range
from jaxgan.types import ExampleSpec

HIDDEN = 32
"""Channels of the first convolution."""


Dim = Annotated[int, Range(1, 2**14)]
"""Number of features."""


def random(dim: Dim = 64, seed: Seed = 0, *, example: ExampleSpec) -> Extractor:
    """Returns features of two random convolutions, which need no data and no download.

    Two 3x3 convolutions with stride 2 and normal weights, each with a ReLU, then the
    mean over all positions. The weights are those of NumPy's generator, hence the same
    on all machines. Distances of such features rank coarse faults only, so report those
    of a trained extractor.

    Args:
      dim: number of features.
      seed: seed of the weights.
      example: the fields of an example; the first one is an image of any size.

    Raises:
      UsageError: if the first field is not an image.
    """
    shape = image_shape(example, "random")
    draw = np.random.default_rng([seed, dim, shape[-1]]).standard_normal
    channels = (shape[-1], HIDDEN, dim)
    # He's scale, which keeps the variance after a ReLU.
    weights = [
        (draw((3, 3, a, b)) * (2 / (9 * a)) ** 0.5).astype(np.float32)
        for a, b in itertools.pairwise(channels)
    ]
    protocol = {"layer": f"mean of convolution 2, {dim}", "seed": seed}
    return Extractor(
        name="random",
        digest=digest(weights),
        protocol={"resize": "none", **protocol},
        extract=in_batches(_forward, weights, shape),
    )


def _forward(weights: list[jax.Array], images: jax.Array) -> tuple[jax.Array, None]:
    x = images
    for kernel in weights:
        x = jax.lax.conv_general_dilated(
            x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x)
    return jnp.mean(x, (1, 2)), None
