"""Extractors with ImageNet weights: EfficientNet-Lite0, and Inception for the FID."""

from pathlib import Path

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError, printable
from jaxgan.files import local_path
from jaxgan.metrics.features import efficientnet as lite0
from jaxgan.metrics.features import inception as inception_v3
from jaxgan.metrics.features.base import Extractor, image_shape, in_batches
from jaxgan.metrics.features.resize import resize
from jaxgan.metrics.features.weight_files import file_sha256
from jaxgan.types import ExampleSpec

BATCH = 64
"""Images of a batch; these networks are larger than the others."""

RESIZING = "bicubic, anti-aliased"

FID_SHA256 = next(iter(inception_v3.KNOWN))
FID_FILE = f"{inception_v3.KNOWN[FID_SHA256]}-{FID_SHA256[:8]}.pth"
"""The file of the FID's weights."""

UNKNOWN = "unknown_inception"
"""The extractor's name with weights that are not those of the FID."""


def efficientnet(*, example: ExampleSpec) -> Extractor:
    """Returns features of EfficientNet-Lite0, `[n, 1280]`, and its 1000 probabilities.

    The weights are those of the package in the extra `features`. Images are resized to
    224 pixels. Its distance is not the FID, and has another scale.

    Args:
      example: the fields of an example, of which the first is an image of 1 or 3
        channels.

    Raises:
      UsageError: if the package is not installed, or the examples are no images.
    """
    shape = color_shape(example, "efficientnet")
    variables, digest = lite0.load()

    def forward(variables, images):
        large = resize(images, (lite0.SIZE, lite0.SIZE))
        features, logits = lite0.apply(variables, jnp.clip(large, -1, 1))
        return features, jax.nn.softmax(logits)

    facts = {"resize": f"{lite0.SIZE} pixels, {RESIZING}", "layer": "last average pool"}
    extract = in_batches(forward, variables, shape, batch=BATCH)
    return Extractor("efficientnet", digest[:16], {**facts}, extract)


def inception(
    weights: str = "", *, example: ExampleSpec, inception_weights: str = ""
) -> Extractor:
    """Returns features of the FID's InceptionV3, `[n, 2048]`, and its probabilities.

    Images are resized to 299 pixels with Pillow's bicubic filter, as clean-fid does,
    https://arxiv.org/abs/2104.11222. Older tools resize without anti-aliasing, so that
    their values differ for images of another size.

    Args:
      weights: path of pytorch-fid's or torch-fidelity's `.pth` file; empty for
        `inception_weights`.
      example: the fields of an example, of which the first is an image of 1 or 3
        channels.
      inception_weights: the path for all metrics. There is no default; without one,
        the error names the file and its digest.

    Returns:
      An extractor with the name `inception`, or `UNKNOWN` if the weights are not those
      of the FID.

    Raises:
      UsageError: if the file cannot be read, is that of another network, or the
        examples are no images.
    """
    shape = color_shape(example, "inception")
    path = weights_file(weights, inception_weights=inception_weights)
    variables, digest = inception_v3.load(path)
    known = not digest.startswith("unknown:")

    def forward(variables, images):
        large = resize(images, (inception_v3.SIZE, inception_v3.SIZE))
        features, logits = inception_v3.apply(variables, jnp.clip(large, -1, 1))
        return features, jax.nn.softmax(logits)

    facts = {
        "resize": f"{inception_v3.SIZE} pixels, {RESIZING}",
        "layer": "last average pool",
        "weights": "those of the FID" if known else "unknown",
    }
    extract = in_batches(forward, variables, shape, batch=BATCH)
    # A distance of other weights is no FID.
    name = "inception" if known else UNKNOWN
    digest = digest.removeprefix("unknown:")[:16]
    return Extractor(name, digest, {**facts}, extract)


class NoWeights(UsageError):
    """Raised if there is no file of Inception's weights."""


def weights_file(weights: str = "", *, inception_weights: str = "") -> Path:
    """Returns the path of Inception's weights, which is not read.

    Args:
      weights: the path in the text of a metric; empty for `inception_weights`.
      inception_weights: the path for all metrics.

    Raises:
      NoWeights: if there is no such file. The message names the file of the FID, its
        SHA-256 and its place.
    """
    text = weights or inception_weights
    path = local_path("inception", text)
    if path.is_file():
        return path
    given = f" {printable(text)} does not exist;" if text else ""
    raise NoWeights(
        f"inception needs the weights of the FID:{given} get {FID_FILE} (SHA-256 "
        f"{FID_SHA256}) from the releases of pytorch-fid, and name its path, as in "
        f"fd(inception('{FID_FILE}'))"
    )


def inception_name(weights: str = "", *, inception_weights: str = "") -> str:
    """Returns the name that `inception` has with these weights.

    Raises:
      UsageError: if there is no such file, or it cannot be read.
    """
    path = weights_file(weights, inception_weights=inception_weights)
    return "inception" if file_sha256(path) in inception_v3.KNOWN else UNKNOWN


def color_shape(example: ExampleSpec, name: str) -> tuple[int, int, int]:
    """Returns the shape of images of 1 or 3 channels; raises UsageError for others."""
    shape = image_shape(example, name)
    if shape[-1] not in (1, 3):
        raise UsageError(
            f"{name} needs images of 1 or 3 channels, not {shape[-1]}: use classifier"
        )
    return shape
