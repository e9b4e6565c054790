"""The times, FLOPs and utilization of a run, and the server for live profiles."""

import collections
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest import mock

import grpc
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.profiler import ProfileData

from jaxgan.config.resolve import make_config, parse_args
from jaxgan.data import load
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.performance.planning.chips import CHIPS, KINDS
from jaxgan.performance.profiling import StepClock, Utilization, open_server, peak_of
from jaxgan.performance.profiling.flops import traced_flops
from jaxgan.performance.profiling.phases import PHASES
from jaxgan.performance.profiling.utilization import GPUS, TPUS
from jaxgan.training import trainer
from jaxgan.training.fit import fit

pytestmark = pytest.mark.usefixtures("quick_compilation")


class Call:
    """The metrics of a call that ends at a time of the test's clock."""

    def __init__(self, world, end):
        self.world, self.end = world, end

    def is_ready(self):
        return self.world.time >= self.end


class World:
    """A clock that the test sets, and one device that runs calls in order."""

    def __init__(self):
        self.time = self.free = 0.0

    def start(self, clock, seconds, steps=1):
        self.free = max(self.free, self.time) + seconds
        clock.started({"loss": Call(self, self.free)}, steps)
        clock.look()

    def wait(self, clock, end):
        self.time = max(self.time, end)
        clock.look()


def loop(world, clock, seconds, steps, inputs=0.0):
    """The loop's turns, with two calls ahead, and the wait for all at a log."""
    ends = []
    for number, lasts in enumerate(seconds):
        with clock.waiting(number):
            world.time += inputs
        world.start(clock, lasts, steps)
        ends.append(world.free)
        if number >= 2:
            world.wait(clock, ends[number - 2])
    for end in ends:
        world.wait(clock, end)


def test_busy_devices_are_timed_exactly():
    world, lasting = World(), [1.0] * 90 + [2.0] * 8 + [5.0] * 2
    clock = StepClock(lambda: world.time)
    clock.waiting(0)  # before the clock runs, nothing counts
    clock.resume()
    loop(world, clock, 4 * np.array(lasting), steps=4)
    row = clock.row()
    assert row == {
        "performance/step_seconds_p50": 1.0,
        "performance/step_seconds_p90": np.percentile(lasting, 90),
        "performance/step_seconds_p99": 5.0,
        "performance/input_share": 0.0,
    }
    # The next row has its own steps; while paused nothing counts.
    assert clock.row() == {}
    clock.pause()
    world.time += 1000
    with clock.waiting(0):
        world.time += 1000
    clock.resume()
    loop(world, clock, [3.0] * 5, steps=1)
    assert clock.row()["performance/step_seconds_p99"] == 3.0


def test_a_slow_input_is_a_part_of_the_step_and_named():
    world = World()
    clock = StepClock(lambda: world.time)
    clock.resume()
    loop(world, clock, [1.0] * 100, steps=1, inputs=4.0)
    row = clock.row()
    assert row["performance/step_seconds_p50"] == 4.0
    # The first batch has no call before it, the last call no batch behind it.
    assert row["performance/input_share"] == pytest.approx(400 / 401)
    # Calls in flight when the clock is paused are dropped.
    world.start(clock, 1.0)
    clock.pause()
    clock.resume()
    world.time += 10
    clock.look()
    assert clock.row() == {}


def conv(x, kernel, **given):
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, dimension_numbers=numbers, **given)


def flops_of(f, *shapes):
    return traced_flops(jax.jit(f).trace(*map(jnp.ones, shapes)).jaxpr)


def test_flops_of_known_products():
    product = 2 * 8 * 16 * 4

    def many(x, w):
        x, _ = jax.lax.scan(lambda x, _: (jnp.tanh(x @ w @ w.T), None), x, length=5)
        dead = x @ w  # nothing reads it
        branch = jax.lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: x[:, :4])
        return branch, jax.vmap(lambda y: y @ w)(x), dead.shape[0]

    assert flops_of(lambda x, w: x @ w, (8, 16), (16, 4)) == product
    assert flops_of(many, (8, 16), (16, 4)) == product * (10 + 1 + 1)
    given = {"window_strides": (2, 1), "padding": "VALID"}
    found = flops_of(lambda x, k: conv(x, k, **given), (2, 9, 8, 3), (3, 3, 3, 5))
    assert found == 2 * (2 * 4 * 6 * 5) * (3 * 3 * 3)
    # Groups; and an upsampling convolution, whose zeros are no work.
    given = {"window_strides": (1, 1), "padding": "VALID", "feature_group_count": 3}
    found = flops_of(lambda x, k: conv(x, k, **given), (2, 4, 4, 3), (3, 3, 1, 6))
    assert found == 2 * (2 * 2 * 2 * 6) * 9
    up = {"window_strides": (1, 1), "padding": [(1, 1)] * 2, "lhs_dilation": (2, 2)}
    down = {"window_strides": (2, 2), "padding": "VALID"}
    found = flops_of(lambda x, k: conv(x, k, **up), (1, 4, 4, 1), (2, 2, 1, 1))
    back = flops_of(lambda x, k: conv(x, k, **down), (1, 8, 8, 1), (2, 2, 1, 1))
    assert found == back == 2 * 4 * 4 * 4  # one is the transpose of the other


