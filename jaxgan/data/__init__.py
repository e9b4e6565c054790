"""Data sets: loading by name, splitting, shuffling and batching of raw examples."""

from jaxgan.data.bad_examples import BackgroundCheck, BadExample, skip_bad_examples
from jaxgan.data.cache import read_all, read_some
from jaxgan.data.dataset import Dataset, Examples, Modes, from_fields
from jaxgan.data.fingerprint import fingerprint
from jaxgan.data.kinds import KINDS, normalize
from jaxgan.data.loader import stream
from jaxgan.data.normal import is_normal, keep_normal
from jaxgan.data.npz import from_arrays
from jaxgan.data.shuffle import epoch_order, step_indices, steps_per_epoch
from jaxgan.data.sources import (
    SOURCES,
    WHOLE_NAMES,
    is_of_sounds,
    load,
    same_place,
)
from jaxgan.data.split import hold_out, part_size
from jaxgan.data.text import decode, encode
from jaxgan.data.text_set import TextReading
from jaxgan.data.value_range import format_values, measure_values, range_warning

__all__ = [
    "KINDS",
    "SOURCES",
    "WHOLE_NAMES",
    "BackgroundCheck",
    "BadExample",
    "Dataset",
    "Examples",
    "Modes",
    "TextReading",
    "decode",
    "encode",
    "epoch_order",
    "fingerprint",
    "format_values",
    "from_arrays",
    "from_fields",
    "hold_out",
    "is_normal",
    "is_of_sounds",
    "keep_normal",
    "load",
    "measure_values",
    "normalize",
    "part_size",
    "range_warning",
    "read_all",
    "read_some",
    "same_place",
    "skip_bad_examples",
    "step_indices",
    "steps_per_epoch",
    "stream",
]
