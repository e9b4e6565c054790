import logging
import shutil
import struct
from pathlib import Path
from typing import Any

import data_fixtures
import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_fixtures import png, prepare_own
from slow import SLOW

from jaxgan import data
from jaxgan.data.tfds import prepare
from jaxgan.data.tfds.builders import open_builder
from jaxgan.data.tfds.download import find_files
from jaxgan.data.tfds.mnist import read_idx
from jaxgan.errors import UsageError

mnist_dir = data_fixtures.mnist_dir
fashion_dir = data_fixtures.fashion_dir

MNIST_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
RANDOM = np.random.default_rng(0)


def test_mnist_is_mnist(mnist_dir):
    dataset = data.load("mnist", data_dir=str(mnist_dir))
    assert (dataset.size, dataset.shape) == (60_000, (28, 28, 1))
    assert dataset.dtype == np.uint8
    assert dataset.classes == tuple("0123456789")
    whole = data.read_all(dataset)
    assert whole["image"].shape == (60_000, 28, 28, 1)
    assert abs(whole["image"].mean() - 33.318) < 1e-3
    assert abs(whole["image"].std() - 78.567) < 1e-3
    assert np.bincount(whole["label"]).tolist() == MNIST_COUNTS
    numbers = np.array([59_999, 0, 7])
    for field, rows in dataset.read(numbers).items():
        np.testing.assert_array_equal(rows, whole[field][numbers])


def test_mnist_has_a_test_split_and_slices(mnist_dir):
    test = data.load("mnist", split="test", data_dir=str(mnist_dir))
    tenth = data.load("mnist", split="train[:10%]", data_dir=str(mnist_dir))
    rest = data.load("mnist:3.0.1", split="train[59990:]", data_dir=str(mnist_dir))
    assert (test.size, tenth.size, rest.size) == (10_000, 6_000, 10)
    train = data.load("mnist", data_dir=str(mnist_dir))
    np.testing.assert_array_equal(
        rest.read(np.array([9]))["image"], train.read(np.array([59_999]))["image"]
    )


@pytest.mark.filterwarnings("ignore")  # TFDS's own
def test_stock_tfds_reads_what_we_prepare(mnist_dir):
    source: Any = tfds.data_source(
        "mnist", data_dir=str(mnist_dir), split="train", download=False
    )
    assert len(source) == 60_000
    ours = data.load("mnist", data_dir=str(mnist_dir)).read(np.array([123]))
    np.testing.assert_array_equal(source[123]["image"], ours["image"][0])
    assert source[123]["label"] == ours["label"][0]


def test_nothing_is_prepared_twice_and_one_line_is_logged(
    mnist_dir, monkeypatch, caplog, capfd
):
    def never(builder):
        raise AssertionError("prepared twice")

    monkeypatch.setattr(prepare, "prepare", never)
    with caplog.at_level(logging.INFO, "jaxgan"):
        data.load("mnist", data_dir=str(mnist_dir))
    (line,) = caplog.messages
    assert line.startswith("data: TFDS mnist/3.0.1 train")
    assert capfd.readouterr() == ("", "")


def test_fashion_is_not_mnist(mnist_dir):
    """Of its files alone, as preparing them is like MNIST, but with `SLOW`."""
    try:
        builder = open_builder("fashion_mnist", str(mnist_dir))
        files, _ = find_files(builder, mnist_dir / "downloads")
    except UsageError as reason:
        pytest.skip(str(reason))
    images, labels = (
        read_idx(files[f"train-{name}-ubyte.gz"])
        for name in ("images-idx3", "labels-idx1")
    )
    assert images.shape == (60_000, 28, 28)
    assert abs(images.mean() - 72.94) < 1e-2
    assert np.bincount(labels).tolist() == [6000] * 10


