"""Checks that a run fits into memory, before anything is compiled or written.

The first check is a lower bound: state, data set and largest gradient. If activations
may exceed the rest, the step is compiled from shapes for its exact memory.
"""

import dataclasses
import logging
import math
from collections.abc import Iterator
from typing import Any

import jax

from jaxgan.errors import UsageError
from jaxgan.experiment import memory
from jaxgan.experiment.experiment import Experiment
from jaxgan.experiment.memory import MemoryNeed, format_bytes
from jaxgan.experiment.setup import build_gan, layout_for

log = logging.getLogger("jaxgan")

COPIES = {"dense": 10, "convolution": 0.75}
"""Maximum copies of a layer's activations: real and fake, forward and backward.

For convolutions they are relative to the full resolution, which only a few have. With
this factor the estimate for `default` is 30 MiB, and XLA plans 27 MiB."""

Change = dict[str, Any]
"""Flags and their new values."""


def fit_memory(experiment: Experiment) -> Experiment:
    """Checks that an experiment fits into memory.

    Returns:
      The experiment. With `--input=auto` the data set is streamed if only this fits.

    Raises:
      UsageError: naming flags with which the run fits, if it does not.
    """
    free = memory.free_bytes(experiment.layout.devices)
    # Several processes must not differ in their input.
    need, alone = _need(experiment), experiment.layout.processes == 1
    streamed = need.total - need.data
    if need.total > free >= streamed and alone and experiment.config.input == "auto":
        # It fits only without the data set on the devices.
        log.info("streaming the data set: %s of memory are free", format_bytes(free))
        experiment = dataclasses.replace(experiment, resident=False)
        need = _need(experiment)
    if need.total > free:
        data = f" and {format_bytes(need.data)} for the data set" if need.data else ""
        raise UsageError(
            f"the run takes at least {format_bytes(need.total)} of memory "
            f"({format_bytes(need.state)} for networks and optimizers{data}), "
            f"and {format_bytes(free)} are free: {_advice(experiment, free)}"
        )
    # Compile the step only if activations may matter.
    if may_be_short(experiment, need, free):
        check_step(experiment, free)
    return experiment


def _need(experiment: Experiment) -> MemoryNeed:
    """Returns the lower bound of an experiment."""
    return memory.required_memory(
        experiment.state_shapes(),
        experiment.layout,
        experiment.dataset.nbytes if experiment.resident else 0,
    )


def _advice(experiment: Experiment, free: float) -> str:
    """Returns a remedy: the first flags with which the run fits."""
    for change in changes(experiment):
        if _fits(experiment, change, free):
            flags = " ".join(_flag(name, value) for name, value in change.items())
            return f"use {flags}"
    return "use a machine with more memory"


def _flag(name: str, value: Any) -> str:
    """Formats a flag, quoted for a shell."""
    if value is True:
        return f"--{name}"
    # A shell needs quotes around parentheses.
    return f"--{name}='{value}'" if "(" in str(value) else f"--{name}={value}"


def changes(experiment: Experiment) -> Iterator[Change]:
    """Yields flags that reduce the memory, from the smallest change of the run on."""
    config, several = experiment.config, len(experiment.layout.devices) > 1
    # The same networks, with less on each device.
    single: list[Change] = []
    if experiment.resident:
        single.append({"input": "host"})
    if config.runs > 1:
        single.append({"runs": 1})
    elif several and memory.copies_of(experiment.layout) > 1:
        single.append({"devices": 1})
    elif several and not config.shard_state:
        single.append({"shard_state": True})
    yield from single
    # Default sizes of the same networks, small networks, then all changes together.
    family = config.networks.partition("(")[0]
    small = (
        "small(16)" if len(experiment.dataset.shape) == 3 else "mlp((64, 64), (64, 64))"
    )
    for networks in (family, small):
        yield {"networks": networks}
    combined = {name: value for change in single for name, value in change.items()}
    yield combined | {"networks": small}


