"""A perceptual distance of image pairs, by the stages of EfficientNet-Lite0."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.features import efficientnet
from jaxgan.metrics.features.resize import resize
from jaxgan.types import Tree

EPSILON = 1e-10
"""Added to squared norms, so that pixels without features have a gradient."""

BATCH = 32
"""Number of pairs that are compared at a time."""


def perceptual_distance(
    variables: Tree, a: jax.typing.ArrayLike, b: jax.typing.ArrayLike
) -> jax.Array:
    """Returns the distance of each image to its partner, `[n]`.

    Channels of each stage are scaled to a norm of 1 at each pixel. The squared
    difference is summed over channels, averaged over pixels and summed over the seven
    stages, https://arxiv.org/abs/1801.03924 (section 3) with weights of 1. This is not
    LPIPS, whose weights are learned for other networks: values cannot be compared.

    It is 0 for equal images, symmetric and at most 28. It can be differentiated with
    respect to both images, as in a reconstruction loss.

    Args:
      variables: those of `efficientnet.load`, to which gradients flow too.
      a: `[n, H, W, C]` in [-1, 1], C 1 or 3, at least 32 pixels a side. Images are not
        resized; the network was trained at 224 pixels.
      b: the same shape.

    Raises:
      UsageError: for other shapes.
    """
    a, b = jnp.asarray(a), jnp.asarray(b)
    if a.shape != b.shape:
        raise UsageError(
            f"images of shapes {list(a.shape)} and {list(b.shape)} are no pairs: use "
            "equal shapes"
        )
    both = zip(*(efficientnet.stages(variables, x) for x in (a, b)), strict=True)
    return jnp.sum(jnp.stack([stage_distance(x, y) for x, y in both]), 0)


def stage_distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """Returns the mean squared difference of unit vectors, `[n, h, w, c]` to `[n]`.

    >>> x, y = jnp.array([[[[3.0, 4.0]]]]), jnp.array([[[[0.0, 5.0]]]])
    >>> round(float(stage_distance(x, y)[0]), 4)  # (3/5)^2 + (4/5 - 1)^2
    0.4
    """
    difference = unit(x) - unit(y)
    return jnp.mean(jnp.sum(difference**2, -1), (1, 2))


def unit(x: jax.Array) -> jax.Array:
    """Scales the vectors along the last axis to a norm of 1, or of 0 if they are 0."""
    return x / jnp.sqrt(jnp.sum(x**2, -1, keepdims=True) + EPSILON)


def paired_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the `perceptual_distance` of each pair, `[n]` float32.

    Images are resized to 224 pixels with an anti-aliased bicubic filter. Products are
    computed in float32 on all devices.

    Args:
      a: `[n, H, W, C]` float32 in [-1, 1], C 1 or 3.
      b: the same shape.

    Raises:
      UsageError: if the package with the weights is not installed, or for images of
        other shapes.
    """
    if a.shape != b.shape or a.ndim != 4:
        raise UsageError(
            f"images of shapes {list(a.shape)} and {list(b.shape)} are no pairs: use "
            "equal shapes [n, H, W, C]"
        )
    variables, _ = efficientnet.load()
    # One compiled size: the last batch is padded with equal pairs.
    padded = [np.pad(x, ((0, -len(x) % BATCH), (0, 0), (0, 0), (0, 0))) for x in (a, b)]
    starts = range(0, len(padded[0]), BATCH)
    parts = [_distances(variables, *(x[i : i + BATCH] for x in padded)) for i in starts]
    return np.concatenate([np.zeros(0, np.float32), *parts])[: len(a)]


@jax.jit
def _distances(variables: Tree, a: jax.Array, b: jax.Array) -> jax.Array:
    """Resizes pairs and returns their distances, `[n]`."""
    size = (efficientnet.SIZE, efficientnet.SIZE)
    # Accelerators would otherwise round the factors to bfloat16 or TF32.
    with jax.default_matmul_precision("highest"):
        large = [jnp.clip(resize(x, size), -1, 1) for x in (a, b)]
        return perceptual_distance(variables, *large)
