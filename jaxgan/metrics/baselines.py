"""Plain methods that an image-to-image generator must beat.

Each is a function of 8-bit inputs, without parameters that were trained on pairs:
`BASELINES` has all by name, and `baselines_for` those that fit the columns of a task.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgan.metrics.image_similarity import luma

RADIUS = 3
"""Pixels around a hole that OpenCV's methods read."""


class Inputs(NamedTuple):
    """The inputs of a baseline, as uint8."""

    source: np.ndarray
    """`[n, h, w, c]`."""
    shape: tuple[int, ...]
    """`(H, W, C)` of an image to return."""
    targets: np.ndarray
    """Training targets `[k, H, W, C]`, of which no pair is known."""
    mask: np.ndarray | None = None
    """`[n, h, w, 1]` bool, True in holes of the source; None without holes."""


def identity(inputs: Inputs) -> np.ndarray:
    """Returns the source, with the size and the channels of the targets."""
    return nearest(inputs)


def resized(resample: Image.Resampling, inputs: Inputs) -> np.ndarray:
    """Returns the source resized by a filter of Pillow, `[n, H, W, C]` uint8.

    Filters are stretched if they make an image smaller. Bicubic has a = -0.5.
    """
    height, width, channels = inputs.shape
    source = with_channels(inputs.source, channels)
    if source.shape[1:3] == (height, width):
        return source
    # Channels one by one, as Pillow has no images of two.
    parts = [
        [np.asarray(Image.fromarray(x).resize((width, height), resample)) for x in one]
        for one in np.moveaxis(source, -1, 1)
    ]
    return np.moveaxis(np.array(parts, np.uint8), 1, -1)


nearest = functools.partial(resized, Image.Resampling.NEAREST)
bicubic = functools.partial(resized, Image.Resampling.BICUBIC)
lanczos = functools.partial(resized, Image.Resampling.LANCZOS)


def mean_image(inputs: Inputs) -> np.ndarray:
    """Returns the mean of the training targets for each source.

    It has the least squared error of all outputs that do not depend on the source.
    """
    mean = np.round(inputs.targets.mean(0)).astype(np.uint8)
    return np.repeat(mean[None], len(inputs.source), 0)


def histogram_matching(inputs: Inputs) -> np.ndarray:
    """Maps the values of each source to the histogram of the training targets.

    For each channel, a value goes to the one with the same share of smaller values in
    all targets, linearly interpolated: the usual method to match colors, in which an
    image keeps its shapes.
    """
    images = identity(inputs)
    matched = np.empty_like(images)
    for channel in range(images.shape[-1]):
        counts = np.bincount(inputs.targets[..., channel].ravel(), minlength=256)
        # The values that occur, and the share of those up to each.
        values = np.flatnonzero(counts)
        shares = np.cumsum(counts[values]) / counts.sum()
        for image, out in zip(images[..., channel], matched[..., channel], strict=True):
            own = np.bincount(image.ravel(), minlength=256)
            table = np.interp(np.cumsum(own) / own.sum(), shares, values)
            out[...] = np.round(table).astype(np.uint8)[image]
    return matched


def mean_fill(inputs: Inputs) -> np.ndarray:
    """Fills holes with the mean color of the known pixels of their image."""
    filled = inputs.source.copy()
    for image, hole in _with_holes(filled, inputs.mask):
        image[hole] = np.round(image[~hole].mean(0))
    return filled


def telea(inputs: Inputs) -> np.ndarray:
    """Fills holes by fast marching (Telea 2004), by OpenCV.

    A pixel is a weighted mean of the known ones up to 3 pixels away.
    """
    import cv2  # pyright: ignore[reportMissingImports]

    return _by_opencv(inputs, cv2.INPAINT_TELEA)


def navier_stokes(inputs: Inputs) -> np.ndarray:
    """Fills holes along lines of equal intensity (Bertalmio et al. 2001), by OpenCV."""
    import cv2  # pyright: ignore[reportMissingImports]

    return _by_opencv(inputs, cv2.INPAINT_NS)