@pytest.mark.skipif(not SLOW, reason="takes JAXGAN_TEST_SLOW=1")
def test_fashion_is_prepared_beside_mnist(fashion_dir):
    whole = data.read_all(data.load("fashion_mnist", data_dir=str(fashion_dir)))
    assert abs(whole["image"].mean() - 72.94) < 1e-2
    assert np.bincount(whole["label"]).tolist() == [6000] * 10
    mnist = data.read_all(data.load("mnist", data_dir=str(fashion_dir)))
    assert abs(mnist["image"].mean() - 33.318) < 1e-3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnits", "no such set; did you mean mnist"),
        (
            "qqqqqq",
            "no such set; .*use one of the other forms: folder:PATH, npz:PATH, ring8",
        ),
        ("foldr:pictures", "did you mean folder:pictures"),
        ("huggingface:mnist", "no such set.*folder:PATH"),
        ("emnist/ballanced", "no config 'ballanced'; use emnist/balanced"),
        ("mnist:9.9.9", "--dataset=mnist:9.9.9: .*write it like"),
        ("", "--dataset=: .*write it like|no such set"),
    ],
)
def test_names_that_there_are_not(name, message, tmp_path):
    with pytest.raises(UsageError, match=message) as caught:
        data.load(name, data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_splits_that_there_are_not(mnist_dir):
    for split in ("validation", "train[:x]", "train[60000:]"):
        with pytest.raises(UsageError, match=r"--split=.*train") as caught:
            data.load("mnist", split=split, data_dir=str(mnist_dir))
        assert "\n" not in str(caught.value)


COLOURS = [RANDOM.integers(0, 256, (6, 9, 3)).astype(np.uint8) for _ in range(5)]


@pytest.fixture
def colours_dir(tmp_path) -> Path:
    """A set that TFDS does not know: small colour pictures of the feature `photo`."""
    features = {
        "id": tfds.features.Scalar(np.int32),
        "photo": tfds.features.Image(shape=(6, 9, 3)),
        "kind": tfds.features.ClassLabel(names=["x", "y"]),
    }
    examples = [
        {"id": i, "photo": png(image), "kind": i % 2} for i, image in enumerate(COLOURS)
    ]
    prepare_own(tmp_path, "colours", features, examples)
    return tmp_path


def test_a_set_of_the_users_own_colour_not_square(colours_dir):
    dataset = data.load("colours", data_dir=str(colours_dir))
    assert (dataset.shape, dataset.classes) == ((6, 9, 3), ("x", "y"))
    whole = data.read_all(dataset)
    order = [
        next(i for i, c in enumerate(COLOURS) if (c == image).all())
        for image in whole["image"]
    ]
    assert sorted(order) == list(range(5))
    np.testing.assert_array_equal(whole["label"], np.array(order) % 2)
    small = data.load("colours", data_dir=str(colours_dir), image_size="2x3")
    assert data.read_all(small)["image"].shape == (5, 2, 3, 3)


def as_tfrecord(folder: Path) -> None:
    """Rewrites a prepared set as TFDS prepares them with TensorFlow."""
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    for file in list(folder.glob("*.array_record-*")):
        source = ArrayRecordDataSource(str(file))
        with open(str(file).replace("array_record", "tfrecord"), "wb") as out:
            for record in source:
                out.write(struct.pack("<Q", len(record)) + b"csum" + record + b"csum")
        source.__exit__(None, None, None)
        file.unlink()
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))


def test_sets_prepared_with_tensorflow_are_read_without(colours_dir, tmp_path):
    want = data.read_all(data.load("colours", data_dir=str(colours_dir)))
    folder = colours_dir / "colours" / "1.0.0"
    shutil.rmtree(folder / "jaxgan")
    as_tfrecord(folder)
    dataset = data.load("colours", data_dir=str(colours_dir))
    for field, rows in data.read_all(dataset).items():
        np.testing.assert_array_equal(rows, want[field])
    part = data.load("colours", split="train[1:3]", data_dir=str(colours_dir))
    np.testing.assert_array_equal(part.read(np.arange(2))["image"], want["image"][1:3])
    shard = next(folder.glob("*.tfrecord-*"))
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(UsageError, match="ends within a record"):
        data.load("colours", data_dir=str(colours_dir))


def test_a_missing_shard_is_named(colours_dir):
    shard = next((colours_dir / "colours" / "1.0.0").glob("*.array_record-*"))
    shard.unlink()
    with pytest.raises(UsageError, match=rf"{shard.name} is missing"):
        data.load("colours", data_dir=str(colours_dir))


def test_a_set_without_images_lists_its_features(tmp_path):
    features = {"text": tfds.features.Text(), "label": tfds.features.Scalar(np.int32)}
    prepare_own(tmp_path, "words", features, [{"text": "a", "label": 1}])
    with pytest.raises(UsageError, match=r"no images; .*label \(Scalar\), text \(Text"):
        data.load("words", data_dir=str(tmp_path))


def test_sixteen_bit_sets_without_labels(tmp_path):
    deep = RANDOM.integers(0, 65536, (4, 5)).astype(np.uint16)
    features = {"image": tfds.features.Image(shape=(4, 5, 1), dtype=np.uint16)}
    prepare_own(tmp_path, "deep", features, [{"image": png(deep)}])
    dataset = data.load("deep", data_dir=str(tmp_path))
    assert (dataset.dtype, dataset.classes) == (np.uint16, ())
    out = data.read_all(dataset)
    assert set(out) == {"image"}
    np.testing.assert_array_equal(out["image"][0, ..., 0], deep)


@pytest.mark.parametrize("second", [(4, 4), (4, 7)])
def test_sets_that_do_not_fix_the_size(tmp_path, second):
    images = [np.zeros((4, 4, 3), np.uint8), np.zeros((*second, 3), np.uint8)]
    features = {"image": tfds.features.Image()}
    prepare_own(tmp_path, "loose", features, [{"image": png(i)} for i in images])
    if second == (4, 4):
        assert data.load("loose", data_dir=str(tmp_path)).shape == (4, 4, 3)
    else:
        with pytest.raises(UsageError, match=r"images differ in size.*--image_size"):
            data.load("loose", data_dir=str(tmp_path))
    framed = data.load("loose", data_dir=str(tmp_path), image_size="4")
    assert data.read_all(framed)["image"].shape == (2, 4, 4, 3)


def test_an_image_that_cannot_be_decoded_is_named(tmp_path):
    broken = png(np.zeros((40, 40, 3), np.uint8))[:60]
    features = {"image": tfds.features.Image(shape=(40, 40, 3))}
    prepare_own(tmp_path, "broken", features, [{"image": broken}])
    dataset = data.load("broken", data_dir=str(tmp_path))
    with pytest.raises(UsageError, match="the image of example 0 cannot be decoded"):
        data.read_all(dataset)
