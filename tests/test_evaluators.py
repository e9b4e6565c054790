"""Evaluators have known values, and the first one selects the best checkpoint."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import images
from test_train import argv, lines, run

from jaxgan import data, train
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.evaluation.evaluate import Evaluation, fixed_examples, names_in_log
from jaxgan.experiment import checkpoint
from jaxgan.gan import builder
from jaxgan.gan.build_evaluators import build_evaluators
from jaxgan.metrics import EVALUATORS, Evaluator
from jaxgan.metrics import sliced_wasserstein as metric
from jaxgan.metrics.vendi import kernel_width, vendi_score
from jaxgan.networks.ops.platform import jit_once
from jaxgan.training.trainer import check_score
from jaxgan.types import Samples

_, SAMPLE_KEY, METRIC_KEY = jax.random.split(jax.random.key(7), 3)
RING = data.load("ring8")
assert RING.modes is not None
CENTERS = RING.modes.centers
CONFIG = make_config(dataset="ring8", networks="mlp((8,), (8,))", batch_size=8)


def values_of(evaluator, real, fake, dataset=RING):
    """The values of an evaluator for samples that are known."""
    state = evaluator.init(dataset, {"image": real}, METRIC_KEY)

    def sample_fn(count, first=0):
        numbers = np.arange(first, first + count) % len(real)
        return jax.tree.map(lambda x: x[numbers], Samples(real, fake))

    return evaluator.run(state, sample_fn)


def score_of(evaluator, values):
    return names_in_log({"it": evaluator}, {"it": values})["score"]


def built(text, dataset=RING):
    return build_evaluators(make_config(eval_metrics=text), dataset)


def evaluation(text="sliced_wasserstein", examples=None, evaluators=None):
    """The evaluation of a small GAN in the plane, and the generator's variables."""
    gan = builder.build_gan(CONFIG, RING.example)
    return Evaluation(
        gan,
        evaluators or built(text),
        RING,
        examples or fixed_examples(RING, 200, seed=3),
        sample_key=SAMPLE_KEY,
        metric_key=METRIC_KEY,
    ), gan


def variables_of(gan, seed):
    return jit_once(gan.init)(jax.random.key(seed)).ema


# Values


def test_exact_centers_cover_all_modes():
    [evaluator] = built("mode_coverage(80)").values()
    centers = np.resize(CENTERS, (80, 2))
    values = values_of(evaluator, centers, centers)
    assert list(values) == ["modes", "quality", "kl"]
    assert values == {"modes": 8, "quality": 1.0, "kl": pytest.approx(0.0, abs=1e-12)}
    assert score_of(evaluator, values) == 0


def test_the_score_of_modes_counts_those_missing_and_the_bad_samples():
    # six at one center, and two in the middle: 7 modes are missing, 2 of 8 are bad
    [evaluator] = built("mode_coverage(8)").values()
    fake = np.concatenate([np.repeat(CENTERS[:1], 6, 0), np.zeros((2, 2))])
    values = values_of(evaluator, fake, fake)
    assert values == {"modes": 1, "quality": 0.75, "kl": pytest.approx(np.log(8))}
    assert score_of(evaluator, values) == 7.25


def test_equal_samples_have_no_diversity_and_those_of_the_data_have_all():
    [evaluator] = built("diversity").values()
    real = images(300)
    values = values_of(evaluator, real, real)
    assert values == {"diversity": 1.0}
    assert score_of(evaluator, values) == 0.0
    values = values_of(evaluator, real, np.zeros_like(real))
    assert values == {"diversity": pytest.approx(0.0, abs=1e-4)}
    assert score_of(evaluator, values) == pytest.approx(1.0, abs=1e-4)


def test_diversity_is_of_the_first_samples_and_more_than_one_is_no_better():
    # each real example occurs twice: half as many are distinct, 2 of 4 and 4 of 4
    real = np.array([[0.0], [0.0], [9.0], [9.0], [50.0]])
    fake = np.array([[0.0], [50.0], [100.0], [150.0], [0.0]])
    [evaluator] = built("diversity(4)").values()
    values = values_of(evaluator, real, fake)
    assert values["diversity"] == pytest.approx((4 - 1) / (2 - 1), rel=1e-4)
    assert score_of(evaluator, values) == pytest.approx(2.0, rel=1e-4)
    # of five examples there are at most five
    [evaluator] = built("diversity(4000)").values()
    width = kernel_width(real)
    want = (vendi_score(fake, width) - 1) / (vendi_score(real, width) - 1)
    assert values_of(evaluator, real, fake)["diversity"] == pytest.approx(float(want))


