"""Normal classes of a labeled data set."""

import numpy as np
import pytest
from data_fixtures import mnist_dir  # noqa: F401
from PIL import Image

from jaxgan import data
from jaxgan.config.resolve import make_config
from jaxgan.data.dataset import from_fields
from jaxgan.data.normal import normal_classes, read_labels
from jaxgan.errors import UsageError
from jaxgan.experiment import setup


def points(labels, classes=("cat", "dog", "1"), **other):
    arrays = {
        "image": np.arange(float(len(labels)), dtype=np.float32)[:, None],
        "label": np.array(labels, np.int32),
    }
    made = from_fields("npz:p", arrays, classes=classes, origin="points")
    return made._replace(**other)


def values(dataset):
    return dataset.read(np.arange(dataset.size))["image"][:, 0].astype(int).tolist()


def test_normal_examples_are_those_of_the_classes():
    whole = points([0, 1, 2, 1, 0])
    assert values(data.keep_normal(whole, "dog")) == [1, 3]
    assert values(data.keep_normal(whole, "cat, dog")) == [0, 1, 3, 4]
    assert values(data.keep_normal(whole, "0")) == [0, 4]
    # a name comes first: the class number 2 is called 1
    assert values(data.keep_normal(whole, "1")) == [2]
    assert normal_classes(whole, "2,0") == (0, 2)
    assert data.keep_normal(whole, "") is whole
    kept = data.keep_normal(whole, "dog")
    # labels, and so the number of classes, stay
    assert kept.example == whole.example
    assert kept.read(np.arange(2))["label"].tolist() == [1, 1]
    assert data.is_normal(whole, "dog").tolist() == [False, True, False, True, False]
    assert data.is_normal(whole, "").all()


def test_labels_on_disk_are_read_without_pictures():
    whole = points([0, 1, 2, 1], arrays=None)

    def fail(numbers):
        raise AssertionError(numbers)

    own = whole._replace(labels=lambda n: np.array([0, 1, 2, 1])[n], read=fail)
    assert read_labels(own).tolist() == [0, 1, 2, 1]
    kept = data.keep_normal(own, "dog")
    assert kept.labels is not None
    assert kept.labels(np.array([1])).tolist() == [1]
    assert read_labels(whole).tolist() == [0, 1, 2, 1]


@pytest.mark.parametrize(
    ("normal", "error"),
    [
        ("bird", "--normal=bird: no class 'bird'"),
        ("3", "--normal=3: no class '3'"),
        ("-1", "no class '-1'"),
        ("9" * 30, "no class"),
        (",", "--normal=, names no class: use --normal=cat"),
        ("1", "--normal=1: none of the 2 examples of points is of these classes"),
    ],
)
def test_classes_that_are_not_there(normal, error):
    with pytest.raises(UsageError) as caught:
        data.keep_normal(points([0, 1]), normal)
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


def test_data_without_labels_are_all_normal():
    plain = from_fields("folder:x", {"image": np.zeros((3, 1), np.float32)}, origin="")
    with pytest.raises(UsageError, match="folder:x has no labels: leave out --normal"):
        data.keep_normal(plain, "0")
    assert data.is_normal(plain, "").tolist() == [True] * 3


def test_part_is_a_tenth_of_at_most_a_thousand():
    for size, held in ((20_000, 1_000), (400, 40), (10, 1), (9, 0)):
        rest, kept = data.hold_out(points([0] * size), "part", "train", points)
        assert (kept.size if kept else 0, rest.size) == (held, size - held)


@pytest.fixture
def folders(tmp_path):
    """Pictures of two classes in the splits train and test, each of another gray."""
    gray = 0
    for split, count in (("train", 20), ("test", 5)):
        for name in ("bad", "good"):
            place = tmp_path / split / name
            place.mkdir(parents=True)
            for i in range(count):
                Image.new("L", (4, 4), gray).save(place / f"{i}.png")
                gray += 1
    return tmp_path


def grays(dataset):
    return data.read_all(dataset)["image"][:, 0, 0, 0].tolist()


def test_no_test_image_reaches_training_or_the_held_out_ones(folders):
    config = make_config(dataset=f"folder:{folders}", normal="good")
    rest, held = setup.load_data(config)
    assert held is not None
    assert (rest.size, held.size) == (18, 2)
    # the grays 20 to 39 are the good ones of the split train
    assert sorted(grays(rest) + grays(held)) == list(range(20, 40))
    # the split test keeps all classes
    test = data.load(f"folder:{folders}", split="test")
    assert data.is_normal(test, "good").sum() == 5
    assert test.size == 10
    assert not set(grays(test)) & set(grays(rest) + grays(held))
    # nor without --normal, if the task detects
    config = make_config(dataset=f"folder:{folders}", preset="alice", held_out="auto")
    rest, held = setup.load_data(config)
    assert held is not None
    assert (rest.size, held.size) == (36, 4)
    assert max(grays(rest) + grays(held)) < 40
    # a held-out split that the user names has the normal classes too
    config = make_config(dataset=f"folder:{folders}", normal="1", held_out="test")
    _, held = setup.load_data(config)
    assert held is not None
    assert held.size == 5


def test_mnist_of_one_class_is_of_its_training_split(mnist_dir):  # noqa: F811
    def load(**flags):
        config = make_config(dataset="mnist", data_dir=str(mnist_dir), **flags)
        return setup.load_data(config)

    rest, held = load(normal="8")
    assert held is not None
    assert (rest.size, held.size) == (5_266, 585)
    assert (read_labels(held) == 8).all()
    whole = data.load("mnist", split="train", data_dir=str(mnist_dir))
    assert data.is_normal(whole, "8").sum() == 5_851
    # splits of one storage are still compared
    assert rest.size + held.size == 5_851
    with pytest.raises(UsageError, match="shares"):
        load(normal="8", held_out="train[:50%]")
