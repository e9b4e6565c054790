"""Shards of small pictures in the formats that are read."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def pictures(count: int, size: int = 8, seed: int = 0) -> list[np.ndarray]:
    """Random RGB pictures."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (size, size, 3), np.uint8) for _ in range(count)]


def encode(image: np.ndarray, suffix: str = "png") -> bytes:
    """The image as a file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, suffix)
    return file.getvalue()


def write_tar(file: Path, samples: Sequence[dict[str, bytes]], first: int = 0) -> None:
    """Writes samples of content by suffix, under keys of six digits."""
    with tarfile.open(file, "w") as tar:
        for number, sample in enumerate(samples, first):
            for suffix, content in sample.items():
                info = tarfile.TarInfo(f"{number:06}.{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def write_array_record(file: Path, records: Sequence[bytes]) -> None:
    """Writes records for random access."""
    from array_record.python.array_record_module import ArrayRecordWriter

    writer = ArrayRecordWriter(str(file), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


def tf_example(**values: Any) -> bytes:
    """A serialized `tf.train.Example`."""
    from tensorflow_datasets.proto import tf_example_pb2

    example = tf_example_pb2.Example()  # type: ignore[attr-defined]
    for name, value in values.items():
        feature = example.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, float):
            feature.float_list.value.append(value)
        else:
            feature.int64_list.value.append(value)
    return example.SerializeToString()


def write_parquet(
    file: Path,
    columns: dict[str, list[Any]],
    *,
    names: Sequence[str] = (),
    rows: int = 4,
) -> None:
    """Writes a table in the layout of Hugging Face; `names` are classes of `label`."""
    import pyarrow as pa
    from pyarrow import parquet

    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if names:
        features["label"] = {"names": list(names), "_type": "ClassLabel"}
    text = json.dumps({"info": {"features": features}})
    table = pa.table(columns).replace_schema_metadata({"huggingface": text})
    parquet.write_table(table, file, row_group_size=rows)
