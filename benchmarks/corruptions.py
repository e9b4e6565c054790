"""Moves of each metric when real images are corrupted more and more.

    python benchmarks/corruptions.py --out=corruptions.json
    python benchmarks/corruption_picture.py corruptions.json docs/corruptions.png

The test sets of MNIST and Fashion-MNIST are split in two halves of 5,000 images: the
real examples, and the images that take the place of fakes. These are corrupted, and
compared in the features of the `classifier`. Strength 0 is no corruption, so that its
values are those of a perfect generator. Copies are made of 10,000 training images.

Corruptions: noise has a standard deviation in units of [-1, 1], and blur one in pixels.
Classes are dropped one after the other, with 450 images at each strength, as fewer
remain. Duplicates are of images of the same class; the strength is the share of images
that are copies of others. Memorized is the share of copies of training images. Labels
is the share of wrong ones.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import arms
import jax
import numpy as np
from scipy.ndimage import gaussian_filter

from jaxgan import data, spec
from jaxgan.metrics.comparisons import COMPARISONS, Comparison, Sets
from jaxgan.metrics.features import EXTRACTORS, Extractor, Features

DATASETS = ("mnist", "fashion_mnist")
N, COPIED, FEW = 5_000, 10_000, 450
"""Images of a half, of the training examples, and of fakes with dropped classes."""
SINGLE = re.compile(r"_class\d+$")
"""Ends the names of values of one class."""
METRICS = (
    "fd|kid(subsets=20)|score|precision_recall|density_coverage|classes|memorization"
    "|sliced_wasserstein(directions=300)"
)
CONDITIONAL = "ms_ssim(pairs=500)|per_class_fd|accuracy_as_asked"
"""Metrics that read labels, if there are any."""
DROPPED = (0, 2, 3, 4, 5, 6, 7, 8, 9)
"""The order in which classes are dropped. There are most ones in MNIST."""


Values = dict[str, float]


class Images(NamedTuple):
    """The images that corruptions are made from."""

    pool: Features
    """The second half of the test set."""
    train: Features
    extract: Callable[[np.ndarray], Features]


class Corruption(NamedTuple):
    """A corruption and its strengths, without 0."""

    strengths: tuple[float, ...]
    apply: Callable[[Images, float, np.random.Generator], Features]


def noise(of: Images, sigma: float, rng: np.random.Generator) -> Features:
    """Adds Gaussian noise to the pixels."""
    images = np.asarray(of.pool.images)
    noisy = images + sigma * rng.standard_normal(images.shape, np.float32)
    return again(of, noisy)


def blur(of: Images, sigma: float, rng: np.random.Generator) -> Features:
    """Blurs images by a Gaussian."""
    del rng
    images = np.asarray(of.pool.images)
    sides = (0, sigma, sigma, 0)
    return again(of, gaussian_filter(images, sides, mode="nearest"))


def again(of: Images, images: np.ndarray) -> Features:
    """Returns the features of changed images."""
    images = np.clip(images, -1, 1).astype(np.float32)
    return of.extract(images)._replace(labels=of.pool.labels, images=images)


def dropped(of: Images, count: float, rng: np.random.Generator) -> Features:
    """Returns images of the other classes, of a generator without labels."""
    del rng
    kept = ~np.isin(labels_of(of.pool), DROPPED[: int(count)])
    return rows_of(of.pool, np.flatnonzero(kept)[:FEW])._replace(labels=None)


def duplicates(of: Images, share: float, rng: np.random.Generator) -> Features:
    """Repeats some images of each class in the place of others."""
    rows = np.arange(N)
    labels = labels_of(of.pool)
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        kept = max(round((1 - share) * len(own)), 1)
        rows[own] = own[np.arange(len(own)) % kept]
    return rows_of(of.pool, rows)


def memorized(of: Images, share: float, rng: np.random.Generator) -> Features:
    """Replaces some images by copies of training examples."""
    count = round(share * N)
    copies = rows_of(of.train, rng.choice(COPIED, count, replace=False))
    fresh = rows_of(of.pool, np.arange(count, N))
    return jax.tree.map(lambda a, b: np.concatenate([a, b]), copies, fresh)


def wrong_labels(of: Images, share: float, rng: np.random.Generator) -> Features:
    """Replaces some labels by others; images stay."""
    labels = labels_of(of.pool).copy()
    rows = rng.choice(N, round(share * N), replace=False)
    labels[rows] = (labels[rows] + rng.integers(1, 10, len(rows))) % 10
    return of.pool._replace(labels=labels)


CORRUPTIONS = {
    "noise": Corruption((0.1, 0.2, 0.3, 0.5, 0.8), noise),
    "blur": Corruption((0.5, 1, 1.5, 2.5), blur),
    "dropped classes": Corruption(tuple(range(1, 10)), dropped),
    "duplicates": Corruption((0.5, 0.8, 0.9, 0.98, 0.998), duplicates),
    "memorized": Corruption((0.1, 0.25, 0.5, 1), memorized),
    "wrong labels": Corruption((0.1, 0.25, 0.5, 1), wrong_labels),
}


def labels_of(features: Features) -> np.ndarray:
    """Returns the labels, which all sets here have."""
    assert features.labels is not None
    return features.labels


def rows_of(features: Features, rows: np.ndarray) -> Features:
    """Returns some images and their features."""
    return jax.tree.map(lambda x: x[rows], features)


def read(dataset: data.Dataset, rows: np.ndarray, extractor: Extractor) -> Features:
    """Returns the images of some examples, their labels and features."""
    examples = data.normalize(dataset.read(rows), dataset.example)
    images = np.asarray(examples["image"], np.float32)
    found = extractor.extract(images)
    return found._replace(labels=np.asarray(examples["label"]), images=images)


def metrics_of(text: str, extractor: Extractor) -> list[Comparison]:
    """Builds the metrics of a text, all with one extractor."""
    names = text.split("|")
    return [spec.build_one(x, COMPARISONS, extractor=extractor) for x in names]


def values_of(
    metrics: list[Comparison], real: Features, fake: Features, train: Features
) -> Values:
    """Returns the values of all metrics that these fakes can have."""
    sets = Sets(real, fake, train)
    usable = [x for x in metrics if fake.labels is not None or not x.labels]
    found = {k: v for x in usable for k, v in x.compare(sets).items()}
    # Those of single classes are too many.
    return {k: v for k, v in found.items() if not SINGLE.search(k)}


def study(name: str, only: list[str], *, teach: bool) -> dict[str, Any]:
    """Measures corruptions of a data set.

    Args:
      name: of the data set.
      only: names of corruptions.
      teach: True to train a classifier for each share of wrong labels.
    """
    train, test = (data.load(name, split=x) for x in ("train", "test"))
    facts = {"example": train.example, "train": train, "held_out": test}
    extractor = EXTRACTORS["classifier"](**facts)
    order = np.random.default_rng(0).permutation(test.size)
    real, pool = (read(test, x, extractor) for x in (order[:N], order[N : 2 * N]))
    copied = np.sort(data.epoch_order(0, 0, train.size)[:COPIED])
    of = Images(pool, read(train, copied, extractor), extractor.extract)
    metrics = metrics_of(f"{METRICS}|{CONDITIONAL}", extractor)
    clean, result = values_of(metrics, real, pool, of.train), {}
    for kind in only:
        if kind == "wrong labels":
            # Metrics that read no labels do not change.
            text = CONDITIONAL + "|classification_accuracy" * teach
            labeled = metrics_of(text, extractor)
            result[kind] = sweep(kind, of, real, labeled, known=clean)
        elif kind == "dropped classes":
            result[kind] = sweep(kind, of, real, metrics)
        else:
            result[kind] = sweep(kind, of, real, metrics, first=clean)
        print(f"{name}: {kind}, {time.process_time():.0f} s of CPU", file=sys.stderr)
    stamp = {"digest": extractor.digest, **extractor.protocol}
    return {"extractor": stamp, "corruptions": result}


def sweep(
    kind: str,
    of: Images,
    real: Features,
    metrics: list[Comparison],
    *,
    known: Values | None = None,
    first: Values | None = None,
) -> dict[str, Any]:
    """Returns the values of metrics at each strength of a corruption.

    Args:
      kind: name of the corruption.
      of: what it is made from.
      real: the real examples.
      metrics: those that it may change.
      known: values of the other metrics, if there are any.
      first: values at strength 0, if they are known.
    """
    strengths, rng = [0, *CORRUPTIONS[kind].strengths], np.random.default_rng(1)
    rows, count = [], 0
    for strength in strengths:
        fake = CORRUPTIONS[kind].apply(of, strength, rng)
        if first and not strength:
            rows.append(first)
        else:
            rows.append({**(known or {}), **values_of(metrics, real, fake, of.train)})
        count = len(fake.features)
    values = {key: [row[key] for row in rows] for key in rows[0]}
    return {"strengths": strengths, "n_fake": count, "values": values}


def main() -> None:
    """Measures and writes the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", default=",".join(DATASETS))
    parser.add_argument("--corruptions", default=",".join(CORRUPTIONS))
    parser.add_argument(
        "--teach", default="mnist", help="sets with classification_accuracy (slow)"
    )
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    start, teach = time.process_time(), args.teach.split(",")
    results = {
        name: study(name, args.corruptions.split(","), teach=name in teach)
        for name in args.datasets.split(",")
    }
    protocol = {"n_real": N, "n_train": COPIED, "split": "test"}
    seconds = round(time.process_time() - start)
    found = {**arms.about(), "cpu_seconds": seconds, **protocol, "sets": results}
    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
