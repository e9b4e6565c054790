"""Metrics by name: the values, warnings and pictures of known sets."""

import numpy as np
import pytest
from test_metrics_classification_accuracy import nearest_mean

from jaxgan import spec
from jaxgan.errors import UsageError
from jaxgan.metrics import comparisons, conditional_comparisons
from jaxgan.metrics.comparison import NO_FEATURES
from jaxgan.metrics.comparisons import COMPARISONS, Sets, remember_last
from jaxgan.metrics.features import Extractor, Features, StoredImages
from jaxgan.metrics.features import classifier_training as training
from jaxgan.metrics.frechet import frechet_distance, moments
from jaxgan.metrics.neighbors import nearest_pairs
from jaxgan.metrics.sliced_features import sliced_distance
from jaxgan.types import ExampleSpec, Field

ANY = Extractor("x", "0" * 16, {}, Features)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sets(real, fake, train=None, **fields):
    """Sets of features; other fields are (real, fake, train)."""
    parts = (real, fake, real if train is None else train)
    return Sets(
        *(
            Features(x, **{name: values[i] for name, values in fields.items()})
            for i, x in enumerate(parts)
        )
    )


def compare(name, of, **arguments):
    return COMPARISONS[name](ANY, **arguments).compare(of)


def blocks(seed, n=60):
    """Features and labels of three classes that are 10 apart."""
    labels = np.arange(n, dtype=np.int32) % 3
    return normal(seed, n, 2) + 10 * np.eye(3, 2, dtype=np.float32)[labels], labels


def test_swapped_sets_turn_precision_into_recall():
    # fakes are one of two clusters: all are good, and half of the data are missing
    cluster = normal(0, 80, 3)
    real, fake = np.concatenate([cluster, cluster + 50]), normal(1, 80, 3)
    right = compare("precision_recall", sets(real, fake))
    wrong = compare("precision_recall", sets(fake, real))
    assert right["precision_x"] > 0.85
    assert right["recall_x"] <= 0.5
    assert (wrong["precision_x"], wrong["recall_x"]) == (
        right["recall_x"],
        right["precision_x"],
    )


def test_sliced_wasserstein_is_that_of_features():
    real, fake = normal(0, 50, 4), normal(1, 40, 4) + 1
    found = compare("sliced_wasserstein", sets(real, fake), directions=30)
    want = sliced_distance(real, fake, directions=30)
    assert found == {
        "sliced_wasserstein_x": want.mean,
        "sliced_wasserstein_x_error": want.standard_error,
    }
    assert compare("sliced_wasserstein", sets(real, real))["sliced_wasserstein_x"] == 0


def test_classes_by_hand():
    p = np.array([[0.95, 0.05, 0], [0.8, 0.2, 0], [0.91, 0, 0.09], [0, 0.99, 0.01]])
    real = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    found = compare("classes", sets(real, p, probabilities=(real, p, real)))
    assert found.pop("class_kl_x_floor") == pytest.approx(0.4, abs=0.15)
    assert found == {
        "confident_x": 0.75,
        "classes_x": 2.0,
        "class_kl_x": pytest.approx(np.log(3) - (-0.75 * np.log(0.75) + np.log(4) / 4)),
    }
    for name in ("classes", "score"):
        with pytest.raises(UsageError, match=rf"{name}\(x\): this extractor has no cl"):
            compare(name, sets(real, p))


def test_frechet_distances_of_classes_and_their_mean():
    (real, labels), (fake, _) = blocks(0), blocks(1)
    fake[labels == 2] += 4
    of = sets(real, fake, labels=(labels, labels, labels))
    found = compare("per_class_fd", of)
    each = [
        frechet_distance(moments(real[labels == k]), moments(fake[labels == k]))
        for k in range(3)
    ]
    assert found == {
        "per_class_fd_x": pytest.approx(np.mean(each)),
        "per_class_fd_x_worst": pytest.approx(each[2]),
        **{f"per_class_fd_x_class{k}": pytest.approx(x) for k, x in enumerate(each)},
    }
    assert each[2] > 25
    # labels are not read by the plain distance, and matter here
    turned = sets(real, real, labels=(labels, np.roll(labels, 1), labels))
    assert compare("fd", turned)["fd_x"] == pytest.approx(0, abs=1e-6)
    assert compare("per_class_fd", turned)["per_class_fd_x"] > 100


