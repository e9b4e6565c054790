"""Evaluators in features have the values of the offline metrics, and change nothing."""

import dataclasses
import gc
import hashlib
import json
import weakref

import jax
import numpy as np
import pytest
from games import same
from test_train import argv, lines, run, state_of

from jaxgan import data, train
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.evaluation.evaluate import names_in_log
from jaxgan.experiment import checkpoint
from jaxgan.experiment.setup import check_eval_every, setup
from jaxgan.gan import builder
from jaxgan.gan.build_evaluators import build_evaluators, default_metrics
from jaxgan.metrics.class_histogram import histogram_divergence
from jaxgan.metrics.classifier_score import predicted_classes
from jaxgan.metrics.feature_evaluators import FEATURE_EVALUATORS
from jaxgan.metrics.features import (
    EXTRACTORS,
    Extractor,
    Features,
    classifier_training,
    feature_cache,
    inception,
)
from jaxgan.metrics.features.shared import SharedExtractor, shared_extractors
from jaxgan.metrics.frechet import frechet_distance, moments
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.mode_coverage import divergence
from jaxgan.metrics.neighbors import neighbor_ratio
from jaxgan.metrics.precision_recall import precision_recall
from jaxgan.training.trainer import check_score, with_recorded_flags
from jaxgan.types import Samples

RNG = np.random.default_rng(0)


def pixels(images):
    """The features of images of 2 x 2 pixels are the pixels."""
    return Features(images.reshape(len(images), -1))


def guess(images):
    """Pixels, with probabilities of two classes by the first one."""
    p = np.clip(images[:, 0, 0, 0] / 2 + 0.5, 0, 1)
    return pixels(images)._replace(probabilities=np.stack([p, 1 - p], 1))


def shared(extract=pixels, name="pixels"):
    return SharedExtractor(name, lambda: Extractor(name, "", {}, extract))


def raw(n, seed=0, low=0, high=256):
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, (n, 2, 2, 1), np.uint8)


def dataset_of(images, name="images"):
    return data.from_arrays(images, name=name)


TRAIN, HELD_OUT = dataset_of(raw(300)), dataset_of(raw(80, seed=1))
FAKES = np.random.default_rng(2).normal(size=(700, 2, 2, 1)).astype(np.float32)
KEY = jax.random.key(0)


def sampler(fakes=FAKES, parts=None):
    """Draws known samples, and notes which."""

    def sample_fn(count, first=0):
        if parts is not None:
            parts.append((first, count))
        some = fakes[first : first + count]
        return Samples(real=np.zeros_like(some), fake=some)

    return sample_fn


def values_of(evaluator, dataset=TRAIN, sample_fn=None):
    state = evaluator.init(dataset, {}, KEY)
    return evaluator.run(state, sample_fn or sampler())


def features_of(dataset):
    return data.normalize(dataset.read(np.arange(dataset.size)), dataset.example)[
        "image"
    ].reshape(dataset.size, -1)


def fakes_of(count):
    return FAKES[:count].reshape(count, -1).clip(-1, 1)


# Values


def test_values_are_those_of_the_formulas():
    made = FEATURE_EVALUATORS
    real, fake = features_of(TRAIN), fakes_of(500)
    fd = made["fd"](shared(), 500)
    want = frechet_distance(moments(real), moments(fake))
    assert fd.name == "fd_pixels"
    assert values_of(fd) == {"fd_pixels": pytest.approx(want)}
    kid = made["kid"](shared(), 500, subsets=1, size=10**6)
    # the smaller set limits a subset, which is all of it, in another order
    [value] = values_of(made["kid"](shared(), 300, 1)).values()
    all_of = kernel_distance(real, fakes_of(300), subsets=1, size=300).mean
    assert value == pytest.approx(all_of)
    assert next(iter(values_of(kid))) == "kid_pixels"
    near = made["memorization"](shared(), 200, held_out=HELD_OUT)
    found = neighbor_ratio(real, features_of(HELD_OUT), fakes_of(200))
    assert values_of(near) == {
        "memorization_pixels": pytest.approx(found.median),
        "memorization_pixels_close": found.close,
    }


