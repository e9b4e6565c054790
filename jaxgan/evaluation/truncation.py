"""Truncated sampling: less variety for better samples."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config.sampling import SampleConfig
from jaxgan.errors import UsageError
from jaxgan.evaluation.latent_space import (
    LEARNED,
    LatentSpace,
    at_mapping,
    check_has_latents,
)
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.sample_inputs import inputs_of
from jaxgan.experiment import memory
from jaxgan.gan import objective
from jaxgan.gan.gan import make_generate, make_play
from jaxgan.networks.styles import has_styles
from jaxgan.types import Batch, Task

EXAMINED = 4_096
"""Latents by which entries are found to be normal."""

AGAIN = 0x7472
"""Folded into keys of examples for entries that are drawn again."""

MOST_MAPPED = 16 * LEARNED
"""Latents of all conditions from which mean styles are computed."""


def truncated_by(config: SampleConfig, run: Run) -> Run:
    """Returns a run whose samples are truncated, if a flag says so.

    Raises:
      UsageError: as `truncated_run` does.
    """
    truncation = config.latents.truncation
    if truncation is None:
        return run
    # A labeled set has no number of samples, but all classes.
    batch = inputs_of(config._replace(n=max(config.n, 1)), run).batch
    return truncated_run(run, truncation, batch, config.which, raw=config.raw)


def truncated_run(
    run: Run,
    truncation: float,
    batch: Mapping[str, Any],
    which: Any = "last",
    *,
    raw: bool = False,
) -> Run:
    """Returns a run whose samples are truncated.

    Entries of normal latents beyond the threshold are drawn again, BigGAN,
    https://arxiv.org/abs/1809.11096, section 3.1. With styles, w is `truncation` times
    as far from the mean w of its condition, StyleGAN,
    https://arxiv.org/abs/1812.04948, appendix B.

    Args:
      run: the run.
      truncation: the threshold, or the factor.
      batch: examples with all labels or attributes that are asked for.
      which: the checkpoint: `last`, `best` or a step.
      raw: True for the newest parameters instead of their moving average.

    Raises:
      UsageError: if the run has no such latents.
    """
    if truncation == 0 and not has_styles(run.gan.networks.generator):
        raise UsageError(
            "--truncation=0: latents of this run have a threshold, which must be above "
            "0, such as --truncation=0.5"
        )
    with _named(truncation):
        check_has_latents(run)
    memory.check_sampling(run.part(raw=raw), 0, run.example.shape)
    variables = run.restore(which, raw=raw)
    with _named(truncation):
        space = LatentSpace(run, variables)
    if space.has_styles:
        task = _towards_means(run.gan.task, space, truncation, batch)
    else:
        task = _with_threshold(run.gan.task, space, truncation)
    networks = run.gan.networks
    gan = run.gan._replace(
        task=task,
        generate=make_generate(task, networks),
        play=make_play(task, networks),
    )
    return dataclasses.replace(run, gan=gan)


@contextmanager
def _named(truncation: float) -> Iterator[None]:
    """Names the flag in errors of runs without latents."""
    try:
        yield
    except UsageError as error:
        raise UsageError(
            f"leave out --truncation={truncation:g}, which is for latents: {error}"
        ) from error


def _with_threshold(task: Task, space: LatentSpace, threshold: float) -> Task:
    """Returns a task whose normal latents are truncated.

    Raises:
      UsageError: if no entries of latents are normal.
    """
    keys = objective.example_keys(jax.random.key(3), EXAMINED)
    normal = normal_entries(space.latents(keys, {}))
    if not normal.any():
        raise UsageError(
            f"--truncation={threshold:g} is for normal latents, and those of "
            f"--task={space.run.config.task} are not: leave it out"
        )

    def play(generator, batch, keys, step):
        def truncated(inputs, condition=None):
            cut = truncate(inputs, keys, threshold)
            return generator(jnp.where(normal, cut, inputs), condition)

        return task.play(truncated, batch, keys, step)

    return task._replace(play=play)


def normal_entries(z: np.ndarray) -> np.ndarray:
    """Returns which entries of latents are standard normal, `[dim]` bool.

    Args:
      z: thousands of latents, `[n, dim]`.

    >>> z = np.random.default_rng(0).standard_normal((4096, 1))
    >>> normal_entries(np.concatenate([z, np.sign(z), 0 * z], axis=1)).tolist()
    [True, False, False]
    """
    # Uniform numbers, categories and signs never reach 2, and normal ones do.
    is_scaled = (np.abs(z.mean(0)) < 0.1) & (np.abs(z.std(0) - 1) < 0.1)
    return is_scaled & (np.abs(z).max(0) > 2)


def truncate(z: jax.Array, keys: jax.Array, threshold: float) -> jax.Array:
    """Draws entries of normal latents again until none is beyond a threshold.

    Entries within the threshold stay as they are.

    Args:
      z: standard normal, `[n, dim]`.
      keys: of the examples, `[n]`.
      threshold: above 0.
    """

    def again(key):
        # Drawing until a number is within has this distribution.
        key = jax.random.fold_in(key, AGAIN)
        return jax.random.truncated_normal(key, -threshold, threshold, z.shape[1:])

    return jnp.where(jnp.abs(z) > threshold, jax.vmap(again)(keys), z)


def _towards_means(
    task: Task, space: LatentSpace, factor: float, batch: Mapping[str, Any]
) -> Task:
    """Returns a task whose w are nearer to the mean w of their condition."""
    rows, means = mean_styles(space, batch)

    def play(generator, batch, keys, step):
        mean = means[_row_of(rows, batch)] if rows else means[0]

        def change(w):
            return (mean + factor * (w - mean)).astype(w.dtype)

        def truncated(inputs, condition=None):
            with at_mapping(change):
                return generator(inputs, condition)

        return task.play(truncated, batch, keys, step)

    return task._replace(play=play)


def mean_styles(
    space: LatentSpace, batch: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], jax.Array]:
    """Returns the mean w of each condition of a batch.

    Returns:
      The different conditions by field, `[m, ...]`, and their means `[m, d]`; one mean
      of a run without conditions.
    """
    names = space.run.gan.task.inputs
    if not names:
        return {}, jnp.asarray(space.mean_style({}))[None]
    count = max(len(batch[name]) for name in names)
    fields = space.conditions(batch, np.arange(count))
    flat = np.concatenate([x.reshape(count, -1) for x in fields.values()], axis=1)
    _, first = np.unique(flat, axis=0, return_index=True)
    rows = {name: x[np.sort(first)] for name, x in fields.items()}
    each = max(min(LEARNED, MOST_MAPPED // len(first)), 64)
    means = [
        space.mean_style({name: x[i : i + 1] for name, x in rows.items()}, each)
        for i in range(len(first))
    ]
    return rows, jnp.asarray(np.stack(means))


def _row_of(rows: dict[str, np.ndarray], batch: Batch) -> jax.Array:
    """Returns the number of each example's condition among those of `rows`, `[B]`."""

    def equal(name: str, known: np.ndarray) -> jax.Array:
        own = batch[name]
        if own.ndim == 2 and known.ndim == 1:  # a soft label counts as the likeliest
            own = own.argmax(-1)
        pairs = own[:, None] == known[None]
        return pairs.reshape(*pairs.shape[:2], -1).all(-1)

    same: Callable = functools.partial(functools.reduce, jnp.logical_and)
    return same([equal(name, known) for name, known in rows.items()]).argmax(1)
