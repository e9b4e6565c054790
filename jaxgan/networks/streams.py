"""PRNG streams of networks by name, with a key for each example."""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

import flax.linen as nn
import jax

_KEYS: ContextVar[Callable[[], jax.Array] | None] = ContextVar("keys", default=None)
"""Returns the keys of the examples that a network is called with, while traced."""


@contextmanager
def keys_of_examples(keys: Callable[[], jax.Array]) -> Iterator[None]:
    """Sets the function that returns the keys `[B]` of `example_rngs`.

    It is called only by networks with noise.
    """
    token = _KEYS.set(keys)
    try:
        yield
    finally:
        _KEYS.reset(token)


@contextmanager
def keys_of_packs(size: int) -> Iterator[None]:
    """Lets networks draw noise for packs of examples, with the key of each first."""
    keys = _KEYS.get()
    with keys_of_examples(lambda: keys()[::size]) if keys else nullcontext():
        yield


def example_rngs(module: nn.Module, stream: str, count: int) -> jax.Array:
    """Returns a PRNG key per example, `[count]`, for noise inside a network.

    An example gets the same noise on any number of devices, in any batch, in training
    and in sampling. Each module, stream and call has its own noise. `make_rng` alone
    would give all devices the same noise.

    Args:
      module: the module that draws the noise.
      stream: a name, such as `noise`.
      count: the number of examples.

    Raises:
      ValueError: if the network is called with another number of examples, or outside
        of `jaxgan.gan`.
    """
    make = _KEYS.get()
    if make is None:
        raise ValueError(f"{stream}: a network with noise is called by jaxgan.gan only")
    keys = make()
    if len(keys) != count:
        raise ValueError(f"{stream}: {count} examples, but the batch has {len(keys)}")
    # Different for each module and call; Flax falls back on the stream `params`.
    key = jax.random.fold_in(module.make_rng(stream), zlib.crc32(stream.encode()))
    number = jax.random.bits(key)
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