def test_precision_and_recall_compare_as_many_of_both():
    evaluator = FEATURE_EVALUATORS["precision_recall"](shared(), 100, k=2)
    order = data.epoch_order(0, 0, TRAIN.size)[:100]
    found = precision_recall(features_of(TRAIN)[order], fakes_of(100), k=2)
    values = values_of(evaluator)
    assert values == {
        "precision_pixels": found.precision,
        "recall_pixels": found.recall,
    }
    assert evaluator.score
    mean = 2 / (1 / found.precision + 1 / found.recall)
    assert evaluator.score(values) == pytest.approx(1 - mean)
    assert evaluator.score({"precision": 0.0, "recall": 0.0}) == 1


def test_classes_of_samples():
    evaluator = FEATURE_EVALUATORS["classes"](shared(guess), 400)
    values = values_of(evaluator)
    p = guess(FAKES[:400].clip(-1, 1)).probabilities
    real = guess(features_of(TRAIN).reshape(-1, 2, 2, 1)).probabilities
    assert p is not None
    assert real is not None
    assert values == {
        "confident_pixels": predicted_classes(p).confident,
        "classes_pixels": 2,
        "class_kl_pixels": pytest.approx(
            float(histogram_divergence(*(np.bincount(x.argmax(1)) for x in (p, real))))
        ),
        # about (k - 1) / 2 (1 / n + 1 / m)
        "class_kl_pixels_floor": pytest.approx((1 / 400 + 1 / TRAIN.size) / 2, rel=0.1),
    }
    assert evaluator.score
    assert evaluator.score({"a": 0.75, "b": 2, "c": 0.5, "d": 0.1}) == 0.75
    with pytest.raises(UsageError, match=r"classes\(pixels\): this extractor has no"):
        FEATURE_EVALUATORS["classes"](shared(), 400).init(TRAIN, {}, KEY)


def test_the_divergence_from_even_classes_is_that_from_the_uniform_distribution():
    even, fake = np.full(4, 1000), np.array([3, 2, 0, 1])
    assert histogram_divergence(fake, even) == pytest.approx(divergence(fake))
    assert histogram_divergence(even, even) == 0
    # a class that no example has is finite, and unlikely
    alone = histogram_divergence(np.array([0, 1]), np.array([100, 0]))
    assert 5 < alone < np.log(1000)


def test_scores_are_not_negative_and_less_is_better():
    kid = FEATURE_EVALUATORS["kid"](shared())
    near = FEATURE_EVALUATORS["memorization"](shared(), held_out=HELD_OUT)
    assert kid.score
    assert near.score
    assert kid.score({"kid": -0.1, "kid_error": 3.0}) == 0
    assert kid.score({"kid": 0.2, "kid_error": 3.0}) == 0.2
    assert near.score({"ratio": 0.75, "close": 9.0}) == 0.25
    assert near.score({"ratio": 1.5, "close": 9.0}) == 0.5


@pytest.mark.parametrize("name", FEATURE_EVALUATORS)
def test_samples_that_are_not_finite_have_no_values(name):
    given = {"held_out": HELD_OUT} if name == "memorization" else {}
    evaluator = FEATURE_EVALUATORS[name](shared(guess), 50, **given)
    broken = FAKES.copy()
    broken[30, 0, 1] = np.nan
    values = values_of(evaluator, sample_fn=sampler(broken))
    assert all(np.isnan(x) for x in values.values())
    known = values_of(evaluator)
    assert [x for x in known if "error" not in x] == list(values)
    assert np.isfinite(list(known.values())).all()
    assert np.isnan(names_in_log({"it": evaluator}, {"it": values})["score"])


