"""Draws samples from a run, and writes them to files."""

import functools
import logging
import math

import jax
import jax.numpy as jnp

from jaxgan.config.sampling import SampleConfig
from jaxgan.errors import UsageError
from jaxgan.evaluation import (
    labeled_files,
    labeled_set,
    latent_sheets,
    sample_files,
    text_samples,
)
from jaxgan.evaluation.drawn import accepted_of
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.previews import AT_ONCE, generate_in_batches
from jaxgan.evaluation.sample_inputs import (
    check_inputs,
    check_label,
    inputs_of,
    names_of,
)
from jaxgan.evaluation.truncation import truncated_by
from jaxgan.experiment import memory
from jaxgan.types import Tree

log = logging.getLogger("jaxgan")


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
        return labeled_set.export(config, truncated_by(config, run))
    check_label(config, run)
    run = truncated_by(config, run)
    gan = run.gan
    if config.latents.sheet:
        return latent_sheets.draw(config, run)
    if config.rejection.reject != "none":
        return sample_accepted(config, run)
    field, of_texts = example[example.generated], text_samples.check(config, example)
    inputs = inputs_of(config, run)
    # Nothing is read unless checkpoint and samples fit into memory.
    memory.check_sampling(run.part(raw=config.raw), inputs.count, example.shape)
    variables = run.restore(config.which, raw=config.raw)
    field = example[example.generated]
    sample_files.open_folder(config, field)
    # One compiled program draws all seeds.
    columns = math.ceil(math.sqrt(inputs.count))
    change = _identity
    if config.interpolate:
        change = functools.partial(
            interpolate, columns=columns, way=str(config.interpolate)
        )
    elif of_texts:
        change = text_samples.change_of(config, field)
    generate = jax.jit(lambda *args: gan.generate(*args, change))
    labels = inputs.conditions, names_of(example, inputs.field)
    at_once = max(AT_ONCE // columns, 1) * columns  # whole rows
    for seed in config.seeds:
        keys = inputs.keys(seed)
        drawn = generate_in_batches(generate, variables, inputs.batch, keys, at_once)
        # A task may generate more than one array, such as codes of the data.
        samples = drawn[example.generated] if isinstance(drawn, dict) else drawn
        if of_texts:
            path, note = text_samples.write(config, seed, samples, field)
            log.info("%d texts in %s, %s", len(samples), path, note)
            continue
        path = sample_files.write(config, seed, samples, field, *labels)
        log.info("%d samples in %s", len(samples), path)
    return 0


def sample_accepted(config: SampleConfig, run: Run) -> int:
    """Draws samples of which some are rejected, and writes them. Returns the exit code.

    Raises:
      UsageError: if the run does not fit the flags, or too few samples are accepted.
    """
    example, field = run.example, run.example[run.example.generated]
    text_samples.check(config, example)
    found = accepted_of(config, run)
    for seed, own in zip(config.seeds, found, strict=True):
        sample_files.open_folder(config, field)
        path = sample_files.write(
            config, seed, own.samples, field, own.labels, example.classes
        )
        log.info("%d samples in %s", len(own.samples), path)
    return 0


def interpolate(z: jax.Array, columns: int, way: str = "spherical") -> jax.Array:
    """Interpolates latents along each row, from its first to its last.

    Spherical interpolation, https://arxiv.org/abs/1609.04468.

    Args:
      z: `[n, d]`, in rows of `columns`. The last row may be shorter.
      columns: latents in a row.
      way: `spherical` or `linear`.

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
    if way == "linear":
        return (1 - t) * a + t * b
    # The angle w between the ends of each row, at least 1e-4 as its sine divides.
    lengths = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    cosine = jnp.clip(jnp.sum(a * b, -1) / jnp.maximum(lengths, 1e-8), -1, 1)
    angle = jnp.maximum(jnp.arccos(cosine), 1e-4)[:, None]
    # (sin((1 - t) w) a + sin(t w) b) / sin(w).
    return (jnp.sin((1 - t) * angle) * a + jnp.sin(t * angle) * b) / jnp.sin(angle)


def _identity(z: Tree) -> Tree:
    """Returns the latents unchanged."""
    return z
