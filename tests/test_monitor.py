"""One run's part of what several have measured."""

from typing import Any

import numpy as np
import pytest

from jaxgan import reporting
from jaxgan.monitoring.detectors import Finding
from jaxgan.monitoring.monitor import Monitor, read_findings, run_row
from jaxgan.types import TrainState


def test_a_run_has_its_own_values_and_what_is_shared():
    row = {"step": 5, "score": np.array([1.0, 2.0]), "seconds": 3.0}
    assert run_row(row, 1) == {"step": 5, "score": 2.0, "seconds": 3.0}


def test_a_line_of_the_file_says_the_same_as_the_row():
    line = {"step": 5, "score": 1.5, "std": {"score": 0.7}, "runs": {"score": [1, 2]}}
    assert run_row(line, 0) == {"step": 5, "score": 1}
    alone = {"step": 5, "score": 1.5}
    assert run_row(alone, 0) == alone


@pytest.mark.parametrize(("seeds", "text"), [(range(7, 9), "seed 8: "), ([8], "")])
def test_a_finding_names_its_seed_if_there_are_several(tmp_path, seeds, text):
    monitor = Monitor(lambda _: {}, tmp_path, seeds)
    row = {"probe/distinct": np.array([np.nan, 1.0][-len(seeds) :])}
    [finding] = monitor.check(3, row)
    assert finding.text.startswith(f"{text}the data have no variety: 1.00 distinct")


def test_only_frozen_seeds_are_reported_as_not_finite(tmp_path):
    """A single seed that is not finite ends its run instead."""
    row = {"generator/loss": np.array([0.5, np.nan])}
    told = Monitor(lambda _: {}, tmp_path, range(2), freezes=True)
    [finding] = told.check(3, row)
    assert finding.text.startswith("seed 1: generator/loss is not finite at step 3")
    assert told.check(4, row) == []  # once
    assert Monitor(lambda _: {}, tmp_path, range(2)).check(3, row) == []


def test_measures_have_an_axis_of_seeds(tmp_path):
    def probe(state):
        return {"probe/fake": float(state.params)}

    for params, want in ((2.0, [2.0]), (np.array([2.0, 3.0]), [2.0, 3.0])):
        values: list[Any] = [0, params, None, None, None, None]
        monitor = Monitor(probe, tmp_path, range(len(want)))
        measures = monitor.measure(TrainState(*values))
        np.testing.assert_array_equal(measures["probe/fake"], want)


def test_findings_and_measures_are_told_apart_in_the_file(tmp_path):
    file = tmp_path / "metrics.jsonl"
    assert reporting.read_rows(file) == read_findings(tmp_path) == []
    file.write_text(
        '{"step": 1, "score": 2.0}\n'
        '{"step": 1, "kind": "drifted", "finding": "it drifts"}\n'
    )
    assert reporting.read_rows(file) == [{"step": 1, "score": 2.0}]
    assert read_findings(tmp_path) == [Finding(1, "drifted", "it drifts", False)]
