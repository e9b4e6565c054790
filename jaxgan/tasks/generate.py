"""Unconditional generation from noise."""

import jax

from jaxgan.ranges import Width
from jaxgan.tasks.latents import latent_sampler
from jaxgan.types import Samples, Task


def generate(dim: Width = 100, latents: str = "normal") -> Task:
    """Samples from noise: `fake = G(z)`, z `[B, dim]`.

    Args:
      dim: entries of a latent.
      latents: `normal` or `uniform` (in (-1, 1)).

    Raises:
      UsageError: for an unknown distribution, or if `dim` is less than 1.
    """
    sample_latent = latent_sampler(dim, latents)

    def task(generator, batch, keys):
        z = jax.vmap(sample_latent)(keys)
        return Samples(batch["image"], generator(z), latents=z)

    return task
