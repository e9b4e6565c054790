"""Metrics that compare each image with its own target: `psnr(channel="y", border=4)`.

`PAIR_COMPARISONS` has factories by name. Each returns one value per image.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np

from jaxgan.data.kinds import scale_integers
from jaxgan.errors import UsageError
from jaxgan.metrics import image_similarity
from jaxgan.metrics.asked_comparisons import attribute_accuracy, domain_accuracy
from jaxgan.metrics.features import efficientnet
from jaxgan.metrics.image_similarity import CHANNELS, WINDOWS, finite_psnr
from jaxgan.metrics.pairs import PairComparison, Pairs, Shape
from jaxgan.metrics.perceptual import paired_distances
from jaxgan.ranges import Range

Border = Annotated[int, Range(0, 1024)]
"""Pixels that are cut off at each side."""

REGIONS = ("whole", "holes")
"""Pixels to compare: all of them, or those in the holes of a mask."""


def l1(region: str = "whole") -> PairComparison:
    """Measures the mean absolute difference of 8-bit values; less is better.

    The unit is that of 0 ... 255. See `image_similarity.l1`.

    Args:
      region: `whole`, or `holes` to compare the pixels in holes only.
    """
    _choice("l1", "region", region, REGIONS)

    def measure(pairs: Pairs) -> np.ndarray:
        return image_similarity.l1(*_images(pairs), mask=_mask(pairs, region))

    facts = {"unit": "8-bit values", **_facts("rgb", 0, region)}
    return PairComparison(_named("l1", region), measure, facts, _needs(region))


def psnr(
    channel: str = "rgb", border: Border = 0, region: str = "whole"
) -> PairComparison:
    """Measures the peak signal-to-noise ratio in dB; more is better.

    The value is the mean over images, as in papers, and not that of the mean error. See
    `image_similarity.psnr`, and `finite_psnr` for images that are equal.

    Args:
      channel: `rgb` for all channels, also of gray images or with alpha, or `y` for
        luma, as in papers of super-resolution.
      border: pixels that are cut off at each side, there the scale factor.
      region: `whole`, or `holes` to compare the pixels in holes only.
    """
    _choice("psnr", "channel", channel, CHANNELS)
    _choice("psnr", "region", region, REGIONS)

    def measure(pairs: Pairs) -> np.ndarray:
        real, fake = _images(pairs)
        mask = _mask(pairs, region)
        values = image_similarity.psnr(
            real, fake, channel=channel, border=border, mask=mask
        )
        return finite_psnr(values, real[0].size)

    return PairComparison(
        _named("psnr", channel, border, region),
        measure,
        {"unit": "dB", **_facts(channel, border, region)},
        _needs(region),
        more_is_better=True,
        check=_trial(measure),
    )


def ssim(
    window: str = "uniform", channel: str = "rgb", border: Border = 0
) -> PairComparison:
    """Measures the structural similarity, at most 1; more is better.

    See `image_similarity.ssim`: the default is equal to that of scikit-image.

    Args:
      window: `uniform` (7 pixels) or `gaussian` (11 pixels, that of the paper).
      channel: `rgb` for the mean over all channels, or `y` for luma.
      border: pixels that are cut off at each side.
    """
    _choice("ssim", "window", window, WINDOWS)
    _choice("ssim", "channel", channel, CHANNELS)

    def measure(pairs: Pairs) -> np.ndarray:
        return image_similarity.ssim(
            *_images(pairs), window=window, channel=channel, border=border
        )

    name = _named("ssim", *[window] * (window != "uniform"), channel, border)
    facts = {"window": window, **_facts(channel, border, "whole")}
    check = _trial(measure)
    return PairComparison(name, measure, facts, more_is_better=True, check=check)


def perceptual() -> PairComparison:
    """Measures the perceptual distance to the target; less is better.

    In the stages of EfficientNet-Lite0 at 224 pixels, see
    `perceptual.perceptual_distance`. It is not LPIPS.
    """

    def measure(pairs: Pairs) -> np.ndarray:
        real, fake = _images(pairs)
        return _distances(real, fake)

    def check(source: Shape, fake: Shape) -> None:
        _check_channels("perceptual", fake)

    return PairComparison(
        "perceptual", measure, STAGES, open=efficientnet.load, check=check
    )


def content() -> PairComparison:
    """Measures the perceptual distance to the source; less keeps more of its content.

    The distance of `perceptual`. It is 0 for a generator that changes nothing, so that
    it means something only beside a distance to the other domain, such as `fd`.
    """

    def measure(pairs: Pairs) -> np.ndarray:
        return _distances(pairs.source, pairs.fake)

    def check(source: Shape, fake: Shape) -> None:
        _check_channels("content", fake)
        if source != fake:
            raise UsageError(
                f"content compares inputs and outputs of one shape, and these have "
                f"{list(source)} and {list(fake)}: leave it out"
            )

    facts = {**STAGES, "to": "the source"}
    return PairComparison(
        *("content", measure, facts, ("source",)), open=efficientnet.load, check=check
    )


def cycle_l1() -> PairComparison:
    """Measures L1 between a source and itself after a cycle; less is better.

    It is there if the task maps images to the other domain and back, and is no sign of
    success alone: a generator that changes nothing has 0.
    """

    def measure(pairs: Pairs) -> np.ndarray:
        assert pairs.cycle is not None
        return image_similarity.l1(pairs.source, pairs.cycle)

    facts: dict[str, str | int | float] = {"unit": "8-bit values"}
    facts["to"] = "the source, after a cycle"
    return PairComparison("cycle_l1", measure, facts, ("cycle",))


STAGES: dict[str, str | int | float] = {
    "stages": "efficientnet",
    "image_size": efficientnet.SIZE,
    "region": "whole picture",
}
"""The protocol of perceptual distances."""


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the perceptual distances of 8-bit images, `[n]`."""
    if a.shape != b.shape:
        raise UsageError(
            f"perceptual distances need images of one shape, not {list(a.shape[1:])} "
            f"and {list(b.shape[1:])}"
        )
    return paired_distances(scale_integers(a), scale_integers(b))