def test_many_classes_have_no_value_each(monkeypatch):
    monkeypatch.setattr(conditional_comparisons, "LISTED", 2)
    real, labels = blocks(0)
    found = compare("per_class_fd", sets(real, real, labels=(labels,) * 3))
    assert list(found) == ["per_class_fd_x", "per_class_fd_x_worst"]


def test_a_class_of_few_examples_is_warned_of():
    warning = COMPARISONS["per_class_fd"](ANY).warning
    (real, labels), (fake, _) = blocks(0), blocks(1)
    assert warning(sets(real, fake, labels=(labels,) * 3)) == ""
    # 2 dimensions need 4 examples; 3 of class 1 are left
    rows = np.flatnonzero((labels != 1) | (np.arange(60) < 9))
    text = warning(sets(real, fake[rows], labels=(labels, labels[rows], labels)))
    assert text.startswith(
        "per_class_fd_x: class 1 is the smallest, and 3 examples for 2 dimensions"
    )
    assert "a perfect generator would get about" in text
    assert "\n" not in text
    with pytest.raises(UsageError, match="class 1 has 0 fake examples"):
        compare(
            "per_class_fd",
            sets(
                real,
                fake[labels != 1],
                labels=(labels, labels[labels != 1], labels),
            ),
        )


def test_accuracy_is_that_of_the_class_asked_for():
    p = np.eye(3)[[0, 1, 2, 2]]
    labels = np.array([0, 1, 1, 2])
    of = sets(p, p, labels=(labels,) * 3, probabilities=(p,) * 3)
    assert compare("accuracy_as_asked", of) == {"accuracy_as_asked_x": 0.75}


def test_conditional_metrics_need_labels_of_both():
    (real, labels), images = blocks(0), np.zeros((60, 8, 8, 1))
    for name in ("per_class_fd", "accuracy_as_asked", "classification_accuracy"):
        metric = spec.build_one(f"{name}()", COMPARISONS, extractor=ANY)
        assert metric.labels
        for known, text in (
            ((labels, None, labels), "needs a generator that is conditional"),
            ((None, labels, None), "needs data with labels"),
        ):
            with pytest.raises(UsageError, match=text) as error:
                metric.compare(sets(real, real, labels=known, images=(images,) * 3))
            assert str(error.value).startswith(name)


def test_classification_accuracy_of_fakes_that_teach_half(monkeypatch):
    labels = np.array([0, 0, 1, 1, 2, 2])
    real = np.array([0, 1, 10, 11, 20, 21]).reshape(-1, 1, 1, 1) / 21
    # class 2 of the fakes looks like class 0, and class 0 like class 2
    fake = real[[4, 5, 2, 3, 0, 1]]
    of = sets(real[:, 0, 0], real[:, 0, 0], labels=(labels,) * 3)
    of = Sets(of.real._replace(images=real), of.fake._replace(images=fake), of.train)
    given = []

    def train(*all_given):
        given.append(all_given)
        return lambda images, labels: nearest_mean(images[:, 0, 0], labels)

    monkeypatch.setattr(
        conditional_comparisons,
        "trainer",
        lambda *given: lambda x, y: lambda z: train(*given)(x, y)(z[:, 0, 0]),
    )
    metric = COMPARISONS["classification_accuracy"](seed=5)
    assert metric.images
    assert metric.extractor is NO_FEATURES
    assert metric.compare(of) == {
        "classification_accuracy": pytest.approx(1 / 3),
        "classification_accuracy_worst": 0.0,
    }
    assert given == [(3, 5, None)]
    # The classifier of sounds sees their spectrograms.
    waveform = Field((8_192, 1), np.dtype(np.int16), "waveform", rate=8_000)
    sounds = ExampleSpec(audio=waveform)
    COMPARISONS["classification_accuracy"](example=sounds).compare(of)
    assert given[1:] == [(3, 0, waveform)]
    with pytest.raises(UsageError, match="needs the images of all sets"):
        metric.compare(of._replace(real=of.real._replace(images=None)))


