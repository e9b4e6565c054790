"""Data sets of TensorFlow Datasets by name, read without TensorFlow."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan import storage
from jaxgan.data import cache
from jaxgan.data.bad_examples import BadExample
from jaxgan.data.dataset import Dataset, Examples, Range
from jaxgan.data.decode import (
    MODE_OF,
    decode,
    dtype_of,
    example_shape,
    open_picture,
)
from jaxgan.data.resize import Frame, Size, scaled
from jaxgan.data.roles import Choice
from jaxgan.data.tfds import prepare
from jaxgan.data.tfds.builders import open_builder
from jaxgan.data.tfds.fields import (
    Encoded,
    Fields,
    check_labels,
    find_fields,
    without_absent_labels,
)
from jaxgan.data.tfds.tfrecord import TFRecords
from jaxgan.errors import UsageError, first_line, printable
from jaxgan.types import ExampleSpec, Field, image_example


class Picture(NamedTuple):
    """A feature that holds images, and the form in which they are read."""

    key: str
    mode: str
    frame: Frame
    shape: tuple[int, int, int]
    """Of the framed images."""


def tfds_set(
    name: str,
    choice: Choice,
    data_dir: str | None,
    frame: Frame,
    *,
    skip_bad: bool = False,
) -> Dataset:
    """Loads a data set of TFDS, and prepares it first if necessary.

    Args:
      name: `name[/config][:version]`, such as `mnist` or `emnist/balanced`.
      choice: the split, and the features that the user chose.
      data_dir: the folder of TFDS or its URL, None for its default.
      frame: the crop and the size.
      skip_bad: keeps images with damaged headers if True, so that `BadExample` is
        raised when they are read, and not now.

    Raises:
      UsageError: if there is no such data set, config, version or split, if it has no
        images, if several features could be meant, or if it cannot be prepared.
    """
    if data_dir is not None:
        data_dir = storage.data_folder("--data_dir", data_dir, name)
    split, builder = choice.split, open_builder(name, data_dir)
    # Before the preparation, which may take long.
    fields = find_fields(name, builder, choice)
    _check_frame(name, fields, frame)
    if not prepare.is_prepared(builder):
        prepare.prepare(builder)
        builder = open_builder(name, data_dir)  # now with the prepared splits
    instructions = instructions_of(name, builder, split)
    records = records_of(builder, instructions)
    encoded = _encoded_reader(name, builder, records, fields)
    # Labels of -1 throughout mean that there are none.
    fields = without_absent_labels(name, split, fields, encoded, len(records))
    # Some data sets do not state the size of their images.
    size = fields.size or _common_size(
        name, encoded, len(records), fields, frame, skip_bad
    )
    pictures = _pictures(fields, size, frame)
    return Dataset(
        name=name,
        size=len(records),
        example=_example(fields, pictures),
        read=_reader(name, encoded, fields, pictures),
        origin=f"TFDS {builder.info.full_name} {split}{prepare.origin_note(builder)}",
        cache=cache.place(Path(builder.data_path), split, frame, fields.stored),
        ranges=tuple(Range(i.filename, i.skip, i.skip + i.take) for i in instructions),
        encoded=_stored(builder, records, encoded),
        labels=_labels(name, encoded, fields),
        attributes=fields.attributes and fields.attributes.reader(encoded),
        aligned=not _splits(instructions) & set(getattr(builder, "unaligned", ())),
    )


def _pictures(fields: Fields, size: Size, frame: Frame) -> dict[str, Picture]:
    """Returns the features that hold images, by field.

    Images of other sizes than the first keep their ratio to it: with `--image_size=64`,
    the 32x32 source of a 128x128 image becomes 16x16.
    """
    found = {}
    if fields.mode:
        shape = example_shape(frame, size, fields.mode)
        found["image"] = Picture(fields.image, fields.mode, frame, shape)
    for key, field in fields.others.items():
        if field.kind == "image":
            height, width, channels = field.shape
            own = scaled(frame, height / size[0], width / size[1])
            mode = MODE_OF[channels]
            shape = example_shape(own, (height, width), mode)
            found[key] = Picture(key, mode, own, shape)
    return found


def _example(fields: Fields, pictures: Mapping[str, Picture]) -> ExampleSpec:
    """Returns the fields of the examples, with the sizes of framed images."""
    spec = ExampleSpec()
    if main := pictures.get("image"):
        spec = image_example(main.shape, dtype_of(main.mode), fields.classes)
    for key, field in fields.others.items():
        shape = pictures[key].shape if key in pictures else field.shape
        spec[key] = field._replace(shape=shape)
    if fields.classes and "label" not in spec:
        spec["label"] = Field((), np.dtype(np.int32), "label", fields.classes)
    if fields.attributes:
        spec["attributes"] = fields.attributes.field
    return spec


def _check_frame(name: str, fields: Fields, frame: Frame) -> None:
    """Raises UsageError if waveforms would be resized."""
    if not fields.mode and frame.size:
        raise UsageError(
            f"--image_size: --dataset={name} has no images to resize: leave it out"
        )


def instructions_of(name: str, builder: Any, split: str) -> list[Any]:
    """Returns the examples of a split by file, as TFDS's FileInstructions."""
    from etils import epath
    from tensorflow_datasets.core.data_sources import base

    splits = list(builder.info.splits)
    flag = f"--split={printable(split)}"
    try:
        instructions = base.file_instructions(builder.info, split)  # type: ignore[arg-type]
    except Exception as error:
        raise UsageError(
            f"{flag}: {name} has the splits {', '.join(splits)}; "
            f"use one of them, or a slice such as {splits[0]}[:10%]"
        ) from error
    # A slice may take no example of a file.
    instructions = [i for i in instructions if i.take > 0]
    if not instructions:
        raise UsageError(f"{flag}: holds no examples; use {splits[0]}")
    storage.fetch([shard.filename for shard in instructions])
    # A partly copied or removed set lacks files.
    for shard in instructions:
        if not epath.Path(shard.filename).exists():
            raise UsageError(
                f"--dataset={name}: {shard.filename} is missing; "
                "remove its folder to prepare the set again"
            )
    return instructions


