"""The index of image folders: when it is used, and which changes it notices."""

import os

import numpy as np
import pytest
from PIL import Image
from shard_files import encode, pictures

from jaxgan import data
from jaxgan.data import folder_index, index_cache, listing
from jaxgan.data import pictures as picture_files
from jaxgan.data.picture_lists import HeaderList, PathList
from jaxgan.errors import UsageError

OLD = 1_600_000_000


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of 200 pictures of two classes, which was changed long ago."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(folder_index, "LEAST", 100)
    root = tmp_path / "data"
    contents = [encode(image) for image in pictures(10)]
    for i in range(200):
        (root / f"c{i % 2}").mkdir(parents=True, exist_ok=True)
        (root / f"c{i % 2}" / f"{i:03}.png").write_bytes(contents[i % 10])
    (root / "notes.md").write_text("left out")
    age(root)
    return root


def age(root):
    """Sets the times of all folders back."""
    for folder in (root, *root.glob("c*")):
        os.utime(folder, (OLD, OLD))


def walks(monkeypatch):
    """Counts walks and headers read from now on."""
    found = []
    walk, read = listing.Walk._walk, picture_files.try_header
    monkeypatch.setattr(
        listing.Walk, "_walk", lambda self: found.append("walk") or walk(self)
    )
    monkeypatch.setattr(
        picture_files, "try_header", lambda x: found.append("header") or read(x)
    )
    return found


def test_the_second_start_reads_the_index_alone(root, monkeypatch, caplog):
    caplog.set_level("INFO")
    first = data.load(f"folder:{root}")
    counted = walks(monkeypatch)
    caplog.clear()
    again = data.load(f"folder:{root}")
    assert counted == []
    assert "left out 1 .md" in caplog.text
    assert data.fingerprint(again) == data.fingerprint(first)
    assert (again.size, again.classes, again.origin) == (
        *(first.size, first.classes),
        first.origin,
    )
    for name, x in first.read(np.arange(200)).items():
        np.testing.assert_array_equal(again.read(np.arange(200))[name], x)


OTHERS = {
    "pairs": "pairs:{0}",
    "halves": "pairs:{0}/halves",
    "unpaired": "unpaired:{0}/A,{0}/B",
    "domains": "domains:{0}/domains",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_folders_have_an_index_too(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(folder_index, "LEAST", 2)
    root, rng = tmp_path / "data", np.random.default_rng(0)
    # The files of B are in another order than those of A, and differ in size.
    for place, suffix in (
        ("A", "bmp"),
        ("B", "png"),
        ("domains/x", "png"),
        *(*(("domains/y", "png"), ("halves", "png")),),
    ):
        (root / place).mkdir(parents=True)
        for stem, high in ("a", 8), ("a.c", 10):
            wide = 2 * high if place == "halves" else high
            pixels = rng.integers(0, 256, (high, wide, 3), np.uint8)
            Image.fromarray(pixels).save(root / place / f"{stem}.{suffix}")
    for folder in (root, *(x for x in root.rglob("*") if x.is_dir())):
        os.utime(folder, (OLD, OLD))
    name = OTHERS[kind].format(root)
    first = data.load(name, image_size="8x8")
    counted = walks(monkeypatch)
    again = data.load(name, image_size="8x8")
    assert "header" not in counted
    if kind in ("halves", "unpaired"):
        assert counted == []  # others look for A, B, splits and their folders
    assert data.fingerprint(again) == data.fingerprint(first)
    for field, x in first.read(np.arange(first.size)).items():
        np.testing.assert_array_equal(again.read(np.arange(first.size))[field], x)


@pytest.mark.parametrize("change", ["add", "remove", "rename", "same time", "move"])
def test_changed_folders_are_walked_again(root, monkeypatch, change):
    data.load(f"folder:{root}")
    file = root / "c0" / "000.png"
    size = 200
    if change == "add":
        (root / "c1" / "new.png").write_bytes(file.read_bytes())
        size += 1
    elif change == "rename":
        file.rename(file.with_name("renamed.png"))
    elif change == "move":
        file.rename(root / "c1" / "moved.png")
    else:
        file.unlink()
        size -= 1
    if change == "same time":  # the number of entries tells
        age(root)
    counted = walks(monkeypatch)
    dataset = data.load(f"folder:{root}")
    assert "walk" in counted
    assert dataset.size == size
    dataset.read(np.arange(size))


def test_no_index_is_kept_of_few_pictures_or_of_a_folder_in_change(root, monkeypatch):
    (root / "c0" / "newer.png").write_bytes((root / "c0" / "000.png").read_bytes())
    data.load(f"folder:{root}")
    assert not list((index_cache.folder() or root).glob("*.npz"))
    age(root)
    monkeypatch.setattr(folder_index, "LEAST", 1000)
    data.load(f"folder:{root}")
    assert not list((index_cache.folder() or root).glob("*.npz"))


def test_a_picture_that_is_overwritten_is_noticed_when_it_is_read(root):
    data.load(f"folder:{root}")
    file = root / "c0" / "000.png"
    file.write_bytes(encode(pictures(1, size=16)[0]))
    age(root)
    again = data.load(f"folder:{root}")
    with pytest.raises(UsageError, match=r"000\.png has changed since"):
        again.read(np.arange(1))


def test_bad_pictures_are_tried_again(root):
    file = root / "c0" / "000.png"
    whole = file.read_bytes()
    file.write_bytes(b"damaged")
    age(root)
    kept = data.load(f"folder:{root}", on_bad_example="skip")
    assert list((index_cache.folder() or root).glob("*.npz"))
    assert kept.size == 200
    with pytest.raises(UsageError, match=r"000\.png cannot be read as a picture"):
        data.load(f"folder:{root}")
    file.write_bytes(whole)
    assert data.load(f"folder:{root}").read(np.arange(1))["image"].max() > 0


def test_the_oldest_indexes_are_removed(root, monkeypatch):
    monkeypatch.setattr(index_cache, "MOST_FILES", 2)
    for i in range(4):
        assert index_cache.save(index_cache.place("test", i), {"number": i})
    assert len(list((index_cache.folder() or root).glob("*.npz"))) == 2
    assert index_cache.load(index_cache.place("test", 3)) == {"number": 3}


def test_lists_are_those_of_paths_and_headers(tmp_path):
    texts = ["a/1.png", "a/\udcff.png", "b.png"]  # a name that is not UTF-8
    paths = PathList.of(tmp_path, texts)
    assert list(paths) == [tmp_path / x for x in texts]
    assert paths[-1] == tmp_path / "b.png"
    assert paths[:2] == [tmp_path / x for x in texts[:2]]
    with pytest.raises(IndexError):
        paths[3]
    header = picture_files.Header((3, 5), "I;16", False, True)
    other = picture_files.Header((3, 5), "RGB", True)
    headers = HeaderList.of([None, other, header, other])
    assert list(headers) == [None, other, header, other]
    assert headers.distinct() == [(1, 2, other), (2, 1, header)]
    assert headers.bad()
