"""Evaluations that cannot be: one line that names the flag and a value that works."""

from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

import jaxgan
from jaxgan import data, evaluate
from jaxgan.config.evaluating import EvaluateConfig
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.evaluation import real_examples
from jaxgan.evaluation.build_metrics import check_metrics, default_metrics
from jaxgan.evaluation.example_counts import Side, check
from jaxgan.evaluation.scores import Real, save_pictures
from jaxgan.gan.build_evaluators import build_evaluators
from jaxgan.metrics.comparison import NO_FEATURES, Comparison, Least
from jaxgan.metrics.evaluators import Evaluator
from jaxgan.metrics.feature_evaluators import FEATURE_EVALUATORS
from jaxgan.metrics.features import EXTRACTORS, Extractor, Features
from jaxgan.metrics.features.shared import SharedExtractor
from jaxgan.reporting import load_png
from jaxgan.types import ExampleSpec, Field, image_example

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 8, 8, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("extract", "message"),
    [
        (lambda x: x.mean((1, 2)), "own returned ndarray in place of features: return"),
        (lambda x: Features(x.mean((0, 1, 2))), r"own returned features \[3\] of 12"),
    ],
)
def test_an_extractor_of_a_user_returns_rows(monkeypatch, extract, message):
    own = Extractor("own", "0" * 16, {}, extract)
    monkeypatch.setitem(EXTRACTORS, "own", lambda: own)
    with pytest.raises(UsageError, match=message):
        jaxgan.compare(IMAGES, IMAGES, "fd(own)", cache=False)
    shared = SharedExtractor("own", lambda: own)
    evaluator: Evaluator = FEATURE_EVALUATORS["fd"](shared, 4)
    with pytest.raises(UsageError, match=message):
        evaluator.init(data.from_arrays(IMAGES), {}, jax.random.key(0))


KINDS = {
    "image": Field((8, 8, 3), np.dtype(np.uint8), "image"),
    "vector": Field((2,), np.dtype(np.float32), "vector"),
    "waveform": Field((8_192, 1), np.dtype(np.int16), "waveform", rate=8_000),
    "tokens": Field((9,), np.dtype(np.int32), "tokens"),
}


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("waveform", "ms_ssim", r"needs images .* use fd\(mel\), or"),
        ("vector", "ms_ssim", r"needs images .* use fd\(values\)"),
        ("vector", "classification_accuracy", r"needs images .* use fd\(values\)"),
        ("tokens", "classification_accuracy", r"needs images .* use fd\(minilm\)"),
    ],
)
def test_metrics_of_images_are_refused_before_features(kind, text, message):
    example = ExampleSpec(x=KINDS[kind])
    with pytest.raises(UsageError, match=f"--metrics: {text} {message}"):
        check_metrics(text, example=example)
    assert check_metrics(text, example=ExampleSpec(x=KINDS["image"]))


def dataset(kind):
    """Eight examples of a kind."""
    field = KINDS[kind]
    rows = {"x": np.zeros((8, *field.shape), field.dtype)}
    return data.from_fields("toy", rows, example=ExampleSpec(x=field), origin="zeros")


@pytest.mark.parametrize("kind", ["image", "vector", "waveform"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ngrams", "ngrams needs texts, not"),
        ("mel_l1", "mel_l1 compares waveforms with those of the same spectrograms"),
        ("stft", "stft compares waveforms with those of the same spectrograms"),
    ],
)
def test_evaluators_of_other_tasks_are_refused_before_training(kind, text, message):
    config = make_config(eval_metrics=text, task="generate(4)")
    with pytest.raises(UsageError, match=f"--eval_metrics: {message}"):
        build_evaluators(config, dataset(kind))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("diversity", "diversity is a metric of training, .*: use ms_ssim or"),
        ("fd(random)|mode_coverage(9)", "mode_coverage is .*: use modes"),
        ("mel_l1", "mel_l1 is .*: runs of a vocoder have it without --metrics"),
    ],
)
def test_metrics_of_training_alone_are_named_as_such(text, message):
    with pytest.raises(UsageError, match=f"--metrics: {message}"):
        check_metrics(text)


