"""Data sets: named, fetched once, read as batches of raw examples."""

from jaxgan.data.bad_examples import BackgroundCheck, BadExample, skip_bad_examples
from jaxgan.data.cache import read_all
from jaxgan.data.dataset import Dataset, Modes, normalise
from jaxgan.data.held_out import hold_out
from jaxgan.data.order import epoch_order, step_indices, steps_per_epoch
from jaxgan.data.sources import load
from jaxgan.data.stream import stream

__all__ = [
    "BackgroundCheck",
    "BadExample",
    "Dataset",
    "Modes",
    "epoch_order",
    "hold_out",
    "load",
    "normalise",
    "read_all",
    "skip_bad_examples",
    "step_indices",
    "steps_per_epoch",
    "stream",
]
