"""Similarity of images to their targets, pixel by pixel: L1, PSNR and SSIM.

All functions compare 8-bit values: floats in [-1, 1] are rounded to them first, as an
image is when it is saved. They return one value per image, and papers average these.
"""

import math

import numpy as np

from jaxgan.data.kinds import as_8_bit
from jaxgan.errors import UsageError

PEAK = 255
"""The largest 8-bit value."""

CHANNELS = ("rgb", "y")
"""Channels to compare: all of them, or the luma of `luma`."""

WINDOWS = ("uniform", "gaussian")
"""Windows of `ssim`."""

UNIFORM = 7
"""Side of the uniform window, in pixels."""

SIGMA, RADIUS = 1.5, 5
"""The Gaussian window: its standard deviation and radius, in pixels."""

C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
"""Constants of SSIM, which keep its quotients finite."""

AT_ONCE = 2**22
"""Values of images that `ssim` compares at a time, of 8 bytes and a few copies."""


def luma(images: np.ndarray) -> np.ndarray:
    """Returns the Y channel of ITU-R BT.601 in studio swing, `[..., 1]` float64.

    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255, from 16 to 235: that of MATLAB's
    `rgb2ycbcr` and of the tables of super-resolution papers, not rounded. A gray image
    is its own luma, and keeps its range.

    Args:
      images: `[..., C]` 8-bit values, C 1 or 3.

    Raises:
      UsageError: for any other number of channels.

    >>> luma(np.array([[0, 0, 0], [255, 255, 255]])).ravel().tolist()
    [16.0, 235.0]
    """
    channels = images.shape[-1]
    if channels == 1:
        return images.astype(np.float64)
    if channels != 3:
        raise UsageError(
            f"images of {channels} channels have no luma: compare all of them, as with "
            "psnr(channel='rgb')"
        )
    return 16 + images @ np.array([[65.481], [128.553], [24.966]]) / PEAK


def l1(
    real: np.ndarray, fake: np.ndarray, *, mask: np.ndarray | None = None
) -> np.ndarray:
    """Returns the mean absolute difference of 8-bit values, `[n]` in [0, 255].

    Args:
      real: targets `[n, H, W, C]`, uint8 or floats in [-1, 1].
      fake: the same shape.
      mask: `[n, H, W, 1]`, 1 or True where pixels are compared; all if None.

    Returns:
      One value per image, NaN where its mask is empty.

    Raises:
      UsageError: for other shapes.
    """
    a, b = _pair(real, fake)
    return _mean(np.abs(a - b), mask)


