"""Unpaired images of two domains."""

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data.unpaired import combine
from jaxgan.errors import UsageError


def gray(root, values, shape=(4, 6)) -> None:
    """Constant pictures, named by their values."""
    root.mkdir(parents=True, exist_ok=True)
    for value in values:
        image = np.full(shape, value, np.uint8)
        Image.fromarray(image).save(root / f"{value:03}.png")


def load(a, b, **options) -> data.Dataset:
    return data.load(f"unpaired:{a},{b}", **options)


def values(dataset: data.Dataset) -> list[tuple[int, int]]:
    """The values of image and source of each example."""
    out = data.read_all(dataset)
    pixels = (out[field][:, 0, 0, 0].tolist() for field in ("image", "source"))
    return list(zip(*pixels, strict=True))


def refused(match: str, *paths, **options) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        load(*paths, **options)
    assert "\n" not in str(caught.value)


@pytest.fixture
def two(tmp_path):
    """3 pictures (10 to 12) and 8 pictures (0 to 7)."""
    gray(tmp_path / "a" / "deep", [10, 11, 12])
    gray(tmp_path / "b", range(8))
    return tmp_path / "a", tmp_path / "b"


def test_the_smaller_domain_repeats(two):
    dataset = load(*two)
    assert (dataset.size, dataset.aligned, dataset.resident) == (8, False, False)
    assert list(dataset.example) == ["image", "source"]
    images, sources = zip(*values(dataset), strict=True)
    assert images == tuple(range(8))
    # Each pass has all of them, and the first pass pairs no equal numbers.
    assert sorted(sources[:3]) == sorted(sources[3:6]) == [10, 11, 12]
    assert all(source != 10 + i for i, source in enumerate(sources[:3]))
    assert values(load(*two)) == values(dataset)
    # The other direction.
    images, sources = zip(*values(load(*two[::-1])), strict=True)
    assert sources == tuple(range(8))
    assert set(images) == {10, 11, 12}


@pytest.mark.parametrize("count", [2, 3, 7, 50])
def test_equal_domains_are_never_paired_by_number(tmp_path, count):
    gray(tmp_path / "a", range(count))
    gray(tmp_path / "b", range(count))
    pairs = values(load(tmp_path / "a", tmp_path / "b"))
    assert all(image != source for image, source in pairs)
    assert sorted(source for _, source in pairs) == list(range(count))


def test_reading_by_number_and_as_a_stream(two):
    dataset = load(*two)
    want = values(dataset)
    numbers = np.array([7, 0, 7, 3])
    some = dataset.read(numbers)
    got = [some[k][:, 0, 0, 0].tolist() for k in ("image", "source")]
    assert list(zip(*got, strict=True)) == [want[n] for n in numbers]
    seen = []
    for step in data.stream(dataset, seed=0, updates=2, batch=2, steps=2):
        assert step["image"].shape == step["source"].shape == (2, 2, 4, 6, 1)
        got = [step[k][..., 0, 0, 0].ravel().tolist() for k in ("image", "source")]
        seen += zip(*got, strict=True)
    assert sorted(seen) == sorted(want)


def test_each_domain_has_its_mode_and_both_one_size(two, tmp_path):
    gray(tmp_path / "c", range(4), (4, 6, 3))
    dataset = load(two[0], tmp_path / "c")
    assert dataset.shape == (4, 6, 3)
    assert dataset.example["source"].shape == (4, 6, 1)
    gray(tmp_path / "d", range(4), (8, 8))
    refused("are 4x6 and those in .*d 8x8; resize both", two[0], tmp_path / "d")
    assert load(two[0], tmp_path / "d", image_size="5").shape == (5, 5, 1)


def test_splits(tmp_path):
    for name, start in (("a", 0), ("b", 100)):
        gray(tmp_path / name / "train", range(start, start + 6))
        gray(tmp_path / name / "test", range(start + 50, start + 52))
    paths = tmp_path / "a", tmp_path / "b"
    assert {x for pair in values(load(*paths)) for x in pair} == {
        *range(6),
        *range(100, 106),
    }
    test = values(load(*paths, split="test"))
    assert {x for pair in test for x in pair} == {50, 51, 150, 151}
    _, held = data.hold_out(
        load(*paths), "auto", "train", lambda split: load(*paths, split=split)
    )
    assert held
    assert values(held) == test
    refused("--split=val: .* has the splits", *paths, split="val")


