"""Training steps of jaxgan: the compiled program that `jaxgan.train` runs.

Switches of a variant, joined by `+`: `float32` or `mixed` (bfloat16), `highest` (no
TF32 on GPUs), `all` (all devices instead of one), and a number of steps per call, as in
`mixed+50`.
"""

import time
from typing import Any

import jax
import numpy as np

from jaxgan import data, parallel
from jaxgan.config.resolve import make_config
from jaxgan.config.training import Config
from jaxgan.experiment.setup import build_gan
from jaxgan.training.loop import CALLS_AHEAD
from jaxgan.types import ExampleSpec, TrainState, image_example
from peers import protocol
from peers.protocol import Contestant

SIZE = 4_096
"""Default number of examples."""


def feed_of(
    config: Config,
    shape: tuple[int, ...],
    layout: parallel.Layout,
    size: int = SIZE,
) -> parallel.Feed:
    """Returns a feed of random images or points that are on the devices."""
    rng = np.random.default_rng(0)
    if len(shape) == 3:
        names = [name for name in example_of(config, shape) if name != "label"]
        arrays = {x: rng.integers(0, 256, (size, *shape), np.uint8) for x in names}
    else:
        arrays = {"image": rng.normal(size=(size, *shape)).astype(np.float32)}
    arrays["label"] = rng.integers(0, 10, size, np.int32)
    return parallel.resident(
        arrays,
        lambda epoch: data.epoch_order(0, epoch, size),
        updates=config.d_updates,
        batch=config.batch_size,
        layout=layout,
    )


def example_of(config: Config, shape: tuple[int, ...]) -> ExampleSpec:
    """Returns the fields of the examples: also a source for tasks with pairs."""
    example = image_example(shape, classes=10)
    if config.task.startswith(("paired", "unpaired")):
        example["source"] = example["image"]
    return example


def config_of(job: dict[str, Any]) -> Config:
    """Returns the config of a job."""
    switches = job.get("variant", "float32").split("+")
    precision = {"precision": "mixed"} if "mixed" in switches else {}
    counts = [int(switch) for switch in switches if switch.isdigit()]
    return make_config(
        preset=job["preset"],
        batch_size=job["batch_size"],
        steps_per_call=counts[0] if counts else job.get("steps_per_call", 0),
        **precision,
        **job.get("flags", {}),
    )


def program_of(
    config: Config, shape: tuple[int, ...], size: int, layout: parallel.Layout
) -> tuple[Any, parallel.Feed, int, Any]:
    """Returns the GAN, its feed, the steps per call and get(count, *arguments)."""
    gan = build_gan(config, example_of(config, shape), layout)
    feed = feed_of(config, shape, layout, size)
    default = parallel.default_steps_per_call(layout.devices)
    per_epoch = data.steps_per_epoch(size, config.d_updates, config.batch_size)
    count = config.steps_per_call or min(default, per_epoch)

    def step(state, batches, key):
        return gan.train_step(state, batches, key)

    return gan, feed, count, parallel.make_compiler(step, feed, layout)


def counts(state: TrainState) -> dict[str, int]:
    """Returns the number of parameters of each player."""
    sizes = (sum(x.size for x in jax.tree.leaves(params)) for params in state.params)
    return dict(zip(state.params._fields, sizes, strict=True))


def build(job: dict[str, Any]) -> Contestant:
    """Compiles the program of a job for one device, or for all."""
    switches = job["variant"].split("+")
    highest = "highest" in switches
    if highest:
        jax.config.update("jax_default_matmul_precision", "highest")
    config, shape = config_of(job), tuple(job["shape"])
    layout = parallel.layout_of(parallel.choose_devices(0 if "all" in switches else 1))
    gan, feed, count, programs = program_of(config, shape, job["examples"], layout)
    key = jax.random.key(0)
    state = parallel.place(jax.jit(gan.init)(key), layout)
    parameters = counts(state)
    began = time.perf_counter()
    program = programs(count, state, feed.at(0, count), key)
    taken = time.perf_counter() - began
    now = [state, 0]

    def run(steps):
        calls = -(-steps // count)
        pending = []
        for _ in range(calls):
            now[0], metrics = program(now[0], feed.at(now[1], count), key)
            now[1] += count
            pending.append(metrics)
            # Like in training: with more steps ahead, several CPU devices may block.
            if len(pending) > CALLS_AHEAD:
                jax.block_until_ready(pending.pop(0))
        jax.block_until_ready((now[0], pending))
        return calls * count

    gpu = layout.devices[0].platform == "gpu"
    whole = "tf32" if gpu and not highest else "float32"
    return Contestant(
        run,
        memory,
        {
            "parameters": parameters,
            "compile_seconds": taken,
            "steps_per_call": count,
            "arithmetic": "bfloat16" if config.precision == "mixed" else whole,
            "device": parallel.describe_devices(layout.devices),
            "versions": versions(),
        },
    )


def memory() -> int:
    """Returns the peak bytes of the allocator, or of the process on a CPU."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use") or protocol.peak_rss()


def versions() -> dict[str, str]:
    """Returns the versions of the packages that the step uses."""
    import flax
    import optax

    return {m.__name__: m.__version__ for m in (jax, flax, optax)}


if __name__ == "__main__":
    protocol.serve(build)
