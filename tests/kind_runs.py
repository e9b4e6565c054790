"""Tiny runs of the toys of `kinds`, and of others in its table."""

import chex
import jax
import kinds
import numpy as np
import orbax.checkpoint as ocp
from PIL import Image

from jaxgan import parallel
from jaxgan.gan import builder
from jaxgan.networks.ops.platform import jit_once

KEY = jax.random.key(0)


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
        wrap_gradient=layout.strategy.wrap_gradient(layout),
    )
    feed = parallel.resident(
        kinds.examples(name), order, updates=1, batch=8, layout=layout
    )
    traced_once = chex.assert_max_traces(built.train_step, n=1)
    chex.clear_trace_counter()
    program = parallel.make_compiler(traced_once, feed, layout)
    state = parallel.place(jit_once(built.init)(KEY), layout)
    seen = []
    for start in range(steps):
        passed = (state, feed.at(start, 1), KEY)
        state, metrics = program(1, *passed)(*passed)
        seen.append(jax.device_get(metrics))
    return jax.device_get((state, jax.tree.map(lambda *x: np.concatenate(x), *seen)))


def close(a, b, atol=2e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=atol), a, b)


def train_flags(name, folder, steps, **other):
    """The command line of a tiny run."""
    own = {"steps": steps, "log_every": 2, "save_every": 2, "sample_every": 4}
    own |= {"samples": 4, "score_samples": 16, "steps_per_call": 2, "devices": 1}
    both = kinds.flags(name, workdir=folder, **(own | other))
    return [f"--{flag}={value}" for flag, value in both.items()]


def final_state(folder, step):
    """The arrays of a checkpoint, by path."""
    with ocp.PyTreeCheckpointer() as reader:
        path = folder / f"checkpoints/{step}/state"
        numpy = ocp.RestoreArgs(restore_type=np.ndarray)
        tree = reader.metadata(path).item_metadata.tree
        args = jax.tree.map(lambda _: numpy, tree)
        return reader.restore(path, restore_args=args)


def last_picture(folder):
    """The pixels of the newest preview."""
    newest = max((folder / "samples").glob("*.png"))
    with Image.open(newest) as picture:
        return np.asarray(picture)
