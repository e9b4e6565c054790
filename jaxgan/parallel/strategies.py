"""The strategies: one train step, compiled for any number of devices."""

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.gan.train_step import unwrapped
from jaxgan.parallel.feed import Feed
from jaxgan.parallel.layout import AXIS, Layout, Strategy, spec
from jaxgan.parallel.multi_seed import AXES, freeze_if_not_finite, vmap_seeds
from jaxgan.parallel.placement import (
    init_and_place,
    init_in_place,
    replicated,
    sharded,
    split_by_seed,
)
from jaxgan.parallel.topology import order_devices
from jaxgan.performance.profiling.utilization import step_flops
from jaxgan.types import Device, Players, Tree

log = logging.getLogger("jaxgan")


def make_compiler(
    step: Callable,
    feed: Feed,
    layout: Layout,
    on_compiled: Callable[[float], None] = lambda flops: None,
) -> Callable:
    """Returns get(count, *arguments) -> the compiled program of `count` steps.

    Each program is compiled when it is first needed, and then cached.

    Args:
      step: (state, batches, key) -> (state, metrics).
      feed: the source of the batches.
      layout: the devices and the strategy.
      on_compiled: called with the FLOPs of a step on a device, see `step_flops`.
    """
    programs: dict[int, Any] = {}

    def get(count, *arguments):
        if count not in programs:
            started = time.monotonic()
            state = arguments[0]
            jitted = layout.strategy.jit(step, feed, layout, count, state)
            lowered, jaxpr = _lower(jitted, arguments, layout)
            programs[count] = lowered.compile()
            seconds = time.monotonic() - started
            log.info("compiled %d step(s) per call in %.1f s", count, seconds)
            on_compiled(step_flops(jaxpr, programs[count], count))
        return programs[count]

    return get


def _lower(jitted: Any, arguments: Sequence[Any], layout: Layout) -> tuple[Any, Any]:
    """Returns the lowered program and its jaxpr, None if that takes another trace."""
    if hasattr(jitted, "trace"):
        traced = jitted.trace(*arguments)
        return traced.lower(), traced.jaxpr
    # A `pmap`. The compilers of accelerators count no loops, and take much longer.
    on_cpu = layout.devices[0].platform == "cpu"
    jaxpr = None if on_cpu else jax.make_jaxpr(jitted)(*arguments)
    return jitted.lower(*arguments), jaxpr


def many_steps(step: Callable, feed: Feed, count: int) -> Callable:
    """Returns call(state, passed, key) -> (state, metrics `[count]`).

    The strategies below differ only in how they compile this function.
    """

    def call(state, passed, key):
        def body(state, i):
            return step(state, feed.select(passed, state.step, i), key)

        steps = jnp.arange(count)
        if count > 1:
            return jax.lax.scan(body, state, steps)
        # A single step needs no loop, in which XLA for CPU is slow.
        state, metrics = step(state, feed.select(passed, state.step, steps[0]), key)
        return state, jax.tree.map(lambda x: jnp.stack([x]), metrics)

    return call


def jit_single_device(
    step: Callable, feed: Feed, layout: Layout, count: int, _: Tree
) -> Any:
    """Runs on a single device, with `jax.jit`."""
    del layout
    # Donating the state lets XLA update it in place.
    return jax.jit(many_steps(step, feed, count), donate_argnums=0)


def pmap_data_parallel(
    step: Callable, feed: Feed, layout: Layout, count: int, _: Tree
) -> Any:
    """Splits the batch over the devices of one process, with `jax.pmap`."""
    return jax.pmap(
        many_steps(step, feed, count),
        axis_name=AXIS,
        # The state has no device axis: it is replicated, and one copy is returned.
        in_axes=(None, feed.axis, None),
        out_axes=None,
        devices=layout.devices,
        donate_argnums=0,
    )


