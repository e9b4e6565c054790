"""What is kept from training."""

import numpy as np
import pytest

from jaxgan import data
from jaxgan.core import UsageError
from jaxgan.data.dataset import from_arrays
from jaxgan.data.held_out import split_off


def points(size, name="npz:points"):
    return from_arrays(name, {"image": np.arange(float(size))[:, None]}, origin="")


def no_split(name):
    raise UsageError(f"no split {name}")


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


def test_auto_takes_the_test_split_where_there_is_one():
    whole, test = points(1_000, "mnist"), points(10, "mnist")
    assert data.hold_out(whole, "auto", "train", lambda _: test) == (whole, test)
    assert sizes(data.hold_out(whole, "auto", "test[:50%]", lambda _: test)) == (
        950,
        50,
    )
    assert sizes(data.hold_out(whole, "auto", "train", no_split)) == (950, 50)


def test_what_is_said_is_taken():
    whole, other = points(100), points(7)
    assert data.hold_out(whole, "none", "train", no_split) == (whole, None)
    assert data.hold_out(whole, "0", "train", no_split) == (whole, None)
    assert sizes(data.hold_out(whole, "3", "train", no_split)) == (97, 3)
    assert data.hold_out(whole, "validation", "train", lambda _: other)[1] is other


def test_what_cannot_be_kept():
    with pytest.raises(UsageError, match="--held_out=100 leaves nothing of the 100"):
        data.hold_out(points(100), "100", "train", no_split)
    with pytest.raises(UsageError, match="no split dev"):
        data.hold_out(points(100), "dev", "train", no_split)


def test_the_decoded_parts_are_kept_apart(tmp_path):
    whole = points(100)._replace(arrays=None, cache=tmp_path / "train-0")
    rest, held = split_off(whole, 20)
    for part in (rest, held, rest):
        assert part is not None
        assert data.read_all(part)["image"][:, 0].tolist() == numbers(part)
