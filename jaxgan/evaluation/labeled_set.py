"""Draws a labeled set from a conditional run: equally many samples of every class."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config.sampling import SampleConfig
from jaxgan.errors import UsageError
from jaxgan.evaluation import labeled_files
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.experiment import memory
from jaxgan.gan import builder
from jaxgan.gan.objective import example_keys
from jaxgan.parallel import multi_seed
from jaxgan.types import Batch, ExampleSpec, Tree

log = logging.getLogger("jaxgan")


def export(config: SampleConfig, run: Run) -> int:
    """Draws a labeled set, and writes it. Returns the exit code.

    Args:
      config: has the number of samples per class, the format and the place.
      run: a conditional run, of a checked task.

    Raises:
      UsageError: if the run is unconditional, or the place cannot be written.
    """
    check_conditional(run.gan, run.config.task, config.per_class)
    labeled_files.check_pictures(config.out, config.format, run.example)
    # A batch at a time is in memory, whatever the size of the set.
    memory.check_sampling(run.part(raw=config.raw), AT_ONCE, run.example.shape)
    step, variables = run.restore_step(config.which, raw=config.raw)
    classes = run.example.classes
    facts = {
        "run": config.workdir.name,
        "step": step,
        "seed": config.seeds[0],
        "per_class": config.per_class,
        "classes": list(classes),
    }
    total = config.per_class * len(classes)
    with Progress("samples", total) as progress:
        parts = draw(
            *(run.gan, run.example, variables),
            per_class=config.per_class,
            seed=config.seeds[0],
            progress=progress,
        )
        place = labeled_files.write(
            *(config.out, config.format, run.example, parts, facts),
            overwrite=config.overwrite,
        )
    log.info(
        "%d samples of each of %d classes in %s",
        *(config.per_class, len(classes), place),
    )
    return 0


def check_conditional(gan: builder.GAN, task: str, per_class: int) -> None:
    """Raises UsageError if samples do not depend on labels."""
    if "label" not in gan.task.inputs:
        raise UsageError(
            f"--per_class={per_class}: this run is unconditional, --task={task} reads "
            "no labels: use --n=1000, or train with --preset=projection"
        )


def draw(
    gan: builder.GAN,
    example: ExampleSpec,
    variables: Tree,
    *,
    per_class: int,
    seed: int,
    progress: Progress | None = None,
) -> Iterator[labeled_files.Part]:
    """Draws equally many samples of every class, one class after the other.

    A sample depends on the seed, its class and its number in the class only.

    Args:
      gan: a conditional GAN.
      example: the fields of its data.
      variables: the generator's.
      per_class: number of samples of each class.
      seed: of the latents.
      progress: counts the samples.

    Yields:
      A class, and samples of it, `[n, ...]` float32 in [-1, 1]; a few at a time.
    """
    generate = jax.jit(gan.generate)

    def call(batch: Batch, keys: jax.Array) -> Tree:
        drawn = generate(variables, batch, keys)
        return drawn[example.generated] if isinstance(drawn, dict) else drawn

    for label, samples in by_class(call, example, per_class=per_class, seed=seed):
        yield label, samples
        if progress:
            progress.advance(len(samples))


def by_class(
    call: Callable[[Batch, jax.Array], Tree],
    example: ExampleSpec,
    *,
    per_class: int,
    seed: int,
) -> Iterator[tuple[int, Tree]]:
    """Calls a function for numbered samples of every class, some at a time.

    Args:
      call: maps a batch with a label and keys `[n]` to arrays `[n, ...]`.
      example: the fields of the data.
      per_class: number of samples of each class.
      seed: of the keys.

    Yields:
      A class, and what the function returns, as NumPy arrays.
    """
    at_once = min(AT_ONCE, per_class)
    batch: dict[str, Any] = dict(builder.example_batch(example, at_once))
    for label in range(len(example.classes)):
        key = jax.random.fold_in(multi_seed.key_of(seed), label)
        batch["label"] = jnp.full(at_once, label, jnp.int32)
        for start in range(0, per_class, at_once):
            # All calls have the same shapes; samples beyond the last one are dropped.
            found = call(batch, example_keys(key, at_once, start))
            left = per_class - start
            yield label, jax.tree.map(lambda x: np.asarray(x)[:left], found)  # noqa: B023
