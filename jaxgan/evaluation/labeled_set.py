"""Draws a labeled set from a conditional run: equally many samples of every class."""

import logging
from collections.abc import Iterator

import jax

from jaxgan.config.sampling import SampleConfig
from jaxgan.errors import UsageError
from jaxgan.evaluation import labeled_files
from jaxgan.evaluation.accepted_samples import Acceptance
from jaxgan.evaluation.class_samples import by_class
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.evaluation.sample_inputs import or_train
from jaxgan.experiment import memory
from jaxgan.gan import builder
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
    check_conditional(run, config.per_class)
    labeled_files.check_pictures(config.out, config.format, run.example)
    # A batch at a time is in memory, whatever the size of the set.
    memory.check_sampling(run.part(raw=config.raw), AT_ONCE, run.example.shape)
    classes, seed = run.example.classes, config.seeds[0]
    facts = {
        "run": config.workdir.name,
        "seed": seed,
        "per_class": config.per_class,
        "classes": list(classes),
    }
    total = config.per_class * len(classes)
    if config.rejection.reject == "none":
        facts["step"], variables = run.restore_step(config.which, raw=config.raw)
        parts = draw(
            run.gan, run.example, variables, per_class=config.per_class, seed=seed
        )
    else:
        acceptance = Acceptance(run, config.rejection, config.which, raw=config.raw)
        # All of them are found before any file is written.
        wanted = dict.fromkeys(range(len(classes)), config.per_class)
        found = acceptance.accept(seed, wanted)
        facts |= {"step": acceptance.step, **config.rejection._asdict()}
        facts["accepted"] = found.rate
        parts = acceptance.draw(found)
    with Progress("samples", total) as progress:
        place = labeled_files.write(
            config.out,
            config.format,
            run.example,
            counted(parts, progress),
            facts,
            overwrite=config.overwrite,
        )
    log.info(
        "%d samples of each of %d classes in %s",
        *(config.per_class, len(classes), place),
    )
    return 0


def check_conditional(run: Run, per_class: int) -> None:
    """Raises UsageError if samples do not depend on labels."""
    inputs, task = run.gan.task.inputs, run.config.task
    if "attributes" in inputs:
        raise UsageError(
            f"--per_class={per_class}: this run is conditional on attributes, and has "
            "no classes: use --n=1000 --out=FOLDER/"
        )
    if "label" not in inputs:
        raise UsageError(
            f"--per_class={per_class}: this run is unconditional, --task={task} reads "
            f"no labels: use --n=1000{or_train(run.example)}"
        )


def draw(
    gan: builder.GAN,
    example: ExampleSpec,
    variables: Tree,
    *,
    per_class: int,
    seed: int,
) -> Iterator[labeled_files.Part]:
    """Draws equally many samples of every class, one class after the other.

    A sample depends on the seed, its class and its number in the class only.

    Args:
      gan: a conditional GAN.
      example: the fields of its data.
      variables: the generator's.
      per_class: number of samples of each class.
      seed: of the latents.

    Returns:
      Classes, and samples of them, `[n, ...]` float32 in [-1, 1]; a few at a time.
    """
    generate = jax.jit(gan.generate)

    def call(batch: Batch, keys: jax.Array) -> Tree:
        drawn = generate(variables, batch, keys)
        return drawn[example.generated] if isinstance(drawn, dict) else drawn

    return by_class(call, example, per_class=per_class, seed=seed)


def counted(
    parts: Iterator[labeled_files.Part], progress: Progress
) -> Iterator[labeled_files.Part]:
    """Yields the parts of a set, and counts their samples."""
    for label, samples in parts:
        yield label, samples
        progress.advance(len(samples))
