"""Several slices: the order of devices, their messages, and what they train."""

import dataclasses
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import sliced_processes
from jax.experimental import mesh_utils
from test_parallel import close
from test_parallel import run as train_in_process
from test_plan import SMALL, TINY, fake, slice_of
from test_plan_hlo import LOOP
from test_processes import ended, free_port

import jaxgan
from jaxgan.config import planning
from jaxgan.errors import UsageError
from jaxgan.parallel import layout, topology
from jaxgan.performance.hlo import collectives, cost, parser
from jaxgan.performance.planning import (
    chips,
    compiling,
    planner,
    roofline,
    summary,
    sweep,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")


@dataclasses.dataclass(frozen=True)
class Chip:
    """A device as jax describes those of a TPU v5e."""

    id: int
    process_index: int
    coords: tuple[int, int, int]
    slice_index: int
    core_on_chip: int = 0
    platform: str = "tpu"
    device_kind: str = "TPU v5 lite"


def slices(count, width=2, height=4, side=2):
    """The chips of slices, whose hosts have squares of chips."""
    hosts = (width // side) * (height // side)
    return [
        Chip(
            1000 * number + y * width + x,
            number * hosts + y // side * (width // side) + x // side,
            (x, y, 0),
            number,
        )
        for number in range(count)
        for y in range(height)
        for x in range(width)
    ]


def ids(devices):
    return [device.id for device in devices]


def test_devices_follow_slices_hosts_and_links():
    two = slices(2)
    shuffled = random.Random(0).sample(two, len(two))
    # Along the links of a slice, hosts first: 0-1 is beside 2-3, 7 beside 6.
    ring = [0, 1, 2, 3, 7, 6, 5, 4]
    assert ids(topology.order_devices(shuffled)) == ring + [1000 + x for x in ring]
    hybrid = mesh_utils.create_hybrid_device_mesh((8,), (2,), two)
    assert ids(topology.order_devices(two)) == ids(hybrid.flat)
    # Four hosts of 2 x 2 chips: those of a host stay together.
    square = topology.order_devices(slices(1, 4, 4)[::-1])
    assert ids(square) == [0, 1, 5, 4, 2, 3, 7, 6, 9, 13, 12, 8, 10, 11, 15, 14]
    assert topology.slices_of(two) == 2


def test_devices_without_links_or_slices_keep_their_order():
    some = slices(1)[1:4]  # no box of chips
    assert topology.order_devices(some) == some
    cpus = jax.devices()[:4]
    assert topology.order_devices(cpus) == cpus
    assert topology.slices_of(cpus) == 1


def test_the_place_of_a_process_is_that_in_the_mesh(monkeypatch):
    devices = [Chip(0, 0, (0, 0, 0), 1), Chip(1, 1, (0, 0, 0), 0)]
    ordered: list = topology.order_devices(devices)
    here = layout.Layout(ordered, layout_strategy())
    assert here.place == 1
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    assert here.place == 0


def layout_strategy():
    from jaxgan.parallel import STRATEGIES

    return STRATEGIES["mesh"]


def test_two_slices_of_two_train_what_one_slice_of_four_trains(monkeypatch):
    given = {"devices": 4, "way": "mesh"}
    one = train_in_process("k", kind="host", **given)
    monkeypatch.setattr(topology, "slice_of", lambda device: device.id % 2)
    assert ids(topology.order_devices(jax.devices()[:4])) == [0, 2, 1, 3]
    close(train_in_process("k", kind="host", **given), one, 1e-6)


def test_two_groups_of_processes_train_what_one_process_trains():
    address, count = f"127.0.0.1:{free_port()}", 4
    script = Path(sliced_processes.__file__)
    root = str(Path(jaxgan.__file__).parent.parent)
    flags = "--xla_force_host_platform_device_count=1"
    started = [
        subprocess.Popen(
            [sys.executable, script, address, str(count), str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": root},
        )
        for number in range(count)
    ]
    codes, said = ended(started)
    assert codes == [0] * count, said
    order, weights = json.loads(said[0].splitlines()[-1])
    # Slice 0 has the processes 0 and 2; process 2 reads the second part.
    assert order == [0, 2, 1, 3]
    _, alone = sliced_processes.trained(jax.devices()[:4])
    assert np.abs(alone).max() > 0.01
    np.testing.assert_allclose(weights, alone, atol=1e-6)


def exchange(kind, shape, name="send"):
    """Lines of HLO for a message between slices."""
    handler = '_xla_host_transfer_handler_name="xla_megascale_runtime"'
    attributes = (
        f"is_host_transfer=true, frontend_attributes={{{handler},"
        f'_xla_megascale_transfer_type="{kind}"}}'
    )
    ends = f"is_host_transfer=true, frontend_attributes={{{handler}}}"
    return (
        f"  %token = token[] after-all()\n"
        f"  %sent = ({shape}, u32[], token[]) send(%x, %token), {attributes}\n"
        f"  %received = ({shape}, u32[], token[]) recv(%token), {attributes}\n"
        f"  %work = f32[8,32]{{1,0:T(8,128)}} fusion(%y, %w), calls=%inner, "
        f'backend_config={{"estimated_cycles":"70"}}\n'
        f"  %sent-done = token[] send-done(%sent), {ends}\n"
        f"  %got = ({shape}, token[]) recv-done(%received), {ends}\n"
    )


@pytest.mark.parametrize(
    ("written", "kind", "nbytes", "sent"),
    [
        ("ALL_REDUCE", "all-reduce", 1024, 1024.0),  # 2 x 1/2 of it
        ("REDUCE_SCATTER", "reduce-scatter", 1024, 512.0),
        ("ALL_GATHER", "all-gather", 2048, 1024.0),
        ("ONE_TO_ONE", "collective-permute", 1024, 1024.0),
    ],
)
def test_messages_between_slices(written, kind, nbytes, sent):
    lines = exchange(written, "f32[256]{0:T(256)}")
    text = LOOP.replace("  %zero =", f"{lines}  %zero =")
    before = cost.work_of(parser.parse(LOOP), 4, 2)
    found = cost.work_of(parser.parse(text), 4, 2)
    message = collectives.Message(kind, 1, nbytes, sent)
    assert found.network == {kind: message}
    assert found.sent_between_slices == sent
    assert found.hidden == 70
    # Neither transfers to the host nor within a slice, and not in the HBM's bytes but
    # for those of the other work.
    assert found.transfers == []
    assert found.messages == before.messages
    assert found.hbm - before.hbm == before.hbm
    assert (before.network, before.hidden) == ({}, 0)


def pair(name):
    """Two made-up slices of a chip of a table."""
    return SMALL._replace(name=name, chip=chips.CHIPS[name], devices=slices(2, 2, 2))


def test_the_network_is_priced_by_hand():
    message = collectives.Message("all-reduce", 1, 0, 3.125e6)
    done = cost.Work([], {}, 0, 0, 0, [], 0, {"all-reduce": message}, 1_500)
    step = fake(0)._replace(work=done, layout=fake_layout())
    found = roofline.estimate(step, pair("v5e"))
    assert found is not None
    # 3.125 MB at 25 Gbit/s a chip, 200 Gbit/s a host of 8.
    assert found.network == found.overlapped == found.serial == pytest.approx(1e-3)
    assert found.hidden == pytest.approx(1e-6)
    assert found.bound == "network"
    said = "\n".join(summary.format_step(step, pair("v5e")))
    assert "2 x v5e: 8 chips" in said
    assert "between slices, per device and step: 1 all-reduce of 0.00 MiB" in said
    assert "network 1,000.0 us: network bounds" in said
    assert "overlap: 1.0 us of other work" in said
    assert "2 slices, connected by 200 Gbit/s each way per host of 8 chips" in said
    unknown = roofline.estimate(step, pair("v4"))
    assert unknown is not None
    assert unknown.network == 0
    assert "of TPU v4 is not published" in roofline.network(pair("v4"))[0]
    assert [chips.CHIPS[x].dcn for x in ("v5p", "v6e", "tpu7x")] == [
        *(6.25e9, 12.5e9, 12.5e9)
    ]


def fake_layout():
    return layout.Layout(jax.devices()[:1], layout_strategy())


def test_a_step_for_two_slices():
    slice_of("v5e:2x2")
    question = planning.parse_args(
        [*TINY, "--topology=v5e:2x2", "--slices=2", "--batch_size=64"]
    )
    (found,) = [chips.find(name, question.slices) for name in question.topologies]
    assert (found.count, found.chips, found.per_chip) == (2, 8, 1)
    dataset = compiling.dataset_of(question)
    step = compiling.compile_step(question.config, dataset, found)
    row = summary.figures(step, found)
    assert (row["topology"], row["slices"], row["chips"]) == ("v5e:2x2", 2, 8)
    # The gradients cross the network once, a fourth of them from each chip; small ones
    # are padded to tiles.
    gradients = 4 * sum(step.parameters)
    network = row["between_slices"]["all-reduce"]["nbytes"]
    assert gradients / 4 < network < 8 * gradients
    assert "reduce" in "".join(row["collectives"])
    assert row["transfers"] == []
    assert row["seconds"]["network"] == pytest.approx(network / 3.125e9)
    cells = sweep.cells({**row, "batch_per_chip": 8, "weak": 1.0, "strong": 1.0})
    assert cells[0] == "2 x v5e:2x2"
    assert question.slices == 2


@pytest.mark.parametrize(
    ("argv", "match"),
    [
        (
            ["--topology=local", "--slices=2"],
            "--slices=2: local has the slices of this",
        ),
        (["--topology=v5e:2x2", "--slices=0"], "--slices=0: must be from 1 to 256"),
        (["--topology=v5e:2x2", "--slices=two"], "--slices.*not a whole number"),
    ],
)
def test_slices_that_are_wrong(argv, match):
    with pytest.raises(UsageError, match=match):
        planning.parse_args([*TINY, *argv])
    assert planner.find is chips.find
