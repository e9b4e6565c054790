"""The files below a folder that are data: links, loops, splits, what is left out."""

import logging
import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.errors import UsageError

NOBODY = 65534


def picture(path: Path, gray: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), gray).save(path)


def load(path, **options) -> data.Dataset:
    return data.load(f"folder:{path}", **options)


def grays(dataset: data.Dataset | None) -> list[int]:
    """The gray value of each picture, in order."""
    assert dataset is not None
    return data.read_all(dataset)["image"][:, 0, 0, 0].tolist()


@contextmanager
def not_root():
    """Root may read everything; so for a while this is somebody else."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def open_path():
    """A folder that everybody may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="jaxgan-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


def test_classes_may_be_links(tmp_path):
    for i in range(3):
        picture(tmp_path / f"root/cats/{i}.png", 10)
        picture(tmp_path / f"elsewhere/{i}.png", 20)
    (tmp_path / "root/dogs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/cats/3.png").symlink_to(tmp_path / "elsewhere/0.png")
    dataset = load(tmp_path / "root")
    assert dataset.classes == ("cats", "dogs")
    labels = dataset.read(np.arange(dataset.size))["label"]
    assert labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert grays(dataset) == [10, 10, 10, 20, 20, 20, 20]


def test_links_may_lead_in_circles(tmp_path):
    picture(tmp_path / "root/cats/0.png", 1)
    (tmp_path / "root/cats/again").symlink_to(tmp_path / "root")
    (tmp_path / "root/cats/self").symlink_to(tmp_path / "root/cats")
    dataset = load(tmp_path / "root")
    assert (dataset.classes, grays(dataset)) == (("cats",), [1])


@pytest.mark.parametrize("link", ["root/a", "root/z", "root/cats/deep/z"])
def test_a_folder_that_is_reached_twice_is_refused(tmp_path, link):
    picture(tmp_path / "root/cats/deep/0.png")
    (tmp_path / link).symlink_to(tmp_path / "root/cats/deep")
    if link.startswith("root/cats"):  # a circle
        assert load(tmp_path / "root").size == 1
        return
    with pytest.raises(UsageError, match="are the same folder; remove the link"):
        load(tmp_path / "root")


