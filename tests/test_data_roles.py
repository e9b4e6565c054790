"""Arrays are found by the names that people give them, or by their forms."""

import logging
from typing import Any

import numpy as np
import pytest

from jaxgan import data
from jaxgan.errors import UsageError

PICTURES = np.zeros((6, 5, 5), np.uint8)
TESTS = np.zeros((3, 5, 5), np.uint8)
NUMBERS = np.array([1, 2, 1, 2, 1, 2])
LESS = np.array([2, 3, 2])


def load(path, arrays, **options):
    np.savez(path / "set.npz", **arrays)
    return data.load(f"npz:{path / 'set.npz'}", **options)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("Images", "Labels"),
        ("X", "Y"),
        ("X", "y"),
        ("x_train", "y_train"),
        ("train_images", "train_labels"),
        ("trainImages", "trainLabels"),
        ("images-train", "labels-train"),
        ("xtrain", "ytrain"),
        ("X_TRAIN", "Y_TRAIN"),
        ("train/x", "train/y"),
        ("data", "targets"),
        ("DATA", "target"),
        ("imgs", "classes"),
        ("samples", "labels"),
        ("inputs", "fine_labels"),
        ("face_images", "class"),
        ("arr_0", "arr_1"),
        ("arr_1", "arr_0"),
        ("anything", "y"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_names_that_people_use(tmp_path, images, labels, order, caplog):
    given = [(images, PICTURES), (labels, NUMBERS)][::order]
    with caplog.at_level(logging.INFO, "jaxgan"):
        dataset = load(tmp_path, dict(given))
    assert (dataset.size, dataset.classes) == (6, ("1", "2"))
    line = next(x for x in caplog.messages if "images are" in x)
    assert f"images are '{images}' (uint8 [6, 5, 5])" in line
    assert f"labels are '{labels}', 2 classes (1, 2)" in line


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train/images", "train/labels", "testing/images", "testing/labels"),
    ],
)
def test_splits_in_one_file(tmp_path, names):
    arrays = dict(zip(names, (PICTURES, NUMBERS, TESTS, LESS), strict=True))
    for given in (arrays, dict(reversed(arrays.items()))):
        train, test = (load(tmp_path, given, split=s) for s in ("train", "test"))
        assert (train.size, test.size) == (6, 3)
        assert train.classes == test.classes == ("1", "2", "3")
        assert train.read(np.arange(3))["label"].tolist() == [0, 1, 0]
        assert test.read(np.arange(3))["label"].tolist() == [1, 2, 1]
    with pytest.raises(UsageError, match=r"--split=dev: .* has the splits test, train"):
        load(tmp_path, arrays, split="dev")


def test_the_test_split_of_a_file_is_held_out(tmp_path):
    arrays = {"x_train": PICTURES, "x_test": TESTS}

    def other(split):
        return load(tmp_path, arrays, split=split)

    train, held = data.hold_out(other("train"), "auto", "train", other)
    assert (train.size, held and held.size) == (6, 3)
    with pytest.raises(UsageError, match="--held_out=train shares 6 of its 6 examples"):
        data.hold_out(other("train"), "train", "train", other)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"a": PICTURES, "b": TESTS},
            r"arrays of images, 'a' \(uint8 \[6, 5, 5",
        ),
        ({"lr_images": PICTURES, "hr_images": PICTURES}, "--image_field=lr_images"),
        (
            {f"arr_{i}": x for i, x in enumerate((PICTURES, NUMBERS, TESTS, LESS))},
            "several arrays of images, 'arr_0'",
        ),
        (
            {"x": PICTURES, "fine_labels": NUMBERS, "coarse_labels": NUMBERS},
            "--label_field=fine_labels, or none",
        ),
        ({"x_test": TESTS}, "has no split train: use --split=test"),
        ({"labels": NUMBERS}, r"holds no array of images.*'labels' .int64"),
        ({"a": NUMBERS, "b": LESS}, "holds no array of images"),
        ({f"arr_{i}": TESTS[0] * 1.0 for i in range(20)}, "12 more"),
    ],
)
def test_what_could_be_several_is_refused(tmp_path, arrays, message):
    with pytest.raises(UsageError, match=message) as caught:
        load(tmp_path, arrays)
    assert "\n" not in str(caught.value)


def test_fields_that_are_chosen(tmp_path):
    arrays = {"a": PICTURES, "b": TESTS, "kind": LESS, "labels": NUMBERS}
    chosen = load(tmp_path, arrays, image_field="b", label_field="kind")
    assert (chosen.size, chosen.classes) == (3, ("2", "3"))
    assert load(tmp_path, arrays, image_field="a").classes == ("1", "2")
    assert load(tmp_path, arrays, image_field="a", label_field="none").classes == ()
    for flag in ("image_field", "label_field"):
        with pytest.raises(UsageError, match=rf"--{flag}=c: .* holds 'a' \(uint8"):
            load(tmp_path, arrays, **{"image_field": "a", flag: "c"})


def test_pictures_go_before_vectors_and_ids_are_no_labels(tmp_path, caplog):
    arrays = {"embedding": np.zeros((6, 8)), "pics": PICTURES, "id": NUMBERS}
    with caplog.at_level(logging.INFO, "jaxgan"):
        dataset = load(tmp_path, arrays)
    assert (dataset.shape, dataset.classes) == ((5, 5, 1), ())
    assert "not in use: 'embedding' (float64 [6, 8]), 'id' (int64 [6])" in caplog.text


def test_labels_that_are_not_there(tmp_path, caplog):
    arrays = {"images": PICTURES, "labels": np.full(6, -1)}
    with caplog.at_level(logging.INFO, "jaxgan"):
        assert load(tmp_path, arrays).classes == ()
        assert "'labels' is -1 throughout: there are no labels" in caplog.text
        some = {**arrays, "labels": np.array([-1, 0, 1, 2, 0, 1])}
        assert load(tmp_path, some).classes == ("-1", "0", "1", "2")
    assert "has the value -1, which counts as a class" in caplog.text


@pytest.mark.parametrize("name", ["ring8", "stacked_mnist", "folder:."])
def test_sets_without_fields(name):
    for flag in ("image_field", "label_field"):
        given: dict[str, Any] = {flag: "x"}
        with pytest.raises(UsageError, match=f"--{flag}=x: {name} has no named fields"):
            data.load(name, **given)
