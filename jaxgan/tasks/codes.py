"""Generation from noise and a code that can be recovered from the sample."""

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.ranges import Size, Width
from jaxgan.tasks.generate import generated_field
from jaxgan.tasks.latents import latent_sampler
from jaxgan.types import ExampleSpec, Samples, Task


def codes(
    dim: Width = 62,
    categories: Size = 10,
    continuous: Size = 2,
    latents: str = "normal",
    *,
    example: ExampleSpec | None = None,
) -> Task:
    """Samples from noise and a code, for InfoGAN, https://arxiv.org/abs/1606.03657.

    A latent is noise, then a category as a one-hot vector, then numbers that are
    uniform in (-1, 1): `[B, dim + categories + continuous]`. The code is also the
    `reconstruction`: `category` `[B, categories]` and `continuous` `[B, continuous]`,
    without the one that has size 0.

    Args:
      dim: entries of the noise.
      categories: number of equally likely categories; 0 for no category.
      continuous: number of continuous entries; 0 for none.
      latents: distribution of the noise, `normal` or `uniform` (in (-1, 1)).
      example: the fields of an example, of which the first is generated; `image` if
        None.

    Raises:
      FieldError: for texts, which the task `text` generates.
      UsageError: for an unknown distribution, or for sizes that leave no code.
    """
    sample_noise, field = (
        latent_sampler(dim, latents),
        generated_field(example, "codes"),
    )
    if categories < 0 or categories == 1:
        raise UsageError(f"categories={categories}: choose 0, or 2 or more, such as 10")
    if continuous < 0 or categories == continuous == 0:
        raise UsageError(
            f"continuous={continuous}: choose 0 or more, and at least 1 if categories=0"
        )

    def sample_latent(key):
        noise_key, category_key, continuous_key = jax.random.split(key, 3)
        # `randint` needs a positive range; `one_hot` with 0 classes is empty.
        category = jax.random.randint(category_key, (), 0, max(categories, 1))
        code = {
            "category": jax.nn.one_hot(category, categories),
            "continuous": jax.random.uniform(
                continuous_key, (continuous,), minval=-1, maxval=1
            ),
        }
        return sample_noise(noise_key), code

    def play(generator, batch, keys, step):
        noise, code = jax.vmap(sample_latent)(keys)
        # `[B, dim + categories + continuous]`.
        z = jnp.concatenate([noise, code["category"], code["continuous"]], axis=-1)
        # A part of size 0 has nothing to recover.
        code = {name: x for name, x in code.items() if x.shape[-1]}
        return Samples(batch[field], generator(z), reconstruction=code, latents=z)

    return Task(play, requires=(field,))