def _splits(instructions: list[Any]) -> set[str]:
    """Returns the names of the splits that the instructions read from."""
    from tensorflow_datasets.core import naming

    files = [Path(i.filename).name for i in instructions]
    return {str(naming.FilenameInfo.from_str(file).split) for file in files}


def records_of(builder: Any, instructions: list[Any]) -> Any:
    """Returns the serialized examples of a split, with a length and `__getitems__`."""
    from tensorflow_datasets.core.utils.lazy_imports_utils import (
        array_record_data_source,
    )

    if builder.info.file_format.value == "tfrecord":
        return TFRecords(instructions)
    return array_record_data_source.ArrayRecordDataSource(instructions)


def _encoded_reader(name: str, builder: Any, records: Any, fields: Fields) -> Encoded:
    """Returns a function that reads examples without decoding their images."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    pictures = [k for k, f in features.items() if isinstance(f, tfds.features.Image)]
    # Images stay encoded: Pillow decodes them later, without TensorFlow.
    decoders = dict.fromkeys(pictures, tfds.decode.SkipDecoding())

    def read(numbers: Sequence[int]) -> list[dict[str, Any]]:
        try:
            serialized = records.__getitems__(list(numbers))
            return [
                features.deserialize_example_np(s, decoders=decoders)
                for s in serialized
            ]
        except Exception as error:  # damaged records raise many types
            if len(numbers) > 1:  # read one by one, to name the damaged one
                return [read([number])[0] for number in numbers]
            raise _broken(name, f"example {numbers[0]} cannot be read", error) from None

    return read


def _stored(
    builder: Any, records: Any, encoded: Encoded
) -> Callable[[np.ndarray], list[bytes]]:
    """Returns a function that maps numbers to the bytes that identify examples.

    They are the records. Of a builder that declares its fields, they are the pixels and
    arrays: where the set is prepared anew, its records may have another order of
    features, and its PNG files another compression.
    """
    if not hasattr(builder, "fields"):
        return lambda numbers: records.__getitems__(np.asarray(numbers).tolist())

    def content(value: Any) -> bytes:
        if not isinstance(value, bytes):
            return np.asarray(value).tobytes()
        with open_picture(value) as picture:
            return np.asarray(picture).tobytes()

    def read(numbers: np.ndarray) -> list[bytes]:
        examples = encoded(np.asarray(numbers).tolist())
        return [b"".join(content(e[k]) for k in sorted(e)) for e in examples]

    return read


def _broken(name: str, what: str, error: Exception) -> BadExample:
    return BadExample(
        f"--dataset={name}: {what} ({printable(first_line(error))})",
        "remove the set's folder to prepare it again",
    )


def _reader(
    name: str,
    encoded: Encoded,
    fields: Fields,
    pictures: Mapping[str, Picture],
) -> Callable[[np.ndarray], Examples]:
    """Returns the function `read` of the data set."""

    def read(numbers: np.ndarray) -> Examples:
        examples = encoded(np.asarray(numbers).tolist())
        out: Examples = {}
        for field, picture in pictures.items():
            images = np.empty((len(examples), *picture.shape), dtype_of(picture.mode))
            for i, example in enumerate(examples):
                where = name, int(numbers[i])
                images[i] = _decode(where, example[picture.key], picture)
            out[field] = images
        if fields.label is not None:
            out["label"] = _checked_labels(name, fields.label, examples)
        for key in [key for key in fields.others if key not in pictures]:
            out[key] = np.array([e[key] for e in examples], fields.others[key].dtype)
        if fields.attributes:
            out["attributes"] = fields.attributes.read(examples)
        return out

    return read


def _labels(
    name: str, encoded: Encoded, fields: Fields
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Returns a function from numbers to labels, None if there are no labels."""
    key = fields.label
    if key is None:
        return None
    return lambda numbers: _checked_labels(
        name, key, encoded(np.asarray(numbers).tolist())
    )


