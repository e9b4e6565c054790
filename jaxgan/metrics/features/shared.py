"""Extractors that several metrics share: opened once, as late as possible."""

import functools
import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxgan.data import Dataset, epoch_order, normalize, read_some
from jaxgan.metrics.features import EXTRACTORS, Extractor, Features, feature_cache
from jaxgan.metrics.features.base import BATCH, check_features, image_shape
from jaxgan.metrics.features.channels import check as check_stacked
from jaxgan.metrics.features.classifier_training import check as check_labeled
from jaxgan.metrics.features.imagenet import color_shape, inception_name
from jaxgan.metrics.features.mel import mel
from jaxgan.metrics.features.minilm import check_text
from jaxgan.metrics.features.values import values

FACTS = ("example", "train", "held_out", "cache", "once", "inception_weights")
"""Keyword parameters of extractors that are known to the caller, not in a text."""

CHECKS: dict[str, Callable[[Dataset], Any]] = {
    "channels": check_stacked,
    "classifier": check_labeled,
    "efficientnet": lambda train: image_shape(train.example, "efficientnet"),
    "inception": lambda train: color_shape(train.example, "inception"),
    "mel": lambda train: mel(example=train.example),
    "minilm": lambda train: check_text(train.example),
    "random": lambda train: image_shape(train.example, "random"),
    "values": lambda train: values(example=train.example),
}
"""Checks that the training set fits an extractor, which is not opened for that."""


class SharedExtractor:
    """An extractor that is opened when features are needed, and its latest features.

    Features of more examples or samples than before continue those that are there.

    Args:
      name: its name in a text, such as `classifier`.
      make: returns the extractor, which may train it.

    >>> mean = lambda images: Features(images.mean((1, 2)))
    >>> shared = SharedExtractor("mean", lambda: Extractor("mean", "", {}, mean))
    >>> shared.open().name
    'mean'
    """

    def __init__(self, name: str, make: Callable[[], Extractor]) -> None:
        self.name = name
        self.open = functools.cache(make)
        """Returns the extractor. The first call opens it."""
        # Data sets are few, and cannot be keys of a dict.
        self._real: list[tuple[Dataset, Features]] = []
        # Weak, so that the parameters of samples are not kept.
        self._fake: tuple[Callable[[], Any], Features] | None = None

    def of_dataset(self, dataset: Dataset, count: int) -> Features:
        """Returns the features of examples in a fixed random order.

        Args:
          dataset: the examples.
          count: number of examples, at most all; fewer are the first ones of more.
        """
        known = next((x for seen, x in self._real if seen is dataset), None)
        if known is not None and len(known.features) >= count:
            return head(known, count)
        # The seed is 0, so that all runs compare with the same examples.
        order = epoch_order(0, 0, dataset.size)

        def images(first: int, number: int) -> np.ndarray:
            raw = read_some(dataset, order[first : first + number])
            return normalize(raw, dataset.example)[dataset.example.generated]

        # The features of examples in this order are the same in each run.
        features = feature_cache.read_or_extract(
            *(dataset, order[:count], self.open()),
            lambda: self._continue(known, images, count),
        )
        others = [x for x in self._real if x[0] is not dataset]
        self._real = [*others, (dataset, features)]
        return features

    def of_samples(self, sample_fn: Callable[..., Any], count: int) -> Features:
        """Returns the features of samples, clipped to [-1, 1].

        Args:
          sample_fn: draws samples, see `metrics.SampleFn`.
          count: number of samples.
        """
        same = self._fake is not None and self._fake[0]() is sample_fn
        known = self._fake[1] if self._fake is not None and same else None

        def images(first: int, number: int) -> np.ndarray:
            fake = sample_fn(number, first).fake
            # Of several arrays the first field is compared.
            fake = next(iter(fake.values())) if isinstance(fake, dict) else fake
            # Numbers of tokens have another range.
            is_float = np.issubdtype(fake.dtype, np.floating)
            return np.clip(fake, -1, 1) if is_float else fake

        features = self._continue(known, images, count)
        self._fake = weakref.ref(sample_fn), features
        return head(features, count)

    def _continue(
        self,
        known: Features | None,
        images: Callable[[int, int], np.ndarray],
        count: int,
    ) -> Features:
        """Returns known features, followed by those that are missing."""
        done = 0 if known is None else len(known.features)
        parts = [] if known is None else [known]
        # A batch at a time, as all images may not fit into memory.
        for first in range(done, count, BATCH):
            some = images(first, min(BATCH, count - first))
            parts.append(self.open().extract(some))
            check_features(parts[-1], self.name, len(some))
        if len(parts) == 1:
            return parts[0]
        return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def head(features: Features, count: int) -> Features:
    """Returns the features of the first examples."""
    return jax.tree.map(lambda x: x[:count], features)


def shared_extractors(
    facts: Mapping[str, Any],
) -> dict[str, Callable[..., SharedExtractor]]:
    """Returns a table of all extractors, to be named in arguments of metrics.

    The same name with the same arguments is the same extractor.

    Args:
      facts: those of `FACTS` that are known. With `train`, it is checked that the
        training set fits.

    >>> table = shared_extractors({})
    >>> table["random"](dim=8) is table["random"](dim=8)
    True
    """
    opened: dict[tuple, SharedExtractor] = {}
    return {name: _named(name, facts, opened) for name in EXTRACTORS}


def _named(
    name: str, facts: Mapping[str, Any], opened: dict[tuple, SharedExtractor]
) -> Callable[..., SharedExtractor]:
    """Returns a factory with those parameters that a text can set."""
    factory = EXTRACTORS[name]
    signature = inspect.signature(factory)
    given = {k: x for k, x in facts.items() if k in signature.parameters}

    def make(*args: Any, **kwargs: Any) -> SharedExtractor:
        key = (name, args, tuple(sorted(kwargs.items())))
        if key not in opened:
            own = name
            if "train" in facts:
                if name in CHECKS:
                    CHECKS[name](facts["train"])
                if "inception_weights" in given:
                    own = inception_name(
                        *args, **kwargs, inception_weights=given["inception_weights"]
                    )
            opened[key] = SharedExtractor(
                own, lambda: factory(*args, **kwargs, **given)
            )
        return opened[key]

    return with_text_parameters(make, factory)


def with_text_parameters(make: Callable, factory: Callable) -> Callable:
    """Gives a function those parameters of a factory that a text can set."""
    signature = inspect.signature(factory)
    shown = [p for k, p in signature.parameters.items() if k not in FACTS]
    make.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    return make
