"""Layers of pretrained networks and the conversion of their PyTorch weights."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UsageError, one_line
from jaxgan.types import Tree

EPSILON = 1e-3
"""The constant that BatchNorm adds to the variance, in both networks."""

STATISTICS = ("weight", "bias", "running_mean", "running_var")
"""The vectors of a BatchNorm layer in PyTorch."""


class Conv(nn.Module):
    """A convolution with the BatchNorm that follows it folded into its weights.

    In evaluation, BatchNorm is an affine map per channel. `convert` multiplies the
    kernel by its scale and adds the rest to the bias.
    """

    features: int
    kernel: tuple[int, int]
    stride: int = 1
    padding: str = "SAME"
    """`SAME` or `VALID`, as TensorFlow defines them."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolves `x`, `[n, H, W, C]`, into `[n, H', W', features]`."""
        shape = (*self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        strides = (self.stride, self.stride)
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(
            x, kernel, strides, self.padding, dimension_numbers=layout
        )
        return x + bias


class DepthwiseConv(nn.Module):
    """A convolution of each channel by itself, with its BatchNorm folded into it."""

    size: int
    """Height and width of the kernel."""
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolves `x`, `[n, H, W, C]`, with `SAME` padding."""
        shape = (self.size, self.size, 1, x.shape[-1])
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        return depthwise_conv(x, kernel, self.stride) + bias


def depthwise_conv(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Returns each channel of `x` convolved with its own kernel, with `SAME` padding.

    The sum of shifted images, which XLA fuses, is 2 to 40 times as fast on CPUs as a
    grouped convolution.

    Args:
      x: images, `[n, H, W, C]`.
      kernel: `[k, k, 1, C]`.
      stride: distance between outputs, in pixels.

    >>> image = jnp.arange(9.0).reshape(1, 3, 3, 1)
    >>> print(depthwise_conv(image, jnp.ones((3, 3, 1, 1)), 2)[0, ..., 0])
    [[ 8. 12.]
     [20. 24.]]
    """
    size = kernel.shape[0]
    heights, before = zip(*(_same(n, size, stride) for n in x.shape[1:3]), strict=True)
    # Stride 2 on an even size pads nothing before and one pixel after.
    after = [
        max((out - 1) * stride + size - n - pad, 0)
        for out, n, pad in zip(heights, x.shape[1:3], before, strict=True)
    ]
    x = jnp.pad(x, ((0, 0), *zip(before, after, strict=True), (0, 0)))
    rows, columns = ((n - 1) * stride + 1 for n in heights)
    total: Any = 0.0
    for i in range(size):
        for j in range(size):
            shifted = x[:, i : i + rows : stride, j : j + columns : stride]
            total = total + shifted * kernel[i, j, 0]
    return total


def _same(n: int, size: int, stride: int) -> tuple[int, int]:
    """Returns the outputs along an axis of `n` pixels and the padding before it.

    >>> _same(224, 3, 2), _same(224, 3, 1), _same(7, 5, 2)
    ((112, 0), (224, 1), (4, 2))
    """
    outputs = math.ceil(n / stride)
    return outputs, max((outputs - 1) * stride + size - n, 0) // 2


def convert(
    network: nn.Module,
    tensors: Mapping[str, np.ndarray],
    layer_names: Callable[[str], tuple[str, str]],
    source: str,
) -> Tree:
    """Converts PyTorch weights to the variables of a network, with BatchNorm folded.

    Args:
      network: a network of `Conv`, `DepthwiseConv` and `nn.Dense` layers, which takes
        RGB images.
      tensors: arrays by their names in PyTorch.
      layer_names: returns the names of a layer and of its BatchNorm in PyTorch, by the
        name of the layer in `network`.
      source: the file of the weights, for errors.

    Returns:
      float32 variables of `network`.

    Raises:
      UsageError: if a tensor is missing, unknown, or of another shape or type. The
        message names the first of them.
    """
    layers = abstract_layers(network)
    _check(tensors, expected_shapes(layers, layer_names), source)
    params = {}
    for name, layer in layers.items():
        conv, norm = layer_names(name)
        if layer["kernel"].ndim == 2:
            kernel, bias = tensors[f"{conv}.weight"].T, tensors[f"{conv}.bias"]
        else:
            statistics = [tensors[f"{norm}.{x}"] for x in STATISTICS]
            kernel, bias = _fold(tensors[f"{conv}.weight"], *statistics)
        params[name] = {
            "kernel": jnp.asarray(kernel, jnp.float32),
            "bias": jnp.asarray(bias, jnp.float32),
        }
    return {"params": params}


def abstract_layers(network: nn.Module) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
    """Returns the shapes of a network's parameters by layer, sorted by name."""
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    key = jax.ShapeDtypeStruct((2,), jnp.uint32)
    return jax.eval_shape(network.init, key, image)["params"]


def expected_shapes(
    layers: Mapping[str, Mapping[str, Any]],
    layer_names: Callable[[str], tuple[str, str]],
) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a network's tensors by their names in PyTorch."""
    shapes = {}
    for name, layer in layers.items():
        conv, norm = layer_names(name)
        *size, inputs, outputs = layer["kernel"].shape
        shapes[f"{conv}.weight"] = (outputs, inputs, *size)
        if not size:
            shapes[f"{conv}.bias"] = (outputs,)
        else:
            shapes.update({f"{norm}.{x}": (outputs,) for x in STATISTICS})
    return shapes


def _check(
    tensors: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[int, ...]],
    source: str,
) -> None:
    """Raises UsageError unless `tensors` are those of a network."""
    remedy = "use the weights of this network"
    for name, shape in shapes.items():
        if name not in tensors:
            raise UsageError(f"{source} has no parameter {name}; {remedy}")
        held = tensors[name]
        if held.shape != shape or held.dtype.kind != "f":
            raise UsageError(
                f"{source} has {name} of shape {list(held.shape)} ({held.dtype}), not "
                f"{list(shape)} (float32); {remedy}"
            )
    # Numbers of training batches are in newer files only.
    names = (x for x in tensors if not x.endswith(".num_batches_tracked"))
    unknown = [one_line(x) for x in names if x not in shapes]
    if unknown:
        raise UsageError(f"{source} has an unknown parameter {unknown[0]}; {remedy}")


def _fold(
    weight: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the kernel `[h, w, in, out]` and bias `[out]` of Conv, in float64.

    The output of BatchNorm is scale (x - mean) / sqrt(var + epsilon) + bias.
    """
    factor = scale.astype(np.float64) / np.sqrt(var.astype(np.float64) + EPSILON)
    return weight.transpose(2, 3, 1, 0) * factor, bias - mean * factor


def as_rgb(images: jax.typing.ArrayLike, least: int) -> jax.Array:
    """Returns images as float32 with three channels, `[n, H, W, 3]`.

    Args:
      images: `[n, H, W, C]`; a single channel is repeated.
      least: minimum height and width.

    Raises:
      UsageError: for images of another shape.
    """
    x = jnp.asarray(images, jnp.float32)
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or min(x.shape[1:3]) < least:
        raise UsageError(
            f"images of shape {list(x.shape)} have no pretrained features; use images "
            f"[n, H, W, C] with 1 or 3 channels and at least {least} pixels a side"
        )
    return jnp.broadcast_to(x, (*x.shape[:-1], 3))
