"""Toys of the kinds of GANs to come, all through the one step."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import kinds
import numpy as np
import plain_train
import pytest
from games import same
from kind_runs import KEY, close, final_state, last_picture, run, train_flags
from PIL import Image
from slow import slow

from jaxgan import plan, sample, train
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.networks.ops.platform import jit_once
from jaxgan.networks.streams import example_rngs, keys_of_examples
from jaxgan.tasks import pool
from jaxgan.types import LossInputs, Samples

NAMES = list(kinds.KINDS)


@pytest.fixture(autouse=True)
def registered():
    """The tables with the toys, which other tests do not see."""
    before = [dict(table) for table in kinds.TABLES]
    kinds.register()
    yield
    for table, own in zip(kinds.TABLES, before, strict=True):
        table.clear()
        table.update(own)
    sys.modules.pop("registered_kinds", None)


@pytest.mark.parametrize(
    "name", [slow(x) if x in ("paired", "encoder", "noise") else x for x in NAMES]
)
def test_one_two_and_eight_devices_compute_the_same(name):
    one, mesh = run(name), run(name, 2, way="mesh")
    assert all(np.isfinite(x).all() for x in one[1].values())
    close(one, mesh)
    close(one, run(name, 8))
    same(mesh, run(name, 2, way="pmap"))


@pytest.mark.parametrize("name", ["domains", "noise"])
def test_a_state_in_shards_trains_the_same(name):
    close(run(name), run(name, 4, split=True))


@pytest.mark.parametrize("name", ["domains", slow("encoder"), slow("noise")])
def test_micro_batches_draw_the_same_noise_and_fill_the_same_pool(name):
    # all terms are means over examples
    close(run(name), run(name, accumulate=2))
    close(run(name), run(name, 2, accumulate=2))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        slow("paired", {"runs": 3}),
        ("domains", {"runs": 3}),
        ("domains", {"devices": 2, "accumulate": 2}),
        ("encoder", {}),
        ("noise", {"input": "host"}),
    ],
)
def test_a_resumed_run_is_exact(tmp_path, name, other):
    assert train.main(train_flags(name, tmp_path / "whole", 8, **other)) == 0
    assert train.main(train_flags(name, tmp_path / "parts", 4, **other)) == 0
    # the pool of 12 is full after two updates, and part of the checkpoint
    assert train.main(train_flags(name, tmp_path / "parts", 8, **other)) == 0
    same(final_state(tmp_path / "whole", 8), final_state(tmp_path / "parts", 8))
    whole, parts = (last_picture(tmp_path / x) for x in ("whole", "parts"))
    np.testing.assert_array_equal(whole, parts)


def test_streamed_fields_are_those_on_the_device(tmp_path):
    for kind in ("device", "host"):
        assert train.main(train_flags("paired", tmp_path / kind, 4, input=kind)) == 0
    same(final_state(tmp_path / "device", 4), final_state(tmp_path / "host", 4))


@pytest.mark.parametrize("name", ["tokens", "waveform"])
def test_a_run_of_each_other_kind_logs_and_draws(tmp_path, name):
    assert train.main(train_flags(name, tmp_path / "run", 4)) == 0
    assert min(last_picture(tmp_path / "run").shape[:2]) > 8
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    rows = [json.loads(x) for x in lines]
    assert all(np.isfinite(row["score"]) for row in rows if "score" in row)


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("encoder", (5, 4), np.float32),
        ("tokens", (5, 5, 6), np.float32),
        ("waveform", (5, 16, 1), np.int16),
    ],
)
def test_samples_of_other_kinds(tmp_path, name, shape, dtype):
    assert train.main(train_flags(name, tmp_path / "run", 2)) == 0
    flags = [f"--workdir={tmp_path}/run", "--n=5", f"--out={tmp_path}/x.npz"]
    assert sample.main(flags) == 0
    with np.load(tmp_path / "x.npz") as file:
        samples = file["samples"]
    assert (samples.shape, samples.dtype) == (shape, dtype)
    assert sample.main([*flags[:-1], f"--out={tmp_path}/x.png"]) == 0
    with Image.open(tmp_path / "x.png") as picture:
        assert min(picture.size) > 8


def test_samples_of_source_images_need_them(tmp_path, capsys, caplog):
    assert train.main(train_flags("paired", tmp_path / "run", 2)) == 0
    assert "look at" in caplog.text
    assert "jaxgan.sample" not in caplog.text
    flags = [f"--workdir={tmp_path}/run", "--n=5", f"--out={tmp_path}/x.npz"]
    assert sample.main(flags) == 2
    assert "--task=translate needs source to sample from" in capsys.readouterr().err


def test_a_field_that_the_data_lack_is_named_first(tmp_path, capsys):
    flags = train_flags("noise", tmp_path / "run", 4, task="translate")
    assert train.main(flags) == 2
    said = capsys.readouterr().err
    assert "--task=translate needs 'source' with each example, which --dataset=" in said
    assert not (tmp_path / "run").exists()


def test_the_task_adds_its_terms_unless_a_flag_names_them():
    def weights(**other):
        built = builder.build_gan(
            kinds.config("paired", **other), kinds.KINDS["paired"].example
        )
        term = built.terms.generator["distance"]
        samples = Samples(real=jnp.ones((2, 3)), fake=jnp.zeros((2, 3)))
        inputs = LossInputs(samples, *[None] * 5)  # type: ignore[arg-type]
        return list(built.terms.generator), float(term.apply(inputs, ())[0])

    assert weights() == (["loss", "distance"], 2.0)
    assert weights(g_terms="distance(5)") == (["loss", "distance"], 5.0)


def test_sampling_needs_the_inputs_of_the_task():
    chosen, example = kinds.config("paired"), kinds.KINDS["paired"].example
    gan = builder.build_gan(chosen, example)
    ema = jit_once(gan.init)(KEY).ema
    with pytest.raises(UsageError, match=r"sample needs batch=\{'source': ...\}"):
        gan.sample(ema, KEY, 3)
    source = jnp.asarray(kinds.examples("paired", 3)["source"])
    assert gan.sample(ema, KEY, 3, {"source": source}).shape == (3, 4)


def test_noise_of_a_sample_depends_on_its_key_alone():
    gan = builder.build_gan(kinds.config("noise"), kinds.KINDS["noise"].example)
    ema = jit_once(gan.init)(KEY).ema
    batch, keys = {"image": jnp.zeros((7, 4))}, jax.random.split(KEY, 7)
    whole = gan.generate(ema, batch, keys)
    part = gan.generate(ema, {"image": jnp.zeros((3, 4))}, keys[2:5])
    np.testing.assert_allclose(part, whole[2:5], atol=1e-6)
    # the same latents and another network's noise: it is not 0, and not the latents'
    quiet = builder.build_gan(
        kinds.config("noise", networks="alone"), kinds.KINDS["noise"].example
    )
    noise = np.asarray(whole - quiet.generate(ema, batch, keys))
    assert noise.std() > 0.5
    assert len(np.unique(noise.round(4))) == noise.size
    z = np.asarray(gan.play(ema, batch, keys).latents)
    assert abs(np.corrcoef(z[:, 0], noise[:, 0])[0, 1]) < 1 - 1e-3


class Twice(nn.Module):
    """The noise of two calls of a layer, and of another stream."""

    @nn.compact
    def __call__(self):
        return [
            jax.vmap(jax.random.normal)(example_rngs(self, name, 5))
            for name in ("noise", "noise", "other")
        ]


def test_each_call_and_stream_has_its_own_noise():
    keys = jax.random.split(KEY, 5)
    with keys_of_examples(lambda: keys):
        values = Twice().apply({}, rngs={"params": KEY})
        again = Twice().apply({}, rngs={"params": KEY})
    assert len(np.unique(np.asarray(values))) == 15
    np.testing.assert_array_equal(values, again)
    with (
        keys_of_examples(lambda: keys[:4]),
        pytest.raises(ValueError, match="noise: 5 examples, but the batch has 4"),
    ):
        Twice().apply({}, rngs={"params": KEY})
    with pytest.raises(ValueError, match=r"called by jaxgan\.gan only"):
        Twice().apply({}, rngs={"params": KEY})


def test_a_pool_is_that_of_a_loop_over_examples():
    size, stage = 5, pool(5)
    new = [np.arange(3.0) + 10 * i for i in range(40)]
    state = stage.init(Samples(real=None, fake=jnp.zeros((3,))))
    kept: list[float] = []
    swaps = 0
    for i, fake in enumerate(new):
        keys = jax.random.split(jax.random.key(i), 3)
        samples = Samples(real=None, fake=jnp.asarray(fake, jnp.float32))
        # one by one, in Python: all see the pool as it was before this batch
        places = [int(jax.random.randint(k, (), 0, size)) for k in keys]
        coins = [bool(jax.random.bernoulli(jax.random.fold_in(k, 1))) for k in keys]
        before, full = list(kept), len(kept) == size
        seen = []
        for value, place, coin in zip(fake, places, coins, strict=True):
            seen.append(before[place] if full and coin else value)
            if len(kept) < size:
                kept.append(value)
            elif full and coin:
                kept[place] = value
                swaps += 1
        got = stage.apply(keys, samples, state).fake
        np.testing.assert_array_equal(got, np.array(seen, np.float32))
        state = stage.update(keys, samples, state)
        np.testing.assert_array_equal(
            state["fake"][: int(state["count"])], np.array(kept, np.float32)
        )
    # 38 batches of three coins
    assert 40 < swaps < 75


def test_a_pool_needs_samples_without_a_condition():
    with pytest.raises(UsageError, match="a pool needs a task without a condition"):
        pool().init(Samples(real=1.0, fake=jnp.ones(2), condition=jnp.ones(2)))


def test_a_plan_of_several_fields(capsys):
    chosen = kinds.flags("paired", steps=4)
    del chosen["dataset"]
    flags = [f"--{name}={value}" for name, value in chosen.items()]
    shapes = "--shape=image:4,source:4"
    assert plan.main(["--topology=local", shapes, "--classes=0", *flags]) == 0
    # 4*16+16 + 16*4+4, and with the source beside the sample 8*16+16 + 16+1
    assert "G 148 and D 161 parameters" in capsys.readouterr().out
    # without the field that the task reads
    assert plan.main(["--topology=local", "--shape=4", *flags]) == 2
    assert "needs 'source' with each example" in capsys.readouterr().err


def two_processes(flags):
    """Trains on two processes of one device each."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    together = [f"--coordinator=127.0.0.1:{port}", "--num_processes=2"]
    started = [child("train", [*flags, *together, f"--process_id={i}"]) for i in (0, 1)]
    said = [process.communicate(timeout=240)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], said