def biharmonic(inputs: Inputs) -> np.ndarray:
    """Fills holes with a biharmonic function, the smoothest one, by scikit-image."""
    from skimage.restoration import inpaint_biharmonic

    filled = inputs.source.copy()
    for image, hole in _with_holes(filled, inputs.mask):
        smooth = inpaint_biharmonic(image, hole, channel_axis=-1)
        image[hole] = np.round(smooth[hole] * 255).clip(0, 255)
    return filled


def _by_opencv(inputs: Inputs, method: int) -> np.ndarray:
    """Fills holes by `cv2.inpaint`, channel by channel if there are not 1 or 3."""
    import cv2  # pyright: ignore[reportMissingImports]

    filled = inputs.source.copy()
    for image, hole in _with_holes(filled, inputs.mask):
        for channel in range(image.shape[-1]):
            plane = np.ascontiguousarray(image[..., channel])
            mended = cv2.inpaint(plane, hole.astype(np.uint8), RADIUS, method)
            image[..., channel][hole] = mended[hole]
    return filled


def _with_holes(images: np.ndarray, mask: np.ndarray | None):
    """Yields those images `[H, W, C]` that have holes and known pixels, and holes."""
    if mask is None:
        return
    for image, hole in zip(images, mask[..., 0], strict=True):
        if hole.any() and not hole.all():
            yield image, hole


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Returns uint8 images with 1 or more channels: gray repeated, colors as luma.

    A fourth channel, which is opacity, is dropped.
    """
    own = images.shape[-1]
    if own == channels:
        return images
    if own == 1:
        return images.repeat(channels, -1)
    if channels == 1:
        # From the studio swing to the whole range.
        gray = (
            (luma(images[..., :3]) - 16) * (255 / 219) if own > 2 else images[..., :1]
        )
        return np.round(gray).clip(0, 255).astype(np.uint8)
    extra = np.full((*images.shape[:-1], max(channels - own, 0)), 255, np.uint8)
    return np.concatenate([images[..., :channels], extra], -1)


class Baseline(NamedTuple):
    """A method, and the module that it needs."""

    apply: Callable[[Inputs], np.ndarray]
    """Maps inputs to images `[n, H, W, C]` uint8."""
    module: str = ""
    """Empty if nothing beside the requirements of this package is needed."""

    @property
    def is_installed(self) -> bool:
        """True if its module can be imported."""
        return not self.module or importlib.util.find_spec(self.module) is not None


BASELINES: dict[str, Baseline] = {
    "identity": Baseline(identity),
    "nearest": Baseline(nearest),
    "bicubic": Baseline(bicubic),
    "lanczos": Baseline(lanczos),
    "mean_image": Baseline(mean_image),
    "histogram_matching": Baseline(histogram_matching),
    "mean_fill": Baseline(mean_fill),
    "telea": Baseline(telea, "cv2"),
    "navier_stokes": Baseline(navier_stokes, "cv2"),
    "biharmonic": Baseline(biharmonic, "skimage"),
}
"""Baselines by name."""


def baselines_for(
    source: tuple[int, ...],
    target: tuple[int, ...],
    *,
    has_mask: bool = False,
    aligned: bool = True,
) -> list[str]:
    """Returns the names of those baselines that fit the columns of a task.

    Args:
      source: `(h, w, c)` of the source.
      target: `(H, W, C)` of the images to generate.
      has_mask: True if the source has holes.
      aligned: True if there is a target of each source.

    >>> baselines_for((16, 16, 3), (64, 64, 3))
    ['nearest', 'bicubic', 'lanczos']
    >>> baselines_for((64, 64, 3), (64, 64, 3), aligned=False)
    ['identity', 'histogram_matching']
    """
    if has_mask:
        return ["mean_fill", "telea", "navier_stokes", "biharmonic"]
    if source[0] < target[0] or source[1] < target[1]:
        return ["nearest", "bicubic", "lanczos"]
    # A mean image is near to targets, and in no domain of images.
    return ["identity", *["mean_image"] * aligned, "histogram_matching"]
