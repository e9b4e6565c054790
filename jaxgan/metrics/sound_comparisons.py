"""Metrics of sounds: `pitch_as_asked`."""

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.comparison import NO_FEATURES, Comparison, Sets, labels_of
from jaxgan.metrics.features import Extractor, Features
from jaxgan.metrics.features.base import digest
from jaxgan.metrics.pitch import (
    CLEAR,
    FIRST,
    HIGH,
    LOW,
    PERIODS,
    QUIET,
    fundamental,
    note_frequency,
)
from jaxgan.types import ExampleSpec

NAME = "pitch_as_asked"
CENTS = 50.0
"""Largest distance to a pitch, half a semitone."""
MARGIN = 2.2
"""Ratio of the range of the judge to that of the pitches: more than an octave."""


def pitch_as_asked(*, example: ExampleSpec | None = None) -> Comparison:
    """Measures how often a sound has the pitch that was asked for; more is better.

    `pitch_as_asked` is the share of fakes whose fundamental, see `pitch.fundamental`,
    is at most 50 cents from the note that their class is named by, such as `C#4`. A
    sound without a pitch is wrong. `pitch_as_asked_real` is the share of held-out
    recordings, and the floor that of training examples: of both, what is missing to 1
    are errors of the judge, such as a wrong octave, and recordings out of tune.

    Args:
      example: the fields of the sounds; None before they are known.

    Raises:
      UsageError: if they are no waveforms of a known rate, or have classes that are no
        notes.
    """
    if example is None:
        return Comparison(NO_FEATURES, lambda sets: {}, labels=True)
    asked = pitches_of(example)
    extractor = heard(example[example.generated].rate, asked)

    def share(found: Features, labels: np.ndarray) -> float:
        return float(in_tune(found.features[:, 0], asked[labels]).mean())

    def compare(sets: Sets) -> dict[str, float]:
        real, fake = labels_of(sets, NAME)
        return {NAME: share(sets.fake, fake), f"{NAME}_real": share(sets.real, real)}

    return Comparison(extractor, compare, labels=True)


def pitches_of(example: ExampleSpec) -> np.ndarray:
    """Returns the frequency of each class in Hz, `[k]`.

    Raises:
      UsageError: if the examples are no sounds of a known rate, or have none.
    """
    field = example[example.generated]
    if field.kind != "waveform" or not field.rate:
        raise UsageError(
            f"{NAME} needs sounds of a known rate, not {field.kind}s of shape "
            f"{list(field.shape)}: use accuracy_as_asked(classifier)"
        )
    found = np.array([note_frequency(name) for name in example.classes])
    if not len(found) or np.isnan(found).any():
        others = [x for x in example.classes if np.isnan(note_frequency(x))]
        what = f"a class {others[0]!r}" if others else "no classes"
        raise UsageError(
            f"{NAME} needs classes that are named by notes, such as C4 and F#3, and "
            f"these sounds have {what}: use accuracy_as_asked(classifier)"
        )
    return found


def heard(rate: int, pitches: np.ndarray) -> Extractor:
    """Returns the fundamental of waveforms as a feature, 0 for those without one.

    Args:
      rate: samples per second.
      pitches: those that there may be, in Hz; the range reaches further by more than an
        octave.
    """
    low, high = min(LOW, pitches.min() / MARGIN), max(HIGH, pitches.max() * MARGIN)
    facts = np.array([rate, low, high, PERIODS, FIRST, CLEAR, QUIET])

    def extract(waveforms: np.ndarray) -> Features:
        found = fundamental(waveforms, rate, low, high)
        return Features(np.nan_to_num(found).astype(np.float32)[:, None])

    protocol = {"layer": "fundamental", "low": round(low, 1), "high": round(high, 1)}
    return Extractor("pitch", digest(facts), protocol, extract)


def in_tune(found: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Returns True for frequencies at most 50 cents from others, and False for 0.

    >>> in_tune(np.array([440.0, 452.0, 454.0, 220.0, 0.0]), np.full(5, 440.0)).tolist()
    [True, True, False, False, False]
    """
    cents = 1_200 * np.abs(np.log2(np.maximum(found, 1e-6) / asked))
    return cents <= CENTS
