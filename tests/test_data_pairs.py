"""Paired images from folders A and B, and side by side in each picture."""

import logging

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.errors import UsageError

RANDOM = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape).astype(np.uint8)


def save(path, image: np.ndarray, **options) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)
    return image


def load(path, **options) -> data.Dataset:
    return data.load(f"pairs:{path}", **options)


def fill(root, a: str = "A/{}.png", b: str = "B/{}.png", names="xyz"):
    """Gray sources of 4x6 and color targets, by name."""
    return {
        name: (
            save(root / a.format(name), noise(4, 6)),
            save(root / b.format(name), noise(4, 6, 3)),
        )
        for name in names
    }


def check(dataset: data.Dataset, want: dict) -> None:
    """Asserts that a data set holds the pairs `want`, sorted by name."""
    assert list(dataset.example) == ["image", "source"]
    assert dataset.aligned
    out = data.read_all(dataset)
    for i, name in enumerate(sorted(want)):
        source, image = want[name]
        np.testing.assert_array_equal(out["source"][i, ..., 0], source)
        np.testing.assert_array_equal(out["image"][i], image)
    assert dataset.size == len(want)


def refused(path, match: str, **options) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)


def test_each_side_has_its_own_mode_and_suffix(tmp_path):
    want = fill(tmp_path, "A/{}.bmp", "B/{}.png")
    dataset = load(tmp_path)
    assert dataset.example["image"].shape == (4, 6, 3)
    assert dataset.example["source"].shape == (4, 6, 1)
    check(dataset, want)
    numbers = np.array([2, 0])
    some = dataset.read(numbers)
    np.testing.assert_array_equal(some["image"][0], want["z"][1])
    np.testing.assert_array_equal(some["source"][1, ..., 0], want["x"][0])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a/{}.png", "b/{}.png"),
        ("A/deep/{}.PNG", "b/deep/{}.png"),
        ("train/A/{}.png", "train/B/{}.png"),
        ("A/Train/{}.png", "B/train/{}.png"),
    ],
)
def test_layouts(tmp_path, a, b):
    want = fill(tmp_path, a, b)
    check(load(tmp_path), want)


@pytest.mark.parametrize(
    "layout", ["{split}/{side}/{{}}.png", "{side}/{split}/{{}}.png"]
)
def test_splits_above_and_below_the_sides(tmp_path, layout):
    want = {
        split: fill(
            tmp_path,
            *(layout.format(split=split, side=side) for side in "AB"),
            names=names,
        )
        for split, names in {"train": "pqrs", "val": "uv"}.items()
    }
    check(load(tmp_path), want["train"])
    check(load(tmp_path, split="validation"), want["val"])
    refused(tmp_path, "--split=test: .* has the splits train, val", split="test")
    train, held = data.hold_out(
        load(tmp_path), "auto", "train", lambda split: load(tmp_path, split=split)
    )
    assert (train.size, held and held.size) == (4, 2)


def test_the_other_direction(tmp_path):
    want = fill(tmp_path)
    dataset = load(tmp_path, image_field="A")
    assert dataset.shape == (4, 6, 1)
    out = data.read_all(dataset)
    np.testing.assert_array_equal(out["image"][1, ..., 0], want["y"][0])
    np.testing.assert_array_equal(out["source"][1], want["y"][1])
    assert load(tmp_path, image_field="b").shape == (4, 6, 3)
    refused(tmp_path, "--image_field=C: .* A and B", image_field="C")
    refused(tmp_path, "--label_field=B", label_field="B")


def test_two_halves_of_a_picture(tmp_path):
    whole = [save(tmp_path / f"train/{i}.png", noise(4, 8, 3)) for i in range(3)]
    dataset = load(tmp_path)
    out = data.read_all(dataset)
    np.testing.assert_array_equal(out["source"], np.array(whole)[:, :, :4])
    np.testing.assert_array_equal(out["image"], np.array(whole)[:, :, 4:])
    other = load(tmp_path, image_field="A")
    np.testing.assert_array_equal(data.read_all(other)["source"], out["image"])
    assert data.fingerprint(dataset) != data.fingerprint(other)


def test_halves_are_resized_one_by_one(tmp_path):
    whole = np.zeros((8, 16, 3), np.uint8)
    whole[:, 8:] = 255
    save(tmp_path / "x.png", whole)
    save(tmp_path / "y.png", np.zeros((4, 8, 3), np.uint8))
    refused(tmp_path, r"pictures differ in size .*--image_size=64x64")
    out = data.read_all(load(tmp_path, image_size="4"))
    assert out["image"].shape == (2, 4, 4, 3)
    # Resizing the whole would blur across the middle.
    assert (out["source"][0] == 0).all()
    assert (out["image"][0] == 255).all()


