"""Files of samples: a grid, arrays, or a picture each with a table of labels."""

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
"""The columns of labels.csv; `label` is empty in an unconditional run."""


def check_place(request: SampleConfig) -> None:
    """Checks, before anything is drawn, that the samples can be written.

    Raises:
      UsageError: naming `--out`.
    """
    out = request.out
    if not request.single_files:
        check_writable("--out", out)
        return
    with _written(out):
        taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if taken:
        raise UsageError(
            f"--out={out}/ is not an empty folder; name a new one, such as --out=new/"
        )


def open_folder(request: SampleConfig, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Makes the folder of single files, where they are asked for.

    Raises:
      UsageError: if it cannot be made, or if samples of the shape are no pictures.
    """
    if not request.single_files:
        return
    if len(shape) != 3 or (dtype == np.uint16 and shape[-1] > 1):
        raise UsageError(
            f"--out={request.out}/: samples of {list(shape)} {dtype} do not fit into "
            "files of pictures; use --out=samples.npz"
        )
    with _written(request.out):
        request.out.mkdir(parents=True, exist_ok=True)


def write(
    request: SampleConfig,
    seed: int,
    samples: np.ndarray,
    dtype: np.dtype,
    labels: np.ndarray | None = None,
    classes: tuple[str, ...] = (),
) -> Path:
    """Writes the samples of a seed and returns where they are.

    A grid as .png; as .npz `samples` in the data's own dtype and, of a conditional run,
    `labels` `[n]` int32 with the names `classes`; or a .png each, with labels.csv.

    Args:
      request: where to.
      seed: of the samples.
      samples: float32 `[n, ...]` in [-1, 1], or vectors.
      dtype: of the data: 8-bit images are 0 to 255, 16-bit images 0 to 65535.
      labels: the class of each sample `[n]`, None for an unconditional run.
      classes: their names.
    """
    if request.single_files:
        names = [""] * len(samples)
        if labels is not None:
            names = [classes[label] for label in labels]
        with _written(request.out):
            _write_each(request.out, seed, samples, dtype, names)
        return request.out
    path = seed_path(request.out, seed, request.seeds)
    with _written(path):
        if path.suffix == ".png":
            reporting.save_png(path, reporting.picture(samples))
            return path
        arrays = {"samples": to_dtype(samples, dtype)}
        if labels is not None:
            arrays["labels"] = labels.astype(np.int32)
            arrays["classes"] = np.array(classes)
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
        atomic_write(path, content.getvalue())
    return path


def to_dtype(samples: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Samples in [-1, 1] as the data have them; floats stay.

    >>> as_data(np.array([-1.0, 0.2, 1.0]), np.dtype(np.uint8))
    array([  0, 153, 255], dtype=uint8)
    """
    if not np.issubdtype(dtype, np.integer):
        return samples
    top = np.iinfo(dtype).max
    return np.round((samples + 1) * (top / 2)).clip(0, top).astype(dtype)


def _write_each(
    folder: Path, seed: int, samples: np.ndarray, dtype: np.dtype, names: list[str]
) -> None:
    integers = dtype if np.issubdtype(dtype, np.integer) else np.dtype(np.uint8)
    rows = []
    for index, sample in enumerate(to_dtype(samples, integers)):
        name = f"seed{seed}_{index:05}.png"
        pixels = sample[..., 0] if sample.shape[-1] == 1 else sample
        Image.fromarray(pixels).save(folder / name)
        rows.append((name, seed, index, names[index]))
    table = folder / "labels.csv"
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([FIELDS, *rows] if new else rows)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"--out={os.fspath(path)} cannot be written ({error.strerror or error}); "
            "use a folder of yours with space"
        ) from error