@pytest.mark.parametrize("target", ["gone", "x.png"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path, target):
    picture(tmp_path / "a.png")
    (tmp_path / "x.png").symlink_to(tmp_path / target)
    with pytest.raises(UsageError, match=r"x\.png cannot be read \(.*move it away"):
        load(tmp_path)


@pytest.mark.parametrize("closed", ["", "dogs", "dogs/deep", "dogs/0.png"])
def test_what_may_not_be_read_is_refused(open_path, closed):
    for name in ("cats/0.png", "dogs/0.png", "dogs/deep/0.png"):
        picture(open_path / name)
    os.chmod(open_path / closed, 0)
    try:
        with not_root(), pytest.raises(UsageError, match=r"Permission denied") as error:
            load(open_path)
    finally:
        os.chmod(open_path / closed, 0o755)
    assert str(open_path / closed) in str(error.value)


def test_what_is_left_out_is_counted_in_one_line(tmp_path, monkeypatch, caplog):
    picture(tmp_path / "cats/0.png")
    names = ["cats/1.heic", "cats/2.HEIC", "dogs/1.heic", "cats/a.tga", "cats/README"]
    names += [*("cats/Thumbs.db", "cats/.DS_Store", "cats/._0.png"), "cats/b\x1b[31m.x"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"?")
    for place in ("@eaDir", ".thumbnails", "__MACOSX", ".hidden", "cats/@eaDir"):
        picture(tmp_path / place / "0.png")
    (tmp_path / "cats/3.x\x1b[31m").write_bytes(b"?")
    os.mkfifo(tmp_path / "cats/pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # the names of sockets are short
        server.bind("cats/socket.png")
        with caplog.at_level(logging.INFO, "jaxgan"):
            dataset = load(tmp_path)
    assert (dataset.size, dataset.classes) == (1, ("cats",))
    (line,) = [x for x in caplog.messages if "left out" in x]
    for part in ("3 .heic;", "1 .tga;", "1 without a suffix;", "@eaDir/, __MACOSX/;"):
        assert part in line
    assert "2 FIFOs, sockets or devices" in line
    assert "dogs/ without pictures" in line
    assert r"1 .x\x1b[31m" in line
    assert "\x1b" not in line


SUFFIXES = [
    *("png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "gif", "tif", "tiff"),
    *("ppm", "pgm", "pnm", "avif", "jp2", "JPG"),
]
KINDS = {"jfif": "JPEG", "jpe": "JPEG", "pgm": "PPM", "jp2": "JPEG2000"}


def test_all_that_pillow_reads_safely_is_read(tmp_path):
    for i, suffix in enumerate(SUFFIXES):
        Image.new("L", (8, 8), 77).save(tmp_path / f"{i}.{suffix}", KINDS.get(suffix))
    dataset = load(tmp_path)
    assert dataset.size == len(SUFFIXES)
    np.testing.assert_allclose(data.read_all(dataset)["image"], 77, atol=2)


@pytest.fixture
def splits(tmp_path):
    """A folder of three splits; the gray value tells the split, then the class."""
    names = [("train", "a"), ("train", "b"), ("train", "c"), ("val", "b"), ("val", "c")]
    for i, (split, label) in enumerate(names):
        for number in range(2):
            picture(tmp_path / split / label / f"{number}.png", i)
    picture(tmp_path / "test/0.png", 9)
    picture(tmp_path / ".cache/x.png")
    (tmp_path / "list.csv").write_text("a,b")
    (tmp_path / "annotations").mkdir()
    return tmp_path


def test_folders_of_splits_are_splits(splits):
    train, val, test = (load(splits, split=s) for s in ("train", "valid", "test"))
    assert (train.classes, grays(train)) == (("a", "b", "c"), [0, 0, 1, 1, 2, 2])
    # The classes are those of training, also where some are missing.
    assert (val.classes, grays(val)) == (("a", "b", "c"), [3, 3, 4, 4])
    assert val.read(np.arange(4))["label"].tolist() == [1, 1, 2, 2]
    assert (test.classes, grays(test)) == ((), [9])
    message = r"--split=train\[:1\]: .* has the splits test, train, val; use one"
    with pytest.raises(UsageError, match=message):
        load(splits, split="train[:1]")
    picture(splits / "val/stranger/0.png")
    with pytest.raises(UsageError, match=r"val/stranger is not one of the 3 classes"):
        load(splits, split="val")


def test_splits_beside_classes_are_refused(splits):
    picture(splits / "dogs/0.png")
    with pytest.raises(UsageError, match="test/ and train/ look like splits, and dogs"):
        load(splits)


def test_pictures_beside_splits_are_refused(splits):
    picture(splits / "loose.png")
    with pytest.raises(UsageError, match=r"both beside \(loose\.png\) and inside"):
        load(splits)


def test_a_class_may_be_called_train(tmp_path):
    for name in ("bus/0.png", "train/0.png"):
        picture(tmp_path / name)
    assert load(tmp_path).classes == ("bus", "train")


def hold_out(path, said, split="train"):
    def other(name):
        return load(path, split=name)

    return data.hold_out(other(split), said, split, other)


def test_splits_are_held_out(splits):
    train, held = hold_out(splits, "auto")
    assert (train.size, grays(held)) == (6, [3, 3, 4, 4])  # test has no labels
    with pytest.raises(UsageError, match=r"--held_out=test .* 0 classes"):
        hold_out(splits, "test")
    assert grays(hold_out(splits, "val")[1]) == [3, 3, 4, 4]
    # What is trained on is not held out under another name.
    rest, held = hold_out(splits, "auto", "valid")
    assert (grays(rest), held) == ([3, 3, 4, 4], None)
    with pytest.raises(UsageError, match="has the splits"):
        hold_out(splits, "nothing")
    Image.new("L", (5, 4)).save(splits / "test/0.png")
    with pytest.raises(
        UsageError, match=r"--held_out=test has examples of \[4, 5, 1\]"
    ):
        hold_out(splits, "test")


def test_a_broken_test_split_is_told(splits):
    (splits / "test/0.png").write_bytes(b"?")
    with pytest.raises(UsageError, match=r"test/0\.png cannot be read"):
        hold_out(splits, "auto")
