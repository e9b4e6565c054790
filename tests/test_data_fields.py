"""The features and examples that are read of TFDS data sets."""

import logging

import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_fixtures import png, prepare_own

from jaxgan import data
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.experiment import setup

PHOTO = tfds.features.Image(shape=(4, 4, 3))
MASK = tfds.features.Image(shape=(4, 4, 1))
KIND = tfds.features.ClassLabel(names=["x", "y"])
WHITE, BLACK = png(np.full((4, 4, 3), 255, np.uint8)), png(np.zeros((4, 4), np.uint8))
SEVERAL = {"a_mask": MASK, "photo": PHOTO, "age": KIND, "kind": KIND}
EXAMPLE = {"a_mask": BLACK, "photo": WHITE, "age": 0, "kind": 1}


def load(place, features, example, supervised_keys=None, name="several", **options):
    if not (place / name).exists():
        prepare_own(place, name, features, [example] * 3, supervised_keys)
    return data.load(name, data_dir=str(place), **options)


def first(dataset):
    example = dataset.read(np.arange(1))
    return example["image"][0, 0, 0, 0], example["label"][0]


@pytest.mark.parametrize("keys", [("photo", "kind"), ("photo", "a_mask", "kind")])
def test_supervised_keys_choose(tmp_path, keys):
    dataset = load(tmp_path, SEVERAL, EXAMPLE, keys)
    assert (dataset.shape, dataset.classes) == ((4, 4, 3), ("x", "y"))
    assert first(dataset) == (255, 1)


def test_several_in_the_hint_are_several(tmp_path):
    keys = ({"p": "photo", "m": "a_mask"}, "kind")
    with pytest.raises(UsageError, match="several images"):
        load(tmp_path, SEVERAL, EXAMPLE, keys)


def test_several_without_a_hint_are_refused_by_name(tmp_path):
    with pytest.raises(
        UsageError, match=r"several images, a_mask, photo: .*--image_field=a_mask$"
    ):
        load(tmp_path, SEVERAL, EXAMPLE)
    with pytest.raises(
        UsageError, match=r"several labels, age, kind: .*--label_field=age, or none$"
    ):
        load(tmp_path, SEVERAL, EXAMPLE, image_field="photo")
    given = {"image_field": "photo", "label_field": "age"}
    chosen = load(tmp_path, SEVERAL, EXAMPLE, **given)
    assert first(chosen) == (255, 0)
    data.read_all(chosen)
    other = {"image_field": "a_mask", "label_field": "kind"}
    mask = load(tmp_path, SEVERAL, EXAMPLE, **other)
    assert first(mask) == (0, 1)
    assert data.read_all(mask)["image"].shape == (3, 4, 4, 1)  # not the cache of photo
    assert data.read_all(mask)["label"].tolist() == [1, 1, 1]
    none = load(tmp_path, SEVERAL, EXAMPLE, image_field="photo", label_field="none")
    assert none.classes == ()
    assert set(none.read(np.arange(2))) == {"image"}
    for flag, kinds in (("image_field", "a_mask, photo"), ("label_field", "age, kind")):
        with pytest.raises(UsageError, match=f"--{flag}=z: several: choose .* {kinds}"):
            load(tmp_path, SEVERAL, EXAMPLE, **{**given, flag: "z"})


def test_usual_names_come_next_and_masks_last(tmp_path):
    features = {"a": PHOTO, "image": MASK, "age": KIND, "label": KIND}
    usual = load(tmp_path, features, {"a": WHITE, "image": BLACK, "age": 0, "label": 1})
    assert first(usual) == (0, 1)
    labeled = tfds.features.LabeledImage(shape=(4, 4, 1), labels=2)
    features = {"a": labeled, "b": PHOTO, "kind": KIND}
    example = {"a": BLACK, "b": WHITE, "kind": 1}
    assert first(load(tmp_path, features, example, name="masked")) == (255, 1)


