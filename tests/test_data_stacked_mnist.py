import data_fixtures
import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import stacked_mnist
from jaxgan.data.stacked_mnist import SIZES, triples
from jaxgan.errors import UsageError

mnist_dir = data_fixtures.mnist_dir


@pytest.fixture
def load(mnist_dir):
    def load(split="train", **given):
        return data.load("stacked_mnist", split=split, data_dir=str(mnist_dir), **given)

    return load


@pytest.fixture(scope="module")
def digits(mnist_dir):
    """All 70,000, by a way of their own: the two splits one after the other."""
    halves = [
        data.read_all(data.load("mnist", split=split, data_dir=str(mnist_dir)))
        for split in ("train", "test")
    ]
    return {k: np.concatenate([half[k] for half in halves]) for k in halves[0]}


def philox(counter, key):
    """Four 64-bit words of Philox-4x64-10, from Salmon et al., SC 2011, table 2."""
    mask, (c0, c1, c2, c3), (k0, k1) = 2**64 - 1, counter, key
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c2 = (second >> 64) ^ c1 ^ k0, (first >> 64) ^ c3 ^ k1
        c1, c3 = second & mask, first & mask
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return [c0, c1, c2, c3]


def test_philox_gives_the_published_words():
    # Random123's known answers (kat_vectors): philox4x64-10 of zeros.
    want = [
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    ]
    assert philox([0] * 4, [0] * 2) == want


@pytest.mark.parametrize(("split", "number"), [("train", 0), ("test", 1)])
def test_triples_are_words_of_philox(split, number):
    # numpy counts up before it makes words: the first block is that of counter 1.
    blocks = [philox([i, 0, 0, 0], [2**63 + 1, number]) for i in range(1, 10)]
    want = np.array([word % 70_000 for block in blocks for word in block])
    found = triples(split, 70_000)
    assert found.shape == (SIZES[split], 3)
    np.testing.assert_array_equal(found[:12], want.reshape(-1, 3))


def test_triples_use_all_digits_evenly():
    chosen = triples("train", 70_000)
    assert (chosen.min(), chosen.max()) == (0, 69_999)
    # Of 384,000 draws a tenth is 38,400 +- 186; no two draws of a picture are tied.
    tenths = np.bincount(chosen.ravel() // 7_000)
    assert np.abs(tenths - 38_400).max() < 5 * 186
    assert np.abs(np.corrcoef(chosen.T) - np.eye(3)).max() < 5 / 128_000**0.5


def test_the_channels_are_digits_and_the_label_names_them(load, digits):
    dataset = load()
    assert (dataset.size, dataset.shape) == (128_000, (28, 28, 3))
    assert dataset.dtype == np.uint8
    assert len(dataset.classes) == 1000
    assert dataset.classes[7] == "007"
    numbers = np.array([127_999, 0, 5])
    examples = dataset.read(numbers)
    assert examples["image"].dtype == np.uint8
    assert examples["label"].dtype == np.int32
    for i, three in enumerate(triples("train", 70_000)[numbers]):
        for channel, digit in enumerate(three):
            np.testing.assert_array_equal(
                examples["image"][i, :, :, channel], digits["image"][digit, :, :, 0]
            )
        said = dataset.classes[examples["label"][i]]
        assert said == "".join(str(digits["label"][digit]) for digit in three)


def test_it_is_the_same_every_time_and_the_test_split_is_another(load):
    numbers = np.arange(20)
    first, again = load().read(numbers), load().read(numbers)
    test = load("test")
    assert (test.size, test.classes) == (26_000, load().classes)
    for field in ("image", "label"):
        np.testing.assert_array_equal(first[field], again[field])
    assert (first["label"] != test.read(numbers)["label"]).any()
    apart = (triples("train", 70_000)[:26_000] != triples("test", 70_000)).any(1)
    assert apart.all()


def test_all_thousand_modes_are_there_about_equally(load):
    test = load("test")
    whole = data.read_all(test)
    assert whole["image"].shape == (26_000, 28, 28, 3)
    counts = np.bincount(whole["label"], minlength=1000)
    # 26 each on average; the rarest digit, 5, has 9 % of MNIST and 1 has 11.3 %.
    assert counts.min() > 3
    assert counts.max() < 70
    numbers = np.array([25_999, 3])
    for field, rows in test.read(numbers).items():
        np.testing.assert_array_equal(rows, whole[field][numbers])


def test_pictures_are_framed_digit_by_digit(load, mnist_dir, monkeypatch):
    # Of a few digits, which are all decoded and resized.
    monkeypatch.setattr(stacked_mnist, "POOL", few := "train[:500]")
    small = load(image_size="14")
    assert small.shape == (14, 14, 3)
    (three,) = triples("train", 500)[:1]
    pool = data.load("mnist", split=few, data_dir=str(mnist_dir), image_size="14")
    want = np.concatenate(list(pool.read(three)["image"]), axis=-1)
    np.testing.assert_array_equal(small.read(np.array([0]))["image"][0], want)


def test_other_splits_are_refused(load):
    with pytest.raises(UsageError, match=r"--split=train\[:50%\].*train, test"):
        load("train[:50%]")
