"""Unconditional generation from noise."""

import jax

from jaxgan.ranges import Width
from jaxgan.tasks.latents import latent_sampler
from jaxgan.types import ExampleSpec, Samples, Task


def generate(
    dim: Width = 100, latents: str = "normal", *, example: ExampleSpec | None = None
) -> Task:
    """Samples from noise: `fake = G(z)`, z `[B, dim]`.

    Args:
      dim: entries of a latent.
      latents: `normal` or `uniform` (in (-1, 1)).
      example: the fields of an example, of which the first is generated; `image` if
        None.

    Raises:
      UsageError: for an unknown distribution, or if `dim` is less than 1.
    """
    sample_latent = latent_sampler(dim, latents)
    field = generated_field(example)

    def play(generator, batch, keys, step):
        z = jax.vmap(sample_latent)(keys)
        return Samples(batch[field], generator(z), latents=z)

    return Task(play, requires=(field,))


def generated_field(example: ExampleSpec | None) -> str:
    """Returns the name of the first field of an example, `image` if it is None."""
    return example.generated if example else "image"