def psnr(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    channel: str = "rgb",
    border: int = 0,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the peak signal-to-noise ratio in dB, `[n]`.

    10 log10(255^2 / MSE), where MSE is over all pixels and channels of an image.
    Infinite for equal images; see `finite_psnr` for means.

    Args:
      real: targets `[n, H, W, C]`, uint8 or floats in [-1, 1].
      fake: the same shape.
      channel: `rgb` for all channels, `y` for the luma of `luma`.
      border: pixels that are cut off at each side, in papers the scale factor.
      mask: as in `l1`.

    Returns:
      One value per image, NaN where its mask is empty.

    Raises:
      UsageError: for other shapes, an unknown channel, or a border without a center.
    """
    a, b = (_cut(_select(x, channel), border) for x in _pair(real, fake))
    error = _mean((a - b) ** 2, None if mask is None else _cut(mask, border))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(PEAK**2 / error)


def finite_psnr(values: np.ndarray, size: int) -> np.ndarray:
    """Returns PSNR with a finite value for equal images, so that they have a mean.

    Equal images count as if one of their values differed by 1: the largest PSNR that
    8-bit images which are not equal can have.

    Args:
      values: of `psnr`, in dB.
      size: number of values of an image that were compared.

    >>> finite_psnr(np.array([20.0, np.inf]), 10_000).round(2).tolist()
    [20.0, 88.13]
    """
    most = 10 * math.log10(PEAK**2 * max(size, 1))
    return np.where(np.isposinf(values), most, values)


def ssim(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    window: str = "uniform",
    channel: str = "rgb",
    border: int = 0,
) -> np.ndarray:
    """Returns the structural similarity, `[n]`, 1 for equal images.

    By Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error
    visibility to structural similarity" (2004), with their constants, at those
    positions where the window is inside of the image, and as the mean over channels.
    Values of two windows cannot be compared:

    * `uniform`: 7 x 7 pixels with sample covariances: scikit-image's default.
    * `gaussian`: 11 x 11 pixels and a standard deviation of 1.5, that of the paper.

    Args:
      real: targets `[n, H, W, C]`, uint8 or floats in [-1, 1].
      fake: the same shape.
      window: `uniform` or `gaussian`.
      channel: `rgb` for all channels, `y` for the luma of `luma`.
      border: pixels that are cut off at each side.

    Raises:
      UsageError: for other shapes, an unknown window or channel, or images that are
        smaller than the window.
    """
    kernel, correction = _window(window)
    a, b = (_cut(_select(x, channel), border) for x in _pair(real, fake))
    side = min(a.shape[1:3])
    if side < len(kernel):
        raise UsageError(
            f"ssim: images of {a.shape[1]} x {a.shape[2]} pixels are smaller than the "
            f"{window} window of {len(kernel)}: use psnr"
        )
    # Few images at a time, as there are five moments of each.
    step = max(AT_ONCE // max(a[0].size, 1), 1) if len(a) else 1
    starts = range(0, len(a), step)
    parts = [
        _ssim(a[i : i + step], b[i : i + step], kernel, correction) for i in starts
    ]
    return np.concatenate([np.zeros(0), *parts])


def _ssim(
    a: np.ndarray, b: np.ndarray, kernel: np.ndarray, correction: float
) -> np.ndarray:
    """Returns the SSIM of pairs `[n, H, W, C]` of 8-bit values, `[n]`."""

    def moment(x):
        return _filtered(_filtered(x, kernel, 1), kernel, 2)

    mean_a, mean_b = moment(a), moment(b)
    variance_a = correction * (moment(a * a) - mean_a**2)
    variance_b = correction * (moment(b * b) - mean_b**2)
    covariance = correction * (moment(a * b) - mean_a * mean_b)
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    structure = (2 * covariance + C2) / (variance_a + variance_b + C2)
    return (luminance * structure).mean((1, 2, 3))


def _window(name: str) -> tuple[np.ndarray, float]:
    """Returns the window along one axis, and the factor of its covariances."""
    if name == "uniform":
        count = UNIFORM**2
        return np.full(UNIFORM, 1 / UNIFORM), count / (count - 1)
    if name == "gaussian":
        place = np.arange(-RADIUS, RADIUS + 1)
        kernel = np.exp(-(place**2) / (2 * SIGMA**2))
        return kernel / kernel.sum(), 1.0
    raise UsageError(f"ssim: no window {name!r}: choose {' or '.join(WINDOWS)}")


def _filtered(x: np.ndarray, kernel: np.ndarray, axis: int) -> np.ndarray:
    """Returns the weighted sums of windows along an axis, at valid positions."""
    length = x.shape[axis] - len(kernel) + 1
    places = (slice(None),) * axis
    total = kernel[0] * x[(*places, slice(length))]
    for i in range(1, len(kernel)):
        total += kernel[i] * x[(*places, slice(i, i + length))]
    return total


def _pair(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns both sets as 8-bit values in float64."""
    real, fake = np.asarray(real), np.asarray(fake)
    if real.shape != fake.shape or real.ndim != 4:
        raise UsageError(
            f"images of shapes {list(real.shape)} and {list(fake.shape)} are no pairs: "
            "use equal shapes [n, H, W, C]"
        )
    return as_8_bit(real).astype(np.float64), as_8_bit(fake).astype(np.float64)


def _select(images: np.ndarray, channel: str) -> np.ndarray:
    """Returns the channels to compare."""
    if channel not in CHANNELS:
        raise UsageError(f"no channel {channel!r}: choose {' or '.join(CHANNELS)}")
    return luma(images) if channel == "y" else images


def _cut(images: np.ndarray, border: int) -> np.ndarray:
    """Returns images without the pixels at their border."""
    height, width = images.shape[1:3]
    if not 0 <= 2 * border < min(height, width):
        raise UsageError(
            f"border={border}: images of {height} x {width} pixels have no center "
            "then; use border=0"
        )
    return images[:, border : height - border, border : width - border]


def _mean(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Returns the mean of each image `[n]`, where the mask is 1."""
    if mask is None:
        return values.mean((1, 2, 3))
    if mask.shape != (*values.shape[:3], 1):
        raise UsageError(
            f"a mask of shape {list(mask.shape)} does not fit images of "
            f"{list(values.shape[:3])} pixels: use [n, H, W, 1]"
        )
    inside = np.asarray(mask) > 0.5
    count = inside.sum((1, 2, 3)) * values.shape[-1]
    total = np.where(inside, values, 0).sum((1, 2, 3))
    # No value for an image without a hole.
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
