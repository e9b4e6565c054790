"""The classifier of the real training set, on tiny sets of patterns."""

import logging

import jax
import numpy as np
import pytest

from jaxgan import spec
from jaxgan.data import from_arrays, from_fields
from jaxgan.errors import UsageError
from jaxgan.metrics.features import EXTRACTORS, classifier_training
from jaxgan.metrics.features.classifier import Classifier, halved, seen_size
from jaxgan.metrics.features.classifier_training import identity, number_of_steps
from jaxgan.types import ExampleSpec, Field, image_example


def patterns(n, seed=0, shape=(8, 8, 1), classes=4):
    """Stripes in one of four directions at a random place, with much noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    y, x = np.mgrid[: shape[0], : shape[1]]
    directions = np.stack([y, x, y + x, y - x])[labels]
    phases = rng.integers(0, 4, (n, 1, 1))
    stripes = ((directions + phases) % 4 < 2)[..., None]
    noisy = 128 + 60 * (2 * stripes - 1) + rng.normal(0, 60, (n, *shape))
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


def dataset(n=300, seed=0, **more):
    return from_arrays(*patterns(n, seed, **more))


def build(train, cache, held_out=None, text="classifier"):
    facts = {"example": train.example, "train": train, "held_out": held_out}
    return spec.build_one(text, EXTRACTORS, **facts, cache=cache)


@pytest.fixture
def short(monkeypatch):
    """A training of a few steps."""
    monkeypatch.setattr(classifier_training, "LEAST", 6)


@pytest.fixture
def instant(monkeypatch):
    """A training that returns the first weights, for tests of the files."""

    def first(net, examples, seed):
        variables = net.init(jax.random.key(seed), np.zeros((1, 8, 8, 1), np.float32))
        return jax.tree.map(np.asarray, variables)

    monkeypatch.setattr(classifier_training, "train", first)


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "jaxgan")
    return caplog


def trained(log):
    """The number of trainings since the last call."""
    count = log.text.count("training the classifier")
    log.clear()
    return count


def weights_file(folder):
    (file,) = folder.glob("*.npz")
    return file


def test_learns_patterns(tmp_path, log):
    """Its probabilities are right on other examples, and its accuracy is theirs."""
    test = dataset(200, 1)
    extractor = build(dataset(), tmp_path, test)
    images, labels = patterns(200, 1)
    features, probabilities = extractor.extract(images.astype(np.float32) / 127.5 - 1)[
        :2
    ]
    assert features.shape == (200, 128)
    assert probabilities is not None
    assert probabilities.shape == (200, 4)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    accuracy = (probabilities.argmax(1) == labels).mean()
    assert accuracy > 0.95
    assert extractor.protocol == {
        "layer": "last hidden, 128",
        "resize": "none",
        "accuracy": round(accuracy, 4),
        "tested": 200,
        "trained_on": "300 of arrays",
        "recipe": classifier_training.RECIPE,
        "seed": 0,
    }
    # Features of one class are closer to each other than to those of others.
    centers = np.stack([features[labels == k].mean(0) for k in range(4)])
    distances = np.linalg.norm(features[:, None] - centers, axis=-1)
    assert (distances.argmin(1) == labels).mean() > 0.9
    assert trained(log) == 1


def test_is_deterministic(tmp_path, short):
    """Two trainings have the same weights, another seed or set has others."""
    digests = [
        build(dataset(seed=s), tmp_path / name, text=text).digest
        for name, s, text in (
            ("a", 0, "classifier"),
            ("b", 0, "classifier"),
            ("a", 0, "classifier(1)"),
            ("a", 1, "classifier"),
        )
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert len(list((tmp_path / "a").iterdir())) == 3


def test_weights_are_kept(tmp_path, instant, log):
    first = build(dataset(), tmp_path)
    assert f"the weights of the classifier are in {weights_file(tmp_path)}" in log.text
    assert trained(log) == 1
    again = build(dataset(), tmp_path)
    assert trained(log) == 0
    assert again[:3] == first[:3]
    images = np.zeros((3, 8, 8, 1), np.float32)
    for a, b in zip(first.extract(images), again.extract(images), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_held_out_examples_are_only_tested(tmp_path, instant, log):
    first = build(dataset(), tmp_path, dataset(100, 1))
    other = build(dataset(), tmp_path, dataset(50, 2))
    assert trained(log) == 1
    assert other.digest == first.digest
    assert (first.protocol["tested"], other.protocol["tested"]) == (100, 50)
    assert build(dataset(), tmp_path, dataset(50, 2))[:3] == other[:3]


def test_every_tenth_example_is_set_apart(tmp_path, short, log):
    """Their labels have no influence on the weights, but on the accuracy."""
    images, labels = patterns(300)
    before = build(from_arrays(images, labels), tmp_path)
    assert before.protocol["tested"] == 30
    wrong = labels.copy()
    wrong[9::10] = (wrong[9::10] + 1) % 4
    after = build(from_arrays(images, wrong), tmp_path)
    assert trained(log) == 2
    assert after.digest == before.digest
    assert after.protocol["accuracy"] != before.protocol["accuracy"]


DAMAGES = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "one byte": lambda content: (
        content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
    ),
    "text": lambda content: b"hello\n" * 100,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_trained_again(damage, tmp_path, instant, log):
    first = build(dataset(), tmp_path)
    file = weights_file(tmp_path)
    content = file.read_bytes()
    file.write_bytes(DAMAGES[damage](content))
    log.clear()
    assert build(dataset(), tmp_path)[:3] == first[:3]
    assert f"{file} is ignored" in log.text
    assert trained(log) == 1
    assert weights_file(tmp_path).read_bytes() == content


@pytest.mark.parametrize("change", ["value", "name", "shape", "missing", "no facts"])
def test_foreign_weights_are_trained_again(change, tmp_path, instant, log):
    first = build(dataset(), tmp_path)
    file = weights_file(tmp_path)
    arrays = dict(np.load(file))
    bias = "params/Dense_1/bias"
    if change == "value":
        arrays[bias] = arrays[bias] + 1
    elif change == "name":
        facts = str(arrays["facts"]).replace('"name": "classifier', '"name": "x')
        arrays["facts"] = np.array(facts)
    elif change == "shape":
        arrays[bias] = np.zeros(7, np.float32)
    else:
        del arrays[bias if change == "missing" else "facts"]
    np.savez(file, **arrays)
    log.clear()
    assert build(dataset(), tmp_path)[:3] == first[:3]
    assert trained(log) == 1
    assert build(dataset(), tmp_path)[:3] == first[:3]
    assert trained(log) == 0


def test_a_pipe_in_the_way_is_replaced(tmp_path, instant, log):
    import os

    build(dataset(), tmp_path)
    file = weights_file(tmp_path)
    file.unlink()
    os.mkfifo(file)
    build(dataset(), tmp_path)
    assert "is ignored: it is not a regular file" in log.text
    assert weights_file(tmp_path).is_file()


def test_weights_are_beside_prepared_data_or_in_the_users_cache(
    tmp_path, instant, log, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    in_memory = dataset()
    build(in_memory, None)
    assert weights_file(tmp_path / "home" / "jaxgan" / "classifiers")
    assert trained(log) == 1
    prepared = in_memory._replace(cache=tmp_path / "mnist" / "jaxgan" / "train-0")
    first = build(prepared, None)
    assert trained(log) == 0  # that of the user's cache
    for file in (tmp_path / "home").rglob("*.npz"):
        file.unlink()
    assert build(prepared, None)[:3] == first[:3]
    assert weights_file(tmp_path / "mnist" / "jaxgan")
    assert trained(log) == 1
    assert build(prepared, None)[:3] == first[:3]
    assert trained(log) == 0


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path, instant, log, monkeypatch
):
    (tmp_path / "file").write_text("")
    blocked = dataset()._replace(cache=tmp_path / "file" / "train-0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    build(blocked, None)
    assert weights_file(tmp_path / "home" / "jaxgan" / "classifiers")
    log.clear()
    assert build(dataset(), tmp_path / "file").digest == build(blocked, None).digest
    assert "the weights of the classifier are not kept" in log.text
    assert "is ignored" not in log.text


def test_large_images_are_resized(tmp_path, short):
    train = dataset(30, shape=(20, 160, 3))
    extractor = build(train, tmp_path)
    assert extractor.protocol["resize"] == "bicubic, anti-aliased, to 8x64"
    assert extractor.extract(np.zeros((2, 20, 160, 3), np.float32))[0].shape[0] == 2


@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 7, 2)])
def test_any_size(shape, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier_training, "LEAST", 1)
    extractor = build(dataset(30, shape=shape), tmp_path)
    features, probabilities = extractor.extract(np.ones((3, *shape), np.float32))[:2]
    assert features.shape == (3, 128)
    assert probabilities is not None
    assert np.isfinite(probabilities).all()


@pytest.mark.parametrize(
    ("shape", "kernels", "inputs"),
    [
        ((28, 28, 1), [(3, 1, 16), (3, 16, 48), (3, 48, 64)], 7 * 7 * 64),
        (
            (100, 100, 3),  # resized to 64x64; the first convolution is strided
            [(5, 3, 16), (3, 16, 16), (3, 16, 48), (3, 48, 64)],
            8 * 8 * 64,
        ),
        ((8, 6, 1), [(3, 1, 64)], 8 * 6 * 64),
        ((17, 11, 1), [(3, 1, 16), (3, 16, 64)], 8 * 5 * 64),
    ],
)
def test_layers(shape, kernels, inputs):
    """A convolution halves the image until the shorter side has 8 pixels."""
    init = Classifier(10).init
    variables = jax.eval_shape(init, jax.random.key(0), np.zeros((1, *shape)))
    params = variables["params"]
    shapes = [params[f"Conv_{i}"]["kernel"].shape for i in range(len(params) - 2)]
    assert shapes == [(size, size, a, b) for size, a, b in kernels]
    assert params["Dense_0"]["kernel"].shape == (inputs, 128)
    assert params["Dense_1"]["kernel"].shape == (128, 10)


def test_halved_is_the_maximum_of_blocks():
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype(np.float32)
    blocks = x[:, :6].reshape(2, 3, 2, 3, 2, 3)
    np.testing.assert_array_equal(halved(jax.numpy.asarray(x)), blocks.max((2, 4)))


def test_sets_too_large_for_memory_are_read_in_part(
    tmp_path, instant, log, monkeypatch
):
    """Evenly spaced examples represent them."""
    read = []
    whole = dataset(200)

    def count(numbers):
        read.append(len(numbers))
        return whole.read(numbers)

    monkeypatch.setattr(classifier_training, "LIMIT", 64 * 100)
    extractor = build(whole._replace(read=count, arrays=None), tmp_path)
    assert max(read) == 200  # the fingerprint's
    assert read[-1] == 100
    assert extractor.protocol["tested"] == 10
    assert "on 90 examples" in log.text


def test_a_set_is_identified_by_its_examples_labels_and_classes():
    images, labels = patterns(40)
    sets = [
        from_arrays(images, labels),
        from_arrays(images[::-1], labels),
        from_arrays(images, labels[::-1]),
        from_arrays(images[:-1], labels[:-1]),
        from_arrays(images.reshape(40, 4, 16, 1), labels),
        from_arrays(images, np.array(["a", "b", "c", "d"])[labels]),
    ]
    assert len({identity(one) for one in sets}) == len(sets)
    assert identity(sets[0]) == identity(from_arrays(images.copy(), labels.copy()))
    # A crop changes the decoded pictures, not the stored ones.
    stored = sets[0]._replace(encoded=lambda numbers: [b"x"] * len(numbers))
    cropped = sets[1]._replace(encoded=stored.encoded)
    assert identity(stored) != identity(cropped)


def test_steps_and_sizes():
    """Whole epochs, within the bounds."""
    least, most = classifier_training.LEAST, classifier_training.MOST
    assert [number_of_steps(n) for n in (2, 10**7)] == [least, most]
    assert number_of_steps(25_600) == classifier_training.EPOCHS * 400
    assert number_of_steps(6_400, epochs=25) == 25 * 100
    assert seen_size(64, 64) == (64, 64)
    assert seen_size(1, 1000) == (1, 64)


IMAGES, LABELS = patterns(30)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (from_arrays(IMAGES), "needs labels, which arrays does not have: use effi"),
        (from_arrays(IMAGES, LABELS * 0), "two or more classes, and arrays has only"),
        (from_arrays(IMAGES[:1], LABELS[:1]), "two or more classes"),
        (
            from_fields(
                "one",
                {"image": IMAGES[:1], "label": LABELS[:1].astype(np.int32)},
                example=image_example((8, 8, 1), classes=4),
                origin="",
            ),
            "cannot be trained on 1 image of one: use",
        ),
        (
            from_fields(
                "alike",
                {"image": IMAGES, "label": np.full(30, 2, np.int32)},
                example=image_example((8, 8, 1), classes=4),
                origin="",
            ),
            "two or more classes, and all 27 have the label 2",
        ),
        (
            from_fields(
                "broken",
                {
                    "image": np.full((30, 8, 8, 1), np.nan, np.float32),
                    "label": LABELS.astype(np.int32),
                },
                example=image_example((8, 8, 1), np.float32, classes=4),
                origin="",
            ),
            "images with NaN or infinite values",
        ),
    ],
)
def test_data_that_teach_nothing(train, message, tmp_path, short):
    with pytest.raises(UsageError, match=message) as error:
        build(train, tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_held_out_examples_of_another_form(tmp_path):
    train = dataset(30)
    others = [
        dataset(30, shape=(8, 9, 1)),
        from_arrays(IMAGES, np.array(["a", "b", "c", "d"])[LABELS]),
        from_arrays(IMAGES),
    ]
    messages = ["other images or classes"] * 2 + ["no field 'label'"]
    for other, message in zip(others, messages, strict=True):
        with pytest.raises(UsageError, match=message):
            build(train, tmp_path, other)


def test_images_of_another_size(tmp_path, short):
    train = dataset(30)
    example = ExampleSpec(image=Field((16, 16, 1)))
    with pytest.raises(UsageError, match="load both at the same size"):
        EXTRACTORS["classifier"](example=example, train=train, cache=tmp_path)
