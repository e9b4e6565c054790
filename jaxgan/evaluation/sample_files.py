"""Writes samples to files: a grid, arrays, or one file each with a table of labels."""

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgan import reporting
from jaxgan.config.sampling import SampleConfig, seed_path, seed_paths
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.spectrogram_pictures import as_images, has_pictures
from jaxgan.files import atomic_write, check_writable
from jaxgan.reporting import sounds
from jaxgan.types import Field

FIELDS = ("file", "seed", "index", "label")
"""Columns of labels.csv. `label` is empty for an unconditional run."""

SHEET = "spectrograms.png"
"""Name of the picture of all sounds in a folder."""


def check_place(config: SampleConfig) -> None:
    """Checks that samples can be written, before any is drawn.

    Raises:
      UsageError: naming `--out`.
    """
    out = config.out
    if not config.single_files:
        check_writable("--out", out)
        files = seed_paths(out, config.seeds)
        existing = [file for file in files if os.path.lexists(file)]
        if existing and not config.overwrite:
            raise UsageError(
                f"--out={printable(str(existing[0]))} exists: use --overwrite, or "
                "another name"
            )
        return
    with written(out):
        # A file, or a folder that has content.
        occupied = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if occupied:
        raise UsageError(
            f"--out={out}/ is not an empty folder; use a new one, such as --out=new/"
        )


def usual_file(field: Field) -> str:
    """Returns the name of a file that samples of a field can be written to.

    >>> usual_file(Field((8, 8, 3))), usual_file(Field((4,), kind="tokens"))
    ('samples.png', 'samples.txt')
    >>> usual_file(Field((64, 1), kind="waveform", rate=8_000))
    'samples.wav'
    >>> usual_file(Field((2,), kind="vector"))
    'samples.npz'
    """
    if field.kind == "tokens":
        return "samples.txt"
    if is_sound(field):
        return "samples.wav"
    return "samples.png" if len(field.shape) == 3 else "samples.npz"


def is_sound(field: Field) -> bool:
    """Returns True for waveforms of a known rate, which sound files hold."""
    return field.kind == "waveform" and field.rate > 0


def check_form(config: SampleConfig, field: Field) -> None:
    """Raises UsageError if `--out` does not hold samples of a field."""
    if is_sound(field):
        return
    shown = f"samples of {list(field.shape)} {field.dtype}"
    if config.single_files:
        # PNG has height, width and channels, and 16 bits for a single channel only.
        is_picture = len(field.shape) == 3
        if is_picture and (field.dtype != np.uint16 or field.shape[-1] == 1):
            return
        usual = "samples.npz" if is_picture else usual_file(field)
        raise UsageError(
            f"--out={config.out}/: {shown} are not pictures; use --out={usual}"
        )
    if config.out.suffix == ".wav":
        raise UsageError(
            f"--out={config.out}: {shown} are not sounds of a known rate; use "
            f"--out={usual_file(field)}"
        )


def open_folder(config: SampleConfig) -> None:
    """Creates the folder of single files, if `--out` names one.

    Raises:
      UsageError: if it cannot be created.
    """
    if config.single_files:
        with written(config.out):
            config.out.mkdir(parents=True, exist_ok=True)


def write(
    config: SampleConfig,
    seed: int,
    samples: np.ndarray,
    field: Field,
    labels: np.ndarray | None = None,
    classes: tuple[str, ...] = (),
) -> Path:
    """Writes the samples of a seed.

    A .png is a grid, of spectrograms if samples are sounds, which a .wav holds one
    after the other. An .npz holds `samples` in the dtype of the data and, for a
    conditional run, `labels` `[n]` int32 and their names `classes`, or `attributes`
    `[n, k]` bool and `attribute_names`. A folder gets one
    .png or .wav per sample, a picture of all sounds, and labels.csv.

    Args:
      config: the output path.
      seed: of the samples.
      samples: `[n, ...]` float32, images in [-1, 1].
      field: of the data. uint8 images are written as 0 to 255, uint16 as 0 to 65535.
      labels: class of each sample, `[n]`, -1 if it is hidden, or attributes `[n, k]`;
        None for an unconditional run.
      classes: names of the classes, or of the attributes.

    Returns:
      The path of the file or folder.
    """
    if config.single_files:
        names = _names(labels, classes, len(samples))
        with written(config.out):
            _write_each(config.out, seed, samples, field, names)
            if has_pictures(field):
                sheet = seed_path(config.out / SHEET, seed, config.seeds)
                reporting.save_png(sheet, sheet_of(samples, field))
        return config.out
    # One file per seed.
    path = seed_path(config.out, seed, config.seeds)
    with written(path):
        if path.suffix == ".png":
            columns = config.n if config.conditions.rows else None
            reporting.save_png(path, sheet_of(samples, field, columns))
            return path
        if path.suffix == ".wav":
            whole = sounds.in_sequence(samples, field.rate)
            atomic_write(path, sounds.wav(whole, field.rate))
            return path
        arrays = {"samples": to_dtype(samples, field.dtype)}
        if labels is not None and labels.ndim == 2:
            arrays["attributes"] = labels > 0.5
            arrays["attribute_names"] = np.array(classes)
        elif labels is not None:
            arrays["labels"] = labels.astype(np.int32)
            arrays["classes"] = np.array(classes)
        # Compress to memory first, as the file is replaced in one step.
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
        atomic_write(path, content.getvalue())
    return path


