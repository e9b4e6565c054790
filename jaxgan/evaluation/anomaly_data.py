"""The examples of a run that finds anomalies: held-out normal ones, and tests."""

import logging
from typing import NamedTuple

import numpy as np

from jaxgan import data, workdir
from jaxgan.errors import UsageError
from jaxgan.evaluation.load_run import Run
from jaxgan.experiment import setup

log = logging.getLogger("jaxgan")

LEAST = 2
"""Minimum number of held-out normal examples."""


class Tests(NamedTuple):
    """Labelled examples of which some are anomalies."""

    dataset: data.Dataset
    is_anomaly: np.ndarray
    """`[n]` bool."""
    split: str


def held_out_normals(run: Run) -> tuple[data.Dataset, np.ndarray]:
    """Returns the held-out examples of a run, and the numbers of the normal ones.

    They are those that training did not see, and never those of the split `test`, on
    which anomalies are counted later.

    Raises:
      UsageError: if there are none, or if the data changed since training.
    """
    train, held_out = load(run)
    if held_out is None:
        raise UsageError(
            f"--workdir={run.folder}: no examples were held out, and a threshold needs "
            f"normal ones: train again with --held_out={_usual(train.size)}"
        )
    numbers = np.flatnonzero(~anomalies_of(run, train, held_out))
    if len(numbers) < LEAST:
        raise UsageError(
            f"--workdir={run.folder}: {len(numbers)} normal examples were held out, "
            f"and a threshold needs more: train with --held_out={_usual(train.size)}"
        )
    return held_out, numbers


def load(run: Run) -> tuple[data.Dataset, data.Dataset | None]:
    """Loads the training and the held-out examples of a run.

    Raises:
      UsageError: if the data changed since training, so that examples that are held out
        now may have been trained on, or if those of the split `test` are held out.
    """
    if run.config.held_out.partition("[")[0] == "test":
        raise UsageError(
            f"--workdir={run.folder}: a threshold may not be set on the split test, "
            "which was held out: train with another --held_out, such as 500"
        )
    train, held_out = setup.load_data(run.config)
    was, now = workdir.read_data(run.folder).get("fingerprint"), data.fingerprint(train)
    # Toy sets have no fingerprint.
    if was and now and was != now:
        raise UsageError(
            f"--dataset={run.config.dataset} has changed since training, so that other "
            "examples are held out now: restore the data, or train again"
        )
    return train, held_out


def anomalies_of(run: Run, train: data.Dataset, examples: data.Dataset) -> np.ndarray:
    """Returns True for examples of other classes than the normal ones, `[n]` bool.

    Normal are the classes of `--normal`, or those of the training examples without it.
    Examples without labels are normal.
    """
    if not examples.classes:
        return np.zeros(examples.size, bool)
    normal = normal_names(run, train)
    is_normal = np.array([name in normal for name in examples.classes])
    return ~is_normal[labels_of(examples)]


def normal_names(run: Run, train: data.Dataset) -> set[str]:
    """Returns the names of the normal classes."""
    return set(train.classes)


def labels_of(examples: data.Dataset) -> np.ndarray:
    """Returns the labels of all examples, `[n]` int32."""
    if examples.arrays is not None:
        return np.asarray(examples.arrays["label"])
    blocks = np.array_split(np.arange(examples.size), examples.size // 1024 + 1)
    return np.concatenate([examples.read(x)["label"] for x in blocks])


def _usual(size: int) -> int:
    """Returns a number of examples to hold out."""
    return max(LEAST, min(500, size // 10))
