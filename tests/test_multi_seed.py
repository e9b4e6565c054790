"""Runs side by side are the runs of their seeds."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import batches, config, game, images, same
from slow import slow

from jaxgan import parallel
from jaxgan.networks.ops.platform import jit_once
from jaxgan.parallel import multi_seed
from jaxgan.performance.profiling.flops import contains

pytestmark = pytest.mark.usefixtures("quick_compilation")

SIZE, RUNS = 50, 4


def order(seed, epoch):
    return np.random.default_rng([seed, epoch]).permutation(SIZE).astype(np.int32)


def stream(chosen, seed):
    """The batches that `resident` gathers, made on the host."""
    arrays, k, b = {"image": images(SIZE)}, chosen.d_updates, chosen.batch_size
    per_epoch = SIZE // (k * b)
    for step in range(1_000):
        numbers = order(seed, step // per_epoch)[step % per_epoch * k * b :][: k * b]
        yield {"image": arrays["image"][numbers].reshape(k, b, 8, 8, 1)}


def together(parts):
    for several in zip(*parts, strict=True):
        yield jax.tree.map(lambda *x: np.stack(x), *several)


def feed_of(kind, chosen, layout, seeds):
    count = len(seeds)
    if kind == "resident":

        def orders(epoch):
            rows = [order(seed, epoch) for seed in seeds]
            return multi_seed.join_seeds(rows, count, np.stack)

        return parallel.resident(
            {"image": images(SIZE)},
            orders,
            updates=chosen.d_updates,
            batch=chosen.batch_size,
            layout=layout,
        )
    parts = [stream(chosen, seed) for seed in seeds]
    source = together(parts) if count > 1 else parts[0]
    return parallel.streamed(source, layout=layout)


def train(name, seeds, kind="resident", devices=1, count=2, steps=8):
    chosen = config(name)
    built, _ = game(chosen)
    layout = parallel.layout_of(parallel.choose_devices(devices), runs=len(seeds))
    states = [jit_once(built.init)(jax.random.key(seed)) for seed in seeds]
    keys = [jax.random.key(100 + seed) for seed in seeds]
    keys = multi_seed.join_seeds(keys, len(seeds))
    state = parallel.place(multi_seed.join_states(states), layout)
    feed = feed_of(kind, chosen, layout, seeds)
    program = parallel.make_compiler(built.train_step, feed, layout)
    seen = []
    for start in range(0, steps, count):
        passed = (state, feed.at(start, count), keys)
        state, metrics = program(count, *passed)(*passed)
        seen.append(jax.device_get(metrics))
    feed.close()
    return jax.device_get(state), jax.tree.map(lambda *x: np.concatenate(x), *seen)


@pytest.mark.parametrize(
    ("kind", "devices"),
    [("resident", 1), ("streamed", 2), slow("resident", 2), slow("streamed", 1)],
)
def test_each_run_is_the_run_of_its_seed(kind, devices):
    # on the CPU they follow each other: the same operations, so the same bits
    state, metrics = train("dropout", range(RUNS), kind, devices)
    assert state.step.shape == ()
    assert metrics["generator/loss"].shape == (8, RUNS)
    for seed in (0, 3):
        alone, told = train("dropout", [seed], kind)
        same(multi_seed.split_states(state, RUNS)[seed], alone)
        same(jax.tree.map(lambda x, i=seed: x[:, i], metrics), told)


@pytest.mark.parametrize(("name", "loops"), [("dropout", True), ("small", False)])
def test_runs_without_convolutions_are_a_loop_on_a_cpu(name, loops):
    # written out, the temporary memory of all runs is allocated at once
    built, state = game(config(name))
    given = batches(config(name)), jax.random.split(jax.random.key(0), 3)

    def call(state, passed, key):
        state, metrics = built.train_step(state, passed, key)
        return state, jax.tree.map(lambda x: x[None], metrics)

    several = multi_seed.vmap_seeds(call, (multi_seed.AXES, None, 0), True)
    program = jax.make_jaxpr(several)(multi_seed.stack_runs([state] * 3), *given)
    alone = jax.make_jaxpr(call)(state, given[0], given[1][0])
    assert contains(program, "scan") is loops
    products = [str(x).count("dot_general") for x in (program, alone)]
    assert products[0] == products[1] * (1 if loops else 3)


# Grouped convolutions take half a minute to compile.
@pytest.mark.parametrize("name", ["k", slow("batch_norm")])
def test_vmapped_runs_are_the_written_out_ones(name):
    # vmap groups matrix products and convolutions: sums in another order
    chosen = config(name)
    built, _ = game(chosen)
    states = [jit_once(built.init)(jax.random.key(i)) for i in range(3)]
    given = [batches(chosen, i) for i in range(3)]
    data = jax.tree.map(lambda *x: jnp.stack(x), *given)
    keys = jax.random.split(jax.random.key(0), 3)

    def call(state, passed, key):
        state, metrics = built.train_step(state, passed, key)
        return state, jax.tree.map(lambda x: x[None], metrics)

    done = [
        jax.jit(multi_seed.vmap_seeds(call, (multi_seed.AXES, 0, 0), unroll))(
            multi_seed.stack_runs(states), data, keys
        )
        for unroll in (True, False)
    ]
    chex.assert_trees_all_close(*done, atol=1e-5)


def test_a_run_that_diverges_stands_still_and_the_others_go_on():
    chosen = config("k")
    built, state = game(chosen)
    step = jax.jit(multi_seed.freeze_if_not_finite(built.train_step))
    good, bad = batches(chosen), jax.tree.map(lambda x: x * jnp.nan, batches(chosen))
    kept, metrics = step(state, bad, jax.random.key(0))
    assert not np.isfinite(metrics["discriminator/loss"])
    same(kept.replace(step=state.step), state)
    assert int(kept.step) == 1
    moved, _ = step(state, good, jax.random.key(0))
    same(moved, jax.jit(built.train_step)(state, good, jax.random.key(0))[0])


def test_one_takes_what_stack_put_there():
    states = [game(config("small"))[1] for _ in range(2)]
    states[1] = jax.tree.map(lambda x: x + 1, states[1]).replace(step=states[0].step)
    same(multi_seed.split_states(multi_seed.join_states(states), 2)[1], states[1])


def test_a_single_seed_has_no_axis():
    _, state = game(config("small"))
    assert multi_seed.seed_axis(1) is None
    assert multi_seed.join_states([state]) is state
    same(multi_seed.split_states(state, 1), [state])
    # a process may train one of two seeds, which has the axis
    part = multi_seed.join_seeds([np.zeros(3)], 2, np.stack)
    assert part.shape == (1, 3)


def test_each_seed_has_a_key_and_those_below_32_bits_that_of_jax():
    low = [0, 1, 7, 2**31 - 1, 2**31, 2**32 - 1]
    for seed in low:
        got = jax.random.key_data(multi_seed.key_of(seed))
        assert got.tolist() == [0, seed]  # as threefry2x32 has it
        same(got, jax.random.key_data(jax.random.key(seed)))
    high = [2**32, 2**32 + 1, 2**33, 2**63 - 1, 2**63 - 2**32]
    keys = {
        tuple(jax.random.key_data(multi_seed.key_of(x)).tolist()) for x in low + high
    }
    assert len(keys) == len(low) + len(high)
