"""Shared parts of networks that map images to images: sizes, padding, conditions."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import ImageSizeError, UsageError
from jaxgan.networks.layers import NORMS
from jaxgan.ranges import ceil_div
from jaxgan.types import Tree

HE = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
"""He's initializer, https://arxiv.org/abs/1502.01852."""

NARROW = nn.initializers.normal(0.02)
"""The initializer of pix2pix and CycleGAN, for kernels before a normalization."""


def kernel_init(norm: str) -> nn.initializers.Initializer:
    """Returns the initializer of kernels before a normalization in `NORMS`."""
    # Without normalization, kernels of 0.02 would make activations vanish.
    return HE if norm == "none" else NARROW


def normalize(x: jax.Array, norm: str, axis_name: str | None, train: bool) -> jax.Array:
    """Applies a normalization in `NORMS`, inside a compact module."""
    return NORMS[norm](x, axis_name, train)


def check_multiple(size: tuple[int, ...], multiple: int, name: str) -> None:
    """Raises ImageSizeError unless height and width are multiples of `multiple`.

    Args:
      size: height and width, and perhaps more.
      multiple: a positive integer.
      name: of the network, for the message.
    """
    height, width = size[:2]
    if height % multiple or width % multiple:
        near = tuple(max(round(n / multiple), 1) * multiple for n in (height, width))
        raise ImageSizeError(
            f"{name} needs images whose sides are multiples of {multiple}, such as "
            f"{near[0]}x{near[1]}, not {height}x{width}",
            (near[0], near[1]),
        )


def no_condition(condition: Tree, name: str) -> None:
    """Raises UsageError if a network that takes none is given a condition."""
    if condition is not None:
        raise UsageError(f"{name} takes no condition: use resnet_generator, which does")


def reflect(x: jax.Array, pad: int) -> jax.Array:
    """Pads images `[B, H, W, C]` with their mirror image, without the border itself.

    >>> reflect(jnp.arange(3.0).reshape(1, 3, 1, 1), 0).shape
    (1, 3, 1, 1)
    """
    return jnp.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)], mode="reflect")


def resize_nearest(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Resizes images `[B, h, w, C]` to a height and width, to the nearest pixels.

    >>> resize_nearest(jnp.arange(2.0).reshape(1, 1, 2, 1), (1, 4))[0, 0, :, 0].tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    for axis, length in enumerate(size, 1):
        old = x.shape[axis]
        if length % old == 0:
            # Unlike that of indices or `jnp.repeat`, its gradient is a sum of slices.
            copies = jnp.stack([x] * (length // old), axis + 1)
            x = copies.reshape(*x.shape[:axis], length, *x.shape[axis + 1 :])
        else:
            x = jnp.take(x, jnp.arange(length) * old // length, axis)
    return x


def condition_images(condition: Tree, size: tuple[int, ...]) -> list[jax.Array]:
    """Returns the image leaves of a condition, `[B, H, W, c]`, at a height and width.

    Other leaves, such as labels and attributes, are left out.
    """
    leaves = [leaf for leaf in jax.tree.leaves(condition) if jnp.ndim(leaf) == 4]
    return [resize_nearest(leaf, size) for leaf in leaves]


def codes(condition: Tree, classes: int, dtype: jnp.dtype) -> jax.Array | None:
    """Returns the labels and attributes of a condition as one vector per example.

    Args:
      condition: labels `[B]`, attributes `[B, k]`, or a tree of them; None for none.
      classes: number of classes of labels.
      dtype: of the result.

    Returns:
      `[B, n]`: labels as one-hot vectors, beside attributes; None without a condition.

    Raises:
      UsageError: for a leaf with another number of axes, or labels without classes.

    >>> codes({"label": jnp.array([1])}, 3, jnp.float32).tolist()
    [[0.0, 1.0, 0.0]]
    """
    parts = []
    for leaf in jax.tree.leaves(condition):
        if leaf.ndim not in (1, 2):
            raise UsageError(
                f"the generator takes labels [B] and attributes [B, k] as conditions, "
                f"not {list(leaf.shape)}"
            )
        if leaf.ndim == 1 and not classes:
            raise UsageError("a label needs classes: use a dataset that has them")
        one_hot = leaf.ndim == 1
        parts.append(jax.nn.one_hot(leaf, classes, dtype=dtype) if one_hot else leaf)
    return jnp.concatenate(parts, -1).astype(dtype) if parts else None


def halvings(size: tuple[int, ...], least: int = 2, most: int = 8) -> int:
    """Returns how often both sides can be halved, down to `least` pixels or more.

    >>> [halvings(size) for size in ((64, 64), (28, 28), (48, 64), (17, 32))]
    [5, 2, 4, 0]
    """
    (height, width), count = size[:2], 0
    while height % 2 == 0 == width % 2 and min(height, width) >= 2 * least:
        height, width, count = height // 2, width // 2, count + 1
        if count == most:
            break
    return count


def deeper_size(size: tuple[int, ...], innermost: int = 8) -> tuple[int, int] | None:
    """Returns the nearest height and width that can be halved down to few pixels.

    Networks that halve images as often as possible see small parts of the others.

    Args:
      size: height and width, and perhaps more.
      innermost: the largest shorter side after all halvings.

    Returns:
      Height and width; None if those of the images will do.

    >>> [deeper_size((side, side)) for side in (28, 30, 48, 100, 250)]
    [None, (32, 32), None, (96, 96), (256, 256)]
    """
    shorter, count = min(size[:2]), 0
    while shorter > innermost << count:
        count += 1
    if halvings(size) >= min(count, 8):
        return None
    height, width = (round(side / 2**count) << count for side in size[:2])
    return height, width


def even_size(size: tuple[int, ...]) -> tuple[int, int]:
    """Returns the next height and width that are powers of two, at least 4.

    >>> even_size((17, 64))
    (32, 64)
    """
    powers = [2 ** max((ceil_div(n, 1) - 1).bit_length(), 2) for n in size[:2]]
    return powers[0], powers[1]
