"""Tiny Shakespeare, the text of TFDS, read like `text:PATH`."""

from typing import Any

from jaxgan import storage
from jaxgan.data.dataset import Dataset
from jaxgan.data.text_files import WHOLE
from jaxgan.data.text_set import TextReading, from_texts
from jaxgan.data.tfds import prepare
from jaxgan.data.tfds.builders import open_builder
from jaxgan.data.tfds.reader import instructions_of, records_of
from jaxgan.data.tfds.texts import FEATURE

SPLITS = ("train", "validation", "test")
"""The splits of TFDS, in the order of the text."""


def tiny_shakespeare(
    name: str, data_dir: str | None, reading: TextReading, *, split: str = "train"
) -> Dataset:
    """Loads plays of Shakespeare, and prepares the set if necessary.

    The splits are those of `text:PATH`. The last twentieth of the windows is about the
    test split of TFDS; lines are split by content, so that equal ones, such as the
    names of speakers, are in one split only.

    Args:
      name: `tiny_shakespeare`, which a version may follow.
      data_dir: the folder of TFDS or its URL, None for its default.
      reading: the way in which the text becomes examples.
      split: `train` or `test`.

    Raises:
      UsageError: if the set cannot be prepared, or there is no such split.
    """
    if data_dir is not None:
        data_dir = storage.data_folder("--data_dir", data_dir, name)
    builder = open_builder(name, data_dir)
    if not prepare.is_prepared(builder):
        prepare.prepare(builder)
        builder = open_builder(name, data_dir)  # now with the prepared splits
    origin = f"TFDS {builder.info.full_name}{prepare.origin_note(builder)}"
    whole = {WHOLE: "".join(_text(name, builder, x) for x in SPLITS)}
    return from_texts(name, whole, reading, split=split, origin=origin)


def _text(name: str, builder: Any, split: str) -> str:
    """Returns the text of a split of TFDS, which is its only example."""
    records = records_of(builder, instructions_of(name, builder, split))
    (stored,) = records.__getitems__([0])
    return builder.info.features.deserialize_example_np(stored)[FEATURE].decode()
