"""Layers of pretrained networks, and the conversion of their weights."""

import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UsageError
from jaxgan.metrics.features import pretrained
from jaxgan.metrics.features.pretrained import Conv, DepthwiseConv

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 6, 7, 3))


def pixels(x, size, stride, i, j):
    """The part of padded images under a kernel at output `i, j`."""
    padded = np.pad(x, ((0, 0), (size, size), (size, size), (0, 0)))
    # TensorFlow puts the odd pixel of the padding after the image.
    starts = []
    for n, at in zip(x.shape[1:3], (i, j), strict=True):
        total = max((-(-n // stride) - 1) * stride + size - n, 0)
        starts.append(size + at * stride - total // 2)
    row, column = starts
    return padded[:, row : row + size, column : column + size]


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_convolution_is_explicit_sums(size, stride):
    kernel = RNG.normal(size=(size, size, 1, 3))
    out = pretrained.depthwise_conv(jnp.asarray(IMAGES), jnp.asarray(kernel), stride)
    assert out.shape == (2, -(-6 // stride), -(-7 // stride), 3)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            part = pixels(IMAGES, size, stride, i, j)
            expected = np.einsum("nhwc,hwc->nc", part, kernel[:, :, 0])
            np.testing.assert_allclose(out[:, i, j], expected, rtol=1e-4, atol=1e-5)


def test_depthwise_convolution_is_a_grouped_one():
    x = jnp.asarray(IMAGES, jnp.float32)
    kernel = jnp.asarray(RNG.normal(size=(5, 5, 1, 3)), jnp.float32)
    grouped = jax.lax.conv_general_dilated(
        x,
        kernel,
        (2, 2),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=3,
    )
    ours = pretrained.depthwise_conv(x, kernel, 2)
    np.testing.assert_allclose(ours, grouped, rtol=1e-4, atol=1e-5)


class Small(nn.Module):
    """One layer of each kind."""

    @nn.compact
    def __call__(self, x):
        x = DepthwiseConv(3, 2, name="b.depth")(x)
        x = Conv(4, (3, 3), 2, name="a.full")(x)
        return nn.Dense(5, name="last")(jnp.mean(x, (1, 2)))


def names(name):
    return name, f"{name}_norm"


def norm_of(name, width):
    return {
        f"{name}_norm.weight": RNG.normal(size=width),
        f"{name}_norm.bias": RNG.normal(size=width),
        f"{name}_norm.running_mean": RNG.normal(size=width),
        f"{name}_norm.running_var": RNG.uniform(1e-4, 2, size=width),
        f"{name}_norm.num_batches_tracked": np.array(7),
    }


def weights():
    """Weights of `Small` in PyTorch's layout."""
    return {
        "b.depth.weight": RNG.normal(size=(3, 1, 3, 3)),
        **norm_of("b.depth", 3),
        "a.full.weight": RNG.normal(size=(4, 3, 3, 3)),
        **norm_of("a.full", 4),
        "last.weight": RNG.normal(size=(5, 4)),
        "last.bias": RNG.normal(size=5),
    }


def normalized(x, tensors, name):
    """BatchNorm, as PyTorch documents it."""
    mean, var, scale, bias = (
        tensors[f"{name}_norm.{x}"]
        for x in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(var + 0.001) * scale + bias


def convolved(x, tensors, name, grouped):
    """A convolution of stride 2 in PyTorch's layout and its BatchNorm."""
    weight = tensors[f"{name}.weight"]
    formula = "nhwc,chw->nc" if grouped else "nhwc,ochw->no"
    out = np.zeros((len(x), -(-x.shape[1] // 2), -(-x.shape[2] // 2), len(weight)))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            kernel = weight[:, 0] if grouped else weight
            out[:, i, j] = np.einsum(formula, pixels(x, 3, 2, i, j), kernel)
    return normalized(out, tensors, name)


def test_converted_weights_give_the_sums_of_convolutions_and_norms():
    tensors = weights()
    variables = pretrained.convert(Small(), tensors, names, "x.pth")
    x = convolved(IMAGES, tensors, "b.depth", grouped=True)
    x = convolved(x, tensors, "a.full", grouped=False).mean((1, 2))
    expected = x @ tensors["last.weight"].T + tensors["last.bias"]
    ours: Any = Small().apply(variables, jnp.asarray(IMAGES, jnp.float32))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a.full.weight": None}, "x.pth has no parameter a.full.weight; use"),
        ({"b.depth_norm.running_var": None}, "no parameter b.depth_norm.running_var"),
        (
            {"last.weight": np.zeros((1000, 4), np.float32)},
            "has last.weight of shape [1000, 4] (float32), not [5, 4] (float32)",
        ),
        (
            {"last.bias": np.zeros(5, np.int64)},
            "has last.bias of shape [5] (int64), not [5] (float32)",
        ),
        ({"more\n": np.zeros(1)}, "has an unknown parameter more\\n; use the weights"),
    ],
)
def test_weights_of_another_network(change, message):
    tensors = {k: v for k, v in {**weights(), **change}.items() if v is not None}
    with pytest.raises(UsageError, match=re.escape(message)):
        pretrained.convert(Small(), tensors, names, "x.pth")


def test_gray_images_become_rgb():
    gray = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    rgb = pretrained.as_rgb(gray, 8)
    assert rgb.shape == (1, 8, 8, 3)
    assert rgb.dtype == jnp.float32
    np.testing.assert_array_equal(rgb, np.repeat(gray, 3, axis=-1))


@pytest.mark.parametrize(
    "shape", [(8, 8, 3), (1, 8, 8, 2), (1, 7, 8, 3), (1, 8, 7, 3), (1, 2, 8, 8, 3)]
)
def test_other_shapes_are_refused(shape):
    with pytest.raises(UsageError, match=f"{re.escape(str(list(shape)))} have no"):
        pretrained.as_rgb(np.zeros(shape), 8)