def test_minus_one_is_no_label(tmp_path, caplog):
    features = {"image": MASK, "label": KIND}

    def examples(*labels):
        return [{"image": BLACK, "label": label} for label in labels]

    splits = {"train": examples(0, 1), "bare": examples(-1, -1)}
    splits["some"] = examples(-1, 1)
    prepare_own(tmp_path, "half", features, splits)

    def of(split, **options):
        return data.load("half", split=split, data_dir=str(tmp_path), **options)

    assert of("train").classes == ("x", "y")
    with caplog.at_level(logging.INFO, "jaxgan"):
        bare = of("bare")
    assert bare.classes == ()
    assert set(data.read_all(bare)) == {"image"}
    assert "no example of half bare has a label" in caplog.text
    with pytest.raises(UsageError, match=r"some examples have no label .*=none"):
        of("some")
    assert of("some", label_field="none").size == 2


def test_a_missing_label_that_is_seen_late_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxgan.data.tfds.fields.LOOKED_AT", 1)
    examples = [{"image": BLACK, "label": label} for label in (1, -1)]
    prepare_own(tmp_path, "late", {"image": MASK, "label": KIND}, examples)
    for split in ("train", "train[1:]+train[:1]"):  # TFDS shuffles: one begins with 1
        dataset = data.load("late", split=split, data_dir=str(tmp_path))
        if dataset.classes:
            with pytest.raises(UsageError, match="some examples have no label"):
                dataset.read(np.arange(2))
            break
    else:
        pytest.fail("no order begins with a label")


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """400 pictures in `train` and 100 in `test`, each of its own gray."""
    place = tmp_path_factory.mktemp("numbered")

    deep = tfds.features.Image(shape=(4, 4, 1), dtype=np.uint16)
    splits = {
        split: [{"image": png(np.full((4, 4), i, np.uint16))} for i in numbers]
        for split, numbers in {"train": range(400), "test": range(400, 500)}.items()
    }
    prepare_own(place, "numbered", {"image": deep}, splits)
    return str(place)


def parts(place, split, held_out):
    config = make_config(
        dataset="numbered", data_dir=place, split=split, held_out=held_out
    )
    found = setup.load_data(config)
    return [
        None if x is None else set(data.read_all(x)["image"][:, 0, 0, 0].tolist())
        for x in found
    ]


@pytest.mark.parametrize(
    ("split", "held_out", "sizes"),
    [
        ("train", "auto", (400, 100)),
        ("all", "auto", (475, 25)),
        ("train+test", "auto", (475, 25)),
        ("test", "auto", (100, None)),
        ("train+test[:1]", "auto", (381, 20)),
        ("train[:50%]", "auto", (200, 100)),
        ("train[:50%]", "train[50%:]", (200, 200)),
        ("train[:50%]", "train[200:210]", (200, 10)),
        ("train[10:20]+train[:5]", "train[5:10]", (15, 5)),
        ("test", "train[-7:]", (100, 7)),
        ("train", "30", (370, 30)),
    ],
)
def test_no_example_is_trained_on_and_held_out(numbered, split, held_out, sizes):
    train, held = parts(numbered, split, held_out)
    assert train is not None
    assert (len(train), held and len(held)) == sizes
    assert not train & (held or set())


@pytest.mark.parametrize(
    ("split", "held_out", "count"),
    [
        ("all", "test", 100),
        ("train[:50%]", "train[40%:]", 40),
        ("train", "train", 400),
        ("train+test[:3]", "test", 3),
        ("train[:1]", "all", 1),
    ],
)
def test_an_overlap_is_refused(numbered, split, held_out, count):
    message = f"--held_out={held_out} shares {count} of its "
    with pytest.raises(UsageError) as caught:
        parts(numbered, split, held_out)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


NONSENSE = [
    *("train[10:5]", "train[:0]", "train[400:]", "train[50%:50%]", "train[:-1000]"),
    *("train[", "train[:200%]", "train[5]", "train[::2]", "train[1:2:3]", "train[a:b]"),
    *("", "+", "train+", "²", "../train", "None", "x" * 5_000, "\x1b[31m"),
]


@pytest.mark.parametrize("split", NONSENSE)
@pytest.mark.parametrize("flag", ["split", "held_out"])
def test_splits_that_make_no_sense_are_one_line(numbered, split, flag):
    given = {"split": "train", "held_out": "none", flag: split}
    with pytest.raises(UsageError, match=f"^--{flag}=") as caught:
        parts(numbered, **given)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
