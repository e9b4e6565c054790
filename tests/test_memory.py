"""A run that does not fit into memory is refused, with flags that fit."""

import math
import os
import re
import resource
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import psutil
import pytest
from test_sample import draw
from test_train import argv

from jaxgan import host_memory, parallel, train
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.experiment import memory
from jaxgan.experiment.setup import setup
from jaxgan.types import Players, TrainState

HUGE = "mlp((1000000,1000000),(8,))"
"""A matrix of 4 TB."""


@contextmanager
def limited(spare: int):
    """This process, with so many bytes to allocate."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_the_limit_of_the_process_counts():
    before = host_memory.host_bytes()
    with limited(2**30):
        assert 2**29 < host_memory.host_bytes() <= 2**30
    assert before > 2**30


def group(folder, limit, used, cached, version):
    folder.mkdir(parents=True, exist_ok=True)
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }[version]
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"active_file 7\n{names[2]} {cached}\n")


def test_control_groups_of_version_2_count_with_their_parents(tmp_path):
    groups = tmp_path / "cgroup"
    groups.write_text("0::/pod/run\n")
    assert host_memory.group_bytes(groups, tmp_path / "none") == math.inf
    group(tmp_path / "fs/pod/run", "max", 10, 0, 2)
    assert host_memory.group_bytes(groups, tmp_path / "fs") == math.inf
    group(tmp_path / "fs/pod", 1000, 600, 50, 2)
    assert host_memory.group_bytes(groups, tmp_path / "fs") == 450
    group(tmp_path / "fs/pod/run", 300, 100, 5, 2)
    assert host_memory.group_bytes(groups, tmp_path / "fs") == 205


def test_control_groups_of_version_1_count_in_containers_too(tmp_path):
    groups = tmp_path / "cgroup"
    groups.write_text("4:memory:/docker/of-the-machine\n3:cpu:/x\n0::/\n")
    group(tmp_path / "fs/memory", 1000, 900, 300, 1)
    assert host_memory.group_bytes(groups, tmp_path / "fs") == 400
    assert host_memory.group_bytes(tmp_path / "absent", tmp_path / "fs") == math.inf


def state_of_shapes() -> TrainState:
    """Parameters of 400 and 40 bytes, twice as much for the optimizers, and an EMA."""
    g, d = (jax.ShapeDtypeStruct((n,), jnp.float32) for n in (100, 10))
    step: Any = jax.ShapeDtypeStruct((), jnp.int32)
    none = Players((), ())
    return TrainState(step, Players(g, d), none, Players((g, g), (d, d)), none, g)


@pytest.mark.parametrize(
    ("count", "flags", "need"),
    [
        (1, {}, (4 + 3 * 440 + 400, 400, 50)),
        (2, {}, (2 * (4 + 3 * 440 + 400), 800, 100)),
        (2, {"shard_state": True}, (2 * (4 + 3 * 220 + 200), 400, 100)),
    ],
)
def test_what_a_state_needs_on_the_devices_of_a_cpu(count, flags, need):
    layout = parallel.layout_of(jax.devices()[:count], **flags)
    assert memory.required_memory(state_of_shapes(), layout, 50) == need


@pytest.mark.parametrize("flags", [{}, {"dry_run": True}, {"devices": 2}])
def test_a_network_that_does_not_fit_is_refused_before_anything(
    pictures, tmp_path, capsys, flags
):
    given = {"networks": HUGE, **flags}
    assert train.main(argv(pictures, tmp_path / "run", 5, **given)) == 2
    [said] = [x for x in capsys.readouterr().err.splitlines() if "error: " in x]
    assert "GiB of memory" in said
    assert re.search(r"[\d.]+ GiB are free: use --networks=mlp$", said)
    assert not (tmp_path / "run").exists()


def test_more_samples_than_memory_are_refused(finished, tmp_path, capsys):
    out = tmp_path / "out.npz"
    assert draw(finished, out, "--n=2000000000") == 2
    [said] = [x for x in capsys.readouterr().err.splitlines() if "error: " in x]
    assert re.search(r"--n=2000000000 takes .* GiB are free: use --n=\d+, and", said)
    assert not out.exists()


def test_a_checkpoint_that_does_not_fit_is_no_fault_of_the_samples():
    ema = {"ema": jax.ShapeDtypeStruct((10**6, 10**6), jnp.float32)}
    with pytest.raises(UsageError, match=r"the checkpoint takes 3,725.29 GiB of mem"):
        memory.check_sampling(ema, 1, (8, 8, 1))


def test_running_out_is_one_line():
    with (
        limited(2**30),
        pytest.raises(UsageError) as caught,
        memory.explain_out_of_memory("x=1"),
    ):
        jnp.zeros((40_000, 40_000)).block_until_ready()
    assert re.fullmatch(
        r"memory ran out \(RESOURCE_EXHAUSTED: .*\): x=1", str(caught.value)
    )
    with (
        pytest.raises(UsageError, match="memory ran out"),
        memory.explain_out_of_memory("x=1"),
    ):
        raise MemoryError
    with pytest.raises(jax.errors.JaxRuntimeError), memory.explain_out_of_memory("x=1"):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")


CHILD = """
    import contextlib, io, resource, signal, sys
    from pathlib import Path
    import jax
    from jaxgan import host_memory, train
    from jaxgan.config.resolve import make_config
    from jaxgan.experiment import memory
    from jaxgan.experiment.setup import setup
    from jaxgan.experiment.state import restore_or_init

    signal.alarm(100)  # what this is about is a hang
    data, folder = sys.argv[1:]
    jax.devices()
    import psutil
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 2**30,) * 2)
    flags = {"dataset": f"npz:{data}", "held_out": "none", "preset": "toy"}
    huge = make_config(**flags, networks="mlp((60000, 60000), (8,))")
    try:
        with memory.explain_out_of_memory("use less"):
            state, _ = restore_or_init(setup(huge), Path(folder), rollbacks=0)
            print(int(state.step))
    except ValueError as error:
        print("begin:", error)
    flags |= {"networks": "mlp((20000,), (20000,))", "workdir": folder, "steps": 2}
    given = [f"--{k}={v}" for k, v in flags.items()]
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = train.main([*given, "--batch_size=32768", "--dry_run"])
    line = said.getvalue().splitlines()[-1]
    print("batch:", code, line)
