"""Identification of the images and labels among the features of a TFDS set."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data.decode import MODE_OF
from jaxgan.data.roles import Choice
from jaxgan.data.shuffle import evenly
from jaxgan.data.tfds.attributes import Attributes, find_attributes
from jaxgan.errors import UsageError, printable
from jaxgan.types import ExampleSpec, Field

LOG = logging.getLogger("jaxgan")
LOOKED_AT = 256
"""Number of examples whose labels are checked before a run."""

Encoded = Callable[[Sequence[int]], list[dict[str, Any]]]
"""Reads the examples with given numbers, without decoding their images."""


class Fields(NamedTuple):
    """The features of a data set that are read, and their properties."""

    image: str
    """The feature that is generated."""
    label: str | None
    mode: str
    """Mode of the images: L, RGB, RGBA or `I;16`; empty if waveforms are generated."""
    size: tuple[int, int] | None
    """Height and width, None if the data set does not fix them."""
    classes: tuple[str, ...]
    others: Mapping[str, Field] = {}
    """Further features: images, and arrays that are read as they are, of which a
    waveform that is generated is the first."""
    attributes: Attributes | None = None
    """A feature that is a dictionary of attributes."""

    @property
    def stored(self) -> tuple[str | None, ...]:
        """The features that identify a cache of decoded examples."""
        usual = self.image, self.label
        return (*usual, self.attributes.key) if self.attributes else usual


def find_fields(name: str, builder: Any, choice: Choice) -> Fields:
    """Finds the features of the images and the labels.

    The user's choice comes first. Then a builder may have an attribute `fields`, which
    says what all of its features are. Of several features of another builder, the one
    in `supervised_keys` is used, and then the one named `image` or `label`.

    Args:
      name: the name of the data set, for errors.
      builder: its TFDS builder.
      choice: the features that the user chose.

    Raises:
      UsageError: if there are no images, if several features could be meant, or if the
        images are of an unsupported kind.
    """
    from tensorflow_datasets.core import features as kinds

    declared = getattr(builder, "fields", None)
    if declared is not None and not choice.image and choice.label in ("", "none"):
        return _declared(declared, choice)
    features = dict(sorted(builder.info.features.items()))  # TFDS's order varies
    images = [k for k, f in features.items() if isinstance(f, kinds.Image)]
    labels = [
        k
        for k, f in features.items()
        if isinstance(f, kinds.ClassLabel) and f.num_classes
    ]
    if not images:
        listed = ", ".join(f"{k} ({type(f).__name__})" for k, f in features.items())
        text = f"--dataset={name} has no images; its features are {listed}"
        if any(isinstance(f, kinds.Text) for f in features.values()):
            text += ": for a data set of texts, write them to a file, and use text:PATH"
        raise UsageError(text)
    # Masks are images too, but are used only if named or if there are no others.
    plain = [k for k in images if not isinstance(features[k], kinds.LabeledImage)]
    keys = _supervised(builder)
    image = _pick(name, "image", choice.image, images, keys, plain or images)
    label = None
    if choice.label != "none" and (labels or choice.label):
        label = _pick(name, "label", choice.label, labels, keys, labels)
    mode = _mode(name, image, features[image])
    # TFDS's shapes hold None where images differ.
    height, width, _ = features[image].shape
    size = (height, width) if height and width else None
    classes = tuple(features[label].names) if label else ()
    attributes = find_attributes(features)
    return Fields(image, label, mode, size, classes, attributes=attributes)


def _declared(spec: ExampleSpec, choice: Choice) -> Fields:
    """Returns all features of a builder that declares them, images first."""
    main = spec.generated
    labels = [k for k, field in spec.items() if field.kind == "label"]
    label = labels[0] if labels and choice.label != "none" else None
    classes = spec[label].names if label else ()
    others = {k: f for k, f in spec.items() if k not in (main, *labels[:1])}
    if spec[main].kind == "waveform":
        others = {main: spec[main], **others}
        return Fields(main, label, "", (1, 1), classes, others)
    height, width, channels = spec.shape
    return Fields(main, label, MODE_OF[channels], (height, width), classes, others)


def _supervised(builder: Any) -> list[list[str]]:
    """Returns the features in each part of the set's `supervised_keys`.

    The parts are (input, target) or (input, target, weight). The order within a part is
    meaningless, since TFDS does not keep that of a dict.
    """

    def names(part: Any) -> list[str]:
        if isinstance(part, str):
            return [part]
        # Parts may be nested tuples or dicts of names.
        parts = part.values() if isinstance(part, dict) else part
        return [name for nested in parts for name in names(nested)]

    return [names(part) for part in builder.info.supervised_keys or ()]


def _pick(
    name: str,
    kind: str,
    choice: str,
    candidates: list[str],
    supervised: list[list[str]],
    likely: list[str],
) -> str:
    """Returns the feature to use.

    Args:
      name: the name of the data set, for errors.
      kind: image or label.
      choice: the feature that the user chose, empty for none.
      candidates: all features of the kind.
      supervised: features in each part of `supervised_keys`.
      likely: the candidates to use if nothing else decides.
    """
    if choice and choice not in candidates:
        if candidates:
            have = f"choose from {', '.join(candidates)}"
        else:
            have = f"it has no {kind}s"
        raise UsageError(f"--{kind}_field={printable(choice)}: {name}: {have}")
    # The features of this kind in each part: first the input, then the target.
    named = [[key for key in part if key in candidates] for part in supervised]
    # The first part that has any.
    hint = next((keys for keys in named if keys), [])
    # A single feature in a part of supervised_keys is a clear hint.
    if choice or len(hint) == 1:
        return choice or hint[0]
    # The usual names come next.
    if kind in candidates:
        return kind
    if len(likely) > 1:
        none = ", or none" if kind == "label" else ""
        raise UsageError(
            f"--dataset={name} has several {kind}s, {', '.join(likely)}: choose one "
            f"with --{kind}_field={likely[0]}{none}"
        )
    return likely[0]


def _mode(name: str, key: str, feature: Any) -> str:
    """Returns the mode of an image feature, or raises UsageError."""
    channels = feature.shape[-1]
    # If the number of channels is open, RGB can represent all of them.
    mode = MODE_OF.get(channels or 3)
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
    """Drops labels if none of a fixed sample of the examples has one (-1).

    Args:
      name: the name of the data set.
      split: the split, such as `train`.
      fields: the features that are read.
      encoded: reads examples.
      count: the number of examples.

    Raises:
      UsageError: if some examples have labels and others do not.
    """
    if fields.label is None:
        return fields
    # A sample, as reading all examples would delay the start.
    numbers = evenly(count, LOOKED_AT).tolist()
    labels = np.array([x[fields.label] for x in encoded(numbers)])
    # Other examples are checked when they are read.
    if (labels >= 0).any():
        check_labels(name, fields.label, labels)
        return fields
    LOG.info("data: no example of %s %s has a label", name, split)
    return fields._replace(label=None, classes=())


def check_labels(name: str, key: str, labels: np.ndarray) -> None:
    """Raises UsageError if an example has no label, for which TFDS stores -1."""
    if (labels < 0).any():
        raise UsageError(
            f"--dataset={name}: some examples have no {key} (-1); use a --split whose "
            "examples all have one, or --label_field=none"
        )
