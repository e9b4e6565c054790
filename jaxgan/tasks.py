"""A task is one function: how the generator meets a batch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.ranges import Size, Width
from jaxgan.types import Samples, Task, Tree, UsageError

LATENTS: dict[str, Callable[..., jax.Array]] = {
    "normal": jax.random.normal,
    "uniform": lambda key, shape: jax.random.uniform(key, shape, minval=-1, maxval=1),
}
"""Distributions of latents: standard normal, or uniform in (-1, 1)."""


def generate(dim: Width = 100, latents: str = "normal") -> Task:
    """Samples from noise: `fake = G(z)`, z `[B, dim]`.

    Args:
      dim: entries of a latent.
      latents: `normal` or `uniform` (in (-1, 1)).
    """
    draw = _noise(dim, latents)

    def task(generator, batch, keys):
        z = jax.vmap(draw)(keys)
        return Samples(batch["image"], generator(z), latents=z)

    return task


def conditional(dim: Width = 100, latents: str = "normal") -> Task:
    """Samples with a label: `fake = G(z, label)`, https://arxiv.org/abs/1411.1784.

    Both players read the label `[B]` that came with the real example.

    Args:
      dim: entries of a latent, `[B, dim]`.
      latents: `normal` or `uniform` (in (-1, 1)).
    """
    draw = _noise(dim, latents)

    def task(generator, batch, keys):
        z, label = jax.vmap(draw)(keys), batch["label"]
        fake = _told(generator, z, label)
        return Samples(batch["image"], fake, condition=label, latents=z)

    return task


def codes(
    dim: Width = 62,
    categories: Size = 10,
    continuous: Size = 2,
    latents: str = "normal",
) -> Task:
    """Samples with a code that can be found again: InfoGAN, arXiv 1606.03657.

    A latent is noise, then a category as one-hot vector, then numbers in (-1, 1). The
    `reconstruction` is `category` `[B, categories]` and `continuous` `[B, continuous]`.

    Args:
      dim: entries of the noise.
      categories: how many, each as likely; 0 for no category.
      continuous: how many numbers; 0 for none.
      latents: of the noise, `normal` or `uniform` (in (-1, 1)).
    """
    draw = _noise(dim, latents)
    if categories < 0 or categories == 1:
        raise UsageError(f"categories={categories}: choose 0, or 2 or more, such as 10")
    if continuous < 0 or categories == continuous == 0:
        raise UsageError(f"continuous={continuous}: choose 0 or more, and some code")

    def one(key):
        noise, which, where = jax.random.split(key, 3)
        number = jax.random.randint(which, (), 0, max(categories, 1))
        code = {
            "category": jax.nn.one_hot(number, categories),
            "continuous": jax.random.uniform(where, (continuous,), minval=-1, maxval=1),
        }
        return draw(noise), code

    def task(generator, batch, keys):
        noise, code = jax.vmap(one)(keys)
        z = jnp.concatenate([noise, code["category"], code["continuous"]], axis=-1)
        code = {name: x for name, x in code.items() if x.shape[-1]}
        return Samples(batch["image"], generator(z), reconstruction=code, latents=z)

    return task


def _noise(dim: int, latents: str) -> Callable[[jax.Array], jax.Array]:
    """One example's key to its latent `[dim]`."""
    if latents not in LATENTS:
        raise UsageError(f"latents={latents!r}: choose normal or uniform")
    if dim < 1:
        raise UsageError(f"dim={dim}: a latent has at least 1 entry, such as 100")
    return lambda key: LATENTS[latents](key, (dim,))


def _told(generator: Callable[..., Tree], z: jax.Array, label: jax.Array) -> Tree:
    """The samples of a generator that reads labels."""
    try:
        return generator(z, label)
    except TypeError as error:
        if "positional argument" not in str(error):
            raise
        raise UsageError(
            "this generator reads no label: --generator_wrap=embed lets it"
        ) from error


TASKS = {f.__name__: f for f in (generate, conditional, codes)}
