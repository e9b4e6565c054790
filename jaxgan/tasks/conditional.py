"""Generation from noise and a label, or from noise and attributes."""

import jax
import jax.numpy as jnp

from jaxgan.networks.conditions import DROPPED, condition_field
from jaxgan.ranges import Probability, Width
from jaxgan.tasks.generate import generated_field
from jaxgan.tasks.latents import latent_sampler
from jaxgan.types import Batch, ExampleSpec, Samples, Task


def conditional(
    dim: Width = 100,
    latents: str = "normal",
    drop: Probability = 0.0,
    *,
    example: ExampleSpec | None = None,
) -> Task:
    """Samples from noise and a condition: `fake = G(z, condition)`, z `[B, dim]`.

    Conditional GANs, https://arxiv.org/abs/1411.1784. Both players read the condition
    of the real example: its label `[B]`, or its attributes `[B, k]` if examples have no
    label.

    Args:
      dim: entries of a latent.
      latents: `normal` or `uniform` (in (-1, 1)).
      drop: probability that a condition is hidden from both players, in training only,
        so that samples without a condition can be drawn too,
        https://arxiv.org/abs/2207.12598. A hidden label is `DROPPED`, and hidden
        attributes are zeros.
      example: the fields of an example, of which the first is generated; `image` if
        None.

    Raises:
      FieldError: for texts, which the task `text` generates.
      UsageError: for an unknown distribution, or if `dim` is less than 1.
    """
    sample_latent = latent_sampler(dim, latents)
    field = generated_field(example, "conditional")
    # Without a condition, the missing field is the label.
    given = (condition_field(example) if example else None) or "label"

    def play(generator, batch, keys, step):
        # Fakes have the conditions of the real examples.
        z, condition = jax.vmap(sample_latent)(keys), batch[given]
        fake = generator(z, condition)
        return Samples(batch[field], fake, condition=condition, latents=z)

    def hide(batch: Batch, keys: jax.Array) -> Batch:
        hidden = jax.vmap(lambda key: jax.random.bernoulli(key, drop))(keys)
        return {**batch, given: hide_where(hidden, batch[given])}

    return Task(
        play,
        requires=(field, given),
        inputs=(given,),
        augment=hide if drop else None,
    )


def hide_where(hidden: jax.Array, condition: jax.Array) -> jax.Array:
    """Returns conditions of which some are hidden.

    Args:
      hidden: `[B]` bool.
      condition: labels `[B]` or attributes `[B, k]`.

    >>> hide_where(jnp.array([True, False]), jnp.array([4, 5])).tolist()
    [-1, 5]
    """
    if condition.ndim == 1:
        return jnp.where(hidden, DROPPED, condition)
    return jnp.where(hidden[:, None], 0, condition)
