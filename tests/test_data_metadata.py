"""Attributes of pictures: metadata files, arrays `[n, k]`, and dictionaries of TFDS."""

import csv
import json
import logging

import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_fixtures import png, prepare_own
from PIL import Image

from jaxgan import data
from jaxgan.data import fingerprint
from jaxgan.errors import UsageError

PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
HAIR = ("dark", "blond", "red", "dark", "blond", "red")
ROWS = [
    {"file_name": f"{i}.png", "smiling": i % 2, "hair": hair, "text": f"face {i}"}
    for i, hair in enumerate(HAIR)
]
NAMES = ("smiling", "hair=blond", "hair=dark", "hair=red")
WANTED = [[i % 2, *(hair == x for x in ("blond", "dark", "red"))] for i, hair in
          enumerate(HAIR)]  # fmt: skip


def pictures(folder, names=tuple(f"{i}.png" for i in range(6))):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PICTURE + np.uint8(i)).save(folder / name)


def write(folder, rows, name="metadata.csv"):
    with (folder / name).open("w", newline="") as file:
        if name.endswith("jsonl"):
            file.writelines(json.dumps(row) + "\n" for row in rows)
            return
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)


def load(path, **options):
    return data.load(f"folder:{path}", **options)


def values(dataset):
    return data.read_all(dataset)["attributes"].astype(int).tolist()


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_columns_become_attributes(tmp_path, name, caplog):
    caplog.set_level(logging.INFO, "jaxgan")
    pictures(tmp_path)
    rows = [{**row, "from": "web"} for row in reversed(ROWS)]
    write(tmp_path, rows, name)
    dataset = load(tmp_path)
    field = dataset.example["attributes"]
    assert (field.kind, field.names, field.dtype) == ("attributes", NAMES, bool)
    assert (dataset.size, dataset.classes) == (6, ())
    assert values(dataset) == WANTED
    some = np.array([4, 1])
    assert dataset.attributes is not None
    np.testing.assert_array_equal(
        dataset.attributes(some), dataset.read(some)["attributes"]
    )
    left_out = "left out the columns text (6 values in 6 rows), from (one value)"
    assert any(left_out in x for x in caplog.messages)
    # the file itself is not listed as left out
    assert not any("1 .csv" in x or "1 .jsonl" in x for x in caplog.messages)
    # splits keep the attributes, and older runs their fingerprint
    train, held_out = data.hold_out(dataset, "2", "train", lambda split: dataset)
    assert held_out is not None
    assert sorted(values(train) + values(held_out)) == sorted(WANTED)
    plain = dataset._replace(example=dataset.example.__class__(image=field))
    del plain.example["image"]
    plain.example["image"] = dataset.example["image"]
    assert fingerprint(dataset) == fingerprint(plain)


@pytest.mark.parametrize(
    ("pair", "wanted"),
    [
        (("no", "yes"), [0, 1]),
        (("True", "False"), [1, 0]),
        (("-1", "1"), [0, 1]),
        ((1.0, 0.0), [1, 0]),
        ((True, False), [1, 0]),
    ],
)
def test_ways_to_write_two_values(tmp_path, pair, wanted):
    pictures(tmp_path, ["0.png", "1.png"])
    rows = [{"file_name": f"{i}.png", "on": x} for i, x in enumerate(pair)]
    write(tmp_path, rows, "metadata.jsonl")
    dataset = load(tmp_path)
    assert dataset.example["attributes"].names == ("on",)
    assert values(dataset) == [[x] for x in wanted]


def test_splits_have_the_attributes_of_train(tmp_path):
    for split, rows in (("train", ROWS), ("test", ROWS[:2])):
        pictures(tmp_path / split, [row["file_name"] for row in rows])
        write(tmp_path / split, rows)
    test = load(tmp_path, split="test")
    assert test.example == load(tmp_path).example
    assert values(test) == WANTED[:2]
    write(tmp_path / "test", [ROWS[0], {**ROWS[1], "hair": "green"}])
    with pytest.raises(UsageError, match="column hair has the value green, which the"):
        load(tmp_path, split="test")
    # one file above the splits names the pictures of all
    for split in ("train", "test"):
        (tmp_path / split / "metadata.csv").unlink()
    both = [("train", row) for row in ROWS] + [("test", row) for row in ROWS[:2]]
    write(tmp_path, [{**x, "file_name": f"{s}\\{x['file_name']}"} for s, x in both])
    assert values(load(tmp_path, split="test")) == WANTED[:2]
    assert values(load(tmp_path)) == WANTED