def _fits(experiment: Experiment, change: Change, free: float) -> bool:
    """Returns True if the lower bound is below `free` with these flags."""
    # The experiment with these flags, as far as the bound needs it.
    config = dataclasses.replace(experiment.config, **change)
    devices = experiment.layout.devices
    devices = devices[:1] if change.get("devices") == 1 else devices
    try:
        layout = layout_for(config, devices)
        gan = build_gan(config, experiment.dataset.example, layout)
    except UsageError:  # such as a wrapper that the smaller network does not have
        return False
    resident = experiment.resident and config.input != "host"
    changed = dataclasses.replace(
        experiment, config=config, layout=layout, gan=gan, resident=resident
    )
    return _need(changed).total <= free


def may_be_short(experiment: Experiment, need: MemoryNeed, free: float) -> bool:
    """Returns True if activations could exceed the memory left by the lower bound.

    Only then is the step compiled, as training compiles it again. Several processes
    never do so here, since each knows only its own memory.
    """
    return (
        experiment.layout.processes == 1
        # The factor 4 is a wide margin over the lower bound.
        and 4 * need.total + activations(experiment) > free
    )


def activations(experiment: Experiment) -> float:
    """Returns a rough bound of the activations of a batch in bytes.

    It assumes float32 and depends on the widths of the layers only.
    """
    config, shape = experiment.config, experiment.dataset.shape
    pixels = math.prod(shape[:-1])  # 1 for vectors
    per_example = 0.0
    one = jax.eval_shape(experiment.gan.init, jax.random.key(0))
    for kernel in jax.tree.leaves(one.params):
        dims = kernel.shape
        if len(dims) == 2:
            # Dense: a value per output feature.
            per_example += COPIES["dense"] * dims[-1]
        elif len(dims) > 2:
            # Convolution: the output features at each pixel.
            per_example += COPIES["convolution"] * dims[-1] * pixels
    # 4 bytes per value.
    return 4 * config.batch_size * config.runs * per_example


def check_step(experiment: Experiment, free: float) -> None:
    """Compiles the step from shapes, and compares its memory with the free memory.

    Args:
      experiment: the experiment.
      free: free memory in bytes.

    Raises:
      UsageError: if it does not fit, with a batch size that fits if there is one.
    """
    needed = step_bytes(experiment)
    if needed <= free:
        return
    config, layout = experiment.config, experiment.layout
    # A batch must be a multiple of this.
    multiple = config.accumulate * layout.parts
    batch = config.batch_size
    advice = "use smaller --networks"
    # Halve the batch until it fits, in multiples of devices and micro-batches.
    while (batch := batch // 2 // multiple * multiple) > 0:
        smaller = dataclasses.replace(config, batch_size=batch)
        gan = build_gan(smaller, experiment.dataset.example, layout)
        changed = dataclasses.replace(experiment, config=smaller, gan=gan)
        if step_bytes(changed) <= free:
            advice = f"use --batch_size={batch}"
            break
    raise UsageError(
        f"a step of --batch_size={config.batch_size} takes {format_bytes(needed)} of "
        f"memory, and {format_bytes(free)} are free: {advice}"
    )


def step_bytes(experiment: Experiment) -> float:
    """Returns the bytes of the compiled step, in the memory of `memory.free_bytes`.

    Returns infinity if the compiler runs out of memory, and 0 if the bytes are unknown.
    """
    count, layout = experiment.steps_per_call, experiment.layout
    state, key, feed, batches = experiment.argument_shapes(count)
    try:
        # Arguments are shapes, so that nothing is allocated.
        jitted = layout.strategy.jit(experiment.train_step, feed, layout, count, state)
        analysis = jitted.lower(state, batches, key).compile().memory_analysis()
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not memory.is_out_of_memory(error):
            raise
        return math.inf
    finally:
        feed.close()
    if analysis is None:
        return 0
    # Donated arguments and the outputs that replace them share their memory.
    new = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    total = analysis.argument_size_in_bytes + new + analysis.temp_size_in_bytes
    return total * memory.copies_of(layout)