def test_copies_are_told_from_new_samples():
    evaluator = FEATURE_EVALUATORS["memorization"](shared(), 300, held_out=HELD_OUT)
    copied = features_of(TRAIN).reshape(-1, 2, 2, 1)
    values = values_of(evaluator, sample_fn=sampler(copied))
    assert values == {"memorization_pixels": 0.0, "memorization_pixels_close": 1.0}
    fresh = features_of(dataset_of(raw(300, seed=5))).reshape(-1, 2, 2, 1)
    values = values_of(evaluator, sample_fn=sampler(fresh))
    assert 0.8 < values["memorization_pixels"] < 1.25
    assert values["memorization_pixels_close"] < 0.06


def test_few_samples_for_many_features_are_warned_of(caplog):
    wide = Extractor("wide", "", {}, lambda x: Features(RNG.normal(size=(len(x), 30))))
    evaluator = FEATURE_EVALUATORS["fd"](SharedExtractor("wide", lambda: wide), 40)
    evaluator.init(TRAIN, {}, KEY)
    assert "fd_wide: 40 examples for 30 dimensions bias" in caplog.text


def test_the_protocol_is_logged(caplog):
    caplog.set_level("INFO", "jaxgan")
    one = Extractor("pixels", "12ab", {"resize": "none"}, guess)
    extractor = SharedExtractor("pixels", lambda: one)
    FEATURE_EVALUATORS["fd"](extractor, 77).init(TRAIN, {}, KEY)
    FEATURE_EVALUATORS["classes"](extractor, 9).init(TRAIN, {}, KEY)
    near = FEATURE_EVALUATORS["memorization"](extractor, 8, held_out=HELD_OUT)
    near.init(TRAIN, {}, KEY)
    end = "samples against 300 training examples, in the features of pixels 12ab"
    for start in ("fd_pixels: 77", "classes_pixels: 9", "memorization_pixels: 8"):
        assert f"{start} {end}, resize none" in caplog.text


# Shared extractors


def test_features_are_extracted_once_for_all_metrics():
    seen, parts, opened = [], [], []

    def extract(images):
        seen.append(len(images))
        return pixels(images)

    def make():
        opened.append(1)
        return Extractor("pixels", "", {}, extract)

    one = SharedExtractor("pixels", make)
    fd = FEATURE_EVALUATORS["fd"](one, 300)
    both = FEATURE_EVALUATORS["precision_recall"](one, 600)
    assert opened == []
    states = [x.init(TRAIN, {}, KEY) for x in (fd, both)]
    assert sum(seen) == TRAIN.size
    assert opened == [1]
    seen.clear()
    sample_fn = sampler(parts=parts)
    first = [x.run(s, sample_fn) for x, s in zip((fd, both), states, strict=True)]
    assert sum(seen) == 600
    assert sum(count for _, count in parts) == 600
    # samples of other parameters are other samples
    other = [x.run(s, sampler(-FAKES)) for x, s in zip((fd, both), states, strict=True)]
    again = [x.run(s, sampler()) for x, s in zip((both, fd), states[::-1], strict=True)]
    assert first == again[::-1] != other
    assert opened == [1]


def test_parameters_of_samples_are_not_kept():
    extractor, sample_fn = shared(), sampler()
    extractor.of_samples(sample_fn, 10)
    gone = weakref.ref(sample_fn)
    del sample_fn
    gc.collect()
    assert gone() is None


def test_examples_are_a_fixed_random_part_and_fewer_are_the_first_ones():
    ordered = dataset_of(np.sort(raw(300).reshape(300, -1), 0).reshape(300, 2, 2, 1))
    one, other = shared(), shared()
    few = one.of_dataset(ordered, 50).features
    assert abs(few.mean()) < 0.2  # of the first 50 of the set it is about -0.8
    many = one.of_dataset(ordered, 290).features
    np.testing.assert_array_equal(many[:50], few)
    np.testing.assert_array_equal(other.of_dataset(ordered, 290).features, many)
    # two sets at a time
    one.of_dataset(HELD_OUT, 20)
    np.testing.assert_array_equal(one.of_dataset(ordered, 290).features, many)


