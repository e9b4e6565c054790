"""Generation of spectrograms, which are waveforms in the end."""

from typing import Annotated

import jax

from jaxgan.networks.spectrograms import (
    MELS,
    picture_shape,
    settings_of,
    to_pictures,
    to_waveforms,
)
from jaxgan.networks.wavegan import waveform_field
from jaxgan.ranges import Range, Width
from jaxgan.tasks.conditional import conditional as conditional_task
from jaxgan.tasks.generate import generate
from jaxgan.types import Batch, ExampleSpec, Field, Samples, Task


def spectrogram(
    dim: Width = 64,
    latents: str = "normal",
    conditional: bool = False,
    iterations: Annotated[int, Range(1, 10_000)] = 32,
    mels: Annotated[int, Range(4, 2**10)] = MELS,
    *,
    example: ExampleSpec,
) -> Task:
    """Generates log-mel spectrograms from noise, and perhaps a label.

    SpecGAN, https://arxiv.org/abs/1802.04208. A train step compares spectrograms
    `[B, frames, mels, 1]` in [-1, 1]. Samples are waveforms, by Griffin-Lim
    unless `jaxgan.sample` gets a vocoder with the same settings.

    Args:
      dim: entries of a latent.
      latents: `normal` or `uniform` (in (-1, 1)).
      conditional: True if both players read the label.
      iterations: of Griffin-Lim.
      mels: number of mel filters. More of them keep the pitch of low notes.
      example: the fields of an example, of which the first, a waveform, is generated.

    Raises:
      FieldError: if samples are not waveforms of a known rate.
      UsageError: for an unknown distribution, or if `dim` is less than 1.
    """
    field, name = waveform_field(example, "spectrogram"), example.generated
    settings = settings_of(field, mels)
    make = conditional_task if conditional else generate

    def augment(batch: Batch, keys: jax.Array) -> Batch:
        return {**batch, name: to_pictures(batch[name], field, mels)}

    def finish(samples: Samples) -> Samples:
        return samples._replace(fake=to_waveforms(samples.fake, field, iterations))

    task = make(dim, latents, example=example)
    return task._replace(
        augment=augment,
        finish=finish,
        settings=settings,
        generated=Field(picture_shape(field, mels), kind="spectrogram"),
    )
