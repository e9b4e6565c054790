"""Metrics of images themselves, without features: `ms_ssim(pairs=1000)`."""

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.arrays import subset
from jaxgan.metrics.comparison import NO_FEATURES, Comparison, Sets
from jaxgan.metrics.features import Images
from jaxgan.metrics.features.base import image_shape
from jaxgan.metrics.ms_ssim import PairSimilarity, pair_similarity
from jaxgan.ranges import Width, ceil_div
from jaxgan.types import ExampleSpec


def ms_ssim_of(
    pairs: Width = 1_000, *, example: ExampleSpec | None = None
) -> Comparison:
    """Measures how similar fakes are to each other, `ms_ssim`.

    The mean MS-SSIM over random pairs of fakes: 1 if all are equal. More than the floor
    is a lack of variety. Less is no success, as noise has it. If fakes have labels,
    `ms_ssim_within_class` is the mean over as many pairs of one class, with equally
    many pairs of each (https://arxiv.org/abs/1610.09585), which is 1 for a generator
    that has one image of each class.

    `ms_ssim_scales` is the number of scales, which is five from 176 pixels on, three
    for 64 pixels and two for 28: see `ms_ssim.ms_ssim`. Values of different numbers
    cannot be compared.

    Args:
      pairs: number of pairs; at most as many as there are.
      example: the fields of the examples; None before they are known.

    Raises:
      UsageError: if they are not images.
    """
    if example is not None:
        image_shape(example, "ms_ssim")

    def compare(sets: Sets) -> dict[str, float]:
        images, labels = sets.fake.images, sets.fake.labels
        if images is None:
            raise UsageError("ms_ssim needs the images of fakes, not only features")
        found = similarity(images, np.arange(len(images)), pairs)
        values = {"ms_ssim": found.mean, "ms_ssim_scales": float(found.scales)}
        if labels is None:
            return values
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        # A class of one image has no pair.
        groups = [group for group in groups if len(group) > 1]
        each = ceil_div(pairs, max(len(groups), 1))
        within = [similarity(images, group, each).mean for group in groups]
        mean = {"ms_ssim_within_class": float(np.mean(within))} if within else {}
        return {**values, **mean}

    return Comparison(NO_FEATURES, compare, images=True)


def similarity(images: Images, numbers: np.ndarray, pairs: int) -> PairSimilarity:
    """Returns the similarity of pairs of some images, of which few are read.

    Args:
      images: all images.
      numbers: those to compare, `[n]`.
      pairs: number of pairs, at most as many as there are.

    Raises:
      UsageError: if there is only one image.
    """
    if len(numbers) < 2:
        raise UsageError(f"ms_ssim of {len(numbers)} image; use at least 2")
    # Two images for each pair are enough.
    count = min(len(numbers), 2 * pairs)
    some = numbers[subset(np.random.default_rng(0), len(numbers), count)]
    available = count * (count - 1) // 2
    return pair_similarity(images[np.sort(some)], pairs=min(pairs, available))
