"""A task is one function: how the generator meets a batch."""

from collections.abc import Callable

import jax

from jaxgan.core import Samples, Task, UsageError

LATENTS: dict[str, Callable[..., jax.Array]] = {
    "normal": jax.random.normal,
    "uniform": lambda key, shape: jax.random.uniform(key, shape, minval=-1, maxval=1),
}
"""Distributions of latents: standard normal, or uniform in (-1, 1)."""


def generate(dim: int = 100, latents: str = "normal") -> Task:
    """Samples from noise: `fake = G(z)`, z `[B, dim]`.

    Args:
      dim: entries of a latent.
      latents: `normal` or `uniform` (in (-1, 1)).
    """
    if latents not in LATENTS:
        raise UsageError(f"latents={latents!r}: choose normal or uniform")
    if dim < 1:
        raise UsageError(f"dim={dim}: a latent has at least 1 entry, such as 100")
    draw = LATENTS[latents]

    def task(generator, batch, keys):
        z = jax.vmap(lambda key: draw(key, (dim,)))(keys)
        return Samples(batch["image"], generator(z), latents=z)

    return task


TASKS = {f.__name__: f for f in (generate,)}
