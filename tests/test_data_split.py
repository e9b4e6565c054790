"""Held-out examples."""

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data.dataset import Range, from_fields
from jaxgan.data.split import split_off
from jaxgan.errors import UsageError


def points(size, name="npz:points"):
    return from_fields(name, {"image": np.arange(float(size))[:, None]}, origin="")


def no_split(name):
    raise UsageError(f"--split={name}: none of that name")


def sizes(parts):
    return tuple(part.size for part in parts)


def numbers(dataset):
    return dataset.read(np.arange(dataset.size))["image"][:, 0].tolist()


def test_no_example_is_on_both_sides_and_none_is_lost():
    rest, held = split_off(points(100), 30)
    assert sizes((rest, held)) == (70, 30)
    assert sorted(numbers(rest) + numbers(held)) == list(range(100))
    assert numbers(rest) == sorted(numbers(rest))  # so that files are read in order
    assert held is not None
    assert data.read_all(held)["image"][:, 0].tolist() == numbers(held)
    assert numbers(split_off(points(100), 30)[1]) == numbers(held)


def test_they_are_from_all_over_the_set():
    held = numbers(split_off(points(1000), 100)[1])
    assert 300 < np.mean(held) < 700


@pytest.mark.parametrize(
    ("size", "held"), [(100_000, 256), (1_000, 50), (320, 16), (319, 0), (1, 0)]
)
def test_auto_takes_one_in_twenty_up_to_256(size, held):
    rest, kept = data.hold_out(points(size), "auto", "train", no_split)
    assert (kept.size if kept else 0) == held
    assert rest.size == size - held


def part(dataset, start, stop, source="mnist/train"):
    return dataset._replace(ranges=(Range(source, start, stop),))


def test_auto_takes_the_test_split_where_there_is_one():
    whole, test = points(1_000, "mnist"), points(10, "mnist")
    assert data.hold_out(whole, "auto", "train", lambda _: test) == (whole, test)
    assert sizes(data.hold_out(whole, "auto", "train", no_split)) == (950, 50)
    latest = part(whole, 0, 1_000, "latest"), part(test, 0, 10, "test")
    assert data.hold_out(latest[0], "auto", "latest", lambda _: latest[1]) == latest


def test_auto_takes_no_test_split_that_is_trained_on():
    whole, test = points(1_000, "mnist"), points(10, "mnist")
    split = {"all": (whole, 0), "test[:50%]": (whole, 5), "test": (whole, 0)}
    for name, (train, start) in split.items():
        train = part(train, start, start + 1_000, "test")
        found = data.hold_out(train, "auto", name, lambda _: part(test, 0, 10, "test"))
        assert sizes(found) == (950, 50)


@pytest.mark.parametrize(
    ("train", "held", "count"),
    [((0, 500), (400, 1_000), 100), ((0, 500), (0, 500), 500), ((9, 10), (0, 90), 1)],
)
def test_an_overlap_that_is_asked_for_is_refused(train, held, count):
    one, other = (
        part(points(stop - start), start, stop) for start, stop in (train, held)
    )
    message = f"--held_out=b shares {count} of its {other.size} examples with --split=a"
    with pytest.raises(UsageError, match=message):
        data.hold_out(one, "b", "a", lambda _: other)
    apart = part(other, 1_000, 1_600)
    assert data.hold_out(one, "b", "a", lambda _: apart) == (one, apart)


def test_the_same_split_is_refused_where_files_are_unknown():
    with pytest.raises(UsageError, match="--held_out=dev shares 7 of its 7 examples"):
        data.hold_out(points(7), "dev", "dev", lambda _: points(7))


def test_what_is_there_twice_is_not_split():
    ranges = (Range("a", 0, 50), Range("a", 40, 90))
    twice = points(100)._replace(ranges=ranges)
    with pytest.raises(UsageError, match=r"includes 10 examples more than once.*none"):
        data.hold_out(twice, "3", "train+train[40:]", no_split)
    assert data.hold_out(twice, "none", "train+train[40:]", no_split) == (twice, None)


def test_other_examples_are_not_held_out():
    whole, wide = points(400), from_fields("w", {"image": np.zeros((9, 3))}, origin="")
    with pytest.raises(UsageError, match=r"--held_out=b has examples of \[3\]"):
        data.hold_out(whole, "b", "train", lambda _: wide)
    assert sizes(data.hold_out(whole, "auto", "train", lambda _: wide)) == (380, 20)


def test_what_is_said_is_taken():
    whole, other = points(100), points(7)
    assert data.hold_out(whole, "none", "train", no_split) == (whole, None)
    assert data.hold_out(whole, "0", "train", no_split) == (whole, None)
    assert sizes(data.hold_out(whole, "3", "train", no_split)) == (97, 3)
    assert data.hold_out(whole, "validation", "train", lambda _: other)[1] is other


def test_what_cannot_be_kept():
    with pytest.raises(UsageError, match="--held_out=100 leaves none of the 100"):
        data.hold_out(points(100), "100", "train", no_split)
    for said in ("dev", "-5", "²", "9" * 5_000):
        with pytest.raises(UsageError, match=f"--held_out={said}: none"):
            data.hold_out(points(100), said, "train", no_split)


def test_the_decoded_parts_are_kept_apart(tmp_path):
    whole = points(100)._replace(arrays=None, cache=tmp_path / "train-0")
    rest, held = split_off(whole, 20)
    for part in (rest, held, rest):
        assert part is not None
        assert data.read_all(part)["image"][:, 0].tolist() == numbers(part)
