"""Writes labeled sets: a folder per class, one `.npz` file, or a prepared TFDS set.

torchvision.datasets.ImageFolder("generated")           # --format=folder
numpy.load("generated/samples.npz")                     # --format=npz
tfds.builder_from_directory("generated/samples/1.0.0")  # --format=tfds
"""

import csv
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxgan.data.tfds.messages import quiet_tfds
from jaxgan.errors import UsageError, first_line, printable
from jaxgan.evaluation.sample_files import to_dtype, written
from jaxgan.files import atomic_write
from jaxgan.types import ExampleSpec

Part = tuple[int, np.ndarray]
"""A class, and samples of it, `[n, ...]` float32, images in [-1, 1]."""

NOTE = "export.json"
"""The file of a folder that lists its content, by which an export is known."""

NAME, VERSION, SPLIT = "samples", "1.0.0", "train"
"""Of a TFDS set."""

LONGEST = 100
"""Maximum number of bytes of a folder's name."""

RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices."""


def folder_names(classes: Sequence[str]) -> list[str]:
    """Returns a folder name for each class, safe on all systems and without repetition.

    Characters other than letters, digits, spaces and `_.,&()+-` become `_`. Names that
    differ in case only get a number, as some file systems do not tell them apart.

    >>> folder_names(["7", "a/b", "A_b", "..", "", "Smileys & Emotion"])
    ['7', 'a_b', 'A_b-2', '_', '_-2', 'Smileys & Emotion']
    """
    names: list[str] = []
    taken: set[str] = set()
    for text in classes:
        # Leading dots hide a folder, and Windows drops those at the end.
        name = re.sub(r"[^\w .,&()+-]", "_", text).strip(". ") or "_"
        name = name.encode()[:LONGEST].decode(errors="ignore").rstrip(". ")
        name = f"_{name}" if RESERVED.fullmatch(name) else name
        number, free = 1, name
        while free.casefold() in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(free.casefold())
        names.append(free)
    return names


def check_place(out: Path, form: str, *, overwrite: bool) -> None:
    """Checks that a labeled set can be written, before any sample is drawn.

    Args:
      out: a file for the format npz, else a folder.
      form: the format.
      overwrite: True to accept an earlier export.

    Raises:
      UsageError: naming `--out`.
    """
    shown = printable(str(out))
    if form == "npz":
        if out.exists() and not overwrite:
            raise UsageError(f"--out={shown} exists: add --overwrite to replace it")
        return
    with written(out):
        occupied = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if not occupied:
        return
    if not overwrite:
        raise UsageError(
            f"--out={shown}/ is not an empty folder: use a new one, or add --overwrite "
            "to replace an earlier labeled set"
        )
    if not (out / NOTE).is_file():
        raise UsageError(
            f"--out={shown}/ has no {NOTE}, so it is not an earlier labeled set, which "
            "alone --overwrite replaces: use a new folder, such as --out=new/"
        )


def check_pictures(out: Path, form: str, example: ExampleSpec) -> None:
    """Raises UsageError if samples cannot be written in a format."""
    shape, dtype = example.shape, example.dtype
    channels = (1, 3, 4) if form == "tfds" else (1, 2, 3, 4)
    is_picture = len(shape) == 3 and shape[-1] in channels
    # A PNG has 16 bits for a single channel only.
    if form != "npz" and (not is_picture or (dtype == np.uint16 and shape[-1] > 1)):
        raise UsageError(
            f"--out={printable(str(out))}/: samples of {list(shape)} {dtype} are not "
            "pictures: use --format=npz"
        )


def write(
    out: Path,
    form: str,
    example: ExampleSpec,
    parts: Iterable[Part],
    facts: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> Path:
    """Writes a labeled set.

    Args:
      out: a file for the format npz, else a folder.
      form: one of `WRITERS`.
      example: the fields of the data; samples are written in their dtype.
      parts: samples by class.
      facts: about the run, for the note.
      overwrite: True to replace an earlier export.

    Returns:
      The path of what was written.

    Raises:
      UsageError: naming `--out`, if it exists or cannot be written.
    """
    check_place(out, form, overwrite=overwrite)
    with written(out):
        folder = out.parent if form == "npz" else out
        folder.mkdir(parents=True, exist_ok=True)
        if form != "npz":
            remove_earlier(out)
            content = [NAME] if form == "tfds" else folder_names(example.classes)
            content += ["labels.csv"] if form == "folder" else []
            # First, so that an interrupted export can be replaced too.
            note = {**facts, "format": form, "content": content}
            atomic_write(out / NOTE, json.dumps(note, indent=1).encode())
        return WRITERS[form](out, example, parts)


def remove_earlier(folder: Path) -> None:
    """Removes the files of an earlier export, and no others."""
    try:
        content = json.loads((folder / NOTE).read_text())["content"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--out={printable(str(folder))}/: its {NOTE} is damaged: use a new folder"
        ) from error
    for name in content:
        place = folder / Path(name).name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def _write_folder(out: Path, example: ExampleSpec, parts: Iterable[Part]) -> Path:
    """Writes a folder per class, and labels.csv with the names of the classes."""
    names, classes = folder_names(example.classes), example.classes
    for name in names:
        (out / name).mkdir()
    with open(out / "labels.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file", "label", "class"))
        for label, index, pixels in _numbered(example, parts):
            path = f"{names[label]}/{index:06}.png"
            Image.fromarray(pixels).save(out / path)
            table.writerow((path, label, classes[label]))
    return out


def _write_npz(out: Path, example: ExampleSpec, parts: Iterable[Part]) -> Path:
    """Writes `samples` in the dtype of the data, `labels` int32, and `classes`."""
    samples, labels = [], []
    for label, part in parts:
        samples.append(to_dtype(part, example.dtype))
        labels.append(np.full(len(part), label, np.int32))
    content = io.BytesIO()
    np.savez_compressed(
        content,
        samples=np.concatenate(samples),
        labels=np.concatenate(labels),
        classes=np.array(example.classes),
    )
    atomic_write(out, content.getvalue())
    return out


def _write_tfds(out: Path, example: ExampleSpec, parts: Iterable[Part]) -> Path:
    """Prepares a TFDS set with the split train, without TensorFlow."""
    import tensorflow_datasets as tfds

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        numbered = _numbered(example, parts)
        for number, (label, _, pixels) in enumerate(numbered):
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "png")
            yield number, {"image": file.getvalue(), "label": label}

    builder = _builder_class(example, rows)(data_dir=os.fspath(out))
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        # TFDS makes a folder of downloads, even if there are none.
        with quiet_tfds(), tempfile.TemporaryDirectory() as downloads:
            builder.download_and_prepare(
                download_dir=downloads,
                file_format="array_record",
                download_config=config,
            )
    except (OSError, UsageError):
        raise
    except Exception as error:  # array_record raises many types, as for a full disk
        raise UsageError(
            f"--out={printable(str(out))}/ cannot be written ({first_line(error)}); "
            "free some space, or use another folder"
        ) from error
    return Path(builder.data_path)


def _builder_class(
    example: ExampleSpec, rows: Callable[[], Iterator[tuple[int, dict[str, Any]]]]
) -> Any:
    """Returns the class of a TFDS builder of images and labels."""
    import tensorflow_datasets as tfds

    features = {
        "image": tfds.features.Image(
            shape=example.shape, dtype=_integers(example), encoding_format="png"
        ),
        # A line of TFDS's file of names holds one of them.
        "label": tfds.features.ClassLabel(
            names=[printable(x) for x in example.classes]
        ),
    }

    # Not registered, since TFDS accepts each name once.
    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
        VERSION = tfds.core.Version(VERSION)
        name = NAME
        pkg_dir_path = None

        def _info(self) -> Any:
            return tfds.core.DatasetInfo(
                builder=self,
                description="Samples of a conditional GAN.",
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
                disable_shuffling=True,  # class by class, as they were drawn
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            del dl_manager
            return {SPLIT: self._generate_examples()}

        def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
            yield from rows()

    return Builder


def _integers(example: ExampleSpec) -> np.dtype:
    """Returns the dtype of pictures; PNG holds integers only."""
    integers = np.issubdtype(example.dtype, np.integer)
    return example.dtype if integers else np.dtype(np.uint8)


def _numbered(
    example: ExampleSpec, parts: Iterable[Part]
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yields the class, the number in the class and the pixels of each sample."""
    done = [0] * len(example.classes)
    for label, samples in parts:
        for pixels in to_dtype(samples, _integers(example)):
            # Gray pictures have no axis of channels.
            yield (
                label,
                done[label],
                pixels[..., 0] if pixels.shape[-1] == 1 else pixels,
            )
            done[label] += 1


WRITERS: dict[str, Callable[[Path, ExampleSpec, Iterable[Part]], Path]] = {
    "folder": _write_folder,
    "npz": _write_npz,
    "tfds": _write_tfds,
}
"""Functions that write samples to a file or a folder that is theirs, by format."""
