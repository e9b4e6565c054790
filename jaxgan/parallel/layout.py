"""The devices of a run, and the strategy by which they share a train step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.types import Device

AXIS = "devices"
"""Name of the mesh axis and of the `pmap` axis."""


class Strategy(NamedTuple):
    """A way to run one train step on the devices of a layout.

    `strategies.STRATEGIES` has all of them, and `layout_of` chooses one. No other code
    asks which one it is: everything in which they differ is a field.
    """

    name: str
    """For files only."""
    description: str
    """For messages."""
    jit: Callable[..., Any]
    """(step, feed, layout, count, state) -> the jitted function of `count` steps, which
    maps (state, the feed's `passed`, key) to (state, metrics)."""
    state_sharding: Callable[..., Any]
    """(state, layout) -> the sharding of each leaf, for arrays or for their shapes."""
    init: Callable[..., Any]
    """(init, keys, layout) -> the state on the devices, from one key per seed."""
    wrap_gradient: Callable[["Layout"], Callable[[Callable], Callable]]
    """layout -> the wrapper of the step's gradient functions."""
    shares_batch: bool
    """True if each device computes a part of a batch, and gradients are averaged."""
    splits_batch: bool
    """True if a batch is split before the train step receives it."""
    batch_axis: int | None
    """The axis of streamed batches to split over the devices, None for none."""
    steps_axis: int
    """The axis of streamed batches that holds the steps of a call."""
    freezes: bool
    """True if a seed that is not finite is frozen while the others continue. Otherwise
    it ends the run."""


class Layout(NamedTuple):
    """The devices of all processes, and the strategy by which they share a step."""

    devices: list[Device]
    """The devices in the order of `topology.order_devices`: slices, then processes."""
    strategy: Strategy
    runs: int = 1
    """Number of runs that are trained at once, one per seed."""

    @property
    def axis(self) -> str | None:
        """The axis name to average gradients over, or None if no batch is shared."""
        return AXIS if self.strategy.shares_batch else None

    @property
    def parts(self) -> int:
        """The number of parts of a batch."""
        return len(self.devices) if self.axis else 1

    @property
    def unroll(self) -> bool:
        """True if loops should be unrolled: XLA for CPU runs loops slowly."""
        return self.devices[0].platform == "cpu"

    @property
    def processes(self) -> int:
        """The number of processes of the devices."""
        return len({device.process_index for device in self.devices})

    @property
    def place(self) -> int:
        """The place of this process among those of the devices, from 0."""
        order = dict.fromkeys(device.process_index for device in self.devices)
        return list(order).index(jax.process_index())

    @property
    def sharing_processes(self) -> int:
        """The number of processes that share a batch."""
        return self.processes if self.axis else 1

    @property
    def mesh(self) -> jax.sharding.Mesh:
        """The one-dimensional mesh of all devices."""
        return jax.sharding.Mesh(np.array(self.devices), AXIS)

    def spread(self, axis: int | None) -> jax.sharding.NamedSharding:
        """Returns the sharding that splits an axis over the devices, None for none."""
        return jax.sharding.NamedSharding(self.mesh, spec(axis))

    def shards(self, leaf: Any) -> jax.sharding.NamedSharding:
        """Returns the sharding of an array or shape of a sharded state.

        It splits the longest axis that the number of devices divides. An array without
        such an axis is replicated.
        """
        count = len(self.devices)
        # (length, axis) of the axes that divide; an empty axis does not count.
        fit = [(n, axis) for axis, n in enumerate(leaf.shape) if n and n % count == 0]
        # The first of the longest ones, or None.
        _, axis = max(fit, default=(0, None), key=lambda pair: pair[0])
        return self.spread(axis)


def spec(axis: int | None) -> jax.sharding.PartitionSpec:
    """Returns the partition of an axis over the devices, None for none."""
    # Axes behind the last name are not split.
    names = () if axis is None else (*[None] * axis, AXIS)
    return jax.sharding.PartitionSpec(*names)
