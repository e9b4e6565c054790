"""One device and several compute the same."""

import ast
import pathlib
import re
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import TINY, config, game, images, same
from slow import slow

import jaxgan
from jaxgan import parallel
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.experiment.setup import choose_layout, setup
from jaxgan.gan import builder
from jaxgan.parallel import devices

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
SIZE = 50


def order(epoch):
    return np.random.default_rng(epoch).permutation(SIZE).astype(np.int32)


def feed_of(kind, chosen, layout):
    """The same batches, from the devices or from the host."""
    arrays = {"image": images(SIZE)}
    k, b = chosen.d_updates, chosen.batch_size
    if kind == "resident":
        return parallel.resident(arrays, order, updates=k, batch=b, layout=layout)

    def stream():
        per_epoch = SIZE // (k * b)
        for step in range(1_000):
            numbers = order(step // per_epoch)[step % per_epoch * k * b :][: k * b]
            yield {"image": arrays["image"][numbers].reshape(k, b, 8, 8, 1)}

    return parallel.streamed(stream(), layout=layout)


def run(
    name, kind="resident", devices=1, count=1, steps=4, way="auto", split=False, **other
):
    chosen = config(name, **other)
    layout = parallel.layout_of(
        parallel.choose_devices(devices), parallel=way, shard_state=split
    )
    built, state = game(chosen, layout=layout)
    feed = feed_of(kind, chosen, layout)
    chex.clear_trace_counter()
    traced_once = chex.assert_max_traces(built.train_step, n=1)
    program = parallel.make_compiler(traced_once, feed, layout)
    state = parallel.place(state, layout)
    seen = []
    for start in range(0, steps, count):
        passed = (state, feed.at(start, count), KEY)
        state, metrics = program(count, *passed)(*passed)
        seen.append(jax.device_get(metrics))
    feed.close()
    stacked = jax.tree.map(lambda *x: np.concatenate(x), *seen)
    return jax.device_get(state), stacked


def close(a, b, atol):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=atol), a, b)


@pytest.mark.parametrize(
    "name", [x if x in ("k", "batch_norm") else slow(x) for x in TINY]
)
def test_two_devices_compute_what_one_computes(name):
    # SGD, so that a wrong scale of the gradient cannot hide; only sums differ in order
    close(run(name), run(name, devices=2), 2e-5)


def test_eight_devices_too():
    close(run("batch_norm"), run("batch_norm", devices=8), 2e-5)


# Every game from the devices' memory, and one from the host's.
GAMES = [
    ("batch_norm", "resident"),
    ("k", "streamed"),
    *(slow(name, "resident") for name in TINY if name != "batch_norm"),
]


@pytest.mark.parametrize(("name", "kind"), GAMES)
def test_mesh_is_pmap_bit_for_bit(name, kind):
    same(run(name, kind, 2, way="pmap"), run(name, kind, 2, way="mesh"))


def test_mesh_is_pmap_on_eight_devices_in_parts():
    given: Any = {"devices": 8, "batch_size": 16, "accumulate": 2, "count": 2}
    a, b = (run("small", way=way, **given) for way in ("pmap", "mesh"))
    same(a, b)
    close(run("small", batch_size=16), a, 2e-5)


@pytest.mark.parametrize(("name", "kind"), GAMES)
def test_a_state_in_shards_trains_the_same(name, kind):
    close(run(name), run(name, kind, 8, split=True), 2e-5)


def test_shards_are_a_mesh_bit_for_bit_and_two_steps_a_call_too():
    given = {"devices": 4, "way": "mesh", "d_optimizer": "adam(1e-3)"}
    mesh, shards = (run("batch_norm", split=x, **given) for x in (False, True))
    same(mesh[0], shards[0])
    close(mesh[1], shards[1], 1e-5)  # norms of parameters are sums over shards
    several = run("batch_norm", split=True, count=2, **given)
    close(several, shards, 2e-5)


