"""Plans of runs: flags, slices, estimates, and what to do when memory is short."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import plan
from jaxgan.config import planning
from jaxgan.config.resolve import make_config
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.performance.planning import settings

settings.set_environment(("v5e:2x2",))
from jaxgan.performance.hlo import cost, parser  # noqa: E402
from jaxgan.performance.planning import (  # noqa: E402
    checks,
    chips,
    compiling,
    planner,
    remedies,
    roofline,
    summary,
    sweep,
)

TINY = ["--networks=mlp((16,), (16,))", "--shape=8x8x1", "--examples=256"]


WHOLE = jax.sharding.PartitionSpec()


def slice_of(name):
    pytest.importorskip("libtpu", reason="takes pip install 'jaxgan[tpu]'")
    return chips.find(name)


def run(capsys, *argv):
    code = plan.main([*TINY, *argv])
    said = capsys.readouterr()
    return code, said.out, said.err


def compiled(name, function, *shapes, in_specs=WHOLE):
    """The work of a small function on a slice."""
    slice_ = slice_of(name)
    mesh = jax.sharding.Mesh(np.array(slice_.devices), "x")
    mapped = jax.shard_map(
        function, mesh=mesh, in_specs=in_specs, out_specs=in_specs, check_vma=False
    )
    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    with compiling.uncached(slice_):
        program = jax.jit(mapped).lower(*given).compile()
    found = cost.work_of(parser.parse(program.as_text() or ""), len(slice_.devices))
    return found, program.cost_analysis() or {}


def test_a_product_of_known_size():
    found, cost = compiled("v5e:2x2", lambda x, y: x @ y, (256, 512), (512, 1024))
    assert found.flops == cost["flops"] == 2 * 256 * 512 * 1024
    assert found.padding == 0
    # XLA may keep what it reads on the chip, never move more than three arrays
    assert found.hbm <= 4 * (256 * 512 + 512 * 1024 + 256 * 1024)


def test_a_loop_of_products_is_multiplied_where_the_compiler_counts_one_turn():
    def call(x):
        return jax.lax.scan(lambda c, _: (jnp.tanh(c @ x), None), x, None, length=7)[0]

    found, cost = compiled("v5e:2x2", call, (256, 256))
    assert found.flops == 7 * 2 * 256**3
    assert cost["flops"] < 2 * 2 * 256**3


def test_a_sum_of_known_bytes():
    spread = jax.sharding.PartitionSpec("x")
    found, _ = compiled(
        "v5e:4x4", lambda x: jax.lax.psum(x, "x"), (16 * 64, 128), in_specs=spread
    )
    (message,) = found.messages.values()
    nbytes = 4 * 64 * 128
    assert message == ("all-reduce", 1, nbytes, nbytes * 2 * 15 / 16)


def test_programs_for_other_machines_stay_out_of_the_cache(tmp_path):
    slice_ = slice_of("v5e:2x2")
    before = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    compiling.reset_cache()
    try:
        jax.jit(lambda x: x * 3 + 0.125)(jnp.ones(7))
        kept = len(list(tmp_path.iterdir()))
        compiled("v5e:2x2", lambda x: x * 5 + 0.25, (8, 128))
        assert 0 < kept == len(list(tmp_path.iterdir()))
        with compiling.uncached(slice_._replace(name="local")):
            jax.jit(lambda x: x * 7 + 0.375)(jnp.ones(7))
        assert len(list(tmp_path.iterdir())) > kept
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        compiling.reset_cache()


def test_slices_tell_their_chips():
    four = slice_of("v5e:4x4")
    assert (four.chips, four.per_chip, len(four.devices)) == (16, 1, 16)
    two = slice_of("v4:2x2x1")
    assert (two.chips, two.per_chip, len(two.devices)) == (4, 2, 8)
    for names in chips.EXAMPLES.values():
        for name in names.split(", "):
            assert slice_of(name).chips == np.prod(chips.split(name)[1])


@pytest.mark.parametrize("name", ["v5e:3x3", "v5:2x2", "v5e", "v5e:2", "gpu:2x2"])
def test_a_slice_that_there_is_not(name):
    pytest.importorskip("libtpu", reason="takes pip install 'jaxgan[tpu]'")
    with pytest.raises(UsageError, match=f"--topology={name}: choose .*v5e:2x2") as e:
        chips.find(name)
    assert "\n" not in str(e.value)


def test_without_the_compiler(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "libtpu", None)
    with pytest.raises(UsageError, match=r"pip install 'jaxgan\[tpu\]'"):
        chips.find("v5e:2x2")


@pytest.mark.parametrize(
    ("argv", "match"),
    [
        (["--topolgy=v5e:2x2"], "did you mean --topology"),
        (["--topology=v5e:2x2", "--batch_sizee=3"], "did you mean --batch_size?"),
        ([], "--topology=v5e:4x4"),
        (["--topology=local", "--shape=3x3"], "--shape=3x3: write HxWxC"),
        (["--topology=local", "--shape=a:3,a:4"], "--shape=a:3,a:4: write HxWxC"),
        (["--topology=local", "--shape=a:3,4"], "--shape=a:3,4: write HxWxC"),
        (["--topology=local", "--out=x.png"], "--sweep"),
        (["--sweep", "--batch_sizes=a"], "--batch_sizes=a: write numbers"),
        (["--sweep", "--batch_sizes=\u00b2"], "--batch_sizes=²: write numbers"),
        (["--topology=v5e:2x2,v5e:4x4"], "use --sweep --topologies=v5e:2x2,v5e:4x4"),
        (["--sweep", "--topology=local"], "is for one slice and --sweep for several"),
        (["--sweep", "--out=x.jpg"], "--out=x.jpg: must end in .png"),
        (["--sweep", "--out=/proc/x.png"], "--out=/proc/x.png cannot be written"),
        (["--sweep", "--out=gs://x.png"], "--out=gs://x.png: only local paths"),
        (["--topology=local", "--batch_sizes=4"], "--batch_sizes=4 needs --sweep"),
        (["--topology=local", "--topologies=x"], "--topologies=x needs --sweep"),
        (["--topology=local", "--classes=4"], "--classes=4 needs --shape"),
        (["--topology=local", "--examples=4"], "--examples=4 needs --shape"),
        (["--topology=local", "--shape=\u0663"], "--shape=٣: write HxWxC"),
        (["--topology=local", "--shape=99999999x9x9"], "write HxWxC"),
        (["--topology=local", "--shape=2", "--classes=-1"], "must be from 0 to 1,000"),
        (["--topology=local", "--shape=2", "--examples=0"], "must be from 1 to 2,147"),
        (["--topology=local", "--shape=2", "--classes=\u00b2"], "not a whole number"),
        (["--topology=local", "--json=no/such/x"], "there is no folder no/such"),
        (["--topology=local", "--json=/"], "--json=/ is not a file"),
        (["--topology=local", "--json=" + "a" * 300], "at most 255 bytes"),
        (["--topology=local", "--lr=3"], "no flag --lr: set learning rates in --g_o"),
        (["--topology=local", "--workdir=gs://x"], "--workdir=gs://x: name a folder"),
    ],
)
def test_flags_that_are_wrong(argv, match):
    with pytest.raises(UsageError, match=match):
        planning.parse_args(argv)


def test_settings_leave_a_machine_alone_whose_own_devices_are_asked_for(monkeypatch):
    monkeypatch.delenv("TPU_WORKER_HOSTNAMES")
    settings.set_environment(("local",))
    assert "TPU_WORKER_HOSTNAMES" not in os.environ


def test_local_is_this_machine(capsys, tmp_path):
    answer = tmp_path / "plan.json"
    code, out, err = run(capsys, "--topology=local", f"--json={answer}")
    assert code == 0, err
    assert "local: 8 chips, 8 devices by pmap" in out
    assert "no peaks are known" in out
    found = json.loads(answer.read_text())
    assert found["donated"][0] == found["donated"][1] > 0
    # gradients of both players, float32, and a few metrics
    least = 4 * sum(found["parameters"])
    assert least <= found["collectives"]["all-reduce"]["nbytes"] <= least + 256
    assert list(tmp_path.iterdir()) == [answer]


def test_a_slice_is_planned_and_nothing_else_is_written(capsys, tmp_path, monkeypatch):
    slice_of("v5e:2x2")
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "--topology=v5e:2x2", "--batch_size=64")
    assert code == 0, err
    for line in ("fits", "assumed: TPU v5e", "bounds", "leaves are reused"):
        assert line in out
    assert list(tmp_path.iterdir()) == []


def test_one_device_of_a_slice_is_still_a_tpu():
    slice_ = slice_of("v5e:2x2")
    question = planning.parse_args([*TINY, "--topology=v5e:2x2", "--devices=1"])
    dataset = compiling.dataset_of(question)
    step = compiling.compile_step(question.config, dataset, slice_)
    assert step.layout.strategy.name == "one"
    assert "T(8,128)" in step.text


def test_made_up_sounds_are_stored_like_those_of_files():
    for flags, rate in (((), 16_000), (("--rate=8000",), 8_000)):
        said = ["--topology=local", "--shape=waveform:64x1,condition:3", *flags]
        found = compiling.dataset_of(planning.parse_args(said))
        sound, other = found.example["waveform"], found.example["condition"]
        assert (sound.kind, sound.dtype, sound.rate) == ("waveform", np.int16, rate)
        assert (other.kind, other.dtype, other.rate) == ("vector", np.float32, 0)
        # The memory of the examples, of which a sample has 2 bytes.
        assert found.nbytes == 50_000 * (64 * 2 + 3 * 4)


def test_a_batch_that_does_not_divide_over_sixteen_chips(capsys):
    slice_of("v5e:4x4")
    code, _, err = run(capsys, "--topology=v5e:4x4", "--batch_size=60")
    assert code == 2
    assert "--batch_size=60 does not divide over 16 devices: use --batch_size=64" in err


def test_the_compiler_running_out_of_memory_is_read():
    config = make_config(networks="mlp((40000, 40000), (8,))", task="generate(8)")
    question = planning.PlanConfig(config, ("v5e:2x2",), {"image": (8, 8, 1)}, 0, 256)
    with pytest.raises(compiling.DoesNotFit) as error:
        compiling.compile_step(
            config, compiling.dataset_of(question), slice_of("v5e:2x2")
        )
    # G's kernel is 6.4 GB, and Adam and the running mean keep three more
    assert error.value.needed > 4 * 4 * 40_000**2
    assert error.value.limit == chips.CHIPS["v5e"].usable


def test_other_words_of_the_compiler():
    text = (
        "RESOURCE_EXHAUSTED: the total memory required for HLO temporaries (513.00G) "
    )
    assert compiling.out_of_memory(text + "exceeds available HBM (15.75G).") == (
        513 * 2**30,
        15.75 * 2**30,
    )
    assert compiling.out_of_memory("INTERNAL: something else") is None


def fake(total, **config):
    """A step that needs so many bytes."""
    memory = compiling.Memory(total, 0, 0, 0)
    nothing = cost.Work([], {}, 0, 0, 0, [], 0)
    layout: compiling.parallel.Layout = None  # type: ignore[assignment]
    return compiling.Step(
        make_config(**config), layout, memory, {}, nothing, (1, 1), (1, 1), ""
    )


def test_leaves_of_the_state_are_told_from_other_arguments():
    def line(number, name):
        return f'  %p{number} = f32[2]{{0}} parameter({number}), op_name="{name}"\n'

    names = ["state.step", "state.ema['kernel']", "passed[0]", "flat_args[2]"]
    body = "".join(line(*x) for x in enumerate(names))
    text = f"HloModule m\n\nENTRY %main (x: f32[2]) -> f32[2] {{\n{body}}}\n"
    found = compiling.of_state(parser.parse(text), 2)
    assert [x.number for x in found] == [0, 1]
    assert [x.number for x in compiling.of_state(parser.parse(text), 3)] == [0, 1, 3]


SMALL = chips.Slice("v5e:2x2", chips.CHIPS["v5e"], (2, 2), [])


def test_remedies_are_tried_in_order_until_one_fits():
    def compile_(config):
        if config.shard_state and config.remat:
            return fake(2**30)
        if config.accumulate > 2:
            raise UsageError("no such parts")
        raise compiling.DoesNotFit(2**35, 2**34)

    tried = remedies.search(make_config(batch_size=8), SMALL, compile_)
    assert [x.flags for x in tried] == [
        "--remat",
        "--precision=mixed",
        "--shard_state",
        "--accumulate=2",
        "--batch_size=4",
        "--batch_size=2",
        "--batch_size=1",
        "--remat --precision=mixed",
        "--remat --precision=mixed --shard_state",
    ]
    assert [x.step is not None for x in tried] == [False] * 8 + [True]


def test_what_does_not_fit_is_said_and_what_helps(capsys, monkeypatch):
    def compile_step(config, dataset, slice_):
        if config.remat:
            return fake(2**30)
        raise compiling.DoesNotFit(2**35, chips.CHIPS["v5e"].usable)

    monkeypatch.setattr(planner, "compile_step", compile_step)
    dataset: compiling.data.Dataset = None  # type: ignore[assignment]
    answer, fit = planner.one(Config(), SMALL, dataset)
    out = capsys.readouterr().out
    assert not fit
    assert "DOES NOT FIT, 32.00 GiB of 15.75 GiB" in out
    assert "it fits with --remat: 1.00 GiB of 15.75 GiB" in out
    assert answer["tried"] == [{"flags": "--remat", "bytes": 2**30, "fits": True}]


def test_the_estimate_by_hand():
    message = cost.Message("all-reduce", 1, 0, 1e6)
    product = cost.Product("", 197e9, 197e9, ("f32", "f32"), (128, 128))
    done = cost.Work([product], {"all-reduce": message}, 819_000, 0, 3_000, [], 0)
    devices = [
        type("D", (), {"coords": [x, y, 0], "process_index": 0})
        for x in range(2)
        for y in range(2)
    ]
    slice_ = SMALL._replace(devices=devices)
    found = roofline.estimate(fake(0)._replace(work=done), slice_)
    assert found is not None
    assert found.compute == pytest.approx(1e-3)  # 197 GFLOP at 197 TFLOP/s
    assert found.memory == pytest.approx(1e-6)  # 819 kB at 819 GB/s
    assert found.communication == pytest.approx(1e-5)  # 1 MB by 2 links of 50 GB/s
    assert found.guess == pytest.approx(2e-6)  # 3,000 cycles at 1.5 GHz
    assert found.bound == "compute"
    assert found.overlapped == pytest.approx(1e-3)
    assert found.serial == pytest.approx(1.011e-3)


def test_devices_that_share_a_chip_share_its_peaks():
    slice_ = slice_of("v4:2x2x1")
    product = cost.Product("", 137.5e9, 137.5e9, ("f32", "f32"), (128, 128))
    done = cost.Work([product], {}, 0, 0, 0, [], 0)
    found = roofline.estimate(fake(0)._replace(work=done), slice_)
    assert found is not None
    assert found.compute == pytest.approx(1e-3)
    assert any("2 devices share a chip" in x for x in roofline.assumptions(slice_))


def test_scaling_is_told_beside_the_smallest_slice():
    rows = [
        {"chips": 4, "batch_per_chip": 4, "batch_size": 16, "images_per_second": 400.0},
        {
            "chips": 4,
            "batch_per_chip": 16,
            "batch_size": 64,
            "images_per_second": 800.0,
        },
        {
            "chips": 16,
            "batch_per_chip": 4,
            "batch_size": 64,
            "images_per_second": 800.0,
        },
    ]
    found = sweep.with_scaling(rows)
    assert [row["weak"] for row in found] == [1, 1, 0.5]  # 50 a chip, where 100 were
    assert [row["strong"] for row in found] == [1, 1, 0.25]


def test_a_sweep_is_a_table_and_a_plot(capsys, tmp_path):
    slice_of("v5e:2x2")
    out, answer = tmp_path / "plan.png", tmp_path / "plan.json"
    sweep_ = ["--sweep", "--topologies=v5e:2x2,v5e:4x4", "--batch_sizes=4,32"]
    code, said, err = run(capsys, *sweep_, f"--out={out}", f"--json={answer}")
    assert code == 0, err
    table = [line for line in said.splitlines() if line.startswith("| v5e")]
    assert len(table) == 3  # 16 x 32 examples are more than an epoch of 256
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert len(json.loads(answer.read_text())["rows"]) == 3


def test_checks_say_what_is_wrong():
    wide = cost.Product("net/Dense_0", 1.0, 4.0, ("f32", "bf16"), (16, 16))
    done = cost.Work([wide], {}, 0, 0, 0, ["infeed  x"], 1)
    step = fake(0, precision="mixed")._replace(work=done, donated=(3, 4))
    said = "\n".join(checks.lines(step))
    assert "1 of 4 leaves of the state are kept twice" in said
    assert "1 transfers to or from the host" in said
    assert "75% of the products' work is padding" in said
    assert "100.00% of the FLOPs read float32, most of them net/Dense_0" in said
    assert "1 of unknown length" in said
    assert summary.figures(step._replace(layout=LAYOUT), SLICE)["bound"] is None


LAYOUT = compiling.parallel.layout_of(jax.devices()[:1])
SLICE = chips.Slice("local", None, (1,), jax.devices()[:1])
