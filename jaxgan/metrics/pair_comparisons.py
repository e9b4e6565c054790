"""Metrics that compare each image with its own target: `psnr(channel="y", border=4)`.

`PAIR_COMPARISONS` has factories by name. Each returns one value per image.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.data.kinds import scale_integers
from jaxgan.errors import UsageError
from jaxgan.metrics import image_similarity
from jaxgan.metrics.features import efficientnet
from jaxgan.metrics.features.attribute_classifier import attribute_classifier
from jaxgan.metrics.features.base import Seed
from jaxgan.metrics.image_similarity import CHANNELS, WINDOWS, finite_psnr
from jaxgan.metrics.perceptual import paired_distances
from jaxgan.ranges import Range

Border = Annotated[int, Range(0, 1024)]
"""Pixels that are cut off at each side."""

REGIONS = ("whole", "holes")
"""Pixels to compare: all of them, or those in the holes of a mask."""


class Pairs(NamedTuple):
    """Outputs of a method with their inputs and targets: uint8, one row per image."""

    fake: np.ndarray
    """The outputs, `[n, H, W, C]`."""
    source: np.ndarray
    """The inputs, `[n, h, w, c]`."""
    real: np.ndarray | None = None
    """The targets, `[n, H, W, C]`."""
    mask: np.ndarray | None = None
    """`[n, H, W, 1]` bool, True in holes."""
    cycle: np.ndarray | None = None
    """The inputs after they were mapped to the other domain and back."""
    asked: np.ndarray | None = None
    """Attributes that the outputs should have, `[n, k]` bool."""
    own: np.ndarray | None = None
    """Attributes of the inputs, `[n, k]` bool."""


class PairComparison(NamedTuple):
    """A metric of an image and its target."""

    name: str
    """Of its value, such as `psnr_y`."""
    measure: Callable[[Pairs], np.ndarray]
    """Pairs to one value each, `[n]`; NaN where there is nothing to compare."""
    protocol: dict[str, str | int | float]
    """The settings that a value depends on, which are printed beside it."""
    needs: tuple[str, ...] = ("real",)
    """Fields of `Pairs` that it reads, beside the outputs."""
    more_is_better: bool = False
    summarize: Callable[[np.ndarray], dict[str, float]] | None = None
    """The values of `measure`, `[n, ...]`, to others by name; None for their mean."""
    fit: Callable[[Dataset, Dataset], "PairComparison"] | None = None
    """(training set, held-out examples) to the metric, if it must be trained first."""
    open: Callable[[], object] = lambda: None
    """Raises UsageError if something that it needs is not installed."""


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
      channel: `rgb` for all channels, or `y` for luma, as in papers of
        super-resolution.
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
    return PairComparison(name, measure, facts, more_is_better=True)


def perceptual() -> PairComparison:
    """Measures the perceptual distance to the target; less is better.

    In the stages of EfficientNet-Lite0 at 224 pixels, see
    `perceptual.perceptual_distance`. It is not LPIPS.
    """

    def measure(pairs: Pairs) -> np.ndarray:
        real, fake = _images(pairs)
        return _distances(real, fake)

    return PairComparison("perceptual", measure, STAGES, open=efficientnet.load)


def content() -> PairComparison:
    """Measures the perceptual distance to the source; less keeps more of its content.

    The distance of `perceptual`. It is 0 for a generator that changes nothing, so that
    it means something only beside a distance to the other domain, such as `fd`.
    """

    def measure(pairs: Pairs) -> np.ndarray:
        return _distances(pairs.source, pairs.fake)

    facts = {**STAGES, "to": "the source"}
    return PairComparison(
        "content", measure, facts, ("source",), open=efficientnet.load
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


def attribute_accuracy(seed: Seed = 0) -> PairComparison:
    """Measures how often a classifier reads the attributes that were asked for.

    The classifier is trained on real training images, by the recipe of the extractor
    `classifier`, with a sigmoid for each attribute. `attribute_accuracy` is the share
    of attributes that it reads as asked, `attribute_accuracy_worst` that of the worst
    attribute, and `attribute_accuracy_edited` that of attributes that differ from
    those of the source, which is near 0 for a generator that changes nothing. Its
    accuracy on held-out images, which bounds what can be read, is in the protocol.

    Args:
      seed: seed of the training.
    """
    name = "attribute_accuracy"

    def measure(pairs: Pairs) -> np.ndarray:
        raise AssertionError("the classifier is not trained")

    def fit(train: Dataset, held_out: Dataset) -> PairComparison:
        trained = attribute_classifier(train, held_out, seed=seed)

        def measure(pairs: Pairs) -> np.ndarray:
            assert pairs.asked is not None
            assert pairs.own is not None
            right = trained.predict(pairs.fake) == pairs.asked
            # `[n, k, 2]`: of all attributes, and of those that are changed.
            edited = np.where(pairs.asked != pairs.own, right, np.nan)
            return np.stack([right.astype(float), edited], -1)

        facts = {**plain.protocol, **trained.protocol}
        return plain._replace(measure=measure, protocol=facts, fit=None)

    def summarize(values: np.ndarray) -> dict[str, float]:
        every, edited = np.moveaxis(values, -1, 0)
        edited = edited[~np.isnan(edited)]
        return {
            name: float(every.mean()),
            f"{name}_worst": float(every.mean(0).min()),
            **({f"{name}_edited": float(edited.mean())} if len(edited) else {}),
        }

    plain = PairComparison(
        name,
        measure,
        {"region": "whole picture"},
        ("asked", "own"),
        more_is_better=True,
        summarize=summarize,
        fit=fit,
    )
    return plain


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


def _facts(channel: str, border: int, region: str) -> dict[str, str | int | float]:
    """Returns the protocol of a metric of pixels."""
    regions = {"whole": "whole picture", "holes": "holes only"}
    return {"channel": channel.upper(), "region": regions[region], "border": border}


PAIR_COMPARISONS: dict[str, Callable[..., PairComparison]] = {
    f.__name__: f
    for f in (
        *(l1, psnr, ssim, perceptual, content, cycle_l1),
        attribute_accuracy,
    )
}
"""Factories of metrics by name."""
