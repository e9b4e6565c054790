"""Stacked MNIST: a thousand modes that can be counted in pictures.

Three digits of MNIST are the channels of one picture, https://arxiv.org/abs/1611.02163;
the protocol is that of VEEGAN (1705.07761) and PacGAN (1712.04086).
"""

import numpy as np

from jaxgan.data.cache import read_all
from jaxgan.data.dataset import Dataset, Examples, Range
from jaxgan.data.resize import Frame
from jaxgan.data.roles import Choice
from jaxgan.data.tfds.reader import tfds_set
from jaxgan.errors import UsageError

SIZES = {"train": 128_000, "test": 26_000}
POOL = "train+test"
"""The splits of MNIST that digits come from, all 70,000 of them."""


def stacked_mnist(split: str, data_dir: str | None, frame: Frame) -> Dataset:
    """RGB pictures of three digits; the label is 100 red + 10 green + blue.

    Which digits is drawn once and for all, for each split anew out of the same 70,000.
    Pictures are composed when they are read; digits are framed before.

    Raises UsageError for other splits than train and test, and without MNIST.
    """
    if split not in SIZES:
        raise UsageError(
            f"--split={split}: stacked_mnist has the splits {', '.join(SIZES)}"
        )
    pool = tfds_set("mnist", Choice(POOL), data_dir, frame)
    digits, chosen = read_all(pool), triples(split, pool.size)

    def read(numbers: np.ndarray) -> Examples:
        three = chosen[numbers]
        images = np.moveaxis(digits["image"][three][..., 0], 1, -1)
        label = digits["label"][three] @ np.array([100, 10, 1], np.int32)
        return {"image": np.ascontiguousarray(images), "label": label}

    return Dataset(
        name="stacked_mnist",
        size=SIZES[split],
        shape=(*pool.shape[:2], 3),
        dtype=pool.dtype,
        classes=tuple(f"{i:03}" for i in range(1000)),
        read=read,
        origin=f"{SIZES[split]:,} times three digits of {pool.origin}",
        ranges=(Range(f"stacked_mnist {split}", 0, SIZES[split]),),
    )


def triples(split: str, size: int) -> np.ndarray:
    """Which digits each picture is made of, `[n, 3]` int32 in [0, size).

    Raw words of Philox modulo `size` (the bias is below 1e-14): like the order of an
    epoch, and with a key that no seed has, they are the same with any numpy.

    >>> triples("train", 70_000)[:2].tolist()
    [[52975, 15779, 68409], [23230, 50261, 62180]]
    """
    key = np.array([2**63 + 1, list(SIZES).index(split)], np.uint64)
    words = np.random.Philox(key=key).random_raw(3 * SIZES[split])
    return (words % np.uint64(size)).astype(np.int32).reshape(-1, 3)
