"""Reading of `.npy` and `.npz` files: headers first, then only the arrays in use."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from jaxgan.errors import UsageError, first_line, printable
from jaxgan.host_memory import host_bytes

MOST_MEMBERS = 10_000
"""Largest number of arrays in an `.npz` file."""
DEFLATE_RATIO = 1032
"""Largest compression ratio of deflate, https://zlib.net/zlib_tech.html."""
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""Readers by version of the format; version 3 is for records with Unicode names."""


class Header(NamedTuple):
    """Shape and dtype of an array whose values have not been read."""

    shape: tuple[int, ...]
    dtype: np.dtype
    problem: str = ""
    """The reason why the array cannot be read, empty if there is none."""

    @property
    def nbytes(self) -> int:
        """Bytes of all values; a Python integer, which does not overflow."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_headers(name: str, path: Path) -> dict[str, Header]:
    """Reads the headers of all arrays in a file.

    Skips members of an `.npz` file that are not arrays. Arrays that cannot be read,
    such as pickled ones, have a `problem`, which is an error only if they are used.

    Args:
      name: the name of the data set, for errors.
      path: the file.

    Returns:
      Headers by name; the array of an `.npy` file is named `images`.

    Raises:
      UsageError: if the file does not exist or is of another format.
    """
    if not path.is_file():
        raise UsageError(f"{name}: there is no file {path}")
    with _readable(name), path.open("rb") as file:
        # An .npy file holds one array, without a name.
        if _is_npy(file):
            header = _read_header(file)
            # All bytes after the header are values.
            held = path.stat().st_size - file.tell()
            return {"images": _checked(header, held, math.inf)}
        # An .npz file is a zip archive of .npy files.
        with zipfile.ZipFile(file) as archive:
            members = [i for i in archive.infolist() if i.filename.endswith(".npy")]
            if len(members) > MOST_MEMBERS:
                raise ValueError(
                    f"it holds {len(members):,} arrays; stack them into one"
                )
            seen: dict[str, Header] = {}
            for member in members:
                key = member.filename.removesuffix(".npy")
                header = _member_header(archive, member, path.stat().st_size)
                # It is unknown which of two members of one name is meant.
                duplicate = header._replace(problem="appears twice")
                seen[key] = duplicate if key in seen else header
            return seen


def read_array(name: str, path: Path, key: str, header: Header) -> np.ndarray:
    """Reads one array of a file.

    Args:
      name: the name of the data set, for errors.
      path: the file.
      key: the name of the array.
      header: the header of the array, from `read_headers`.

    Raises:
      UsageError: if the array cannot be read, or does not fit the free memory.
    """
    check_readable(name, key, header)
    with _readable(name), path.open("rb") as file:
        if _is_npy(file):
            return npy.read_array(file, allow_pickle=False)
        with (
            zipfile.ZipFile(file) as archive,
            archive.open(f"{key}.npy") as member,
        ):
            array = npy.read_array(member, allow_pickle=False)
            if member.read(1):  # reading to the end also compares the checksum
                raise ValueError(f"array '{key}' is longer than its header states")
            return array


def check_readable(name: str, key: str, header: Header) -> None:
    """Checks that an array can be read and fits the free memory.

    Raises:
      UsageError: if the header has a problem, or if the array is too large.

    >>> check_readable("npz:a.npz", "x", Header((1 << 50, 8), np.dtype("f4")))
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: npz:a.npz: array 'x' takes 33,554,432.0 GiB, more than \
the memory that is free; save fewer or smaller examples, or use folder:PATH
    """
    where = f"array '{printable(key)}'"
    if header.problem:
        raise _unreadable(name, f"{where} {header.problem}")
    needed, free = header.nbytes, host_bytes()
    if header.dtype.kind == "f" and header.dtype.itemsize > 4:
        needed += 4 * math.prod(header.shape)  # the copy in float32
    if needed > free:
        raise UsageError(
            f"{name}: {where} takes {needed / 2**30:,.1f} GiB, more than the memory "
            "that is free; save fewer or smaller examples, or use folder:PATH"
        )


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turns any error of a reader into a UsageError."""
    try:
        yield
    except Exception as error:  # damaged files raise many types
        raise _unreadable(name, printable(first_line(error))) from error


def _unreadable(name: str, reason: str) -> UsageError:
    return UsageError(
        f"{name}: cannot be read as an .npz of plain arrays ({reason}); "
        "write it with numpy.savez"
    )


def _is_npy(file: Any) -> bool:
    start = file.read(len(npy.MAGIC_PREFIX))
    # Back to the start, for the caller.
    file.seek(0)
    return start == npy.MAGIC_PREFIX


def _read_header(file: Any) -> Header:
    version = npy.read_magic(file)
    if version not in HEADERS:
        return Header((), np.dtype("V"), f"has version {version} of the format")
    # The order of the axes in memory is left to read_array.
    shape, _, dtype = HEADERS[version](file)
    return Header(shape, dtype)


def _member_header(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, file_size: int
) -> Header:
    # Bit 0 marks encrypted members.
    if member.flag_bits & 1:
        return Header((), np.dtype("V"), "is encrypted")
    try:
        with archive.open(member) as file:
            header = _read_header(file)
            # The values begin after the header of the .npy format.
            start = file.tell()
    except Exception as error:  # damaged members raise many types
        return Header((), np.dtype("V"), f"cannot be read ({first_line(error)})")
    # The largest expansion of each method; that of the others is unknown.
    ratio = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: DEFLATE_RATIO}
    # The directory may state any size; no member is larger than the file.
    packed = min(member.compress_size, file_size)
    most = ratio.get(member.compress_type, math.inf) * packed
    return _checked(header, member.file_size - start, most)


def _checked(header: Header, held: int, most: float) -> Header:
    """Returns the header, with its problem if it has one.

    Args:
      header: the header of an array.
      held: bytes of values that the file states.
      most: largest number of bytes that the compressed form can hold.
    """
    if header.problem:
        return header
    if header.dtype.hasobject:
        return header._replace(problem="holds Python objects")
    # A false shape could otherwise exhaust the memory.
    if min(header.shape, default=1) < 0 or header.nbytes != held:
        return header._replace(
            problem=f"states {header.nbytes:,} bytes of values but has {held:,}"
        )
    # A tiny member may state terabytes that its compressed bytes cannot hold.
    if header.nbytes > most:
        return header._replace(
            problem=f"states {header.nbytes:,} bytes, more than its compressed form has"
        )
    return header
