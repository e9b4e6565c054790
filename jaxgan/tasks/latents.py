"""Distributions of latents."""

from collections.abc import Callable

import jax

from jaxgan.errors import UsageError

LATENTS: dict[str, Callable[..., jax.Array]] = {
    "normal": jax.random.normal,
    "uniform": lambda key, shape: jax.random.uniform(key, shape, minval=-1, maxval=1),
}
"""Functions of a PRNG key and a shape: standard normal, or uniform in (-1, 1)."""


def latent_sampler(dim: int, latents: str) -> Callable[[jax.Array], jax.Array]:
    """Returns a function from the PRNG key of one example to its latent, `[dim]`.

    Args:
      dim: entries of a latent.
      latents: a name in `LATENTS`.

    Raises:
      UsageError: for a name that is not in `LATENTS`, or if `dim` is less than 1.
    """
    if latents not in LATENTS:
        raise UsageError(f"latents={latents!r}: choose {' or '.join(LATENTS)}")
    if dim < 1:
        raise UsageError(f"dim={dim}: must be at least 1, such as 100")
    return lambda key: LATENTS[latents](key, (dim,))
