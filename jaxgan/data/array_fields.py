"""Examples of several fields among the arrays of a file, by their exact names."""

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxgan.data.array_forms import as_examples, check_form, framed
from jaxgan.data.dataset import Dataset, Examples, from_fields
from jaxgan.data.labels import present
from jaxgan.data.resize import Frame, fit_masks, mismatch
from jaxgan.data.roles import Choice, Form, listed
from jaxgan.errors import UsageError, printable
from jaxgan.types import ExampleSpec, Field

LOG = logging.getLogger("jaxgan")

PAIRS = (("image", "source"), ("images", "sources"), ("B", "A"))
"""Names of the fields `image` and `source`."""
OTHERS = {
    **{name: name for name in ("target", "mask", "attributes", "target_attributes")},
    **{"label": "label", "labels": "label"},
}
"""Maps the names of other arrays to their fields."""
NAMES = "attribute_names"
"""The array with the names of attributes, `[k]` strings."""
PICTURES = ("image", "source", "target")


class Arrays(NamedTuple):
    """Named arrays, of which only those in use are read."""

    name: str
    """The name of the data set."""
    forms: Mapping[str, Form]
    read: Callable[[str], np.ndarray]

    def where(self, key: str) -> str:
        """Returns the name of an array for messages."""
        return f"{self.name}: array '{printable(key)}'"


def find_fields(forms: Mapping[str, Form], choice: Choice) -> dict[str, str]:
    """Returns the key of each field, if all names are those of fields.

    There are no fields beside `image` and `label` if another array has another name or
    form, if a split other than `train` is asked for, or if the user chose an array. The
    rules of `roles.assign` hold then.

    Args:
      forms: the arrays or their headers.
      choice: the split, and the arrays that the user chose.

    Returns:
      Keys by field, `image` first; empty if the rules of `roles.assign` hold.

    >>> pictures, ones = np.zeros((5, 8, 8), np.uint8), np.zeros(5)
    >>> find_fields({"A": pictures, "B": pictures, "label": ones}, Choice())
    {'image': 'B', 'source': 'A', 'label': 'label'}
    >>> find_fields({"image": pictures, "label": ones}, Choice())
    {}
    """
    if choice != Choice():
        return {}
    images = [pair for pair in PAIRS if pair[0] in forms]
    if len(images) != 1:
        return {}
    (image, source) = images[0]
    known = {image: "image", source: "source", **OTHERS}
    fields = {known[key]: key for key in known if key in forms}
    named = [*fields.values(), NAMES] if NAMES in forms else fields.values()
    # Another name, or two names of one field.
    if set(named) != set(forms) or set(fields) <= {"image", "label"}:
        return {}
    if not all(_is_picture(forms[fields[x]]) for x in PICTURES if x in fields):
        return {}  # such as class numbers named target
    # Python objects cannot be read, which is no error of arrays without use.
    if any(forms[key].dtype.hasobject for key in named):
        return {}
    return fields


def _is_picture(form: Form) -> bool:
    kind, size = form.dtype.kind, form.dtype.itemsize
    return len(form.shape) in (3, 4) and (kind == "f" or (kind == "u" and size <= 2))


def load_fields(
    arrays: Arrays, fields: dict[str, str], frame: Frame, origin: str
) -> Dataset:
    """Returns the data set of arrays whose fields are known.

    Args:
      arrays: `image`, `source` and `target` in the forms that `npz` reads; `mask`
        `[n, H, W]` or `[n, H, W, 1]` booleans, uint8, 0 and 1, or floats in [0, 1], 1
        in holes; `attributes` `[n, k]`, see `as_attributes`; labels.
      fields: the keys by field that `find_fields` returns.
      frame: the crop and the size of all images and masks.
      origin: the source of the data, in one line.

    Raises:
      UsageError: if lengths, sizes or values do not match.
    """
    _check_lengths(arrays, fields)
    _check_sizes(arrays, fields, frame)
    LOG.info(
        "%s: fields are %s",
        arrays.name,
        ", ".join(f"{k} {listed([x], arrays.forms)}" for k, x in fields.items()),
    )
    examples: Examples = {}
    names: dict[str, tuple[str, ...]] = {}
    for field, key in fields.items():
        where, array = arrays.where(key), arrays.read(key)
        if field in PICTURES:
            examples[field] = framed(where, as_examples(where, array), frame)
        elif field == "mask":
            examples[field] = fit_masks(frame, _masks(where, array))
        elif field != "label":
            examples[field] = as_attributes(where, array)
            names[field] = attribute_names(arrays, array.shape[1])
        elif labeled := present(where, array, len(array)):
            examples[field], names[field] = labeled
    kinds = {**dict.fromkeys(PICTURES, "image"), "target_attributes": "attributes"}
    spec = ExampleSpec(
        {
            k: Field(x.shape[1:], x.dtype, kinds.get(k, k), names.get(k, ()))
            for k, x in examples.items()
        }
    )
    return from_fields(arrays.name, examples, example=spec, origin=origin)


