"""Samples that the discriminator or a classifier rejects are left out."""

import json
import logging

import jax
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import test_labeled_sets

import jaxgan
from jaxgan import sample
from jaxgan.evaluation import accepted_samples, rejection
from jaxgan.evaluation.load_run import load_run
from jaxgan.gan.objective import example_keys
from jaxgan.metrics.features import EXTRACTORS, Extractor, Features

labelled = test_labeled_sets.labelled
SHARE = 0.75
FLAGS = ("--reject=discriminator", f"--reject_share={SHARE}")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few proposals at a time, so that several batches are judged."""
    monkeypatch.setattr(accepted_samples, "BURN_IN", 64)
    monkeypatch.setattr(accepted_samples, "AT_ONCE", 16)


def proposals(run, label, count):
    """The first proposals of a class and their logits, by another path."""
    players = run.restore_players()[1]
    key = jax.random.fold_in(jax.random.key(0), label)
    images = np.zeros((count, *run.example.shape), np.float32)
    batch = {"label": np.full(count, label, np.int32), "image": images}
    keys = example_keys(key, count)
    samples = run.gan.play(players.generator, batch, keys)
    critic = run.gan.networks.discriminator
    judged = critic.apply(
        players.discriminator, samples.fake, batch["label"], train=False
    )
    pixels = np.round((np.asarray(samples.fake) + 1) * 127.5).clip(0, 255)
    return pixels, np.asarray(judged.logits, np.float64)


def test_the_discriminator_accepts_the_likelier_ones(labelled, tmp_path, caplog):
    out, each = tmp_path / "a.npz", 12
    command = [f"--workdir={labelled}", f"--per_class={each}", *FLAGS]
    with caplog.at_level(logging.INFO, "jaxgan"):
        assert sample.main([*command, f"--out={out}"]) == 0
    with np.load(out) as npz:
        samples, labels = npz["samples"], npz["labels"]
    assert np.bincount(labels).tolist() == [each] * 5
    run, rates = load_run(labelled), []
    for label in range(5):
        pixels, logits = proposals(run, label, 160)
        # The scale is that of the first 64, of which 1 - SHARE are kept on average.
        odds = rejection.log_odds(logits[:64], logits[:64].max())
        gamma = scipy.optimize.brentq(
            lambda x, odds=odds: np.mean(scipy.special.expit(odds - x)) - 1 + SHARE,
            *(odds.min() - 9, odds.max() + 9),
        )
        p = scipy.special.expit(odds - gamma)
        drawn = np.random.default_rng([0, label + 1, 19]).random(64)
        chosen = np.flatnonzero(drawn < p)
        own = samples[labels == label]
        count = min(len(chosen), each)
        gaps = np.abs(own[:count].astype(float) - pixels[chosen[:count]])
        assert gaps.max() <= 1
        rates.append(len(chosen) / 64)
    # About a quarter (320 proposals, 4 deviations), and the rate is logged.
    assert abs(np.mean(rates) - (1 - SHARE)) < 0.1
    assert "--reject=discriminator accepted" in caplog.text
    # A larger set begins with a smaller one, and other formats have the same samples.
    few = tmp_path / "few"
    command[1] = "--per_class=2"
    assert sample.main([*command, f"--out={few}/", "--format=folder"]) == 0
    note = json.loads((few / "export.json").read_text())
    assert (note["reject"], note["reject_share"]) == ("discriminator", SHARE)
    assert 0.02 < note["accepted"] < 0.9
    name = sorted(x.name for x in few.iterdir() if x.is_dir())
    assert len(name) == 5
    with np.load(out) as npz:
        first = npz["samples"][npz["labels"] == 0][:2]
    assert sample.main([*command, f"--out={tmp_path}/few.npz"]) == 0
    with np.load(tmp_path / "few.npz") as npz:
        np.testing.assert_array_equal(npz["samples"][:2], first)


def test_samples_of_any_run_in_turn(labelled, finished, tmp_path):
    found = jaxgan.sample_run(labelled, 7, reject="discriminator", seed=3)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert found.samples.shape == (7, 8, 8, 1)
    assert 0 < found.accepted < 1
    command = [f"--workdir={labelled}", "--n=7", "--seed=3", "--reject=discriminator"]
    assert sample.main([*command, f"--out={tmp_path}/a.npz"]) == 0
    with np.load(tmp_path / "a.npz") as npz:
        np.testing.assert_array_equal(npz["samples"], found.samples)
        np.testing.assert_array_equal(npz["labels"], found.labels)
    # An unconditional run, and no rejection.
    found = jaxgan.sample_run(finished, 5, reject="discriminator")
    assert (found.labels, len(found.samples)) == (None, 5)
    plain = jaxgan.sample_run(finished, 5, seed=2)
    command = [f"--workdir={finished}", "--n=5", "--seed=2"]
    assert sample.main([*command, f"--out={tmp_path}/b.npz"]) == 0
    with np.load(tmp_path / "b.npz") as npz:
        np.testing.assert_array_equal(npz["samples"], plain.samples)
    assert plain.accepted == 1


def test_a_classifier_confirms_the_class(labelled, tmp_path, monkeypatch, capsys):
    def by_parity(*, example, train, held_out):
        def extract(images):
            # Classes 0 and 1 by the darker half of the images, and no others.
            mean = images.mean((1, 2, 3))
            p = np.zeros((len(images), 5))
            p[np.arange(len(images)), (mean > np.median(mean)).astype(int)] = 1
            return Features(mean[:, None], p)

        return Extractor("classifier", "0" * 16, {}, extract)

    monkeypatch.setitem(EXTRACTORS, "classifier", by_parity)
    options = {"reject": "classifier", "label": None}
    names = load_run(labelled).example.classes
    options["label"] = names[1]
    found = jaxgan.sample_run(labelled, 12, **options)
    assert found.accepted == pytest.approx(0.5, abs=0.1)
    out = tmp_path / "none"
    command = [f"--workdir={labelled}", "--per_class=9", f"--out={out}/"]
    assert sample.main([*command, "--reject=classifier", "--max_proposals=2"]) == 2
    [line] = [x for x in capsys.readouterr().err.splitlines() if "error" in x]
    assert f"accepted 0 of 64 proposals of class {names[2]!r}, for 9 samples" in line
    assert "--max_proposals than 2" in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--reject=real"], "--reject=real: choose none, discriminator or classifier"),
        (["--reject=classifier"], "this run is unconditional"),
        (["--reject_share=0.5"], "--reject_share has no effect with --reject=none"),
        (["--max_proposals=9"], "--max_proposals has no effect with --reject=none"),
        (["--reject=discriminator", "--reject_share=1"], "must be from 0.01 to 0.99"),
        (["--reject=discriminator", "--max_proposals=0"], "must be from 1 to 10,000"),
        (
            ["--reject=discriminator", "--interpolate", "--n=9"],
            "leave out --reject=dis",
        ),
    ],
)
def test_bad_requests(finished, tmp_path, capsys, flags, message):
    command = [f"--workdir={finished}", "--n=4", f"--out={tmp_path}/new.npz"]
    assert sample.main([*command, *flags]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert not (tmp_path / "new.npz").exists()
