"""Feature extractors by name: networks in whose features examples are compared."""

from collections.abc import Callable

from jaxgan.metrics.features.base import Extractor, Features, Images, StoredImages
from jaxgan.metrics.features.channels import channels as _channels
from jaxgan.metrics.features.channels import classifier_of_labels as _classifier
from jaxgan.metrics.features.imagenet import efficientnet as _efficientnet
from jaxgan.metrics.features.imagenet import inception as _inception
from jaxgan.metrics.features.mel import mel as _mel
from jaxgan.metrics.features.minilm import minilm as _minilm
from jaxgan.metrics.features.random import random as _random
from jaxgan.metrics.features.values import values as _values

# The names without an underscore are the modules.
__all__ = ["EXTRACTORS", "Extractor", "Features", "Images", "StoredImages"]

EXTRACTORS: dict[str, Callable[..., Extractor]] = {
    "channels": _channels,
    "classifier": _classifier,
    "efficientnet": _efficientnet,
    "inception": _inception,
    "mel": _mel,
    "minilm": _minilm,
    "random": _random,
    "values": _values,
}
"""Factories of extractors by name.

Each gets those facts that it has a keyword parameter for: `example`, an `ExampleSpec`;
`train`, the training set; `held_out`, other real examples or None; `cache`, a folder
for trained weights or None; `once`, which runs a function in one of several processes
and returns its result in all; and `inception_weights`, the path of a file or "".
"""