def child(program, flags):
    """Starts a program with the toys, in a process with a single device."""
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
        # With the folder of `registering`, which is first.
        "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)]),
    }
    command = {"train": [plain_train.__file__], "sample": ["-m", "jaxgan.sample"]}
    return subprocess.Popen(
        [sys.executable, *command[program], *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


@pytest.fixture
def registering(tmp_path, monkeypatch):
    """The name of a module that registers the toys when it is imported."""
    # Not beside the tests, which are all imported when they are collected.
    module = tmp_path / "registered_kinds.py"
    module.write_text("import kinds\n\nkinds.register()\n")
    monkeypatch.syspath_prepend(tmp_path)
    return module.stem


def test_noise_is_the_same_on_other_devices_and_processes(tmp_path, registering):
    def sampling(folder, out):
        return [f"--workdir={tmp_path / folder}", "--n=300", f"--out={tmp_path / out}"]

    def samples(out):
        with np.load(tmp_path / out) as file:
            return file["samples"]

    flags = train_flags("noise", tmp_path / "two", 4, devices=0)
    two_processes([*flags, f"--import={registering}"])
    # restored by one process, on eight devices and on one
    assert sample.main(sampling("two", "eight.npz")) == 0
    process = child("sample", sampling("two", "one.npz"))
    assert process.wait(timeout=240) == 0, process.communicate()[0]
    process.communicate()
    np.testing.assert_allclose(samples("eight.npz"), samples("one.npz"), atol=1e-6)
    # and fewer samples are the first of many
    few = [*sampling("two", "few.npz")[::2], "--n=7"]
    assert sample.main(few) == 0
    np.testing.assert_allclose(samples("few.npz"), samples("one.npz")[:7], atol=1e-6)
    # trained by one process, and saved by it after the other two
    assert train.main(train_flags("noise", tmp_path / "single", 4, devices=2)) == 0
    assert sample.main(sampling("single", "single.npz")) == 0
    np.testing.assert_allclose(samples("single.npz"), samples("one.npz"), atol=1e-6)
    assert train.main(train_flags("noise", tmp_path / "two", 6, devices=2)) == 0
    assert train.main(train_flags("noise", tmp_path / "single", 6, devices=2)) == 0
    for folder in ("two", "single"):
        assert sample.main(sampling(folder, f"{folder}6.npz")) == 0
    np.testing.assert_allclose(samples("two6.npz"), samples("single6.npz"), atol=1e-6)
