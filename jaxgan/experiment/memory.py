"""Free memory, the memory that a run needs, and out-of-memory errors."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import jax

from jaxgan.errors import UsageError, first_line
from jaxgan.host_memory import host_bytes
from jaxgan.parallel import Layout
from jaxgan.types import Device, TrainState, Tree


class MemoryNeed(NamedTuple):
    """A lower bound of the bytes of a run, in the memory that `free_bytes` measures."""

    state: int
    """Parameters, their moving average and optimizer state."""
    gradient: int
    """Of the largest parameter, as XLA may never keep all gradients at once."""
    data: int
    """The data set, if it is kept on the devices."""

    @property
    def total(self) -> int:
        """The sum, without activations."""
        return sum(self)


def required_memory(state: TrainState, layout: Layout, resident: int) -> MemoryNeed:
    """Returns the memory of a run, on one device or on all CPU devices of this host.

    Args:
      state: `jax.ShapeDtypeStruct`s, of all runs.
      layout: the devices and the sharding of the state.
      resident: bytes of the data set on each device, 0 if it is streamed.
    """

    def on_one(leaf, sharding):
        # Bytes of the part on one device.
        return math.prod(sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize

    shardings = layout.strategy.state_sharding(state, layout)
    sizes = jax.tree.map(on_one, state, shardings)
    copies = copies_of(layout)
    largest = max(jax.tree.leaves(sizes.params), default=0)
    whole = sum(jax.tree.leaves(sizes))
    return MemoryNeed(copies * whole, copies * largest, copies * resident)


def copies_of(layout: Layout) -> int:
    """Returns the number of devices that share the memory of `free_bytes`."""
    # Only the devices of this process report their memory.
    local = [d for d in layout.devices if d.process_index == jax.process_index()]
    # CPU devices share the memory of the host.
    return len(local) if local[0].platform == "cpu" else 1


def nbytes(tree: Tree) -> int:
    """Returns the total bytes of all leaves, which may be arrays or shapes."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def free_bytes(devices: list[Device]) -> float:
    """Returns the free bytes of the fullest local device, or of the host for CPUs.

    Returns infinity if they are unknown.
    """
    local = [d for d in devices if d.process_index == jax.process_index()]
    if local[0].platform == "cpu":
        return host_bytes()
    stats = [device.memory_stats() or {} for device in local]
    # Infinity if a device does not report its limit.
    return min(s.get("bytes_limit", math.inf) - s.get("bytes_in_use", 0) for s in stats)


def check_sampling(variables: Tree, n: int, shape: tuple[int, ...]) -> None:
    """Checks that a checkpoint and its samples fit into the memory of the host.

    Args:
      variables: arrays or shapes to restore.
      n: number of samples, all in memory at once.
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
    # float32 twice: in batches, and concatenated.
    per_sample, left = 8 * math.prod(shape), free - restored
    if n * per_sample > left:
        # Half of what is left, to be safe.
        most = max(int(left / 2 / per_sample), 1)
        raise UsageError(
            f"--n={n} takes {format_bytes(n * per_sample)} of memory, and "
            f"{format_bytes(left)} are free: use --n={most}, and "
            "several seeds such as --seed=0-9"
        )


def format_bytes(count: float) -> str:
    """Formats bytes in GiB.

    >>> format_bytes(3 * 2**29)
    '1.50 GiB'
    """
    return f"{count / 2**30:,.2f} GiB"


@contextmanager
def explain_out_of_memory(remedy: str) -> Iterator[None]:
    """Turns an out-of-memory error in the `with` block into one line with a remedy.

    Args:
      remedy: the end of the message.

    Raises:
      UsageError: if memory runs out. Other errors pass unchanged.
    """
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not is_out_of_memory(error):
            # Not about memory.
            raise
        raise UsageError(f"memory ran out ({first_line(error)}): {remedy}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Returns True if memory ran out, on the host or on a device."""
    message = str(error)
    return isinstance(error, MemoryError) or any(
        words in message for words in ("RESOURCE_EXHAUSTED", "Out of memory")
    )
