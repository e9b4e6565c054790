"""Pictures in a folder: `folder:PATH`, with class sub-folders or without."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgan.data.dataset import Dataset, Examples
from jaxgan.data.pictures import (
    Header,
    common_mode,
    decode,
    dtype_of,
    example_shape,
    header,
)
from jaxgan.data.resize import Frame, Size, framed_size
from jaxgan.errors import UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def folder(name: str, path: Path, frame: Frame) -> Dataset:
    """All pictures below `path`, in the order of their names.

    First-level sub-folders are the classes; pictures directly in `path` have none. A
    mixture of gray and colour is read as the widest of L, RGB and RGBA. Every header is
    read now, pixels later. Raises UsageError if there is nothing to read, if a file is
    broken, or if sizes differ and `frame` does not make them equal.
    """
    files = _find(name, path)
    classes, labels = _classes(name, path, files)
    headers = _headers(name, files)
    mode = common_mode(
        {h.mode: str(f) for h, f in zip(headers, files, strict=True)}, name
    )
    _check_sizes(name, files, headers, frame)
    shape = example_shape(frame, headers[0].size, mode)

    def read(numbers: np.ndarray) -> Examples:
        numbers = np.asarray(numbers)
        images = [_picture(name, files[n], mode, frame) for n in numbers]
        _check_shapes(name, [files[n] for n in numbers], images, shape)
        examples = {"image": np.stack(images)}
        return {**examples, "label": labels[numbers]} if classes else examples

    origin = f"{len(files)} pictures in {path}"
    return Dataset(
        name,
        len(files),
        shape,
        dtype_of(mode),
        classes,
        read,
        origin=origin,
        encoded=lambda numbers: [files[n].read_bytes() for n in numbers],
    )


def _find(name: str, path: Path) -> list[Path]:
    if not path.exists():
        raise UsageError(f"{name}: there is no folder {path}")
    if not path.is_dir():
        raise UsageError(f"{name}: {path} is not a folder; give the one it lies in")
    found = []
    for place, folders, files in os.walk(path):
        folders[:] = [f for f in folders if not f.startswith((".", "__MACOSX"))]
        found += [
            Path(place, f)
            for f in files
            if f.lower().endswith(SUFFIXES) and not f.startswith(".")
        ]
    if not found:
        kinds = ", ".join(s[1:] for s in SUFFIXES)
        raise UsageError(f"{name}: holds no pictures ({kinds}), nor do its sub-folders")
    return sorted(found, key=lambda f: f.relative_to(path).parts)


def _classes(
    name: str, path: Path, files: list[Path]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names, sorted, and the class of each file, `[n]` int32."""
    places = [f.relative_to(path).parts for f in files]
    loose = next((p[0] for p in places if len(p) == 1), None)
    nested = next((p[0] for p in places if len(p) > 1), None)
    if nested is None:
        return (), np.zeros(len(files), np.int32)
    if loose is not None:
        raise UsageError(
            f"{name}: pictures lie both beside ({loose}) and inside ({nested}/) class "
            "folders; move them all into folders, or all out of them"
        )
    classes = sorted({p[0] for p in places})
    number = {c: i for i, c in enumerate(classes)}
    return tuple(classes), np.array([number[p[0]] for p in places], np.int32)


def _headers(name: str, files: list[Path]) -> list[Header]:
    def read(file: Path) -> Header:
        try:
            with Image.open(file) as picture:
                return header(picture)
        except Exception as error:  # Pillow's decoders raise nearly anything
            raise _broken(name, file, error) from error

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(read, files))


def _picture(name: str, file: Path, mode: str, frame: Frame) -> np.ndarray:
    try:
        with Image.open(file) as picture:
            return decode(picture, mode, frame)
    except UsageError:
        raise
    except Exception as error:
        raise _broken(name, file, error) from error


def _broken(name: str, file: Path, error: Exception) -> UsageError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UsageError(
        f"{name}: {file} cannot be read as a picture ({reason}); mend or remove it"
    )


def _check_sizes(
    name: str, files: list[Path], headers: list[Header], frame: Frame
) -> None:
    first = _framed_size(files[0], headers[0], frame)
    for file, one in zip(files, headers, strict=True):
        if _framed_size(file, one, frame) != first:
            (high, wide), (other_high, other_wide) = headers[0].size, one.size
            raise UsageError(
                f"{name}: pictures differ in size ({files[0]} is {high}x{wide}, {file} "
                f"is {other_high}x{other_wide}); make them one with --image_size=64x64"
            )


def _framed_size(file: Path, one: Header, frame: Frame) -> Size:
    try:
        return framed_size(frame, one.size)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None


def _check_shapes(
    name: str, files: list[Path], images: list[np.ndarray], shape: tuple[int, ...]
) -> None:
    for file, image in zip(files, images, strict=True):
        if image.shape != shape:
            raise UsageError(f"{name}: {file} has changed since this run began")
