"""One device and several compute the same."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import TINY, config, game, images

from jaxgan import parallel
from jaxgan.core import UsageError

KEY = jax.random.key(0)
SIZE = 50


def order(epoch):
    return np.random.default_rng(epoch).permutation(SIZE).astype(np.int32)


def feed_of(kind, chosen, devices):
    """The same batches, from the devices or from the host."""
    arrays = {"image": images(SIZE)}
    k, b = chosen.d_updates, chosen.batch_size
    if kind == "resident":
        return parallel.resident(arrays, order, updates=k, batch=b, devices=devices)

    def stream():
        per_epoch = SIZE // (k * b)
        for step in range(1_000):
            numbers = order(step // per_epoch)[step % per_epoch * k * b :][: k * b]
            yield {"image": arrays["image"][numbers].reshape(k, b, 8, 8, 1)}

    return parallel.streamed(stream(), devices=devices)


def run(name, kind="resident", devices=1, count=1, steps=4, **other):
    chosen = config(name, **other)
    built, state = game(chosen, devices)
    chosen_devices = parallel.pick(devices)
    feed = feed_of(kind, chosen, chosen_devices)
    chex.clear_trace_counter()
    traced_once = chex.assert_max_traces(built.step, n=1)
    program = parallel.compiled(traced_once, feed, chosen_devices)
    state = parallel.replicate(state, chosen_devices)
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


@pytest.mark.parametrize("name", TINY)
def test_two_devices_compute_what_one_computes(name):
    # SGD, so that a wrong scale of the gradient cannot hide; only sums differ in order
    close(run(name), run(name, devices=2), 2e-5)


def test_eight_devices_too():
    close(run("batch_norm"), run("batch_norm", devices=8), 2e-5)


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
    devices = parallel.pick(1)
    feed = parallel.resident(arrays, order, updates=2, batch=8, devices=devices)
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
    assert len(parallel.pick(0)) == len(parallel.pick(8)) == 8
    assert len(parallel.pick(3)) == 3
    with pytest.raises(UsageError, match="--devices=9: there are 8"):
        parallel.pick(9)
    with pytest.raises(UsageError, match="--devices=-1"):
        parallel.pick(-1)


def test_a_missed_accelerator_is_found_only_when_nobody_asked_for_the_cpu(monkeypatch):
    class Found:
        metadata = {"Name": "jax-cuda13-plugin"}  # noqa: RUF012

    monkeypatch.setattr("importlib.metadata.distributions", lambda: [Found()])
    assert parallel.missed_accelerator("cpu") is None  # JAX_PLATFORMS=cpu
    monkeypatch.delenv("JAX_PLATFORMS")
    assert parallel.missed_accelerator("cpu") == "jax-cuda13-plugin"
    assert parallel.missed_accelerator("gpu") is None
