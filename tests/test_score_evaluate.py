"""The evaluation of runs that find anomalies, beside plain detectors."""

import json
import logging
import shutil

import anomaly_toys
import numpy as np
import pytest
from anomaly_toys import LABELS, TESTS
from PIL import Image

import jaxgan
from jaxgan import evaluate
from jaxgan.config.resolve import make_config
from jaxgan.data.split import hold_out
from jaxgan.errors import UsageError
from jaxgan.evaluation import anomaly_data, anomaly_report, anomaly_table
from jaxgan.evaluation.load_run import Run
from jaxgan.experiment import setup
from jaxgan.metrics import anomaly, anomaly_baselines


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The tables with the toys."""
    with anomaly_toys.registered():
        yield


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two runs side by side, of the normal class."""
    folder = tmp_path_factory.mktemp("spots") / "run"
    return anomaly_toys.train(folder, "--runs=2", "--normal=good", "--held_out=part")


def test_rows_are_the_values_of_scores(both, capsys, monkeypatch):
    """The parts, all of them, and detectors, on the test split."""
    table = anomaly_baselines.DETECTORS
    wanted = {"mean distance": table["mean distance"], "PCA-16": table["PCA-16"]}
    lacking = anomaly_baselines.Detector(anomaly_baselines.one_class_svm, "no_module")
    monkeypatch.setattr(anomaly_report, "DETECTORS", {**wanted, "SVM": lacking})
    flags = ["--false_alarms=0.2", "--weights=mean=0", "--autoencoder_steps=0"]
    assert evaluate.main([f"--workdir={both}", *flags]) == 0
    printed = capsys.readouterr().out
    report = json.loads((both / "evaluation.json").read_text())
    assert printed.splitlines() == anomaly_table.table(report)
    rows, facts = report["rows"], report["protocol"]
    assert list(rows) == ["all parts", "pixels", "features", "mean", *wanted]
    assert "SVM                  is not installed: pip install" in printed
    # The same as by the scores of each run.
    found = [
        jaxgan.score_run(both, TESTS, false_alarms=0.2, run=i, weights={"mean": 0})
        for i in range(2)
    ]
    bad = LABELS == 0
    areas = [anomaly.auroc(x.score, bad) for x in found]
    assert rows["all parts"]["auroc"] == pytest.approx(np.mean(areas))
    assert [x["auroc"] for x in report["draws"]] == pytest.approx(areas)
    assert report["metrics"]["auroc"]["std"] == pytest.approx(np.std(areas, ddof=1))
    alarms = np.mean([x.is_anomaly[~bad].mean() for x in found])
    assert rows["all parts"]["false_alarms"] == pytest.approx(alarms)
    detected = np.mean([x.is_anomaly[bad].mean() for x in found])
    assert rows["all parts"]["detected"] == pytest.approx(detected)
    own = anomaly.average_precision(found[0].parts["pixels"], bad)
    assert rows["pixels"]["ap"] == pytest.approx(own)
    # The detectors are fitted to the 108 training examples.
    whole = jaxgan.load_dataset("spots")
    rest, _ = hold_out(whole, "part", "train", lambda _: whole)
    assert rest.arrays is not None
    train = rest.arrays["image"].reshape(len(rest.arrays["image"]), -1) / 255
    far = np.square(TESTS.reshape(len(TESTS), -1) / 255 - train.mean(0)).sum(-1)
    assert rows["mean distance"]["auroc"] == pytest.approx(anomaly.auroc(far, bad))
    expected = {"n": 60, "n_anomalies": 20, "n_held_out": 12, "n_train": 108}
    assert {k: facts[k] for k in expected} == expected
    assert (facts["normal"], facts["split"]) == (["good"], "test")
    with Image.open(both / "evaluation-anomalies.png") as picture:
        assert picture.size[0] > picture.size[1]


def test_perfect_scores_and_noise():
    rng = np.random.default_rng(0)
    bad = np.arange(4000) >= 2000
    normal = rng.random(999)
    perfect = anomaly_report.Judged(normal, np.where(bad, 2.0, 0.5))
    found = anomaly_report.values_of(perfect, bad, 0.1)
    assert found == {"auroc": 1, "ap": 1, "false_alarms": 0, "detected": 1}
    noise = anomaly_report.Judged(normal, rng.random(4000))
    found = anomaly_report.values_of(noise, bad, 0.1)
    # Four standard deviations of a share of 2,000, and of the threshold's rank.
    for name in ("false_alarms", "detected"):
        assert abs(found[name] - 0.1) < 4 * np.sqrt(0.09 / 2000 + 0.09 / 999)
    assert abs(found["auroc"] - 0.5) < 4 * np.sqrt(1 / (6 * 2000))


def test_folders_of_good_and_broken_pictures(tmp_path):
    """Classes of `test` that training does not have are anomalies."""
    numbers = np.flatnonzero(LABELS == 1)
    for name, rows in {
        "train/good": numbers[:30],
        "test/good": numbers[30:],
        "test/crack": np.flatnonzero(LABELS == 0),
    }.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in rows:
            file = tmp_path / "data" / name / f"{i}.png"
            Image.fromarray(TESTS[i, ..., 0]).save(file)
    flags = {"dataset": f"folder:{tmp_path}/data", "held_out": "8"}
    config = make_config(**flags, task="spots", networks="blur_one")
    train, held_out = setup.load_data(config)
    run = Run(tmp_path, config, train.example, None)  # type: ignore[arg-type]
    tests = anomaly_data.labeled_tests(run, train, "auto")
    assert (train.size, held_out and held_out.size) == (22, 8)
    assert tests.normal == ("good",)
    assert (tests.dataset.size, tests.is_anomaly.sum()) == (30, 20)
    # The files of `crack` come before those of `good`.
    assert tests.is_anomaly[:20].all()
    for word, split in {"was trained on": "train", "has the splits": "val"}.items():
        with pytest.raises(UsageError, match=word):
            anomaly_data.labeled_tests(run, train, split)


def test_requests_that_do_not_fit(both, tmp_path):
    for word, flags in {
        "--metrics has no effect": {"metrics": "fd(random)"},
        "--seeds has no effect": {"seeds": 2},
        "--n=61: there are 60": {"n": 61},
        "no part depth": {"weights": "depth=1"},
        "--false_alarms=0": {"false_alarms": 0.0},
        "checkpoint": {"checkpoint": 9},
        "use another --split": {"split": "other"},
    }.items():
        with pytest.raises(UsageError, match=word):
            jaxgan.evaluate_run(both, autoencoder_steps=0, **flags)
    shutil.copytree(both, tmp_path / "run")
    file = tmp_path / "run" / "config.json"
    config = {**json.loads(file.read_text()), "normal": ""}
    file.write_text(json.dumps(config))
    with pytest.raises(UsageError, match="every example is normal: train with --norm"):
        jaxgan.evaluate_run(tmp_path / "run")


def test_the_rate_on_few_tests_is_of_those_chosen(both, caplog):
    with caplog.at_level(logging.INFO, "jaxgan"):
        report = jaxgan.evaluate_run(
            both, n=30, run=1, cache=False, autoencoder_steps=0
        )
    assert report["protocol"]["n"] == 30
    assert 0 < report["protocol"]["n_anomalies"] < 20
    assert "std" not in report["metrics"]["auroc"]
