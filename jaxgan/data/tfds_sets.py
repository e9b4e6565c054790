"""Data sets of TensorFlow Datasets by name, read without TensorFlow."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxgan.data import cache, prepare
from jaxgan.data.builders import open_builder
from jaxgan.data.dataset import Dataset, Examples, Range
from jaxgan.data.pictures import decode, dtype_of, example_shape
from jaxgan.data.resize import Frame
from jaxgan.data.roles import Choice
from jaxgan.data.tfds_fields import (
    Encoded,
    Fields,
    check_labels,
    find_fields,
    without_absent_labels,
)
from jaxgan.data.tfrecord import TFRecords
from jaxgan.errors import UsageError, first_line, printable


def tfds_set(name: str, choice: Choice, data_dir: str | None, frame: Frame) -> Dataset:
    """A data set of TFDS, such as `mnist` or `emnist/balanced`; prepared if need be.

    Raises UsageError for names, configs, versions and splits that there are not, for
    sets without images or with several, of which none is chosen, and where the set can
    be neither found nor prepared.
    """
    split, builder = choice.split, open_builder(name, data_dir)
    fields = find_fields(name, builder, choice)
    if not prepare.is_prepared(builder):
        prepare.prepare(builder)
        builder = open_builder(name, data_dir)
    instructions = _instructions(name, builder, split)
    records = _records(builder, instructions)
    encoded = _encoded_reader(builder, records, fields)
    fields = without_absent_labels(name, split, fields, encoded, len(records))
    size = fields.size or _common_size(name, encoded, len(records), fields, frame)
    shape = example_shape(frame, size, fields.mode)
    dtype = dtype_of(fields.mode)
    return Dataset(
        name=name,
        size=len(records),
        shape=shape,
        dtype=dtype,
        classes=fields.classes,
        read=_reader(name, encoded, fields, frame, shape),
        origin=f"TFDS {builder.info.full_name} {split}{prepare.origin_note(builder)}",
        cache=cache.place(
            Path(builder.data_path), split, frame, (fields.image, fields.label)
        ),
        ranges=tuple(Range(i.filename, i.skip, i.skip + i.take) for i in instructions),
        encoded=lambda numbers: records.__getitems__(np.asarray(numbers).tolist()),
    )


def _instructions(name: str, builder: Any, split: str) -> list[Any]:
    """Which examples of which files are in a split, as TFDS's FileInstructions."""
    from etils import epath
    from tensorflow_datasets.core.data_sources import base

    splits = list(builder.info.splits)
    said = f"--split={printable(split)}"
    try:
        instructions = base.file_instructions(builder.info, split)  # type: ignore[arg-type]
    except Exception as error:
        raise UsageError(
            f"{said}: {name} has the splits {', '.join(splits)}; "
            f"use one of them, or a slice such as {splits[0]}[:10%]"
        ) from error
    instructions = [i for i in instructions if i.take > 0]
    if not instructions:
        raise UsageError(f"{said}: holds no examples; use {splits[0]}")
    for shard in instructions:
        if not epath.Path(shard.filename).exists():
            raise UsageError(
                f"--dataset={name}: {shard.filename} is missing; "
                "remove its folder, and the set is prepared anew"
            )
    return instructions


def _records(builder: Any, instructions: list[Any]) -> Any:
    """The serialized examples of a split: has a length and `__getitems__`."""
    from tensorflow_datasets.core.utils.lazy_imports_utils import (
        array_record_data_source,
    )

    if builder.info.file_format.value == "tfrecord":
        return TFRecords(instructions)
    return array_record_data_source.ArrayRecordDataSource(instructions)


def _encoded_reader(builder: Any, records: Any, fields: Fields) -> Encoded:
    """Example numbers to examples whose images are still encoded."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    pictures = [k for k, f in features.items() if isinstance(f, tfds.features.Image)]
    wanted = dict.fromkeys(pictures, tfds.decode.SkipDecoding())

    def read(numbers: Sequence[int]) -> list[dict[str, Any]]:
        serialized = records.__getitems__(list(numbers))
        return [features.deserialize_example_np(s, decoders=wanted) for s in serialized]

    return read


def _reader(
    name: str, encoded: Encoded, fields: Fields, frame: Frame, shape: tuple[int, ...]
) -> Callable[[np.ndarray], Examples]:
    def read(numbers: np.ndarray) -> Examples:
        examples = encoded(np.asarray(numbers).tolist())
        images = np.empty((len(examples), *shape), dtype_of(fields.mode))
        for i, example in enumerate(examples):
            image = _decode(name, int(numbers[i]), example[fields.image], fields, frame)
            if image.shape != shape:
                raise _differ(name, int(numbers[i]), image.shape, shape)
            images[i] = image
        if fields.label is None:
            return {"image": images}
        labels = np.array([e[fields.label] for e in examples], np.int32)
        check_labels(name, fields.label, labels)
        return {"image": images, "label": labels}

    return read


def _decode(
    name: str, number: int, data: bytes, fields: Fields, frame: Frame
) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.format = None  # as stored: TFDS does not turn pictures upright
            return decode(picture, fields.mode, frame)
    except UsageError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything
        raise UsageError(
            f"--dataset={name}: the image of example {number} cannot be decoded "
            f"({first_line(error)}); remove the set's folder, prepare it anew"
        ) from error


def _common_size(
    name: str, encoded: Encoded, count: int, fields: Fields, frame: Frame
) -> tuple[int, int]:
    """The size of all images, from their headers, where the set does not state one."""
    first = None
    looked_at = 1 if frame.size else count  # what differs is then made equal
    for start in range(0, looked_at, 1024):
        for example in encoded(range(start, min(start + 1024, looked_at))):
            size = _stored_size(name, example[fields.image])
            first = first or size
            if size != first:
                raise _differ(name, start, size, first)
    assert first is not None
    return first


def _stored_size(name: str, data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.height, picture.width


def _differ(
    name: str, number: int, size: tuple[int, ...], other: tuple[int, ...]
) -> UsageError:
    return UsageError(
        f"--dataset={name}: images differ in size ({other[0]}x{other[1]}, and "
        f"{size[0]}x{size[1]} near example {number}); add --image_size=64x64"
    )
