"""Data sets of arrays: `npz:PATH`, and arrays in memory."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.data import dataset as datasets
from jaxgan.data.array_fields import (
    Arrays,
    as_attributes,
    attribute_names,
    find_fields,
    load_fields,
)
from jaxgan.data.array_forms import as_examples, check_form, framed
from jaxgan.data.dataset import Dataset, Examples, Range
from jaxgan.data.labels import are_several, classify, present
from jaxgan.data.npy_files import check_readable, read_array, read_headers
from jaxgan.data.resize import Frame
from jaxgan.data.roles import Choice, Form, Roles, assign, listed
from jaxgan.errors import UsageError, printable
from jaxgan.types import Field, image_example

LOG = logging.getLogger("jaxgan")


def npz(name: str, path: Path, frame: Frame, choice: Choice) -> Dataset:
    """Loads images or vectors, and labels if any, from an `.npz` or `.npy` file.

    A file whose arrays are all named like fields, such as `image` and `source` (or
    `images` and `sources`, or `B` and `A`), `target`, `mask`, `attributes` and `label`,
    has these fields, see `load_fields`. In other files `roles.assign` chooses images
    and labels, and only these are read. Labels are integers, strings, bytes, booleans
    or one-hot rows. Rows `[n, k]` of 0 and 1 that are not one-hot are attributes, with
    the names in `attribute_names` `[k]`, if there is such an array.

    Args:
      name: the name of the data set, `npz:PATH`.
      path: the file.
      frame: the crop and the size of images.
      choice: the split, and the arrays that the user chose.

    Raises:
      UsageError: if the file cannot be read, if the roles of its arrays are ambiguous,
        or if it has no examples in a supported form.
    """
    headers = read_headers(name, path)

    def read(key: str) -> np.ndarray:
        return read_array(name, path, key, headers[key])

    # Headers suffice to choose the arrays; those in use are read.
    origin = f"the file {path}"
    if fields := find_fields(headers, choice):
        images = fields["image"]
        for key in fields.values():
            check_readable(name, key, headers[key])
        made = load_fields(Arrays(name, headers, read), fields, frame, origin)
    else:
        roles = assign(name, headers, choice)
        images = roles.images
        # Before the check of the form, as an unreadable array may have none.
        check_readable(name, images, headers[images])
        made = _build(name, headers, read, roles, frame, origin)
    # Identifies the examples, so that splits can be compared.
    source = Range(f"{path}, {images}", 0, made.size)
    return made._replace(ranges=(source,))


def of_mapping(
    name: str, arrays: Mapping[str, Any], frame: Frame, choice: Choice
) -> Dataset:
    """Returns the data set of arrays in memory, named like those of an `.npz` file.

    Args:
      name: the name of the data set.
      arrays: images and labels by name, in the forms that `npz` reads.
      frame: the crop and the size of images.
      choice: the split, and the arrays that the user chose.

    Raises:
      UsageError: if the roles of the arrays are ambiguous, or if there are no examples
        in a supported form.
    """
    plain = {key: _array(f"{name}: '{key}'", value) for key, value in arrays.items()}
    origin = "arrays in memory"
    if fields := find_fields(plain, choice):
        named = Arrays(name, plain, plain.__getitem__)
        return load_fields(named, fields, frame, origin)
    roles = assign(name, plain, choice)
    return _build(name, plain, plain.__getitem__, roles, frame, origin)


def from_arrays(
    images: Any,
    labels: Any = None,
    classes: Sequence[str] | None = None,
    *,
    name: str = "arrays",
) -> Dataset:
    """Returns the data set whose examples are the rows of `images`.

    Args:
      images: `[n, H, W]` or `[n, H, W, C]` uint8, uint16 or floats in [-1, 1], or
        `[n, d]` floats.
      labels: `[n]` integers, strings, bytes or booleans, or one-hot rows `[n, k]`; None
        for no labels. Each distinct value is a class.
      classes: names of the labels 0 to k - 1, in this order. Labels are then class
        numbers, and a class may have no examples.
      name: the name of the data set, for messages.

    Raises:
      UsageError: for arrays of other forms.

    >>> digits = from_arrays(np.zeros((3, 8, 8), np.uint8), ["cat", "dog", "cat"])
    >>> digits.size, digits.shape, digits.classes
    (3, (8, 8, 1), ('cat', 'dog'))
    """
    where = f"{name}: images"
    images = _array(where, images)
    check_form(where, images)
    examples: Examples = {"image": as_examples(where, images)}
    names: tuple[str, ...] = ()
    where = f"{name}: labels"
    if labels is None and classes is not None:
        raise UsageError(
            f"{name}: classes are named, but labels are not given; pass labels"
        )
    if labels is not None:
        array = _array(where, labels)
        examples["label"], names = classify(where, array, len(images))
    # Labels of named classes are class numbers already, and keep their values.
    if classes is not None:
        examples["label"] = _numbers(where, examples["label"], names, len(classes))
        names = tuple(classes)
    return datasets.from_fields(name, examples, classes=names, origin="arrays")


def _array(where: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:  # rows of several lengths
        raise UsageError(
            f"{where} is not an array: its rows differ in shape"
        ) from error


def _numbers(
    where: str, labels: np.ndarray, names: tuple[str, ...], count: int
) -> np.ndarray:
    """Undoes the numbering of `classify`: returns the labels given, below `count`."""
    try:
        # Names of classes are the values as text.
        values = np.array([int(name) for name in names])
    except ValueError:
        # Names that are not integers fail the check below.
        values = np.array([-1])
    if values.min() < 0 or values.max() >= count:
        raise UsageError(
            f"{where} must be integers from 0 to {count - 1}, because {count} classes "
            "are named; leave out classes, or use such numbers"
        )
    # [classes] indexed by [n] gives [n].
    return values[labels].astype(np.int32)


def _build(
    name: str,
    forms: Mapping[str, Form],
    read: Callable[[str], np.ndarray],
    roles: Roles,
    frame: Frame,
    origin: str,
) -> Dataset:
    """Returns the data set of arrays with known roles; reads only those in use."""
    where = f"{name}: array '{printable(roles.images)}'"
    check_form(where, forms[roles.images])
    images = as_examples(where, read(roles.images))
    examples: Examples = {"image": framed(where, images, frame)}
    classes: tuple[str, ...] = ()
    if roles.labels is not None:
        # Labels of other splits take part, so that all splits number classes alike.
        others = [read(key) for key in roles.others]
        where = f"{name}: array '{printable(roles.labels)}'"
        labels = read(roles.labels)
        if are_several([labels, *others]) and len(labels) == len(images):
            arrays = Arrays(name, forms, read)
            return _with_attributes(arrays, roles, examples, labels, origin)
        labeled = present(where, labels, len(images), others)
        if labeled is not None:
            examples["label"], classes = labeled
    _log_roles(name, forms, roles, classes)
    return datasets.from_fields(name, examples, classes=classes, origin=origin)


def _with_attributes(
    arrays: Arrays, roles: Roles, examples: Examples, labels: np.ndarray, origin: str
) -> Dataset:
    """Returns a data set whose labels `[n, k]` are several at once: attributes."""
    key = roles.labels or ""
    values = as_attributes(arrays.where(key), labels)
    names = attribute_names(arrays, values.shape[1])
    LOG.info(
        "%s: images are %s; attributes are %s",
        arrays.name,
        listed([roles.images], arrays.forms),
        listed([key], arrays.forms),
    )
    images = examples["image"]
    example = image_example(images.shape[1:], images.dtype)
    example["attributes"] = Field(values.shape[1:], values.dtype, "attributes", names)
    examples = {**examples, "attributes": values}
    return datasets.from_fields(arrays.name, examples, example=example, origin=origin)


def _log_roles(
    name: str, forms: Mapping[str, Form], roles: Roles, classes: tuple[str, ...]
) -> None:
    """Logs the arrays that serve as images and labels, and the unused ones."""
    text = f"images are {listed([roles.images], forms)}"
    if classes:
        shown = ", ".join(printable(c) for c in classes[:5])
        shown += ", ..." if len(classes) > 5 else ""
        count = f"{len(classes):,} class" + ("es" if len(classes) > 1 else "")
        text += f"; labels are '{printable(roles.labels or '')}', {count} ({shown})"
    unused = [key for key in forms if key not in (roles.images, roles.labels)]
    if unused:
        text += f"; not in use: {listed(unused, forms)}"
    LOG.info("%s: %s", name, text)
