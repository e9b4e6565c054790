"""Data sets without one class: GANomaly's protocol, as a data source.

`--import=anomaly_pools --dataset=pool:mnist:3` trains on 80 % of the examples of MNIST
that are no 3, from the training and the test split together. The split `test` has the
other 20 % and all examples of a 3, which are the anomalies. Name the normal classes by
`--normal`, so that none of them sets a threshold.
"""

import functools

import numpy as np

from jaxgan import data
from jaxgan.data import SOURCES, Dataset, from_fields
from jaxgan.errors import UsageError

SHARE = 0.8
"""Share of the normal examples that are trained on."""


def pool(request) -> Dataset:
    """Returns a split of all examples of a data set, without one class in `train`.

    Raises:
      UsageError: for another form of the name.
    """
    try:
        _, name, text = request.name.split(":")
        out = int(text)
    except ValueError:
        raise UsageError(
            f"--dataset={request.name}: write it like pool:mnist:3"
        ) from None
    images, labels, classes = _all_examples(name, request.data_dir)
    rows = split_rows(labels, out, request.split)
    arrays = {"image": images[rows], "label": labels[rows]}
    origin = f"{request.split} of {name} without {classes[out]} in training"
    return from_fields(request.name, arrays, classes=classes, origin=origin)


def split_rows(labels: np.ndarray, out: int, split: str) -> np.ndarray:
    """Returns the numbers of the examples of a split, `[n]`.

    Args:
      labels: of all examples, `[m]`.
      out: the class that is left out of training.
      split: `train` or `test`.

    Raises:
      UsageError: for another split.

    >>> labels = np.array([0, 1, 0, 1, 0, 0, 0])
    >>> [len(split_rows(labels, 1, split)) for split in ("train", "test")]
    [4, 3]
    """
    if split not in ("train", "test"):
        raise UsageError(f"--split={split}: the pools have the splits train, test")
    normal = np.flatnonzero(labels != out)
    shuffled = np.random.default_rng(out).permutation(normal)
    count = round(SHARE * len(normal))
    if split == "train":
        return np.sort(shuffled[:count])
    return np.sort(np.append(shuffled[count:], np.flatnonzero(labels == out)))


@functools.lru_cache(maxsize=1)
def _all_examples(
    name: str, data_dir: str | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Returns images, labels and class names of both splits of a data set."""
    parts = [data.load(name, split=x, data_dir=data_dir) for x in ("train", "test")]
    read = [data.read_all(x) for x in parts]
    images = np.concatenate([x["image"] for x in read])
    return images, np.concatenate([x["label"] for x in read]), parts[0].classes


SOURCES["pool"] = pool
