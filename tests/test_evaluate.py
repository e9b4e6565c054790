"""The program that evaluates a run: its values, its protocol and its errors."""

import json
import re
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from sounds import tone, write
from test_train import run as train_run

from jaxgan import evaluate
from jaxgan.config.evaluating import EvaluateConfig
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.evaluation import protocol, real_examples
from jaxgan.evaluation.build_metrics import build_metrics, check_metrics
from jaxgan.evaluation.scores import summary
from jaxgan.metrics.comparisons import COMPARISONS, Sets
from jaxgan.metrics.features import Extractor, Features


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run of two steps on 400 patterns of three classes, and its data."""
    folder = tmp_path_factory.mktemp("evaluate")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    images = rng.integers(0, 80, (400, 8, 8, 1))
    for i, label in enumerate(labels):
        images[i, 2 * label : 2 * label + 3] += 150
    np.savez(folder / "data.npz", images=images.astype(np.uint8), labels=labels)
    return train_run(folder / "data.npz", folder / "run", 2, held_out="100")


def values(workdir, *flags):
    code = evaluate.main([f"--workdir={workdir}", *flags])
    assert code == 0
    return json.loads((workdir / "evaluation.json").read_text())


def test_values_floor_and_protocol(workdir, capsys):
    flags = ("--metrics=fd(random)|precision_recall(random, k=5)", "--n=150")
    report = values(workdir, *flags, "--split=100")
    out = capsys.readouterr().out
    metrics, facts = report["metrics"], report["protocol"]
    names = ["fd_random", "precision_random", "recall_random"]
    assert list(metrics) == names
    # an untrained generator is far from the data, and training examples are near
    assert metrics["fd_random"]["value"] > 5 * metrics["fd_random"]["floor"]
    assert metrics["precision_random"]["value"] < 0.1
    assert metrics["precision_random"]["floor"] > 0.7
    assert (facts["n_fake"], facts["n_real"], facts["n_floor"]) == (150, 100, 150)
    assert (facts["step"], facts["parameters"]) == (2, "moving average")
    assert len(facts["extractors"]["random"]["digest"]) == 16
    assert all(name in out for name in names)
    assert "150 samples of step 2 (moving average) against 100 of" in out
    assert facts["trained_on"] == 0
    assert (facts["split"], facts["metrics"]) == ("100", flags[0].partition("=")[2])
    assert "trained on" not in out
    # the same again, and other values of the newest parameters
    assert values(workdir, *flags, "--split=100")["metrics"] == metrics
    raw = values(workdir, *flags, "--split=100", "--raw")["metrics"]
    assert raw["fd_random"] != metrics["fd_random"]


def real(folder, held_out, split):
    """The sizes of both parts, and the number of real examples trained on."""
    config = make_config(dataset=f"npz:{folder / 'data.npz'}", held_out=held_out)
    run: Any = SimpleNamespace(config=config)
    asked = EvaluateConfig(workdir=folder / "run", split=split)
    examples = real_examples.load_real(run, asked)
    train, held = examples.train, examples.held_out
    assert held is not None
    count = examples.count_trained_on(np.arange(held.size))
    # The first examples are those of the run: any others were trained on.
    assert examples.count_trained_on(np.arange(held.size - 1)) == max(count - 1, 0)
    return train.size, held.size, count


@pytest.mark.parametrize(
    ("held_out", "split", "sizes"),
    [
        # By default those of the run itself; 1 in 20 if it does not say.
        ("100", "auto", (300, 100, 0)),
        ("auto", "auto", (380, 20, 0)),
        ("100", "100", (300, 100, 0)),
        # The first 20 of the 40 are those that the run held out.
        ("20", "part", (360, 40, 20)),
        ("auto", "part", (360, 40, 20)),
        ("none", "part", (360, 40, 40)),
        ("none", "200", (200, 200, 200)),
        ("100", "30", (370, 30, 0)),
    ],
)
def test_real_examples_that_were_trained_on_are_named(
    workdir, caplog, held_out, split, sizes
):
    assert real(workdir.parent, held_out, split) == sizes
    warned = "real examples were trained on, as the run held out"
    assert (warned in caplog.text) == bool(sizes[2])


@pytest.mark.parametrize(
    ("dataset", "held_out", "asked", "split"),
    [
        ("npz:{}", "100", "auto", "100"),
        ("npz:{}", "auto", "auto", "20"),  # split off
        ("npz:{}", "none", "part", "part"),
        ("ring8", "auto", "auto", "test"),
        ("ring8", "none", "auto", "test"),
    ],
)
def test_the_split_that_is_stamped_is_the_one_that_was_read(
    workdir, dataset, held_out, asked, split
):
    name = dataset.format(workdir.parent / "data.npz")
    run: Any = SimpleNamespace(config=make_config(dataset=name, held_out=held_out))
    config = EvaluateConfig(workdir=workdir, split=asked)
    assert real_examples.load_real(run, config).split == split


def test_parameters_without_a_moving_average_are_the_newest():
    average, none = (
        SimpleNamespace(config=make_config(ema_half_life=x)) for x in (100.0, 0.0)
    )
    found = [
        protocol.parameters_of(cast(Any, run), raw=raw)
        for run, raw in ((average, False), (average, True), (none, False))
    ]
    assert found == ["moving average", "newest", "newest"]


def test_examples_trained_on_are_never_taken_by_default(workdir):
    with pytest.raises(UsageError, match="use --split=part to compare with"):
        real(workdir.parent, "none", "auto")


PART = "--split=part to compare with examples that were trained on"
TWO = "--split=2 to compare with examples that were trained on"


@pytest.mark.parametrize(
    ("counts", "asked", "message"),
    [
        # Folders of classes alone: no other split.
        ({"": 20}, "auto", f"were held out: use {PART}, or train again with --held_ou"),
        ({"": 20}, "test", f"--split=test: audio:a has no such split: use {PART}, or "),
        # A tenth of a few sounds is less than two.
        (
            {"": 5},
            "auto",
            f"were held out: use {TWO}, or train again with --held_out=2",
        ),
        (
            {"": 5},
            "part",
            f"were held out: use {TWO}, or train again with --held_out=2",
        ),
        ({"train/": 20, "test/": 3}, "none", f"held out: use --split=test, or {PART}"),
        ({"train/": 9, "val/": 3}, "test", f"such split: use --split=val, or {TWO}"),
        ({"train/": 9, "val/": 3}, "train", "--split=train shares 9 of its 9 examples"),
    ],
)
def test_only_splits_that_exist_are_named(
    counts, asked, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for place, count in counts.items():
        for i in range(count):
            write(tmp_path / f"a/{place}{'xy'[i % 2]}/{i}.wav", tone(100 + i))
    config = make_config(dataset="audio:a", seconds=0.1)
    run: Any = SimpleNamespace(config=config)
    with pytest.raises(UsageError) as error:
        real_examples.load_real(run, EvaluateConfig(workdir=tmp_path, split=asked))
    said = str(error.value)
    assert message in said
    for split in re.findall("use --split=([a-z0-9]+)", said):
        found = EvaluateConfig(workdir=tmp_path, split=split)
        held_out = real_examples.load_real(run, found).held_out
        assert held_out is not None
        assert held_out.size >= 2


def test_several_sets_of_samples_have_a_spread(workdir, capsys):
    report = values(
        workdir, "--metrics=fd(random)", "--n=60", "--split=100", "--seeds=3"
    )
    rows = [row["fd_random"] for row in report["draws"]]
    assert len(set(rows)) == 3
    assert report["metrics"]["fd_random"]["value"] == pytest.approx(np.mean(rows))
    assert report["metrics"]["fd_random"]["std"] == pytest.approx(np.std(rows, ddof=1))
    assert "standard deviation over 3 sets of samples" in capsys.readouterr().out


def test_the_classifier_is_trained_on_the_fly(workdir, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    flags = ("--metrics=fd(classifier)|score(classifier)", "--n=60", "--split=100")
    report = values(workdir, *flags)
    assert report["protocol"]["extractors"]["classifier"]["digest"]
    # ten parts of six training examples of three classes
    assert 2 < report["metrics"]["score_classifier"]["floor"] <= 3
    assert report["metrics"]["fd_classifier"]["value"] > 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--metrics="], "name one or more of accuracy_as_asked(classifier), at"),
        (["--metrics=fid"], "--metrics: no name 'fid'"),
        (
            ["--metrics=fd(random(dim=0))"],
            "--metrics: random(dim=64, seed=0): dim",
        ),
        (["--metrics=fd(clasifier)"], "did you mean 'classifier'"),
        (["--metrics=fd(inception(weights='/no/file'))"], "/no/file"),
        (["--metrics=score(random)"], "this extractor has no classes"),
        (["--n=1"], "--n=1: must be from 2 to 1,000,000, such as --n=10000"),
        (["--n_real=101"], "there are 100 held-out examples; use --n_real=100"),
        (["--n_real=1"], "--n_real=1: one example has no spread"),
        (["--seeds=0"], "--seeds=0: must be from 1 to 100"),
        (["--checkpoint=first"], "--checkpoint=first: choose last, best or a step"),
        (["--checkpoint=7"], "7"),
        (["--run=3"], "--run=3: the run has 1 seed(s)"),
        (["--workdir=/no/run"], "/no/run"),
        (["--split=none"], "that were held out: use --split=part to compare with"),
        (["--false_alarms=0.1"], "--false_alarms has no effect for --task=generate(4)"),
        (["--weights=pixels=1"], "--weights has no effect for --task=generate(4), wh"),
        (["--autoencoder_steps=3"], "which finds no anomalies: leave it out"),
        (["--out=/no/folder/x.json"], "--out=/no/folder/x.json"),
        (["--metric=fd"], "did you mean --metrics"),
    ],
)
def test_bad_command_lines(workdir, capsys, flags, message):
    usual = [f"--workdir={workdir}", "--metrics=fd(random)", "--n=20", "--split=100"]
    assert evaluate.main([*usual, *flags]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


MEAN = Extractor("mean", "0" * 16, {}, lambda x: Features(x.mean((1, 2))))


def sets(real, fake, train):
    shaped = (np.asarray(x, np.float32).reshape(-1, 1) for x in (real, fake, train))
    return Sets(*(Features(x) for x in shaped))


def test_the_names_and_values_of_comparisons():
    # two points at 0 and 2 have mean 1, variance 2; at 3 and 5 mean 4: distance 9
    some = sets([0, 2], [3, 5], [0, 2])
    assert COMPARISONS["fd"](MEAN).compare(some) == {"fd_mean": pytest.approx(9)}
    fid = COMPARISONS["fd"](MEAN._replace(name="inception")).compare(some)
    assert list(fid) == ["fid"]
    # copies of the training set, and examples at a distance of 1 from it
    copies = sets([1, 3, 5], [0, 2, 4], [0, 2, 4])
    memorization = COMPARISONS["memorization"](MEAN)
    found = memorization.compare(copies)
    assert found == {"memorization_mean": 0.0, "memorization_mean_close": 1.0}
    assert "copies the training set" in memorization.warning(copies)
    fresh = sets([1, 3, 5], [-1, 3, 5], [0, 2, 4])
    assert memorization.warning(fresh) == ""
    # two examples for one dimension are enough for no warning; one dimension more not
    assert COMPARISONS["fd"](MEAN).warning(some) == ""
    wide = Sets(*(Features(np.eye(3, dtype=np.float32)) for _ in range(3)))
    assert COMPARISONS["fd"](MEAN).warning(wide).startswith("fd_mean: 3 examples for 3")
    # with subsets that are all of the set there is no standard error
    assert list(COMPARISONS["kid"](MEAN).compare(some)) == ["kid_mean"]


def test_the_summary_is_over_rows_and_leaves_out_a_floor_that_means_nothing():
    rows = [{"fd_x": 1.0, "memorization_x": 0.5}, {"fd_x": 3.0, "memorization_x": 0.7}]
    found = summary(rows, {"fd_x": 0.1, "memorization_x": 0.0})
    assert found["fd_x"] == {"value": 2.0, "std": pytest.approx(2**0.5), "floor": 0.1}
    assert "floor" not in found["memorization_x"]


def test_an_extractor_is_opened_once_for_all_of_its_metrics(workdir, monkeypatch):
    from jaxgan import data

    dataset = data.from_arrays(np.zeros((4, 8, 8, 1), np.uint8))
    text = "fd(random(8))|kid(random(8))|fd(random(8, seed=1))"
    check_metrics(text)
    metrics = build_metrics(text, dataset, dataset)
    assert metrics[0].extractor is metrics[1].extractor
    assert metrics[0].extractor.digest != metrics[2].extractor.digest


def test_a_package_that_is_not_installed_has_no_version(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(protocol, "version", missing)
    assert protocol.environment()["versions"]["jaxgan"] == "not installed"
