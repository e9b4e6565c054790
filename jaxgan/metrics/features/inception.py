"""InceptionV3 as the Frechet inception distance (FID) uses it.

The reference is the TensorFlow graph of 2015-12-05, which differs from later versions
of InceptionV3: average pools do not count padding, the last block has a max pool, and
there are 1008 logits. Users supply the file of its weights, such as
pt_inception-2015-12-05-6726825d.pth of pytorch-fid, or torch-fidelity's copy of it.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.metrics.features import torch_files
from jaxgan.metrics.features.pretrained import Conv, as_rgb, convert
from jaxgan.types import Tree

SIZE = 299
"""Height and width of the images, to which callers resize them."""

LEAST_SIZE = 75
"""Minimum height and width that the network itself takes."""

KNOWN = {
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2": (
        "pt_inception-2015-12-05"
    ),
}
"""Names of known weights by the SHA-256 of their file.

pytorch-fid and torch-fidelity publish the same file under two names.
"""

Layer = Callable[..., jax.Array]
"""Applies a convolution, given the inputs, its name, features, kernel and options."""


class InceptionV3(nn.Module):
    """The network of the FID (https://arxiv.org/abs/1512.00567, 1706.08500)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns features `[n, 2048]` and logits `[n, 1008]`.

        Args:
          x: images `[n, H, W, 3]`, normalized like by `apply`.
        """
        x = _stem(partial(_layer, ""), x)
        for name, block in BLOCKS.items():
            x = block(partial(_layer, f"{name}."), x)
        features = jnp.mean(x, (1, 2))
        return features, nn.Dense(1008, name="fc")(features)


def _layer(
    prefix: str,
    x: jax.Array,
    name: str,
    features: int,
    kernel: tuple[int, int] = (1, 1),
    **options,
) -> jax.Array:
    """Applies a convolution with its BatchNorm, and ReLU."""
    return nn.relu(Conv(features, kernel, name=prefix + name, **options)(x))


REDUCE = {"kernel": (3, 3), "stride": 2, "padding": "VALID"}
"""Options of a convolution that halves the size."""


def _stem(layer: Layer, x: jax.Array) -> jax.Array:
    """Reduces 299 pixels to 35, with 192 channels."""
    x = layer(x, "Conv2d_1a_3x3", 32, **REDUCE)
    x = layer(x, "Conv2d_2a_3x3", 32, (3, 3), padding="VALID")
    x = _max_pool(layer(x, "Conv2d_2b_3x3", 64, (3, 3)))
    x = layer(x, "Conv2d_3b_1x1", 80)
    return _max_pool(layer(x, "Conv2d_4a_3x3", 192, (3, 3), padding="VALID"))


def _block_a(layer: Layer, x: jax.Array, *, pooled: int) -> jax.Array:
    """Applies 1x1, 5x5 and two 3x3 convolutions and a pool side by side."""
    wide = layer(x, "branch5x5_1", 48)
    double = layer(x, "branch3x3dbl_1", 64)
    double = layer(double, "branch3x3dbl_2", 96, (3, 3))
    return _join(
        layer(x, "branch1x1", 64),
        layer(wide, "branch5x5_2", 64, (5, 5)),
        layer(double, "branch3x3dbl_3", 96, (3, 3)),
        layer(average_pool(x), "branch_pool", pooled),
    )


def _block_b(layer: Layer, x: jax.Array) -> jax.Array:
    """Reduces 35 pixels to 17."""
    double = layer(x, "branch3x3dbl_1", 64)
    double = layer(double, "branch3x3dbl_2", 96, (3, 3))
    return _join(
        layer(x, "branch3x3", 384, **REDUCE),
        layer(double, "branch3x3dbl_3", 96, **REDUCE),
        _max_pool(x),
    )


def _block_c(layer: Layer, x: jax.Array, *, width: int) -> jax.Array:
    """Applies 7x7 convolutions, each as a row and a column, side by side."""
    row, column = (1, 7), (7, 1)
    single = layer(x, "branch7x7_1", width)
    single = layer(single, "branch7x7_2", width, row)
    double = layer(x, "branch7x7dbl_1", width)
    double = layer(double, "branch7x7dbl_2", width, column)
    double = layer(double, "branch7x7dbl_3", width, row)
    double = layer(double, "branch7x7dbl_4", width, column)
    return _join(
        layer(x, "branch1x1", 192),
        layer(single, "branch7x7_3", 192, column),
        layer(double, "branch7x7dbl_5", 192, row),
        layer(average_pool(x), "branch_pool", 192),
    )


def _block_d(layer: Layer, x: jax.Array) -> jax.Array:
    """Reduces 17 pixels to 8."""
    single = layer(x, "branch3x3_1", 192)
    wide = layer(x, "branch7x7x3_1", 192)
    wide = layer(wide, "branch7x7x3_2", 192, (1, 7))
    wide = layer(wide, "branch7x7x3_3", 192, (7, 1))
    return _join(
        layer(single, "branch3x3_2", 320, **REDUCE),
        layer(wide, "branch7x7x3_4", 192, **REDUCE),
        _max_pool(x),
    )


def _block_e(
    layer: Layer, x: jax.Array, *, pool: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """Applies 3x3 convolutions, each as a row beside a column, side by side."""
    row, column = (1, 3), (3, 1)
    single = layer(x, "branch3x3_1", 384)
    double = layer(x, "branch3x3dbl_1", 448)
    double = layer(double, "branch3x3dbl_2", 384, (3, 3))
    return _join(
        layer(x, "branch1x1", 320),
        layer(single, "branch3x3_2a", 384, row),
        layer(single, "branch3x3_2b", 384, column),
        layer(double, "branch3x3dbl_3a", 384, row),
        layer(double, "branch3x3dbl_3b", 384, column),
        layer(pool(x), "branch_pool", 192),
    )


def average_pool(x: jax.Array) -> jax.Array:
    """Returns means over 3x3 pixels, without those outside the image.

    >>> print(average_pool(jnp.ones((1, 2, 2, 1)))[0, ..., 0])
    [[1. 1.]
     [1. 1.]]
    """
    return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def max_pool(x: jax.Array) -> jax.Array:
    """Returns maxima over 3x3 pixels."""
    return nn.max_pool(x, (3, 3), padding="SAME")


def _max_pool(x: jax.Array) -> jax.Array:
    """Returns maxima over 3x3 pixels at every second pixel."""
    return nn.max_pool(x, (3, 3), (2, 2))


def _join(*branches: jax.Array) -> jax.Array:
    return jnp.concatenate(branches, axis=-1)


BLOCKS: dict[str, Callable[[Layer, jax.Array], jax.Array]] = {
    "Mixed_5b": partial(_block_a, pooled=32),
    "Mixed_5c": partial(_block_a, pooled=64),
    "Mixed_5d": partial(_block_a, pooled=64),
    "Mixed_6a": _block_b,
    "Mixed_6b": partial(_block_c, width=128),
    "Mixed_6c": partial(_block_c, width=160),
    "Mixed_6d": partial(_block_c, width=160),
    "Mixed_6e": partial(_block_c, width=192),
    "Mixed_7a": _block_d,
    "Mixed_7b": partial(_block_e, pool=average_pool),
    # The graph of 2015 has a max pool here, unlike the paper.
    "Mixed_7c": partial(_block_e, pool=max_pool),
}
"""Blocks after the stem, in order, by their names in the file."""


def layer_names(name: str) -> tuple[str, str]:
    """Returns the names of a layer and of its BatchNorm in the file.

    >>> layer_names("Mixed_5b.branch1x1")
    ('Mixed_5b.branch1x1.conv', 'Mixed_5b.branch1x1.bn')
    """
    return ("fc", "") if name == "fc" else (f"{name}.conv", f"{name}.bn")


def load(path: Path) -> tuple[Tree, str]:
    """Reads the weights of the FID from a user's file, without PyTorch.

    Args:
      path: pytorch-fid's or torch-fidelity's `.pth` file, or a state dictionary with
        the same parameters.

    Returns:
      The variables of `InceptionV3`, and the SHA-256 of the file, which begins with
      `unknown:` if it is not in `KNOWN`: such values are no FID.

    Raises:
      UsageError: if the file cannot be read or is that of another network. The message
        names the first parameter that is missing or has another shape.
    """
    tensors, digest = torch_files.read(path)
    variables = convert(InceptionV3(), tensors, layer_names, str(path))
    return variables, digest if digest in KNOWN else f"unknown:{digest}"


def normalize(images: jax.Array) -> jax.Array:
    """Converts [-1, 1] to the inputs of the network, (pixel - 128) / 128.

    This is the scale of the TensorFlow graph and of torch-fidelity. pytorch-fid has
    pixel / 127.5 - 1 instead, which changes features slightly.

    >>> [float(x) for x in normalize(jnp.array([-1.0, 1.0]))]
    [-1.0, 0.9921875]
    """
    return images * (127.5 / 128) - 0.5 / 128


def apply(variables: Tree, images: jax.typing.ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Returns features `[n, 2048]` and logits `[n, 1008]` of images.

    The logits are without bias: the inception score (https://arxiv.org/abs/1606.03498)
    multiplies the features by the last layer's matrix alone.

    Args:
      variables: those of `load`.
      images: `[n, 299, 299, C]` in [-1, 1], C 1 or 3, resized by the caller.

    Raises:
      UsageError: for images of another shape.
    """
    x = as_rgb(images, LEAST_SIZE)
    if x.shape[1:3] != (SIZE, SIZE):
        raise UsageError(
            f"images of {x.shape[1]}x{x.shape[2]} pixels have no Inception features; "
            f"resize them to {SIZE}x{SIZE}"
        )
    return _forward(variables, x)


@jax.jit
def _forward(variables: Tree, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Applies the network to images in [-1, 1]; compiled once per shape."""
    features, logits = InceptionV3().apply(variables, normalize(images))
    return features, logits - variables["params"]["fc"]["bias"]
