"""Identification of the images and labels among the arrays of a file."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from jaxgan.errors import UsageError, printable

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}
"""Maps words in names of arrays to splits."""
IMAGES = frozenset(
    {"image", "img", "picture", "photo", "x", "data", "input", "sample"}
    | {"images", "imgs", "pictures", "photos", "inputs", "samples"}
)
LABELS = frozenset({"label", "labels", "y", "target", "targets", "class", "classes"})
FIRST = {"image": ("images", "image", "x"), "label": ("labels", "label", "y")}
"""Names that precede all others, by role."""
SHOWN = 8
"""Largest number of arrays that a message lists."""


class Form(Protocol):
    """Shape and dtype, which an array and its header share."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...


class Choice(NamedTuple):
    """The split, and the arrays or features that the user chose."""

    split: str = "train"
    image: str = ""
    """Name of the images' array or feature, empty to find it."""
    label: str = ""
    """Name of the labels' array or feature, empty to find it, `none` for no labels."""


class Roles(NamedTuple):
    """The keys of arrays by role."""

    images: str
    labels: str | None
    others: tuple[str, ...]
    """The labels of other splits."""


class Name(NamedTuple):
    """The role and the split that the name of an array implies."""

    role: str
    """image, label or empty."""
    split: str
    """train, test, validation or empty."""
    sure: bool
    """True if the name has no words besides role and split."""
    stem: tuple[str, ...]
    """The words of the name except the split, in lower case."""


def read_name(key: str) -> Name:
    """Parses the name of an array: camel case, fused words and any punctuation.

    >>> read_name("x_train"), read_name("testLabels").split
    (Name(role='image', split='train', sure=True, stem=('x',)), 'test')
    >>> read_name("fine_labels").sure, read_name("label_names").role
    (False, '')
    """
    words: list[str] = []
    # Acronyms, capitalized words and lower-case words.
    for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", key):
        words += _unfused(word.lower())
    stem = tuple(word for word in words if word not in SPLITS)
    split = next((SPLITS[word] for word in words if word in SPLITS), "")
    last = stem[-1] if stem else ""  # the noun: "label_names" are names
    role = "image" if last in IMAGES else "label" if last in LABELS else ""
    return Name(role, split, len(stem) == 1, stem)


def _unfused(word: str) -> list[str]:
    """Splits `xtrain` or `testlabels` into two words; returns others alone."""
    for split in SPLITS:
        before, after = word.removesuffix(split), word.removeprefix(split)
        if before in IMAGES | LABELS:
            # removesuffix returns words without the suffix unchanged.
            return [before] if before == word else [before, split]
        if after in IMAGES | LABELS:
            return [split, after]
    return [word]


def assign(name: str, forms: Mapping[str, Form], choice: Choice) -> Roles:
    """Finds the images and the labels of a split among the arrays of a file.

    Names decide, in any case and order: `images`, `x_train`, `trainLabels`, `targets`.
    Otherwise forms do. Images precede vectors. If the names are those that
    `numpy.savez` gives (`arr_0`), an array with one value per example holds the labels.

    Args:
      name: the name of the data set, for errors.
      forms: each array, or its header, by key.
      choice: the split, and the keys that the user chose.

    Raises:
      UsageError: if there is no such split or key, if there are no images, or if
        several arrays fit equally well.
    """
    names = {key: read_name(key) for key in forms}
    # The images come first, since they decide which labels fit.
    if choice.image:
        images = _chosen(name, "image_field", choice.image, forms)
        # Labels must belong to the split of the chosen images.
        pool = [key for key in forms if names[key].split == names[images].split]
    else:
        pool = _of_split(name, names, choice.split)
        images = _find_images(name, pool, names, forms)
    # Then the labels: chosen, none, or found by name and form.
    labels = None
    if choice.label and choice.label != "none":
        labels = _chosen(name, "label_field", choice.label, forms)
    elif not choice.label:
        rest = [key for key in pool if key != images]
        labels = _find_labels(name, rest, names, forms, images)
    # The labels of other splits take part in the numbering of classes.
    others = () if labels is None else _counterparts(labels, names)
    return Roles(images, labels, others)


def _counterparts(key: str, names: dict[str, Name]) -> tuple[str, ...]:
    """Returns the keys that differ from `key` in the split alone."""
    this = names[key]
    return tuple(
        k for k, n in names.items() if n.stem == this.stem and n.split != this.split
    )


