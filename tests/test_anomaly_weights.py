"""Weights of anomaly scores that are chosen on normal images, and the autoencoder."""

import json
import shutil
from typing import Any

import anomaly_toys
import numpy as np
import pytest
from anomaly_toys import LABELS, TESTS, WEIGHTS

import jaxgan
from jaxgan.config.resolve import make_config
from jaxgan.evaluation import score_reference
from jaxgan.evaluation.anomaly_autoencoder import NAME, Autoencoder
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.score_reference import held_out_normals
from jaxgan.evaluation.scorer import Scorer
from jaxgan.experiment import setup
from jaxgan.gan import builder
from jaxgan.metrics import anomaly
from jaxgan.metrics.made_up_anomalies import (
    KINDS,
    choose_weights,
    exchanged_halves,
    shuffled_quarters,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The tables with the toys."""
    with anomaly_toys.registered():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of two steps of the class `good`, which chooses its weights."""
    folder = tmp_path_factory.mktemp("spots") / "run"
    return anomaly_toys.train(folder, "--normal=good", "--score_weights=normal")


@pytest.mark.parametrize("shape", [(8, 6), (5, 7), (2, 2)])
def test_pieces_are_those_of_normal_images(shape):
    height, width = shape
    rng = np.random.default_rng(0)
    images = rng.permutation(40 * height * width * 2).reshape(40, height, width, 2)
    shuffled = shuffled_quarters(images)
    # The same pixels in each, of which no quarter is at its place.
    for one, other in zip(images, shuffled, strict=True):
        assert sorted(one.ravel()) == sorted(other.ravel())
    high, wide = height // 2, width // 2
    for rows in (slice(high), slice(height - high, None)):
        for columns in (slice(wide), slice(width - wide, None)):
            assert (images != shuffled)[:, rows, columns].all()
    halves = exchanged_halves(images)
    changed = images != halves
    below, right = np.zeros((2, height, width), bool)
    below[height - high :], right[:, width - wide :] = True, True
    kinds = [(x.all(-1) == below).all() for x in changed]
    assert 5 < sum(kinds) < 35
    # The other half is the upper or the left one of another image.
    for one, kind in zip(halves, kinds, strict=True):
        part = one[height - high :] if kind else one[:, width - wide :]
        sources = images[:, :high] if kind else images[:, :, :wide]
        assert (sources == part).all((1, 2, 3)).sum() == 1
    assert (changed.all(-1) == (below if kinds[0] else right)).all((1, 2))[0]
    for change in KINDS.values():
        np.testing.assert_array_equal(change(images), change(images))


def test_weights_are_those_that_tell_pieces():
    rng = np.random.default_rng(1)
    noise, other = rng.random((2, 300))
    normal = {"a": noise, "b": other, "c": rng.random(300)}
    # `a` says something, `b` says all, and `c` nothing.
    rearranged = {"a": noise + 0.3, "b": other + 2, "c": rng.random(300)}
    found = choose_weights(normal, [rearranged], {"b": 0.1, "c": 0.1})
    assert found["a"] == 1
    assert found["b"] >= 1
    assert found["c"] <= 0.1
    score = anomaly.total(
        anomaly.weighted(rearranged, anomaly.scales_of(normal), found)
    )
    plain = anomaly.total(anomaly.weighted(normal, anomaly.scales_of(normal), found))
    assert anomaly.auroc(np.append(plain, score), np.arange(600) >= 300) > 0.999
    # If all weights are as good, the stated one stays.
    flat = {"a": np.arange(3.0), "b": np.ones(3)}
    assert choose_weights(flat, [flat], {"b": 0.03}) == {"a": 1.0, "b": 0.03}


def test_new_runs_choose_and_earlier_ones_do_not(made, tmp_path, monkeypatch):
    run = load_run(made)
    scorer = Scorer(run)
    scorer.restore()
    held_out, numbers = held_out_normals(run)
    images = held_out.read(numbers)["image"]
    parts = [scorer(change(images)).parts for change in KINDS.values()]
    chosen = choose_weights(scorer(images).parts, parts, WEIGHTS)
    first = jaxgan.score_run(made, TESTS)
    scales = anomaly.scales_of(scorer(images).parts)
    shares = anomaly.weighted(scorer(TESTS).parts, scales, chosen)
    np.testing.assert_allclose(first.score, anomaly.total(shares), rtol=1e-6)
    # They are kept with the scores of normal examples.
    [file] = (made / "anomaly").iterdir()
    assert json.loads(file.read_text())["weights"] == chosen
    with monkeypatch.context() as patch:
        patch.setattr(score_reference, "held_out_normals", None)
        second = jaxgan.score_run(made, TESTS)
        given = jaxgan.score_run(made, TESTS, weights=WEIGHTS)
    np.testing.assert_array_equal(first.score, second.score)
    # Runs of earlier versions have no such flag, and score by the weights of the task.
    shutil.copytree(made, tmp_path / "run", ignore=shutil.ignore_patterns("anomaly"))
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config.pop("score_weights") == "normal"
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    earlier = jaxgan.score_run(tmp_path / "run", TESTS)
    np.testing.assert_allclose(earlier.score, given.score)


def test_rows_of_a_run_and_of_an_autoencoder(made, caplog, monkeypatch):
    options: dict[str, Any] = {"autoencoder_steps": 5, "n": 40}
    report = jaxgan.evaluate_run(made, **options)
    rows, facts = report["rows"], report["protocol"]
    assert list(rows)[:5] == ["all parts", "pixels", "features", "mean", NAME]
    assert "chosen on held-out normal examples" in facts["weights_of"]
    assert set(facts["weights"]) == {"pixels", "features", "mean"}
    assert facts["autoencoder_steps"] == 5
    # The weights of the autoencoder are kept, and trained again if the file is damaged.
    monkeypatch.setattr(Autoencoder, "_train", None)
    assert jaxgan.evaluate_run(made, **options)["rows"][NAME] == rows[NAME]
    monkeypatch.undo()
    file = made / "anomaly" / f"{NAME}-5.msgpack"
    content = file.read_bytes()
    file.write_bytes(content[:-9])
    assert jaxgan.evaluate_run(made, **options)["rows"][NAME] == rows[NAME]
    assert "is ignored and replaced" in caplog.text
    assert file.read_bytes() == content
    other = jaxgan.evaluate_run(made, n=40, autoencoder_steps=0, weights="mean=0")
    assert NAME not in other["rows"]
    assert other["protocol"]["weights_of"] == "those of --weights"
    assert other["protocol"]["weights"] == {"pixels": 1, "features": 1, "mean": 0}


def test_an_autoencoder_learns_normal_images(tmp_path):
    networks = "encoder_mlp(g=(32,), e=(32,), d=(8,))"
    flags = {"dataset": "spots", "task": "anomaly(3)", "networks": networks}
    config = make_config(**flags, normal="good", held_out="20")
    train, _ = setup.load_data(config)
    gan = builder.build_gan(config, train.example)
    run = Run(tmp_path, config, train.example, gan)
    method, bad = Autoencoder(run, 200), LABELS == 0
    before = method.score(TESTS)
    method.fit(train)
    after = method.score(TESTS)
    assert after[~bad].mean() < before[~bad].mean() / 5
    assert anomaly.auroc(after, bad) > 0.95
    # The same again, bit by bit.
    method.fit(train)
    np.testing.assert_array_equal(method.score(TESTS), after)
