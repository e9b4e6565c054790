"""Scores images by the metrics of `jaxgan.evaluate`, in a classifier's features.

The judge of a data set reads its test images and trains its classifier once. It then
scores any images: samples of a run, those of another program, or real ones.
"""

import dataclasses
import importlib.metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import data, reporting
from jaxgan.evaluation import image_sets
from jaxgan.evaluation.extraction import features_of, unique
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.experiment.checkpoint import Which
from jaxgan.metrics.classifier_score import as_requested, predicted_classes
from jaxgan.metrics.features import EXTRACTORS, Extractor, Features
from jaxgan.metrics.frechet import Moments, frechet_distance, moments
from jaxgan.metrics.precision_recall import precision_recall, squared_radii

AT_ONCE = 1_000
"""Images that are drawn in one call, where no run is judged."""
NEIGHBORS = 3
"""Of precision and recall."""
SEED = 0
"""Of the latents; all runs and checkpoints have the same ones."""

Values = dict[str, float]
"""`fd`, `precision`, `recall`, `confident`, `classes`, `rarest`, `as_requested`."""


class Judge(NamedTuple):
    """The real side of all comparisons on one data set."""

    train: data.Dataset
    extractor: Extractor
    real: Features
    """Of the test images."""
    real_moments: Moments
    real_radii: np.ndarray
    """Squared distances to the third neighbor, `[n]`."""
    n: int
    """Number of samples."""
    protocol: dict[str, Any]

    def values(self, fake: Features) -> Values:
        """Returns all values of images whose features are given."""
        assert fake.probabilities is not None
        found = precision_recall(
            self.real.features,
            fake.features,
            k=NEIGHBORS,
            real_radii=self.real_radii,
        )
        values = {**self.quick_values(fake), **found._asdict()}
        if fake.labels is not None:
            share = as_requested(fake.probabilities, fake.labels)
            values["as_requested"] = share
        return values

    def quick_values(self, fake: Features) -> Values:
        """Returns the values that need no distances between images."""
        assert fake.probabilities is not None
        classes = predicted_classes(fake.probabilities)
        return {
            "fd": frechet_distance(self.real_moments, moments(fake.features)),
            "confident": classes.confident,
            "classes": classes.classes,
            "rarest": classes.rarest,
        }

    def of_images(self, images: np.ndarray) -> Features:
        """Returns the features of images, `[n, H, W, C]` uint8."""
        some = data.from_arrays(images, name="samples")
        drawn = image_sets.of_dataset("samples", some, np.arange(len(images)))
        return features(drawn, self.extractor)

    def of_run(self, run: Run, which: Which = "last") -> tuple[int, Features]:
        """Returns the step of a checkpoint, and the features of its samples.

        Samples are those that `jaxgan.evaluate` draws from the moving average.
        `run.gan.generate` should be compiled, as by `opened`.
        """
        step, variables = run.restore_step(which)
        drawn = image_sets.of_samples(
            run, variables, self.train, seed=SEED, count=self.n
        )
        return step, features(drawn, self.extractor)


def open_judge(source: str, n: int, cache: Path | None = None) -> Judge:
    """Reads a data set, and trains its classifier or reads the weights.

    Args:
      source: name of the data set, with the splits train and test.
      n: number of test images, and of the samples to compare them with.
      cache: folder of the weights, None for the default of the extractor.
    """
    train, test = (data.load(source, split=split) for split in ("train", "test"))
    facts = {"example": train.example, "train": train, "held_out": test}
    extractor = EXTRACTORS["classifier"](**facts, cache=cache)
    real = real_features(extractor, test, n)
    protocol = {
        "n_real": len(real.features),
        "n_fake": n,
        "split": "test",
        "fingerprint": data.fingerprint(test),
        "classifier": {"digest": extractor.digest, **extractor.protocol},
        "parameters": "moving average",
        "neighbors": NEIGHBORS,
        "seed": SEED,
        "versions": versions("jax", "numpy"),
    }
    radii = squared_radii(real.features, NEIGHBORS)
    of_real = moments(real.features)
    return Judge(train, extractor, real, of_real, radii, n, protocol)


def opened(folder: Path) -> list[Run]:
    """Opens the runs of a folder, one for each seed, which share a compiled sampler."""
    first = load_run(folder)
    gan = first.gan._replace(generate=jax.jit(first.gan.generate))
    numbers = range(first.config.runs)
    return [dataclasses.replace(first, gan=gan, number=i) for i in numbers]


def steps_per_second(folder: Path) -> float:
    """Returns the speed of a run by its log, with all that it wrote in between."""
    rows = reporting.read_rows(folder / "metrics.jsonl")
    *_, last = (row for row in rows if row.get("seconds"))
    return last["step"] / last["seconds"]


def floor_of(judge: Judge) -> Values:
    """Returns the values of training images in place of samples."""
    return judge.values(real_features(judge.extractor, judge.train, judge.n))


def real_features(extractor: Extractor, dataset: data.Dataset, n: int) -> Features:
    """Returns the features of `n` examples, those that `jaxgan.evaluate` selects."""
    numbers = np.sort(data.epoch_order(0, 0, dataset.size)[:n])
    images = image_sets.of_dataset("real images", dataset, numbers)
    # Perfect samples of no condition.
    return features(images, extractor)._replace(labels=None)


def features(images: image_sets.ImageSet, extractor: Extractor) -> Features:
    """Returns the features of a set of images, without the cache of real ones."""
    extractors = unique([extractor])
    [found] = features_of(images, extractors, cache=False).values()
    return found


def versions(*packages: str) -> dict[str, str]:
    """Returns the versions of packages, those that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