"""


def test_a_batch_that_does_not_fit_is_told_one_that_does(tmp_path):
    """In a process of its own, whose memory is limited; nothing large is allocated."""
    vectors = np.random.default_rng(0).normal(size=(32_768, 8)).astype(np.float32)
    np.savez(tmp_path / "vectors.npz", x=vectors)
    code, paths = textwrap.dedent(CHILD), (tmp_path / "vectors.npz", tmp_path / "run")
    child = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)],
        capture_output=True,
        text=True,
        env={**os.environ, "XLA_FLAGS": "", "JAX_ENABLE_COMPILATION_CACHE": "false"},
    )
    begin, batch = (
        re.search(pattern, child.stdout, re.MULTILINE)
        for pattern in (
            r"^begin: memory ran out \(RESOURCE_EXHAUSTED: .*\): use less$",
            r"^batch: 2 error: a step of --batch_size=32768 .*: use --batch_size=\d+$",
        )
    )
    assert begin, child.stdout + child.stderr
    assert batch, child.stdout + child.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flags",
    [
        {"devices": 1},
        {"devices": 2, "parallel": "pmap"},
        {"devices": 2, "parallel": "mesh"},
        {"devices": 2, "shard_state": True},
        {"runs": 2, "devices": 2},
    ],
)
def test_the_shapes_of_streamed_batches_are_those_that_are_fed(pictures, flags):
    config = make_config(
        dataset=f"npz:{pictures}",
        networks="small(4)",
        batch_size=8,
        input="host",
        held_out="none",
        **flags,
    )
    experiment = setup(config)
    *_, feed, shapes = experiment.argument_shapes(2)
    try:
        fed = feed.at(0, 2)
    finally:
        feed.close()
    got = {name: (x.shape, x.dtype) for name, x in fed.items()}
    assert got == {name: (x.shape, x.dtype) for name, x in shapes.items()}