def test_the_distance_of_a_shifted_copy_in_one_dimension():
    [evaluator] = built("sliced_wasserstein").values()
    real = np.random.default_rng(0).normal(size=(50, 1)).astype(np.float32)
    values = values_of(evaluator, real, real[::-1] + 3)
    assert values == {"sliced_wasserstein": pytest.approx(3.0, rel=1e-5)}
    # of two arrays it is the mean
    values = values_of(evaluator, real, real)
    assert values == {"sliced_wasserstein": 0.0}
    state = evaluator.init(RING, {"image": real}, METRIC_KEY)
    both = Samples({"a": real, "b": real}, {"a": real + 1, "b": real + 3})
    values = evaluator.run(state, lambda count, first=0: both)
    assert values["sliced_wasserstein"] == pytest.approx(2.0, rel=1e-5)


# Names and recipes


def test_names_in_the_log():
    def named(text, **values):
        return names_in_log(built(text), values)

    one, two = {"sliced_wasserstein": 0.5}, {"modes": 3, "quality": 0.5, "kl": 0.1}
    assert named("sliced_wasserstein", sliced_wasserstein=one) == {"score": 0.5}
    got = named(
        "sliced_wasserstein|mode_coverage", sliced_wasserstein=one, mode_coverage=two
    )
    more = {f"eval/mode_coverage/{name}": value for name, value in two.items()}
    assert got == {"score": 0.5, **more}
    got = named(
        "mode_coverage|sliced_wasserstein", mode_coverage=two, sliced_wasserstein=one
    )
    assert next(iter(got.items())) == ("score", 5.5)
    assert got == {"score": 5.5, **more, "eval/sliced_wasserstein": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--eval_metrics: name one or more of classes, .* such as sliced"),
        ("diversit", "--eval_metrics: no name 'diversit': did you mean 'diversity'?"),
        ("diversity(1)", "--eval_metrics: .*samples must be in .2, 8192., not 1"),
        ("diversity|diversity", "--eval_metrics: 'diversity' appears twice"),
        ("mode_coverage(modes=3)", "unexpected keyword argument 'modes'"),
    ],
)
def test_a_wrong_recipe_is_found_without_data(text, message):
    with pytest.raises(UsageError, match=message):
        builder.check_texts(make_config(eval_metrics=text))


def test_modes_of_data_that_have_none():
    plain = data.from_arrays(images(20), name="plain")
    builder.check_texts(make_config(eval_metrics="mode_coverage"))
    message = "--eval_metrics: mode_coverage needs data .*known: ring8 or grid25"
    with pytest.raises(UsageError, match=message):
        built("mode_coverage", plain)


# Evaluation of a GAN


def old_score(gan, dataset, key, variables, count, samples, seed):
    """The score as it was before there were evaluators."""
    _, sample_key, metric_key = jax.random.split(key, 3)
    count = min(count, dataset.size)
    numbers = data.epoch_order(seed, 0, dataset.size)[: max(count, samples)]
    real = data.normalize(dataset.read(np.sort(numbers)))["image"]
    keys = jax.vmap(lambda i: jax.random.fold_in(sample_key, i))(jnp.arange(count))
    generate, at_once, fake = jax.jit(gan.generate), min(128, count), []
    for start in range(0, count, at_once):
        places = np.arange(start, start + at_once) % count
        batch = {"image": real[places]}
        fake.append(np.asarray(generate(variables, batch, keys[places])))
    fake = np.concatenate(fake)[:count]
    return float(jax.jit(metric.distance)(real[:count], fake, metric_key))


@pytest.mark.parametrize(("count", "samples"), [(200, 64), (30, 64), (5000, 4)])
def test_the_score_is_what_it_was(count, samples):
    dataset = data.from_arrays(images(300), name="pictures")
    config = make_config(networks="small(4)", task="generate(4)", batch_size=8)
    gan = builder.build_gan(config, dataset.example)
    variables = variables_of(gan, 1)
    examples = fixed_examples(dataset, max(count, samples), seed=3)
    got = Evaluation(
        gan,
        built("sliced_wasserstein", dataset),
        dataset,
        {name: x[:count] for name, x in examples.items()},
        sample_key=SAMPLE_KEY,
        metric_key=METRIC_KEY,
    ).evaluate([variables])
    want = old_score(gan, dataset, jax.random.key(7), variables, count, samples, seed=3)
    assert {name: x.tolist() for name, x in got.items()} == {"score": [want]}


def test_several_seeds_are_each_alone():
    measured, gan = evaluation("diversity(100)|mode_coverage(300)|sliced_wasserstein")
    both = [variables_of(gan, seed) for seed in (1, 2)]
    got = measured.evaluate(both)
    alone = [measured.evaluate([variables]) for variables in both]
    names = {"diversity", "sliced_wasserstein"}
    names |= {f"mode_coverage/{name}" for name in ("modes", "quality", "kl")}
    assert set(got) == {"score", *(f"eval/{name}" for name in names)}
    for name, value in got.items():
        assert value.dtype == np.float64
        assert value.tolist() == [x[name].item() for x in alone]
    assert got["score"][0] != got["score"][1]


