"""Texts of TFDS: preparation without TensorFlow, and reading."""

from pathlib import Path
from typing import Any

from jaxgan.data.tfds.download import find_files
from jaxgan.data.tfds.messages import quiet_tfds
from jaxgan.errors import UsageError

NAMES = ("tiny_shakespeare",)
"""Data sets of one running text in one file, which TFDS splits by characters."""

FEATURE = "text"
"""The feature of these sets, in one example for each split."""


def prepare(builder: Any) -> str:
    """Prepares a data set like TFDS's own builder, but without TensorFlow.

    Args:
      builder: TFDS's builder of one of `NAMES`.

    Returns:
      The origin of the file, in a few words.

    Raises:
      UsageError: if the file is unavailable.
    """
    import tensorflow_datasets as tfds

    root = Path(builder.data_dir_root)
    try:
        files, origin = find_files(builder, root / "downloads")
    except UsageError as error:
        raise UsageError(f"{error}, or use text:PATH for another text") from error
    (file,) = files.values()
    plain = _plain_builder(type(builder), file.read_bytes().decode())(data_dir=root)
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with quiet_tfds():
        plain.download_and_prepare(file_format="array_record", download_config=config)
    return origin


def _plain_builder(base: Any, text: str) -> Any:
    """Returns a subclass of TFDS's builder that has the text already."""

    # Not registered, since TFDS accepts each name once.
    class Plain(base, skip_registration=True):  # type: ignore[call-arg]
        name = base.name
        pkg_dir_path = None

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            del dl_manager
            parts = split_text(text).items()
            return {split: [(split, {FEATURE: part})] for split, part in parts}

    return Plain


def split_text(text: str) -> dict[str, str]:
    """Splits a text like TFDS: 90 % train, 5 % validation and 5 % test.

    >>> split_text("abcdefghijklmnopqrst")
    {'train': 'abcdefghijklmnopqr', 'validation': 's', 'test': 't'}
    """
    first = int(len(text) * 0.9)
    second = first + int((len(text) - first) * 0.5)
    return {
        "train": text[:first],
        "validation": text[first:second],
        "test": text[second:],
    }
