"""The public API: what `import jaxgan` offers, without importing jax for it."""

import inspect
import json
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest

import jaxgan


def child(program, *args, **more):
    """Runs a program in a process of its own; returns its output."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **more,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_export_is_importable_and_documented():
    assert set(jaxgan.__all__) <= set(dir(jaxgan))
    for name in jaxgan.__all__:
        value = getattr(jaxgan, name)
        if name != "PRESETS":
            doc = inspect.getdoc(value)
            assert doc, name
            assert doc[0].isupper(), name
        if name != "PRESETS" and not inspect.ismodule(value):
            assert ">>>" in doc, name
        if inspect.isfunction(value) and value.__doc__:
            assert "Args:" in value.__doc__ or not inspect.signature(value).parameters
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        jaxgan.nothing  # noqa: B018


def test_import_and_help_do_not_import_jax():
    program = """
        import sys
        import jaxgan, jaxgan.train, jaxgan.sample, jaxgan.plan
        import jaxgan.apply, jaxgan.evaluate, jaxgan.score
        jaxgan.make_config, jaxgan.Config, jaxgan.PRESETS, jaxgan.UsageError
        try:
            jaxgan.train.main(["--help"])
        except SystemExit:
            pass
        heavy = {"jax", "flax", "optax", "orbax", "tensorflow_datasets", "numpy"}
        print(sorted(heavy & set(sys.modules)), file=sys.stderr)
        assert not {"jax", "flax", "optax", "orbax"} & set(sys.modules)
    """
    assert "data:" in child(program)


def test_the_ten_lines_of_the_docstring_train_a_gan():
    config = jaxgan.make_config(dataset="ring8", batch_size=8, d_updates=2, steps=3)
    dataset = jaxgan.load_dataset("ring8")
    gan = jaxgan.build(config, dataset)
    state = gan.init(jax.random.key(0))
    steps = 0
    for batch in jaxgan.batches(dataset, config):
        assert batch["image"].shape == (2, 8, 2)
        state, metrics = gan.train_step(state, batch, jax.random.key(1))
        steps += 1
    assert steps == 3
    assert np.isfinite(float(metrics["generator/loss"]))
    samples = gan.sample(state.ema, jax.random.key(2), 64)
    assert samples.shape == (64, 2)
    same = gan.sample(state.ema, jax.random.key(2), 64)
    np.testing.assert_array_equal(samples, same)


def test_raw_pictures_are_normalized_in_the_step():
    pictures = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    dataset = jaxgan.load_dataset({"images": pictures, "labels": np.arange(40) % 2})
    flags = {"networks": "small(2)", "batch_size": 4, "steps": 1}
    config = jaxgan.make_config(
        **flags, task="conditional(4)", generator_wrap="embed", loss="hinge"
    )
    gan = jaxgan.build(config, dataset)
    state = gan.init(jax.random.key(0))
    [batch] = jaxgan.batches(dataset, config)
    assert batch["image"].dtype == np.uint8
    scaled = {**batch, "image": batch["image"].astype(np.float32) / 127.5 - 1}
    key = jax.random.key(1)
    _, raw = gan.train_step(state, batch, key)
    _, floats = gan.train_step(state, scaled, key)
    assert float(raw["discriminator/loss"]) == pytest.approx(
        float(floats["discriminator/loss"]), rel=1e-5
    )
    with pytest.raises(jaxgan.UsageError, match="sample needs batch="):
        gan.sample(state.ema, key, 3)
    labels = {"label": np.array([0, 1, 1])}
    assert gan.sample(state.ema, key, 3, labels).shape == (3, 8, 8, 1)


def test_fit_and_load_run(tmp_path):
    config = jaxgan.make_config(
        dataset="ring8",
        networks="mlp((8,), (8,))",
        batch_size=8,
        steps=4,
        samples=4,
        score_samples=8,
        log_every=2,
        held_out="none",
        workdir=tmp_path / "run",
        data_dir=tmp_path / "sets",
    )
    assert jaxgan.fit(config) == 0
    run = jaxgan.load_run(tmp_path / "run")
    assert run.config.steps == 4
    # The data are found where the run found them, unless this is another machine.
    assert run.config.data_dir == ""
    (tmp_path / "sets").mkdir()
    config = jaxgan.load_run(tmp_path / "run").config
    assert config.data_dir == str(tmp_path / "sets")
    assert {row["step"] for row in run.metrics} == {0, 2, 4}
    samples = run.gan.sample(run.variables, jax.random.key(0), 5)
    assert samples.shape == (5, 2)
    assert np.isfinite(samples).all()


EXTENSION = '''
"""A user's module."""

import jax.numpy as jnp

import jaxgan
from jaxgan import losses, metrics, networks, tasks
from jaxgan.data import from_arrays
from jaxgan.data.sources import SOURCES
from jaxgan.networks import mlp
from jaxgan.terms import leaf_mean, stateless


def difference():
    d = stateless(lambda s: leaf_mean(lambda f, r: f - r, s.fake.logits, s.real.logits))
    g = stateless(lambda s: leaf_mean(lambda f: -f, s.fake.logits))
    return jaxgan.Players(g, d)


def small_logits(weight: float = 1.0):
    return stateless(lambda s: weight * leaf_mean(jnp.square, s.real.logits))


def line(request):
    points = jnp.linspace(-1.0, 1.0, 64)
    return from_arrays(jnp.stack([points, points], 1), name="line")


def gap():
    def run(mean, sample_fn):
        return {"gap": abs(float(sample_fn(8).fake.mean() - mean))}

    return metrics.Evaluator(lambda _, examples, key: examples["image"].mean(), run)


losses.LOSSES["difference"] = difference
losses.REGULARIZERS["small_logits"] = small_logits
networks.NETWORKS["tiny"] = lambda *, example: mlp.pair((4,), (4,), example=example)
tasks.TASKS["plain"] = lambda: tasks.generate(3)
metrics.EVALUATORS["gap"] = gap
SOURCES["line"] = line
'''


def test_a_module_of_the_user_registers_entries_of_all_tables(tmp_path):
    (tmp_path / "mine.py").write_text(EXTENSION)
    flags = ["--import=mine", "--dataset=line", "--loss=difference", "--steps=2"]
    flags += ["--d_terms=small_logits(2)", "--networks=tiny", "--task=plain"]
    flags += ["--batch_size=8", "--workdir=run", "--held_out=none", "--samples=4"]
    flags += ["--eval_metrics=gap|sliced_wasserstein"]
    program = """
        import sys
        from jaxgan import sample, train
        code = train.main(sys.argv[1:])
        code = code or sample.main(["--workdir=run", "--n=4", "--out=x.npz"])
        sys.exit(code)
    """
    child(program, *flags, cwd=tmp_path)
    assert np.load(tmp_path / "x.npz")["samples"].shape == (4, 2)
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().split("\n")[0])
    assert first["score"] > 0
    assert first["eval/sliced_wasserstein"] > 0
    assert "eval/gap" not in first


def test_an_extension_that_is_missing_or_broken(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken.py").write_text("import no_such_module_at_all\n")
    dataset = jaxgan.load_dataset("ring8")
    with pytest.raises(jaxgan.UsageError, match="--import=nowhere: there is no module"):
        jaxgan.build(jaxgan.make_config(dataset="ring8", import_="nowhere"), dataset)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        jaxgan.build(jaxgan.make_config(dataset="ring8", import_="broken"), dataset)
