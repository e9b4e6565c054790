"""Data sets in shards: array_record, WebDataset and parquet."""

import pathlib
import pickle
import re
from typing import Any

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

ROOT = pathlib.Path(__file__).parent.parent
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
    with pytest.raises(UsageError, match=r"has the splits t.*; use one"):
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


def test_braces_globs_and_sequences(tmp_path):
    contents = [{"png": encode(image)} for image in pictures(8)]
    for shard in range(4):
        write_tar(tmp_path / f"s-{shard:06}.tar", contents[shard * 2 :][:2])
    name = f"webdataset:{tmp_path}/s-"
    assert data.load(f"{name}{{000000..000003}}.tar").size == 8
    assert data.load(f"{name}00000{{1,3}}.tar").size == 4
    assert data.load(f"{name}*.tar").classes == ()
    assert data.load(f"{name}000002.tar").size == 2
    with pytest.raises(UsageError, match=r"s-000004\.tar is missing, one of 2 of 6"):
        data.load(f"{name}{{000000..000005}}.tar")
    (tmp_path / "s-000002.tar").unlink()
    with pytest.raises(UsageError, match="shard 2 of 0 to 3 is missing beside s-0"):
        data.load(f"webdataset:{tmp_path}")
    with pytest.raises(UsageError, match=r"there is no file .*; name shards like"):
        data.load(f"webdataset:{tmp_path}/t-*.tar")


def one_tar(tmp_path, *samples):
    write_tar(tmp_path / "s.tar", samples)
    return f"webdataset:{tmp_path}/s.tar"


def test_texts_are_labels_only_if_they_repeat(tmp_path):
    images = [encode(image) for image in pictures(4)]
    captions = [b"a red cat", b"a dog", b"an eel", b"two cats"]
    texts = [{"jpg": x, "txt": y} for x, y in zip(images, captions, strict=True)]
    assert data.load(one_tar(tmp_path, *texts)).classes == ()
    classes = [
        {"png": x, "txt": b"dog cat".split()[i % 2]} for i, x in enumerate(images)
    ]
    dataset = data.load(one_tar(tmp_path, *classes))
    assert dataset.classes == ("cat", "dog")
    assert dataset.read(np.arange(4))["label"].tolist() == [1, 0, 1, 0]


def test_records_that_are_pictures(tmp_path):
    images = pictures(3)
    write_array_record(tmp_path / "a.array_record", [encode(x) for x in images])
    dataset = data.load(f"array_record:{tmp_path}/a.array_record")
    assert (dataset.classes, dataset.attributes) == ((), None)
    np.testing.assert_array_equal(dataset.read(np.arange(3))["image"], images)


def test_a_set_that_tfds_wrote(tmp_path):
    import tensorflow_datasets as tfds
    from data_fixtures import png, prepare_own

    images = pictures(6)
    features = {
        "image": tfds.features.Image(shape=(8, 8, 3)),
        "label": tfds.features.ClassLabel(names=["owl", "ant", "bee"]),
    }
    import io

    examples = [
        {"image": io.BytesIO(png(x)), "label": i % 2} for i, x in enumerate(images)
    ]
    builder = prepare_own(tmp_path, "own_records", features, examples)
    dataset = data.load(f"array_record:{builder.data_path}")
    # In the order of the names, of which one has no example.
    assert dataset.classes == ("owl", "ant", "bee")
    found = dataset.read(np.arange(6))
    expected = {x.tobytes(): i % 2 for i, x in enumerate(images)}
    for image, label in zip(found["image"], found["label"], strict=True):
        assert expected[image.tobytes()] == label


def cut(file, name):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])
    return name


BAD = {
    "truncated tar": "is (truncated|damaged).*; copy it again",
    "cut end": "is truncated; copy it again",
    "compressed": r"is compressed.*; unpack it to a plain \.tar",
    "two pictures": "000000 has two pictures; keep one",
    "no pictures": "hold no pictures",
    "bad json": r'000000\.json is not a JSON object such as \{"label": 3\}',
    "bad picture": r"s\.tar, 000001 cannot be read as a picture",
    "sizes": r"differ in size .*--image_size=64x64",
    "truncated records": "is damaged, or no file of ArrayRecord",
    "not records": "neither pictures .* nor tf.train.Example",
    "no feature": r"no feature holds an encoded picture \(label\)",
    "two features": "use one of --image_field=a, --image_field=b",
    "other feature": r"--image_field=label.*choose from image",
    "no column": r"no column holds pictures \(label \(int64\)\)",
    "other column": r"--image_field=label: this column .*choose from image",
    "truncated parquet": "is damaged, or no parquet file",
    "label": r"--label_field=nothing: .*choose from",
    "image field of tar": "leave out --image_field",
    "no split": "has the splits train; use one",
}


