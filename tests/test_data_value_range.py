"""The range of the data is logged, and what trains in a corner of it is warned of."""

import logging
import re

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.experiment import setup

RAMP = np.arange(6 * 16).reshape(6, 4, 4)


def scaled(low, high, dtype):
    return (low + (high - low) * (RAMP / RAMP.max())).astype(dtype)


def said(dataset, caplog):
    """The log lines and warnings about the range of a data set."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "jaxgan"):
        setup.log_values(dataset)
    line, *warnings = caplog.messages
    assert [r.levelno for r in caplog.records[1:]] == [logging.WARNING] * len(warnings)
    return line, " ".join(warnings)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "remedy"),
    [
        (0, 255, np.uint16, "0 to 255 of 0 to 65535.*: save them as uint8"),
        (0, 1, np.uint16, r"multiply them by 65535 / 1$"),
        (0, 1000, np.uint16, r"multiply them by 65535 / 1023$"),
        (0, 4095, np.uint16, r"multiply them by 65535 / 4095$"),
        (9, 16383, np.uint16, r"9 to 16383 .*multiply them by 65535 / 16383$"),
        (0, 1, np.uint8, r"multiply them by 255 / 1$"),
        (0, 16, np.uint8, r"multiply them by 255 / 31$"),
        (220, 255, np.uint8, "rescale them to that range"),
        (0, 1, np.float32, r"0 to 1 of \[-1, 1\].*: use 2 \* x - 1$"),
        (0.2, 0.9, np.float64, r"use 2 \* x - 1$"),
        (0, 1 / 255, np.float32, r"use 2 \* x / 0.00392 - 1$"),
        (-0.1, 0.1, np.float32, ": scale them to that range"),
    ],
)
def test_a_corner_of_the_range_is_warned_of(low, high, dtype, remedy, caplog):
    dataset = data.from_arrays(scaled(low, high, dtype))
    line, warning = said(dataset, caplog)
    assert f"values from {low:.5g} to {high:.5g}, mean " in line
    mean = dataset.read(np.arange(6))["image"].mean(dtype=np.float64)
    assert line.endswith(f", mean {mean:.5g}")
    assert re.search(remedy, warning)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 255, np.uint8),
        (0, 70, np.uint8),
        (0, 65535, np.uint16),
        (100, 20000, np.uint16),
        (-1, 1, np.float32),
        (-1, -0.4, np.float32),
        (0, 0, np.uint8),
        (0.5, 0.5, np.float32),
    ],
)
def test_other_ranges_are_not(low, high, dtype, caplog):
    assert said(data.from_arrays(scaled(low, high, dtype)), caplog)[1] == ""


def test_vectors_have_no_range(caplog):
    line, warning = said(data.from_arrays(np.eye(4) / 9), caplog)
    assert line == "4 examples of 4 float32, values from 0 to 0.11111, mean 0.027778"
    assert warning == ""


def test_a_folder_of_twelve_bits(tmp_path, caplog):
    for i, pixels in enumerate(scaled(0, 4095, np.uint16)):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    line, warning = said(data.load(f"folder:{tmp_path}"), caplog)
    assert line.startswith("6 examples of 4x4x1 uint16, values from 0 to 4095, mean ")
    assert "multiply them by 65535 / 4095" in warning


def test_of_large_sets_a_part_is_read(caplog):
    count = 3_000
    seen = []

    def read(numbers):
        seen.extend(numbers.tolist())
        return {"image": np.full((len(numbers), 64, 64, 3), 255, np.uint8)}

    large = data.from_arrays(np.zeros((1, 64, 64, 3), np.uint8))._replace(
        size=count, read=read, arrays=None
    )
    line, _ = said(large, caplog)
    assert line.endswith("values from 255 to 255, mean 255 in 256 of them")
    assert len(set(seen)) == 256
    assert (min(seen), max(seen)) == (0, count - 1)