@pytest.mark.parametrize("text", ["bleu", "ms_ssim", "fd(random)|attribute_accuracy"])
def test_metrics_of_finished_runs_are_named_as_such(text):
    name = text.rpartition("|")[2]
    config = make_config(eval_metrics=text)
    with pytest.raises(UsageError, match=rf"--eval_metrics: {name} is .*jaxgan\.eval"):
        build_evaluators(config)


def test_vectors_are_compared_by_their_numbers():
    a, b = RNG.normal(size=(2, 400, 2)).astype(np.float32)
    b = b + np.array([3, 4], np.float32)
    real, fake = (
        data.from_fields(
            "points",
            {"x": x},
            example=ExampleSpec(x=KINDS["vector"]),
            origin="points",
        )
        for x in (a, b)
    )
    report = jaxgan.compare(real, fake, "fd(values)", cache=False)
    assert report["metrics"]["fd_values"]["value"] == pytest.approx(25, rel=0.1)
    with pytest.raises(UsageError, match=r"classifier needs .*: use fd\(values\)"):
        jaxgan.compare(real, fake, "fd(classifier)", cache=False)
    with pytest.raises(UsageError, match="values needs vectors, not image"):
        jaxgan.compare(IMAGES, IMAGES, "fd(values)", cache=False)


def test_points_and_their_nearest_training_examples_are_in_one_picture(tmp_path):
    columns = {"fake": np.full((4, 2), 0.5), "nearest": np.full((4, 2), -0.5)}
    metric = Comparison(
        Extractor("values", "none", {}, Features),
        lambda sets: {},
        picture=lambda x: columns,
    )
    features = {"values-none": Features(np.zeros((4, 2), np.float32))}
    real = Real(features, features)
    save_pictures(tmp_path / "e.json", [metric], [{"near": 1.0}], real, features)
    picture = load_png(tmp_path / "e-near.png").pixels.astype(int)
    middle = len(picture) // 2
    drawn = np.abs(picture - 255).sum(-1) > 90
    assert drawn[:middle, middle:].any()
    assert drawn[middle:, :middle].any()


LABEL = Field((), np.dtype(np.int32), "label", ("a", "b"))


@pytest.mark.parametrize(
    ("fields", "installed", "name", "warned"),
    [
        ({"x": KINDS["image"], "label": LABEL}, True, "classifier", ""),
        ({"x": KINDS["waveform"], "label": LABEL}, True, "classifier", ""),
        ({"x": KINDS["waveform"]}, True, "mel", ""),
        ({"x": KINDS["vector"]}, True, "values", ""),
        ({"x": KINDS["image"]}, True, "efficientnet", ""),
        ({"x": KINDS["image"]}, False, "random", "pip install 'jaxgan[features]'"),
        ({"x": Field((8, 8, 4))}, True, "random", "reads 1 or 3 channels, not 4"),
    ],
)
def test_the_default_metrics_fit_the_examples(
    monkeypatch, caplog, fields, installed, name, warned
):
    found = ModuleSpec("x", None) if installed else None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found)
    text = default_metrics(ExampleSpec(fields))
    assert text == f"fd({name})|kid({name})|precision_recall({name})"
    assert warned in caplog.text
    assert bool(warned) == bool(caplog.text)


def test_two_sets_have_the_default_metrics_of_the_real_one(tmp_path):
    points = dataset("vector")
    report = jaxgan.compare(points, points, cache=False)
    names = ["fd_values", "kid_values", "precision_values", "recall_values"]
    assert list(report["metrics"]) == names
    text = "fd(values)|kid(values)|precision_recall(values)"
    assert report["protocol"]["metrics"] == text
    np.savez(tmp_path / "s.npz", mu=np.zeros(2), sigma=np.eye(2))
    with pytest.raises(UsageError, match="which only fd can be computed"):
        jaxgan.compare(f"stats:{tmp_path}/s.npz", points)


