"""Modes of images that stack others are counted by a classifier of one channel."""

import jax
import numpy as np
import pytest

import jaxgan
from jaxgan import data
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.evaluation import statistics_files
from jaxgan.gan.build_evaluators import build_evaluators
from jaxgan.metrics.features import EXTRACTORS, Extractor, Features
from jaxgan.metrics.frechet import moments
from jaxgan.metrics.mode_coverage import kl_floor
from jaxgan.types import Samples

LEVELS = np.array([40, 215], np.uint8)
"""Gray levels of the two classes of a channel."""


def stack(digits, seed=0):
    """Images `[n, 4, 4, 3]` whose channels have the classes `digits`, with noise."""
    noise = np.random.default_rng(seed).integers(0, 30, (len(digits), 4, 4, 3))
    return LEVELS[digits][:, None, None] + noise.astype(np.uint8)


def single(split):
    labels = np.arange(20) % 2
    images = LEVELS[labels][:, None, None, None] + np.zeros((1, 4, 4, 1), np.uint8)
    return data.from_arrays(images, labels, name=f"levels {split}")


DIGITS = np.stack(np.unravel_index(np.arange(240) % 8, (2, 2, 2)), 1)
STACKED = data.from_arrays(stack(DIGITS), np.arange(240) % 8, name="stacked")._replace(
    channel=single
)


@pytest.fixture(autouse=True)
def judge(monkeypatch, tmp_path):
    """A classifier by the mean in place of the one that is trained."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def by_mean(seed, *, example, train, held_out, cache, once):
        assert example.shape == (4, 4, 1)
        assert (train.name, held_out.name) == ("levels train", "levels test")

        def extract(images):
            mean = images.mean((1, 2))
            p = np.clip(mean / 2 + 0.5, 0, 1)
            return Features(mean, np.concatenate([1 - p, p], 1))

        return Extractor("classifier", "d" * 16, {"accuracy": 1.0}, extract)

    monkeypatch.setattr("jaxgan.metrics.features.channels.classifier", by_mean)


def test_classes_of_channels_are_those_of_the_labels():
    facts = {"example": STACKED.example, "train": STACKED}
    extractor = EXTRACTORS["channels"](**facts)
    images = data.normalize(STACKED.read(np.arange(240)))["image"]
    features, probabilities, *_ = extractor.extract(images)
    assert features.shape == (240, 3)
    assert probabilities is not None
    np.testing.assert_array_equal(probabilities.argmax(1), np.arange(240) % 8)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert (extractor.digest, extractor.protocol["channels"]) == ("d" * 16, 3)
    other = data.from_arrays(np.zeros((4, 8, 8, 3), np.uint8)).example
    with pytest.raises(UsageError, match="load both at the same size"):
        EXTRACTORS["channels"](**facts | {"example": other})


def test_modes_and_their_floor():
    # Four of eight modes, one of them only once.
    digits = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 0]] * 33 + [[1, 1, 1]])
    fake = data.from_arrays(stack(digits, 1), name="fakes")
    report = jaxgan.compare(STACKED, fake, "modes(channels)", n_real=120, cache=False)
    found = {name: x["value"] for name, x in report["metrics"].items()}
    shares = np.array([33, 33, 33, 1]) / 100
    assert found == {
        "modes_channels": 4,
        "mode_kl_channels": pytest.approx(np.sum(shares * np.log(8 * shares))),
        "mode_kl_channels_floor": kl_floor(100, 8).simulated,
    }
    # The floor of the table is that of other real images.
    assert report["metrics"]["modes_channels"]["floor"] == 8
    for text, data_set, word in (
        ("modes(channels)", data.from_arrays(stack(digits)), "as those of stacked_mni"),
        ("modes(random)", STACKED, "this extractor has no classes"),
    ):
        with pytest.raises(UsageError, match=word):
            jaxgan.compare(data_set, fake, text, cache=False)


def test_modes_during_training():
    config = make_config(eval_metrics="modes(channels, 80)")
    [(name, evaluator)] = build_evaluators(config, STACKED).items()
    fakes = stack(DIGITS[:4].repeat(20, 0)).astype(np.float32) / 127.5 - 1

    def sample_fn(count, first=0):
        some = fakes[first : first + count]
        return Samples(real=some, fake=some)

    values = evaluator.run(evaluator.init(STACKED, {}, jax.random.key(0)), sample_fn)
    assert name == "modes_channels"
    assert values["modes_channels"] == 4
    assert values["mode_kl_channels"] == pytest.approx(np.log(2))
    assert evaluator.score
    assert evaluator.score(values) == values["mode_kl_channels"]
    plain = data.from_arrays(stack(DIGITS))
    with pytest.raises(UsageError, match="--eval_metrics: channels needs images whose"):
        build_evaluators(config, plain)


def test_the_classifier_of_stacked_images_is_that_of_their_channels(tmp_path):
    facts = {"example": STACKED.example, "train": STACKED}
    whole = EXTRACTORS["classifier"](**facts, held_out=STACKED)
    parts = EXTRACTORS["channels"](**facts)
    assert whole[:3] == ("classifier", "d" * 16, {"accuracy": 1.0, "channels": 3})
    images = data.normalize(STACKED.read(np.arange(16)))["image"]
    for a, b in zip(whole.extract(images)[:2], parts.extract(images)[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    # Four of eight modes, each 30 times, all of them sure.
    fake = data.from_arrays(stack(DIGITS[:4].repeat(30, 0), 1), name="fakes")
    text = "classes(classifier)|modes(classifier)|fd(classifier)"
    report = jaxgan.compare(STACKED, fake, text, n_real=120, cache=False)
    found = {name: x["value"] for name, x in report["metrics"].items()}
    assert (found["classes_classifier"], found["modes_classifier"]) == (4, 4)
    assert found["class_kl_classifier"] == pytest.approx(np.log(2), abs=0.1)
    assert found["mode_kl_classifier"] == pytest.approx(np.log(2))
    # The first channel of all fakes is dark, and that of half of the real ones: their
    # means differ by half a level, one has no spread, and that of the other is half.
    half = (LEVELS[1] - LEVELS[0]) / 2 / 127.5
    assert found["fd_classifier"] == pytest.approx(2 * half**2, rel=0.1)
    assert report["protocol"]["extractors"]["classifier"]["channels"] == 3
    # Statistics of one channel are of other features.
    statistics_files.save(
        tmp_path / "s.npz",
        moments(np.eye(3)),
        whole._replace(protocol={"accuracy": 1.0}),
        "levels",
    )
    with pytest.raises(UsageError, match="with the channels None, and --metrics"):
        statistics_files.check_extractor(
            statistics_files.load(tmp_path / "s.npz"), whole
        )