def test_both_have_the_same_frame(tmp_path):
    want = fill(tmp_path)
    out = data.read_all(load(tmp_path, crop="2x4"))
    np.testing.assert_array_equal(out["source"][0, ..., 0], want["x"][0][1:3, 1:5])
    np.testing.assert_array_equal(out["image"][0], want["x"][1][1:3, 1:5])
    assert load(tmp_path, image_size="3x5").example["source"].shape == (3, 5, 1)


def test_smaller_sources(tmp_path, caplog):
    for name in "xy":
        save(tmp_path / f"A/{name}.png", noise(4, 5))
        save(tmp_path / f"B/{name}.png", noise(8, 10))
    dataset = load(tmp_path)
    assert dataset.example["source"].shape == (4, 5, 1)
    assert dataset.shape == (8, 10, 1)
    assert all(record.levelname == "INFO" for record in caplog.records)
    assert load(tmp_path, image_size="4").example["source"].shape == (4, 4, 1)
    assert "leave it out to train super-resolution" in caplog.text
    refused(tmp_path, r"A/x\.png is 4x5 .* 8x10; --crop shows .* equal", crop="4")
    refused(tmp_path, "a source cannot be larger", image_field="A")


def test_pairs_of_other_forms(tmp_path):
    save(tmp_path / "A/x.png", noise(4, 4))
    save(tmp_path / "B/x.png", noise(4, 8))
    for size in (None, "4"):
        refused(
            tmp_path,
            r"A/x\.png is 4x4 and its partner .*B/x\.png 4x8; their aspect ratios",
            image_size=size,
        )
    assert load(tmp_path, image_size="4", crop="none").shape == (4, 4, 1)


@pytest.mark.parametrize("sides", ["AB", "BA"])
def test_names_without_a_partner(tmp_path, sides):
    fill(tmp_path)
    one, other = sides
    for name in "klmno":
        save(tmp_path / one / f"{name}.png", noise(4, 6))
    save(tmp_path / other / "q.png", noise(4, 6))
    first = rf"5 of 8 pictures in {one}/ have no partner in {other}/ "
    first += rf"\({one}/k\.png, {one}/l\.png, {one}/m\.png, \.\.\.\)"
    second = rf"1 of 4 pictures in {other}/ have no partner in {one}/ "
    second += rf"\({other}/q\.png\)"
    refused(tmp_path, first)
    refused(tmp_path, second)


def test_names_that_differ_in_the_suffix_only(tmp_path):
    fill(tmp_path)
    save(tmp_path / "A/x.bmp", noise(4, 6))
    refused(tmp_path, r"x\.bmp and x\.png differ in the suffix only")


def test_wrong_folders(tmp_path):
    refused(tmp_path / "nowhere", "there is no folder")
    refused(tmp_path, "holds no pictures")
    fill(tmp_path / "deep" / "set")
    refused(tmp_path / "deep", "did you mean pairs:.*/deep/set")
    refused(tmp_path / "deep/set/A", r"did you mean pairs:.*/deep/set\?")
    refused(tmp_path / "deep/set", "--split=test: .* has no splits", split="test")
    (tmp_path / "deep/set/B").rename(tmp_path / "deep/set/C")
    refused(tmp_path / "deep/set", "has a folder A/ and no folder B/")
    (tmp_path / "deep/set/A").rename(tmp_path / "deep/set/photos")
    refused(
        tmp_path / "deep/set",
        "the folders C/ and photos/, but not A/ and B/: rename the one with the inputs",
    )


def test_empty_sides_and_different_splits(tmp_path):
    fill(tmp_path)
    (tmp_path / "none/A").mkdir(parents=True)
    (tmp_path / "none/B").mkdir()
    refused(tmp_path / "none", r"pairs:.*\(A\): .* holds no pictures")
    save(tmp_path / "none/A/x.png", noise(4, 6))
    refused(tmp_path / "none", r"pairs:.*\(B\): .* holds no pictures")
    fill(tmp_path / "half", "A/train/{}.png", "B/{}.png")
    refused(tmp_path / "half", "only one of A/ and B/ has a folder train/")
    fill(tmp_path / "more", "A/train/{}.png", "B/train/{}.png")
    save(tmp_path / "more/A/test/x.png", noise(4, 6))
    refused(tmp_path / "more", "only one of A/ and B/ has a folder test/", split="test")


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((4, 4), r"x\.png is 4x4, not two pictures side by side \(4x8\)"),
        ((4, 7), r"x\.png is 4x7, an odd width, which has no halves"),
    ],
)
def test_pictures_that_are_no_pairs(tmp_path, shape, match):
    save(tmp_path / "x.png", noise(*shape))
    refused(tmp_path, match)


