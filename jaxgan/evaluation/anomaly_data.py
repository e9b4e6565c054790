"""The examples of a run that finds anomalies: held-out normal ones, and tests."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan import data, workdir
from jaxgan.config.evaluating import AUTO
from jaxgan.data.listing import find_root
from jaxgan.data.normal import normal_classes, read_labels
from jaxgan.errors import UsageError
from jaxgan.evaluation.load_run import Run
from jaxgan.experiment import setup
from jaxgan.files import local_path

LEAST = 2
"""Minimum number of held-out normal examples."""

TEST = "test"
"""The split on which anomalies are counted, and which sets no threshold."""


class LabeledTests(NamedTuple):
    """Labeled examples of which some are anomalies."""

    dataset: data.Dataset
    is_anomaly: np.ndarray
    """`[n]` bool."""
    split: str
    normal: tuple[str, ...]
    """Names of the normal classes."""


def held_out_normals(run: Run) -> tuple[data.Dataset, np.ndarray]:
    """Returns the held-out examples of a run, and the numbers of the normal ones.

    They are those that training did not see, and never those of the split `test`.

    Raises:
      UsageError: if there are none, or if the data changed since training.
    """
    train, held_out = load(run)
    return held_out, normal_numbers(run, held_out, train)


def normal_numbers(run: Run, held_out: data.Dataset, train: data.Dataset) -> np.ndarray:
    """Returns the numbers of the normal held-out examples.

    Raises:
      UsageError: if there are none.
    """
    numbers = np.flatnonzero(data.is_normal(held_out, run.config.normal))
    if len(numbers) < LEAST:
        raise UsageError(
            f"--workdir={run.folder}: {len(numbers)} normal examples were held out, "
            f"and a threshold needs more: {_again(train)}"
        )
    return numbers


def load(run: Run) -> tuple[data.Dataset, data.Dataset]:
    """Loads the training and the held-out examples of a run.

    Raises:
      UsageError: if there are no held-out examples, if they are the split `test`, or if
        the data changed since training, so that others are held out now.
    """
    config, folder = run.config, run.folder
    train, held_out = setup.load_data(config)
    if held_out is None:
        raise UsageError(
            f"--workdir={folder}: no examples were held out, and a threshold needs "
            f"normal ones: {_again(train)}"
        )
    # `auto` holds out no such split for tasks that score examples.
    if config.held_out.partition("[")[0] == TEST:
        raise UsageError(
            f"--workdir={folder}: the split test was held out, on which no threshold "
            f"may be set: {_again(train)}"
        )
    was, now = workdir.read_data(folder).get("fingerprint"), data.fingerprint(train)
    # Toy sets have no fingerprint.
    if was and now and was != now:
        raise UsageError(
            f"--dataset={config.dataset} has changed since training, so that other "
            "examples are held out now: restore the data, or train again"
        )
    return train, held_out


def _again(train: data.Dataset) -> str:
    """Returns the way to train with held-out examples."""
    return "train again with " + ("--held_out=part" if train.size > 20 else "more data")


def labeled_tests(run: Run, train: data.Dataset, split: str) -> LabeledTests:
    """Loads labeled examples, and marks the anomalies by their classes.

    Anomalies are the examples of all classes but those of `--normal`, or but those of
    the training examples without it, as in folders `train/good`, `test/good` and
    `test/broken`.

    Args:
      run: the run.
      train: its training examples.
      split: a split that was not trained on; `auto` for `test`.

    Raises:
      UsageError: if there is no such split, if it has no labels, or if all of its
        examples are normal or all are anomalies.
    """
    split = TEST if split == AUTO else split
    examples = _load_split(run, split)
    shown = f"--split={split} of --dataset={run.config.dataset}"
    if not examples.classes or not train.classes:
        raise UsageError(
            f"{shown} has no labels, which say what is an anomaly: use a folder for "
            "each class, such as train/good, test/good and test/broken"
        )
    normal = train.classes
    if run.config.normal:
        normal = tuple(
            train.classes[i] for i in normal_classes(train, run.config.normal)
        )
    is_normal = np.array([name in normal for name in examples.classes])
    is_anomaly = ~is_normal[read_labels(examples)]
    if is_anomaly.all() or not is_anomaly.any():
        kind = "an anomaly" if is_anomaly.all() else "normal"
        remedy = "use another --split" if run.config.normal else "train with --normal"
        raise UsageError(f"{shown}: every example is {kind}: {remedy}")
    return LabeledTests(examples, is_anomaly, split, normal)


def _load_split(run: Run, split: str) -> data.Dataset:
    """Loads a split with all of its classes, which may be others than those trained on.

    Raises:
      UsageError: if there is no such split, or if it was trained on.
    """
    config = run.config
    kind, _, text = config.dataset.partition(":")
    if kind == "folder":
        # Read by itself, as it may have classes that training has not.
        path = local_path("--dataset", text, prefix="folder:")
        root, _ = find_root(config.dataset, path, split)
        _check_apart(config.dataset, path, split, config.split)
        config = dataclasses.replace(
            config, dataset=f"folder:{root}", held_out="none", normal="", split="train"
        )
        return setup.load_data(config)[0]
    config = dataclasses.replace(config, held_out=split, normal="")
    _, examples = setup.load_data(config)
    if examples is None:
        raise UsageError(f"--split={split}: name a split, such as --split=test")
    return examples


def _check_apart(name: str, path: Path, split: str, trained: str) -> None:
    """Raises UsageError if a split of a folder is the one that was trained on."""
    if find_root(name, path, split)[0] == find_root(name, path, trained)[0]:
        raise UsageError(
            f"--split={split} was trained on: use another one, such as --split=test"
        )
