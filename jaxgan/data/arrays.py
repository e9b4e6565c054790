"""Data sets in one NumPy file: `npz:PATH`."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxgan.data.dataset import Dataset, Examples, from_arrays
from jaxgan.data.resize import Frame, fit_array, framed_size
from jaxgan.errors import UsageError

IMAGES = ("images", "image", "x")
LABELS = ("labels", "label", "y")
FORMS = "[n, H, W], [n, H, W, C] (uint8, uint16 or floats in [-1, 1]) or [n, d] floats"


def npz(name: str, path: Path, frame: Frame) -> Dataset:
    """The arrays of an `.npz` file: images or vectors, and labels if it has them.

    Images are the array named `images`, `image` or `x`, else the first; labels are the
    one named `labels`, `label` or `y`, integers or strings. Raises UsageError if the
    file cannot be read, or holds no examples of one of the forms that we know.
    """
    arrays = _read(name, path)
    key = next((k for k in IMAGES if k in arrays), None)
    key = key or next((k for k in arrays if k not in LABELS), None)
    if key is None:
        raise UsageError(f"{name}: holds no array of images; save one named 'images'")
    where = f"{name}: array '{key}'"
    examples: Examples = {"image": _framed(where, _examples(where, arrays[key]), frame)}
    classes: tuple[str, ...] = ()
    for label in (k for k in LABELS if k in arrays):
        where = f"{name}: array '{label}'"
        examples["label"], classes = _labels(where, arrays[label], len(arrays[key]))
        break
    return from_arrays(name, examples, classes=classes, origin=f"the file {path}")


def _read(name: str, path: Path) -> Examples:
    if not path.is_file():
        raise UsageError(f"{name}: there is no file {path}")
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"images": loaded}
            return {k: loaded[k] for k in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"{name}: cannot be read as an .npz of plain arrays ({reason}); "
            "write it with numpy.savez"
        ) from error


def _examples(where: str, array: np.ndarray) -> np.ndarray:
    """`[n, H, W, C]` uint8, uint16 or float32, or `[n, d]` float32; checked."""
    shape = list(array.shape)
    real = array.dtype.kind == "f"
    if not (real or array.dtype in (np.uint8, np.uint16)) or array.ndim not in (
        2,
        3,
        4,
    ):
        raise UsageError(f"{where} is {array.dtype} {shape}; give {FORMS}")
    if array.size == 0:
        raise UsageError(f"{where} is empty, {shape}; give at least one example")
    if array.ndim == 2 and not real:
        raise UsageError(f"{where} is {array.dtype} {shape}; give {FORMS}")
    if array.ndim == 4 and shape[-1] > 4:
        raise UsageError(f"{where} is {shape}; channels, 1 to 4 of them, come last")
    if real:
        array = array.astype(np.float32)
        _check_floats(where, array)
    return array[..., None] if array.ndim == 3 else array


def _check_floats(where: str, array: np.ndarray) -> None:
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise UsageError(f"{where} has values that are not finite; remove those rows")
    if array.ndim > 2 and (low < -1 or high > 1):
        raise UsageError(
            f"{where} reaches from {low:g} to {high:g}; "
            "scale floats to [-1, 1], or save images as uint8"
        )


def _framed(where: str, images: np.ndarray, frame: Frame) -> np.ndarray:
    if frame == Frame():
        return images
    if images.ndim == 2:
        raise UsageError(
            f"{where} holds vectors, not pictures; leave out --image_size and --crop"
        )
    if framed_size(frame, images.shape[1:3]) == images.shape[1:3]:
        return images
    framed = np.stack([fit_array(frame, image) for image in images])
    return np.clip(framed, -1, 1) if framed.dtype == np.float32 else framed


def _labels(
    where: str, labels: np.ndarray, size: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    if labels.shape not in ((size,), (size, 1)):
        shape = list(labels.shape)
        raise UsageError(f"{where} is {shape}; give one label per example, [{size}]")
    labels = labels.reshape(size)
    if labels.dtype.kind == "U":
        names, numbers = np.unique(labels, return_inverse=True)
        return numbers.astype(np.int32), tuple(str(n) for n in names)
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise UsageError(f"{where} is not of class numbers 0, 1, 2 ... or of names")
    names = tuple(str(i) for i in range(int(labels.max()) + 1))
    return labels.astype(np.int32), names