def test_the_count_of_a_step_is_that_of_its_compiler():
    flags = {"dataset": "ring8", "batch_size": 64, "d_updates": 2, "d_terms": ""}
    config = make_config(**flags, networks="mlp((64, 64), (64, 64))")
    gan = builder.build_gan(config, load("ring8").example, unroll=True)
    state = jax.eval_shape(gan.init, jax.random.key(0))
    batch = {"image": jnp.zeros((2, 64, 2))}
    traced = jax.jit(gan.train_step).trace(state, batch, jax.random.key(1))
    found = traced_flops(traced.jaxpr)
    cost = traced.lower().compile().cost_analysis()
    compiled = (cost or {})["flops"]
    # Which counts other operations too, and computes equal products once.
    assert 0.9 * compiled < found < 1.1 * compiled
    # Loops, which the compiler counts once.
    gan = builder.build_gan(config, load("ring8").example, unroll=False)
    traced = jax.jit(gan.train_step).trace(state, batch, jax.random.key(1))
    assert traced_flops(traced.jaxpr) == pytest.approx(found, rel=0.02)


Device = collections.namedtuple("Device", "platform device_kind")


@pytest.mark.parametrize(
    ("platform", "kind", "given", "flops", "arithmetic"),
    [
        ("gpu", "NVIDIA H100 80GB HBM3", {"mixed": True}, 989.4e12, "bfloat16"),
        ("gpu", "NVIDIA H100 PCIe", {"mixed": False}, 378e12, "TF32"),
        ("gpu", "NVIDIA H200", {"precision": "highest"}, 66.9e12, "float32"),
        ("gpu", "NVIDIA A100-SXM4-40GB", {"mixed": False}, 156e12, "TF32"),
        ("gpu", "NVIDIA L40S", {"mixed": True}, 362e12, "bfloat16"),
        ("gpu", "NVIDIA L4", {"mixed": True}, 121e12, "bfloat16"),
        ("gpu", "Tesla T4", {"mixed": True}, 8.1e12, "float32"),
        ("gpu", "Tesla V100-SXM2-16GB", {}, 15.7e12, "float32"),
        ("gpu", "NVIDIA GeForce RTX 4090", {}, 82.6e12, "TF32"),
        ("tpu", "TPU v5 lite", {"mixed": False}, 197e12, "bfloat16"),
    ],
)
def test_peaks_are_those_of_the_arithmetic(platform, kind, given, flops, arithmetic):
    given = {"mixed": False, "environment": {}, **given}
    peak = peak_of(Device(platform, kind), **given)
    assert peak == (kind, pytest.approx(flops), arithmetic)


def test_no_peak_is_made_up():
    for device in (
        *(jax.devices()[0], Device("gpu", "AMD Instinct MI300X")),
        *(Device("gpu", "NVIDIA A10G"), Device("gpu", "NVIDIA L40")),
        Device("gpu", "NVIDIA GeForce RTX 4090 Laptop GPU"),
        Device("gpu", "NVIDIA A100-SXM4-80GB MIG 1g.10gb"),
    ):
        assert peak_of(device, mixed=False) is None, device
    off = {"NVIDIA_TF32_OVERRIDE": "0"}
    a100 = Device("gpu", "NVIDIA A100-PCIE-40GB")
    peak = peak_of(a100, mixed=False, environment=off)
    assert peak
    assert peak.flops == 19.5e12
    tpu = Device("tpu", "TPU v4")
    assert peak_of(tpu, mixed=False, precision="highest") is None
    # One source of two tables: TPU7x has two devices on a chip.
    for kind, name in KINDS.items():
        assert TPUS[kind] * (1 + (name == "tpu7x")) == CHIPS[name].flops
    assert all(gpu.bfloat16 >= gpu.tf32 for gpu in GPUS.values())
    assert Utilization(0.0, None).row(1.0) == {}
    assert Utilization(0.0, None).describe(1.0) == ""


