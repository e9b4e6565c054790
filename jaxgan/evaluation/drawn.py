"""Samples of a run as arrays, with and without rejection."""

import functools
import math
from collections.abc import Callable, Iterator
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
from jaxgan.config.vocoding import vocoder_folder
from jaxgan.evaluation import sample_files, vocoded
from jaxgan.evaluation.accepted_samples import (
    NO_CLASS,
    Acceptance,
    in_order,
    wanted_by,
)
from jaxgan.evaluation.latent_paths import interpolate
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.previews import AT_ONCE, generate_in_batches
from jaxgan.evaluation.sample_inputs import (
    check_inputs,
    check_label,
    inputs_of,
    labels_of,
)
from jaxgan.evaluation.truncation import truncated_by
from jaxgan.experiment import memory
from jaxgan.types import Tree


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
    vocoder: str | Path | None = None,
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
      vocoder: folder of a run that inverts generated spectrograms, in place of
        Griffin-Lim.

    Raises:
      UsageError: if a run or the checkpoint cannot be used, or too few samples are
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
        vocoder=vocoder_folder(vocoder, {"reject": reject != "none"}),
    )
    opened = open_run(config)
    if reject == "none":
        [found] = samples_of(config, opened)
    else:
        [found] = accepted_of(config, opened)
    samples = sample_files.to_dtype(found.samples, opened.example.dtype)
    return found._replace(samples=samples)


def open_run(config: SampleConfig) -> Run:
    """Opens the run of a configuration, with its truncation.

    Raises:
      UsageError: if the run cannot be used, or does not fit the flags.
    """
    run = load_run(config.workdir, number=config.run)
    check_inputs(run.gan, run.config.task)
    check_label(config, run)
    return truncated_by(config, run)


def samples_of(
    config: SampleConfig, run: Run, change: Callable[[Tree], Tree] | None = None
) -> Iterator[Drawn]:
    """Returns samples of each seed, float32 in [-1, 1], drawn when they are needed.

    All flags are checked, and the checkpoint is read, before it returns.

    Args:
      config: the samples; `interpolate` joins the ends of each row of a square grid.
      run: the run.
      change: of the inputs of the generator, if they are not interpolated.

    Raises:
      UsageError: if the run does not fit the flags.
    """
    inputs, example = inputs_of(config, run), run.example
    vocoder = config.vocoder and vocoded.open_vocoder(config.vocoder, run)
    if vocoder:
        run = vocoded.in_spectrograms(run)
    # Nothing is read unless checkpoint and samples fit into memory.
    memory.check_sampling(run.part(raw=config.raw), inputs.count, example.shape)
    variables = run.restore(config.which, raw=config.raw)
    if vocoder:
        vocoder.restore()
    columns = grid_columns(inputs.count)
    if config.interpolate:
        way = str(config.interpolate)
        change = functools.partial(interpolate, columns=columns, way=way)
    more = () if change is None else (change,)
    # One compiled program draws all seeds.
    generate = jax.jit(lambda *args: run.gan.generate(*args, *more))
    at_once = max(AT_ONCE // columns, 1) * columns  # whole rows

    def draw(seed: int) -> Drawn:
        keys = inputs.keys(seed)
        drawn = generate_in_batches(generate, variables, inputs.batch, keys, at_once)
        # A task may generate more than one array, such as codes of the data.
        drawn = drawn[example.generated] if isinstance(drawn, dict) else drawn
        if vocoder:
            field = example[example.generated]
            drawn = vocoded.sounds_of(vocoder, drawn, field)
        return Drawn(drawn, inputs.conditions, 1.0)

    return map(draw, config.seeds)


def grid_columns(count: int) -> int:
    """Returns the samples in a row of a grid that is nearly square.

    >>> grid_columns(64), grid_columns(10)
    (8, 4)
    """
    return math.ceil(math.sqrt(count))


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
