"""Hostile and odd `.npz` files."""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hostile_pictures import Accepted, Case, Refused

IMAGES = np.zeros((4, 8, 8), np.uint8)
PLAIN = Accepted(4, (8, 8, 1))
TWO = Accepted(4, (8, 8, 1), ("0", "1"))


def arrays(**named: Any) -> Callable[[Path], str]:
    """An archive of arrays, with plain images unless others are named."""

    def make(root: Path) -> str:
        content = {} if set(named) - {"labels", "label", "y"} else {"images": IMAGES}
        np.savez(root / "x.npz", **{**content, **named})
        return f"npz:{root / 'x.npz'}"

    return make


def labelled(labels: Any) -> Callable[[Path], str]:
    """Four plain images with labels."""
    return arrays(labels=np.asarray(labels))


def content(data: bytes) -> Callable[[Path], str]:
    """A file of any bytes."""

    def make(root: Path) -> str:
        (root / "x.npz").write_bytes(data)
        return f"npz:{root / 'x.npz'}"

    return make


def npy(array: Any, **options: Any) -> bytes:
    """The bytes of a `.npy` file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


def claimed(text: str, version: int = 1) -> bytes:
    """A `.npy` file of 64 bytes whose header claims anything."""
    head = text.encode().ljust(118) + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + length + head + bytes(64)


def form(shape: Any, kind: str = "|u1") -> str:
    return f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}}}"


def archive(method: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    """A zip archive of members that need not be arrays."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as whole:
        for name, data in members.items():
            whole.writestr(name.replace("__", "."), data)
    return file.getvalue()


def encrypted() -> bytes:
    """An archive that says of its member that it is encrypted."""
    data = bytearray(archive(images__npy=npy(IMAGES)))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


def compressed_as(method: int) -> bytes:
    """An archive that names another way of compression."""
    data = bytearray(archive(images__npy=npy(IMAGES)))
    data[8:10] = struct.pack("<H", method)
    at = data.index(b"PK\1\2") + 10
    data[at : at + 2] = struct.pack("<H", method)
    return bytes(data)


def damaged() -> bytes:
    """An archive whose pixels do not have the checksum that it names."""
    data = bytearray(archive(images__npy=npy(IMAGES)))
    data[300] ^= 1
    return bytes(data)


def fifo(root: Path) -> str:
    os.mkfifo(root / "x.npz")
    return f"npz:{root / 'x.npz'}"


def device(root: Path) -> str:
    (root / "x.npz").symlink_to("/dev/zero")
    return f"npz:{root / 'x.npz'}"


WHOLE = archive(images__npy=npy(IMAGES))
BOMB = claimed(form((10**9, 1000, 1000)))
OBJECTS = np.array([{}, []], object)

