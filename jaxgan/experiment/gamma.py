"""The gamma of `auto` in a run: chosen once, and recorded in config.json."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from jaxgan import data, storage, workdir
from jaxgan.config.training import Config
from jaxgan.gan.build_evaluators import task_of
from jaxgan.gan.data_checks import networks_example
from jaxgan.losses.gamma import (
    format_gamma,
    gamma_in,
    gamma_of,
    unclipped_gamma,
    uses_auto,
    with_gamma,
)

log = logging.getLogger("jaxgan")


def choose_gamma(config: Config, dataset: data.Dataset) -> Config:
    """Returns the configuration with a number in place of `auto`, which is logged.

    Runs that recorded `auto` itself are of an earlier version, and keep its rule.

    Args:
      config: the configuration, with the batch size over all devices.
      dataset: the training examples.
    """
    task = task_of(config, dataset)
    # Data that do not fit the task have an error of their own later.
    if task is None or not uses_auto(config.d_terms):
        return config
    shape = networks_example(task, dataset.example).shape
    gamma = gamma_of(shape)
    if _recorded_auto(config):
        gamma = unclipped_gamma(shape, config.batch_size)
    log.info("%s", format_gamma(gamma, shape))
    return dataclasses.replace(config, d_terms=with_gamma(config.d_terms, gamma))


def recorded_gamma(config: Config, stored: Mapping[str, Any]) -> dict[str, str]:
    """Returns `d_terms` with the number that a run has in place of `auto`, if any.

    Args:
      config: of the program that resumes the run.
      stored: the flags of the run.
    """
    recipe = str(stored.get("d_terms"))
    gamma = gamma_in(config.d_terms, recipe)
    if gamma is None:
        return {}
    log.info("gamma: auto is %s, as the run was started", gamma)
    return {"d_terms": recipe}


def is_same_gamma(old: Mapping[str, Any], new: str) -> bool:
    """Returns True if `new` is what `choose_gamma` made of the flags of an old run."""
    return gamma_in(str(old.get("d_terms")), new) is not None


def _recorded_auto(config: Config) -> bool:
    folder = storage.run_folder("--workdir", config.workdir)
    if not (folder / "config.json").is_file():
        return False
    return workdir.read_config(folder).get("d_terms") == config.d_terms
