"""The corruption study: what is corrupted, and the directions of the results."""

import json
from pathlib import Path

import corruption_picture as picture
import corruptions
import numpy as np
import pytest

from jaxgan.metrics.features import Features

RESULTS = Path(corruptions.__file__).parent / "results" / "corruptions.json"
RNG = np.random.default_rng(0)


@pytest.fixture
def images(monkeypatch):
    """40 images of ten classes whose feature is their number, and 20 to copy."""
    monkeypatch.setattr(corruptions, "N", 40)
    monkeypatch.setattr(corruptions, "COPIED", 20)
    monkeypatch.setattr(corruptions, "FEW", 4)

    def numbered(numbers):
        pixels = np.zeros((len(numbers), 32, 32, 1), np.float32)
        labels = numbers.astype(np.int32) % 10
        return Features(numbers[:, None].astype(float), None, labels, pixels)

    def extract(x):
        return Features(x.std((1, 2)))

    pool, train = numbered(np.arange(40)), numbered(100 + np.arange(20))
    return corruptions.Images(pool, train, extract)


def test_noise_has_its_deviation_and_blur_none_of_a_plain_image(images):
    noisy = corruptions.noise(images, 0.2, RNG)
    np.testing.assert_allclose(noisy.features, 0.2, rtol=0.15)
    assert noisy.labels is images.pool.labels
    np.testing.assert_allclose(corruptions.blur(images, 2.0, RNG).features, 0)


def test_as_many_images_of_fewer_classes(images):
    for count in (0, 4, 9):
        found = corruptions.dropped(images, count, RNG)
        kept = found.features[:, 0].astype(int) % 10
        assert len(kept) == 4
        assert not set(corruptions.DROPPED[:count]) & set(kept)
        assert found.labels is None


def test_duplicates_are_of_the_same_class(images):
    found = corruptions.duplicates(images, 0.5, RNG)
    numbers = found.features[:, 0].astype(int)
    assert len(numbers) == 40
    assert len(set(numbers)) == 20
    np.testing.assert_array_equal(numbers % 10, images.pool.labels)
    # one of each class remains at least
    assert len(set(corruptions.duplicates(images, 1, RNG).features[:, 0])) == 10


def test_a_share_is_copied_and_a_share_has_wrong_labels(images):
    copied = corruptions.memorized(images, 0.25, RNG)
    assert (copied.features >= 100).sum() == len(set(copied.features[:, 0])) - 30 == 10
    np.testing.assert_array_equal(copied.features[:, 0] % 10, copied.labels)
    wrong = corruptions.wrong_labels(images, 0.25, RNG)
    assert (wrong.labels != images.pool.labels).sum() == 10
    np.testing.assert_array_equal(wrong.features, images.pool.features)


def test_directions_by_hand():
    assert picture.direction([1, 2, 4], 4) == "up"
    assert picture.direction([4, 2.1, 2], 4) == "down"
    # small beside the range of the metric
    assert picture.direction([1, 1.1, 0.9], 4) == "same"
    assert picture.direction([1, 1.1, 1.5], 0.5) == "up"
    # there and back
    assert picture.direction([1, 3, 1], 4) == "turns"
    assert picture.direction([1, 3, 2], 4) == "turns"
    assert picture.direction([1, 3, 2.9], 4) == "up"


def test_the_range_is_that_over_all_corruptions():
    kinds = {
        "noise": {"values": {"fd_classifier": [0.0, 50, 100], "other": [0.0, 1, 2]}},
        "memorized": {"values": {"fd_classifier": [0.0, 1, 2]}},
    }
    found = picture.directions({"corruptions": kinds})
    assert found == {("noise", "fd"): "up", ("memorized", "fd"): "same"}
    results = {"sets": {"x": {"corruptions": kinds}}}
    assert picture.wrong(results) == {}
    [row] = [x for x in picture.table_of(results) if x.startswith("| fd ")]
    assert row == "| fd | **up** | **same** |"
    kinds["noise"]["values"]["fd_classifier"].reverse()
    assert picture.wrong(results) == {("noise", "fd"): ["x"]}
    [row] = [x for x in picture.table_of(results) if x.startswith("| fd ")]
    assert row == "| fd | *down* | **same** |"
    # a change of a share counts by itself
    kinds["noise"]["values"] = {"precision_classifier": [0.5, 0.48]}
    assert picture.directions({"corruptions": kinds})["noise", "precision"] == "same"


def test_every_metric_moved_as_it_should():
    results = json.loads(RESULTS.read_text())
    assert set(results["sets"]) == {"mnist", "fashion_mnist"}
    # what did not is explained, and nothing else
    assert set(picture.wrong(results)) == set(picture.EXCEPTIONS)
    expected = {(k, m) for k, own in picture.EXPECTED.items() for m in own}
    assert len(expected) > 5 * len(picture.EXCEPTIONS)
    for study in results["sets"].values():
        missing = expected - set(picture.directions(study))
        # classifiers were trained for one of the data sets only
        assert missing <= {("wrong labels", "classification_accuracy")}
