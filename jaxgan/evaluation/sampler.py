"""Draws samples from a run, and writes them to files."""

import functools
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config.evaluating import checkpoint_of
from jaxgan.config.sampling import (
    USUAL_N,
    RejectFlags,
    SampleConfig,
    check_n,
    check_rejection,
)
from jaxgan.errors import UsageError
from jaxgan.evaluation import labeled_files, labeled_set, sample_files, text_samples
from jaxgan.evaluation.accepted_samples import (
    NO_CLASS,
    Acceptance,
    in_order,
    wanted_by,
)
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.previews import AT_ONCE, generate_in_batches
from jaxgan.experiment import memory
from jaxgan.files import local_path
from jaxgan.gan import builder
from jaxgan.gan.objective import example_keys
from jaxgan.parallel import multi_seed
from jaxgan.ranges import ceil_div
from jaxgan.spec import unknown
from jaxgan.types import Batch, ExampleSpec, Tree

log = logging.getLogger("jaxgan")


class Drawn(NamedTuple):
    """Samples of a run.

    >>> Drawn(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1]), 0.5).accepted
    0.5
    """

    samples: np.ndarray
    """`[n, *shape]` in the dtype of the data."""
    labels: np.ndarray | None
    """The class of each, `[n]` int32; None of an unconditional run."""
    accepted: float
    """Share of the proposals that were accepted; 1 without rejection."""


