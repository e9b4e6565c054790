"""Reads the arrays of files that `torch.save` wrote, without PyTorch.

A pickle may call any function. This module does not use `pickle`: it interprets the
few opcodes of a dictionary of tensors, and calls nothing. Anything else in a file is
an error.
"""

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.metrics.features.weight_files import LARGEST_FILE, read_weights

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of a file of PyTorch before 1.6."""

STORAGES = {
    "torch ByteStorage": np.uint8,
    "torch CharStorage": np.int8,
    "torch ShortStorage": np.int16,
    "torch IntStorage": np.int32,
    "torch LongStorage": np.int64,
    "torch HalfStorage": np.float16,
    "torch FloatStorage": np.float32,
    "torch DoubleStorage": np.float64,
}
"""The type of the values of a storage, by its name in a pickle."""


class Storage(NamedTuple):
    """A run of values that tensors share."""

    key: str
    dtype: np.dtype
    size: int
    """The number of values."""


class Tensor(NamedTuple):
    """A view of a storage; all numbers count values, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Global(NamedTuple):
    """An allowed class or function, which is never called."""

    name: str


class Machine(NamedTuple):
    """The state of the interpreter of a pickle."""

    stack: list[Any]
    marks: list[int]
    """Lengths of the stack at the open marks."""
    memo: dict[int, Any]
    storages: dict[str, Storage]
    """Storages that the pickle refers to, by key."""


def read(path: Path, sha256: str | None = None) -> tuple[dict[str, np.ndarray], str]:
    """Reads a state dictionary that `torch.save` wrote, of any version of PyTorch.

    Args:
      path: a `.pth` file of tensors by name, such as those of `Module.state_dict`.
      sha256: the expected SHA-256 of the file; None accepts any.

    Returns:
      Read-only arrays by name, and the SHA-256 of the file in hexadecimal digits.

    Raises:
      UsageError: if the file cannot be read, has another SHA-256, or contains anything
        but tensors.
    """
    return read_weights(
        path,
        sha256,
        tensors,
        suffix=".pth",
        again="download the file again",
        foreign="is not a state dictionary of torch.save: {}; use a .pth file such as "
        "pt_inception-2015-12-05-6726825d.pth",
    )


def tensors(data: bytes) -> dict[str, np.ndarray]:
    """Returns the arrays of a file's content, as read-only views, by name.

    Args:
      data: a zip archive (PyTorch 1.6 and later), or five pickles and the values.

    Raises:
      ValueError: if the content is damaged, has more than tensors, or refers to more
        values than it contains.
    """
    if len(data) > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
    parse = _from_zip if data.startswith(b"PK\x03\x04") else _from_stream
    try:
        records, buffers = parse(data)
        if not isinstance(records, dict):
            raise ValueError("it is not a dictionary")
        return {_text(name): _array(t, buffers) for name, t in records.items()}
    except ValueError:
        raise
    # Damaged content fails in many ways: short reads, missing keys, wrong types.
    except Exception as error:
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from None


