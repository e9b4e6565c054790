import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_fixtures import png, prepare_own

from jaxgan import data
from jaxgan.data import cache

IMAGES = np.random.default_rng(1).integers(0, 256, (40, 4, 6)).astype(np.uint8)


@pytest.fixture
def set_dir(tmp_path) -> Path:
    features = {
        "image": tfds.features.Image(shape=(4, 6, 1)),
        "label": tfds.features.ClassLabel(num_classes=4),
    }
    examples = [{"image": png(x), "label": i % 4} for i, x in enumerate(IMAGES)]
    prepare_own(tmp_path, "small", features, examples)
    return tmp_path


def load(set_dir: Path, **options) -> data.Dataset:
    return data.load("small", data_dir=str(set_dir), **options)


def kept(set_dir: Path) -> list[Path]:
    return sorted((set_dir / "small" / "1.0.0" / "jaxgan").glob("*"))


def undecodable(dataset: data.Dataset) -> data.Dataset:
    def read(numbers):
        raise AssertionError("decoded again")

    return dataset._replace(read=read)


def test_a_set_is_decoded_once(set_dir):
    dataset = load(set_dir)
    first = data.read_all(dataset)
    assert [f.name.split(".", 1)[1] for f in kept(set_dir)] == [
        "image.npy",
        "label.npy",
    ]
    again = data.read_all(undecodable(load(set_dir)))
    assert isinstance(again["image"], np.memmap)
    np.testing.assert_array_equal(
        np.sort(first["image"].reshape(40, -1), axis=0),
        np.sort(IMAGES.reshape(40, -1), axis=0),
    )
    for field, rows in first.items():
        np.testing.assert_array_equal(again[field], rows)
        assert again[field].dtype == rows.dtype
    # A few examples are taken from there too.
    some = data.read_some(undecodable(load(set_dir)), np.array([7, 3, 7]))
    for field, rows in load(set_dir).read(np.array([7, 3, 7])).items():
        np.testing.assert_array_equal(some[field], rows)
        assert some[field].dtype == rows.dtype


def test_tfds_does_not_mind_what_we_keep(set_dir):
    data.read_all(load(set_dir))
    builder: Any = tfds.builder("small", data_dir=str(set_dir))
    assert builder.info.splits["train"].num_examples == 40
    assert len(builder.as_data_source("train")) == 40


def test_each_split_and_frame_is_kept_apart(set_dir):
    asked: list[dict[str, Any]] = [
        {},
        {"split": "train[:5]"},
        {"image_size": "2"},
        {"crop": "2"},
    ]
    asked += [{"image_size": "2", "crop": "none"}]
    wholes = [data.read_all(load(set_dir, **options))["image"] for options in asked]
    assert len(kept(set_dir)) == 2 * len(asked)
    for options, whole in zip(asked, wholes, strict=True):
        again = data.read_all(undecodable(load(set_dir, **options)))["image"]
        np.testing.assert_array_equal(again, whole)


@pytest.mark.parametrize("how", ["cut", "emptied", "removed", "replaced", "scribbled"])
def test_what_is_kept_but_broken_is_made_anew(set_dir, how):
    whole = data.read_all(load(set_dir))
    image = kept(set_dir)[0]
    if how == "cut":
        image.write_bytes(image.read_bytes()[:-10])
    elif how == "emptied":
        image.write_bytes(b"")
    elif how == "removed":
        image.unlink()
    elif how == "replaced":
        np.save(image, np.zeros((3, 3)))
    else:
        image.write_bytes(b"scribble" * 100)
    np.testing.assert_array_equal(data.read_all(load(set_dir))["image"], whole["image"])
    data.read_all(undecodable(load(set_dir)))


def test_a_set_prepared_anew_is_decoded_anew(set_dir):
    data.read_all(load(set_dir))
    shard = next((set_dir / "small" / "1.0.0").glob("*.array_record*"))
    os.utime(shard, ns=(0, 0))
    with pytest.raises(AssertionError, match="decoded again"):
        data.read_all(undecodable(load(set_dir)))


def test_a_folder_that_cannot_be_written_is_no_error(set_dir, caplog):
    place = set_dir / "small" / "1.0.0" / "jaxgan"
    shutil.rmtree(place, ignore_errors=True)
    place.write_text("a file where the folder should be")
    with caplog.at_level("INFO", "jaxgan"):
        assert len(data.read_all(load(set_dir))["image"]) == 40
    assert "are not kept for the next run" in caplog.text


def test_large_sets_are_not_kept(set_dir, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 40 * 24 - 1)
    data.read_all(load(set_dir))
    assert kept(set_dir) == []
    monkeypatch.setattr(cache, "LIMIT", 40 * 24)
    data.read_all(load(set_dir))
    assert len(kept(set_dir)) == 2