def sheet_of(
    samples: np.ndarray, field: Field, columns: int | None = None
) -> reporting.Picture:
    """Returns a picture of samples: of sounds, their spectrograms.

    Args:
      samples: `[n, ...]` float32, images and waveforms in [-1, 1].
      field: of the data.
      columns: images in a row; by default the grid is nearly square.
    """
    shown = as_images(samples, field) if has_pictures(field) else samples
    return reporting.picture(shown, columns=columns)


def _names(
    labels: np.ndarray | None, classes: tuple[str, ...], count: int
) -> list[str]:
    """Returns the class of each sample, or its attributes, or empty texts.

    >>> _names(np.array([1, -1]), ("cat", "dog"), 2)
    ['dog', '']
    >>> _names(np.array([[1.0, 1.0]]), ("smiling", "hair=dark"), 1)
    ['smiling,hair=dark']
    """
    if labels is None:
        return [""] * count
    if labels.ndim == 1:
        return [classes[label] if label >= 0 else "" for label in labels]
    on = labels > 0.5
    return [",".join(classes[i] for i in np.flatnonzero(row)) for row in on]


def to_dtype(samples: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Converts samples in [-1, 1] to the dtype of the data: uint8, uint16 or int16.

    Other samples stay as they are, such as vectors and probabilities of tokens.

    >>> to_dtype(np.array([-1.0, 0.2, 1.0]), np.dtype(np.uint8))
    array([  0, 153, 255], dtype=uint8)
    >>> to_dtype(np.array([-1.0, 0.5, 1.0]), np.dtype(np.int16))
    array([-32768,  16384,  32767], dtype=int16)
    """
    if dtype == np.int16:
        return sounds.as_16_bit(samples)
    if dtype not in (np.uint8, np.uint16):
        return samples
    # From [-1, 1] to [0, top].
    top = np.iinfo(dtype).max
    return np.round((samples + 1) * (top / 2)).clip(0, top).astype(dtype)


def _write_each(
    folder: Path, seed: int, samples: np.ndarray, field: Field, names: list[str]
) -> None:
    """Writes one .png or .wav per sample, and appends to labels.csv."""
    is_sound = field.kind == "waveform"
    # PNG holds integers only.
    is_integer = np.issubdtype(field.dtype, np.integer)
    dtype = field.dtype if is_integer else np.dtype(np.int16 if is_sound else np.uint8)
    rows = []
    for index, sample in enumerate(to_dtype(samples, dtype)):
        name = f"seed{seed}_{index:05}.{'wav' if is_sound else 'png'}"
        if is_sound:
            (folder / name).write_bytes(sounds.wav(sample, field.rate))
        else:
            # Gray pictures have no axis of channels.
            pixels = sample[..., 0] if sample.shape[-1] == 1 else sample
            Image.fromarray(pixels).save(folder / name)
        rows.append((name, seed, index, names[index]))
    table = folder / "labels.csv"
    new = not table.exists()  # each seed appends its rows
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        # The first seed also writes the header.
        writer.writerows([FIELDS, *rows] if new else rows)


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Turns an OSError in the `with` block into a UsageError that names `--out`."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"--out={os.fspath(path)} cannot be written ({error.strerror or error}); "
            "use a writable folder with free space"
        ) from error
