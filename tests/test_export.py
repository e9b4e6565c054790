"""Exports equal the samples of their run, in programs without jaxgan too."""

import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import yaml
from games import same
from jax import export as jax_export
from sharing_runs import make
from test_api import child
from test_init_from import WEIGHTS, begin, part
from test_train import run, state_of

import jaxgan
from jaxgan import export
from jaxgan.config import exporting
from jaxgan.errors import UsageError
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.gan import builder
from jaxgan.gan.objective import example_keys
from jaxgan.networks.ops import platform
from jaxgan.sharing.export import export as exports
from jaxgan.sharing.export import stablehlo, weights
from jaxgan.sharing.export.generator import generator_of
from jaxgan.types import ExampleSpec, Field, image_example

CLOSE = 1e-5
SEED, COUNT = 7, 5


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The workdirs of `sharing_runs` by name."""
    folder = tmp_path_factory.mktemp("runs")
    names = ("mlp", "labels", "norms", "texts", "two")
    steps = {"mlp": (2, 4)}
    return {name: make(name, folder / name, steps.get(name, (2,))) for name in names}


@pytest.fixture(scope="module")
def programs(runs, tmp_path_factory):
    """Folders with the programs of three runs."""
    folder = tmp_path_factory.mktemp("programs")
    for name in ("mlp", "labels", "norms"):
        jaxgan.export_run(runs[name], folder / name, "stablehlo")
    return folder


def samples_of(workdir, batch=None, **which):
    """Samples of a seed as `sample` draws them, before they are rounded."""
    opened = load_run(workdir)
    variables = opened.restore(which.get("step", "last"))
    keys = example_keys(jax.random.key(SEED), COUNT)
    batch = {**builder.example_batch(opened.example, COUNT), **(batch or {})}
    return np.asarray(jax.jit(opened.gan.generate)(variables, batch, keys))


WITHOUT_JAXGAN = """
    import os
    import runpy
    import sys
    from pathlib import Path
    import numpy as np
    from jax import export

    root, npz, seed, count = sys.argv[1:]

    def load(path):
        return export.deserialize(bytearray(Path(path).read_bytes()))

    found = {}
    for name in ("mlp", "labels", "norms"):
        folder = Path(root, name)
        program = load(folder / "generator.stablehlo")
        assert program.platforms == ("cpu", "cuda", "tpu")
        with np.load(folder / "example.npz") as arrays:
            *inputs, expected = arrays.values()
        made = np.asarray(program.call(*inputs))
        assert np.abs(made - expected).max() < 1e-5
        # An example does not depend on the others, and nothing is drawn.
        alone = np.asarray(program.call(*(x[1:2] for x in inputs)))
        assert np.abs(alone - made[1:2]).max() < 1e-5
        found[f"{name}/example"] = made
        if (folder / "latents.stablehlo").exists():
            numbers = np.arange(int(count), dtype=np.int32)
            draw = load(folder / "latents.stablehlo")
            z = np.asarray(draw.call(np.uint32(seed), numbers))
            labels = [np.arange(int(count), dtype=np.int32) % 3] * (name == "labels")
            found[name] = np.asarray(program.call(z, *labels))
            if name == "mlp":
                latents = z
    # The scripts beside them, as they stand.
    os.chdir(root)
    for name, args, file in (("mlp", ["3"], "samples"), ("norms", [], "outputs")):
        sys.argv = ["run.py", *args]
        runpy.run_path(str(Path(name, "run.py")), run_name="__main__")
        found[f"{name}/script"] = np.load(f"{file}.npy")
    # The same network in NumPy, from arrays with names.
    with np.load(npz) as w:
        g = {k.removeprefix("generator/params/"): w[k] for k in w if "discr" not in k}
        x = latents
        layers = sorted({k.rpartition("/")[0] for k in g if k.endswith("kernel")})
        for i, layer in enumerate(layers):
            x = x @ g[f"{layer}/kernel"] + g[f"{layer}/bias"]
            x = np.tanh(x) if i == len(layers) - 1 else np.maximum(x, 0)
        found["npz"] = x.reshape(-1, 8, 8, 1)
    np.savez(Path(root, "found.npz"), **found)
    assert "jaxgan" not in sys.modules and "flax" not in sys.modules