def _of_split(name: str, names: dict[str, Name], split: str) -> list[str]:
    """Returns the keys of a split; keys that name no split belong to `train`."""
    # The splits of the images; the empty name is an array that names no split.
    present = {n.split for n in names.values() if n.role == "image"}
    selected = SPLITS.get(split, split)
    if selected == "train":
        plain = any(key in FIRST["image"] for key in names)
        # "images" beside "train_images": version 0.1.0 reads the former.
        if "train" not in present or plain:
            selected = ""
            # Every array of images names a split, and none names train.
            if present and "" not in present:
                flags = " or ".join(f"--split={x}" for x in sorted(present))
                raise UsageError(f"{name} has no split train: use {flags}")
    elif not selected or selected not in present:
        # No array of images names a split.
        if not present - {""}:
            raise UsageError(
                f"--split={printable(split)}: {name} has no splits besides train; use "
                "that, or load other data as another --dataset"
            )
        listed = ", ".join(sorted({x or "train" for x in present}))
        raise UsageError(f"--split={printable(split)}: {name} has the splits {listed}")
    return [key for key, n in names.items() if n.split == selected]


def _chosen(name: str, flag: str, key: str, forms: Mapping[str, Form]) -> str:
    """Returns `key`, or raises UsageError if there is no such array."""
    if key not in forms:
        raise UsageError(
            f"--{flag}={printable(key)}: {name} has no such array; it holds "
            f"{listed(forms, forms)}"
        )
    return key


def _find_images(
    name: str, pool: list[str], names: dict[str, Name], forms: Mapping[str, Form]
) -> str:
    # The usual names decide at once.
    for key in FIRST["image"]:
        if key in pool:
            return key
    named = [key for key in pool if names[key].role == "image"]
    sure = [key for key in named if names[key].sure]
    unnamed = [key for key in pool if not names[key].role]
    # The most certain names come first; arrays with other names are a last resort.
    for keys in (sure, named, unnamed):
        fitting = _narrowed(keys, forms)
        if len(fitting) > 1:
            raise UsageError(
                f"{name} has several arrays of images, {listed(fitting, forms)}; "
                f"choose one with --image_field={printable(fitting[0])}"
            )
        if fitting:
            return fitting[0]
    raise UsageError(
        f"{name}: holds no array of images; save one named 'images' (it holds "
        f"{listed(forms, forms) or 'nothing'})"
    )


def _narrowed(keys: list[str], forms: Mapping[str, Form]) -> list[str]:
    """Returns the keys of images, or else of vectors, if there are several keys."""
    if len(keys) < 2:
        return keys
    # [n, H, W] or [n, H, W, C].
    pictures = [k for k in keys if len(forms[k].shape) in (3, 4) and _real(forms[k])]
    # Vectors, [n, d].
    return pictures or [
        k for k in keys if len(forms[k].shape) == 2 and forms[k].dtype.kind == "f"
    ]


def _real(form: Form) -> bool:
    """Returns True for the dtypes of images."""
    return form.dtype.kind == "f" or form.dtype in (np.uint8, np.uint16)


def _find_labels(
    name: str,
    pool: list[str],
    names: dict[str, Name],
    forms: Mapping[str, Form],
    images: str,
) -> str | None:
    for key in FIRST["label"]:
        if key in pool:
            return key
    count = forms[images].shape[:1]
    # Labels have one row per example.
    fitting = [key for key in pool if forms[key].shape[:1] == count]
    named = [key for key in fitting if names[key].role == "label"]
    sure = [key for key in named if names[key].sure]
    # A nameless array is taken for labels only if the images are nameless too.
    plain = re.compile(r"arr_\d+")
    unnamed = [
        key
        for key in fitting
        if plain.fullmatch(key) and plain.fullmatch(images) and _one_each(forms[key])
    ]
    for keys in (sure, named, unnamed):
        if len(keys) > 1:
            raise UsageError(
                f"{name} has several arrays of labels, {listed(keys, forms)}; choose "
                f"one with --label_field={printable(keys[0])}, or none"
            )
        if keys:
            return keys[0]
    return None


def _one_each(form: Form) -> bool:
    """Returns True for one value, or one row that may be one-hot, per example."""
    return len(form.shape) == 1 or (len(form.shape) == 2 and form.dtype.kind in "biuf")


def listed(keys: Iterable[str], forms: Mapping[str, Form]) -> str:
    """Formats up to `SHOWN` arrays with their forms: `'a' (uint8 [5, 4, 4])`."""
    keys = list(keys)
    shown = [
        f"'{printable(k)}' ({forms[k].dtype} {list(forms[k].shape)})"
        for k in keys[:SHOWN]
    ]
    more = [f"{len(keys) - SHOWN:,} more"] if len(keys) > SHOWN else []
    return ", ".join(shown + more)
