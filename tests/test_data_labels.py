"""Labels of all usual forms become class numbers, or one line says why not."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import data
from jaxgan.data.labels import classify
from jaxgan.errors import UsageError


@pytest.mark.parametrize(
    ("labels", "numbers", "names"),
    [
        ([0, 1, 2, 1], [0, 1, 2, 1], ("0", "1", "2")),  # as version 0.1.0 had them
        ([1, 2, 3, 2], [0, 1, 2, 1], ("1", "2", "3")),
        ([0, 1_000_000, 0, 0], [0, 1, 0, 0], ("0", "1000000")),
        ([2**31 + 5, 7, 7, 7], [1, 0, 0, 0], ("7", "2147483653")),
        ([-1, 1, 1, -1], [0, 1, 1, 0], ("-1", "1")),
        ([[3], [9], [3], [9]], [0, 1, 0, 1], ("3", "9")),
        ([10, 9, 10, 9], [1, 0, 1, 0], ("9", "10")),  # by value, not by text
        (np.array([0, 255, 0, 0], np.uint8), [0, 1, 0, 0], ("0", "255")),
        ([0.0, 2.0, 1.0, 0.0], [0, 2, 1, 0], ("0", "1", "2")),
        ([False, True, True, False], [0, 1, 1, 0], ("False", "True")),
        (["dog", "cat", "dog", "é"], [1, 0, 1, 2], ("cat", "dog", "é")),
        ([b"dog", b"cat", b"dog", "é".encode()], [1, 0, 1, 2], ("cat", "dog", "é")),
        (np.eye(4)[[2, 0, 2, 3]], [1, 0, 1, 2], ("0", "2", "3")),
        (np.eye(4, dtype=bool)[[2, 0, 2, 3]], [1, 0, 1, 2], ("0", "2", "3")),
        (np.eye(2, dtype=np.uint8)[[1, 0, 1, 1]], [1, 0, 1, 1], ("0", "1")),
    ],
)
def test_a_class_is_a_value_that_occurs(labels, numbers, names):
    found, classes = classify("y", np.array(labels), 4)
    assert found.dtype == np.int32
    assert (found.tolist(), classes) == (numbers, names)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.5, 1, 2, 3], "has the value 0.5; use class numbers"),
        ([np.nan, 1, 2, 3], "has the value nan; use class numbers"),
        ([np.inf, 1, 2, 3], "has the value inf"),
        ([1j, 1, 2, 3], "is complex128; use class numbers"),
        (np.array([0, 1, 2, 3], "M8[s]"), "is datetime64"),
        (np.array([b"\xff", b"a", b"a", b"a"]), "not UTF-8"),
        (np.array([2**63, 0, 0, 0], np.uint64), "has the value 9223372036854775808"),
        ([0, 1, 2], r"is \[3\]; use one label per example, \[4\]"),
        (np.array(1), r"is \[\]; use one label per example, \[4\]"),
        (np.ones((4, 3)), r"is \[4, 3\] and not one-hot; .*--label_field=none"),
        (np.eye(4) * 2, "not one-hot"),
        (np.full((4, 2), 0.5), "not one-hot"),
        (np.array([["a", "b"]] * 4), "not one-hot"),
        (np.zeros((4, 1, 1)), "use one label per example"),
    ],
)
def test_what_is_not_clear_is_refused(labels, message):
    with pytest.raises(UsageError, match=message) as caught:
        classify("y", np.array(labels), 4)
    assert "\n" not in str(caught.value)


def test_other_splits_number_classes_alike():
    numbers, names = classify("y", np.array([5, 7]), 2, [np.array([6, 6, 7])])
    assert (numbers.tolist(), names) == ([0, 2], ("5", "6", "7"))
    with pytest.raises(UsageError, match="differ in kind"):
        classify("y", np.array([5, 7]), 2, [np.array(["a"])])


def images(count=4):
    return np.arange(count * 16, dtype=np.uint8).reshape(count, 4, 4)


def test_arrays_in_memory():
    dataset = data.from_arrays(images(), [3, 1, 3, 3])
    assert (dataset.size, dataset.shape) == (4, (4, 4, 1))
    assert dataset.classes == ("1", "3")
    out = dataset.read(np.array([2, 1]))
    np.testing.assert_array_equal(out["image"][..., 0], images()[[2, 1]])
    assert out["label"].tolist() == [1, 0]
    named = data.from_arrays(images(), [2, 0, 2, 2], ["cat", "cow", "dog"], name="own")
    assert (named.name, named.classes) == ("own", ("cat", "cow", "dog"))
    assert named.read(np.arange(4))["label"].tolist() == [2, 0, 2, 2]
    assert data.from_arrays([[0.5, 1.5]]).shape == (2,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"images": [[1.0], [1.0, 2.0]]}, "its rows differ in shape"),
        ({"images": images().astype(int)}, r"is int64 \[4, 4, 4\]; use"),
        ({"images": images() * 1.0}, r"scale floats to \[-1, 1\]"),
        ({"images": images(), "labels": [1, 2]}, "use one label per example"),
        ({"images": images(), "classes": ["a"]}, "labels are not given"),
        ({"images": images(), "labels": [0, 1, 2, 1], "classes": "ab"}, "from 0 to 1"),
        ({"images": images(), "labels": list("abca"), "classes": "abc"}, "from 0 to 2"),
    ],
)
def test_arrays_in_memory_that_cannot_be_used(given, message):
    with pytest.raises(UsageError, match=message):
        data.from_arrays(**given)


def test_load_takes_paths_and_arrays(tmp_path):
    file = tmp_path / "digits.npz"
    np.savez(file, images=images(), labels=[4, 5, 4, 5])
    np.save(tmp_path / "digits.npy", images())
    (tmp_path / "pictures").mkdir()
    of_file = data.load(file)
    assert (of_file.name, of_file.classes) == (f"npz:{file}", ("4", "5"))
    assert data.load(tmp_path / "digits.npy").size == 4
    assert (
        data.load(images()).shape == data.load(jnp.array(images())).shape == (4, 4, 1)
    )
    arrays = {"x_train": images(), "y_train": [1, 2, 1, 2], "x_test": images(2)}
    both = data.load(arrays, image_size="2")
    assert (both.size, both.shape, both.classes) == (4, (2, 2, 1), ("1", "2"))
    assert data.load(arrays, split="test").size == 2
    with pytest.raises(UsageError, match=r"holds no pictures"):
        data.load(tmp_path / "pictures")
    with pytest.raises(UsageError, match=r"neither a folder nor an .npz or .npy file"):
        data.load(tmp_path / "digits.csv")
