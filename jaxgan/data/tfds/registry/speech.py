"""Windows of recorded speech, for vocoders."""

from collections.abc import Iterable, Iterator

import numpy as np

from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.items import rank, within_time
from jaxgan.data.tfds.registry.packages import Package
from jaxgan.data.tfds.registry.recipe import Config, Contents, Recipe, Row, Splits
from jaxgan.types import ExampleSpec, Field

RATE = 16_000
"""Samples per second."""
WINDOW = 8_192
"""Samples of a window, half a second."""
STRIDE = 4_096
"""Distance of the windows of train, which overlap; those of test do not."""
HELD_OUT = 56
"""Number of recordings in the test split, a tenth of them."""
QUIET = 500
"""Largest absolute value, of 32,768, of a window of silence, which is left out."""

ASTERISK = Package(
    registry="Debian",
    name="asterisk-core-sounds-en-g722",
    version="",
    sha256="",
    license="CC-BY-SA 3.0",
    files=r"\./usr/share/asterisk/sounds/en_US_f_Allison/(?!silence/).+\.g722",
)

Recording = tuple[str, np.ndarray]
"""A unique name, and samples `[n]` int16."""


def asterisk(contents: Contents) -> Splits:
    """Decodes recordings, and cuts them into windows; none is in both splits.

    Raises:
      Unavailable: if a recording is damaged.
    """
    files = sorted(contents[ASTERISK.name].items())
    read = [(path.partition("Allison/")[2], decode(data)) for path, data in files]
    parts = hold_out(within_time(read), HELD_OUT)
    strides = {"train": STRIDE, "test": WINDOW}
    return {split: rows(part, strides[split]) for split, part in parts.items()}


def decode(data: bytes) -> np.ndarray:
    """Returns the samples of a G.722 recording of 64 kbit/s, `[n]` int16.

    Raises:
      Unavailable: if it holds no samples.
    """
    from G722 import G722  # pyright: ignore[reportMissingImports]

    samples = np.asarray(G722(RATE, 64_000).decode(data), np.int16)
    if not len(samples):
        raise Unavailable("a recording of the package is empty")
    return samples


def hold_out(recordings: Iterable[Recording], count: int) -> dict[str, list[Recording]]:
    """Splits whole recordings into train and test, by a fixed hash of their names."""
    ordered = sorted(recordings, key=lambda x: rank(x[0]))
    return {"train": sorted(ordered[count:]), "test": sorted(ordered[:count])}


def rows(recordings: Iterable[Recording], stride: int) -> Iterator[Row]:
    """Yields the windows of recordings that hold sound."""
    for name, samples in recordings:
        for start, window in windows(samples, stride):
            yield f"{name}_{start}", {"waveform": window[:, None]}


def windows(samples: np.ndarray, stride: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the first sample and the samples of windows that hold sound.

    Windows are on a grid in the middle of a recording. A shorter recording has none.

    Args:
      samples: `[n]` int16.
      stride: distance of neighbors.

    >>> loud = np.full(WINDOW + 10, 1000, np.int16)
    >>> [(start, len(window)) for start, window in windows(loud, 4)]
    [(1, 8192), (5, 8192), (9, 8192)]
    """
    rest = len(samples) - WINDOW
    for start in range(rest % stride // 2, rest + 1, stride) if rest >= 0 else ():
        window = samples[start : start + WINDOW]
        # int16 has no 32768, the absolute value of its least number.
        if max(int(window.max()), -int(window.min())) > QUIET:
            yield start, window


DESCRIPTION = (
    "Half a second, 8,192 samples at 16 kHz, of telephone prompts by one speaker."
)
SPEECH = {
    "asterisk": Recipe(
        DESCRIPTION,
        "Asterisk core sounds, https://www.asterisk.org, recorded by Allison Smith",
        (ASTERISK,),
        {
            "": Config(
                DESCRIPTION,
                ExampleSpec(
                    waveform=Field(
                        (WINDOW, 1), np.dtype(np.int16), "waveform", rate=RATE
                    )
                ),
                asterisk,
            )
        },
        modules=("G722",),
        install="'jaxgan[speech]'",
    )
}
"""Recipes of speech by name."""