def test_shards_hold_a_part_each_and_no_device_the_whole():
    given = {"g_optimizer": "adam(1e-3)", "d_optimizer": "adam(1e-3)"}
    layout = parallel.layout_of(parallel.choose_devices(8), shard_state=True)
    _, state = game(config("dropout", **given), layout=layout)
    state = parallel.place(state, layout)
    [*_, kernel] = [x for x in jax.tree.leaves(state.opt_state) if x.shape == (64, 16)]
    assert kernel.addressable_data(0).shape == (8, 16)
    size = sum(x.nbytes for x in jax.tree.leaves(state))
    parts = sum(x.addressable_data(0).nbytes for x in jax.tree.leaves(state))
    assert parts < size / 6
    same(parallel.to_local(state), state)


def test_each_strategy_says_all_in_which_they_differ():
    for name, strategy in parallel.STRATEGIES.items():
        assert strategy.name == name
        assert all(map(callable, strategy[2:6])), name
        assert all(isinstance(x, bool) for x in (*strategy[6:8], strategy.freezes))
        # only a shared batch is split, along the examples behind [count, k]
        assert strategy.shares_batch or not strategy.splits_batch
        axis = {True: 2, False: 0 if strategy.steps_axis else None}
        assert strategy.batch_axis == axis[strategy.shares_batch]
        # only whole runs go on beside one that is not finite
        assert strategy.freezes == (strategy.steps_axis == 1)


def test_no_module_asks_which_strategy_it_is():
    used = set()
    for file in pathlib.Path(jaxgan.__file__).parent.rglob("*.py"):
        tree = ast.parse(file.read_text())
        assert not any(_is_attribute(node, "way") for node in ast.walk(tree)), file
        used |= {file.name for node in ast.walk(tree) if _names_strategy(node)}
        for node in ast.walk(tree):
            # a comparison, a look-up in a table, or a match
            if isinstance(node, ast.Compare | ast.Subscript | ast.Match):
                assert not any(map(_names_strategy, ast.walk(node))), file
    # the key of the table, and a figure of the plan
    assert used == {"strategies.py", "summary.py"}


def _is_attribute(node, name):
    return isinstance(node, ast.Attribute) and node.attr == name


def _names_strategy(node):
    """True for `strategy.name` and `layout.strategy.name`."""
    if not _is_attribute(node, "name"):
        return False
    value = node.value
    named = isinstance(value, ast.Name) and value.id.lower() == "strategy"
    return named or _is_attribute(value, "strategy")


@pytest.mark.parametrize("seeds", [1, 3])
def test_metrics_on_the_host_have_an_axis_of_seeds(seeds):
    rows = np.arange(2 * seeds, dtype=np.float32).reshape(2, seeds)
    # a single seed has none on the device
    metrics = {"loss": jnp.asarray(rows if seeds > 1 else rows[:, 0])}
    [fetched] = parallel.fetch_metrics(metrics, seeds).values()
    np.testing.assert_array_equal(fetched, rows)


@pytest.mark.parametrize(
    ("count", "where"), [(1, "device"), (1, "host"), (2, "device"), (2, "host")]
)
def test_a_run_traces_the_step_that_was_checked(monkeypatch, count, where):
    traces, make = [], builder.make_step

    def counting(*given, **named):
        step = make(*given, **named)
        return lambda *inputs: traces.append(1) or step(*inputs)

    monkeypatch.setattr(builder, "make_step", counting)
    chosen = make_config(
        dataset="ring8",
        networks="mlp((4,), (4,))",
        batch_size=8,
        devices=count,
        input=where,
        held_out="none",
    )
    run = setup(chosen)
    assert len(traces) == 1
    state = run.init_state()
    with run.open_feed(0) as feed:
        jit = run.layout.strategy.jit(run.train_step, feed, run.layout, 1, state)
        jit.lower(state, feed.at(0, 1), run.keys().run)
    assert len(traces) == 1  # and not once more


