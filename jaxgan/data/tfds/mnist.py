"""Preparation of MNIST-like data sets without TensorFlow, in TFDS's layout."""

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxgan.data.tfds.download import find_files
from jaxgan.data.tfds.messages import quiet_tfds

NAMES = ("mnist", "fashion_mnist", "kmnist")
"""Data sets that are stored as four gzipped idx files."""
SPLITS = {"train": "train", "test": "t10k"}
"""Maps splits to the prefixes of their files."""


def prepare(builder: Any) -> str:
    """Prepares a data set like TFDS's own builder, but without TensorFlow.

    TFDS's builder extracts and encodes with TensorFlow. The builder made here does both
    in Python, under the same name and version, so that `tfds.data_source` reads the
    result.

    Args:
      builder: TFDS's builder of one of `NAMES`.

    Returns:
      The origin of the files, in a few words.

    Raises:
      UsageError: if the files are unavailable.
    """
    import tensorflow_datasets as tfds

    root = Path(builder.data_dir_root)
    files, origin = find_files(builder, root / "downloads")
    plain = _plain_builder(type(builder), files)(data_dir=root)
    # Builds the set here, and asks no bucket for a prepared copy.
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with quiet_tfds():
        plain.download_and_prepare(file_format="array_record", download_config=config)
    return origin


def _plain_builder(base: Any, files: dict[str, Path]) -> Any:
    """Returns a subclass of TFDS's builder that reads `files`."""
    urls = list(base.url_infos)

    # Not registered, since TFDS accepts each name once.
    class Plain(base, skip_registration=True):  # type: ignore[call-arg]
        name = base.name
        pkg_dir_path = None

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            # The files are on disk; this records their sizes in TFDS's info.
            dl_manager.download(urls)
            return {split: _examples(files, part) for split, part in SPLITS.items()}

    return Plain


def _examples(
    files: dict[str, Path], part: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    images = read_idx(files[f"{part}-images-idx3-ubyte.gz"])
    labels = read_idx(files[f"{part}-labels-idx1-ubyte.gz"])
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        # Encoded here, as TFDS would use TensorFlow for it.
        yield number, {"image": _png(image), "label": int(label)}


def read_idx(path: Path) -> np.ndarray:
    """Reads a gzipped idx file of bytes; returns uint8 of the shape in its header."""
    data = gzip.decompress(path.read_bytes())
    # Header: two zeros, the dtype, the rank, and each dimension as big-endian uint32.
    rank = data[3]
    shape = np.frombuffer(data, ">u4", count=rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()
