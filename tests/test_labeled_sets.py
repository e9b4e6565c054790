"""Labeled sets of a conditional run read back exactly, in every format."""

import csv
import io
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from test_train import run

from jaxgan import sample
from jaxgan.data import load
from jaxgan.data.tfds.messages import quiet_tfds
from jaxgan.evaluation import labeled_files
from jaxgan.evaluation.load_run import load_run
from jaxgan.gan.objective import example_keys
from jaxgan.types import image_example

EACH = 3
NAMES = ("10", "9", "a/b", "train", ".")
"""Class names in an order that is not that of folders; some are no file names."""


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A conditional run of a few steps, of five classes."""
    folder = tmp_path_factory.mktemp("labelled")
    images = np.arange(50 * 64, dtype=np.uint8).reshape(50, 8, 8)
    np.savez(folder / "data.npz", images=images, labels=np.array(NAMES * 10))
    # The programs of test_sample.py, which are compiled once.
    wraps = {"generator_wrap": "embed", "discriminator_wrap": "projection"}
    return run(folder / "data.npz", folder / "run", 5, task="conditional(4)", **wraps)


@pytest.fixture(scope="module")
def expected(labelled):
    """Images and class names, drawn by another path: all of a class at once."""
    opened = load_run(labelled)
    images, names = [], []
    for label, name in enumerate(opened.example.classes):
        key = jax.random.fold_in(jax.random.key(0), label)
        batch = {"label": jnp.full(EACH, label), "image": jnp.zeros((EACH, 8, 8, 1))}
        keys = example_keys(key, EACH)
        drawn = np.asarray(opened.gan.generate(opened.variables, batch, keys))
        images.append(np.round((drawn + 1) * 127.5).clip(0, 255).astype(np.uint8))
        names += [name] * EACH
    assert sorted(set(names)) == sorted(NAMES)
    return np.concatenate(images), names


def export(labelled, out, *flags):
    argv = [f"--workdir={labelled}", f"--out={out}", f"--per_class={EACH}", *flags]
    assert sample.main(argv) == 0


def close(one, other):
    """True for equal images; a compiled program may round a half to another byte."""
    return np.abs(one.astype(int) - other.astype(int)).max() <= 1


def test_npz_holds_every_class_equally_often(labelled, expected, tmp_path):
    images, names = expected
    export(labelled, f"{tmp_path}/new/", "--format=npz")
    with np.load(tmp_path / "new" / "samples.npz") as file:
        assert file["labels"].dtype == np.int32
        assert file["classes"][file["labels"]].tolist() == names
        assert file["samples"].dtype == np.uint8
        assert close(file["samples"], images)
    # The first samples of a class do not depend on their number, nor on the file.
    export(labelled, tmp_path / "more.npz", "--per_class=130")
    with np.load(tmp_path / "more.npz") as file:
        first = file["samples"].reshape(5, 130, 8, 8, 1)[:, :EACH]
    assert close(first.reshape(images.shape), images)
    # Our own reader takes the file as a labeled set.
    back = load(f"npz:{tmp_path}/more.npz")
    assert (back.size, len(back.classes)) == (650, 5)


def image_folder(root):
    """Reads like torchvision's ImageFolder: classes are the sorted folders."""
    classes = sorted(x.name for x in root.iterdir() if x.is_dir())
    found = []
    for name in classes:
        for file in sorted((root / name).rglob("*")):
            with Image.open(file) as picture:
                found.append((name, np.asarray(picture.convert("L"))[..., None]))
    return found