def test_layouts():
    one, two = parallel.choose_devices(1), parallel.choose_devices(2)
    assert parallel.layout_of(one, parallel="mesh").strategy.name == "one"
    assert parallel.layout_of(two).strategy.name == "pmap"
    assert parallel.layout_of(two, parallel="mesh").strategy.name == "mesh"
    assert parallel.layout_of(two, shard_state=True).strategy.name == "shards"
    assert parallel.layout_of(two, runs=2).strategy.name == "runs"
    wrong: list[tuple[Any, str]] = [
        ({"parallel": "dmap"}, "parallel=dmap: choose auto, pmap or mesh"),
        ({"shard_state": True, "runs": 2}, "leave out runs"),
        ({"shard_state": True, "parallel": "pmap"}, "leave out parallel=pmap"),
    ]
    for given, message in wrong:
        with pytest.raises(UsageError, match=message):
            parallel.layout_of(two, **given)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"devices": 1, "shard_state": True}, "--shard_state without .*: there is one"),
        (
            {"devices": 2, "runs": 2, "parallel": "mesh"},
            "--parallel=mesh without effect: each of --runs=2 has its own batches",
        ),
        ({"devices": 2, "shard_state": True, "parallel": "mesh"}, ""),
        ({"devices": 1}, ""),
    ],
)
def test_flags_of_devices_without_effect_are_logged(caplog, flags, message):
    caplog.set_level("INFO", "jaxgan")
    choose_layout(make_config(**flags))
    found = [x for x in caplog.messages if "without effect" in x]
    assert len(found) == bool(message)
    assert not message or re.search(message, found[0])


@pytest.mark.parametrize("devices", [1, 2])
def test_host_and_device_input_are_the_same_run(devices):
    a = run("k", "resident", devices)
    b = run("k", "streamed", devices)
    close(a, b, 1e-6)


@pytest.mark.parametrize("kind", ["resident", "streamed"])
def test_several_steps_in_one_call_are_the_same_steps(kind):
    # 50 // 8 = 6 steps an epoch: 8 steps cross into the next, within a call of 4
    one = run("dropout", kind, steps=8)
    four = run("dropout", kind, steps=8, count=4)
    assert one[1]["generator/loss"].shape == four[1]["generator/loss"].shape == (8,)
    close(one, four, 1e-6)


def test_an_epoch_reads_no_example_twice():
    arrays = {"image": np.arange(SIZE)[:, None]}
    layout = parallel.layout_of(parallel.choose_devices(1))
    feed = parallel.resident(arrays, order, updates=2, batch=8, layout=layout)
    seen = []
    for step in range(6):  # 50 // 16 = 3 steps an epoch
        got = feed.select(feed.at(step, 1), jnp.asarray(step), jnp.asarray(0))["image"]
        assert got.shape == (2, 8, 1)
        seen.append(np.asarray(got).ravel())
    for epoch, part in enumerate((seen[:3], seen[3:])):
        np.testing.assert_array_equal(np.concatenate(part), order(epoch)[:48])


def test_states_carry_no_device_axis():
    state, metrics = run("small", devices=2, steps=1)
    assert state.step.shape == ()
    assert metrics["generator/loss"].shape == (1,)


def test_devices_that_there_are_not():
    assert len(parallel.choose_devices(0)) == len(parallel.choose_devices(8)) == 8
    assert len(parallel.choose_devices(3)) == 3
    with pytest.raises(UsageError, match=r"^devices=9: there are 8"):
        parallel.choose_devices(9)
    with pytest.raises(UsageError, match=r"^devices=-1"):
        parallel.choose_devices(-1)


def test_a_missed_accelerator_is_found_only_when_nobody_asked_for_the_cpu(monkeypatch):
    class Found:
        metadata = {"Name": "jax-cuda13-plugin"}  # noqa: RUF012

    monkeypatch.setattr("importlib.metadata.distributions", lambda: [Found()])
    assert devices.unused_accelerator("cpu") is None  # JAX_PLATFORMS=cpu
    monkeypatch.delenv("JAX_PLATFORMS")
    assert devices.unused_accelerator("cpu") == "jax-cuda13-plugin"
    assert devices.unused_accelerator("gpu") is None
