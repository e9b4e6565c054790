"""Data sets in shards: array_record, WebDataset and parquet."""

import pickle

import numpy as np
import pytest
from shard_files import (
    encode,
    pictures,
    tf_example,
    write_array_record,
    write_parquet,
    write_tar,
)

from jaxgan import data
from jaxgan.data import index_cache, record_index
from jaxgan.data.listing import SHARDED
from jaxgan.data.record_set import FORMATS
from jaxgan.errors import UsageError

COUNT = 20
SHARDS = 2
NAMES = ("cat", "dog", "eel")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache of its own for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def labels(count=COUNT):
    return [i % 3 for i in range(count)]


def write(kind, folder, images, numbers, split=""):
    """Writes shards of a kind with labels and an attribute; returns the name."""
    prefix = f"{split}-" if split else "s-"
    each = len(images) // SHARDS
    for shard in range(SHARDS):
        own = range(shard * each, (shard + 1) * each)
        name = f"{prefix}{shard:05}"
        if kind == "webdataset":
            samples = [
                {
                    "png": encode(images[i]),
                    "cls": str(numbers[i]).encode(),
                    "json": b'{"smiling": %d}' % (i % 2),
                }
                for i in own
            ]
            write_tar(folder / f"{name}.tar", samples, shard * each)
        elif kind == "array_record":
            records = [
                tf_example(image=encode(images[i]), label=numbers[i], smiling=i % 2)
                for i in own
            ]
            file = folder / f"{prefix}a.array_record-{shard:05}-of-{SHARDS:05}"
            write_array_record(file, records)
        else:
            columns = {
                "image": [{"bytes": encode(images[i]), "path": None} for i in own],
                "label": [numbers[i] for i in own],
                "smiling": [bool(i % 2) for i in own],
            }
            write_parquet(folder / f"{name}.parquet", columns, names=NAMES)
    return f"{kind}:{folder}"


def test_every_sharded_source_is_listed():
    assert set(SHARDED) == set(FORMATS) <= set(data.SOURCES)


@pytest.mark.parametrize("kind", SHARDED)
def test_shards_hold_the_pictures_labels_and_attributes(kind, tmp_path, monkeypatch):
    images, numbers = pictures(COUNT), labels()
    name = write(kind, tmp_path, images, numbers, "train")
    write(kind, tmp_path, pictures(4, seed=1), [2, 2, 2, 2], "test")
    dataset = data.load(name)
    assert (dataset.size, dataset.shape) == (COUNT, (8, 8, 3))
    expected = NAMES if kind == "parquet" else ("0", "1", "2")
    assert dataset.classes == expected
    order = np.array([19, 0, 7, 7])
    some = dataset.read(order)
    np.testing.assert_array_equal(some["image"], np.stack([images[i] for i in order]))
    assert some["label"].tolist() == [numbers[i] for i in order]
    assert some["attributes"][:, 0].tolist() == [i % 2 == 1 for i in order]
    assert dataset.example["attributes"].names == ("smiling",)
    # The classes of a split are those of train.
    test = data.load(name, split="test")
    assert (test.size, test.classes) == (4, expected)
    assert test.read(np.arange(4))["label"].tolist() == [2] * 4
    train, held_out = data.hold_out(
        dataset, "auto", "train", lambda split: data.load(name, split=split)
    )
    assert (train.size, held_out and held_out.size) == (COUNT, 4)
    with pytest.raises(UsageError, match="has the splits t.*; use one"):
        data.load(name, split="val")
    # The second start reads the index alone, and a copy reads the same.
    monkeypatch.setattr(record_index, "try_header", None)
    again = data.load(name)
    assert data.fingerprint(again) == data.fingerprint(dataset)
    decoding = again.decoding
    assert decoding is not None
    copy = pickle.loads(pickle.dumps(decoding.decoder))
    np.testing.assert_array_equal(copy(decoding.locate(order)), some["image"])
    np.testing.assert_array_equal(
        data.load(name, label_field="none").read(order)["image"], some["image"]
    )


@pytest.mark.parametrize("kind", SHARDED)
def test_another_picture_or_label_is_another_data_set(kind, tmp_path):
    images = pictures(COUNT)
    prints = set()
    for change in ("none", "label", "picture"):
        folder = tmp_path / change
        folder.mkdir()
        own = [images[0] // 2, *images[1:]] if change == "picture" else images
        numbers = [1, *labels()[1:]] if change == "label" else labels()
        prints.add(data.fingerprint(data.load(write(kind, folder, own, numbers))))
    assert len(prints) == 3


@pytest.mark.parametrize("kind", SHARDED)
def test_a_changed_shard_is_indexed_again(kind, tmp_path):
    name = write(kind, tmp_path, pictures(4), [0, 1, 2, 0])
    assert data.load(name).read(np.arange(1))["image"].max() > 0
    write(kind, tmp_path, [image * 0 for image in pictures(6)], [0, 1, 2] * 2)
    dataset = data.load(name)
    assert dataset.size == 6
    assert dataset.read(np.arange(6))["image"].max() == 0


def test_a_damaged_index_is_made_again(tmp_path):
    name = write("webdataset", tmp_path, pictures(4), [0, 1, 2, 0])
    first = data.load(name)
    (file,) = (index_cache.folder() or tmp_path).glob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    assert data.fingerprint(data.load(name)) == data.fingerprint(first)
