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
from jaxgan.config.sampling import SampleConfig, seed_path
from jaxgan.errors import UsageError
from jaxgan.files import atomic_write, check_writable

FIELDS = ("file", "seed", "index", "label")
"""Columns of labels.csv. `label` is empty for an unconditional run."""


def check_place(config: SampleConfig) -> None:
    """Checks that samples can be written, before any is drawn.

    Raises:
      UsageError: naming `--out`.
    """
    out = config.out
    if not config.single_files:
        check_writable("--out", out)
        return
    with written(out):
        # A file, or a folder that has content.
        occupied = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if occupied:
        raise UsageError(
            f"--out={out}/ is not an empty folder; use a new one, such as --out=new/"
        )


def open_folder(config: SampleConfig, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Creates the folder of single files, if `--out` names one.

    Raises:
      UsageError: if it cannot be created, or samples of this shape are not pictures.
    """
    if not config.single_files:
        return
    # A PNG has height, width and channels, and 16 bits for a single channel only.
    if len(shape) != 3 or (dtype == np.uint16 and shape[-1] > 1):
        raise UsageError(
            f"--out={config.out}/: samples of {list(shape)} {dtype} are not "
            "pictures; use --out=samples.npz"
        )
    with written(config.out):
        config.out.mkdir(parents=True, exist_ok=True)


def write(
    config: SampleConfig,
    seed: int,
    samples: np.ndarray,
    dtype: np.dtype,
    labels: np.ndarray | None = None,
    classes: tuple[str, ...] = (),
) -> Path:
    """Writes the samples of a seed.

    A .png is a grid. An .npz holds `samples` in the dtype of the data and, for a
    conditional run, `labels` `[n]` int32 and their names `classes`. A folder gets one
    .png per sample, and labels.csv.

    Args:
      config: the output path.
      seed: of the samples.
      samples: `[n, ...]` float32, images in [-1, 1].
      dtype: of the data. uint8 images are written as 0 to 255, uint16 as 0 to 65535.
      labels: class of each sample, `[n]`; None for an unconditional run.
      classes: names of the classes.

    Returns:
      The path of the file or folder.
    """
    if config.single_files:
        # The class of each sample, or empty texts.
        names = [""] * len(samples)
        if labels is not None:
            names = [classes[label] for label in labels]
        with written(config.out):
            _write_each(config.out, seed, samples, dtype, names)
        return config.out
    # One file per seed.
    path = seed_path(config.out, seed, config.seeds)
    with written(path):
        if path.suffix == ".png":
            reporting.save_png(path, reporting.picture(samples))
            return path
        arrays = {"samples": to_dtype(samples, dtype)}
        if labels is not None:
            arrays["labels"] = labels.astype(np.int32)
            arrays["classes"] = np.array(classes)
        # Compress to memory first, as the file is replaced in one step.
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
        atomic_write(path, content.getvalue())
    return path


def to_dtype(samples: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Converts samples in [-1, 1] to the dtype of the data: uint8, uint16 or int16.

    Other samples stay as they are, such as vectors and probabilities of tokens.

    >>> to_dtype(np.array([-1.0, 0.2, 1.0]), np.dtype(np.uint8))
    array([  0, 153, 255], dtype=uint8)
    >>> to_dtype(np.array([-1.0, 0.5, 1.0]), np.dtype(np.int16))
    array([-32768,  16384,  32767], dtype=int16)
    """
    if dtype == np.int16:
        return np.round(samples * 2**15).clip(-(2**15), 2**15 - 1).astype(dtype)
    if dtype not in (np.uint8, np.uint16):
        return samples
    # From [-1, 1] to [0, top].
    top = np.iinfo(dtype).max
    return np.round((samples + 1) * (top / 2)).clip(0, top).astype(dtype)


def _write_each(
    folder: Path, seed: int, samples: np.ndarray, dtype: np.dtype, names: list[str]
) -> None:
    """Writes one .png per sample, and appends to labels.csv."""
    # PNG holds integers only.
    integers = dtype if np.issubdtype(dtype, np.integer) else np.dtype(np.uint8)
    rows = []
    for index, sample in enumerate(to_dtype(samples, integers)):
        name = f"seed{seed}_{index:05}.png"
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