def _checked_labels(name: str, key: str, examples: list[dict[str, Any]]) -> np.ndarray:
    """Returns the labels of encoded examples, `[n]` int32."""
    labels = np.array([example[key] for example in examples], np.int32)
    # Only a sample of the labels was checked at the start.
    check_labels(name, key, labels)
    return labels


def _decode(where: tuple[str, int], data: bytes, form: Picture) -> np.ndarray:
    """Decodes an image; `where` is the data set and the example's number."""
    try:
        with open_picture(data) as picture:
            size = picture.height, picture.width
            if example_shape(form.frame, size, form.mode) == form.shape:
                # TFDS ignores the EXIF orientation.
                return decode(picture, form.mode, form.frame, upright=False)
    except UsageError:
        raise
    except Exception as error:  # Pillow's decoders raise many types
        raise _undecodable(*where, error) from error
    # The image opens, but has another size than the set.
    raise _differ(*where, size, form.shape)


def _common_size(
    name: str,
    encoded: Encoded,
    count: int,
    fields: Fields,
    frame: Frame,
    skip_bad: bool,
) -> Size:
    """Returns the size of all images, for data sets that do not state it."""

    def sizes(numbers: Sequence[int]) -> list[Size | None]:
        """Returns the size of each image, None for a bad one if `skip_bad`."""
        try:
            examples = zip(numbers, encoded(numbers), strict=True)
            return [_stored_size(name, n, e[fields.image]) for n, e in examples]
        except BadExample:
            if not skip_bad:
                raise
            if len(numbers) == 1:
                return [None]
            # Try each example, to find the bad ones.
            return [size for number in numbers for size in sizes([number])]

    # With a fixed output size, the first readable image is enough.
    first, at_once = None, 1 if frame.size else 1024
    for start in range(0, count, at_once):
        for size in filter(None, sizes(range(start, min(start + at_once, count)))):
            first = first or size
            if size != first:
                raise _differ(name, start, size, first)
        if first and frame.size:
            break
    if first is None:
        raise UsageError(f"--dataset={name}: none of {count:,} images can be read")
    return first


def _stored_size(name: str, number: int, data: bytes) -> Size:
    try:
        with open_picture(data) as picture:
            return picture.height, picture.width
    except Exception as error:
        raise _undecodable(name, number, error) from error


def _undecodable(name: str, number: int, error: Exception) -> BadExample:
    return _broken(name, f"the image of example {number} cannot be decoded", error)


def _differ(
    name: str, number: int, size: tuple[int, ...], other: tuple[int, ...]
) -> UsageError:
    return UsageError(
        f"--dataset={name}: images differ in size ({other[0]}x{other[1]}, and "
        f"{size[0]}x{size[1]} near example {number}); add --image_size=64x64"
    )