def test_the_next_run_reads_features_of_many_examples(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(feature_cache, "FEW", 300)
    sizes = []

    def extract(images):
        sizes.append(len(images))
        return pixels(images)

    def of_run(dataset, count, digest="1" * 16):
        sizes.clear()
        one = SharedExtractor(
            "pixels", lambda: Extractor("pixels", digest, {}, extract)
        )
        return one.of_dataset(dataset, count).features

    first = of_run(TRAIN, 300)
    assert sum(sizes) == 300
    np.testing.assert_array_equal(of_run(dataset_of(raw(300)), 300), first)
    assert sizes == []
    # fewer examples, other weights, other images
    np.testing.assert_array_equal(of_run(TRAIN, 299), first[:299])
    assert sum(sizes) == 299
    of_run(TRAIN, 300, "2" * 16)
    assert sum(sizes) == 300
    assert (of_run(dataset_of(raw(300, seed=5)), 300) != first).any()
    assert sum(sizes) == 300


def test_a_text_opens_nothing_and_checks_what_the_data_have(monkeypatch):
    def never(**_):
        raise AssertionError("opened")

    monkeypatch.setitem(EXTRACTORS, "random", lambda *, example: never())
    plain = data.from_arrays(raw(20))
    table = shared_extractors({"example": plain.example, "train": plain})
    assert table["random"]() is table["random"]()
    with pytest.raises(UsageError, match="classifier needs labels"):
        table["classifier"]()
    ring = data.load("ring8")
    table = shared_extractors({"example": ring.example, "train": ring})
    for name in ("random", "classifier", "inception", "efficientnet"):
        with pytest.raises(UsageError, match=f"{name} needs images"):
            table[name]("weights" if name == "inception" else 1)


def built(text, dataset=TRAIN, held_out: data.Dataset | None = HELD_OUT):
    return build_evaluators(make_config(eval_metrics=text), dataset, held_out)


def test_names_in_texts_and_logs(tmp_path, monkeypatch):
    file = tmp_path / "x.pth"
    file.write_bytes(b"weights")
    # A distance is called FID only if the weights are those of the FID.
    flags = {"eval_metrics": "fd(inception)", "inception_weights": file}
    config = make_config(**flags)
    assert list(build_evaluators(config, TRAIN)) == ["fd_unknown_inception"]
    own = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setitem(inception.KNOWN, own, "weights")
    assert list(build_evaluators(config, TRAIN)) == ["fid"]
    text = "fd(random)|precision_recall(random, samples=9)|diversity"
    evaluators = built(f"{text}|fd(inception('{file}'))")
    names = ["fd_random", "precision_recall_random", "diversity", "fid"]
    assert list(evaluators) == names
    values = {"fd_random": 4.0}, {"precision_random": 0.5}, {"diversity": 1.0}
    given = dict(zip(names, [*values, {"fid": 9.0}], strict=True))
    assert names_in_log(evaluators, given) == {
        "score": 4.0,
        "eval/fd_random": 4.0,
        "eval/precision_random": 0.5,
        "eval/fid": 9.0,
        "eval/diversity": 1.0,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fd", "missing a required argument: 'extractor'"),
        ("fd(4)", "extractor must be SharedExtractor, not 4"),
        ("fd(clasifier)", "no name 'clasifier': did you mean 'classifier'"),
        ("fd(random, samples=1)", "samples must be in .2, 1048576., not 1: use 2048"),
        ("fd(random)|fd(random(8))", "'fd_random' appears twice"),
        ("precision_recall(random, samples=3)", "use samples=4 or more"),
        ("memorization(random, held_out=3)", "unexpected keyword argument 'held_out'"),
        ("fd(random(example=3))", "unexpected keyword argument 'example'"),
    ],
)
def test_a_wrong_recipe_is_found_without_data(text, message):
    with pytest.raises(UsageError, match=f"--eval_metrics: .*{message}"):
        builder.check_texts(make_config(eval_metrics=text))


