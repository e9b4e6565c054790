"""The real examples of an evaluation, and the number that the run was trained on."""

import dataclasses
import logging

from jaxgan import data
from jaxgan.config.evaluating import AUTO, EvaluateConfig
from jaxgan.errors import UsageError
from jaxgan.evaluation.load_run import Run
from jaxgan.experiment import setup

log = logging.getLogger("jaxgan")

NONE = "none"


def load_real(
    run: Run, config: EvaluateConfig
) -> tuple[data.Dataset, data.Dataset | None]:
    """Loads the training examples of a run, and those that are held out.

    `--split=auto` is what the run itself held out, or the split `test` if it held out
    nothing. A number of examples and `part` are split off the training examples. If the
    run was trained on these, a warning says so.

    Raises:
      UsageError: if there are no held-out examples, or fewer than asked for.
    """
    own, auto = run.config.held_out, config.split == AUTO
    train, held_out = _load(run, own if auto and own != NONE else config.split)
    if config.against:
        return train, held_out
    if held_out is not None and auto and own == NONE and is_split_off(run, train):
        # The run was trained on them: they have to be asked for.
        held_out = None
    if held_out is None:
        raise UsageError(
            f"--dataset={run.config.dataset} has no examples that were held out: name "
            "a split, such as --split=test, or use --split=part to compare with "
            "examples that were trained on"
        )
    if config.n_real > held_out.size:
        raise UsageError(
            f"--n_real={config.n_real}: there are {held_out.size} held-out examples; "
            f"use --n_real={held_out.size}"
        )
    if held_out.size < 2:
        raise UsageError("there is a single held-out example: use another --split")
    if count := count_trained_on(run, config, held_out):
        log.warning(
            "%s of the %s real examples were trained on, as the run held out %s: a "
            "generator that copies them has good values",
            *(f"{count:,}", f"{held_out.size:,}", own),
        )
    return train, held_out


def count_trained_on(run: Run, config: EvaluateConfig, held_out: data.Dataset) -> int:
    """Returns the number of the real examples that the run was trained on.

    Args:
      run: the run.
      config: the configuration.
      held_out: the examples that `load_real` has returned.
    """
    # A split by name is checked when it is loaded.
    counted = config.split == "part" or config.split.isdigit()
    if not counted or config.split == run.config.held_out:
        return 0
    train, own = _load(run, run.config.held_out)
    # Fewer examples that are split off are among more, as their order is fixed.
    kept = own.size if own is not None and is_split_off(run, train) else 0
    return max(held_out.size - kept, 0)


def is_split_off(run: Run, train: data.Dataset) -> bool:
    """Returns True if `train` are not all examples of the split to train on."""
    return train.size < _load(run, NONE)[0].size


def _load(run: Run, choice: str) -> tuple[data.Dataset, data.Dataset | None]:
    return setup.load_data(dataclasses.replace(run.config, held_out=choice))