def bad_set(what, folder):
    """Makes a set with a fault; returns the arguments that load it."""
    images = [encode(x) for x in pictures(4)]
    records = {"not records": [b"\xff\xfe"], "no feature": [tf_example(label=1)]}
    records["two features"] = [tf_example(a=images[0], b=images[1])]
    records["other feature"] = [tf_example(image=images[0], label=1)]
    records["truncated records"] = images
    if what in records:
        file = folder / "a.array_record"
        write_array_record(file, records[what])
        if what == "truncated records":
            cut(file, "")
        options = {"image_field": "label"} if what == "other feature" else {}
        return f"array_record:{folder}", options
    if "column" in what or "parquet" in what:
        columns: dict[str, Any] = {"label": [1, 2]}
        if what != "no column":
            columns["image"] = [{"bytes": x, "path": None} for x in images[:2]]
        write_parquet(folder / "a.parquet", columns)
        if what == "truncated parquet":
            cut(folder / "a.parquet", "")
        options = {"image_field": "label"} if what == "other column" else {}
        return f"parquet:{folder}", options
    first, second = {"png": images[0]}, {"png": images[1]}
    if what == "two pictures":
        first["jpg"] = images[0]
    elif what == "no pictures":
        first, second = {"cls": b"1"}, {"cls": b"2"}
    elif what == "bad json":
        first["json"] = b"[1]"
    elif what == "bad picture":
        second["png"] = b"no picture"
    elif what == "sizes":
        second["png"] = encode(pictures(1, size=16)[0])
    elif what == "label":
        first["cls"] = second["cls"] = b"1"
    name = one_tar(folder, first, second)
    file = folder / "s.tar"
    if what == "truncated tar":
        file.write_bytes(file.read_bytes()[:1300])
    elif what == "cut end":
        file.write_bytes(file.read_bytes()[:2048])
    elif what == "compressed":
        import gzip

        file.write_bytes(gzip.compress(file.read_bytes()))
    options: dict[str, Any] = {
        "label": {"label_field": "nothing"},
        "image field of tar": {"image_field": "png"},
        "no split": {"split": "test"},
    }
    return name, options.get(what, {})


@pytest.mark.parametrize("what", BAD)
def test_bad_shards_get_one_line(what, tmp_path):
    name, options = bad_set(what, tmp_path)
    with pytest.raises(UsageError, match=BAD[what]) as error:
        data.load(name, **options)
    assert "\n" not in str(error.value)
    if what == "sizes":
        assert data.load(name, image_size="8").shape == (8, 8, 3)
    if what == "bad picture":
        dataset = data.skip_bad_examples(data.load(name, on_bad_example="skip"))
        assert len(dataset.read(np.arange(2))["image"]) == 2


def test_missing_libraries_are_named(tmp_path, monkeypatch):
    import sys

    for kind, module in (
        ("parquet", "pyarrow.parquet"),
        ("array_record", "array_record.python.array_record_module"),
    ):
        name = write(kind, tmp_path, pictures(4), [0, 1, 2, 0])
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(UsageError, match=rf"pip install 'jaxgan\[{kind}\]'"):
                data.load(name)


def test_the_guide_converts_a_folder(tmp_path, monkeypatch):
    images = pictures(6)
    folder = tmp_path / "my" / "pictures"
    for i, image in enumerate(images):
        (folder / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        (folder / "ab"[i % 2] / f"{i}.jpg").write_bytes(encode(image))
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "guides" / "large_data.md").read_text()
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(code, names)
    first = data.load("folder:my/pictures").read(np.arange(6))
    for kind in SHARDED:
        found = data.load(f"{kind}:.").read(np.arange(6))
        np.testing.assert_array_equal(found["image"], first["image"])
        if kind != "array_record":
            np.testing.assert_array_equal(found["label"], first["label"])
