"""The real examples of an evaluation, and the number that the run was trained on."""

import dataclasses
import logging
from typing import NamedTuple

import numpy as np

from jaxgan import data
from jaxgan.config.evaluating import AUTO, EvaluateConfig
from jaxgan.data.listing import NoSuchSplit
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.load_run import Run
from jaxgan.experiment import setup

log = logging.getLogger("jaxgan")

NONE = "none"
LEAST = 2
"""Number of held-out examples without which there is no evaluation."""


class RealExamples(NamedTuple):
    """The data of an evaluation."""

    train: data.Dataset
    """Examples that the run may have been trained on."""
    held_out: data.Dataset | None
    """None if there are none, and statistics take their place."""
    unseen: int
    """The number of held-out examples that the run was not trained on: the first."""
    split: str
    """That of the held-out examples, or how they were split off: a number or `part`."""

    def count_trained_on(self, numbers: np.ndarray) -> int:
        """Returns how many of some held-out examples the run was trained on.

        If there are any, a warning says so.

        Args:
          numbers: of the examples in `held_out`, `[N]`.
        """
        count = int(np.sum(numbers >= self.unseen))
        if count:
            log.warning(
                "%s of the %s real examples were trained on, as the run held out "
                "fewer: a generator that copies them has good values",
                *(f"{count:,}", f"{len(numbers):,}"),
            )
        return count


def load_real(run: Run, config: EvaluateConfig) -> RealExamples:
    """Loads the training examples of a run, and those that are held out.

    `--split=auto` is what the run itself held out, or the split `test` if it held out
    nothing. A number of examples and `part` are split off the training examples.

    Raises:
      UsageError: if there are no held-out examples, or fewer than asked for.
    """
    own, auto = run.config.held_out, config.split == AUTO
    train, held_out = _load(run, own if auto and own != NONE else config.split)
    if config.against:
        unseen = held_out.size if held_out else 0
        return RealExamples(train, held_out, unseen, config.split)
    if held_out is not None and auto and own == NONE and is_split_off(run, train):
        # The run was trained on them: they have to be asked for.
        held_out = None
    if held_out is None:
        raise UsageError(
            f"--dataset={run.config.dataset} has no examples that were held out: "
            f"{_ways(run)}"
        )
    if config.n_real > held_out.size:
        raise UsageError(
            f"--n_real={config.n_real}: there are {held_out.size} held-out examples; "
            f"use --n_real={held_out.size}"
        )
    if held_out.size < LEAST:
        raise UsageError("there is a single held-out example: use another --split")
    split = _split(run, config, train, held_out)
    return RealExamples(train, held_out, _unseen(run, config, held_out), split)


def _split(
    run: Run, config: EvaluateConfig, train: data.Dataset, held_out: data.Dataset
) -> str:
    """Returns the split that `--split=auto` stands for, or the one that was asked for.

    A folder may have `test` or `val`, which only its origin tells.
    """
    chosen, own = config.split, run.config.held_out
    if chosen == AUTO and own not in (NONE, AUTO):
        chosen = own
    if chosen != AUTO:
        return chosen
    # Examples that are split off are scattered over the place of the others.
    if held_out.origin == train.origin and not held_out.ranges:
        return str(held_out.size)
    return AUTO if run.config.dataset.startswith("folder:") else "test"


def _unseen(run: Run, config: EvaluateConfig, held_out: data.Dataset) -> int:
    """Returns the number of held-out examples that the run was not trained on."""
    # A split by name is checked when it is loaded.
    counted = config.split == "part" or config.split.isdigit()
    if not counted or config.split == run.config.held_out:
        return held_out.size
    train, own = _load(run, run.config.held_out)
    # Fewer examples that are split off are the first of more, as their order is fixed.
    return own.size if own is not None and is_split_off(run, train) else 0


def is_split_off(run: Run, train: data.Dataset) -> bool:
    """Returns True if `train` are not all examples of the split to train on."""
    return train.size < _load(run, NONE)[0].size


def _ways(run: Run) -> str:
    """Returns flags with which there are examples to compare with, as a remedy."""
    enough = data.part_size(_load(run, NONE)[0].size) >= LEAST
    count = "part" if enough else LEAST
    trained_on = f"--split={count} to compare with examples that were trained on"
    for name in ("test", "val", "validation"):
        try:
            setup.load_data(dataclasses.replace(run.config, held_out=name))
        except UsageError:
            continue  # no such split, or one that was trained on
        return f"use --split={name}, or {trained_on}"
    return f"use {trained_on}, or train again with --held_out={count}"


def _load(run: Run, choice: str) -> tuple[data.Dataset, data.Dataset | None]:
    try:
        return setup.load_data(dataclasses.replace(run.config, held_out=choice))
    except UsageError as error:
        if choice == run.config.held_out:
            raise
        # The loader names a flag of training.
        shown = printable(choice)
        own = f"--split={printable(run.config.split)}"
        text = str(error).replace(f"with {own}", "with the training examples")
        text = text.replace(f"--held_out={shown}", f"--split={shown}")
        text = text.replace("--held_out=auto", "--split=auto")
        if isinstance(error.__cause__, NoSuchSplit):
            text = (
                f"--split={shown}: {run.config.dataset} has no such split: {_ways(run)}"
            )
        raise UsageError(text) from error
