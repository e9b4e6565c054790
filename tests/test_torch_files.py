"""Files of torch.save: their arrays, and hostile ones."""

import hashlib
import os
import zipfile

import numpy as np
import pytest
from torch_bytes import (
    call,
    contents,
    dictionary,
    group,
    name,
    number,
    numbers,
    pickled,
    saved,
    storage,
    stream_of,
    tensor,
    text,
    zip_of,
)

from jaxgan.errors import UsageError
from jaxgan.metrics.features import torch_files

SIX = np.arange(6, dtype=np.float32)
BYTES = {"0": SIX.tobytes()}
WHOLE = storage("0", 6)
ARRAYS = {
    "weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "steps": np.array(7, np.int64),
    "half": np.array([0.5, -2], np.float16),
    "wide": np.array([[1e300]]),
}


def one(value, values=BYTES, **more):
    """A file of one tensor with the name `a`."""
    return zip_of(dictionary({"a": value}), values, **more)


@pytest.mark.parametrize("write", [zip_of, stream_of])
def test_views_of_a_storage(write):
    # Two tensors of one storage: a transposed matrix and its last column reversed.
    views = {
        "matrix": tensor(WHOLE, 0, (2, 3), (3, 1)),
        "transposed": tensor(WHOLE, 0, (3, 2), (1, 3)),
        "column": tensor(WHOLE, 2, (2,), (3,)),
        "scalar": tensor(WHOLE, 5, (), ()),
        "none": tensor(WHOLE, 0, (0, 9), (9, 1)),
    }
    held = torch_files.tensors(write(dictionary(views), BYTES))
    np.testing.assert_array_equal(held["matrix"], SIX.reshape(2, 3))
    np.testing.assert_array_equal(held["transposed"], SIX.reshape(2, 3).T)
    np.testing.assert_array_equal(held["column"], [2, 5])
    assert held["scalar"] == 5
    assert held["none"].shape == (0, 9)
    assert not held["matrix"].flags.writeable


def test_types_and_digest(tmp_path):
    data = saved(ARRAYS)
    path = tmp_path / "x.pth"
    path.write_bytes(data)
    held, digest = torch_files.read(path)
    assert digest == hashlib.sha256(data).hexdigest()
    assert list(held) == list(ARRAYS)
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(held[key], array, strict=True)
    assert torch_files.read(path, digest)[1] == digest
    with pytest.raises(UsageError, match=f"SHA-256 {digest}, not 00; download"):
        torch_files.read(path, "00")


def test_parameters_and_metadata():
    # torch.nn.Parameter, and the attribute _metadata of a state dictionary.
    whole = tensor(WHOLE, 0, (6,), (1,))
    hooks = call("collections.OrderedDict")
    parameter = call("torch._utils._rebuild_parameter", whole, b"\x88", hooks)
    body = dictionary({"a": parameter}) + dictionary({"_metadata": number(1)}) + b"b"
    np.testing.assert_array_equal(torch_files.tensors(zip_of(body, BYTES))["a"], SIX)


