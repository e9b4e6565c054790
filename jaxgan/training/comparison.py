"""Classifiers of few real images and shares of generated ones, and their results."""

import functools
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.config.augmenting import AugmentConfig
from jaxgan.evaluation import few_shot as shots
from jaxgan.files import atomic_write
from jaxgan.metrics.features import classifier_training as training
from jaxgan.metrics.features.classifier import Classifier
from jaxgan.metrics.features.classifier_training import Labelled
from jaxgan.types import ExampleSpec, Tree

log = logging.getLogger("jaxgan")

AT_ONCE = 500
"""Images that a classifier is tested on at a time."""

Score = dict[str, float]
"""The accuracy and the cross-entropy of a classifier."""


class Arm(NamedTuple):
    """A training set of a classifier."""

    classic: str = ""
    """Names of classic augmentations."""
    ratio: float = 0.0
    """Share of generated images."""


class Comparison:
    """The data of a comparison, and its finished results on disk."""

    def __init__(
        self,
        config: AugmentConfig,
        folder: Path,
        example: ExampleSpec,
        real: Labelled,
        test: Labelled,
    ) -> None:
        self.config, self.folder, self.example = config, folder, example
        self.real, self.test = real, test
        self.net = Classifier(len(example.classes))
        self._file = folder / "results.json"
        self.results: dict[str, Any] = {}
        if self._file.is_file():
            self.results = json.loads(self._file.read_text())
        # Each kind of augmentation is compiled once.
        self.trainer = functools.cache(
            lambda classic: training.make_trainer(
                self.net, config.classifier_steps, change=shots.classic(classic)
            )
        )
        self._logits = jax.jit(
            lambda weights, images: self.net.apply(weights, training.normalize(images))[
                0
            ]
        )

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Returns a finished result, or makes it and writes it down."""
        if name not in self.results:
            self.results[name] = make()
            content = json.dumps(self.results, indent=1).encode()
            atomic_write(self._file, content)
            log.info("%s: %s", name, self.results[name])
        return self.results[name]

    @functools.cache  # noqa: B019 - one comparison is made in a process
    def real_of(self, seed: int) -> shots.RealImages:
        """Returns the real images of a seed."""
        parts = shots.few_shot(
            *(self.real.labels, self.example.classes),
            *(self.config.per_class_real, seed),
        )
        return shots.RealImages(*map(self.real.at, parts))

    def place(self, seed: int) -> Path:
        """Returns the folder of a seed."""
        return self.folder / f"seed{seed}"

    def probabilities(self, weights: Tree, images: np.ndarray) -> np.ndarray:
        """Returns the probabilities of classes, `[n, k]`."""
        parts = []
        for start in range(0, len(images), AT_ONCE):
            # All calls have the same shapes.
            numbers = np.arange(start, start + AT_ONCE) % len(images)
            logits = self._logits(weights, images[numbers])
            parts.append(np.asarray(jax.nn.softmax(logits)))
        return np.concatenate(parts)[: len(images)]

    def score(self, weights: Tree, examples: Labelled) -> Score:
        """Returns the accuracy and the mean cross-entropy on examples."""
        p = self.probabilities(weights, examples.images)
        right = p.argmax(1) == examples.labels
        likely = p[np.arange(len(p)), examples.labels]
        losses = -np.log(np.maximum(likely, 1e-12))
        return {
            "accuracy": round(float(right.mean()), 6),
            "cross_entropy": round(float(losses.mean()), 6),
        }

    def train(self, real: Labelled, arm: Arm, seed: int) -> Tree:
        """Trains a classifier on real images and a share of generated ones."""
        fake = self.generated(seed) if arm.ratio else None
        batches = shots.mixed(real, fake, arm.ratio, seed, self.config.classifier_steps)
        return self.trainer(arm.classic)(batches, seed)

    def generated(self, seed: int) -> Labelled:
        """Returns the generated images of a seed, which `_generate` has written."""
        with np.load(self.place(seed) / "generated.npz") as file:
            return Labelled(file["samples"], file["labels"])


def save_arrays(file: Path, **arrays: np.ndarray) -> None:
    """Writes arrays to an `.npz` file, completely or not at all."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    atomic_write(file, content.getvalue())
