"""Generation from noise and a label."""

import jax

from jaxgan.ranges import Width
from jaxgan.tasks.generate import generated_field
from jaxgan.tasks.latents import latent_sampler
from jaxgan.types import ExampleSpec, Samples, Task


def conditional(
    dim: Width = 100, latents: str = "normal", *, example: ExampleSpec | None = None
) -> Task:
    """Samples from noise and a label: `fake = G(z, label)`, z `[B, dim]`.

    Conditional GANs, https://arxiv.org/abs/1411.1784. Both players read the label
    `[B]` of the real example.

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
        # Fakes have the labels of the real examples.
        z, label = jax.vmap(sample_latent)(keys), batch["label"]
        fake = generator(z, label)
        return Samples(batch[field], fake, condition=label, latents=z)

    return Task(play, requires=(field, "label"), inputs=("label",))