def test_weights_of_inception_are_named_and_needed():
    with pytest.raises(UsageError, match=r"inception needs .*SHA-256 6726825d.*--inc"):
        built("fd(inception)")
    flags = {"eval_metrics": "fd(random)", "inception_weights": "x.pth"}
    with pytest.raises(UsageError, match="--inception_weights has no effect without"):
        builder.check_texts(make_config(**flags))


def test_data_without_what_a_metric_needs():
    for text in ("fd(classifier)", "memorization(random)", "classes(efficientnet)"):
        builder.check_texts(make_config(eval_metrics=text))
    with pytest.raises(UsageError, match="--eval_metrics: classifier needs labels"):
        built("fd(classifier)")
    with pytest.raises(UsageError, match="--eval_metrics: memorization needs held-out"):
        built("memorization(random)", held_out=None)


# The default


def labeled(n, classes):
    images = np.zeros((n, 2, 2, 1), np.uint8)
    return data.from_arrays(images, np.arange(n) % classes, name="labeled")


def test_the_default_is_a_classifier_where_the_data_are_enough():
    chosen = default_metrics
    assert chosen(labeled(10_000, 10)) == "fd(classifier)"
    assert chosen(labeled(9_999, 10)) == "sliced_wasserstein"
    assert chosen(labeled(10_000, 21)) == "sliced_wasserstein"
    assert chosen(labeled(10_000, 1)) == "sliced_wasserstein"
    assert chosen(dataset_of(raw(10_000))) == "sliced_wasserstein"
    assert chosen(data.load("grid25")) == "sliced_wasserstein"
    assert list(build_evaluators(make_config(), labeled(10_000, 2))) == [
        "fd_classifier"
    ]