def test_the_classifier_learns_from_fakes_what_they_show(monkeypatch):
    monkeypatch.setattr(training, "LEAST", 60)
    rng = np.random.default_rng(0)

    def patterns(n):
        labels = np.arange(n, dtype=np.int32) % 2
        images = rng.uniform(-1, 0, (n, 8, 8, 1)).astype(np.float32)
        images[labels == 1, :4] += 1
        return images, labels

    (real, labels), (fake, of_fake) = patterns(100), patterns(120)
    stored = StoredImages(lambda numbers: fake[numbers], np.arange(120))
    empty = np.zeros((1, 1))
    metric = COMPARISONS["classification_accuracy"]()
    good = Sets(
        Features(empty, labels=labels, images=real),
        Features(empty, labels=of_fake, images=stored),
        Features(empty),
    )
    assert metric.compare(good)["classification_accuracy"] == 1.0
    swapped = good._replace(fake=good.fake._replace(labels=1 - of_fake))
    assert metric.compare(swapped)["classification_accuracy"] == 0.0


def test_collapse_within_classes_is_similar():
    rng = np.random.default_rng(0)
    varied = rng.uniform(-1, 1, (40, 12, 12, 1)).astype(np.float32)
    labels = np.arange(40) % 2
    empty = np.zeros((40, 0))
    metric = COMPARISONS["ms_ssim"](pairs=60)

    def value(images, labels):
        of = sets(empty, empty, images=(None, images, None))
        return metric.compare(of._replace(fake=of.fake._replace(labels=labels)))

    plain = value(varied, None)
    assert list(plain) == ["ms_ssim", "ms_ssim_scales"]
    assert plain["ms_ssim_scales"] == 1
    assert plain["ms_ssim"] < 0.2
    # one image of each class: pairs of one class are equal, half of the others are not
    collapsed = value(varied[labels], labels)
    assert collapsed["ms_ssim_within_class"] == pytest.approx(1)
    assert 0.3 < collapsed["ms_ssim"] < 0.8
    # no image has another of its class; images that are not in memory are the same
    assert value(varied, np.arange(40)) == plain
    stored = StoredImages(lambda numbers: varied[numbers], np.arange(40))
    assert value(stored, None) == plain
    with pytest.raises(UsageError, match="ms_ssim of 1 image; use at least 2"):
        value(varied[:1], None)
    with pytest.raises(UsageError, match="needs the images of fakes"):
        metric.compare(sets(empty, empty))


def test_the_picture_has_the_closest_pairs():
    train, fake = normal(0, 30, 2), normal(1, 20, 2) + 9
    fake[7], fake[3] = train[11], train[5] + 0.001
    numbered = np.arange(30, dtype=np.float32)[:, None, None, None]
    read = []

    def images(numbers):
        read.extend(numbers.tolist())
        return numbered[numbers]

    stored = StoredImages(images, np.arange(30))
    metric = COMPARISONS["memorization"](ANY)
    assert metric.images
    assert metric.whole_train
    of = sets(normal(2, 20, 2), fake, train, images=(None, numbered[:20], stored))
    columns = metric.picture(of)
    assert columns is not None
    assert list(columns) == ["fake", "nearest training example"]
    ours, theirs = (x.ravel().tolist() for x in columns.values())
    assert (ours[:2], theirs[:2]) == ([7, 3], [11, 5])
    # nothing else is read
    assert len(ours) == len(theirs) == len(read) == comparisons.SHOWN
    assert metric.picture(of._replace(fake=of.fake._replace(images=None))) is None
    assert COMPARISONS["fd"](ANY).picture(of) is None


def test_results_are_kept_for_the_very_same_arrays():
    calls = []

    def count(*args):
        calls.append(args)
        return nearest_pairs(*args)

    call = remember_last(count, 2)
    a, b, c = (normal(seed, 5, 2) for seed in range(3))
    assert call(a, b) is call(a, b)
    call(a, c)
    call(a, b)
    assert len(calls) == 2
    # a copy is computed again, and the oldest result is forgotten
    np.testing.assert_array_equal(call(a, b.copy()).train, call(a, b).train)
    assert len(calls) == 3
    call(a, c)
    assert len(calls) == 4


def test_a_real_example_with_nan_is_named():
    real = normal(0, 9, 2)
    real[4] = np.nan
    with pytest.raises(UsageError, match="held-out features have NaN"):
        compare("memorization", sets(real, normal(1, 9, 2), normal(2, 9, 2)))
