"""One run's part of what several have measured."""

import numpy as np

from jaxgan import reporting
from jaxgan.monitoring.detectors import Finding
from jaxgan.monitoring.monitor import read_findings, run_row, with_seed


def test_a_run_has_its_own_values_and_what_is_shared():
    row = {"step": 5, "score": np.array([1.0, 2.0]), "seconds": 3.0}
    assert run_row(row, 1) == {"step": 5, "score": 2.0, "seconds": 3.0}


def test_a_line_of_the_file_says_the_same_as_the_row():
    line = {"step": 5, "score": 1.5, "std": {"score": 0.7}, "runs": {"score": [1, 2]}}
    assert run_row(line, 0) == {"step": 5, "score": 1}
    alone = {"step": 5, "score": 1.5}
    assert run_row(alone, 0) == alone


def test_a_finding_names_its_seed():
    finding = Finding(3, "collapsed", "it collapsed", True)
    assert with_seed(finding, 7) == finding._replace(text="seed 7: it collapsed")


def test_findings_and_measures_are_told_apart_in_the_file(tmp_path):
    file = tmp_path / "metrics.jsonl"
    assert reporting.read_rows(file) == read_findings(tmp_path) == []
    file.write_text(
        '{"step": 1, "score": 2.0}\n'
        '{"step": 1, "kind": "drifted", "finding": "it drifts"}\n'
    )
    assert reporting.read_rows(file) == [{"step": 1, "score": 2.0}]
    assert read_findings(tmp_path) == [Finding(1, "drifted", "it drifts", False)]
