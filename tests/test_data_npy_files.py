"""Only the arrays in use are read, and headers are not believed."""

import io
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest
from numpy.lib import format as npy

from jaxgan import data
from jaxgan.data import npy_files
from jaxgan.errors import UsageError

PICTURES = np.arange(6 * 25, dtype=np.uint8).reshape(6, 5, 5)


def load(path, **options):
    return data.load(f"npz:{path}", **options)


def member(array, **changes):
    """An array as a member; `changes` to what its header states."""
    file = io.BytesIO()
    header = {**npy.header_data_from_array_1_0(array), **changes}
    npy.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


def archive(path, members, how=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", how) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_only_arrays_in_use_are_read(tmp_path, monkeypatch):
    given = {"images": PICTURES, "labels": np.arange(6), "other": np.zeros(9)}
    np.savez(tmp_path / "a.npz", **given)
    read, seen = npy_files.read_array, []

    def watched(name, path, key, header):
        seen.append(key)
        return read(name, path, key, header)

    monkeypatch.setattr("jaxgan.data.npz.read_array", watched)
    load(tmp_path / "a.npz")
    assert seen == ["images", "labels"]


ODD = {
    "pickled": np.array([{}, []], object),
    "records": np.zeros(3, [("a", "i4"), ("ä", "f4")]),
    "raw": np.zeros(3, "V7"),
    "complex": np.zeros((3, 4, 4), complex),
    "when": np.zeros((3, 4, 4), "M8[s]"),
    "bf16": np.zeros((3, 4, 4), ml_dtypes.bfloat16),
    "scalar": np.array(3.0),
    "whole": np.zeros((3, 4, 4), np.int64),
    "flag": np.zeros((3, 4, 4), bool),
}


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_odd_members_are_left_out_or_refused_when_chosen(tmp_path):
    np.savez(tmp_path / "a.npz", images=PICTURES, **ODD)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as file:
        file.writestr("README.txt", "not an array")
        file.writestr("broken.npy", b"\x93NUMPY\x01\x00\xff\xff{")
        file.writestr("empty.npy", b"")
    assert data.read_all(load(tmp_path / "a.npz"))["image"].shape == (6, 5, 5, 1)
    for key in (*ODD, "broken", "empty"):
        with pytest.raises(UsageError, match=f"'{key}'") as caught:
            load(tmp_path / "a.npz", image_field=key)
        assert "\n" not in str(caught.value)
        with pytest.raises(UsageError, match=f"'{key}'"):
            load(tmp_path / "a.npz", label_field=key)


def test_forms_that_are_read(tmp_path):
    half = (PICTURES / 255).astype(np.float16)
    for array in (
        np.asfortranarray(PICTURES),
        PICTURES.astype(">u2"),
        half.astype(">f8"),
        half,
    ):
        path = tmp_path / f"{array.dtype.name}.npz"
        np.savez(path, images=array)
        found = data.read_all(load(path))["image"]
        assert found.dtype.isnative
        np.testing.assert_array_equal(found[..., 0], array)
    nested = {"a/b/images.npy": member(PICTURES)}
    archive(tmp_path / "nested.npz", nested)
    np.testing.assert_array_equal(
        data.read_all(load(tmp_path / "nested.npz"))["image"][..., 0], PICTURES
    )
    np.save(tmp_path / "plain.npy", PICTURES)
    assert load(tmp_path / "plain.npy").size == 6


LIES = {
    "a huge array": (
        member(PICTURES, shape=(2**40, 5, 5)),
        "states 27,487,790,694",
    ),
    "more than memory": (member(PICTURES, shape=(2**60, 2**40, 9)), "states"),
    "a negative size": (member(PICTURES, shape=(-6, -5, 5)), "states"),
    "cut short": (member(PICTURES)[:-1], "states 150 bytes of values but has 149"),
    "more behind it": (member(PICTURES) + b"x", "states 150 bytes.*has 151"),
    "no header": (b"PNG", "cannot be read"),
}


@pytest.mark.parametrize("what", LIES)
def test_headers_that_lie(tmp_path, what):
    content, message = LIES[what]
    archive(tmp_path / "a.npz", {"images.npy": content})
    with pytest.raises(UsageError, match=rf"'images' {message}"):
        load(tmp_path / "a.npz")
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UsageError, match=r"cannot be read as an .npz of plain arrays"):
        load(tmp_path / "a.npy")


def directory_entry(path, offset, form, value):
    """Changes a field of the first entry of a zip's central directory."""
    raw = bytearray(path.read_bytes())
    start = raw.index(b"PK\x01\x02")
    struct.pack_into(form, raw, start + offset, value)
    path.write_bytes(raw)


def test_a_directory_that_lies_like_the_header(tmp_path):
    path = archive(
        tmp_path / "a.npz",
        {"images.npy": member(PICTURES, **{"shape": (40_000_000, 5, 5)})},
    )
    # Newer versions of Python refuse members that overlap the directory themselves.
    refused = "more than its compressed form has|possible zip bomb"
    directory_entry(path, 24, "<I", 128 + 10**9)
    with pytest.raises(UsageError, match=refused):
        load(path)
    directory_entry(path, 20, "<I", 2**31)  # nor is the file as long as that
    with pytest.raises(UsageError, match=refused):
        load(path)


def test_encrypted_and_double_members(tmp_path):
    path = archive(tmp_path / "a.npz", {"images.npy": member(PICTURES)})
    directory_entry(path, 8, "<H", 1)
    with pytest.raises(UsageError, match="'images' is encrypted"):
        load(path)
    path = archive(
        tmp_path / "b.npz", {"images.npy": b"", "imagez.npy": member(PICTURES)}
    )
    path.write_bytes(path.read_bytes().replace(b"imagez", b"images"))
    with pytest.raises(UsageError, match="'images' appears twice"):
        load(path)


def test_a_wrong_checksum_is_found(tmp_path):
    path = archive(
        tmp_path / "a.npz", {"images.npy": member(PICTURES)}, zipfile.ZIP_STORED
    )
    raw = bytearray(path.read_bytes())
    raw[raw.index(PICTURES.tobytes()) + 70] ^= 1
    path.write_bytes(raw)
    with pytest.raises(UsageError, match="Bad CRC-32"):
        load(path)


def test_what_does_not_fit_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((2**17, 8, 8)), x=PICTURES)
    monkeypatch.setattr(npy_files, "host_bytes", lambda: 80 * 2**20)
    message = r"'images' takes 0.1 GiB, more than the memory that is free"
    with pytest.raises(UsageError, match=message):  # 64 MiB, and 32 as float32
        load(tmp_path / "a.npz")
    assert load(tmp_path / "a.npz", image_field="x").size == 6


def test_an_array_per_picture_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npy_files, "MOST_MEMBERS", 5)
    np.savez(tmp_path / "a.npz", *PICTURES)
    with pytest.raises(UsageError, match="it holds 6 arrays; stack them into one"):
        load(tmp_path / "a.npz")


def test_names_do_not_reach_the_terminal_raw(tmp_path, caplog):
    np.savez(tmp_path / "a.npz", **{"\x1b[31mx": PICTURES, "y\x1b": np.arange(6)})
    with caplog.at_level("INFO", "jaxgan"):
        load(tmp_path / "a.npz")
    assert "\x1b" not in caplog.text
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "a.npz", image_field="\x1b[0m")
    assert "\x1b" not in str(caught.value)