@pytest.mark.parametrize(
    ("real", "fake", "flags", "message"),
    [
        (
            "a",
            "a",
            ["--metrics=fd"],
            "missing a required argument: 'extractor'; write fd(",
        ),
        (
            "a",
            "a",
            ["--metrics=ms_ssim", "--save_stats=s.npz"],
            "--save_stats writes st",
        ),
        (
            "a",
            "stats:a.npz",
            ["--metrics=fd(random)"],
            "named first: --compare stats:FILE",
        ),
        ("a", "ring8", ["--metrics=fd(random)"], "one form, not image with vector"),
        (
            "ring8:x",
            "ring8",
            ["--metrics=fd(values)"],
            "--compare ring8:x: ring8 has the",
        ),
    ],
)
def test_sets_that_cannot_be_compared(
    monkeypatch, tmp_path, capsys, real, fake, flags, message
):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", images=IMAGES)
    sets = ["npz:a.npz" if x == "a" else x for x in (real, fake)]
    assert evaluate.main(["--compare", *sets, *flags]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not list(tmp_path.glob("*.json"))


def test_the_training_split_is_refused_with_a_flag_of_this_program():
    run: Any = SimpleNamespace(config=make_config(dataset="ring8"))
    asked = EvaluateConfig(workdir=Path(), split="train")
    with pytest.raises(UsageError, match=r"with the training exam.* or --split=auto"):
        real_examples.load_real(run, asked)


@pytest.mark.parametrize(
    ("metric", "n", "more", "message"),
    [
        ("precision_recall(random)", 3, {}, r"k=3\) needs 4 real images .* 3: .*--n=4"),
        (
            "precision_recall(random)",
            6,
            {"n_real": 2},
            r"needs 4 real images or more, and there are 2: use --n_real=4",
        ),
        ("precision_recall(random, 12)", 12, {}, "12: leave it out, or use more"),
        ("precision_recall(random)", 3, {"n_real": 5}, "4 images to judge .* --n=4"),
        ("density_coverage(random)", 5, {}, "needs 6 real images .*: use --n=6"),
    ],
)
def test_few_examples_are_found_before_features(monkeypatch, metric, n, more, message):
    own = EXTRACTORS["random"](4, example=image_example((8, 8, 3)))
    blind = own._replace(extract=lambda x: pytest.fail("features were extracted"))
    monkeypatch.setitem(EXTRACTORS, "random", lambda: blind)
    with pytest.raises(UsageError, match=f"--metrics: .*{message}"):
        jaxgan.compare(IMAGES, IMAGES, metric, n=n, cache=False, **more)


def test_a_few_samples_have_density_and_coverage():
    # Balls are those of real examples only.
    metric = "density_coverage(random)"
    report = jaxgan.compare(IMAGES, IMAGES, metric, n=2, n_real=6, cache=False)
    assert set(report["metrics"]) == {"density_random", "coverage_random"}


def labelled(counts, name="toy"):
    """Images with so many examples of each class."""
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    arrays = {"image": RNG.integers(0, 256, (len(labels), 8, 8, 3), np.uint8)}
    names = tuple("abc")
    arrays["label"] = labels
    return data.from_fields(name, arrays, classes=names, origin="made up")


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        ((3, 1, 5), (3, 3, 3), "2 real images of each .* 1 of class b: leave it out"),
        ((3, 3, 3), (4, 0, 5), "2 images to judge of each .* 0 of class b: leave it"),
        ((3, 3), (3, 3, 3), "0 of class c"),
    ],
)
def test_few_examples_of_a_class_are_found_before_features(
    monkeypatch, real, fake, message
):
    own = EXTRACTORS["random"](4, example=image_example((8, 8, 3)))
    blind = own._replace(extract=lambda x: pytest.fail("features were extracted"))
    monkeypatch.setitem(EXTRACTORS, "random", lambda: blind)
    with pytest.raises(
        UsageError, match=rf"--metrics: per_class_fd\(random\) .*{message}"
    ):
        jaxgan.compare(labelled(real), labelled(fake), "per_class_fd(random)")


def test_advice_for_few_examples_of_a_class_is_a_larger_number():
    least = Least("m", of_class=2)
    metric = Comparison(NO_FEATURES, lambda sets: {}, least=least)
    side = Side("samples", "n", 3, None, np.array([0, 0, 1]))
    enough = side._replace(count=4, labels=np.array([0, 0, 1, 1]))
    with pytest.raises(UsageError, match=r"there are 1 of class 1: .* such as --n=20"):
        check([metric], enough, side)
    check([metric], enough, enough)
    # Of runs without labels it is not asked for.
    check([metric], enough._replace(labels=None), side._replace(labels=None))
