"""The plain methods that an evaluation of anomalies has beside the run."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxgan import data
from jaxgan.evaluation.anomaly_autoencoder import NAME, Autoencoder
from jaxgan.evaluation.anomaly_data import LabeledTests
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.metrics.anomaly_baselines import Detector

MOST_BYTES = 2**29
"""Bytes of the training examples that plain detectors are fitted to, at most."""


class Judged(NamedTuple):
    """The scores of one method."""

    normal: np.ndarray
    """Of held-out normal examples, `[k]`, which set the threshold."""
    test: np.ndarray
    """Of test examples, `[n]`."""


class Examples(NamedTuple):
    """The examples of an evaluation."""

    train: data.Dataset
    held_out: data.Dataset
    normal: np.ndarray
    """Numbers of the normal held-out examples."""
    tests: LabeledTests
    numbers: np.ndarray
    """Of the test examples, `[n]`."""

    @property
    def is_anomaly(self) -> np.ndarray:
        """True for test examples that are anomalies, `[n]`."""
        return self.tests.is_anomaly[self.numbers]


def detect(examples: Examples, detectors: Mapping[str, Detector]) -> dict[str, Judged]:
    """Returns the scores of those plain detectors that are installed.

    They are fitted to the training examples, of which at most `MOST_BYTES` are read.
    """
    train = examples.train
    most = max(2, MOST_BYTES // (4 * int(np.prod(train.shape))))
    numbers = np.sort(data.epoch_order(0, 0, train.size)[:most])
    fitted = pixels_of(train, numbers)
    normal = pixels_of(examples.held_out, examples.normal)
    scores = {
        name: detector.fit(fitted)
        for name, detector in detectors.items()
        if detector.is_installed
    }
    tests: dict[str, list[np.ndarray]] = {name: [] for name in scores}
    for first in range(0, len(examples.numbers), AT_ONCE):
        some = examples.numbers[first : first + AT_ONCE]
        pixels = pixels_of(examples.tests.dataset, some)
        for name, score in scores.items():
            tests[name].append(score(pixels))
    return {
        name: Judged(score(normal), np.concatenate(tests[name]))
        for name, score in scores.items()
    }


def of_autoencoder(
    run: Run, examples: Examples, *, steps: int, cache: bool
) -> dict[str, Judged]:
    """Returns the scores of a plain autoencoder, which may be trained now.

    Args:
      run: the run, whose networks it has.
      examples: those that the run is evaluated on.
      steps: number of updates.
      cache: True to keep its weights in the workdir.
    """
    method = Autoencoder(run, steps)
    method.fit(examples.train, run.folder / "anomaly" if cache else None)

    def scores(dataset: data.Dataset, numbers: np.ndarray) -> np.ndarray:
        found = []
        for first in range(0, len(numbers), AT_ONCE):
            some = dataset.read(numbers[first : first + AT_ONCE])
            found.append(method.score(some[dataset.example.generated]))
        return np.concatenate(found)

    normal = scores(examples.held_out, examples.normal)
    return {NAME: Judged(normal, scores(examples.tests.dataset, examples.numbers))}


def pixels_of(dataset: data.Dataset, numbers: np.ndarray) -> np.ndarray:
    """Returns images as rows, `[n, d]` float32 in [0, 1]."""
    images = data.normalize(dataset.read(numbers), dataset.example)
    rows = np.asarray(images[dataset.example.generated], np.float32)
    return (rows.reshape(len(numbers), -1) + 1) / 2
