"""Random flips and shifts of the images of a batch, for training."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.types import Batch


def flips(
    flip: float, jitter: int = 0, *, alike: bool = True
) -> Callable[[Batch, jax.Array], Batch] | None:
    """Returns a function for `Task.augment`; None if nothing would change.

    It maps a batch and one PRNG key per example, `[B]`, to a batch whose images and
    masks `[B, H, W, C]` are mirrored and shifted. Other fields stay.

    Args:
      flip: probability that an example is mirrored horizontally.
      jitter: the largest shift, in pixels of each direction. The border is mirrored.
      alike: change all fields of an example alike, for fields that belong together.
    """
    if not flip and not jitter:
        return None

    def augment(batch: Batch, keys: jax.Array) -> Batch:
        images = [name for name, x in batch.items() if x.ndim == 4]
        changed = {}
        for number, name in enumerate(images):
            own = keys
            # Fields that do not belong together have keys of their own.
            if not alike:
                own = jax.vmap(lambda key, n=number: jax.random.fold_in(key, n))(keys)
            changed[name] = jax.vmap(lambda key, x: change(key, x, flip, jitter))(
                own, batch[name]
            )
        return {**batch, **changed}

    return augment


def change(key: jax.Array, image: jax.Array, flip: float, jitter: int) -> jax.Array:
    """Mirrors an image `[H, W, C]` with probability `flip`, and shifts it."""
    # A single call, as each one is slow to compile.
    coin, *place = jax.random.uniform(key, (3,))
    image = jnp.where(coin < flip, image[:, ::-1], image)
    if not jitter:
        return image
    pads = ((jitter, jitter), (jitter, jitter), (0, 0))
    wide = jnp.pad(image, pads, mode="symmetric")
    # The upper left corner of a window of the image's size, in whole pixels.
    row, column = (jnp.int32(x * (2 * jitter + 1)) for x in place)
    return jax.lax.dynamic_slice(wide, (row, column, 0), image.shape)