def test_a_resumed_run_keeps_the_metrics_that_it_has(tmp_path):
    config = make_config(dataset="mnist", workdir=tmp_path)
    assert with_recorded_flags(config) == config
    for stored, metrics in (
        ({}, "sliced_wasserstein"),
        ({"eval_metrics": "sliced_wasserstein"}, "sliced_wasserstein"),
        ({"eval_metrics": "fd(random)|diversity"}, "fd(random)|diversity"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(stored))
        kept = with_recorded_flags(config)
        assert kept.eval_metrics == metrics
        assert dataclasses.replace(kept, eval_metrics="auto") == config
        check_score(config)
        check_score(kept)
        asked = dataclasses.replace(config, eval_metrics="fd(random(8))")
        assert with_recorded_flags(asked) == asked
        with pytest.raises(UsageError, match="the score of the first of"):
            check_score(asked)


# Training


TINY = {"steps_per_call": 1, "save_every": 2, "log_every": 3, "score_samples": 8}


def evaluated(workdir):
    """The evaluations of a run, by step."""
    return {row["step"]: row for row in lines(workdir) if "score" in row}


def test_evaluation_does_not_change_the_parameters(pictures, tmp_path):
    text = "fd(random, 20)|memorization(random, 20)|kid(random, 20)|diversity(8)"
    given = {**TINY, "held_out": 20}
    often = run(pictures, tmp_path / "often", 3, eval_metrics=text, **given)
    never = run(pictures, tmp_path / "never", 3, eval_every=10**6, **given)
    for step in (2, 3):
        same(state_of(often, step), state_of(never, step))
    # evaluated at the start and at the end only
    assert list(evaluated(never)) == [0, 3]
    rows = evaluated(often)
    assert list(rows) == [0, 2, 3]
    names = ("memorization_random", "memorization_random_close", "kid_random")
    assert all({f"eval/{name}" for name in names} <= set(x) for x in rows.values())
    config = json.loads((never / "config.json").read_text())
    assert config["eval_metrics"] == "sliced_wasserstein"


def test_a_classifier_is_trained_once_before_the_first_step(
    pictures, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO", "jaxgan")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(classifier_training, "LEAST", 5)
    text = {"eval_metrics": "fd(classifier, 20)|classes(classifier, 20)", **TINY}
    assert train.main([*argv(pictures, tmp_path / "run", 2, **text), "--dry_run"]) == 0
    assert "training the classifier" not in caplog.text
    for steps in (2, 4):
        run(pictures, tmp_path / "run", steps, **text)
    [first] = [i for i, x in enumerate(caplog.messages) if "training the classi" in x]
    assert any(x.startswith("step 0/2") for x in caplog.messages[first:])
    protocols = [x for x in caplog.messages if "in the features of classifier" in x]
    assert len(protocols) == 4
    assert len({x.partition("features of")[2] for x in protocols}) == 1
    rows = evaluated(tmp_path / "run")
    assert list(rows) == [0, 2, 4]
    assert all(x["eval/classes_classifier"] in range(1, 6) for x in rows.values())
    # a run that is done opens nothing
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    run(pictures, tmp_path / "run", 4, **text)
    assert sum("training the classifier" in x for x in caplog.messages) == 1


def test_two_seeds_on_two_devices_are_evaluated_each(pictures, tmp_path):
    text = "fd(random, samples=20)|precision_recall(random, samples=20)"
    given = {**TINY, "eval_metrics": text, "runs": 2, "devices": 2}
    row = evaluated(run(pictures, tmp_path / "run", 2, **given))[2]
    for name in ("score", "eval/fd_random", "eval/precision_random"):
        assert len(row["runs"][name]) == 2
    assert row["runs"]["score"] == row["runs"]["eval/fd_random"]
    assert len(set(row["runs"]["score"])) == 2


def test_between_checkpoints_there_are_curves_only(pictures, tmp_path, caplog):
    caplog.set_level("INFO", "jaxgan")
    given = {**TINY, "eval_metrics": "fd(random, samples=20)", "keep": 1}
    often = run(pictures, tmp_path / "often", 3, **given, eval_every=1)
    rows = evaluated(often)
    assert list(rows) == [0, 1, 2, 3]
    assert all(row["score"] == row["eval/fd_random"] for row in rows.values())
    line = f"score (fd_random) {rows[1]['score']:.4g}"
    assert any(line in x and "step 1/3" in x for x in caplog.messages)
    assert not any("  fd_random" in x for x in caplog.messages)
    # at a multiple of the checkpoints, the others are not the best, also on resume
    for steps in (4, 7):
        seldom = run(pictures, tmp_path / "seldom", steps, **given, eval_every=4)
    assert list(evaluated(seldom)) == [0, 4, 7]
    kept = checkpoint.available(seldom / "checkpoints")
    best = min((4, 7), key=lambda step: evaluated(seldom)[step]["score"])
    assert kept == sorted({best, 7})


def test_intervals_that_never_meet_are_refused():
    for every, save in ((0, 7), (7, 7), (14, 7), (1, 7), (2, 8)):
        check_eval_every(make_config(eval_every=every, save_every=save))
    for every, save, fits in ((10, 7, 7), (300, 1000, 250), (6, 9, 3)):
        config = make_config(eval_every=every, save_every=save)
        with pytest.raises(UsageError, match=f"use --eval_every={fits}$"):
            check_eval_every(config)
        check_eval_every(dataclasses.replace(config, eval_every=fits))


def test_nothing_is_opened_before_training(pictures, tmp_path, monkeypatch, capsys):
    def never(*, example):
        raise UsageError("its weights are not here: get them")

    monkeypatch.setitem(EXTRACTORS, "random", never)
    folder, text = tmp_path / "run", {"eval_metrics": "fd(random)"}
    assert train.main([*argv(pictures, folder, 2, **text), "--dry_run"]) == 0
    assert "eval_metrics=fd(random)" in capsys.readouterr().out
    assert list(setup(make_config(dataset="ring8")).evaluators) == [
        "sliced_wasserstein"
    ]
    # an error comes before anything is written
    assert train.main(argv(pictures, folder, 2, **text)) == 2
    [said] = [x for x in capsys.readouterr().err.splitlines() if "error" in x]
    assert "its weights are not here: get them" in said
    assert not folder.exists()
