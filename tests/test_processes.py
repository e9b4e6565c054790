"""Several processes over loopback: they meet, train as one, and end together."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import plain_train
import pytest
from slow import SLOW, slow
from test_train import argv, lines, run, state_of, values

from jaxgan.distributed.initialize import _listen, scheduled
from jaxgan.distributed.watchdog import Watchdog
from jaxgan.experiment import checkpoint, digests

SGD = {"g_optimizer": "sgd(0.01)", "d_optimizer": "sgd(0.01)"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(pictures, workdir, steps, count, each=(), cwd=None, **other):
    """So many processes of one device each; `each` are flags of their own."""
    address = f"127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
        "PYTHONUNBUFFERED": "1",
    }
    started = []
    for i in range(count):
        own = each[i] if each else {}
        given = {"num_processes": count, "process_id": i, "coordinator": address}
        flags = argv(pictures, workdir, steps, **{**other, **given, **own})
        started.append(
            subprocess.Popen(
                [sys.executable, plain_train.__file__, *flags],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
                cwd=cwd[i] if cwd else None,
            )
        )
    return started


def ended(started, timeout=240):
    """Exit codes and what was said, less what gloo says of itself."""
    with killed_on_failure(started):
        said = [process.communicate(timeout=timeout)[0] for process in started]
    noise = ("[Gloo]", "Expected number of connected peer", "waiting for")
    own = [
        "\n".join(x for x in text.splitlines() if not any(n in x for n in noise))
        for text in said
    ]
    return [process.returncode for process in started], own


@contextlib.contextmanager
def killed_on_failure(started):
    """Leaves none of the processes behind if the test fails within."""
    try:
        yield
    except BaseException:
        for process in started:
            process.kill()
            process.communicate()
        raise


def close(a, b, atol):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=atol), a, b)


def reached(workdir, step, started):
    """Waits until the metrics reach a step."""
    ends = time.monotonic() + 120
    with killed_on_failure(started):
        while time.monotonic() < ends:
            path = Path(workdir, "metrics.jsonl")
            if path.exists() and f'"step": {step}' in path.read_text():
                return
            for process in started:
                assert process.poll() is None, process.communicate()[0]
            time.sleep(0.1)
        raise AssertionError(f"no step {step} in two minutes")


def test_several_processes_then_one_train_what_one_trains(pictures, tmp_path):
    # 50 // 8 = 6 steps an epoch; only sums differ in order
    folder = tmp_path / "run"
    codes, said = ended(start(pictures, folder, 10, 2, **SGD))
    assert codes == [0, 0], said
    assert "2 cpu devices (cpu) of 2 processes" in said[0]
    assert not said[1]  # process 0 tells all
    mesh = run(pictures, tmp_path / "mesh", 10, devices=2, parallel="mesh", **SGD)
    jax.tree.map(
        np.testing.assert_array_equal, state_of(mesh, 10), state_of(folder, 10)
    )
    assert values(mesh) == values(folder)
    many = 4 if SLOW else 2
    codes, said = ended(start(pictures, folder, 20, many, input="host", **SGD))
    assert codes == [0] * many, said
    assert "resumed at step 10" in said[0]
    run(pictures, folder, 30, devices=8, parallel="pmap", **SGD)
    run(pictures, folder, 40, devices=4, shard_state=True, **SGD)
    whole = run(pictures, tmp_path / "whole", 40, **SGD)
    close(state_of(whole, 40), state_of(folder, 40), 1e-5)
    assert [x["step"] for x in lines(whole)] == [x["step"] for x in lines(folder)]


def test_runs_and_shards_over_two_processes(pictures, tmp_path):
    for name, flags in (
        ("runs", {"runs": 2, "input": "host"}),
        ("shards", {"shard_state": True, **SGD}),
    ):
        both = start(pictures, tmp_path / name, 10, 2, **flags)
        codes, said = ended(both)
        assert codes == [0, 0], said
        one = run(pictures, tmp_path / f"{name}-1", 10, **{**flags, "devices": 1})
        for a, b in zip(values(one), values(tmp_path / name), strict=True):
            assert a.keys() == b.keys()
        folders = [x / "checkpoints" for x in (one, tmp_path / name)]
        assert [checkpoint.available(x) for x in folders] == [[10], [10]]
    recorded = digests.read(tmp_path / "shards/checkpoints/10")
    assert recorded
    assert {len(parts) for parts in recorded.parts.values()} == {1, 2}
    state_of(tmp_path / "shards", 10)  # compares what both processes recorded


@pytest.mark.parametrize("killed", [slow(0), 1])
def test_one_that_is_killed_ends_all_and_another_number_resumes(
    pictures,
    tmp_path,
    killed,
):
    folder = tmp_path / "run"
    both = start(pictures, folder, 1_000_000, 2, save_every=5, **SGD)
    reached(folder, 20, both)
    both[killed].kill()
    began = time.monotonic()
    codes, said = ended(both, timeout=60)
    assert time.monotonic() - began < 30
    assert codes[killed] == -signal.SIGKILL
    assert codes[1 - killed] != 0
    if killed == 1:  # process 0 is also jax's own coordinator, which may end others
        assert "process 1: was killed or disconnected" in said[0]
    steps = checkpoint.available(folder / "checkpoints")
    assert steps
    end = steps[-1] + 5
    run(pictures, folder, end, save_every=5, **SGD)
    whole = run(pictures, tmp_path / "whole", end, save_every=5, **SGD)
    close(state_of(whole, end), state_of(folder, end), 1e-5)


@pytest.mark.parametrize("told", [slow((0, 1)), (1,)])
def test_a_signal_to_one_stops_all_at_the_same_step(pictures, tmp_path, told):
    folder = tmp_path / "run"
    both = start(pictures, folder, 1_000_000, 2, save_every=1_000_000)
    reached(folder, 10, both)
    for i in told:
        both[i].send_signal(signal.SIGTERM)
    codes, said = ended(both)
    assert codes == [128 + signal.SIGTERM] * 2, said
    assert "the same command resumes" in said[0]
    assert not said[1]
    [step] = checkpoint.available(folder / "checkpoints")
    assert step >= 10
    if not SLOW:  # two processes resume in the first test
        run(pictures, folder, step + 5)
        return
    codes, said = ended(start(pictures, folder, step + 5, 2))
    assert codes == [0, 0], said


def test_a_signal_before_training_ends_a_process_too(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    program = (
        "import os, signal, time\n"
        "from jaxgan.config.training import Config\n"
        "from jaxgan.distributed.initialize import _initialize_jax\n"
        f"_initialize_jax(Config(), coordinator_address={address!r},\n"
        f"    num_processes=1, coordinator_bind_address={address!r}, process_id=0)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "time.sleep(20)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], timeout=60, cwd=tmp_path)
    assert ended.returncode == -signal.SIGTERM


def test_time_that_is_over_says_so_to_a_supervisor(pictures, tmp_path):
    both = start(pictures, tmp_path / "run", 1_000_000, 2, max_minutes=0.1)
    codes, said = ended(both)
    assert codes == [75, 75], said
    assert "is over: stopped at step" in said[0]
    assert checkpoint.available(tmp_path / "run" / "checkpoints")


def test_an_error_of_one_ends_all_with_its_message(pictures, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "here.npz").write_bytes(Path(pictures).read_bytes())
    both = start(
        "here.npz", tmp_path / "run", 10, 2, cwd=[tmp_path / "a", tmp_path / "b"]
    )
    codes, said = ended(both)
    assert codes == [2, 2], said
    assert "error: process 1: " in said[0]
    assert "here.npz" in said[0]
    assert "Traceback" not in said[0] + said[1]
    assert not (tmp_path / "run").exists()


def test_different_flags_are_refused_by_name(pictures, tmp_path):
    each = [{"seed": 1}, {"seed": 2}]
    codes, said = ended(start(pictures, tmp_path / "run", 10, 2, each=each))
    assert codes == [2, 2], said
    assert "--seed is 1 in process 0 and 2 in process 1" in said[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"num_processes": 2}, "require --coordinator=HOST:PORT"),
        ({"coordinator": "127.0.0.1:1234"}, "requires --num_processes and"),
        (
            {"coordinator": "here", "num_processes": 2, "process_id": 0},
            "--coordinator=here: use HOST:PORT",
        ),
        (
            {"coordinator": "127.0.0.1:9", "num_processes": 2, "process_id": 2},
            "--process_id=2: must be from 0 to 1 with --num_processes=2",
        ),
        ({"parallel": "dmap", "devices": 2}, "--parallel=dmap: choose auto, pmap or"),
    ],
)
def test_flags_that_do_not_fit(pictures, tmp_path, capsys, flags, message):
    from jaxgan import train

    assert train.main(argv(pictures, tmp_path / "new", 20, **flags)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_what_tells_of_a_cluster():
    assert scheduled({"OMPI_COMM_WORLD_SIZE": "2"})
    assert not scheduled({"SLURM_STEP_NUM_TASKS": ""})
    assert not scheduled({"SLURM_STEP_NUM_TASKS": "²"})


def test_a_machine_whose_name_is_no_address_goes_on_without_a_watchdog(caplog):
    watchdog = Watchdog(0)
    assert _listen(watchdog, "nowhere.invalid") is None
    assert "cannot listen for the other processes (nowhere.invalid: " in caplog.text
    where = _listen(watchdog, "127.0.0.1")
    assert where
    assert where[0] == "127.0.0.1"
    assert watchdog._listener
    watchdog._listener.close()
