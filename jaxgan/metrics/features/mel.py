"""Statistics of log-mel spectrograms as features of sounds: no network."""

import jax
import jax.numpy as jnp

from jaxgan.errors import FieldError, UsageError
from jaxgan.metrics.features.base import Extractor, rows_in_batches
from jaxgan.networks.spectrograms import MELS, WINDOW, settings_of, to_pictures
from jaxgan.types import ExampleSpec


def mel(*, example: ExampleSpec) -> Extractor:
    """Returns mean and standard deviation over time of each mel band, `[n, 128 C]`.

    They need neither labels nor a download, and compare timbre, loudness and how these
    vary, but not their order in time: a sound that is played backwards has the same
    features. Spectrograms have 64 bands and are scaled to [-1, 1], as for `specgan`.

    Args:
      example: the fields of the examples; the first one is a waveform `[T, C]`.

    Raises:
      UsageError: if it is not, if its rate is less than 1,000 Hz, or if it is shorter
        than a window of 0.064 seconds.
    """
    field = example[example.generated]
    if field.kind != "waveform":
        raise UsageError(
            f"mel needs waveforms, not {field.kind} of shape {list(field.shape)}: use "
            "efficientnet for images, minilm for texts, values for vectors, or "
            "classifier where there are labels"
        )
    try:
        settings_of(field)
    except FieldError as error:
        raise UsageError(
            f"mel needs {WINDOW:g} seconds at 1,000 Hz or more, not {field.shape[0]} "
            f"samples at {field.rate} Hz: use sliced_wasserstein"
        ) from error

    def forward(weights: tuple, waveforms: jax.Array) -> tuple[jax.Array, None]:
        del weights
        bands = to_pictures(waveforms, field)
        found = [bands.mean(1), bands.std(1)]
        return jnp.concatenate([x.reshape(len(x), -1) for x in found], -1), None

    return Extractor(
        name="mel",
        digest="none",
        protocol={"layer": f"mean and deviation of {MELS} bands", "resize": "none"},
        extract=rows_in_batches(forward, (), field.shape),
    )