def test_samples_can_be_drawn_in_parts_and_are_pairs():
    """The fixed examples start over, and the noise does not."""
    seen = []

    def look(state, sample_fn):
        seen.append((sample_fn(250), sample_fn(130, 120)))
        return {"nothing": 0.0}

    inits = []
    given = {"look": Evaluator(lambda *x: inits.append(x), look)}
    examples = fixed_examples(RING, 100, seed=3)
    measured, gan = evaluation(examples=examples, evaluators=given)
    for seed in (1, 2):
        measured.evaluate([variables_of(gan, seed)])
    # the real side is measured once, whatever is evaluated
    [(dataset, real, key)] = inits
    assert dataset is RING
    assert real is examples
    assert key is METRIC_KEY
    (whole, part), (other, _) = seen
    wanted = examples["image"][np.arange(250) % 100]
    np.testing.assert_array_equal(whole.real, wanted)
    np.testing.assert_array_equal(part.real, wanted[120:])
    np.testing.assert_allclose(part.fake, whole.fake[120:], rtol=1e-5, atol=1e-6)
    assert isinstance(whole.fake, np.ndarray)
    assert whole.fake.shape == (250, 2)
    assert (whole.fake[:50] != whole.fake[100:150]).any(axis=1).all()
    assert (whole.fake != other.fake).any()


# Training


@pytest.fixture
def peak(monkeypatch):
    """An evaluator of which more is better, with values that are made up."""
    numbers = [4.0, 9.0, 2.0, 1.0]

    def made_up():
        left = iter(numbers)
        return Evaluator(
            init=lambda dataset, examples, key: None,
            run=lambda state, sample_fn: {"psnr": next(left)},
            score=lambda values: -values["psnr"],
        )

    monkeypatch.setitem(EVALUATORS, "psnr", made_up)


@pytest.mark.parametrize("first", [True, False])
def test_the_best_checkpoint_is_that_of_the_first_evaluator(
    pictures, tmp_path, peak, first
):
    both = ["psnr", "sliced_wasserstein"][:: 1 if first else -1]
    flags = {"eval_metrics": "|".join(both), "keep": 1, "save_every": 10}
    folder = run(pictures, tmp_path / "run", 30, **flags)
    rows = [row for row in lines(folder) if "score" in row]
    assert [row["step"] for row in rows] == [0, 10, 20, 30]
    scores = [row["score"] for row in rows]
    assert [row["eval/psnr"] for row in rows] == [4, 9, 2, 1]
    assert [("eval/sliced_wasserstein" in row) for row in rows] == [first] * 4
    if first:
        assert scores == [-4, -9, -2, -1]
    best = 10 * (1 + int(np.argmin(scores[1:])))
    assert checkpoint.available(folder / "checkpoints") == sorted({best, 30})
    # ratios of negative numbers mean nothing
    assert [row for row in lines(folder) if row.get("kind") == "drifted"] == []


def test_values_of_several_seeds_are_logged(pictures, tmp_path):
    flags = {"eval_metrics": "sliced_wasserstein|diversity(8)", "runs": 2, "devices": 1}
    folder = run(pictures, tmp_path / "run", 5, **flags)
    row = next(row for row in lines(folder) if row["step"] == 5 and "score" in row)
    for name in ("score", "eval/diversity"):
        assert len(set(row["runs"][name])) == 2
        assert row[name] == pytest.approx(np.mean(row["runs"][name]))


def test_a_resumed_run_keeps_its_score(pictures, tmp_path, capsys):
    folder = tmp_path / "run"
    run(pictures, folder, 5)
    other = argv(pictures, folder, 10, eval_metrics="diversity|sliced_wasserstein")
    before = sorted(folder.rglob("*"))
    assert train.main(other) == 2
    message = "checkpoints of this run have the score of the first of 'sliced_wasserst"
    assert message in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before
    # others may be added
    run(pictures, folder, 10, eval_metrics=" sliced_wasserstein() | diversity(8)")
    [row] = [row for row in lines(folder) if row["step"] == 10 and "score" in row]
    assert row["eval/diversity"] >= 0


def test_a_score_with_other_arguments_is_another_one(tmp_path):
    config = {"workdir": tmp_path, "eval_metrics": "diversity(8)|mode_coverage"}
    check_score(make_config(**config))  # there is no run yet
    (tmp_path / "config.json").write_text('{"eval_metrics": "diversity( samples=8)"}')
    check_score(make_config(**{**config, "eval_metrics": "diversity(samples=8)"}))
    with pytest.raises(UsageError, match=r"the first of 'diversity\( samples=8\)'"):
        check_score(make_config(**{**config, "eval_metrics": "diversity(samples=9)"}))
    # version 0.1.0 had no such flag
    (tmp_path / "config.json").write_text("{}")
    check_score(make_config(workdir=tmp_path))
