"""Features of each channel of images that stack those of another set.

The channels of stacked_mnist are digits of MNIST. A classifier of these sees one
channel at a time, as in https://arxiv.org/abs/1611.02163, so that the 1000 modes of
stacked_mnist are counted by a classifier of ten classes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.data import Dataset
from jaxgan.errors import UsageError, printable
from jaxgan.metrics.features.base import Extractor, Features, Seed, check_images
from jaxgan.metrics.features.classifier import classifier
from jaxgan.types import ExampleSpec


def channels(
    seed: Seed = 0,
    *,
    example: ExampleSpec,
    train: Dataset,
    cache: Path | None = None,
    once: Callable[[Callable[[], Any]], Any] = lambda make: make(),
) -> Extractor:
    """Returns the features of a classifier of single channels.

    It is the `classifier` of the set whose images are stacked, and has its weights,
    accuracy and digest.

    Args:
      seed: seed of the training.
      example: the fields of the images, which have C channels.
      train: the training set, whose channels are images of another set.
      cache: as of `classifier`.
      once: as of `classifier`.

    Returns:
      An extractor of the C x 128 features of the channels, and the probabilities of the
      k^C tuples of their classes, in the order of the labels of `train`.

    Raises:
      UsageError: for data whose channels are no images of another set.
    """
    check(train)
    assert train.channel is not None  # checked
    single, test = train.channel("train"), train.channel("test")
    inner = classifier(
        seed,
        example=single.example,
        train=single,
        held_out=test,
        cache=cache,
        once=once,
    )
    if example.shape != train.shape:
        raise UsageError(
            f"channels is trained on images of {list(train.shape)}, and the images "
            f"are {list(example.shape)}: load both at the same size"
        )

    def extract(images: np.ndarray) -> Features:
        check_images(images, train.shape)
        found = [inner.extract(images[..., c, None]) for c in range(images.shape[-1])]
        features = np.concatenate([x.features for x in found], axis=1)
        return Features(features, joint([x.probabilities for x in found]))

    facts = {**inner.protocol, "channels": train.shape[-1]}
    return Extractor("channels", inner.digest, facts, extract)


def classifier_of_labels(
    seed: Seed = 0,
    *,
    example: ExampleSpec,
    train: Dataset,
    held_out: Dataset | None = None,
    cache: Path | None = None,
    once: Callable[[Callable[[], Any]], Any] = lambda make: make(),
) -> Extractor:
    """Returns the last hidden layer of a classifier of the real training set.

    Images that stack those of another set, as of stacked_mnist, have the features and
    classes of `channels`: 1000 classes would have 128 training examples each. Others
    have those of `classifier.classifier`.

    Args:
      seed: seed of the training.
      example: the fields of the images to extract features of.
      train: the training set, with labels.
      held_out: other real examples with the same fields, for the accuracy.
      cache: folder of the weights.
      once: runs a function in one of several processes and returns its result in all.
    """
    if train.channel is None:
        return classifier(
            seed,
            example=example,
            train=train,
            held_out=held_out,
            cache=cache,
            once=once,
        )
    found = channels(seed, example=example, train=train, cache=cache, once=once)
    return found._replace(name="classifier")


def check(train: Dataset) -> None:
    """Raises UsageError unless the channels are images of another set."""
    if train.channel is None:
        raise UsageError(
            "channels needs images whose channels are images of another set, as those "
            f"of stacked_mnist, and {printable(train.name)} has none: use classifier"
        )


def joint(probabilities: list[Any]) -> np.ndarray:
    """Returns the probabilities of tuples of classes, of independent channels.

    Args:
      probabilities: of the classes of each channel, `[n, k]`.

    Returns:
      `[n, k^C]`; the class of the last channel varies fastest.

    >>> joint([np.array([[0.25, 0.75]]), np.array([[1.0, 0.0]])]).tolist()
    [[0.25, 0.0, 0.75, 0.0]]
    """
    whole = probabilities[0]
    for own in probabilities[1:]:
        whole = (whole[:, :, None] * own[:, None, :]).reshape(len(own), -1)
    return whole
