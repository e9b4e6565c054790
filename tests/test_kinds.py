"""Toys of the kinds of GANs to come, all through the one step."""

import chex
import jax
import kinds
import numpy as np
import pytest
from games import same

from jaxgan import parallel
from jaxgan.gan import builder

KEY = jax.random.key(0)
NAMES = list(kinds.KINDS)


def order(epoch):
    return np.random.default_rng(epoch).permutation(kinds.SIZE).astype(np.int32)


def run(name, devices=1, steps=4, way="auto", split=False, **other):
    """The last state and all metrics of a few steps, four of a pool of 12 and 8 new."""
    chosen = kinds.config(name, **other)
    layout = parallel.layout_of(
        parallel.choose_devices(devices), parallel=way, shard_state=split
    )
    built = builder.build_gan(
        chosen,
        kinds.KINDS[name].example,
        axis=layout.axis,
        devices=layout.parts,
        unroll=layout.unroll,
        wrap_gradient=parallel.shard_gradient(layout),
    )
    feed = parallel.resident(
        kinds.examples(name), order, updates=1, batch=8, layout=layout
    )
    traced_once = chex.assert_max_traces(built.train_step, n=1)
    chex.clear_trace_counter()
    program = parallel.make_compiler(traced_once, feed, layout)
    state = parallel.place(jax.jit(built.init)(KEY), layout)
    seen = []
    for start in range(steps):
        passed = (state, feed.at(start, 1), KEY)
        state, metrics = program(1, *passed)(*passed)
        seen.append(jax.device_get(metrics))
    return jax.device_get((state, jax.tree.map(lambda *x: np.concatenate(x), *seen)))


def close(a, b, atol=2e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=atol), a, b)


@pytest.mark.parametrize("name", NAMES)
def test_one_two_and_eight_devices_compute_the_same(name):
    one, mesh = run(name), run(name, 2, way="mesh")
    assert all(np.isfinite(x).all() for x in one[1].values())
    close(one, mesh)
    close(one, run(name, 8))
    same(mesh, run(name, 2, way="pmap"))


@pytest.mark.parametrize("name", ["domains", "noise"])
def test_a_state_in_shards_trains_the_same(name):
    close(run(name), run(name, 4, split=True))


@pytest.mark.parametrize("name", ["domains", "encoder", "noise"])
def test_micro_batches_draw_the_same_noise_and_fill_the_same_pool(name):
    # all terms are means over examples
    close(run(name), run(name, accumulate=2))
    close(run(name), run(name, 2, accumulate=2))
