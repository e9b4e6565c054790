"""Scores how unusual images are by a run: the program, and the function of the API."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.config.anomalies import check_rate, parse_weights
from jaxgan.config.evaluating import checkpoint_of
from jaxgan.config.extensions import import_extensions
from jaxgan.config.scoring import ScoreConfig
from jaxgan.data.npz import from_arrays
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation import picture_files, score_files, score_inputs
from jaxgan.evaluation.load_run import load_run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.evaluation.score_reference import Reference, reference_of
from jaxgan.evaluation.scorer import Scored, Scorer, joined
from jaxgan.experiment import memory
from jaxgan.metrics import anomaly

log = logging.getLogger("jaxgan")


class Scores(NamedTuple):
    """The scores of images, and the threshold for anomalies.

    >>> Scores._fields[:3]
    ('score', 'percentile', 'is_anomaly')
    """

    score: np.ndarray
    """`[n]` float64, about the number of parts for normal images, and more for others.
    """
    percentile: np.ndarray
    """Share of held-out normal examples with a lower score, `[n]`, 0 to 100."""
    is_anomaly: np.ndarray
    """`[n]` bool: the score is above the threshold."""
    parts: dict[str, np.ndarray]
    """Shares of the score `[n]` by name, which add up to it."""
    heat: np.ndarray
    """The share of each pixel in the score, `[n, H, W]`; the sums are the scores."""
    reconstruction: np.ndarray
    """The reconstruction of each image by the generator, `[n, H, W, C]` uint8."""
    threshold: float
    """The score above which an image counts as an anomaly."""
    names: list[str]
    """The file of each image; `[0]` and so on for arrays."""


class Judge:
    """Scores images against held-out normal examples.

    Args:
      scorer: a restored run.
      reference: the held-out normal examples.
      false_alarms: share of normal images that may count as anomalies.
    """

    def __init__(
        self, scorer: Scorer, reference: Reference, false_alarms: float
    ) -> None:
        self.scorer, self.reference = scorer, reference
        self.normal, self.hottest = reference.normal, reference.hottest
        self.threshold = anomaly.threshold_of(self.normal, false_alarms)
        least = anomaly.least_normal(false_alarms)
        if len(self.normal) < least:
            log.warning(
                "%d held-out normal examples are too few for --false_alarms=%g, which "
                "needs %d: the threshold is their largest score, and about %.2g of "
                "normal pictures are above it",
                *(len(self.normal), false_alarms, least, 1 / (len(self.normal) + 1)),
            )

    def __call__(self, images: np.ndarray, names: Sequence[str]) -> Scores:
        """Returns the scores of images `[n, *shape]`."""
        return self.scores(self.scorer(images), names)

    def scores(self, found: Scored, names: Sequence[str]) -> Scores:
        """Returns the scores of images by their parts."""
        shares = self.reference.shares(found.parts)
        total = anomaly.total(shares)
        return Scores(
            total,
            anomaly.percentiles(self.normal, total),
            total > self.threshold,
            shares,
            anomaly.heat_maps(found.pixels, total),
            found.reconstruction,
            self.threshold,
            list(names),
        )


def judge_of(
    scorer: Scorer,
    which: Any,
    *,
    raw: bool,
    false_alarms: float,
    weights: Mapping[str, float],
) -> Judge:
    """Restores a run, and compares with its held-out normal examples from now on."""
    scorer.restore(which, raw=raw)
    reference = reference_of(scorer, raw=raw, weights=weights)
    return Judge(scorer, reference, false_alarms)


@memory.explain_out_of_memory("score fewer pictures at a time")
def score(config: ScoreConfig) -> int:
    """Scores images and writes the results. Returns the exit code.

    Returns:
      0, or 1 if a picture could not be read, which is logged.

    Raises:
      UsageError: if the run, the checkpoint, the images or the outputs do not fit the
        flags. Nothing is written then.
    """
    # All flags and headers are checked before the checkpoint is read.
    import_extensions(config.import_)
    run = load_run(config.workdir, number=config.run)
    scorer = Scorer(run)
    sources, failed = score_inputs.sources_of(config, run)
    score_files.check_heatmaps(config, sources)
    judge = judge_of(
        scorer,
        config.which,
        raw=config.raw,
        false_alarms=config.false_alarms,
        weights=config.weights,
    )
    names: list[str] = []
    rows: list[dict[str, Any]] = []
    stop = config.on_bad_example == "stop"
    total = sum(len(x.names) for x in sources)
    with Progress("pictures", total) as progress:
        for source in sources:
            for block, bad in score_inputs.blocks_of(source, AT_ONCE, stop=stop):
                if block.names:
                    found = judge(block.images, block.names)
                    rows.append(_columns(found))
                    names += block.names
                    if config.heatmaps is not None:
                        _save_heatmaps(config.heatmaps, block, found, judge.hottest)
                failed += bad
                progress.advance(len(block.names) + bad)
    return _finish(config, judge, names, rows, failed)


def _columns(found: Scores) -> dict[str, Any]:
    """Returns the columns of the table."""
    return {
        "score": found.score,
        "percentile": found.percentile,
        "verdict": [score_files.VERDICTS[int(x)] for x in found.is_anomaly],
        **found.parts,
    }


def _save_heatmaps(
    folder: Path, block: score_inputs.Block, found: Scores, hottest: float
) -> None:
    for image, back, heat, below in zip(
        block.images, found.reconstruction, found.heat, block.below, strict=True
    ):
        content = score_files.picture_of(image, back, heat, hottest)
        picture_files.write(score_files.heatmap_file(folder, below), content)


def _finish(
    config: ScoreConfig,
    judge: Judge,
    names: list[str],
    rows: list[dict[str, Any]],
    failed: int,
) -> int:
    """Writes or prints the table, and logs a summary. Returns the exit code."""
    if not names:
        raise UsageError("none of the pictures can be read: see the messages above")
    columns = {name: [x for row in rows for x in row[name]] for name in rows[0]}
    text = score_files.table_of(names, columns)
    if config.out is None:
        print(text, end="")
    else:
        picture_files.write(config.out, score_files.encoded(text))
    count = columns["verdict"].count(score_files.VERDICTS[1])
    log.info(
        "%d of %d picture(s) are anomalies, with a score above %.4g: the threshold "
        "for %g %% false alarms on %d held-out normal examples",
        *(count, len(names), judge.threshold, 100 * config.false_alarms),
        len(judge.normal),
    )
    if config.out is not None:
        log.info("scores in %s", printable(str(config.out)))
    if failed:
        log.error("%d of %d pictures cannot be read", failed, failed + len(names))
    return 1 if failed else 0


def score_run(
    workdir: str | Path,
    images: Any,
    *,
    false_alarms: float = 0.01,
    weights: Mapping[str, float] | str = "",
    checkpoint: str | int = "last",
    raw: bool = False,
    run: int = 0,
    resize: bool = False,
) -> Scores:
    """Scores how unusual images are, by a run that was trained on normal ones.

    Does the same as `python -m jaxgan.score`. The scores of the run's held-out normal
    examples set the threshold, and are kept in its folder.

    Args:
      workdir: folder of a run of `--task=anomaly`.
      images: an array `[n, H, W, C]` or `[n, H, W]`, uint8, uint16 or floats in [-1,
        1]; or the path of a picture, a folder, a pattern or an .npz file, or a sequence
        of paths.
      false_alarms: share of normal images that may count as anomalies.
      weights: of the parts of the score, by name or like `pixels=1,features=0`; others
        are 1 or those of the task. Without any, they are chosen on normal examples.
        Parts are divided by their mean over held-out normal examples first.
      checkpoint: `last`, `best` or a step.
      raw: True for the newest parameters instead of their moving average.
      run: number of the run, of several that were trained side by side.
      resize: True to resize and convert pictures of files to the form of training.

    Returns:
      `Scores`, with `score`, `percentile`, `is_anomaly`, `parts`, `heat`,
      `reconstruction`, `threshold` and `names`.

    Raises:
      UsageError: if the run finds no anomalies, or if an argument does not fit it.

    >>> score_run("nothing", np.zeros((1, 8, 8, 3), np.uint8))
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=nothing is not the folder of a run: it has no \
config.json; use the folder of a run
    """
    if isinstance(weights, str):
        weights = parse_weights(weights)
    check_rate(false_alarms)
    opened = load_run(workdir, number=run)
    scorer = Scorer(opened)
    blocks = _blocks(images, scorer, Path(workdir), resize=resize)
    judge = judge_of(
        scorer,
        checkpoint_of(checkpoint),
        raw=raw,
        false_alarms=false_alarms,
        weights=weights,
    )
    parts = joined([scorer(block.images) for block in blocks])
    return judge.scores(parts, [name for block in blocks for name in block.names])


def _blocks(
    images: Any, scorer: Scorer, workdir: Path, *, resize: bool
) -> list[score_inputs.Block]:
    """Returns the images of `score_run`; raises UsageError if they do not fit."""
    one = isinstance(images, str | Path)
    if one or (len(images) and all(isinstance(x, str | Path) for x in images)):
        paths = [images] if one else images
        config = ScoreConfig(
            workdir=workdir,
            images=tuple(map(str, paths)),
            resize=resize,
            on_bad_example="stop",
        )
        sources, _ = score_inputs.sources_of(config, scorer.run)
        return [
            block
            for source in sources
            for block, _ in score_inputs.blocks_of(source, AT_ONCE, stop=True)
        ]
    array = from_arrays(images, name="images").read(np.arange(len(images)))["image"]
    score_inputs.check_shape("images", array.shape[1:], scorer.run.example.shape)
    return [score_inputs.Block(array, [f"[{i}]" for i in range(len(array))], [])]
