"""Feature extractors by name: networks in whose features images are compared."""

from collections.abc import Callable

from jaxgan.metrics.features.base import Extractor, Features
from jaxgan.metrics.features.classifier import classifier
from jaxgan.metrics.features.imagenet import efficientnet, inception
from jaxgan.metrics.features.random import random

__all__ = ["EXTRACTORS", "Extractor", "Features"]

EXTRACTORS: dict[str, Callable[..., Extractor]] = {
    "classifier": classifier,
    "efficientnet": efficientnet,
    "inception": inception,
    "random": random,
}
"""Factories of extractors by name.

Each gets those facts that it has a keyword parameter for: `example`, an `ExampleSpec`;
`train`, the training set; `held_out`, other real examples or None; and `cache`, a
folder for trained weights or None.
"""