def test_a_folder_is_an_image_folder(labelled, expected, tmp_path):
    images, names = expected
    out = tmp_path / "new"
    export(labelled, f"{out}/")
    safe = {"10": "10", "9": "9", "a/b": "a_b", "train": "train", ".": "_"}
    found = image_folder(out)
    assert len(found) == len(names)
    for name in NAMES:
        own = [x for x, y in zip(images, names, strict=True) if y == name]
        assert close(np.array([x for y, x in found if y == safe[name]]), np.array(own))
    # The table has the names of the classes as they are in the data.
    with open(out / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == names
    assert all(row["file"].startswith(safe[row["class"]] + "/") for row in rows)
    # Our own reader sees the same pixels.
    back = load(f"folder:{out}")
    assert sorted(safe.values()) == list(back.classes)
    read = back.read(np.arange(back.size))
    for (name, pixels), label, image in zip(
        found, read["label"], read["image"], strict=True
    ):
        assert back.classes[label] == name
        np.testing.assert_array_equal(image, pixels)


def test_tfds_reads_a_prepared_set(labelled, expected, tmp_path):
    import tensorflow_datasets as tfds

    images, names = expected
    export(labelled, f"{tmp_path}/new/", "--format=tfds")
    with quiet_tfds():
        builder: Any = tfds.builder_from_directory(tmp_path / "new/samples/1.0.0")
        source = builder.as_data_source(split="train")
        decoders = {"image": tfds.decode.SkipDecoding()}
        raw = builder.as_data_source(split="train", decoders=decoders)
    feature = builder.info.features["label"]
    assert [feature.names[int(x["label"])] for x in source] == names
    read = [np.asarray(Image.open(io.BytesIO(x["image"])))[..., None] for x in raw]
    assert close(np.array(read), images)
    assert {x.name for x in (tmp_path / "new").iterdir()} == {"export.json", "samples"}
    back = load("samples", data_dir=str(tmp_path / "new"))
    np.testing.assert_array_equal(back.read(np.arange(back.size))["image"], read)
    assert back.classes == tuple(feature.names)


def test_overwrite_replaces_an_earlier_set_and_nothing_else(labelled, tmp_path):
    out = tmp_path / "new"
    export(labelled, f"{out}/", "--per_class=2")
    (out / "mine.txt").write_text("mine")
    export(labelled, f"{out}/", "--per_class=1", "--overwrite")
    assert (out / "mine.txt").read_text() == "mine"
    assert len(list(out.glob("*/*.png"))) == 5
    assert json.loads((out / "export.json").read_text())["per_class"] == 1


@pytest.mark.parametrize(
    ("make", "flags", "word"),
    [
        ("mine/x.txt", ("--out={}/mine/", "--overwrite"), "has no export.json"),
        ("mine/x.txt", ("--out={}/mine/",), "is not an empty folder"),
        ("a.npz", ("--out={}/a.npz",), "exists: add --overwrite"),
    ],
)
def test_existing_outputs_are_kept(labelled, tmp_path, capsys, make, flags, word):
    (tmp_path / make).parent.mkdir(exist_ok=True)
    (tmp_path / make).write_text("mine")
    flags = [x.format(tmp_path) for x in flags]
    assert sample.main([f"--workdir={labelled}", "--per_class=2", *flags]) == 2
    assert word in capsys.readouterr().err
    assert (tmp_path / make).read_text() == "mine"


def test_folder_names_are_safe_and_differ():
    names = ["A", "a", "a-2", "x" * 300, "é/ü", "con", "nul.txt", " b. ", "\0\n"]
    safe = labeled_files.folder_names(names)
    assert safe[:3] == ["A", "a-2", "a-2-2"]
    assert safe[4:] == ["é_ü", "_con", "_nul.txt", "b", "__"]
    assert len({x.casefold() for x in safe}) == len(names)
    assert max(len(x.encode()) for x in safe) <= 100


def test_samples_that_are_no_pictures_fit_an_npz_only(tmp_path):
    from jaxgan.errors import UsageError

    points = image_example((8, 8, 3), np.dtype(np.uint16), ("a", "b"))
    for form in ("folder", "tfds"):
        with pytest.raises(UsageError, match="use --format=npz"):
            labeled_files.check_pictures(tmp_path, form, points)
    labeled_files.check_pictures(tmp_path, "npz", points)
    # The dtype of the data is kept.
    parts = [(0, np.zeros((1, 8, 8, 3))), (1, np.ones((2, 8, 8, 3)))]
    labeled_files.write(tmp_path / "a.npz", "npz", points, parts, {})
    with np.load(tmp_path / "a.npz") as file:
        assert file["samples"].dtype == np.uint16
        assert file["samples"][:, 0, 0, 0].tolist() == [32768, 65535, 65535]
        assert file["labels"].tolist() == [0, 1, 1]