ARRAYS: list[Case] = [
    ("text", content(b"hello"), Refused("x.npz")),
    ("empty", content(b""), Refused("x.npz")),
    ("truncated", content(WHOLE[:200]), Refused("x.npz")),
    ("truncated at the end", content(WHOLE[:-9]), Refused("x.npz")),
    ("damaged", content(damaged()), Refused("x.npz")),
    ("no members", content(archive()), Refused("x.npz")),
    ("a pickle", content(b"\x80\x04]\x94."), Refused("x.npz")),
    ("an array of objects", arrays(images=OBJECTS), Refused("x.npz")),
    ("a FIFO", fifo, Refused("x.npz")),
    ("a device", device, Refused("x.npz")),
    (
        "no literal in a header",
        content(archive(images__npy=claimed("exit()"))),
        Refused("x.npz"),
    ),
    (
        "a header of calls",
        content(archive(images__npy=claimed("{'descr': open('/')}"))),
        Refused("x.npz"),
    ),
    (
        "a header without a shape",
        content(archive(images__npy=claimed("{}"))),
        Refused("x.npz"),
    ),
    (
        "no type",
        content(archive(images__npy=claimed(form((4, 8, 8), "|x9")))),
        Refused("x.npz"),
    ),
    (
        "a version 9",
        content(archive(images__npy=claimed(form((64,)), 9))),
        Refused("x.npz"),
    ),
    (
        "more than there is",
        content(archive(images__npy=claimed(form((4, 8, 8))))),
        Refused("x.npz"),
    ),
    (
        "labels only",
        arrays(labels=np.arange(4), images=np.zeros((0, 8, 8), np.uint8)),
        Refused("empty"),
    ),
    ("no examples", arrays(images=IMAGES[:0]), Refused("empty")),
    ("no pixels", arrays(images=np.zeros((4, 0, 8), np.uint8)), Refused("empty")),
    ("NaN", arrays(images=np.full((4, 8, 8), np.nan)), Refused("finite")),
    ("infinity", arrays(images=np.full((4, 8, 8), np.inf)), Refused("finite")),
    ("floats up to 255", arrays(images=np.full((4, 8, 8), 255.0)), Refused("[-1, 1]")),
    ("int64", arrays(images=IMAGES.astype(int)), Refused("int64")),
    ("int8", arrays(images=IMAGES.astype(np.int8)), Refused("int8")),
    ("complex", arrays(images=IMAGES.astype(complex)), Refused("complex")),
    ("dates", arrays(images=np.zeros((4, 8, 8), "M8[s]")), Refused("datetime")),
    ("text pixels", arrays(images=np.full((4, 8, 8), "x")), Refused("images")),
    ("records", arrays(images=np.zeros((4, 8, 8), "u1,u1")), Refused("images")),
    ("one number", arrays(images=np.uint8(3)), Refused("images")),
    ("one axis", arrays(images=np.zeros(4, np.uint8)), Refused("images")),
    ("five axes", arrays(images=np.zeros((1,) * 5, np.uint8)), Refused("images")),
    (
        "channels first",
        arrays(images=np.zeros((4, 3, 8, 8), np.uint8)),
        Refused("come last"),
    ),
    (
        "five channels",
        arrays(images=np.zeros((4, 8, 8, 5), np.uint8)),
        Refused("come last"),
    ),
    ("too few labels", labelled([0, 1]), Refused("labels")),
    ("labels of pixels", labelled(np.zeros((4, 8, 8), int)), Refused("labels")),
    ("complex labels", labelled([0j, 1j, 0j, 1j]), Refused("labels")),
    ("half labels", labelled([0.5, 1, 0, 1]), Refused("labels")),
    ("NaN labels", labelled([np.nan, 1, 0, 1]), Refused("labels")),
    ("pickled labels", labelled(np.array([{}, 1, 2, 3], object)), Refused("x.npz")),
    ("an array alone", content(npy(IMAGES)), PLAIN),
    ("Fortran's order", arrays(images=np.asfortranarray(IMAGES)), PLAIN),
    ("float16", arrays(images=IMAGES.astype(np.float16)), PLAIN),
    ("float64", arrays(images=IMAGES.astype(np.float64)), PLAIN),
    ("LZMA", content(archive(zipfile.ZIP_LZMA, images__npy=npy(IMAGES))), PLAIN),
    (
        "a read-me beside",
        content(archive(images__npy=npy(IMAGES), readme__txt=b"hi")),
        PLAIN,
    ),
    ("a column of labels", labelled([[0], [1], [0], [1]]), TWO),
    (
        "names",
        labelled(["dog", "cat", "dog", "cat"]),
        PLAIN._replace(classes=("cat", "dog")),
    ),
    (
        "a negative shape",
        content(archive(images__npy=claimed(form((-4, 8, 8))))),
        Refused("x.npz"),
    ),
    ("big-endian", arrays(images=IMAGES.astype(">u2")), PLAIN),
    ("encrypted", content(encrypted()), Refused("x.npz")),
    ("an unknown compression", content(compressed_as(99)), Refused("x.npz")),
    ("a bomb by its header", content(archive(images__npy=BOMB)), Refused("x.npz")),
    ("a bomb alone", content(BOMB), Refused("x.npz")),
    (
        "a bomb that is not needed",
        content(archive(images__npy=npy(IMAGES), other__npy=BOMB)),
        PLAIN,
    ),
    ("objects that are not needed", arrays(images=IMAGES, other=OBJECTS), PLAIN),
    (
        "a negative label",
        labelled([-1, 1, -1, 1]),
        PLAIN._replace(classes=("-1", "1")),
    ),
    ("labels from 1", labelled([1, 2, 1, 2]), PLAIN._replace(classes=("1", "2"))),
    (
        "a label of a million",
        labelled([0, 10**6, 0, 1]),
        PLAIN._replace(classes=("0", "1", "1000000")),
    ),
    (
        "a label above 2^31",
        labelled([0, 2**31 + 5, 0, 0]),
        PLAIN._replace(classes=("0", str(2**31 + 5))),
    ),
    (
        "a label of 2^64 - 1",
        labelled(np.array([0, 2**64 - 1, 0, 0], np.uint64)),
        Refused("labels"),
    ),
    (
        "booleans",
        labelled([False, True, False, True]),
        Accepted(4, (8, 8, 1), ("False", "True")),
    ),
    (
        "bytes",
        labelled([b"dog", b"cat", b"dog", b"cat"]),
        PLAIN._replace(classes=("cat", "dog")),
    ),
    ("one-hot", labelled(np.eye(2, dtype=int)[[0, 1, 0, 1]]), TWO),
    ("whole floats", labelled([0.0, 1.0, 0.0, 1.0]), TWO),
    ("Keras's names", arrays(x_train=IMAGES, y_train=np.arange(4) % 2), TWO),
    ("no names", arrays(arr_1=IMAGES, arr_0=np.arange(4) % 2), TWO),
    (
        "one picture",
        arrays(images=np.zeros((8, 8, 3), np.uint8)),
        Refused("one picture"),
    ),
    ("a source", arrays(source=IMAGES, image=IMAGES), PLAIN),
    ("objects called mask", arrays(image=IMAGES, mask=OBJECTS), PLAIN),
    (
        "a shorter source",
        arrays(source=IMAGES[:-1], image=IMAGES),
        Refused("--image_field=image"),
    ),
    (
        "escapes in names of attributes",
        arrays(
            image=IMAGES,
            attributes=np.eye(len(IMAGES)),
            attribute_names=np.array(["\x1b[31m\n"] * len(IMAGES)),
        ),
        Refused("different strings"),
    ),
]
