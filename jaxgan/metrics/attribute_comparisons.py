"""Metrics of generators that are conditional on attributes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.errors import UsageError
from jaxgan.metrics.comparison import NO_FEATURES, Comparison, Sets
from jaxgan.metrics.conditional_comparisons import AT_ONCE, images_of
from jaxgan.metrics.features import Features, Images, classifier_training
from jaxgan.metrics.features.base import Seed
from jaxgan.metrics.features.classifier import Classifier
from jaxgan.types import Tree

NAME = "attributes_as_asked"
EPOCHS = 25
"""Several attributes of an image take more epochs than its class."""


def attributes_as_asked(seed: Seed = 0) -> Comparison:
    """Measures how often a classifier reads the attributes that were asked for.

    The classifier is trained on real training examples, by the recipe of the extractor
    `classifier` with more epochs, and has a sigmoid for each attribute.
    `attributes_as_asked` is the share of attributes of fakes that it reads as asked,
    and `attributes_as_asked_worst` that of the worst attribute, each as the mean of its
    shares where it is asked for and where it is not: always the same answer has 0.5.
    `attributes_as_asked_real` is the former on held-out examples, which bounds what can
    be read. The floor is the value on training examples, which the classifier knows.

    Args:
      seed: seed of the training.
    """
    known: list[tuple[np.ndarray, tuple[Classifier, Tree]]] = []

    def trained(train: Features) -> tuple[Classifier, Tree]:
        attributes = _required(train)
        # Once for all sets of samples.
        if not known or known[0][0] is not attributes:
            known[:] = [(attributes, _train(images_of(train, NAME), attributes, seed))]
        return known[0][1]

    def compare(sets: Sets) -> dict[str, float]:
        classifier = trained(sets.train)
        fake, real = (balanced_shares(classifier, x) for x in (sets.fake, sets.real))
        return {
            NAME: float(fake.mean()),
            f"{NAME}_worst": float(fake.min()),
            f"{NAME}_real": float(real.mean()),
        }

    return Comparison(
        NO_FEATURES, compare, whole_train=True, images=True, attributes=True
    )


def balanced_shares(
    classifier: tuple[Classifier, Tree], features: Features
) -> np.ndarray:
    """Returns the share of right answers for each attribute, `[k]`.

    It is the mean of two shares: of images that are to have the attribute, and of those
    that are not to have it. If all are of one kind, it is the share of these.

    Args:
      classifier: the network and its weights.
      features: of a set with images and attributes.
    """
    asked = _required(features)
    right = _read(*classifier, images_of(features, NAME)) == asked
    shares = []
    for column, present in zip(right.T, asked.T, strict=True):
        both = [column[present == x].mean() for x in (True, False) if x in present]
        shares.append(np.mean(both))
    return np.array(shares)


def _required(features: Features) -> np.ndarray:
    """Returns attributes, `[n, k]` bool; raises UsageError if there are none."""
    if features.attributes is None:
        raise UsageError(
            f"{NAME} needs attributes of all images: use data with attributes and a "
            "generator that is conditional on them, or fd"
        )
    return features.attributes


def _train(
    images: Images, attributes: np.ndarray, seed: int
) -> tuple[Classifier, Tree]:
    """Returns a classifier of attributes, and its weights."""
    net = Classifier(attributes.shape[1])
    targets = attributes.astype(np.float32)
    examples = classifier_training.Labelled(images, targets)  # pyright: ignore[reportArgumentType]
    loss = optax.sigmoid_binary_cross_entropy
    return net, classifier_training.train(net, examples, seed, loss, EPOCHS)


def _read(net: Classifier, weights: Tree, images: Images) -> np.ndarray:
    """Returns the attributes that a classifier reads, `[n, k]` bool."""

    @jax.jit
    def logits(weights, images):
        return net.apply(weights, images)[0]

    numbers = np.arange(len(images))
    parts = [
        logits(weights, jnp.asarray(images[numbers[i : i + AT_ONCE]]))
        for i in range(0, len(images), AT_ONCE)
    ]
    return np.concatenate([np.asarray(x) for x in parts]) > 0
