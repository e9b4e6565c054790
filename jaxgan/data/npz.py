"""Data sets of arrays: `npz:PATH`, and arrays in memory."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.data import dataset as datasets
from jaxgan.data.dataset import Dataset, Examples, Range
from jaxgan.data.labels import are_absent, classify
from jaxgan.data.npy_files import check_readable, read_array, read_headers
from jaxgan.data.resize import Frame, fit_array, framed_size
from jaxgan.data.roles import Choice, Form, Roles, assign, listed
from jaxgan.errors import UsageError, printable

LOG = logging.getLogger("jaxgan")
FORMS = "[n, H, W], [n, H, W, C] (uint8, uint16 or floats in [-1, 1]) or [n, d] floats"
CHANNELS = 4
"""Largest number of channels; a last axis of at most this size holds channels."""


def npz(name: str, path: Path, frame: Frame, choice: Choice) -> Dataset:
    """Loads images or vectors, and labels if any, from an `.npz` or `.npy` file.

    Reads only the arrays in use, which `roles.assign` chooses and a log line names.
    Labels are integers, strings, bytes, booleans or one-hot rows.

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

    # Headers suffice to choose the arrays; _build reads those in use.
    roles = assign(name, headers, choice)
    # Before the check of the form, as an unreadable array may have none.
    check_readable(name, roles.images, headers[roles.images])
    made = _build(name, headers, read, roles, frame, f"the file {path}")
    # Identifies the examples, so that splits can be compared.
    source = Range(f"{path}, {roles.images}", 0, made.size)
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
    roles = assign(name, plain, choice)
    return _build(name, plain, plain.__getitem__, roles, frame, "arrays in memory")


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
    examples: Examples = {"image": _examples(where, images)}
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
    images = _examples(where, read(roles.images))
    examples: Examples = {"image": _framed(where, images, frame)}
    classes: tuple[str, ...] = ()
    if roles.labels is not None:
        # Labels of other splits take part, so that all splits number classes alike.
        others = [read(key) for key in roles.others]
        labeled = _labels(name, roles.labels, read(roles.labels), len(images), others)
        if labeled is not None:
            examples["label"], classes = labeled
    _log_roles(name, forms, roles, classes)
    return datasets.from_fields(name, examples, classes=classes, origin=origin)


def _labels(
    name: str, key: str, labels: np.ndarray, size: int, others: list[np.ndarray]
) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Returns class numbers and names, None if no example has a label."""
    where = f"{name}: array '{printable(key)}'"
    if are_absent(labels):
        LOG.info("%s is -1 throughout: there are no labels", where)
        return None
    numbers, classes = classify(where, labels, size, others)
    # A -1 may be a class of two (-1 and 1); among more it often means unlabeled.
    if labels.dtype.kind in "if" and classes[0] == "-1" and len(classes) > 2:
        LOG.warning(
            "%s has the value -1, which counts as a class; if it means no label, leave "
            "out those examples, or all labels with --label_field=none",
            where,
        )
    return numbers, classes


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


def check_form(where: str, form: Form) -> None:
    """Raises UsageError unless arrays of this shape and dtype are supported.

    Args:
      where: the name of the array, for errors.
      form: the array or its header.

    Raises:
      UsageError: if the array is not in one of `FORMS`, is empty, or has channels
        elsewhere than in the last of four axes.
    """
    shape, dtype = list(form.shape), form.dtype
    real = dtype.kind == "f"
    # Floats of any width, and unsigned integers of 8 or 16 bits.
    known = real or (dtype.kind == "u" and dtype.itemsize <= 2)
    if not known or len(shape) not in ((2, 3, 4) if real else (3, 4)):
        raise UsageError(f"{where} is {dtype} {shape}; use {FORMS}")
    if 0 in shape:
        raise UsageError(f"{where} is empty, {shape}; pass at least one example")
    # PyTorch stores channels first.
    if len(shape) == 4 and shape[-1] > CHANNELS:
        turned = "; try .transpose(0, 2, 3, 1)" if shape[1] <= CHANNELS else ""
        raise UsageError(
            f"{where} is {shape}; the 1 to {CHANNELS} channels must come last{turned}"
        )
    # [H, W, C] would otherwise be read as H gray images of W x C pixels.
    if len(shape) == 3 and shape[-1] <= CHANNELS < shape[1]:
        raise UsageError(
            f"{where} is {shape}, which is one picture with {shape[-1]} channels, or "
            f"{shape[0]} gray ones {shape[-1]} wide: use [n, H, W, C], for gray "
            "pictures array[..., None]"
        )


def _examples(where: str, array: np.ndarray) -> np.ndarray:
    """Returns `[n, H, W, C]` uint8, uint16 or float32, or `[n, d]` float32; checked."""
    if array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
        _check_floats(where, array)
    # Files may have the byte order of another machine.
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    # [n, H, W] to [n, H, W, 1].
    return array[..., None] if array.ndim == 3 else array


def _check_floats(where: str, array: np.ndarray) -> None:
    # NaN and infinities show up in the minimum or the maximum.
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise UsageError(f"{where} has values that are not finite; remove those rows")
    # Vectors may have any range.
    if array.ndim > 2 and (low < -1 or high > 1):
        raise UsageError(
            f"{where} ranges from {low:g} to {high:g}; "
            "scale floats to [-1, 1], or save images as uint8"
        )


def _framed(where: str, images: np.ndarray, frame: Frame) -> np.ndarray:
    if frame == Frame():
        return images
    if images.ndim == 2:
        raise UsageError(
            f"{where} holds vectors, not pictures; leave out --image_size and --crop"
        )
    # Images of the right size need no copy.
    if framed_size(frame, images.shape[1:3]) == images.shape[1:3]:
        return images
    framed = np.stack([fit_array(frame, image) for image in images])
    # Bicubic interpolation overshoots.
    return np.clip(framed, -1, 1) if framed.dtype == np.float32 else framed
