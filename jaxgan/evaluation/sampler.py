"""Draws samples from a run, and writes them to files."""

import logging

from jaxgan.config.sampling import SampleConfig
from jaxgan.evaluation import (
    labeled_files,
    labeled_set,
    latent_sheets,
    sample_files,
    text_samples,
)
from jaxgan.evaluation.drawn import accepted_of, samples_of
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.sample_inputs import (
    check_inputs,
    check_label,
    condition_of,
    names_of,
)
from jaxgan.evaluation.truncation import truncated_by
from jaxgan.experiment import memory

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
    check_inputs(run.gan, run.config.task)
    if config.per_class:
        return labeled_set.export(config, truncated_by(config, run))
    check_label(config, run)
    run = truncated_by(config, run)
    if config.latents.sheet:
        return latent_sheets.draw(config, run)
    if config.rejection.reject != "none":
        return sample_accepted(config, run)
    example, field = run.example, run.example[run.example.generated]
    of_texts = text_samples.check(config, example)
    change = text_samples.change_of(config, field) if of_texts else None
    sample_files.check_form(config, field)
    found = samples_of(config, run, change)
    sample_files.open_folder(config)
    names = names_of(example, condition_of(run))
    for seed, own in zip(config.seeds, found, strict=True):
        if of_texts:
            path, note = text_samples.write(config, seed, own.samples, field)
            log.info("%d texts in %s, %s", len(own.samples), path, note)
            continue
        path = sample_files.write(config, seed, own.samples, field, own.labels, names)
        log.info("%d samples in %s", len(own.samples), path)
    return 0


def sample_accepted(config: SampleConfig, run: Run) -> int:
    """Draws samples of which some are rejected, and writes them. Returns the exit code.

    Raises:
      UsageError: if the run does not fit the flags, or too few samples are accepted.
    """
    example, field = run.example, run.example[run.example.generated]
    text_samples.check(config, example)
    sample_files.check_form(config, field)
    found = accepted_of(config, run)
    for seed, own in zip(config.seeds, found, strict=True):
        sample_files.open_folder(config)
        path = sample_files.write(
            config, seed, own.samples, field, own.labels, example.classes
        )
        log.info("%d samples in %s", len(own.samples), path)
    return 0
