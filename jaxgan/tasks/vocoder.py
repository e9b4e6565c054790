"""Vocoders: waveforms of log-mel spectrograms."""

from typing import Annotated

import jax

from jaxgan.errors import FieldError, LengthError, UsageError
from jaxgan.networks.ops.spectra import MelSettings, log_mel
from jaxgan.ranges import NonNegative, Positive, Range
from jaxgan.types import ExampleSpec, Generate, Players, Samples, Task, Tree

Size = Annotated[int, Range(16, 2**16)]
Hop = Annotated[int, Range(1, 2**15)]
Mels = Annotated[int, Range(1, 2**10)]


def vocoder(
    size: Size = 1_024,
    hop: Hop = 256,
    mels: Mels = 80,
    low: NonNegative = 0.0,
    high: NonNegative = 0.0,
    floor: Positive = 1e-5,
    *,
    example: ExampleSpec | None = None,
) -> Task:
    """Restores waveforms `[B, T, 1]` from their log-mel spectrograms.

    `fake = G(source)`, https://arxiv.org/abs/2010.05646, where `source` is the log-mel
    spectrogram `[B, 1 + T / hop, mels]` of the first field, and the condition. The
    reconstruction is the log-mel spectrogram of the fake, for the term `mel_l1(45)`,
    which it adds. The settings are those of the run: `jaxgan.apply` uses them too.

    Args:
      size: samples of the window of the Fourier transform.
      hop: samples from one frame to the next.
      mels: number of mel filters.
      low: the lowest frequency, in Hz.
      high: the highest frequency, in Hz; 0 for half the rate of the data.
      floor: the smallest magnitude, before the logarithm.
      example: the fields of an example.

    Raises:
      FieldError: if the first field is no waveform of one channel, or does not fit the
        settings.
      UsageError: for settings that do not fit each other. While tracing, if the
        generator makes another number of samples per frame than `hop`.
    """
    settings = mel_settings(size, hop, mels, low, high, floor, example=example)
    field = example.generated if example else "waveform"

    def spectrogram(x: jax.Array) -> jax.Array:
        return log_mel(x[..., 0], settings)

    def play(generator, batch, keys, step):
        real = batch[field]
        source = spectrogram(real)
        fake = generate(generator, source, hop)
        return Samples(real, fake, condition=source, reconstruction=spectrogram(fake))

    def transform(generator, inputs, keys):
        return generate(generator, spectrogram(inputs["source"]), hop)

    return Task(
        play,
        requires=(field,),
        inputs=(field,),
        preview=columns,
        defaults=Players("mel_l1(45)", ""),
        transform=transform,
        settings=settings,
    )


def mel_settings(
    size: Size = 1_024,
    hop: Hop = 256,
    mels: Mels = 80,
    low: NonNegative = 0.0,
    high: NonNegative = 0.0,
    floor: Positive = 1e-5,
    *,
    example: ExampleSpec | None = None,
) -> MelSettings:
    """Returns the settings of a `vocoder` of the same arguments.

    Raises:
      FieldError, UsageError: as in `vocoder`.
    """
    if size % 2 or 2 * hop > size:
        raise UsageError(
            f"vocoder(size={size}, hop={hop}) needs an even size, and a hop of at most "
            "half of it: use vocoder(size=1024, hop=256)"
        )
    rate = check_waveform(example, size, hop, high)
    if (high or rate / 2) <= low:
        raise UsageError(
            f"vocoder(low={low:g}, high={high:g}): low must be below high: use low=0"
        )
    return MelSettings(rate, size, hop, mels, low, high, floor)


SETTINGS = {"vocoder": mel_settings}
"""The settings of tasks that restore waveforms, by name."""


def generate(generator: Generate, source: jax.Array, hop: int) -> jax.Array:
    """Returns the waveforms of spectrograms; raises UsageError for another hop."""
    fake = generator(source)
    samples, frames = fake.shape[1], source.shape[1] - 1
    if samples != frames * hop:
        raise UsageError(
            f"vocoder(hop={hop}): the generator makes {samples / frames:g} samples per "
            f"frame: use vocoder(hop={samples // frames}), or other strides"
        )
    return fake


def columns(samples: Samples) -> dict[str, Tree]:
    """Returns the columns of a preview: waveforms."""
    return {"fake": samples.fake, "real": samples.real}


def other_hop(length: int, size: int) -> int:
    """Returns the largest hop that divides a length, 0 if all are far too small.

    >>> other_hop(45_158, 1_024), other_hop(45_161, 1_024), other_hop(512, 1_024)
    (337, 0, 0)
    """
    if length <= size // 2:
        return 0
    hops = range(size // 2, size // 16, -1)
    return next((hop for hop in hops if length % hop == 0), 0)


def check_waveform(
    example: ExampleSpec | None, size: int, hop: int, high: float
) -> int:
    """Returns the rate of the waveforms; raises FieldError unless they fit."""
    if example is None:
        return 16_000
    field = example[example.generated]
    if field.kind != "waveform" or field.shape[-1] != 1:
        raise FieldError(
            f"vocoder needs waveforms of one channel, not {field.kind} of shape "
            f"{list(field.shape)}: use a data set of sounds, such as asterisk"
        )
    length, rate = field.shape[0], field.rate or 16_000
    if length <= size // 2 or length % hop:
        raise LengthError(
            f"vocoder(size={size}, hop={hop}) needs waveforms of a multiple of {hop} "
            f"samples, more than {size // 2}, not {length}",
            max(length // hop, size // 2 // hop + 1) * hop,
            rate,
            other_hop(length, size),
        )
    if high > rate / 2:
        raise FieldError(
            f"vocoder(high={high:g}): waveforms of {rate:,} Hz have frequencies up to "
            f"{rate / 2:g} Hz: use high=0"
        )
    return rate
