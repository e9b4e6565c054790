"""SpecGAN: pictures of spectrograms, https://arxiv.org/abs/1802.04208, section 3.1.

Networks for images make log-mel spectrograms, which the task `spectrogram` compares
with those of the data, and inverts by Griffin-Lim for sampling. The paper has linear
frequencies, normalized one by one, and DCGAN; these are the networks of `small`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import FieldError
from jaxgan.networks import small
from jaxgan.networks.ops.spectra import MelSettings, invert_log_mel, log_mel
from jaxgan.networks.wavegan import waveform_field
from jaxgan.ranges import Width
from jaxgan.types import ExampleSpec, Field, Players

MELS = 64
"""Number of mel filters, unless the task says another."""
WINDOW = 0.064
"""Length of the window, in seconds; it is rounded to a power of two of samples."""
FLOOR, TOP = 2e-3, 4.0
"""Magnitudes that become -1 and 1 in a picture."""


def settings_of(field: Field, mels: int = MELS) -> MelSettings:
    """Returns the settings of the spectrograms of a field.

    Args:
      field: a waveform.
      mels: number of mel filters.

    Raises:
      FieldError: if its rate is unknown, or it is shorter than a window.

    >>> field = Field((8_192, 1), kind="waveform", rate=8_000)
    >>> settings_of(field)[:4], picture_shape(field)
    ((8000, 512, 128, 64), (64, 64, 1))
    """
    size = 2 ** round(np.log2(max(field.rate * WINDOW, 1)))
    if field.rate < 1_000 or field.shape[0] < size:
        raise FieldError(
            f"spectrograms need waveforms of a known rate and {WINDOW:g} seconds or "
            f"more, not {field.shape[0]} samples at {field.rate} Hz: use a longer "
            "waveform, or wavegan"
        )
    return MelSettings(field.rate, size, size // 4, mels, floor=FLOOR)


def picture_shape(field: Field, mels: int = MELS) -> tuple[int, int, int]:
    """Returns the frames, mels and channels of the picture of a waveform."""
    settings = settings_of(field, mels)
    # The last frame, which is centered at the end, is left out.
    return (field.shape[0] // settings.hop, settings.mels, field.shape[1])


def to_pictures(waveforms: jax.Array, field: Field, mels: int = MELS) -> jax.Array:
    """Returns log-mel spectrograms `[B, frames, mels, C]` in [-1, 1].

    Args:
      waveforms: `[B, T, C]` in [-1, 1].
      field: that of the waveforms.
      mels: number of mel filters.
    """
    settings, frames = settings_of(field, mels), picture_shape(field, mels)[0]
    mel = log_mel(jnp.moveaxis(waveforms, -1, 1), settings)[..., :frames, :]
    low, high = np.log(FLOOR), np.log(TOP)
    scaled = 2 * (jnp.moveaxis(mel, 1, -1) - low) / (high - low) - 1
    return jnp.clip(scaled, -1, 1)


def to_log_mel(pictures: jax.Array, field: Field) -> jax.Array:
    """Returns the log-mel spectrograms of pictures, as `log_mel` makes them.

    Args:
      pictures: `[B, frames, mels, C]`, as by `to_pictures`; others are clipped.
      field: that of the waveforms.

    Returns:
      `[B, C, 1 + T // hop, mels]`, natural logarithms of magnitudes.
    """
    low, high = np.log(FLOOR), np.log(TOP)
    mel = (jnp.clip(jnp.moveaxis(pictures, -1, 1), -1, 1) + 1) / 2 * (high - low) + low
    # The frame that was left out, and one more if the hop does not divide the length.
    missing = 1 + field.shape[0] // settings_of(field).hop - mel.shape[-2]
    return jnp.pad(mel, [(0, 0), (0, 0), (0, missing), (0, 0)], mode="edge")


def to_waveforms(pictures: jax.Array, field: Field, iterations: int = 60) -> jax.Array:
    """Returns waveforms `[B, T, C]` in [-1, 1] of spectrograms, by Griffin-Lim.

    Args:
      pictures: `[B, frames, mels, C]`, as by `to_pictures`; others are clipped.
      field: that of the waveforms.
      iterations: of Griffin-Lim.
    """
    mel, settings = to_log_mel(pictures, field), settings_of(field, pictures.shape[2])
    waveforms = invert_log_mel(mel, settings, field.shape[0], iterations)
    return jnp.clip(jnp.moveaxis(waveforms, 1, -1), -1, 1)


def pair(
    width: Width = 16, *, example: ExampleSpec, axis_name: str | None = None
) -> Players[nn.Module]:
    """Returns the networks of `small` for spectrograms, for the task `spectrogram`.

    Args:
      width: channels at the highest resolution; lower ones have up to four times as
        many.
      example: the fields of an example, of which the first, a waveform or the
        spectrogram of one, is generated.
      axis_name: unused, as nothing depends on the batch.

    Raises:
      FieldError: if samples are not waveforms of a known rate, or spectrograms.
    """
    del axis_name
    if example[example.generated].kind == "spectrogram":
        shape = example.shape
    else:
        shape = picture_shape(waveform_field(example, "specgan"))
    return Players(small.Generator(shape, width), small.Discriminator(width))