def shard_map_data_parallel(
    step: Callable, feed: Feed, layout: Layout, count: int, _: Tree
) -> Any:
    """Splits the batch over the devices of all processes, with `jax.shard_map`."""
    call = many_steps(step, feed, count)

    def on_device(state, passed, key):
        # `shard_map` keeps the device axis, with size 1. `pmap` removes it.
        part = jax.tree.map(_squeeze, feed.axis, passed, is_leaf=_is_none)
        return call(state, part, key)

    axes = (None, feed.axis, None)
    mapped = jax.shard_map(
        on_device,
        mesh=layout.mesh,
        in_specs=jax.tree.map(spec, axes, is_leaf=_is_none),
        # The state and the metrics are equal on all devices.
        out_specs=(spec(None), spec(None)),
        check_vma=False,  # like in `pmap`, the step averages the gradients itself
    )
    return jax.jit(mapped, donate_argnums=0)


def _squeeze(axis: int | None, subtree: Tree) -> Tree:
    """Removes an axis of size 1 from all arrays, if there is one."""
    if axis is None:
        return subtree
    return jax.tree.map(lambda x: jnp.squeeze(x, axis), subtree)


def zero_sharded(
    step: Callable, feed: Feed, layout: Layout, count: int, state: Tree
) -> Any:
    """Splits the batch and the state over the devices, with `jax.jit`.

    XLA partitions the optimizer and the moving average by the shardings given here. The
    gradients are computed by `shard_map`, see `shard_gradient`.
    """
    constrain = jax.lax.with_sharding_constraint

    def constrained(state, batches, key):
        # Axis 1 of the batches `[k, B, ...]` is split.
        state, metrics = step(state, constrain(batches, layout.spread(1)), key)
        # Otherwise XLA could replicate the state between the steps of a loop.
        return constrain(state, sharded(state, layout)), metrics

    everywhere, of_state = layout.spread(None), sharded(state, layout)
    return jax.jit(
        many_steps(constrained, feed, count),
        donate_argnums=0,
        in_shardings=(of_state, layout.spread(feed.axis), everywhere),
        out_shardings=(of_state, everywhere),
    )


def shard_gradient(layout: Layout) -> Callable[[Callable], Callable]:
    """Returns a wrapper for the gradient functions of a step with a sharded state.

    Within a gradient function each device has all parameters and its part of the batch.
    The optimizer state and the moving average are never gathered: this is the memory
    that ZeRO (Rajbhandari et al., 2019, https://arxiv.org/abs/1910.02054) saves.
    """

    def wrap(gradient):
        def sharded_gradient(player, state, batch, key):
            call = jax.shard_map(
                functools.partial(gradient, player),
                mesh=layout.mesh,
                # State, batch, key: only the batch is split.
                in_specs=(spec(None), spec(0), spec(None)),
                out_specs=spec(None),
                check_vma=False,
            )
            # Leave out what would otherwise be replicated to each device.
            needed = state.replace(opt_state=Players(None, None), ema=None)
            return call(needed, batch, key)

        return sharded_gradient

    return wrap


def plain_gradient(layout: Layout) -> Callable[[Callable], Callable]:
    """Returns a wrapper that changes nothing."""
    del layout
    return unwrapped


def seed_parallel(
    step: Callable, feed: Feed, layout: Layout, count: int, _: Tree
) -> Any:
    """Trains several runs at once, each whole on one device.

    Devices do not communicate, so that none waits for another. A run that diverges is
    frozen.
    """
    step = freeze_if_not_finite(step)
    # Each run has its own state and key, and may have its own order of the data.
    axes = (AXES, feed.runs, 0)
    call = vmap_seeds(many_steps(step, feed, count), axes, on_cpu=layout.unroll)
    if len(layout.devices) == 1:
        return jax.jit(call, donate_argnums=0)
    # Each device receives some of the runs.
    mapped = jax.shard_map(
        call,
        mesh=layout.mesh,
        in_specs=jax.tree.map(spec, axes, is_leaf=_is_none),
        # Metrics are `[count, runs]`.
        out_specs=(jax.tree.map(spec, AXES, is_leaf=_is_none), spec(1)),
        check_vma=False,
    )
    return jax.jit(mapped, donate_argnums=0)


def _is_none(x: Any) -> bool:
    """Returns True for None, which `jax.tree.map` would not treat as a leaf."""
    return x is None


