"""Refuses a run that does not fit into memory, before anything is compiled or written.

A lower bound comes first: state, data set and the largest gradient. Only where the
activations of a batch may matter is the step compiled, from shapes, for exact figures.
"""

import dataclasses
import logging
import math
from collections.abc import Iterator
from typing import Any

import jax

from jaxgan import parallel
from jaxgan.errors import UsageError
from jaxgan.experiment import input_pipeline, memory
from jaxgan.experiment.memory import MemoryNeed, format_bytes
from jaxgan.experiment.setup import Experiment, build_gan, state_shapes

log = logging.getLogger("jaxgan")

COPIES = {"dense": 10, "convolution": 0.75}
"""Copies of the activations of a layer in memory at most: real and fake, forward and
backward. Convolutions are taken at full resolution, which only a few have; with this
factor `default` (27 MiB planned) comes to 30 MiB."""

Change = dict[str, Any]
"""Flags and their new values."""


def fit_memory(plan: Experiment) -> Experiment:
    """Returns the plan; its data set is streamed where `auto` would take too much.

    Raises:
      UsageError: naming flags with which the run fits, if it does not.
    """
    free = memory.free_bytes(plan.layout.devices)
    need, alone = _need(plan), plan.layout.processes == 1
    streamed = need.total - need.data
    if need.total > free >= streamed and alone and plan.config.input == "auto":
        log.info("the data set is streamed: %s of memory are free", format_bytes(free))
        plan = plan._replace(resident=False)
        need = _need(plan)
    if need.total > free:
        data = f" and {format_bytes(need.data)} for the data set" if need.data else ""
        raise UsageError(
            f"the run takes at least {format_bytes(need.total)} of memory "
            f"({format_bytes(need.state)} for networks and optimizers{data}), "
            f"and {format_bytes(free)} are free: {_advice(plan, free)}"
        )
    if may_be_short(plan, need, free):
        check_step(plan, free)
    return plan


def _need(plan: Experiment) -> MemoryNeed:
    return memory.required_memory(
        state_shapes(plan), plan.layout, plan.dataset.nbytes if plan.resident else 0
    )


def _advice(plan: Experiment, free: float) -> str:
    for change in changes(plan):
        if _fits(plan, change, free):
            flags = " ".join(_flag(name, value) for name, value in change.items())
            return f"use {flags}"
    return "use a machine with more memory"


def _flag(name: str, value: Any) -> str:
    if value is True:
        return f"--{name}"
    return f"--{name}='{value}'" if "(" in str(value) else f"--{name}={value}"


def changes(plan: Experiment) -> Iterator[Change]:
    """Yields flags that take less memory, those that change the run least first."""
    config, several = plan.config, len(plan.layout.devices) > 1
    single: list[Change] = []
    if plan.resident:
        single.append({"input": "host"})
    if config.runs > 1:
        single.append({"runs": 1})
    elif several and memory.copies_of(plan.layout) > 1:
        single.append({"devices": 1})
    elif several and not config.shard_state:
        single.append({"shard_state": True})
    yield from single
    family = config.networks.partition("(")[0]
    small = "small(16)" if len(plan.dataset.shape) == 3 else "mlp((64, 64), (64, 64))"
    for networks in (family, small):
        yield {"networks": networks}
    joined = {name: value for change in single for name, value in change.items()}
    yield joined | {"networks": small}


def _fits(plan: Experiment, change: Change, free: float) -> bool:
    """Returns True if the lower bound is below `free` with these flags."""
    config = dataclasses.replace(plan.config, **change)
    devices = plan.layout.devices
    devices = devices[:1] if change.get("devices") == 1 else devices
    try:
        layout = parallel.layout_of(
            devices,
            parallel=config.parallel,
            shard_state=config.shard_state,
            runs=config.runs,
        )
        facts = plan.dataset.shape, len(plan.dataset.classes)
        game = build_gan(config, *facts, layout)
    except UsageError:  # such as a wrapper that the smaller network does not have
        return False
    changed = plan._replace(config=config, layout=layout, game=game)
    changed = changed._replace(resident=plan.resident and config.input != "host")
    return _need(changed).total <= free


def may_be_short(plan: Experiment, need: MemoryNeed, free: float) -> bool:
    """Returns True if activations could exceed what the lower bound leaves.

    Compiling twice is for these cases only; of several processes each knows its own.
    """
    return plan.layout.processes == 1 and 4 * need.total + activations(plan) > free


def activations(plan: Experiment) -> float:
    """A rough bound, in bytes, from the widths of the layers."""
    config, shape = plan.config, plan.dataset.shape
    pixels = math.prod(shape[:-1])  # 1 for vectors
    each = 0.0
    for kernel in jax.tree.leaves(state_shapes(plan).params):
        dims = kernel.shape[config.runs > 1 :]
        if len(dims) == 2:
            each += COPIES["dense"] * dims[-1]
        elif len(dims) > 2:
            each += COPIES["convolution"] * dims[-1] * pixels
    return 4 * config.batch_size * config.runs * each


def check_step(plan: Experiment, free: float) -> None:
    """Compiles the step from shapes, and compares what it takes with what is free.

    Raises:
      UsageError: with a batch size that fits, if there is one.
    """
    needed = step_bytes(plan)
    if needed <= free:
        return
    config, layout = plan.config, plan.layout
    whole = config.accumulate * layout.parts
    batch = config.batch_size
    advice = "use smaller --networks"
    while (batch := batch // 2 // whole * whole) > 0:
        smaller = dataclasses.replace(config, batch_size=batch)
        changed = plan._replace(config=smaller)
        game = build_gan(smaller, plan.dataset.shape, len(plan.dataset.classes), layout)
        if step_bytes(changed._replace(game=game)) <= free:
            advice = f"use --batch_size={batch}"
            break
    raise UsageError(
        f"a step of --batch_size={config.batch_size} takes {format_bytes(needed)} of "
        f"memory, and {format_bytes(free)} are free: {advice}"
    )


def step_bytes(plan: Experiment) -> float:
    """The memory that the compiled step takes, where `memory.free_bytes` counts it.

    A compiler that runs out of memory needs more than there is.
    """
    state, key, feed, passed = input_pipeline.argument_shapes(plan, plan.steps_per_call)
    step, count = input_pipeline.make_train_step(plan), plan.steps_per_call
    try:
        given = (state, passed, key)
        lowered = parallel.lower(step, feed, plan.layout, count, *given)
        found = lowered.compile().memory_analysis()
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not memory.is_out_of_memory(error):
            raise
        return math.inf
    finally:
        feed.close()
    if found is None:
        return 0
    new = found.output_size_in_bytes - found.alias_size_in_bytes
    whole = found.argument_size_in_bytes + new + found.temp_size_in_bytes
    return whole * memory.copies_of(plan.layout)