def sample_run(
    workdir: str | Path,
    n: int = USUAL_N,
    *,
    seed: int = 0,
    label: str = "",
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
      label: name of the class to draw; empty for all in turn.
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
    folder = local_path("--workdir", workdir)
    config = SampleConfig(
        *(folder, Path(), check_n(n), (seed,), checkpoint_of(checkpoint), False, raw),
        run=run,
        label=label,
        rejection=check_rejection(RejectFlags(reject, reject_share, max_proposals)),
    )
    opened = load_run(folder, number=run)
    check_inputs(opened.gan, opened.config.task)
    check_label(config, opened)
    if reject != "none":
        [found] = _accepted(config, opened)
        return found._replace(samples=_in_dtype(found.samples, opened))
    example = opened.example
    variables = opened.restore(config.which, raw=raw)
    drawn = generate_in_batches(
        jax.jit(opened.gan.generate),
        variables,
        conditioning_batch(config, example),
        example_keys(multi_seed.key_of(seed), n),
    )
    drawn = drawn[example.generated] if isinstance(drawn, dict) else drawn
    return Drawn(_in_dtype(drawn, opened), labels_of(config, opened), 1.0)


def _in_dtype(samples: np.ndarray, run: Run) -> np.ndarray:
    """Returns samples in the dtype of the data of a run."""
    return sample_files.to_dtype(samples, run.example.dtype)


@memory.explain_out_of_memory("use a smaller --n, and several seeds such as --seed=0-9")
def sample(config: SampleConfig) -> int:
    """Draws samples and writes them. Returns the exit code.

    Raises:
      UsageError: if the run or the checkpoint does not exist or does not fit the flags.
    """
    # All flags are checked before the checkpoint is read.
    if config.per_class:
        labeled_files.check_place(config.out, config.format, overwrite=config.overwrite)
    else:
        sample_files.check_place(config)
    run = load_run(config.workdir, number=config.run)
    gan, example = run.gan, run.example
    check_inputs(gan, run.config.task)
    if config.per_class:
        return labeled_set.export(config, run)
    check_label(config, run)
    if config.rejection.reject != "none":
        return sample_accepted(config, run)
    field, of_texts = example[example.generated], text_samples.check(config, example)
    # Nothing is read unless checkpoint and samples fit into memory.
    memory.check_sampling(run.part(raw=config.raw), config.n, example.shape)
    variables = run.restore(config.which, raw=config.raw)
    field = example[example.generated]
    sample_files.open_folder(config, field)
    # One compiled program draws all seeds.
    columns = math.ceil(math.sqrt(config.n))
    change = _identity
    if config.interpolate:
        change = functools.partial(interpolate, columns=columns)
    elif of_texts:
        change = text_samples.change_of(config, field)
    generate = jax.jit(lambda *args: gan.generate(*args, change))
    batch = conditioning_batch(config, example)
    labels = labels_of(config, run)
    at_once = max(AT_ONCE // columns, 1) * columns  # whole rows
    for seed in config.seeds:
        keys = example_keys(multi_seed.key_of(seed), config.n)
        drawn = generate_in_batches(generate, variables, batch, keys, at_once)
        # A task may generate more than one array, such as codes of the data.
        samples = drawn[example.generated] if isinstance(drawn, dict) else drawn
        if of_texts:
            path, note = text_samples.write(config, seed, samples, field)
            log.info("%d texts in %s, %s", len(samples), path, note)
            continue
        path = sample_files.write(config, seed, samples, field, labels, example.classes)
        log.info("%d samples in %s", len(samples), path)
    return 0


def sample_accepted(config: SampleConfig, run: Run) -> int:
    """Draws samples of which some are rejected, and writes them. Returns the exit code.

    Raises:
      UsageError: if the run does not fit the flags, or too few samples are accepted.
    """
    example, field = run.example, run.example[run.example.generated]
    text_samples.check(config, example)
    found = _accepted(config, run)
    for seed, own in zip(config.seeds, found, strict=True):
        sample_files.open_folder(config, field)
        path = sample_files.write(
            config, seed, own.samples, field, own.labels, example.classes
        )
        log.info("%d samples in %s", len(own.samples), path)
    return 0


def _accepted(config: SampleConfig, run: Run) -> Iterator[Drawn]:
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


def check_label(config: SampleConfig, run: Run) -> None:
    """Raises UsageError if a class is asked for of an unconditional run."""
    if config.label and "label" not in run.gan.task.inputs:
        raise UsageError(
            f"--label={config.label}: this run is unconditional, "
            f"--task={run.config.task} reads no labels: remove --label, or train with "
            "--preset=projection"
        )


def labels_of(config: SampleConfig, run: Run) -> np.ndarray | None:
    """Returns the labels of samples, `[n]`, or None of an unconditional run.

    Raises:
      UsageError: if there is no class of the name that is asked for.
    """
    if "label" not in run.gan.task.inputs:
        return None
    # Labels repeat in the order of the batch, as its examples do.
    batch = conditioning_batch(config, run.example)
    return np.resize(np.asarray(batch["label"]), config.n)


def check_inputs(gan: builder.GAN, name: str) -> None:
    """Raises UsageError if samples depend on more than noise and labels."""
    if gan.task.transform is not None:
        raise UsageError(
            f"--task={name} maps its inputs, and draws no samples: use python -m "
            "jaxgan.apply --workdir=RUN IN OUT with files of yours"
        )
    others = [field for field in gan.task.inputs if field != "label"]
    if others:
        raise UsageError(
            f"--task={name} needs {', '.join(others)} to sample from, which "
            "this program cannot read: use jaxgan.load_run(...).gan.sample with a batch"
        )


def conditioning_batch(config: SampleConfig, example: ExampleSpec) -> Batch:
    """Returns the examples to generate from: one class, or all of them in turn.

    Raises:
      UsageError: if there is no class of that name.
    """
    names = list(example.classes)
    turn = max(len(names), 1)
    count = ceil_div(min(config.n, AT_ONCE), turn) * turn  # each class equally often
    batch = builder.example_batch(example, count)
    if not config.label:
        return batch
    if config.label not in names:
        raise UsageError(f"--label: {unknown(config.label, names, 'class')}")
    return {**batch, "label": jnp.full(count, names.index(config.label), jnp.int32)}


def interpolate(z: jax.Array, columns: int) -> jax.Array:
    """Interpolates latents along each row, from its first to its last.

    Spherical interpolation, https://arxiv.org/abs/1609.04468.

    Args:
      z: `[n, d]`, in rows of `columns`. The last row may be shorter.
      columns: latents in a row.

    Returns:
      `[n, d]`.

    Raises:
      UsageError: if `z` is not an array.

    >>> row = interpolate(jnp.array([[1.0, 0.0], [5.0, 5.0], [0.0, 1.0]]), columns=3)
    >>> [round(float(x), 4) for x in row[1]]
    [0.7071, 0.7071]
    """
    if not isinstance(z, jax.Array):
        raise UsageError(
            "--interpolate needs a generator whose only input is a latent; leave it out"
        )
    place = jnp.arange(len(z))
    # The index of the first latent in each row.
    first = place // columns * columns
    a, b = z[first], z[jnp.minimum(first + columns - 1, len(z) - 1)]
    # The place in a full row, from 0 to 1: `[n, 1]`.
    t = ((place - first) / max(columns - 1, 1))[:, None]
    # The angle w between the ends of each row, at least 1e-4 as its sine divides.
    lengths = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    cosine = jnp.clip(jnp.sum(a * b, -1) / jnp.maximum(lengths, 1e-8), -1, 1)
    angle = jnp.maximum(jnp.arccos(cosine), 1e-4)[:, None]
    # (sin((1 - t) w) a + sin(t w) b) / sin(w).
    return (jnp.sin((1 - t) * angle) * a + jnp.sin(t * angle) * b) / jnp.sin(angle)


def _identity(z: Tree) -> Tree:
    """Returns the latents unchanged."""
    return z
