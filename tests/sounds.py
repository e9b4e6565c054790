"""Sound files that tests make: tones of one frequency per class."""

import struct
from typing import Any

import numpy as np
from scipy.io import wavfile

RATE = 2_000


def tone(hertz, samples=600, rate=RATE, level=0.25):
    """A sine, `[samples]` float64."""
    return level * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)


def write(path, samples, rate=RATE, dtype: Any = np.int16):
    """Writes a WAV file of integers or floats; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.asarray(samples)
    if dtype == np.uint8:
        samples = np.round(samples * 127 + 128)
    elif np.issubdtype(dtype, np.integer):
        samples = np.round(samples * np.iinfo(dtype).max)
    wavfile.write(path, rate, samples.astype(dtype))
    return path


def write_24_bit(path, samples, rate=RATE):
    """Writes a WAV file of 24 bits, which SciPy cannot write."""
    integers = np.round(np.asarray(samples) * (2**23 - 1)).astype("<i4")
    data = integers.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 3 * rate, 3, 24)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    return path


def write_set(folder, count=40, names=("low", "high"), hertz=(150, 500), spread=0.1):
    """Writes tones of two classes in the splits train and test."""
    rng = np.random.default_rng(0)
    for split, number in (("train", count), ("test", count // 2)):
        for i in range(number):
            k = 1 - i % 2
            samples = tone(hertz[k] * rng.uniform(1 - spread, 1 + spread))
            write(folder / split / names[k] / f"{i:03}.wav", samples)
    return folder
