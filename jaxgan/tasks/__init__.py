"""Tasks: how the generator meets a batch.

A factory returns a `Task`: a function `play(generator, batch, keys, step) -> Samples`,
the fields that it reads, the columns of its previews, and the terms that it needs.
"""

from collections.abc import Callable

from jaxgan.tasks.codes import codes
from jaxgan.tasks.conditional import conditional
from jaxgan.tasks.generate import generate
from jaxgan.tasks.latents import LATENTS, latent_sampler
from jaxgan.tasks.paired import paired
from jaxgan.tasks.pool import pool
from jaxgan.types import Task

TASKS: dict[str, Callable[..., Task]] = {
    f.__name__: f for f in (generate, conditional, codes, paired)
}
"""Factories of tasks by name."""

__all__ = [
    "LATENTS",
    "TASKS",
    "codes",
    "conditional",
    "generate",
    "latent_sampler",
    "paired",
    "pool",
]
