"""Generation from noise and a label."""

from collections.abc import Callable

import jax

from jaxgan.errors import UsageError
from jaxgan.ranges import Width
from jaxgan.tasks.latents import latent_sampler
from jaxgan.types import Samples, Task, Tree


def conditional(dim: Width = 100, latents: str = "normal") -> Task:
    """Samples from noise and a label: `fake = G(z, label)`, z `[B, dim]`.

    Conditional GANs, https://arxiv.org/abs/1411.1784. Both players read the label
    `[B]` of the real example.

    Args:
      dim: entries of a latent.
      latents: `normal` or `uniform` (in (-1, 1)).

    Raises:
      UsageError: for an unknown distribution, or if `dim` is less than 1; from the
        task, if the generator takes no label.
    """
    sample_latent = latent_sampler(dim, latents)

    def task(generator, batch, keys):
        # Fakes have the labels of the real examples.
        z, label = jax.vmap(sample_latent)(keys), batch["label"]
        fake = _generate_with_label(generator, z, label)
        return Samples(batch["image"], fake, condition=label, latents=z)

    return task


def _generate_with_label(
    generator: Callable[..., Tree], z: jax.Array, label: jax.Array
) -> Tree:
    """Returns `generator(z, label)`; raises UsageError if it takes no label."""
    try:
        return generator(z, label)
    except TypeError as error:
        # Any other TypeError is the generator's own, and keeps its traceback.
        if "positional argument" not in str(error):
            raise
        raise UsageError(
            "this generator takes no label: wrap it in embed, or use the task generate"
        ) from error
