"""Prepares MNIST and its like without TensorFlow, in TFDS's standard layout."""

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
SPLITS = {"train": "train", "test": "t10k"}


def prepare(builder: Any) -> str:
    """Prepares what the stock builder would, and says where the files came from.

    TFDS's own builder for these sets extracts and encodes with TensorFlow; the one
    made here does both in Python. It goes by the same name and version, so that
    `tfds.data_source` reads the result. Raises UsageError if the files cannot be had.
    """
    import tensorflow_datasets as tfds

    root = Path(builder.data_dir_root)
    files, origin = find_files(builder, root / "downloads")
    plain = _plain_builder(type(builder), files)(data_dir=root)
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with quiet_tfds():
        plain.download_and_prepare(file_format="array_record", download_config=config)
    return origin


def _plain_builder(base: Any, files: dict[str, Path]) -> Any:
    urls = list(base.url_infos)

    class Plain(base, skip_registration=True):  # type: ignore[call-arg]
        name = base.name
        pkg_dir_path = None

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            # Already on disk and verified; told to TFDS for its record of sizes.
            dl_manager.download(urls)
            return {split: _examples(files, part) for split, part in SPLITS.items()}

    return Plain


def _examples(
    files: dict[str, Path], part: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    images = read_idx(files[f"{part}-images-idx3-ubyte.gz"])
    labels = read_idx(files[f"{part}-labels-idx1-ubyte.gz"])
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield number, {"image": _png(image), "label": int(label)}


def read_idx(path: Path) -> np.ndarray:
    """The array in a gzipped idx file of bytes: uint8, of the shape that it states."""
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    shape = np.frombuffer(data, ">u4", count=rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()