def _check_channels(metric: str, shape: Shape) -> None:
    """Raises UsageError unless `efficientnet` reads images of a shape."""
    if shape[-1] not in efficientnet.CHANNELS:
        raise UsageError(
            f"{metric} needs images of 1 or 3 channels, not {shape[-1]}: use l1, or "
            "sliced_wasserstein(random)"
        )


def _trial(
    measure: Callable[[Pairs], np.ndarray],
) -> Callable[[Shape, Shape], object]:
    """Returns the check of a metric of pixels, which measures a black image."""

    def check(source: Shape, fake: Shape) -> None:
        black = np.zeros((1, *fake), np.uint8)
        measure(Pairs(black, black, real=black, mask=black[..., :1] > 0))

    return check


def _images(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Returns the targets and the outputs."""
    assert pairs.real is not None
    return pairs.real, pairs.fake


def _mask(pairs: Pairs, region: str) -> np.ndarray | None:
    """Returns the mask of the pixels to compare, None for all."""
    return pairs.mask if region == "holes" else None


def _needs(region: str) -> tuple[str, ...]:
    """Returns the fields that a metric of a region reads."""
    return ("real", "mask") if region == "holes" else ("real",)


def _choice(metric: str, name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises UsageError unless an argument is one of its choices."""
    if value not in choices:
        raise UsageError(
            f"{metric}({name}={value!r}): choose {name} from {', '.join(choices)}"
        )


def _named(metric: str, *settings: str | int) -> str:
    """Returns the name of a value, with all settings that are not the usual ones.

    >>> _named("psnr", "y", 4, "whole"), _named("psnr", "rgb", 0, "holes")
    ('psnr_y_border4', 'psnr_holes')
    """
    borders = [f"border{x}" if isinstance(x, int) else x for x in settings if x]
    return "_".join([metric, *(x for x in borders if x not in ("rgb", "whole"))])


def protocol_of(metric: PairComparison, shape: Shape) -> dict[str, str | int | float]:
    """Returns the protocol of a metric, with the channels of the images compared.

    >>> [protocol_of(psnr(), (8, 8, c))["channel"] for c in (1, 2, 3, 4)]
    ['gray', '2 channels', 'RGB', 'RGBA']
    >>> [protocol_of(psnr(channel="y"), (8, 8, c))["channel"] for c in (1, 3)]
    ['gray', 'Y']
    """
    facts = dict(metric.protocol)
    channels = shape[-1]
    # A gray image is its own luma.
    if "channel" in facts and (facts["channel"] == ALL or channels == 1):
        facts["channel"] = NAMES.get(channels, f"{channels} channels")
    return facts


ALL = "RGB"
"""All channels, in the protocol of a metric that does not know how many there are."""

NAMES = {1: "gray", 3: "RGB", 4: "RGBA"}
"""Names of numbers of channels."""


def _facts(channel: str, border: int, region: str) -> dict[str, str | int | float]:
    """Returns the protocol of a metric of pixels."""
    regions = {"whole": "whole picture", "holes": "holes only"}
    return {"channel": channel.upper(), "region": regions[region], "border": border}


PAIR_COMPARISONS: dict[str, Callable[..., PairComparison]] = {
    f.__name__: f
    for f in (
        *(l1, psnr, ssim, perceptual, content, cycle_l1),
        *(attribute_accuracy, domain_accuracy),
    )
}
"""Factories of metrics by name."""
