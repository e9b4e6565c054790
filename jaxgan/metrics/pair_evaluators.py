"""Evaluators that compare samples with their own targets, during training.

They compare the fixed examples of an evaluation, which the generator is trained on.
Held-out examples are left to the final judgment, by `jaxgan.evaluate`.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.data.kinds import as_8_bit
from jaxgan.errors import UsageError
from jaxgan.metrics import pair_comparisons
from jaxgan.metrics.evaluators import Evaluator, number_of
from jaxgan.metrics.image_similarity import PEAK
from jaxgan.metrics.pair_comparisons import Border
from jaxgan.metrics.pairs import PairComparison, Pairs
from jaxgan.ranges import Range
from jaxgan.types import ExampleSpec, Samples, Task

Count = Annotated[int, Range(1, 2**20)]
"""Number of samples, at most that of the fixed examples."""

EDITED = frozenset({"label", "attributes"})
"""Fields that a task changes in an image, so that the image is not its own target."""


def has_targets(task: Task, example: ExampleSpec, *, aligned: bool = True) -> bool:
    """Returns True if an image-to-image task generates images whose truth is known.

    Args:
      task: the task.
      example: the fields of the data, of which `target` is always the truth.
      aligned: False if the images of an example do not belong together.

    >>> from jaxgan.types import Samples, image_example
    >>> noise = Task(lambda g, batch, keys, step: Samples(batch["image"], g(keys)))
    >>> edit = noise._replace(transform=lambda g, x, keys: g(x["source"]))
    >>> example = image_example((8, 8, 3))
    >>> [has_targets(task, example) for task in (noise, edit)]
    [False, True]
    """
    if task.transform is None or not aligned:
        return False
    return "target" in example or EDITED.isdisjoint(task.requires)


def columns_of(
    task: Task, samples: Samples, target: Any = None
) -> dict[str, np.ndarray]:
    """Returns the image columns of samples as 8-bit values, by name.

    Args:
      task: an image-to-image task.
      samples: of `GAN.play`.
      target: the true images if the examples have them, in place of `real`.

    Returns:
      `source` `[n, h, w, c]`, `fake` `[n, H, W, C]` and perhaps `real`, uint8; `mask`
      `[n, H, W, 1]` bool.
    """
    columns = dict(task.preview(samples))
    if target is not None:
        columns["real"] = target
    mask = columns.pop("mask", None)
    images = {
        name: as_8_bit(np.asarray(x))
        for name, x in columns.items()
        if name in ("source", "fake", "real")
    }
    return images if mask is None else {**images, "mask": np.asarray(mask) > 0.5}


def l1(
    samples: Count = 2048, *, task: Task | None = None, aligned: bool = True
) -> Evaluator:
    """Measures the mean absolute difference of 8-bit values, which is the score.

    The value is `l1`, in the unit of 0 ... 255.

    Args:
      samples: number of samples, at most that of the fixed examples.
      task: the task, None if it is unknown.
      aligned: True if there are targets of the samples.

    Raises:
      UsageError: if there are no targets.
    """
    return _evaluator(pair_comparisons.l1(), samples, task, aligned)


def psnr(
    channel: str = "rgb",
    border: Border = 0,
    samples: Count = 2048,
    *,
    task: Task | None = None,
    aligned: bool = True,
) -> Evaluator:
    """Measures the mean PSNR in dB.

    The value is `psnr`. The score is the error of which it is the PSNR, as the root of
    the mean square of 8-bit values: 255 / 10^(psnr / 20). So less is better.

    Args:
      channel: `rgb`, or `y` for luma.
      border: pixels that are cut off at each side.
      samples: number of samples, at most that of the fixed examples.
      task: the task, None if it is unknown.
      aligned: True if there are targets of the samples.

    Raises:
      UsageError: if there are no targets, or for an unknown channel.
    """
    comparison = pair_comparisons.psnr(channel, border)
    plain = _evaluator(comparison, samples, task, aligned)
    return plain._replace(score=lambda x: PEAK / 10 ** (x[comparison.name] / 20))


def ssim(
    window: str = "uniform",
    samples: Annotated[int, Range(1, 2**20)] = 256,
    *,
    task: Task | None = None,
    aligned: bool = True,
) -> Evaluator:
    """Measures the mean structural similarity; the score is 1 minus it.

    Args:
      window: `uniform` or `gaussian`, see `image_similarity.ssim`.
      samples: number of samples, at most that of the fixed examples.
      task: the task, None if it is unknown.
      aligned: True if there are targets of the samples.

    Raises:
      UsageError: if there are no targets, or for an unknown window.
    """
    comparison = pair_comparisons.ssim(window)
    plain = _evaluator(comparison, samples, task, aligned)
    return plain._replace(score=lambda values: 1 - values[comparison.name])


def perceptual(
    samples: Annotated[int, Range(1, 2**20)] = 64,
    *,
    task: Task | None = None,
    aligned: bool = True,
) -> Evaluator:
    """Measures the mean perceptual distance, which is the score.

    In the stages of EfficientNet-Lite0 at 224 pixels, which takes seconds for hundreds
    of images on a CPU. See `perceptual.perceptual_distance`.

    Args:
      samples: number of samples, at most that of the fixed examples.
      task: the task, None if it is unknown.
      aligned: True if there are targets of the samples.

    Raises:
      UsageError: if there are no targets.
    """
    return _evaluator(pair_comparisons.perceptual(), samples, task, aligned)


def _check_preview(columns: dict[str, Any]) -> None:
    """Raises UsageError if a preview lacks the arrays that are compared."""
    if any(not hasattr(columns.get(name), "shape") for name in ("source", "fake")):
        raise UsageError(
            "a task that maps images to images needs the columns source, fake and real "
            f"in its preview, which has {', '.join(columns)}: return them, or choose "
            "another metric, such as sliced_wasserstein"
        )


def _evaluator(
    comparison: PairComparison, samples: int, task: Task | None, aligned: bool
) -> Evaluator:
    """Returns the evaluator of a metric of pairs, whose value is the score."""
    name = comparison.name
    if task is not None and (task.transform is None or not aligned):
        why = "maps no images" if task.transform is None else "has none"
        raise UsageError(
            f"{name} compares images with their targets, and this task {why}: use "
            "sliced_wasserstein"
        )

    def init(dataset: Dataset, examples, key):
        count = min(samples, number_of(examples))
        target = examples.get("target")
        return count, None if target is None else target[:count]

    def run(state, sample_fn):
        count, target = state
        drawn = sample_fn(count)
        assert task is not None
        columns = task.preview(drawn)
        _check_preview(columns)
        # Metrics of 8-bit values have none for NaN, and a run goes on.
        if not np.isfinite(np.asarray(columns["fake"])).all():
            return {name: math.nan}
        values = comparison.measure(Pairs(**columns_of(task, drawn, target)))
        return {name: float(np.nanmean(values))}

    return Evaluator(init, run, open=comparison.open)


PAIR_EVALUATORS: dict[str, Callable[..., Evaluator]] = {
    f.__name__: f for f in (l1, psnr, ssim, perceptual)
}
"""Factories of evaluators by name."""
