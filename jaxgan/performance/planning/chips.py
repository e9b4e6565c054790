"""The published peaks of TPU chips, and the slices that they form.

Sources, read in November 2026: https://docs.cloud.google.com/tpu/docs/ followed by v4,
v5e, v5p, v6e or tpu7x. The pages of v5e and v6e have the data-center network per host
and per pod, those of v5p and tpu7x per chip, and that of v4 has none. `usable` is not
published. It is the limit in the compiler's out-of-memory error (libtpu 0.0.42).
"""

import math
import re
from typing import Any, NamedTuple

from jaxgan.errors import UsageError
from jaxgan.parallel.topology import slice_of, slices_of


class Chip(NamedTuple):
    """The published peaks of one chip, in bytes and per second."""

    name: str
    flops: float
    """FLOP/s of bfloat16 products, accumulated in float32."""
    hbm: float
    """Bytes of memory."""
    usable: float
    """Bytes of memory per device that the compiler lets a program use."""
    bandwidth: float
    """Bytes per second of the HBM."""
    ici: float
    """Bytes per second of all links to other chips, both directions together."""
    ports: int
    """The number of links to other chips."""
    wraps: int
    """An axis of a slice is a ring if its length is a multiple of this."""
    mxu: int
    """The side of a matrix unit."""
    clock: float = 0.0
    """Cycles per second; 0 if unknown."""
    dcn: float = 0.0
    """Bytes per second of a chip's share of its host's network, each way; 0 if it is
    not published."""
    per_host: int = 4
    """The number of chips of a host."""


GB, GIB, GBIT, TERA = 1e9, 2.0**30, 1e9 / 8, 1e12
CHIPS = {
    "v4": Chip(
        *("TPU v4", 275 * TERA, 32 * GIB, 15.25 * GIB, 1200 * GB),
        *(600 * GB, 6, 4, 128, 1.05e9),
    ),
    "v5e": Chip(
        *("TPU v5e", 197 * TERA, 16 * GIB, 15.75 * GIB, 819 * GB),
        *(400 * GB, 4, 16, 128, 1.5e9, 25 * GBIT, 8),
    ),
    "v5p": Chip(
        *("TPU v5p", 459 * TERA, 95 * GIB, 95.74 * GIB, 2765 * GB),
        *(1200 * GB, 6, 4, 128, 1.75e9, 50 * GBIT),
    ),
    "v6e": Chip(
        *("TPU v6e", 918 * TERA, 32 * GIB, 31.25 * GIB, 1638 * GB),
        *(800 * GB, 4, 16, 256, 0.0, 100 * GBIT, 8),
    ),
    "tpu7x": Chip(
        *("TPU7x", 2307 * TERA, 192 * GIB, 94.75 * GIB, 7380 * GB),
        *(1200 * GB, 6, 4, 256, 0.0, 100 * GBIT),
    ),
}
"""Chips by the prefix of a topology's name.

The links of v4 are those of its older page (2,400 Gbit/s per direction). The clock is
peak / (matrix units x 128 x 128 x 2), if the pages state the number of matrix units.
"""

EXAMPLES = {
    "v4": "v4:2x2x1, v4:2x2x4, v4:4x4x4",
    "v5e": "v5e:2x2, v5e:2x4, v5e:4x4, v5e:4x8, v5e:8x8, v5e:8x16, v5e:16x16",
    "v5p": "v5p:2x2x1, v5p:2x2x4, v5p:4x4x4",
    "v6e": "v6e:2x2, v6e:2x4, v6e:4x4, v6e:4x8, v6e:8x8, v6e:8x16, v6e:16x16",
    "tpu7x": "tpu7x:2x2x1, tpu7x:2x2x4, tpu7x:4x4x4",
}
"""Names of slices, for error messages."""


class Slice(NamedTuple):
    """Connected chips and their JAX devices, or several slices of the same shape."""

    name: str
    chip: Chip | None
    """None if the peaks of the machine are not in the table."""
    shape: tuple[int, ...]
    """The number of chips along each axis of a slice."""
    devices: list[Any]

    @property
    def count(self) -> int:
        """The number of slices."""
        return max(slices_of(self.devices), 1)

    @property
    def title(self) -> str:
        """The name, with the number of slices if there are several."""
        return f"{self.count} x {self.name}" if self.count > 1 else self.name

    @property
    def per_chip(self) -> int:
        """The number of devices that share a chip, its memory and its links."""
        # Devices on one chip have the same coordinates.
        places = {_place(device) for device in self.devices}
        return len(self.devices) // max(len(places), 1)

    @property
    def chips(self) -> int:
        """The number of chips of all slices."""
        return len(self.devices) // self.per_chip

    @property
    def limit(self) -> float:
        """Bytes of memory that a program may use on a device; 0 if unknown."""
        return self.chip.usable if self.chip else 0.0


