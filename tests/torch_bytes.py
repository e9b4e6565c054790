"""Writes files of torch.save byte by byte, also those that PyTorch never writes."""

import io
import struct
import zipfile

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
KINDS = {"float32": "Float", "float64": "Double", "int64": "Long", "float16": "Half"}


def name(of):
    """A class or function, such as `os.system`."""
    module, _, last = of.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def group(*parts):
    """A tuple."""
    return b"(" + b"".join(parts) + b"t"


def numbers(values):
    return group(*map(number, values))


def call(of, *arguments):
    return name(of) + group(*arguments) + b"R"


def storage(key, size, kind="Float", *more):
    parts = (text("storage"), name(f"torch.{kind}Storage"), text(key), text("cpu"))
    return group(*parts, number(size), *more) + b"Q"


def tensor(of, offset, shape, strides):
    parts = (of, number(offset), numbers(shape), numbers(strides))
    hooks = call("collections.OrderedDict")
    return call("torch._utils._rebuild_tensor_v2", *parts, b"\x89", hooks)


def dictionary(items):
    content = b"".join(text(key) + value for key, value in items.items())
    return call("collections.OrderedDict") + b"(" + content + b"u"


def pickled(body):
    return b"\x80\x02" + body + b"."


def zip_of(body, values, compression=zipfile.ZIP_STORED, **more):
    """A file of PyTorch 1.6 and later, with the values of each storage."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled(body))
        for key, value in values.items():
            archive.writestr(f"archive/data/{key}", value)
        for key, value in more.items():
            archive.writestr(f"archive/{key.replace('_', '.')}", value)
    return file.getvalue()


def stream_of(body, values, width=4, little=True):
    """A file of PyTorch before 1.6, with the values of each storage."""
    system = b"}(" + text("little_endian") + (b"\x88" if little else b"\x89") + b"u"
    keys = b"](" + b"".join(map(text, values)) + b"e"
    pickles = (number(MAGIC), number(1001), system, body, keys)
    data = b"".join(map(pickled, pickles))
    for value in values.values():
        data += struct.pack("<q", len(value) // width) + value
    return data


def contents(arrays):
    """The body and the values of C-contiguous arrays."""
    items, values = {}, {}
    for key, (of, array) in enumerate(arrays.items()):
        strides = [s // array.itemsize for s in array.strides]
        held = storage(str(key), array.size, KINDS[array.dtype.name])
        items[of] = tensor(held, 0, array.shape, strides)
        values[str(key)] = np.ascontiguousarray(array).tobytes()
    return dictionary(items), values


def saved(arrays):
    """A zip file of arrays by name."""
    return zip_of(*contents(arrays))
