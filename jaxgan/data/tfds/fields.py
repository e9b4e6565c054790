"""Which features of a TFDS set are its images and its labels."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data.roles import Choice
from jaxgan.data.shuffle import evenly
from jaxgan.errors import UsageError, printable

LOG = logging.getLogger("jaxgan")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LOOKED_AT = 256
"""Examples whose labels are looked at before a run."""

Encoded = Callable[[Sequence[int]], list[dict[str, Any]]]
"""Example numbers to examples whose images are not decoded."""


class Fields(NamedTuple):
    """Which features of a set we read."""

    image: str
    label: str | None
    mode: str
    """Of the images: L, RGB, RGBA or `I;16`."""
    size: tuple[int, int] | None
    """Height and width, None where the set does not fix them."""
    classes: tuple[str, ...]


def find_fields(name: str, builder: Any, choice: Choice) -> Fields:
    """The features that are chosen, else those that the set itself calls its own.

    Of several images or labels those count that `supervised_keys` of the set name, then
    those called `image` and `label`.

    Raises:
      UsageError: if there are no images, if several could be meant, or if the images
        are of a kind that cannot be read.
    """
    from tensorflow_datasets.core import features as kinds

    features = dict(sorted(builder.info.features.items()))  # TFDS's order varies
    images = [k for k, f in features.items() if isinstance(f, kinds.Image)]
    labels = [
        k
        for k, f in features.items()
        if isinstance(f, kinds.ClassLabel) and f.num_classes
    ]
    if not images:
        listed = ", ".join(f"{k} ({type(f).__name__})" for k, f in features.items())
        raise UsageError(f"--dataset={name} has no images; its features are {listed}")
    # A mask is an image too: it is meant where there is no other, or where it is named.
    plain = [k for k in images if not isinstance(features[k], kinds.LabeledImage)]
    keys = _supervised(builder)
    image = _pick(name, "image", choice.image, images, keys, plain or images)
    label = None
    if choice.label != "none" and (labels or choice.label):
        label = _pick(name, "label", choice.label, labels, keys, labels)
    mode = _mode(name, image, features[image])
    height, width, _ = features[image].shape
    size = (height, width) if height and width else None
    classes = tuple(features[label].names) if label else ()
    return Fields(image, label, mode, size, classes)


def _supervised(builder: Any) -> list[list[str]]:
    """Names of features in each part of the set's (input, target), or (both, weight).

    A dict has lost its order when TFDS has read it back.
    """

    def names(part: Any) -> list[str]:
        if isinstance(part, str):
            return [part]
        parts = part.values() if isinstance(part, dict) else part
        return [name for each in parts for name in names(each)]

    return [names(part) for part in builder.info.supervised_keys or ()]


def _pick(
    name: str,
    kind: str,
    said: str,
    found: list[str],
    supervised: list[list[str]],
    likely: list[str],
) -> str:
    """The feature that is meant.

    Args:
      name: of the set.
      kind: image or label.
      said: the feature that the user chose, empty for none.
      found: all features of the kind.
      supervised: features that the set names, by part.
      likely: those of `found` that are meant if nobody says anything.
    """
    if said and said not in found:
        have = f"choose from {', '.join(found)}" if found else f"it has no {kind}s"
        raise UsageError(f"--{kind}_field={printable(said)}: {name}: {have}")
    named = [[key for key in part if key in found] for part in supervised]
    hint = next((keys for keys in named if keys), [])
    if said or len(hint) == 1:
        return said or hint[0]
    if kind in found:
        return kind
    if len(likely) > 1:
        none = ", or none" if kind == "label" else ""
        raise UsageError(
            f"--dataset={name} has several {kind}s, {', '.join(likely)}: choose one "
            f"with --{kind}_field={likely[0]}{none}"
        )
    return likely[0]


def _mode(name: str, key: str, feature: Any) -> str:
    channels = feature.shape[-1]
    mode = MODES.get(channels or 3)
    if feature.np_dtype == np.uint16 and channels == 1:
        return "I;16"
    if feature.np_dtype != np.uint8 or mode is None:
        raise UsageError(
            f"--dataset={name} has {feature.np_dtype} images of {channels} channels in "
            f"{key}; only 8-bit gray, RGB and RGBA and 16-bit gray can be read"
        )
    return mode


def without_absent_labels(
    name: str, split: str, fields: Fields, encoded: Encoded, count: int
) -> Fields:
    """The fields, without labels where examples of a fixed sample have none (-1).

    Raises:
      UsageError: if some have labels and some have not.
    """
    if fields.label is None:
        return fields
    numbers = evenly(count, LOOKED_AT).tolist()
    labels = np.array([x[fields.label] for x in encoded(numbers)])
    if (labels >= 0).any():
        check_labels(name, fields.label, labels)
        return fields
    LOG.info("data: no example of %s %s has a label", name, split)
    return fields._replace(label=None, classes=())


def check_labels(name: str, key: str, labels: np.ndarray) -> None:
    """Raises UsageError if an example has no label: TFDS writes -1 for it."""
    if (labels < 0).any():
        raise UsageError(
            f"--dataset={name}: some examples have no {key} (-1); use a --split whose "
            "examples all have one, or --label_field=none"
        )