def _place(device: Any) -> Any:
    """Returns a key of the device's chip: its coordinates, if it has any."""
    coords = getattr(device, "coords", None)
    # Without coordinates, each device counts as a chip.
    if coords is None:
        return device.process_index, device.id
    return slice_of(device), *coords


def links(chip: Chip, shape: tuple[int, ...]) -> int:
    """Returns the number of links over which a chip sends in a collective.

    An axis that is a ring has two per chip. An axis that is a line counts as one, as
    the chips at its ends have only one and limit the others.

    >>> links(CHIPS["v5e"], (4, 4)), links(CHIPS["v5e"], (16, 16))
    (2, 4)
    """
    # Axes of length 1 have no links.
    sides = [n for n in shape if n > 1]
    return min(sum(2 if n % chip.wraps == 0 else 1 for n in sides), chip.ports)


def split(name: str) -> tuple[str, tuple[int, ...]]:
    """Parses the name of a slice into its kind and sides.

    >>> split("v5e:4x4")
    ('v5e', (4, 4))

    Raises:
      UsageError: if there is no such slice; it lists valid names.
    """
    # Two or three sides, such as 4x4 or 2x2x1.
    match = re.fullmatch(r"(\w+):([0-9]{1,4}(?:x[0-9]{1,4}){1,2})", name)
    if not match or match.group(1) not in CHIPS:
        raise UsageError(f"--topology={name}: {names(name)}, or local")
    sides = tuple(int(n) for n in match.group(2).split("x"))
    return match.group(1), sides


def names(name: str) -> str:
    """Lists valid slices, of the kind of `name` if it is known, else one per kind."""
    kind = name.partition(":")[0]
    if kind in EXAMPLES:
        return f"choose from {EXAMPLES[kind]}"
    # The first name of each kind.
    return "choose from " + ", ".join(x.partition(", ")[0] for x in EXAMPLES.values())


def find(name: str, count: int = 1) -> Slice:
    """Returns the slice of a name; no such slice needs to be attached.

    Args:
      name: such as `v5e:4x4`, or `local` for the devices of this machine.
      count: the number of such slices, connected by the network of the data center.

    Raises:
      UsageError: if there is no such slice, or if its compiler is not installed.
    """
    if name == "local":
        return local_slice()
    kind, sides = split(name)
    # The TPU compiler is an optional dependency.
    try:
        import libtpu  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UsageError(
            f"--topology={name} needs the TPU compiler: "
            "pip install 'jaxgan[tpu]' (no TPU is needed)"
        ) from error
    from jax.errors import JaxRuntimeError
    from jax.experimental import topologies

    # Only a description of the slice: no TPU is opened.
    several = {"num_slices": count} if count > 1 else {}
    try:
        topology = topologies.get_topology_desc(name, "tpu", **several)
    except JaxRuntimeError as error:
        # The text behind the status code.
        reason = str(error).splitlines()[0].partition(": ")[2]
        raise UsageError(f"--topology={name}: {names(name)} ({reason})") from error
    return Slice(name, CHIPS[kind], sides, list(topology.devices))


KINDS = {
    "TPU v4": "v4",
    "TPU v5 lite": "v5e",
    "TPU v5": "v5p",
    "TPU v6 lite": "v6e",
    "TPU7x": "tpu7x",
}
"""The keys of `CHIPS` by JAX's `device_kind`."""


def local_slice() -> Slice:
    """Returns the devices of this machine as a slice."""
    import jax

    devices = jax.local_devices()
    # None if the table lacks this kind of device.
    chip = CHIPS.get(KINDS.get(devices[0].device_kind, ""))
    return Slice("local", chip, bounds(devices), devices)


def bounds(devices: list[Any]) -> tuple[int, ...]:
    """Returns the sides of the bounding box of the devices' coordinates."""
    places = [getattr(device, "coords", None) for device in devices]
    # Devices without coordinates form a line.
    if any(place is None for place in places):
        return (len(devices),)
    sides = tuple(1 + max(axis) - min(axis) for axis in zip(*places, strict=True))
    return sides if math.prod(sides) else (len(devices),)
