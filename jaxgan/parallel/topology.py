"""Orders devices by the network between them: slices, hosts, links between chips."""

from collections.abc import Sequence
from typing import Any

from jax.experimental import mesh_utils


def slice_of(device: Any) -> int:
    """Returns the number of a device's slice; 0 where devices have no slices.

    Chips of a slice have links to each other. Slices exchange data over the network of
    the data center. For GPUs a slice is the group that NVLink connects.
    """
    return getattr(device, "slice_index", 0) or 0


def slices_of(devices: Sequence[Any]) -> int:
    """Returns the number of slices that devices belong to."""
    return len({slice_of(device) for device in devices})


def order_devices(devices: Sequence[Any]) -> list[Any]:
    """Orders devices for a one-dimensional mesh.

    Slices follow each other, as in `mesh_utils.create_hybrid_device_mesh`. The devices
    of a process stay together, so that a host reads a contiguous part of each batch.
    Within a process they follow the links of their chips, in the order of
    `mesh_utils.create_device_mesh`.

    Across hosts the order of the links would not help: a collective over all devices
    of a slice compiles to the same program for any order of them. XLA for TPU splits
    one over several slices by itself: it reduces within each slice, exchanges an equal
    share of the sum per chip between slices, and gathers the shares within each slice.

    Args:
      devices: the devices of all processes.

    Returns:
      The same devices.
    """
    ordered = []
    for number in sorted({slice_of(device) for device in devices}):
        of_slice = [device for device in devices if slice_of(device) == number]
        # JAX's tables of rings count the devices by their numbers.
        of_slice.sort(key=lambda d: (d.process_index, d.id))
        # Sorting is stable: the devices of a process stay in the order of the links.
        ordered += sorted(along_links(of_slice), key=lambda d: d.process_index)
    return ordered


def along_links(devices: Sequence[Any]) -> list[Any]:
    """Orders the devices of a slice so that neighbors have a link, where possible.

    Devices that do not fill a box of chips keep their order.
    """
    try:
        mesh = mesh_utils.create_device_mesh((len(devices),), devices)
    except (AssertionError, AttributeError, NotImplementedError, ValueError):
        return list(devices)
    return list(mesh.flat)
