"""Training steps of jaxgan: the compiled program that `jaxgan.train` runs.

Switches of a variant, joined by `+`: `float32` or `mixed` (bfloat16), `highest` (no
TF32 on GPUs), `all` (all devices instead of one), `joined` (the discriminator is called
once for real examples and samples), and a number of steps per call, as in `mixed+50`.
"""

import time
from typing import Any

import jax
import numpy as np
from step_forms import joined

from jaxgan import data, parallel
from jaxgan.config.resolve import make_config
from jaxgan.config.training import Config
from jaxgan.data.text import END, tokens_example
from jaxgan.experiment.setup import build_gan
from jaxgan.gan import objective
from jaxgan.training.loop import CALLS_AHEAD
from jaxgan.types import ExampleSpec, Field, TrainState, image_example
from peers import protocol
from peers.protocol import Contestant

SIZE = 4_096
"""Default number of examples."""
RATE = 16_000
"""Samples per second of waveforms."""


def feed_of(
    config: Config,
    shape: tuple[int, ...],
    layout: parallel.Layout,
    size: int = SIZE,
) -> parallel.Feed:
    """Returns a feed of random examples that are on the devices."""
    example = example_of(config, shape)
    return parallel.resident(
        random_examples(example, size),
        lambda epoch: data.epoch_order(0, epoch, size),
        updates=config.d_updates,
        batch=config.batch_size,
        layout=layout,
    )


def random_examples(example: ExampleSpec, size: int) -> dict[str, np.ndarray]:
    """Returns random arrays `[size, ...]` of the fields of an example."""
    rng = np.random.default_rng(0)

    def draw(field: Field) -> np.ndarray:
        shape = (size, *field.shape)
        if field.kind in ("label", "tokens"):
            return rng.integers(0, len(field.names), shape, np.int32)
        if field.kind == "waveform":
            return rng.integers(-(2**15), 2**15, shape, np.int16)
        if len(field.shape) == 3:
            return rng.integers(0, 256, shape, np.uint8)
        return rng.normal(size=shape).astype(np.float32)

    return {name: draw(field) for name, field in example.items()}


def example_of(config: Config, shape: tuple[int, ...]) -> ExampleSpec:
    """Returns the fields of the examples: also a source for tasks with pairs.

    A shape of two numbers is one of texts, tokens and size of the vocabulary, or of
    waveforms, samples and channels.
    """
    if config.task.startswith("text"):
        return tokens_example(shape[0], (END, *map(str, range(1, shape[1]))))
    example = image_example(shape, classes=10)
    if len(shape) == 2:
        sound = Field(shape, np.dtype(np.int16), "waveform", rate=RATE)
        return ExampleSpec(waveform=sound, label=example["label"])
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
    if "joined" in switches:
        objective.judge = joined
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
