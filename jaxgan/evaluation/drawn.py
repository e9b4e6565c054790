"""Samples of a run as arrays, with and without rejection."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxgan import storage
from jaxgan.config.conditions import ConditionFlags
from jaxgan.config.evaluating import checkpoint_of
from jaxgan.config.latents import LatentFlags, check_truncation
from jaxgan.config.rejecting import RejectFlags, check_rejection
from jaxgan.config.sampling import USUAL_N, SampleConfig, check_n
from jaxgan.evaluation import sample_files
from jaxgan.evaluation.accepted_samples import (
    NO_CLASS,
    Acceptance,
    in_order,
    wanted_by,
)
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.previews import generate_in_batches
from jaxgan.evaluation.sample_inputs import (
    check_inputs,
    check_label,
    inputs_of,
    labels_of,
)
from jaxgan.evaluation.truncation import truncated_by
from jaxgan.experiment import memory


class Drawn(NamedTuple):
    """Samples of a run.

    >>> Drawn(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1]), 0.5).accepted
    0.5
    """

    samples: np.ndarray
    """`[n, *shape]` in the dtype of the data."""
    labels: np.ndarray | None
    """The class of each, `[n]` int32, or its attributes `[n, k]` float32; None of an
    unconditional run."""
    accepted: float
    """Share of the proposals that were accepted; 1 without rejection."""


def sample_run(
    workdir: str | Path,
    n: int = USUAL_N,
    *,
    seed: int = 0,
    label: str = "",
    attributes: str = "",
    truncation: float | None = None,
    reject: str = "none",
    reject_share: float = RejectFlags().reject_share,
    max_proposals: int = RejectFlags().max_proposals,
    checkpoint: str | int = "last",
    raw: bool = False,
    run: int = 0,
) -> Drawn:
    """Draws samples of a run, like `python -m jaxgan.sample`, and writes nothing.

    Args:
      workdir: folder of the run.
      n: number of samples.
      seed: of the samples.
      label: name or number of the class to draw; empty for all in turn.
      attributes: by name, such as `smiling=1,hair=dark`; the others are those of real
        examples.
      truncation: numbers of normal latents beyond it are drawn again; of networks with
        a mapping, the factor of w around its mean. None for neither.
      reject: samples to leave out: `none`, `discriminator` (rather those that it judges
        to be generated, https://arxiv.org/abs/1810.06758), or `classifier` (those that
        a classifier of the training set sees in another class).
      reject_share: share that the discriminator rejects on average.
      max_proposals: largest number of proposals for one sample, on average.
      checkpoint: `last`, `best` or a step.
      raw: True for the newest parameters instead of their moving average.
      run: number of the run, of several.

    Raises:
      UsageError: if the run or the checkpoint cannot be used, or too few samples are
        accepted.

    >>> sample_run("no/run")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=no/run is not the folder of a run...
    """
    folder = storage.run_folder("--workdir", workdir)
    config = SampleConfig(
        *(folder, Path(), check_n(n), (seed,), checkpoint_of(checkpoint), False, raw),
        run=run,
        label=label,
        conditions=ConditionFlags(attributes=attributes),
        rejection=check_rejection(RejectFlags(reject, reject_share, max_proposals)),
        latents=LatentFlags(check_truncation(truncation)),
    )
    opened = load_run(folder, number=run)
    check_inputs(opened.gan, opened.config.task)
    check_label(config, opened)
    opened = truncated_by(config, opened)
    if reject != "none":
        [found] = accepted_of(config, opened)
        return found._replace(samples=_in_dtype(found.samples, opened))
    example, inputs = opened.example, inputs_of(config, opened)
    variables = opened.restore(config.which, raw=raw)
    drawn = generate_in_batches(
        jax.jit(opened.gan.generate), variables, inputs.batch, inputs.keys(seed)
    )
    drawn = drawn[example.generated] if isinstance(drawn, dict) else drawn
    return Drawn(_in_dtype(drawn, opened), inputs.conditions, 1.0)


def _in_dtype(samples: np.ndarray, run: Run) -> np.ndarray:
    """Returns samples in the dtype of the data of a run."""
    return sample_files.to_dtype(samples, run.example.dtype)


def accepted_of(config: SampleConfig, run: Run) -> Iterator[Drawn]:
    """Yields accepted samples of each seed, float32 in [-1, 1].

    Those of all seeds are found before any are drawn.

    Raises:
      UsageError: if the run does not fit the flags, or too few samples are accepted.
    """
    part = run.part() | run.part(raw=True)
    memory.check_sampling(part, config.n, run.example.shape)
    labels = labels_of(config, run)
    asked = np.full(config.n, NO_CLASS) if labels is None else labels
    acceptance = Acceptance(run, config.rejection, config.which, raw=config.raw)
    wanted = wanted_by(asked)
    for own in [acceptance.accept(seed, wanted) for seed in config.seeds]:
        yield Drawn(in_order(acceptance.draw(own), asked), labels, own.rate)