def test_bit_depths_are_those_of_a_side(tmp_path):
    fill(tmp_path, names="x")
    deep = RANDOM.integers(0, 65536, (4, 6)).astype(np.uint16)
    save(tmp_path / "A/x.png", deep)
    dataset = load(tmp_path)
    assert dataset.example["source"].dtype == np.uint16
    assert dataset.dtype == np.uint8
    np.testing.assert_array_equal(data.read_all(dataset)["source"][0, ..., 0], deep)
    save(tmp_path / "A/y.png", noise(4, 6))
    save(tmp_path / "B/y.png", noise(4, 6, 3))
    refused(tmp_path, r"\(A\): .*x\.png has 16 bits .*y\.png has 8")


def test_alpha_of_both(tmp_path):
    clear = np.zeros((4, 4, 4), np.uint8)
    save(tmp_path / "A/x.png", clear)
    save(tmp_path / "B/x.png", noise(4, 4, 3))
    assert load(tmp_path).example["source"].shape == (4, 4, 4)
    white = load(tmp_path, alpha="white")
    assert white.example["source"].shape == (4, 4, 3)
    assert (data.read_all(white)["source"] == 255).all()


def test_cameras_held_on_their_side(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    save(tmp_path / "A/x.jpg", noise(8, 24), exif=exif)
    save(tmp_path / "B/x.jpg", noise(24, 8))
    dataset = load(tmp_path)
    assert dataset.example["source"].shape == dataset.shape == (24, 8, 1)
    # The halves are those of the upright picture, whose left is the lower half here.
    halves = np.repeat(np.array([0, 255], np.uint8), 8)[:, None].repeat(8, 1)
    save(tmp_path / "two/x.jpg", halves, exif=exif)
    out = data.read_all(load(tmp_path / "two"))
    assert out["image"].mean() < 10 < 245 < out["source"].mean()


def test_damage_is_named_or_skipped(tmp_path, caplog):
    fill(tmp_path, names="abcde")
    whole = (tmp_path / "A/c.png").read_bytes()
    (tmp_path / "A/c.png").write_bytes(whole[:-30])
    (tmp_path / "B/d.png").write_bytes(b"no picture")
    refused(tmp_path, r"B/d\.png cannot be read as a picture")
    dataset = load(tmp_path, on_bad_example="skip")
    for number, name in ((2, "A/c"), (3, "B/d")):
        with pytest.raises(UsageError, match=rf"{name}\.png cannot be read"):
            dataset.read(np.array([number]))
    with caplog.at_level(logging.WARNING, "jaxgan"):
        out = data.read_all(data.skip_bad_examples(dataset))
    for field in ("image", "source"):
        np.testing.assert_array_equal(out[field][2], out[field][4])
        np.testing.assert_array_equal(out[field][3], out[field][4])


@pytest.mark.parametrize("side", "AB")
def test_a_changed_file_changes_the_fingerprint(tmp_path, side):
    fill(tmp_path)
    before = data.fingerprint(load(tmp_path))
    assert data.fingerprint(load(tmp_path)) == before
    shape = (4, 6) if side == "A" else (4, 6, 3)
    save(tmp_path / side / "y.png", noise(*shape))
    assert data.fingerprint(load(tmp_path)) != before


def test_reading_a_stream(tmp_path):
    want = fill(tmp_path, names="abcdef")
    stream = data.stream(load(tmp_path), seed=0, updates=1, batch=3, steps=2)
    seen = 0
    for step in stream:
        for source, image in zip(step["source"][0], step["image"][0], strict=True):
            match = [
                (source[..., 0] == a).all() and (image == b).all()
                for a, b in want.values()
            ]
            assert sum(match) == 1
            seen += 1
    assert seen == 6


def test_one_place_has_several_names(tmp_path):
    assert data.same_place(f"pairs:{tmp_path}", f"pairs:{tmp_path}/x/..")
    assert not data.same_place(f"pairs:{tmp_path}", f"folder:{tmp_path}")
