"""The number of CPU devices: the rule, what a run records, and the programs."""

import json
import os
import subprocess
import sys

import plain_train
import pytest
from test_train import argv, run, state_of

from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config
from jaxgan.experiment import cpu_devices
from jaxgan.experiment.cpu_devices import Choice, choose

COUNTED = (cpu_devices.VARIABLE, "XLA_FLAGS")


def count(cores=2, recorded=None, **flags):
    return choose(make_config(dataset="mnist", **flags), cores, recorded).count


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", 64), ("150000 100000", 1), ("400000 100000", 4), ("x", 64)],
)
def test_cores_are_those_that_a_container_may_use(text, cores, tmp_path, monkeypatch):
    (tmp_path / "cpu.max").write_text(f"{text}\n")
    monkeypatch.setattr(cpu_devices, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), False)
    assert cpu_devices.available_cores() == cores


def test_the_default_run_splits_its_batches():
    assert [count(cores=n) for n in (1, 2, 3, 4, 64)] == [1, 2, 2, 2, 2]
    assert [count(cores=n, batch_size=512) for n in (1, 2, 3, 5, 64)] == [1, 2, 2, 4, 8]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"networks": "mlp"}, 1),
        ({"networks": "dcgan"}, 1),
        ({"networks": "residual"}, 1),
        ({"networks": "mine(3)"}, 1),
        ({"networks": "small(16"}, 1),
        ({"networks": "small|small"}, 1),
        ({"networks": "small(16)"}, 2),
        ({"networks": "small(width=17)"}, 1),
        ({"batch_size": 63}, 1),
        ({"batch_size": 62}, 1),
        ({"batch_size": 64, "accumulate": 2}, 1),
        ({"batch_size": 128, "accumulate": 2}, 2),
        ({"batch_size": 130, "accumulate": 3}, 1),
        # These depend on the number of devices, or use it in their own way.
        ({"batch_per_device": 64}, 1),
        ({"shard_state": True}, 1),
        ({"runs": 2}, 1),
        ({"coordinator": "127.0.0.1:9", "num_processes": 2, "process_id": 0}, 1),
        # The user's number is obeyed, as far as there are cores.
        ({"devices": 1}, 1),
        ({"devices": 2, "networks": "mlp"}, 2),
        ({"devices": 9}, 2),
    ],
)
def test_the_rule(flags, expected):
    assert count(**flags) == expected


def test_a_resumed_run_keeps_its_devices():
    assert count(recorded=1) == 1
    assert count(recorded=0) == 1  # of version 0.1.0
    assert count(recorded=3, cores=4, networks="mlp") == 3
    # The run comes from a machine with more cores.
    assert count(recorded=8) == 2
    assert count(recorded=1, devices=2) == 2


def test_presets_of_small_convolutions_gain():
    two = {name for name in PRESETS if count(preset=name) == 2}
    # Presets that name no networks have `small`.
    networks = {name: x.get("networks", "small") for name, x in PRESETS.items()}
    small = {name for name, x in networks.items() if x.partition("(")[0] == "small"}
    assert two == small
    assert {"default", "wgan-gp", "sngan"} <= two


def requested(environment, monkeypatch, imported=False, **flags):
    """The variables after a request, in a process with two cores."""
    with monkeypatch.context() as patch:
        patch.setattr(cpu_devices, "available_cores", lambda: 2)
        if not imported:
            patch.delitem(sys.modules, "jax")
        cpu_devices.request(make_config(dataset="mnist", **flags), environment)
    return environment


@pytest.mark.parametrize(
    "environment",
    [
        {"JAX_PLATFORMS": "cuda"},
        {"XLA_FLAGS": "--xla_force_host_platform_device_count=1"},
        {"JAX_NUM_CPU_DEVICES": "1"},
        {"SLURM_STEP_NUM_TASKS": "2"},
    ],
)
def test_the_environment_is_left_alone(environment, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = dict(environment)
    assert requested(environment, monkeypatch) == before


def test_a_request(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert requested({}, monkeypatch) == {"JAX_NUM_CPU_DEVICES": "2"}
    assert requested({"JAX_PLATFORMS": "cpu"}, monkeypatch)["JAX_NUM_CPU_DEVICES"]
    assert requested({}, monkeypatch, networks="mlp") == {}
    # A process in which jax is imported is the user's.
    assert requested({}, monkeypatch, imported=True) == {}


def test_a_run_records_its_devices(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(cpu_devices, "available_cores", lambda: 2)
    folder = run(pictures, tmp_path / "run", 1, devices=2)
    config = make_config(workdir=str(folder), networks="mlp")
    assert cpu_devices.chosen(config) == Choice(2, "like the run that is resumed")
    # A file that cannot be read is reported later.
    (folder / "config.json").write_text("[")
    assert cpu_devices.chosen(config).count == 1


def child(pictures, workdir, steps, **flags):
    """Trains in a process without a number of devices; returns its lines."""
    environment = {k: v for k, v in os.environ.items() if k not in COUNTED}
    flags = {"devices": 0, "batch_size": 64, **flags}
    done = subprocess.run(
        [
            sys.executable,
            plain_train.__file__,
            *argv(pictures, workdir, steps, **flags),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


needs_two_cores = pytest.mark.skipif(
    cpu_devices.available_cores() < 2, reason="one core"
)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """An npz of 128 pictures of 8x8."""
    import numpy as np

    path = tmp_path_factory.mktemp("data") / "many.npz"
    images = np.random.default_rng(0).integers(0, 256, (128, 8, 8, 1), np.uint8)
    np.savez(path, images=images)
    return path


@needs_two_cores
def test_the_program_uses_two_devices_and_resumes_bit_for_bit(many, tmp_path):
    said = child(many, tmp_path / "halves", 2)
    assert "2 cpu devices" in said
    assert "convolutions of --networks=small are small (--devices=1 for one)" in said
    config = json.loads((tmp_path / "halves" / "config.json").read_text())
    assert config["devices"] == 2
    assert "like the run that is resumed" in child(many, tmp_path / "halves", 4)
    child(many, tmp_path / "whole", 4)
    import jax
    import numpy as np

    states = (state_of(tmp_path / name, 4) for name in ("halves", "whole"))
    jax.tree.map(np.testing.assert_array_equal, *states)


@needs_two_cores
def test_the_program_trains_mlp_and_earlier_runs_on_one_device(many, tmp_path):
    mlp = "mlp((16,), (16,))"
    said = child(many, tmp_path / "run", 1, networks=mlp)
    cores = cpu_devices.available_cores()
    assert "1 cpu device (cpu)" in said
    assert f"one device with {cores} threads: --networks=mlp keeps all threads" in said
    # Before there was a rule, the number was not recorded.
    file = tmp_path / "run" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "devices": 0}))
    said = child(many, tmp_path / "run", 2, networks=mlp)
    assert "1 cpu device (cpu)" in said
    assert json.loads(file.read_text())["devices"] == 1