def test_labels_are_a_column_or_folders(tmp_path):
    names = [f"{'ab'[i % 2]}/{i}.png" for i in range(6)]
    pictures(tmp_path, names)
    rows = [{**row, "file_name": x} for row, x in zip(ROWS, names, strict=True)]
    write(tmp_path, rows)
    dataset = load(tmp_path)
    assert (dataset.classes, len(NAMES)) == (("a", "b"), 4)
    assert list(dataset.example) == ["image", "label", "attributes"]
    assert list(load(tmp_path, label_field="none").example) == ["image", "attributes"]
    by_hair = load(tmp_path, label_field="hair")
    assert by_hair.classes == ("blond", "dark", "red")
    assert by_hair.example["attributes"].names == ("smiling",)
    assert by_hair.labels is not None
    # pictures are in the order of their paths, a/0 a/2 a/4 b/1 b/3 b/5
    assert by_hair.labels(np.arange(6)).tolist() == [1, 2, 0, 0, 1, 2]
    # whole numbers are sorted by value; the column label comes before folders
    write(tmp_path, [{**x, "label": 9 + i % 2} for i, x in enumerate(rows)])
    assert load(tmp_path).classes == ("9", "10")
    for field, match in (("age", "has no such column; choose from"), ("text", "")):
        if match:
            with pytest.raises(UsageError, match=f"--label_field={field}: .*{match}"):
                load(tmp_path, label_field=field)
    write(tmp_path, [{**x, "one": 1} for x in rows])
    with pytest.raises(UsageError, match="holds 1 value; choose a column of classes"):
        load(tmp_path, label_field="one")


def test_one_folder_of_pictures_is_no_class(tmp_path):
    pictures(tmp_path / "images")
    write(tmp_path, [{**x, "file_name": f"images/{x['file_name']}"} for x in ROWS])
    assert list(load(tmp_path).example) == ["image", "attributes"]


def test_captions_alone_change_nothing(tmp_path):
    pictures(tmp_path / "a")
    pictures(tmp_path / "b")
    rows = [f"{x}/{i}.png" for x in "ab" for i in range(6)]
    write(tmp_path, [{"file_name": x, "text": f"a face, {x}"} for x in rows])
    dataset = load(tmp_path)
    assert (list(dataset.example), dataset.attributes) == (["image", "label"], None)


LONG = "x" * 300


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "has no column file_name"),
        ("name,hair\n0.png,dark\n", r"no column file_name \(its first line is name, h"),
        ("file_name,a\n", "has no rows"),
        ("file_name,a,a\n0.png,1,2\n", "two columns 'a'"),
        ("file_name,a\n0.png,1\n1.png\n", "line 3 has 1 values for 2 columns"),
        ("file_name,a\n0.png,1\n./0.png,0\n", "lines 2 and 3 both describe 0.png"),
        ("file_name,a\n0.png,1\n,0\n", "line 3: file_name is missing"),
        ("file_name,a\n0.png,1\n", r"no row for 1 of 2 pictures, such as .*1\.png"),
        (
            "file_name,a\n0.png,1\n1.png,0\n2.png,1\n",
            r"line 4: there is no file 2\.png; remove the row",
        ),
        (f"file_name,a\n0.png,1\n1.png,0\n{LONG},1\n", "line 4: there is no file xxx"),
        ("file_name,a\n0.png,1\n1.png,\n" + "0.png,0\n" * 0, "one value|no attributes"),
        ("file_name,a,b\n0.png,1,x\n1.png,,y\n", "one value|no attributes|"),
        ('file_name,a\n0.png,"1\n1.png,0\n', "is damaged"),
        ("file_name,a\n0.png,\0\n", "line 2 has a NUL character"),
        (b"file_name,a\n0.png,\xff\n", "line 2 is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is not UTF-8"),
    ],
)
def test_files_that_are_wrong(tmp_path, text, match):
    pictures(tmp_path, ["0.png", "1.png"])
    file = tmp_path / "metadata.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    if "one value" in match:
        load(tmp_path)  # a column of one value and gaps is left out
        return
    with pytest.raises(UsageError, match=match) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[1]\n", "line 1 is not a JSON object"),
        ('{"file_name": "0.png"}\n{"file_name"', "line 2 is not a JSON object"),
        ("[" * 100_000, "line 1 is not a JSON object"),
        ('{"a": 1}', "line 1: file_name is missing"),
        ('{"file_name": 3, "a": 1}', "line 1: file_name is missing"),
        ('{"file_name": "\\ud800", "a": 1}', "no row for 2 of 2 pictures"),
    ],
)
def test_lines_that_are_wrong(tmp_path, text, match):
    pictures(tmp_path, ["0.png", "1.png"])
    (tmp_path / "metadata.jsonl").write_text(text)
    with pytest.raises(UsageError, match=match):
        load(tmp_path)