def field(number, value):
    """A field of a protobuf message: a number, or bytes."""

    def varint(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def capture(port, folder, milliseconds=1_000):
    """What `xprof` sends to capture a profile."""
    # Version, host, device and HLO, and the duration.
    options = {5: 1, 2: 2, 3: 1, 7: 1, 9: milliseconds}
    parts = {
        1: milliseconds,
        4: b"".join(field(number, value) for number, value in options.items()),
        5: str(folder).encode(),
        6: b"now",
        7: b"here",
    }
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        call = channel.unary_unary("/tensorflow.ProfilerService/Profile")
        call(b"".join(field(*part) for part in parts.items()), timeout=60)
    return folder / "now" / "here.xplane.pb"


def names_in(file):
    """The names of all events of a trace."""
    data = ProfileData.from_file(str(file))
    return {
        e.name for plane in data.planes for line in plane.lines for e in line.events
    }


def free_port():
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


RUN = {"dataset": "ring8", "d_terms": "", "networks": "mlp((8,), (8,))"}
RUN |= {"batch_size": 8, "devices": 1, "samples": 4, "score_samples": 16}


def test_a_run_is_captured_while_it_goes_on(tmp_path, caplog, monkeypatch):
    """A client of the port sees all phases; the log and the metrics have the times."""
    caplog.set_level("INFO", "jaxgan")
    port, every = free_port(), ("log_every", "sample_every", "save_every")
    config = make_config(
        **RUN,
        **dict.fromkeys(every, 4),
        steps=10_000,  # until all is captured
        profiler_port=port,
        workdir=str(tmp_path / "run"),
    )
    found = set()

    def capture_all():
        for number in range(10):
            folder = tmp_path / str(number)
            found.update(names_in(capture(port, folder)) & set(PHASES))
            if len(found) == len(PHASES):
                break

    with ThreadPoolExecutor(1) as pool:
        started, calls = [], []

        @contextmanager
        def until_captured(ends, alone):
            def ask():
                calls.append(1)
                if len(calls) == 5:  # the step is compiled
                    started.append(pool.submit(capture_all))
                return 75 * (bool(started) and started[0].done())

            yield ask

        monkeypatch.setattr(trainer, "catch_signals", until_captured)
        assert fit(config) == 75
        started[0].result()
    assert found == set(PHASES)
    assert f"capture profiles at {socket.gethostname()}:{port}\n" in caplog.text
    assert re.search(r"performance: .* per step .*FLOP/s .* GiB", caplog.text)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    row = next(json.loads(line) for line in lines if "step_seconds" in line)
    names = [f"performance/{name}" for name in ("step_seconds_p50", "step_seconds_p90")]
    names += ["performance/step_seconds_p99"]
    times = [row[name] for name in names]
    assert 0 < times[0] <= times[1] <= times[2] < row["seconds"]
    assert 0 <= row["performance/input_share"] < 1
    # A CPU has no memory of its own, and no published peak.
    assert 2**25 < row["performance/peak_host_bytes"] < 2**40
    flops = row["performance/flops_per_second"] * times[0]
    # Two layers of 8 units in each network: 8 examples, forward and backward.
    assert 1e3 < flops < 1e5
    assert "performance/mfu" not in row


def test_a_port_that_cannot_be_used_is_refused(tmp_path):
    with socket.create_server(("", free_port())) as taken:
        port = taken.getsockname()[1]
        config = make_config(**RUN, profiler_port=port, workdir=str(tmp_path / "run"))
        message = f"--profiler_port={port}: port {port} is in use: use "
        with pytest.raises(UsageError, match=message) as error:
            fit(config)
    assert port < int(str(error.value).split()[-1]) < port + 100
    assert not (tmp_path / "run").exists()
    # One server per process, which a notebook may have.
    with (
        open_server(free_port()),
        pytest.raises(UsageError, match="has a profiler server already"),
    ):
        fit(make_config(**RUN, profiler_port=free_port(), workdir=str(tmp_path)))
    with pytest.raises(UsageError, match="--profiler_port=65536: must be at most"):
        parse_args(["--profiler_port=65536"])


def test_processes_of_a_machine_have_ports_in_a_row(monkeypatch, caplog):
    caplog.set_level("INFO", "jaxgan")
    opened, machines = [], ["a", "b", "a", "a", "b", *"cdefg"]
    monkeypatch.setattr(trainer, "gather", lambda name: machines)
    monkeypatch.setattr(trainer.profiling, "open_server", opened.append)
    monkeypatch.setattr(trainer.jax, "process_index", lambda: 3)
    monkeypatch.setattr(trainer, "all_succeed", lambda work: work())
    stack = mock.Mock()
    trainer.open_profiler(make_config(profiler_port=9000), stack)
    assert "a:9000, b:9000, a:9001, a:9002, b:9001, c:9000, d:9000, e:9000" in (
        caplog.text
    )
    assert "e:9000 and 2 more" in caplog.text
    assert opened == [9002]
