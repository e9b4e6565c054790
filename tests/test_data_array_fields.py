"""Several fields among named arrays, and names that keep their earlier meaning."""

import logging

import numpy as np
import pytest

from jaxgan import data
from jaxgan.errors import UsageError

RANDOM = np.random.default_rng(0)
COLOR = RANDOM.integers(0, 256, (6, 4, 8, 3)).astype(np.uint8)
GRAY = RANDOM.integers(0, 256, (6, 4, 8)).astype(np.uint8)
HOLES = RANDOM.integers(0, 2, (6, 4, 8))
FACTS = RANDOM.integers(0, 2, (6, 3))
NUMBERS = np.array([1, 2, 1, 2, 1, 2])


@pytest.fixture
def load(tmp_path):
    def of(options=None, **arrays):
        np.savez(tmp_path / "set.npz", **arrays)
        return data.load(f"npz:{tmp_path / 'set.npz'}", **(options or {}))

    return of


@pytest.mark.parametrize(
    ("image", "source"), [("image", "source"), ("images", "sources"), ("B", "A")]
)
def test_pairs_by_name(load, image, source, caplog):
    with caplog.at_level(logging.INFO, "jaxgan"):
        dataset = load(**{source: GRAY, image: COLOR})
    assert list(dataset.example) == ["image", "source"]
    assert (dataset.shape, dataset.example["source"].shape) == ((4, 8, 3), (4, 8, 1))
    some = dataset.read(np.array([4, 1]))
    np.testing.assert_array_equal(some["image"], COLOR[[4, 1]])
    np.testing.assert_array_equal(some["source"][..., 0], GRAY[[4, 1]])
    assert f"fields are image '{image}' (uint8 [6, 4, 8, 3]), source" in caplog.text
    in_memory = data.load({source: GRAY, image: COLOR})
    assert in_memory.example == dataset.example


def test_all_fields(load):
    names = np.array(["hat", "beard", "smile"])
    dataset = load(
        image=COLOR,
        source=GRAY,
        target=COLOR[::-1],
        mask=HOLES,
        attributes=FACTS,
        target_attributes=FACTS[::-1],
        attribute_names=names,
        label=NUMBERS,
    )
    kinds = {k: field.kind for k, field in dataset.example.items()}
    assert kinds == {
        "image": "image",
        "source": "image",
        "target": "image",
        "mask": "mask",
        "attributes": "attributes",
        "target_attributes": "attributes",
        "label": "label",
    }
    assert dataset.example["attributes"].names == tuple(names)
    assert dataset.classes == ("1", "2")
    out = data.normalize(data.read_all(dataset), dataset.example)
    np.testing.assert_array_equal(out["mask"][..., 0], HOLES)
    np.testing.assert_array_equal(out["attributes"], FACTS)
    np.testing.assert_array_equal(out["target_attributes"], FACTS[::-1])
    np.testing.assert_array_equal(out["label"], NUMBERS - 1)
    # A change of any field is a change of the data.
    before = data.fingerprint(dataset)
    other = load(image=COLOR, mask=HOLES)
    assert len({before, data.fingerprint(other)}) == 2
    changed = HOLES.copy()
    changed[5, 3, 7] ^= 1
    assert data.fingerprint(load(image=COLOR, mask=changed)) != data.fingerprint(other)


@pytest.mark.parametrize(
    ("mask", "want"),
    [
        (HOLES.astype(bool), HOLES),
        (HOLES.astype(np.uint8), HOLES),
        (HOLES[..., None] * 1.0, HOLES),
        (np.uint8(255 * HOLES), HOLES),
        (HOLES / 2, HOLES / 2),
    ],
)
def test_forms_of_masks(load, mask, want):
    dataset = load(image=COLOR, mask=mask)
    assert dataset.example["mask"].shape == (4, 8, 1)
    out = data.normalize(data.read_all(dataset), dataset.example)["mask"]
    np.testing.assert_array_equal(out[..., 0], want)


def test_masks_keep_their_values_and_follow_the_image(load):
    # The same picture is the image and the mask.
    square = np.zeros((2, 8, 12), np.uint8)
    square[:, 2:6, 4:8] = 255
    dataset = load({"image_size": "4"}, image=square, mask=square)
    out = data.read_all(dataset)
    assert np.unique(out["mask"]).tolist() == [0, 255]
    np.testing.assert_array_equal(out["mask"][0, 1:3, 1:3, 0], 255)
    assert out["mask"].mean() == 255 / 4
    np.testing.assert_array_equal(out["image"] > 127, out["mask"] > 127)
    cropped = data.read_all(load({"crop": "4"}, image=square, mask=square))
    assert (cropped["mask"] == 255).all()
    np.testing.assert_array_equal(cropped["mask"], cropped["image"])