"""


def test_programs_without_jaxgan_draw_the_samples_of_the_run(runs, programs, tmp_path):
    jaxgan.export_run(runs["mlp"], tmp_path / "npz", "npz", parts=["discriminator"])
    arguments = (programs, tmp_path / "npz/model.npz", SEED, COUNT)
    child(WITHOUT_JAXGAN, *map(str, arguments))
    with np.load(programs / "found.npz") as found:
        for name in ("mlp", "npz"):
            np.testing.assert_allclose(
                found[name], samples_of(runs["mlp"]), atol=CLOSE, rtol=0
            )
        labels = {"label": np.arange(COUNT, dtype=np.int32) % 3}
        expected = samples_of(runs["labels"], labels)
        np.testing.assert_allclose(found["labels"], expected, atol=CLOSE, rtol=0)
        # Labels matter, as do latents.
        assert np.abs(np.diff(found["labels"], axis=0)).max() > 1e-2
        made = found["norms/example"]
        np.testing.assert_array_equal(found["norms/script"], made)
        assert found["mlp/script"].shape == (16, 8, 8, 1)
    with np.load(programs / "norms/example.npz") as arrays:
        source = arrays["source"]
    # Dropout is off, and batch normalization has its running statistics.
    opened = load_run(runs["norms"])
    variables, keys = opened.restore(), example_keys(jax.random.key(0), len(source))
    batch = {"image": source, "source": source}
    mapped = jax.jit(opened.gan.generate)(variables, batch, keys)
    np.testing.assert_allclose(made, mapped, atol=CLOSE, rtol=0)
    assert "batch_stats" in variables
    assert "dropout" in str(opened.gan.networks.generator).lower()
    picture = (source[0] * 127.5 + 127.5).astype(np.uint8)
    pixels = jaxgan.apply_run(runs["norms"], picture)
    np.testing.assert_allclose(pixels / 127.5 - 1, made[0], atol=0.05)


def test_the_runner_is_short(programs):
    for name in ("mlp", "norms"):
        text = (programs / name / "run.py").read_text()
        code = text.rpartition('"""')[2].splitlines()
        assert "jaxgan" not in "".join(code)
        assert len([x for x in code if x and "import" not in x]) <= 10


@pytest.mark.parametrize(
    ("networks", "shape"),
    [("r3gan(8, 1)", (8, 8, 1)), ("wavegan(2)", (1024, 1))],
)
def test_each_platform_has_its_form(networks, shape):
    """Convolutions in the form of each platform are in one program."""
    kind = {"dataset": "mnist", "task": "generate(4)", "networks": networks}
    example = image_example(shape)
    if len(shape) == 2:
        field = Field(shape, np.dtype(np.int16), "waveform", (), 400)
        example = ExampleSpec(waveform=field)
    config = jaxgan.make_config(**kind, d_terms="", g_terms="")
    gan = builder.build_gan(config, example)
    generator = generator_of(Run(Path(), config, example, gan))
    variables = jax.tree.map(
        lambda x: np.ones(x.shape, x.dtype),
        jax.eval_shape(gan.init, jax.random.key(0)).ema,
    )
    made = jax_export.deserialize(bytearray(stablehlo.program(generator, variables)))
    assert made.platforms == ("cpu", "cuda", "tpu")
    text = made.mlir_module()
    assert "stablehlo.case" in text
    with platform.compiling_for("tpu"):
        alone = jax_export.export(
            jax.jit(lambda *x: generator.batched(variables, *x)), platforms=["tpu"]
        )(
            *(
                jax.ShapeDtypeStruct((2, *x.shape), x.dtype)
                for x in generator.inputs.values()
            )
        )
    assert "stablehlo.case" not in alone.mlir_module()


WITH_JAXGAN = """
    import sys
    import jax
    import numpy as np
    import jaxgan

    folder, out, seed, count = sys.argv[1:]
    model = jaxgan.load_exported(folder)
    key = jax.random.key(int(seed))
    np.save(out, model.sample(key, int(count)))
    print(sorted(model.variables.discriminator), model.facts["step"])
"""


