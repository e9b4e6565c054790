"""Random access to TFRecord files without TensorFlow.

Each record is `length` (8 bytes), its checksum (4), the data, and their checksum (4);
see https://www.tensorflow.org/tutorials/load_data/tfrecord. Shards are indexed once, by
skipping from length to length. Checksums are not verified.
"""

import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgan.errors import UsageError


class TFRecords:
    """The records of several shards, as a sequence of bytes; reads are thread-safe."""

    def __init__(self, instructions: Sequence[Any]):
        """Indexes the records.

        Args:
          instructions: TFDS's FileInstructions, each a file, a `skip` and a `take`.

        Raises:
          UsageError: if a file ends within a record.
        """
        self._files = [os.open(i.filename, os.O_RDONLY) for i in instructions]
        kept = []
        for number, i in enumerate(instructions):
            spans = _spans(self._files[number], i.filename)
            stop = None if i.take == -1 else i.skip + i.take  # -1 takes all
            kept += [(number, *span) for span in spans[i.skip : stop]]
        # Columns: file, offset, length.
        self._records = np.array(kept, np.int64).reshape(-1, 3)

    def __len__(self) -> int:
        return len(self._records)

    def __getitems__(self, numbers: Sequence[int]) -> list[bytes]:
        """Returns the records with these numbers; named like that of `array_record`."""
        return [
            os.pread(self._files[file], length, offset)
            for file, offset, length in self._records[np.asarray(numbers)].tolist()
        ]


def _spans(file: int, name: str) -> list[tuple[int, int]]:
    """Returns offset and length of the data of each record."""
    end, position, spans = os.fstat(file).st_size, 0, []
    while position < end:
        head = os.pread(file, 8, position)
        # A length that is cut off fails the check below.
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else end
        # 16 bytes of each record are lengths and checksums.
        if position + length + 16 > end:
            raise UsageError(
                f"{name} ends within a record; remove its folder to prepare the set "
                "again"
            )
        # The data follow the length and its checksum, 12 bytes.
        spans.append((position + 12, length))
        position += length + 16
    return spans
