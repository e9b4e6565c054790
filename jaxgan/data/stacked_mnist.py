"""Stacked MNIST: images with 1000 modes that can be counted.

Three MNIST digits are the channels of one image (Metz et al.,
https://arxiv.org/abs/1611.02163). The protocol is that of VEEGAN
(https://arxiv.org/abs/1705.07761) and PacGAN (https://arxiv.org/abs/1712.04086).
"""

import numpy as np

from jaxgan.data.cache import read_all
from jaxgan.data.dataset import Dataset, Examples, Range
from jaxgan.data.resize import Frame
from jaxgan.data.roles import Choice
from jaxgan.data.tfds.reader import tfds_set
from jaxgan.errors import UsageError
from jaxgan.types import image_example

SIZES = {"train": 128_000, "test": 26_000}
POOL = "train+test"
"""The MNIST splits that digits are drawn from: all 70,000 examples."""


def stacked_mnist(split: str, data_dir: str | None, frame: Frame) -> Dataset:
    """Returns RGB images of three digits, labeled 100 red + 10 green + blue.

    The digits of each image are fixed. Both splits draw from the same 70,000 digits,
    independently of each other. Images are composed on reading, from framed digits.

    Args:
      split: `train` (128,000 images) or `test` (26,000).
      data_dir: the folder of TFDS that holds MNIST, None for TFDS's default.
      frame: the crop and the size of the digits.

    Raises:
      UsageError: for other splits, and if MNIST is unavailable.
    """
    if split not in SIZES:
        raise UsageError(
            f"--split={split}: stacked_mnist has the splits {', '.join(SIZES)}"
        )
    pool = tfds_set("mnist", Choice(POOL), data_dir, frame)
    # All digits are in memory, so that reading only composes them.
    digits, chosen = read_all(pool), triples(split, pool.size)

    def read(numbers: np.ndarray) -> Examples:
        # [n, 3].
        three = chosen[numbers]
        # [n, 3, H, W] to [n, H, W, 3].
        images = np.moveaxis(digits["image"][three][..., 0], 1, -1)
        # 100 red + 10 green + blue, [n, 3] to [n].
        label = digits["label"][three] @ np.array([100, 10, 1], np.int32)
        return {"image": np.ascontiguousarray(images), "label": label}

    classes = [f"{i:03}" for i in range(1000)]
    return Dataset(
        name="stacked_mnist",
        size=SIZES[split],
        example=image_example((*pool.shape[:2], 3), pool.dtype, classes),
        read=read,
        origin=f"{SIZES[split]:,} times three digits of {pool.origin}",
        ranges=(Range(f"stacked_mnist {split}", 0, SIZES[split]),),
        channel=lambda split: tfds_set("mnist", Choice(split), data_dir, frame),
    )


def triples(split: str, size: int) -> np.ndarray:
    """Returns the digits of each image, `[n, 3]` int32 in [0, size).

    Takes raw words of Philox modulo `size`, with a bias below 1e-14. Like the order of
    an epoch, they do not depend on the version of NumPy. No run's seed gives the same
    key.

    >>> triples("train", 70_000)[:2].tolist()
    [[52975, 15779, 68409], [23230, 50261, 62180]]
    """
    # Seeds of runs are below 2**63.
    key = np.array([2**63 + 1, list(SIZES).index(split)], np.uint64)
    words = np.random.Philox(key=key).random_raw(3 * SIZES[split])
    return (words % np.uint64(size)).astype(np.int32).reshape(-1, 3)
