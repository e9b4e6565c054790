"""What a TPU chip can do, as Google Cloud publishes it, and what slices there are.

Sources, read in November 2026: https://docs.cloud.google.com/tpu/docs/ with v4, v5e,
v5p, v6e and tpu7x at its end. `usable` is not published: it is what the compiler says
in its out-of-memory error (libtpu 0.0.42).
"""

import math
import re
from typing import Any, NamedTuple

from jaxgan.types import UsageError


class Chip(NamedTuple):
    """The published peaks of one chip. Bytes, and per second."""

    name: str
    flops: float
    """Of bfloat16 products, summed in float32."""
    hbm: float
    usable: float
    """Bytes of a device that the compiler lets a program have."""
    bandwidth: float
    """Of the HBM."""
    ici: float
    """Of all links to other chips, both directions together."""
    ports: int
    """Links to other chips."""
    wraps: int
    """An axis of a slice is a ring if its length is a multiple of this."""
    mxu: int
    """Sides of the matrix unit."""
    clock: float = 0.0
    """Cycles per second; 0 if the number of matrix units does not tell."""


GB, GIB, TERA = 1e9, 2.0**30, 1e12
CHIPS = {
    "v4": Chip(
        *("TPU v4", 275 * TERA, 32 * GIB, 15.25 * GIB, 1200 * GB),
        *(600 * GB, 6, 4, 128, 1.05e9),
    ),
    "v5e": Chip(
        *("TPU v5e", 197 * TERA, 16 * GIB, 15.75 * GIB, 819 * GB),
        *(400 * GB, 4, 16, 128, 1.5e9),
    ),
    "v5p": Chip(
        *("TPU v5p", 459 * TERA, 95 * GIB, 95.74 * GIB, 2765 * GB),
        *(1200 * GB, 6, 4, 128, 1.75e9),
    ),
    "v6e": Chip(
        *("TPU v6e", 918 * TERA, 32 * GIB, 31.25 * GIB, 1638 * GB),
        *(800 * GB, 4, 16, 256),
    ),
    "tpu7x": Chip(
        *("TPU7x", 2307 * TERA, 192 * GIB, 94.75 * GIB, 7380 * GB),
        *(1200 * GB, 6, 4, 256),
    ),
}
"""By the name that a topology begins with.

The links of v4 are those of its older page (2,400 Gbit/s a direction). The clock is
peak / (matrix units x 128 x 128 x 2), where the pages say how many there are.
"""

EXAMPLES = {
    "v4": "v4:2x2x1, v4:2x2x4, v4:4x4x4",
    "v5e": "v5e:2x2, v5e:2x4, v5e:4x4, v5e:4x8, v5e:8x8, v5e:8x16, v5e:16x16",
    "v5p": "v5p:2x2x1, v5p:2x2x4, v5p:4x4x4",
    "v6e": "v6e:2x2, v6e:2x4, v6e:4x4, v6e:4x8, v6e:8x8, v6e:8x16, v6e:16x16",
    "tpu7x": "tpu7x:2x2x1, tpu7x:2x2x4, tpu7x:4x4x4",
}


class Slice(NamedTuple):
    """Chips that work together, and the devices that jax sees of them."""

    name: str
    chip: Chip | None
    """None for machines whose peaks are not in the table."""
    shape: tuple[int, ...]
    devices: list[Any]

    @property
    def per_chip(self) -> int:
        """Devices that share a chip, and so its memory and its links."""
        places = {_place(device) for device in self.devices}
        return len(self.devices) // max(len(places), 1)

    @property
    def chips(self) -> int:
        """How many chips there are."""
        return len(self.devices) // self.per_chip

    @property
    def limit(self) -> float:
        """Bytes of memory that a program may have on a device, 0 if not known."""
        return self.chip.usable if self.chip else 0.0


def _place(device: Any) -> Any:
    """The chip of a device, by its coordinates."""
    coords = getattr(device, "coords", None)
    return (device.process_index, device.id) if coords is None else tuple(coords)


def links(chip: Chip, shape: tuple[int, ...]) -> int:
    """Links over which a chip can send at once when all of a slice work together.

    Two for an axis that is a ring, one for an axis that is a line: its ends have but
    one, and they set the pace.

    >>> links(CHIPS["v5e"], (4, 4)), links(CHIPS["v5e"], (16, 16))
    (2, 4)
    """
    sides = [n for n in shape if n > 1]
    return min(sum(2 if n % chip.wraps == 0 else 1 for n in sides), chip.ports)


def split(name: str) -> tuple[str, tuple[int, ...]]:
    """Kind and sides of a slice.

    >>> split("v5e:4x4")
    ('v5e', (4, 4))

    Raises:
      UsageError: listing names that work.
    """
    found = re.fullmatch(r"(\w+):([0-9]{1,4}(?:x[0-9]{1,4}){1,2})", name)
    if not found or found.group(1) not in CHIPS:
        raise UsageError(f"--topology={name}: {names(name)}, or local")
    sides = tuple(int(n) for n in found.group(2).split("x"))
    return found.group(1), sides


def names(name: str) -> str:
    """Slices that there are, of the same kind as a name if it has one of ours."""
    kind = name.partition(":")[0]
    if kind in EXAMPLES:
        return f"choose {EXAMPLES[kind]}"
    return "choose " + ", ".join(x.partition(", ")[0] for x in EXAMPLES.values())


def find(name: str) -> Slice:
    """The slice of a name, without having it; `local` for this machine's devices.

    Raises:
      UsageError: if there is no such slice, or nothing that compiles for it.
    """
    if name == "local":
        return local_slice()
    kind, sides = split(name)
    try:
        import libtpu  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UsageError(
            f"--topology={name} takes the compiler of TPUs: "
            "pip install 'jaxgan[tpu]' (no TPU is needed)"
        ) from error
    from jax.errors import JaxRuntimeError
    from jax.experimental import topologies

    try:
        found = topologies.get_topology_desc(topology_name=name, platform="tpu")
    except JaxRuntimeError as error:
        reason = str(error).splitlines()[0].partition(": ")[2]
        raise UsageError(f"--topology={name}: {names(name)} ({reason})") from error
    return Slice(name, CHIPS[kind], sides, list(found.devices))


KINDS = {
    "TPU v4": "v4",
    "TPU v5 lite": "v5e",
    "TPU v5": "v5p",
    "TPU v6 lite": "v6e",
    "TPU7x": "tpu7x",
}
"""Our names of what jax calls a device."""


def local_slice() -> Slice:
    """This machine's devices as a slice."""
    import jax

    devices = jax.local_devices()
    chip = CHIPS.get(KINDS.get(devices[0].device_kind, ""))
    return Slice("local", chip, bounds(devices), devices)


def bounds(devices: list[Any]) -> tuple[int, ...]:
    """The sides of the box in which the devices' chips lie."""
    places = [getattr(device, "coords", None) for device in devices]
    if any(place is None for place in places):
        return (len(devices),)
    sides = tuple(1 + max(axis) - min(axis) for axis in zip(*places, strict=True))
    return sides if math.prod(sides) else (len(devices),)
