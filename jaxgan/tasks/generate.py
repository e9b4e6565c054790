"""Unconditional generation from noise."""

import jax

from jaxgan.errors import KindError
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
      FieldError: for texts, which the task `text` generates.
      UsageError: for an unknown distribution, or if `dim` is less than 1.
    """
    sample_latent = latent_sampler(dim, latents)
    field = generated_field(example, "generate")

    def play(generator, batch, keys, step):
        z = jax.vmap(sample_latent)(keys)
        return Samples(batch[field], generator(z), latents=z)

    return Task(play, requires=(field,))


def generated_field(example: ExampleSpec | None, name: str) -> str:
    """Returns the name of the first field of an example, `image` if it is None.

    Args:
      example: the fields of an example.
      name: of the task, for messages.

    Raises:
      FieldError: for tokens, which no gradient goes through.
    """
    if not example:
        return "image"
    if example[example.generated].kind == "tokens":
        raise KindError(f"{name} needs numbers, not texts", "tokens")
    return example.generated
