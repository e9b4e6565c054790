"""Free memory, the memory that a run needs, and one line where it runs out."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

from jaxgan.errors import UsageError, first_line
from jaxgan.host_memory import host_bytes
from jaxgan.parallel import Layout, shardings
from jaxgan.types import Device, TrainState, Tree


class MemoryNeed(NamedTuple):
    """Bytes that a run cannot do without, where `free_bytes` counts them."""

    state: int
    """Parameters, their running mean, and what the optimizers keep."""
    gradient: int
    """That of the largest parameter: all of them are never needed at once."""
    data: int
    """The data set, where it lies on the devices."""

    @property
    def total(self) -> int:
        """A lower bound of the memory of a run: activations come on top."""
        return sum(self)


def required_memory(state: TrainState, layout: Layout, resident: int) -> MemoryNeed:
    """The memory of a state of these shapes, on a device or on all of this host.

    Args:
      state: `jax.ShapeDtypeStruct`s, of all runs.
      layout: how it is spread; devices of a CPU share the host's memory.
      resident: bytes of the data set on each device, 0 if it is streamed.
    """

    def on_one(leaf, sharding):
        return math.prod(sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize

    sizes = jax.tree.map(on_one, state, shardings(state, layout))
    copies = copies_of(layout)
    largest = max(jax.tree.leaves(sizes.params), default=0)
    whole = sum(jax.tree.leaves(sizes))
    return MemoryNeed(copies * whole, copies * largest, copies * resident)


def copies_of(layout: Layout) -> int:
    """Returns the number of devices that share the memory of `free_bytes`."""
    own = [d for d in layout.devices if d.process_index == jax.process_index()]
    return len(own) if own[0].platform == "cpu" else 1


def nbytes(tree: Tree) -> int:
    """Bytes of all leaves, which may be shapes."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def free_bytes(devices: list[Device]) -> float:
    """Free memory of the fullest device of this process, or of the host for CPUs.

    It is infinite where nobody knows.
    """
    own = [d for d in devices if d.process_index == jax.process_index()]
    if own[0].platform == "cpu":
        return host_bytes()
    stats = [device.memory_stats() or {} for device in own]
    return min(s.get("bytes_limit", math.inf) - s.get("bytes_in_use", 0) for s in stats)


def check_sampling(variables: Tree, n: int, shape: tuple[int, ...]) -> None:
    """Refuses what cannot be restored, or drawn, in the free memory of the host.

    Args:
      variables: what is restored, arrays or shapes.
      n: samples that are in memory at once, float32, in parts and then joined.
      shape: of one sample.

    Raises:
      UsageError: with a number of samples that fits, if there is one.
    """
    restored, free = nbytes(variables), host_bytes()
    if restored > free:
        raise UsageError(
            f"the checkpoint takes {format_bytes(restored)} of memory, and "
            f"{format_bytes(free)} are free: use a machine with more memory"
        )
    each, left = 8 * math.prod(shape), free - restored
    if n * each > left:
        most = max(int(left / 2 / each), 1)
        raise UsageError(
            f"--n={n} takes {format_bytes(n * each)} of memory, and "
            f"{format_bytes(left)} are free: use --n={most}, and "
            "several seeds such as --seed=0-9"
        )


def format_bytes(count: float) -> str:
    """Bytes as people read them.

    >>> shown(3 * 2**29)
    '1.50 GiB'
    """
    return f"{count / 2**30:,.2f} GiB"


@contextmanager
def explain_out_of_memory(remedy: str) -> Iterator[None]:
    """Turns running out of memory into a UsageError that ends in `remedy`."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise UsageError(f"memory ran out ({first_line(error)}): {remedy}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Returns True if `error` says that memory ran out, on the host or a device."""
    said: Any = str(error)
    return isinstance(error, MemoryError) or any(
        words in said for words in ("RESOURCE_EXHAUSTED", "Out of memory")
    )