STRATEGIES = {
    strategy.name: strategy
    for strategy in (
        # A single device.
        Strategy(
            "one",
            description="one device",
            jit=jit_single_device,
            state_sharding=replicated,
            init=init_and_place,
            wrap_gradient=plain_gradient,
            shares_batch=False,
            splits_batch=False,
            batch_axis=None,
            steps_axis=0,
            freezes=False,
        ),
        # A part of the batch on each device, and the same state on all.
        Strategy(
            "pmap",
            description="pmap",
            jit=pmap_data_parallel,
            state_sharding=replicated,
            init=init_and_place,
            wrap_gradient=plain_gradient,
            shares_batch=True,
            splits_batch=True,
            batch_axis=2,  # behind [count, k]
            steps_axis=0,
            freezes=False,
        ),
        # The same, also for several processes.
        Strategy(
            "mesh",
            description="mesh",
            jit=shard_map_data_parallel,
            state_sharding=replicated,
            init=init_and_place,
            wrap_gradient=plain_gradient,
            shares_batch=True,
            splits_batch=True,
            batch_axis=2,
            steps_axis=0,
            freezes=False,
        ),
        # A part of the batch and a part of the state on each device.
        Strategy(
            "shards",
            description="mesh, optimizer state sharded",
            jit=zero_sharded,
            state_sharding=sharded,
            init=init_in_place,
            wrap_gradient=shard_gradient,
            shares_batch=True,
            splits_batch=False,  # XLA splits it within the step
            batch_axis=2,
            steps_axis=0,
            freezes=False,
        ),
        # Whole runs on each device.
        Strategy(
            "runs",
            description="runs",
            jit=seed_parallel,
            state_sharding=split_by_seed,
            init=init_and_place,
            wrap_gradient=plain_gradient,
            shares_batch=False,
            splits_batch=False,
            batch_axis=0,  # the seeds
            steps_axis=1,
            freezes=True,
        ),
    )
}
"""All strategies by name. `layout_of` chooses one."""


def layout_of(
    devices: list[Device],
    *,
    parallel: str = "auto",
    shard_state: bool = False,
    runs: int = 1,
    processes: int | None = None,
) -> Layout:
    """Chooses the strategy of a run, the only place that does.

    Args:
      devices: from `choose_devices`, in any order. Their number divides `runs` if there
        are several.
      parallel: how several devices share a batch: `pmap`, `mesh` (`shard_map`, which
        also supports several processes) or `auto`.
      shard_state: if True, each device keeps only a part of the state.
      runs: number of runs that are trained at once.
      processes: number of processes, by default those of the devices.

    Raises:
      UsageError: naming the argument, if the options do not fit together.
    """
    if parallel not in ("auto", "pmap", "mesh"):
        raise UsageError(f"parallel={parallel}: choose auto, pmap or mesh")
    # Check the options before choosing, so that none is silently ignored.
    several = (processes or len({device.process_index for device in devices})) > 1
    if several and parallel == "pmap":
        raise UsageError(
            "parallel=pmap supports a single process only: use parallel=mesh"
        )
    if shard_state and (runs > 1 or parallel == "pmap"):
        raise UsageError(
            "shard_state supports a single run with parallel=mesh: leave out "
            + ("runs" if runs > 1 else "parallel=pmap")
        )
    # Several runs never share a batch, however many devices there are.
    if runs > 1:
        name = "runs"
    elif len(devices) == 1:  # nothing to share or to shard
        name = "one"
    elif shard_state:
        name = "shards"
    else:
        name = "mesh" if several or parallel == "mesh" else "pmap"
    return Layout(order_devices(devices), STRATEGIES[name], runs)


def format_costs(program: Any) -> list[str]:
    """Formats the cost of a compiled program, per device.

    Returns:
      Lines with the memory in MiB and the FLOPs, as far as the compiler reports them.
    """
    memory, cost = program.memory_analysis(), program.cost_analysis() or {}
    lines = []
    # Not all platforms report their memory.
    if memory is not None:
        sizes = {
            "arguments": memory.argument_size_in_bytes,
            # Results in the memory of donated arguments are counted once.
            "results": memory.output_size_in_bytes - memory.alias_size_in_bytes,
            "temporaries": memory.temp_size_in_bytes,
        }
        sizes["total per device"] = sum(sizes.values())
        lines += [f"memory, {name}: {n / 2**20:,.2f} MiB" for name, n in sizes.items()]
    if "flops" in cost:
        lines.append(f"compute: {cost['flops'] / 1e9:,.4f} GFLOP per call and device")
    return lines
