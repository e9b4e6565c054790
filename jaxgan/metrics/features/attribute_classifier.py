"""A classifier of attributes, trained on the real training set.

It is the network of `classifier`, with a sigmoid for each attribute, and has the same
recipe.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.data.dataset import Dataset
from jaxgan.errors import UsageError, printable
from jaxgan.metrics.features import classifier_training as training
from jaxgan.metrics.features import trained_weights
from jaxgan.metrics.features.base import digest, image_shape, in_batches
from jaxgan.metrics.features.classifier import Classifier
from jaxgan.metrics.features.trained_weights import Trained
from jaxgan.types import Tree

LOG = logging.getLogger("jaxgan")

FIELD = "attributes"
"""The field with the attributes, `[k]` of 0 and 1."""

TESTED = 2_000
"""Held-out examples of the accuracy, at most."""


class AttributeClassifier(NamedTuple):
    """A trained classifier and its protocol."""

    predict: Callable[[np.ndarray], np.ndarray]
    """Maps images `[n, H, W, C]`, raw or in [-1, 1], to attributes `[n, k]` bool."""
    protocol: dict[str, str | int | float]
    """The digest of the weights, and the accuracy on held-out examples."""


def attribute_classifier(
    train: Dataset, held_out: Dataset, *, seed: int = 0, cache: Path | None = None
) -> AttributeClassifier:
    """Trains a classifier of the attributes of images, unless its weights are kept.

    Args:
      train: images with a field `attributes`.
      held_out: other examples of the same fields, to measure the accuracy on.
      seed: seed of the training.
      cache: folder of the weights, see `classifier.classifier`.

    Raises:
      UsageError: for data without images or attributes, or attributes that are the
        same in all examples.
    """
    image_shape(train.example, "attribute_accuracy")
    if FIELD not in train.example:
        raise UsageError(
            f"attribute_accuracy needs attributes, which {printable(train.name)} does "
            "not have: leave it out"
        )
    net = Classifier(train.example[FIELD].shape[0])
    name = f"attributes-{training.RECIPE}-{training.identity(train, FIELD)}-{seed}"
    places = trained_weights.folders(train, cache)
    like = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, *train.shape)))
    kept = trained_weights.load(places, name, like)
    weights = kept.weights if kept else _train(net, train, seed)
    predict = _predictor(net, weights, train.shape)
    # Each attribute by itself, as one may be hard to see.
    tests = training.read(held_out, TESTED, FIELD)
    right = (predict(tests.images) == (tests.labels > 0.5)).mean(0)
    accuracy, count = float(right.mean()), len(tests.labels)
    if kept is None:
        tested = training.identity(held_out, FIELD)
        trained = Trained(weights, accuracy, tested, count)
        trained_weights.save(places, name, trained)
    facts: dict[str, str | int | float] = {
        "digest": digest(weights),
        "accuracy on held-out": round(accuracy, 4),
        "worst attribute": round(float(right.min()), 4),
    }
    return AttributeClassifier(predict, facts)


def _train(net: Classifier, train: Dataset, seed: int) -> Tree:
    """Trains the weights, and logs the time."""
    examples = training.read(train, field=FIELD)
    examples = examples._replace(labels=np.float32(examples.labels > 0.5))
    start, size = time.monotonic(), len(examples.labels)
    LOG.info("training the classifier of attributes on %d examples, once", size)
    weights = training.train(net, examples, seed, optax.sigmoid_binary_cross_entropy)
    LOG.info("trained the classifier in %.0f s", time.monotonic() - start)
    return weights


def _predictor(
    net: Classifier, weights: Tree, shape: tuple[int, ...]
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function from images to attributes."""

    def forward(weights, images):
        logits, features = cast(tuple, net.apply(weights, images))
        return features, logits

    extract = in_batches(forward, weights, shape)

    def predict(images: np.ndarray) -> np.ndarray:
        # In parts, as the float32 images of all may not fit into memory.
        starts = range(0, len(images), 1_024)
        parts = [extract(training.normalize(images[i : i + 1_024])) for i in starts]
        return np.concatenate([np.asarray(x.probabilities) > 0 for x in parts])

    return predict
