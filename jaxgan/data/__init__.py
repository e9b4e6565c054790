"""Data sets: named, fetched once, read as batches of raw examples."""

from jaxgan.data.arrays import from_arrays
from jaxgan.data.cache import read_all
from jaxgan.data.dataset import Dataset, Modes, normalise
from jaxgan.data.held_out import hold_out
from jaxgan.data.order import epoch_order, step_indices, steps_per_epoch
from jaxgan.data.sources import load
from jaxgan.data.stream import stream

__all__ = [
    "Dataset",
    "Modes",
    "epoch_order",
    "from_arrays",
    "hold_out",
    "load",
    "normalise",
    "read_all",
    "step_indices",
    "steps_per_epoch",
    "stream",
]
