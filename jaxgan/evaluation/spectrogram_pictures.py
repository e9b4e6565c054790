"""Spectrograms of waveforms as images, for previews and sample sheets."""

import functools

import jax
import numpy as np

from jaxgan.errors import FieldError
from jaxgan.networks.spectrograms import settings_of, to_pictures
from jaxgan.types import Field

AT_ONCE = 256
"""Waveforms per compiled call, at most."""


def has_pictures(field: Field) -> bool:
    """Returns True for waveforms that are long enough for a spectrogram."""
    try:
        return field.kind == "waveform" and settings_of(field).size > 0
    except FieldError:
        return False


@functools.cache
def _compiled(field: Field):
    """Returns the compiled transform of a field."""
    return jax.jit(functools.partial(to_pictures, field=field))


def as_images(waveforms: np.ndarray, field: Field) -> np.ndarray:
    """Returns log-mel spectrograms with time to the right and low frequencies below.

    Args:
      waveforms: `[B, T, C]` in [-1, 1].
      field: that of the waveforms, see `has_pictures`.

    Returns:
      `[B, mels, frames, C]` float32 in [-1, 1], -1 for silence.
    """
    starts = range(0, len(waveforms), AT_ONCE)
    parts = [_compiled(field)(waveforms[i : i + AT_ONCE]) for i in starts]
    return np.concatenate(parts).swapaxes(1, 2)[:, ::-1]
