"""The devices of a run, and how they share a train step."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.errors import UsageError
from jaxgan.types import Device

AXIS = "devices"
"""Name of the mesh axis and of the `pmap` axis."""


class Layout(NamedTuple):
    """The devices of all processes, and the strategy by which they share a step."""

    devices: list[Device]
    """The devices, in order of their processes."""
    way: str = "one"
    """The strategy, a key of `strategies.STRATEGIES`.

    * `one`: a single device.
    * `pmap`, `mesh`: a part of the batch on each device, the same state on all.
    * `shards`: a part of the batch and a part of the state on each device.
    * `runs`: whole runs on each device.
    """
    runs: int = 1
    """Number of runs that are trained at once."""

    @property
    def axis(self) -> str | None:
        """The axis name to average gradients over, or None if no batch is shared."""
        return AXIS if self.way in ("pmap", "mesh", "shards") else None

    @property
    def parts(self) -> int:
        """The number of parts of a batch."""
        return len(self.devices) if self.axis else 1

    @property
    def splits(self) -> bool:
        """True if a batch is split before the train step receives it."""
        return self.way in ("pmap", "mesh")

    @property
    def unroll(self) -> bool:
        """True if loops should be unrolled: XLA for CPU runs loops slowly."""
        return self.devices[0].platform == "cpu"

    @property
    def processes(self) -> int:
        """The number of processes of the devices."""
        return len({device.process_index for device in self.devices})

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


def layout_of(
    devices: list[Device],
    *,
    parallel: str = "auto",
    shard_state: bool = False,
    runs: int = 1,
) -> Layout:
    """Returns the layout for some devices and options.

    Args:
      devices: from `choose_devices`. Their number divides `runs` if there are several.
      parallel: how several devices share a batch: `pmap`, `mesh` (`shard_map`, which
        also supports several processes) or `auto`.
      shard_state: if True, each device keeps only a part of the state.
      runs: number of runs that are trained at once.

    Raises:
      UsageError: naming the argument, if the options do not fit together.
    """
    if parallel not in ("auto", "pmap", "mesh"):
        raise UsageError(f"parallel={parallel}: choose auto, pmap or mesh")
    # Check the options before choosing, so that none is silently ignored.
    several = len({device.process_index for device in devices}) > 1
    if several and parallel == "pmap":
        raise UsageError(
            "parallel=pmap supports a single process only: use parallel=mesh"
        )
    if shard_state and (runs > 1 or parallel == "pmap"):
        raise UsageError(
            "shard_state supports a single run with parallel=mesh: leave out "
            + ("runs" if runs > 1 else "parallel=pmap")
        )
    # Several runs never share a batch, however many devices there are.
    if runs > 1:
        return Layout(devices, "runs", runs)
    if len(devices) == 1:  # nothing to share or to shard
        return Layout(devices)
    if shard_state:
        return Layout(devices, "shards")
    return Layout(devices, "mesh" if several or parallel == "mesh" else "pmap")