def _alone(arrays: Arrays, fields: dict[str, str]) -> str:
    """Returns the advice with which the other fields are left out."""
    return f"or read the images alone with --image_field={printable(fields['image'])}"


def _check_lengths(arrays: Arrays, fields: dict[str, str]) -> None:
    """Raises UsageError for arrays of unequal lengths and unsupported forms."""
    count = arrays.forms[fields["image"]].shape[0]
    for field, key in fields.items():
        form = arrays.forms[key]
        if field in PICTURES:
            check_form(arrays.where(key), form)
        # Scalars have no length.
        length = form.shape[0] if form.shape else 0
        if length != count:
            raise UsageError(
                f"{arrays.where(key)} has {length:,} examples and "
                f"'{fields['image']}' has {count:,}; save equally many, "
                f"{_alone(arrays, fields)}"
            )


def _check_sizes(arrays: Arrays, fields: dict[str, str], frame: Frame) -> None:
    """Raises UsageError for images and masks that do not cover each other."""
    image = arrays.forms[fields["image"]].shape[1:3]
    for field in ("source", "target", "mask"):
        if field not in fields:
            continue
        where, shape = arrays.where(fields[field]), arrays.forms[fields[field]].shape
        size = shape[1:3]
        # Sources alone may be smaller.
        problem = "save both in one size" if size != image else ""
        if field == "source":
            problem = mismatch((size[0], size[1]), (image[0], image[1]), frame)
        if field == "mask" and shape[3:] not in ((), (1,)):
            problem = "a mask has one channel, [n, H, W]"
        if problem:
            raise UsageError(
                f"{where} is {list(shape)} and '{fields['image']}' has images of "
                f"{'x'.join(map(str, image))}: {problem}, {_alone(arrays, fields)}"
            )


def _masks(where: str, array: np.ndarray) -> np.ndarray:
    """Returns masks `[n, H, W, 1]`: booleans, uint8 from 0 to 255, or float32."""
    array = _shares(where, array, "0 to 255 (uint8), ")
    return array[..., None] if array.ndim == 3 else array


def as_attributes(where: str, array: np.ndarray) -> np.ndarray:
    """Returns attributes `[n, k]`: booleans or float32.

    Args:
      where: the name of the array, for messages.
      array: booleans, 0 and 1, -1 and 1, or floats in [0, 1].

    Raises:
      UsageError: for another form.
    """
    if array.ndim != 2:
        raise UsageError(f"{where} is {list(array.shape)}; attributes are [n, k]")
    # As CelebA has them.
    if array.dtype.kind in "if" and np.isin(array, (-1, 1)).all():
        return array > 0
    return _shares(where, array)


def _shares(where: str, array: np.ndarray, also: str = "") -> np.ndarray:
    """Returns booleans for 0 and 1, float32 for floats in [0, 1].

    Where `also` names them, uint8 arrays of other values stay as they are.
    """
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind in "iuf" and array.size:
        if np.isin(array, (0, 1)).all():
            return array.astype(bool)
        if also and array.dtype == np.uint8:
            return array
        # NaN fails both comparisons.
        if array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1:
            return array.astype(np.float32)
        values = f"{array.dtype} from {array.min():g} to {array.max():g}"
    else:
        values = f"{array.dtype} {list(array.shape)}"
    raise UsageError(
        f"{where} is {values}; use booleans, 0 and 1, {also}or floats in [0, 1]"
    )


def attribute_names(arrays: Arrays, count: int) -> tuple[str, ...]:
    """Returns the names of attributes, their numbers if there are none.

    Raises:
      UsageError: if the array of names has another form.
    """
    if NAMES not in arrays.forms:
        return tuple(map(str, range(count)))
    names = arrays.read(NAMES)
    if names.shape != (count,) or names.dtype.kind != "U" or len({*names}) < count:
        raise UsageError(
            f"{arrays.where(NAMES)} is {names.dtype} {list(names.shape)}; save the "
            f"names of {count} attributes as different strings, [{count}]"
        )
    return tuple(map(str, names))
