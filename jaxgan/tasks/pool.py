"""A pool of past samples between a task and the discriminator."""

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.ranges import Width
from jaxgan.types import Samples, Stage, Tree


def pool(size: Width = 50) -> Stage:
    """The discriminator sees past samples half of the time.

    A pool of past samples, https://arxiv.org/abs/1612.07828, as in CycleGAN,
    https://arxiv.org/abs/1703.10593. Once it is full, each sample is replaced with
    probability 1/2 by a random one of the pool, and takes its place there. If several
    samples of a batch choose the same place, all see the old sample, and the last one
    is kept. The pool is one for all devices.

    Args:
      size: the number of samples in the pool.

    Raises:
      UsageError: while tracing, if samples have a condition, as a past sample has
        another one.
    """

    def init(samples: Samples) -> Tree:
        if samples.condition is not None:
            raise UsageError("a pool needs a task without a condition: leave it out")
        empty = jax.tree.map(lambda x: jnp.zeros((size, *x.shape[1:])), samples.fake)
        return {"fake": empty, "count": jnp.zeros((), jnp.int32)}

    def choose(keys: jax.Array, state: Tree) -> tuple[jax.Array, jax.Array]:
        """Returns a place `[B]` for each example, and True `[B]` if it is used."""
        place = jax.vmap(lambda key: jax.random.randint(key, (), 0, size))(keys)
        coin = jax.vmap(lambda key: jax.random.bernoulli(jax.random.fold_in(key, 1)))
        return place, coin(keys) & (state["count"] == size)

    def apply(keys: jax.Array, samples: Samples, state: Tree) -> Samples:
        place, used = choose(keys, state)

        def seen(new, old):
            mask = used.reshape(-1, *[1] * (new.ndim - 1))
            return jnp.where(mask, old[place], new)

        return samples._replace(fake=jax.tree.map(seen, samples.fake, state["fake"]))

    def update(keys: jax.Array, samples: Samples, state: Tree) -> Tree:
        place, used = choose(keys, state)
        numbers = jnp.arange(len(keys))
        # While there is room, all samples are kept, in order.
        free = state["count"] + numbers
        place = jnp.where(free < size, free, place)
        kept = used | (free < size)
        # The last example that is kept at each place, -1 for none.
        last = jnp.full(size, -1).at[place].max(jnp.where(kept, numbers, -1))

        def put(old, new):
            mask = (last >= 0).reshape(-1, *[1] * (old.ndim - 1))
            return jnp.where(mask, new[last], old)

        count = jnp.minimum(state["count"] + len(keys), size)
        return {
            "fake": jax.tree.map(put, state["fake"], samples.fake),
            "count": count.astype(jnp.int32),
        }

    return Stage(init, apply, update)
