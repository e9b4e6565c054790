"""How one step is spread over devices."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.types import Device, UsageError

AXIS = "devices"


class Layout(NamedTuple):
    """The devices of all processes, and the way in which a step runs on them."""

    devices: list[Device]
    """Process by process."""
    way: str = "one"
    """One device ("one"); a part of the batch on each, with the same state ("pmap",
    "mesh") or with a part of it ("shards"); or whole runs on each ("runs")."""
    runs: int = 1
    """Runs that are trained at once."""

    @property
    def axis(self) -> str | None:
        """The axis that gradients are averaged over, if devices share a batch."""
        return AXIS if self.way in ("pmap", "mesh", "shards") else None

    @property
    def parts(self) -> int:
        """In how many parts a batch is split."""
        return len(self.devices) if self.axis else 1

    @property
    def splits(self) -> bool:
        """Whether it is split before the step sees it."""
        return self.way in ("pmap", "mesh")

    @property
    def unroll(self) -> bool:
        """Whether loops are written out: XLA for CPU is slow within them."""
        return self.devices[0].platform == "cpu"

    @property
    def processes(self) -> int:
        """How many processes these devices belong to."""
        return len({device.process_index for device in self.devices})

    @property
    def mesh(self) -> jax.sharding.Mesh:
        """The devices in a row."""
        return jax.sharding.Mesh(np.array(self.devices), AXIS)

    def spread(self, axis: int | None) -> jax.sharding.NamedSharding:
        """An axis spread over the devices, or the same on each."""
        return jax.sharding.NamedSharding(self.mesh, spec(axis))

    def shards(self, leaf: Any) -> jax.sharding.NamedSharding:
        """The longest axis that divides over the devices spread over them, if any."""
        count = len(self.devices)
        fit = [(n, axis) for axis, n in enumerate(leaf.shape) if n and n % count == 0]
        longest = max(fit, default=(0, None), key=lambda found: found[0])
        return self.spread(longest[1])


def spec(axis: int | None) -> jax.sharding.PartitionSpec:
    """The devices along one axis, or along none."""
    spread = () if axis is None else (*[None] * axis, AXIS)
    return jax.sharding.PartitionSpec(*spread)


def layout_of(
    devices: list[Device],
    *,
    parallel: str = "auto",
    shard_state: bool = False,
    runs: int = 1,
) -> Layout:
    """The layout that flags ask for.

    Args:
      devices: from `pick`; of several runs, as many as divide them.
      parallel: auto, pmap or mesh.
      shard_state: whether each device keeps a part of the state only.
      runs: how many are trained at once.

    Raises:
      UsageError: naming the flag.
    """
    if parallel not in ("auto", "pmap", "mesh"):
        raise UsageError(f"--parallel={parallel}: choose auto, pmap or mesh")
    several = len({device.process_index for device in devices}) > 1
    if several and parallel == "pmap":
        raise UsageError(
            "--parallel=pmap is for the devices of one process: use --parallel=mesh"
        )
    if shard_state and (runs > 1 or parallel == "pmap"):
        raise UsageError(
            "--shard_state spreads the state of one run by --parallel=mesh: leave out "
            + ("--runs" if runs > 1 else "--parallel=pmap")
        )
    if runs > 1:
        return Layout(devices, "runs", runs)
    if len(devices) == 1:
        return Layout(devices)
    if shard_state:
        return Layout(devices, "shards")
    return Layout(devices, "mesh" if several or parallel == "mesh" else "pmap")
