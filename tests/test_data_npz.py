import io

import numpy as np
import pytest

from jaxgan import data
from jaxgan.errors import UsageError


def load(path, arrays=None, **options):
    if arrays is not None:
        np.savez(path, **arrays)
    return data.load(f"npz:{path}", **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set.npz"


@pytest.mark.parametrize(
    ("array", "shape", "dtype"),
    [
        (np.ones((5, 4, 6), np.uint8), (4, 6, 1), np.uint8),
        (np.ones((5, 4, 6, 3), np.uint8), (4, 6, 3), np.uint8),
        (np.ones((5, 4, 6), np.uint16), (4, 6, 1), np.uint16),
        (np.ones((5, 4, 6, 2), np.float64), (4, 6, 2), np.float32),
        (np.ones((5, 9), np.float16) * 100, (9,), np.float32),
    ],
)
def test_forms_of_arrays(path, array, shape, dtype):
    dataset = load(path, {"anything": array})
    assert (dataset.size, dataset.shape, dataset.dtype) == (5, shape, dtype)
    assert dataset.classes == ()
    out = dataset.read(np.array([3, 1]))
    assert set(out) == {"image"}
    np.testing.assert_array_equal(out["image"].reshape(2, -1), array[:2].reshape(2, -1))


def test_names_come_before_order_and_labels_are_found(path):
    first, images = np.zeros((3, 2), np.float32), np.ones((3, 2, 2), np.uint8)
    dataset = load(path, {"first": first, "y": np.array([[2], [0], [2]]), "x": images})
    assert dataset.shape == (2, 2, 1)
    assert dataset.classes == ("0", "2")
    labels = dataset.read(np.arange(3))["label"]
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, [1, 0, 1])


def test_labels_before_the_only_array_are_still_labels(path):
    dataset = load(path, {"labels": np.array([1, 0]), "z": np.zeros((2, 7))})
    assert (dataset.shape, len(dataset.classes)) == ((7,), 2)


def test_labels_may_be_names(path):
    names = np.array(["dog", "cat", "dog"])
    dataset = load(path, {"images": np.zeros((3, 2, 2), np.uint8), "labels": names})
    assert dataset.classes == ("cat", "dog")
    np.testing.assert_array_equal(dataset.read(np.arange(3))["label"], [1, 0, 1])


def test_images_are_framed(path):
    images = np.arange(2 * 4 * 6, dtype=np.uint8).reshape(2, 4, 6)
    dataset = load(path, {"images": images}, image_size="2x4", crop="2x4")
    np.testing.assert_array_equal(
        data.read_all(dataset)["image"][..., 0], images[:, 1:3, 1:5]
    )
    floats = np.where(np.indices((8, 8)).sum(0) % 2, 1.0, -1.0)[None]
    framed = load(path, {"images": floats}, image_size="13")
    out = data.read_all(framed)["image"]
    assert out.shape == (1, 13, 13, 1)
    assert np.abs(out).max() <= 1  # bicubic overshoots


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": np.zeros(3)}, "holds no array of images; save one named 'images'"),
        ({"x": np.zeros((2, 4), np.uint8)}, r"'x' is uint8 \[2, 4\]; use \[n, H, W\]"),
        ({"x": np.zeros((2, 4, 4), np.int64)}, "'x' is int64"),
        ({"x": np.zeros(2)}, r"'x' is float64 \[2\]"),
        ({"x": np.zeros((0, 4, 4), np.uint8)}, "'x' is empty"),
        (
            {"x": np.zeros((2, 3, 8, 8), np.uint8)},
            "the 1 to 4 channels must come last",
        ),
        ({"x": np.full((2, 4), np.nan)}, "not finite"),
        ({"x": np.full((2, 4), np.inf)}, "not finite"),
        (
            {"x": np.full((2, 4, 4), 255.0)},
            r"from 255 to 255; scale floats to \[-1, 1\]",
        ),
        (
            {"x": np.zeros((2, 4)), "y": np.zeros(3, int)},
            r"'y' is \[3\]; use one label per example, \[2\]",
        ),
        ({"x": np.zeros((2, 4)), "y": np.array([0.5, 1])}, "class numbers 0, 1, 2"),
        ({"x": np.zeros((2, 4)), "y": np.array([1j, 1])}, "class numbers 0, 1, 2"),
        ({"x": np.zeros((2, 3, 8, 8), np.uint8)}, r"try .transpose\(0, 2, 3, 1\)"),
        ({"x": np.zeros((64, 48, 3), np.uint8)}, "one picture with 3 channels, or 64"),
        ({"x": np.zeros((64, 48, 1))}, r"for gray pictures array\[..., None\]"),
        ({"x": np.zeros((2, 4), object)}, "cannot be read as an .npz of plain arrays"),
    ],
)
def test_arrays_that_cannot_be_used(path, arrays, message):
    with pytest.raises(UsageError, match=message) as caught:
        load(path, arrays)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(path):
    with pytest.raises(UsageError, match="there is no file"):
        load(path)
    file = io.BytesIO()
    np.savez_compressed(file, images=np.random.default_rng(0).random((50, 9, 9)))
    for broken in (b"", b"not an array", file.getvalue()[:-200]):
        path.write_bytes(broken)
        with pytest.raises(UsageError, match=r"cannot be read as an .npz"):
            load(path)
    damaged = bytearray(file.getvalue())
    damaged[5000:5100] = bytes(100)
    path.write_bytes(damaged)
    with pytest.raises(UsageError, match=r"cannot be read as an .npz"):
        load(path)


def test_what_does_not_apply(path):
    vectors = {"x": np.zeros((2, 4))}
    with pytest.raises(
        UsageError, match="vectors, not pictures; leave out --image_size"
    ):
        load(path, vectors, image_size="32")
    with pytest.raises(UsageError, match=r"--split=test: .* has no splits"):
        load(path, vectors, split="test")
    with pytest.raises(UsageError, match="names no path; write it like npz:some/path"):
        data.load("npz:")