HOSTILE = {
    "system": (one(call("os.system", text("true"))), "refers to os.system"),
    "eval": (one(call("builtins.eval", text("1"))), "refers to builtins.eval"),
    "of torch": (one(name("torch.load")), "refers to torch.load"),
    "dotted": (one(name("collections.OrderedDict.x")), "OrderedDict.x, which"),
    "stream": (stream_of(call("posix.system", text("true")), {}), "posix.system"),
    "protocol 4": (one(text("os") + text("system") + b"\x93"), "opcode STACK_GLOBAL"),
    "instance": (one(b"(ios\nsystem\n"), "opcode INST"),
    "new object": (one(name("torch.FloatStorage") + b")\x81"), "opcode NEWOBJ"),
    "extension": (one(b"\x82\x01"), "opcode EXT1"),
    "text called": (one(text("os") + b")R"), "calls a value"),
    "storage called": (one(name("torch.FloatStorage") + b")R"), "calls a value"),
    "item of a class": (
        one(name("collections.OrderedDict") + text("x") + number(1) + b"s"),
        "no dictionary",
    ),
    "appended to": (one(text("x") + number(1) + b"a"), "no list"),
    "number": (zip_of(number(5), {}), "not a dictionary"),
    "number among": (one(number(5)), "a value of type int"),
    "key": (zip_of(b"}" + number(1) + number(2) + b"s", {}), "a name of type int"),
    "deep key": (
        zip_of(b"})" + b"\x85" * 100_000 + number(2) + b"s", {}),
        "a name of type tuple",
    ),
    "beyond": (one(tensor(WHOLE, 1, (6,), (1,))), "larger than its storage"),
    "strided beyond": (one(tensor(WHOLE, 0, (2, 2), (5, 1))), "larger than"),
    "repeated": (one(tensor(WHOLE, 0, (2**40,), (0,))), "larger than"),
    "product": (one(tensor(WHOLE, 0, (2**32, 2**32), (0, 0))), "larger than"),
    "overflow": (one(tensor(WHOLE, 0, (3, 2), (2**63, 1))), "larger than"),
    "empty": (one(tensor(WHOLE, 0, (0, 2**70), (1, 1))), "dimension"),
    "negative": (one(tensor(WHOLE, 0, (-1,), (1,))), "no integer of 0 or more"),
    "backwards": (one(tensor(WHOLE, 5, (6,), (-1,))), "no integer of 0 or more"),
    "ranks": (one(tensor(WHOLE, 0, (6,), (1, 1))), "number of strides"),
    "no storage": (one(tensor(number(0), 0, (6,), (1,))), "without a storage"),
    "huge": (
        one(tensor(storage("0", 2**50), 0, (6,), (1,))),
        "values need 4,503,599,627,370,496 bytes",
    ),
    "short": (one(tensor(storage("0", 7), 0, (6,), (1,))), "storage 0 is incomplete"),
    "two kinds": (
        one(group(WHOLE, storage("0", 6, "Long"))),
        "two storages of the key 0",
    ),
    "part of a storage": (
        one(tensor(storage("0", 6, "Float", numbers((1,))), 0, (6,), (1,))),
        "something but a storage",
    ),
    "no values": (one(tensor(WHOLE, 0, (6,), (1,)), {}), "no item named"),
    "compressed": (
        one(tensor(WHOLE, 0, (6,), (1,)), compression=zipfile.ZIP_DEFLATED),
        "is compressed",
    ),
    "program": (one(number(0), constants_pkl=b""), "such as TorchScript"),
    "big-endian": (one(number(0), byteorder=b"big"), "big-endian"),
    "big-endian stream": (stream_of(b"}", {}, little=False), "big-endian"),
    "other size": (
        stream_of(dictionary({"a": tensor(WHOLE, 0, (6,), (1,))}), BYTES, width=8),
        "storage 0 has 3 values, not 6",
    ),
    "nothing": (b"", "pickle exhausted"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(40), "damaged|opcode"),
    "zeros": (bytes(99), "opcode|unknown"),
    "other pickle": (pickled(number(3)), "does not begin like one"),
    "no magic": (pickled(b""), "damaged"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_refused(case, tmp_path):
    data, message = HOSTILE[case]
    with pytest.raises(ValueError, match=message):
        torch_files.tensors(data)
    path = tmp_path / "x.pth"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="is not a state dictionary") as error:
        torch_files.read(path)
    assert "\n" not in str(error.value)


def test_overlapping_entries_do_not_fill_the_memory():
    # A thousand entries of 1 MB that share their bytes, as a zip bomb has them.
    body = dictionary(
        {str(n): tensor(storage(str(n), 250_000), 0, (1,), (1,)) for n in range(1000)}
    )
    with pytest.raises(ValueError, match="values need 1,000,000,000 bytes"):
        torch_files.tensors(zip_of(body, {"0": bytes(1_000_000)}))


@pytest.mark.parametrize("write", [zip_of, stream_of])
def test_truncated_at_every_byte(write):
    data = write(dictionary({"a": tensor(WHOLE, 0, (6,), (1,))}), BYTES)
    assert torch_files.tensors(data)["a"].sum() == 15
    for size in range(len(data)):
        with pytest.raises(ValueError, match=r"\w"):
            torch_files.tensors(data[:size])


@pytest.mark.parametrize("write", [zip_of, stream_of])
def test_changed_bytes_end_in_arrays_or_a_ValueError(write):
    data = write(*contents({"a": SIX, "b": SIX[:2]}))
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(data)
        for position in rng.integers(len(data), size=rng.integers(1, 4)):
            damaged[position] = rng.integers(256)
        try:
            torch_files.tensors(bytes(damaged))
        except ValueError:
            refused += 1
    assert refused > 500


def test_files_that_cannot_be_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path / "pipe", tmp_path):
        with pytest.raises(UsageError, match=f"{path} cannot be read .*; use the path"):
            torch_files.read(path)


def test_large_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_files, "LARGEST_FILE", 99)
    with pytest.raises(ValueError, match="more than 99 bytes"):
        torch_files.tensors(bytes(100))