def test_a_folder_of_the_hub_is_read_back(runs, tmp_path):
    folder, out = tmp_path / "hub", tmp_path / "samples.npy"
    flags = [f"--workdir={runs['mlp']}", "--format=safetensors", f"--out={folder}"]
    shutil.copytree(runs["mlp"], tmp_path / "run")
    flags[0] = f"--workdir={tmp_path / 'run'}"
    (tmp_path / "run/evaluation.json").write_text(json.dumps(EVALUATION))
    flags += ["--with=discriminator,training_state", "--checkpoint=2"]
    assert export.main([*flags, "--license=apache-2.0"]) == 0
    names = {x.name for x in folder.iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "training_state"}
    arguments = (folder, out, SEED, COUNT)
    assert "['params'] 2" in child(WITH_JAXGAN, *map(str, arguments))
    expected = samples_of(runs["mlp"], step=2)
    np.testing.assert_allclose(np.load(out), expected, atol=CLOSE, rtol=0)
    # No path of this machine is in what is shared.
    assert str(tmp_path) not in (folder / "config.json").read_text()
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    assert (facts["license"], facts["datasets"]) == ("apache-2.0", ["mnist"])
    assert facts["pipeline_tag"] == "unconditional-image-generation"
    [result] = facts["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == 1.5
    assert result["metrics"][0]["args"]["n_fake"] == 100
    assert "| fd_x | 1.5 ± 0.1 | 0.5 |" in text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    # A refused export changes nothing.
    before = (folder / "README.md").read_bytes()
    assert export.main(flags) == 2
    (folder / "mine.txt").write_text("kept")
    assert export.main([*flags, "--overwrite", "--license=mit"]) == 0
    assert (folder / "mine.txt").read_text() == "kept"
    assert (folder / "README.md").read_bytes() != before


EVALUATION = {
    "metrics": {"fd_x": {"value": 1.5, "std": 0.1, "floor": 0.5}},
    "protocol": {
        **{"step": 2, "n_fake": 100, "n_real": 50, "parameters": "moving average"},
        **{"held_out": "<script>alert(1)</script>", "floor": "50 others"},
        **{"extractors": {"x": {"digest": "d"}}, "std_over": ["2 training seeds"]},
    },
}


def test_training_continues_from_a_folder(pictures, finished, tmp_path):
    folder = tmp_path / "hub"
    jaxgan.export_run(finished, folder, checkpoint=10, parts=["training_state"])
    source = {"init_from": f"hf:{folder}", "init_optimizer": True}
    state, _ = begin(pictures, tmp_path / "new", seed=3, **source)
    names = (*WEIGHTS, "opt_state")
    same(part(state_of(finished, 10), names), part(state, names))
    # A copy of the state is a workdir, and resumes exactly.
    shutil.copytree(folder / "training_state", tmp_path / "copy")
    resumed = run(pictures, tmp_path / "copy", 20)
    same(state_of(finished, 20), state_of(resumed, 20))
    shutil.rmtree(folder / "training_state")
    with pytest.raises(UsageError, match="no folder training_state: export the run"):
        begin(pictures, tmp_path / "other", **source)


def test_one_of_several_seeds_is_exported(runs, tmp_path):
    folders = [tmp_path / str(i) for i in range(2)]
    for number, folder in enumerate(folders):
        jaxgan.export_run(runs["two"], folder, run=number)
    first, second = (jaxgan.load_exported(x).variables.generator for x in folders)
    opened = load_run(runs["two"], number=1)
    same(second, opened.restore())
    assert not np.array_equal(*(jax.tree.leaves(x)[0] for x in (first, second)))
    with pytest.raises(UsageError, match="2 seeds in one checkpoint"):
        jaxgan.export_run(runs["two"], tmp_path / "x", parts=["training_state"])


def test_texts_have_weights_and_no_program(runs, tmp_path):
    with pytest.raises(UsageError, match="use --format=safetensors or --format=npz"):
        jaxgan.export_run(runs["texts"], tmp_path / "x", "stablehlo")
    jaxgan.export_run(runs["texts"], tmp_path / "npz", "npz")
    model = jaxgan.load_exported(tmp_path / "npz")
    same(model.variables.generator, load_run(runs["texts"]).restore())
    assert model.example["tokens"].names[3] == "<c>"
    assert not (tmp_path / "x").exists()


def test_damaged_exports_are_one_line(runs, tmp_path):
    folder = jaxgan.export_run(runs["mlp"], tmp_path / "npz", "npz")
    whole = (folder / "model.npz").read_bytes()
    facts = json.loads((folder / "config.json").read_text())

    def refused(match):
        with pytest.raises(UsageError, match=match) as error:
            jaxgan.load_exported(folder)
        assert "\n" not in str(error.value)

    (folder / "model.npz").write_bytes(whole[:-300])
    refused("is damaged")
    (folder / "model.npz").write_bytes(whole)
    flags = {**facts["flags"], "networks": "mlp((9,), (8,))"}
    (folder / "config.json").write_text(json.dumps({**facts, "flags": flags}))
    refused("its generator does not fit the networks")
    (folder / "config.json").write_text("[1]")
    refused("config.json is not that of an export")
    (folder / "config.json").write_text(json.dumps(facts))
    (folder / "model.npz").unlink()
    refused("has neither model.safetensors nor model.npz")


def test_flags_and_formats_agree():
    assert tuple(exports.FORMATS) == exporting.FORMATS


def test_paths_of_data_sets_are_not_shared():
    pairs = {
        "mnist": "mnist",
        "folder:/home/me/cats/": "folder:cats",
        "npz:~/x/y.npz": "npz:y.npz",
        "pairs:/a/b,c/d": "pairs:b,d",
    }
    for text, expected in pairs.items():
        assert weights.without_folders(text) == expected


def test_a_failed_export_leaves_nothing(runs, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "_write_config", fail)
    with pytest.raises(UsageError, match="No space left on device"):
        jaxgan.export_run(runs["mlp"], tmp_path / "new", "npz")
    assert not list(tmp_path.iterdir())
    for place, word in (("a/b", "is a file"), (".", "is not an empty folder")):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a/b").write_text("")
        with pytest.raises(UsageError, match=re.escape(word)):
            jaxgan.export_run(runs["mlp"], tmp_path / place, "npz")