def test_smaller_sources(load):
    small = GRAY[:, ::2, ::2]
    assert load(image=COLOR, source=small).example["source"].shape == (2, 4, 1)
    both = load({"image_size": "4"}, image=COLOR, source=small)
    assert both.shape[:2] == both.example["source"].shape[:2] == (4, 4)


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"source": GRAY[:5]}, "'source' has 5 examples and 'image' has 6; .*=image"),
        ({"label": NUMBERS[:5], "mask": HOLES}, "'label' has 5 examples"),
        ({"source": GRAY[:, :3]}, "'source' is .* images of 4x8: their aspect ratios"),
        ({"source": GRAY.repeat(2, 1).repeat(2, 2)}, "a source cannot be larger"),
        ({"target": COLOR[:, :2]}, "'target' is .*: save both in one size"),
        ({"mask": HOLES[:, :2]}, "'mask' is .*: save both in one size"),
        ({"mask": COLOR}, r"a mask has one channel, \[n, H, W\]"),
        ({"mask": NUMBERS}, "'mask' is"),
        ({"mask": HOLES * 2}, "int64 from 0 to 2; use booleans, 0 and 1, 0 to 255"),
        ({"mask": HOLES * np.nan}, "float64 from nan to nan"),
        ({"attributes": FACTS * 2 - 2}, "from -2 to 0; use booleans, 0 and 1, or"),
        ({"attributes": NUMBERS}, r"'attributes' is \[6\]; attributes are \[n, k\]"),
        ({"attributes": np.array(["a"] * 6)[:, None]}, r"is <U1 \[6, 1\]; use boolea"),
        (
            {"attributes": FACTS, "attribute_names": np.array(["a"])},
            "save the names of 3 attributes as different strings",
        ),
        (
            {"attributes": FACTS, "attribute_names": np.array(["a", "b", "a"])},
            "save the names of 3 attributes as different strings",
        ),
        ({"source": np.zeros((6, 3, 4, 8))}, r"try .transpose\(0, 2, 3, 1\)"),
    ],
)
def test_fields_that_do_not_fit(load, arrays, match):
    with pytest.raises(UsageError, match=match) as caught:
        load(image=COLOR, **arrays)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "classes"),
    [
        ({"images": COLOR, "labels": NUMBERS}, ("1", "2")),
        ({"image": COLOR, "label": NUMBERS}, ("1", "2")),
        # Class numbers are no image.
        ({"image": COLOR, "target": NUMBERS}, ("1", "2")),
        ({"images": COLOR, "source": GRAY}, ()),
        ({"image": COLOR, "Source": GRAY}, ()),
        ({"image": COLOR, "source": GRAY, "id": NUMBERS}, ()),
        ({"image": COLOR, "source": NUMBERS}, ()),
        ({"image": COLOR, "mask": HOLES, "label": NUMBERS, "labels": NUMBERS}, None),
        ({"B": COLOR, "A": NUMBERS}, ()),
        ({"B": COLOR}, ()),
        ({"image": COLOR, "mask": np.array([None] * 6, object)}, ()),
    ],
)
def test_other_names_mean_what_they_did(load, arrays, classes):
    dataset = load(**arrays)
    assert set(dataset.example) <= {"image", "label"}
    if classes is not None:
        assert dataset.classes == classes
    np.testing.assert_array_equal(dataset.read(np.arange(6))["image"], COLOR)


def test_a_chosen_array_stands_alone(load):
    arrays = {"image": COLOR, "source": GRAY, "label": NUMBERS}
    alone = load({"image_field": "source"}, **arrays)
    assert list(alone.example) == ["image", "label"]
    assert alone.shape == (4, 8, 1)
    with pytest.raises(UsageError, match=r"--split=test: .* has no splits"):
        load({"split": "test"}, **arrays)
    train, held = data.hold_out(load(**arrays), "2", "train", lambda _: load(**arrays))
    assert held
    assert (train.size, held.size, set(held.example)) == (4, 2, set(arrays))