def _from_zip(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    """Reads an archive with `NAME/data.pkl` and the values in `NAME/data/KEY`.

    Raises:
      ValueError: for archives that are no such file, or are compressed.
      zipfile.BadZipFile: for damaged archives.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        roots = [
            x.removesuffix("/data.pkl") for x in entries if x.endswith("/data.pkl")
        ]
        if len(roots) != 1 or f"{roots[0]}/constants.pkl" in entries:
            raise ValueError("it is another kind of archive, such as TorchScript")
        # PyTorch never compresses, so no entry can be larger than the file.
        for info in entries.values():
            if info.compress_type or info.file_size != info.compress_size:
                raise ValueError(f"{info.filename} is compressed")
        order = f"{roots[0]}/byteorder"
        if order in entries and archive.read(order) != b"little":
            raise ValueError("its values are big-endian")
        content = io.BytesIO(archive.read(f"{roots[0]}/data.pkl"))
        records, storages = unpickle(content)
        _check_total(storages.values(), len(data))
        return records, {
            key: memoryview(archive.read(f"{roots[0]}/data/{key}")) for key in storages
        }


def _from_stream(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    """Reads pickles of a magic number, a version, the system, the dictionary and keys.

    The values of each key follow them: their number as 8 bytes, and the values.

    Raises:
      ValueError: for other files.
    """
    file = io.BytesIO(data)
    if unpickle(file)[0] != MAGIC:
        raise ValueError("it does not begin like one")
    unpickle(file)
    if unpickle(file)[0]["little_endian"] is not True:
        raise ValueError("its values are big-endian")
    records, storages = unpickle(file)
    keys, _ = unpickle(file)
    _check_total(storages.values(), len(data))
    view, position, buffers = memoryview(data), file.tell(), {}
    for key in keys:
        (size,) = struct.unpack_from("<q", data, position)
        if size != storages[key].size:
            raise ValueError(
                f"storage {key} has {size} values, not {storages[key].size}"
            )
        start = position + 8
        position = start + size * storages[key].dtype.itemsize
        buffers[key] = view[start:position]
    return records, buffers


def _check_total(storages: Iterable[Storage], size: int) -> None:
    """Raises ValueError if storages have more bytes than a file of `size` bytes.

    Entries of an archive may overlap: many of them could otherwise fill the memory.
    """
    total = sum(storage.size * storage.dtype.itemsize for storage in storages)
    if total > size:
        raise ValueError(f"it is truncated: its values need {total:,} bytes")


def _array(tensor: Any, buffers: dict[str, memoryview]) -> np.ndarray:
    """Returns the view of a buffer that a tensor describes, without a copy.

    Raises:
      ValueError: if any of its values would be outside the buffer.
    """
    if not isinstance(tensor, Tensor):
        raise ValueError(f"it contains a value of type {type(tensor).__name__}")
    storage, offset, shape, strides = tensor
    width = storage.dtype.itemsize
    buffer = buffers[storage.key]
    if len(buffer) != storage.size * width:
        raise ValueError(f"it is truncated: storage {storage.key} is incomplete")
    # Unlike NumPy's check, these numbers cannot overflow.
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    # Strides of 0 could make an array of any size from one value.
    if math.prod(shape) > storage.size or (0 not in shape and last >= storage.size):
        raise ValueError(f"a tensor of shape {shape} is larger than its storage")
    if 0 in shape:
        return np.zeros(shape, storage.dtype)
    steps = tuple(width * step for step in strides)
    return np.ndarray(shape, storage.dtype, buffer, offset * width, steps)


def unpickle(file: io.BytesIO) -> tuple[Any, dict[str, Storage]]:
    """Interprets the next pickle of `file`, and calls no function that it names.

    Returns:
      A value of numbers, texts, tuples, lists, dictionaries and `Tensor`, and the
      storages of its tensors by key. The file is then behind the pickle.

    Raises:
      ValueError: for an opcode or a name that tensors do not need.

    >>> import pickle
    >>> unpickle(io.BytesIO(pickle.dumps({"a": (1, [True])}, protocol=2)))
    ({'a': (1, [True])}, {})
    >>> unpickle(io.BytesIO(pickle.dumps(print, protocol=2)))
    Traceback (most recent call last):
      ...
    ValueError: it refers to __builtin__.print, which is not a part of a tensor
    """
    machine = Machine([], [], {}, {})
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name not in OPCODES:
            raise ValueError(f"its pickle has the opcode {opcode.name}")
        OPCODES[opcode.name](machine, argument)
    return machine.stack.pop(), machine.storages


def _push(machine: Machine, value: Any) -> None:
    machine.stack.append(value)


def _pop_mark(machine: Machine) -> list[Any]:
    """Removes and returns the values above the last mark."""
    start = machine.marks.pop()
    values = machine.stack[start:]
    del machine.stack[start:]
    return values


def _pop(machine: Machine, n: int) -> list[Any]:
    """Removes and returns the last `n` values."""
    values = [machine.stack.pop() for _ in range(n)]
    return values[::-1]


def _set(machine: Machine, values: list[Any]) -> None:
    """Adds keys and values, in turns, to the dictionary on the stack."""
    target = machine.stack[-1]
    if type(target) is not dict:
        raise ValueError("its pickle sets an item of a value that is no dictionary")
    for key, value in zip(values[::2], values[1::2], strict=True):
        target[_text(key)] = value


def _append(machine: Machine, values: list[Any]) -> None:
    """Adds values to the list on the stack."""
    target = machine.stack[-1]
    if type(target) is not list:
        raise ValueError("its pickle appends to a value that is no list")
    target.extend(values)


def _global(machine: Machine, name: str) -> None:
    """Pushes an allowed class or function by its name."""
    if name not in STORAGES and name not in CALLS:
        shown = name.replace(" ", ".")
        raise ValueError(f"it refers to {shown}, which is not a part of a tensor")
    machine.stack.append(Global(name))


def _reduce(machine: Machine, _: None) -> None:
    """Replaces a function and its arguments by the record of its result."""
    function, arguments = _pop(machine, 2)
    if not isinstance(function, Global) or function.name not in CALLS:
        raise ValueError("its pickle calls a value that is not a function of a tensor")
    machine.stack.append(CALLS[function.name](*arguments))


def _storage(machine: Machine, _: None) -> None:
    """Replaces a persistent identity by the record of a storage."""
    kind, of, key, _, size, *rest = machine.stack.pop()
    if kind != "storage" or not isinstance(of, Global) or rest not in ([], [None]):
        raise ValueError("its pickle has a reference to something but a storage")
    dtype = np.dtype(STORAGES[of.name])
    storage = Storage(_text(key), dtype, _count(size))
    if machine.storages.setdefault(storage.key, storage) != storage:
        raise ValueError(f"its pickle has two storages of the key {key}")
    machine.stack.append(storage)


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *options: Any
) -> Tensor:
    """Returns the record for `torch._utils._rebuild_tensor_v2`."""
    del options  # requires_grad and hooks
    if not isinstance(storage, Storage):
        raise ValueError("its pickle has a tensor without a storage")
    sizes, steps = (tuple(_count(n) for n in x) for x in (shape, strides))
    if len(sizes) != len(steps):
        raise ValueError("its pickle has a tensor with another number of strides")
    return Tensor(storage, _count(offset), sizes, steps)


def _text(value: Any) -> str:
    """Returns `value`, or raises ValueError if it is not a text."""
    if not isinstance(value, str):
        raise ValueError(f"it has a name of type {type(value).__name__}")
    return value


def _count(value: Any) -> int:
    """Returns `value`, or raises ValueError if it is not a number of 0 or more."""
    if type(value) is not int or value < 0:
        raise ValueError("it has a size or an offset that is no integer of 0 or more")
    return value


CALLS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": lambda: {},
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": lambda tensor, *options: tensor,
}
"""The record of a call by the name of its function in a pickle."""

OPCODES: dict[str, Callable[[Machine, Any], object]] = {
    "PROTO": lambda machine, version: None,
    "STOP": lambda machine, _: None,
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), _push),
    **dict.fromkeys(("BINUNICODE", "BINFLOAT"), _push),
    "NONE": _push,  # opcodes without an argument have None
    "NEWTRUE": lambda machine, _: _push(machine, True),
    "NEWFALSE": lambda machine, _: _push(machine, False),
    "EMPTY_DICT": lambda machine, _: _push(machine, {}),
    "EMPTY_LIST": lambda machine, _: _push(machine, []),
    "EMPTY_TUPLE": lambda machine, _: _push(machine, ()),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": lambda machine, _: _push(machine, tuple(_pop_mark(machine))),
    "TUPLE1": lambda machine, _: _push(machine, tuple(_pop(machine, 1))),
    "TUPLE2": lambda machine, _: _push(machine, tuple(_pop(machine, 2))),
    "TUPLE3": lambda machine, _: _push(machine, tuple(_pop(machine, 3))),
    "SETITEM": lambda machine, _: _set(machine, _pop(machine, 2)),
    "SETITEMS": lambda machine, _: _set(machine, _pop_mark(machine)),
    "APPEND": lambda machine, _: _append(machine, _pop(machine, 1)),
    "APPENDS": lambda machine, _: _append(machine, _pop_mark(machine)),
    **dict.fromkeys(
        ("BINPUT", "LONG_BINPUT"),
        lambda machine, n: machine.memo.update({n: machine.stack[-1]}),
    ),
    **dict.fromkeys(
        ("BINGET", "LONG_BINGET"),
        lambda machine, n: _push(machine, machine.memo[n]),
    ),
    "GLOBAL": _global,
    "BINPERSID": _storage,
    "REDUCE": _reduce,
    # The attributes of a state dictionary, such as _metadata.
    "BUILD": lambda machine, _: machine.stack.pop(),
}
"""The effect of an opcode of a pickle on the machine, given its argument."""