def test_splits_beside_the_domains(tmp_path):
    for i, name in enumerate(("trainA", "trainB", "testA", "testB")):
        gray(tmp_path / name, range(10 * i, 10 * i + 3))
    paths = tmp_path / "trainA", tmp_path / "trainB"
    for split, image, source in (("train", 10, 0), ("test", 30, 20)):
        images, sources = zip(*values(load(*paths, split=split)), strict=True)
        assert min(images) == image
        assert min(sources) == source
    refused("--split=val", *paths, split="val")


@pytest.mark.parametrize(("count", "sizes"), [(2, (1, 2)), (5, (2, 5)), (7, (2, 7))])
def test_no_image_is_held_out_and_trained_on(two, count, sizes):
    train, held = data.hold_out(load(*two), str(count), "train", lambda _: load(*two))
    assert held is not None
    assert not held.aligned
    used, unused = (
        [{pair[i] for pair in values(x)} for i in (1, 0)] for x in (train, held)
    )
    for part, rest, size, total in zip(unused, used, sizes, (3, 8), strict=True):
        assert not part & rest
        assert len(part) == size
        assert len(part | rest) == total
    with pytest.raises(UsageError, match="--held_out=8 leaves none of the 8"):
        data.hold_out(load(*two), "8", "train", lambda _: load(*two))


def test_domains_that_are_too_small(two, tmp_path):
    gray(tmp_path / "one", [1])
    refused("needs at least 2 pictures, and .*one holds 1", tmp_path / "one", two[1])
    refused("there is no folder", two[0], tmp_path / "none")
    (tmp_path / "empty").mkdir()
    refused("unpaired:.*empty: .* holds no pictures", two[0], tmp_path / "empty")


@pytest.mark.parametrize("name", ["{a},{a}", "{a},{a}/deep", "{a}/../a,{a}/x/.."])
def test_a_folder_with_itself(two, name):
    with pytest.raises(UsageError, match="one path is the other, or inside it"):
        data.load(f"unpaired:{name.format(a=two[0])}")


def test_names_with_commas_and_homes(tmp_path, monkeypatch):
    gray(tmp_path / "a,b", [1, 2])
    gray(tmp_path / "c", [3, 4])
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = data.load(rf"unpaired:{tmp_path}/a\,b,{tmp_path}/c")
    assert values(data.load(r"unpaired:~/a\,b,~/c")) == values(plain)
    for text, count in (("", 0), ("a", 1), ("a,", 1), (",", 0), ("a,b,c", 3)):
        with pytest.raises(UsageError, match=rf"names {count} paths?;"):
            data.load(f"unpaired:{text}")
    assert data.same_place(r"unpaired:~/a\,b,~/c", r"unpaired:~/a\,b,~/c/../c")
    assert not data.same_place("unpaired:~/a,~/c", "unpaired:~/c,~/a")
    assert not data.same_place("unpaired:a,b", "unpaired:a")


def test_fields_cannot_be_chosen(two):
    refused("swap the paths for the other direction", *two, image_field="A")
    refused("--label_field=x", *two, label_field="x")


@pytest.mark.parametrize("domain", [0, 1])
def test_a_changed_or_damaged_file(two, domain):
    before = data.fingerprint(load(*two))
    assert data.fingerprint(load(*two)) == before
    file = next(two[domain].rglob("*1*.png"))
    Image.fromarray(np.full((4, 6), 99, np.uint8)).save(file)
    assert data.fingerprint(load(*two)) != before
    file.write_bytes(file.read_bytes()[:46])
    with pytest.raises(UsageError, match=rf"{file.name} cannot be read as a picture"):
        data.read_all(load(*two))
    whole = data.read_all(data.skip_bad_examples(load(*two)))
    assert 99 not in whole["image"]
    assert 99 not in whole["source"]


def grays(count: int) -> data.Dataset:
    return data.from_arrays(
        np.arange(count, dtype=np.uint8).repeat(4).reshape(-1, 2, 2)
    )


def test_arrays_in_memory_can_be_combined():
    both = combine("both", grays(5), grays(3))
    assert (both.size, both.aligned) == (5, False)
    assert len(data.fingerprint(both) or "") == 16