def test_gaps_two_files_and_other_objects(tmp_path):
    pictures(tmp_path)
    write(tmp_path, [*ROWS[:5], {**ROWS[5], "hair": ""}])
    with pytest.raises(UsageError, match="line 7: the column hair has no value; fill"):
        load(tmp_path)
    rows = [{**x, "box": [1, 2], "age": i / 7} for i, x in enumerate(ROWS)]
    write(tmp_path, rows, "metadata.jsonl")
    with pytest.raises(UsageError, match="are both in"):
        load(tmp_path)
    (tmp_path / "metadata.csv").unlink()
    assert load(tmp_path).example["attributes"].names == NAMES
    (tmp_path / "metadata.jsonl").unlink()
    (tmp_path / "metadata.jsonl").mkdir()
    with pytest.raises(UsageError, match=r"metadata.jsonl cannot be read"):
        load(tmp_path)


MANY = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]])


@pytest.mark.parametrize("labels", [MANY, MANY > 0, 2 * MANY - 1, MANY * 1.0])
def test_rows_that_are_not_one_hot_are_attributes(tmp_path, labels):
    images = np.zeros((4, 4, 4, 3), np.uint8)
    names = np.array(["a", "b", "c"])
    np.savez(tmp_path / "x.npz", images=images, labels=labels, attribute_names=names)
    dataset = data.load(f"npz:{tmp_path / 'x.npz'}")
    assert list(dataset.example) == ["image", "attributes"]
    assert dataset.example["attributes"].names == ("a", "b", "c")
    assert values(dataset) == MANY.tolist()
    # without names they have numbers, also in memory
    alone = data.load({"images": images, "labels": labels})
    assert alone.example["attributes"].names == ("0", "1", "2")


def test_one_hot_rows_stay_labels_and_splits_agree():
    images, hot = np.zeros((3, 4, 4), np.uint8), np.eye(3, dtype=int)
    assert data.load({"images": images, "labels": hot}).classes == ("0", "1", "2")
    splits = {"x_train": images, "y_train": hot, "x_test": images, "y_test": hot * 0}
    assert data.load(splits).example["attributes"].shape == (3,)
    with pytest.raises(UsageError, match="not one-hot"):
        data.load({"images": images, "labels": hot * 2})


@pytest.mark.filterwarnings("ignore")  # TFDS's own
def test_a_dictionary_of_a_tfds_set_is_read(tmp_path):
    rows = [(i % 2 == 0, i % 3) for i in range(6)]
    features = {
        "image": tfds.features.Image(shape=(4, 4, 3)),
        "landmarks": {"x": tfds.features.Scalar(np.int64)},
        "attributes": {
            "smiling": tfds.features.Scalar(np.bool_),
            "hair": tfds.features.ClassLabel(names=["dark", "red", "blond"]),
        },
    }
    examples = [
        {
            "image": png(PICTURE),
            "landmarks": {"x": 3},
            "attributes": {"smiling": smiling, "hair": hair},
        }
        for smiling, hair in rows
    ]
    prepare_own(tmp_path, "own_faces", features, examples)
    dataset = data.load("own_faces", data_dir=str(tmp_path))
    names = ("hair=dark", "hair=red", "hair=blond", "smiling")
    assert dataset.example["attributes"].names == names
    whole = values(dataset)
    wanted = [[*(hair == i for i in range(3)), smiling] for smiling, hair in rows]
    assert sorted(whole) == sorted(wanted)
    assert values(dataset) == whole  # from the cache
    assert dataset.attributes is not None
    some = np.array([5, 0])
    assert dataset.attributes(some).astype(int).tolist() == [whole[5], whole[0]]
