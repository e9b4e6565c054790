"""Tasks: how the generator meets a batch.

A factory returns a `Task`: a function `play(generator, batch, keys, step) -> Samples`,
the fields that it reads, the columns of its previews, and the terms that it needs.
"""

from collections.abc import Callable

from jaxgan.tasks.anomaly import anomaly
from jaxgan.tasks.codes import codes
from jaxgan.tasks.conditional import conditional
from jaxgan.tasks.domains import domains
from jaxgan.tasks.generate import generate
from jaxgan.tasks.inpainting import inpainting
from jaxgan.tasks.latents import LATENTS, latent_sampler
from jaxgan.tasks.masks import MASKS
from jaxgan.tasks.paired import paired
from jaxgan.tasks.pool import pool
from jaxgan.tasks.spectrogram import spectrogram
from jaxgan.tasks.super_resolution import super_resolution
from jaxgan.tasks.text import text
from jaxgan.tasks.unpaired import unpaired
from jaxgan.tasks.vocoder import vocoder
from jaxgan.types import Task

TASKS: dict[str, Callable[..., Task]] = {
    f.__name__: f
    for f in (
        generate,
        conditional,
        codes,
        paired,
        unpaired,
        domains,
        super_resolution,
        inpainting,
        anomaly,
        vocoder,
        spectrogram,
        text,
    )
}
"""Factories of tasks by name."""

__all__ = [
    "LATENTS",
    "MASKS",
    "TASKS",
    "anomaly",
    "codes",
    "conditional",
    "domains",
    "generate",
    "inpainting",
    "latent_sampler",
    "paired",
    "pool",
    "spectrogram",
    "super_resolution",
    "text",
    "unpaired",
    "vocoder",
]
