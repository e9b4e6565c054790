"""Writes the TensorBoard events of a run."""

import contextlib
import io
import logging
import socket
import sys
import time
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.files import reason

log = logging.getLogger("jaxgan")

FLUSH_SECONDS = 120.0
MOST_SOUND = 2**22
"""Bytes of a sound in an event; longer ones would make event files huge."""

CLIENTS = ("boto3", "google.cloud.storage")
"""Clients of buckets that tensorboardX would import, which takes a second. Event files
of a bucket are mirrored like all others."""


class EventWriter:
    """Writes TensorBoard events in the calling thread.

    The first failure is logged and ends the writing of events, but never the run.
    (`tensorboardX.SummaryWriter` is not used: its writer thread dies at the first
    failure, and its callers then block forever.)
    """

    def __init__(self, folder: Path, resume_step: int = 0) -> None:
        self._file: Any = None
        self._flush_time = time.monotonic()
        self._guard(lambda: self._open(folder, resume_step))

    def write_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one point per curve."""
        self._write(
            step, lambda make: [make.scalar(name, x) for name, x in values.items()]
        )

    def write_text(self, step: int, name: str, text: str) -> None:
        """Writes a text, which TensorBoard renders as Markdown."""
        self._write(step, lambda make: [make.text(name, text)])

    def write_image(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Writes a picture, uint8 `[H, W]` or `[H, W, 3]`."""
        axes = "HWC" if pixels.ndim == 3 else "HW"
        self._write(step, lambda make: [make.image(name, pixels, dataformats=axes)])

    def write_sound(self, step: int, name: str, wav: bytes) -> None:
        """Writes the content of a WAV file, at most `MOST_SOUND` bytes."""
        if len(wav) <= MOST_SOUND:
            self._write(step, lambda make: [_audio(name, wav)])

    def close(self) -> None:
        """Flushes and closes the file."""
        self._guard(lambda: self._file and self._file.flush())
        self._end()

    def _open(self, folder: Path, resume_step: int) -> None:
        logging.getLogger("tensorboardX").setLevel(logging.ERROR)
        with _without(CLIENTS):
            from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # type: ignore

        # The time has a resolution of one second; the step makes the name unique.
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
        self._file = RecordWriter(str(folder / f"{name}.{resume_step:08}"))
        # Every event file begins with the version of the format.
        self._add(Event(file_version="brain.Event:2"))
        first = resume_step + 1 if resume_step else 0
        # Readers purge the events from step `first` on that an earlier file holds.
        start = SessionLog(status=SessionLog.START)
        self._add(Event(step=first, session_log=start))

    def _write(self, step: int, summaries: Callable[[Any], list[Any]]) -> None:
        def write():
            from tensorboardX import summary as make
            from tensorboardX.proto.event_pb2 import Event  # type: ignore

            for summary in summaries(make):
                self._add(Event(step=step, summary=summary))
            if time.monotonic() >= self._flush_time:
                self._flush_time = time.monotonic() + FLUSH_SECONDS
                self._file.flush()

        if self._file:
            self._guard(write)

    def _add(self, event: Any) -> None:
        event.wall_time = time.time()
        self._file.write(event.SerializeToString())

    def _guard(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:  # from tensorboardX, protobuf or the disk
            log.warning("TensorBoard events are no longer written: %s", reason(error))
            self._end()

    def _end(self) -> None:
        # Unset first, so that nothing is written from here on.
        file, self._file = self._file, None
        try:
            if file:
                file.close()
        except Exception as error:  # the first failure was already logged
            log.debug("%s", error)


@contextlib.contextmanager
def _without(modules: Sequence[str]) -> Iterator[None]:
    """Lets imports of modules fail that are not imported yet."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            # Another thread may have imported it.
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)


def _audio(name: str, content: bytes) -> Any:
    """Returns the summary of a WAV file, without the library that encodes sounds."""
    from tensorboardX.proto.summary_pb2 import Summary  # type: ignore

    with wave.open(io.BytesIO(content)) as file:
        facts = {
            "sample_rate": file.getframerate(),
            "num_channels": file.getnchannels(),
            "length_frames": file.getnframes(),
        }
    sound = Summary.Audio(
        **facts, encoded_audio_string=content, content_type="audio/wav"
    )
    return Summary(value=[Summary.Value(tag=name, audio=sound)])
