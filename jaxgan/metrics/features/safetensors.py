"""Reads files of the safetensors format, without its library.

A file is the length of a header (8 bytes, little-endian), the header in JSON, which has
dtype, shape and place of each array by name, and the values of all arrays.
"""

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.metrics.features.weight_files import LARGEST_FILE, read_weights

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
"""NumPy's names of the dtypes that are read, by those in a header."""


def read(path: Path, sha256: str | None = None) -> tuple[dict[str, np.ndarray], str]:
    """Reads the arrays of a file.

    Args:
      path: a `.safetensors` file.
      sha256: the expected SHA-256 of the file; None accepts any.

    Returns:
      Read-only arrays by name, and the SHA-256 of the file in hexadecimal digits.

    Raises:
      UsageError: if the file cannot be read, has another SHA-256, or is damaged.
    """
    return read_weights(
        path,
        sha256,
        tensors,
        suffix=".safetensors",
        again="install its package again",
        foreign="is not a safetensors file: {}; install its package again",
    )


def tensors(content: bytes) -> dict[str, np.ndarray]:
    """Returns the arrays of a file's content, as read-only views, by name.

    Raises:
      ValueError: if the content is damaged, or has a dtype that is not in `DTYPES`.

    >>> header = b'{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    >>> whole = struct.pack("<Q", len(header)) + header + struct.pack("<f", 2.5)
    >>> tensors(whole)
    {'x': array([2.5], dtype=float32)}
    """
    if len(content) > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
    try:
        (length,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + length])
        values = memoryview(content)[8 + length :]
        # The file's own metadata has texts only.
        items = [(k, x) for k, x in header.items() if k != "__metadata__"]
        return {name: _array(facts, values) for name, facts in items}
    # Damaged content fails in many ways: short reads, missing keys, wrong types.
    except Exception as error:
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from None


def _array(facts: dict[str, Any], values: memoryview) -> np.ndarray:
    """Returns a view of the values of an array."""
    dtype, shape = np.dtype(DTYPES[facts["dtype"]]), tuple(facts["shape"])
    start, stop = facts["data_offsets"]
    count = math.prod(shape)
    if stop - start != count * dtype.itemsize:
        raise ValueError(f"{list(shape)} values in {stop - start} bytes")
    return np.frombuffer(values, dtype, count, start).reshape(shape)
