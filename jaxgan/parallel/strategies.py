"""One step as a compiled program on any number of devices."""

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.gan.train_step import loop
from jaxgan.parallel.feed import Feed
from jaxgan.parallel.layout import AXIS, Layout, spec
from jaxgan.parallel.multi_seed import AXES, vmap_seeds
from jaxgan.parallel.placement import shardings
from jaxgan.types import Players, Tree

log = logging.getLogger("jaxgan")


def make_compiler(step: Callable, feed: Feed, layout: Layout) -> Callable:
    """Returns get(count, *arguments): the program of so many steps.

    Each program is compiled once, when it is first asked for.
    """
    programs: dict[int, Any] = {}

    def get(count, *arguments):
        if count not in programs:
            started = time.monotonic()
            programs[count] = lower(step, feed, layout, count, *arguments).compile()
            taken = time.monotonic() - started
            log.info("compiled %d step(s) per call in %.1f s", count, taken)
        return programs[count]

    return get


def lower(
    step: Callable, feed: Feed, layout: Layout, count: int, *arguments: Tree
) -> Any:
    """The program of `count` steps that donates its state, ready to be compiled.

    Args:
      step: (state, batches, key) to (state, metrics).
      feed: which batches.
      layout: the devices; they need not be of this machine.
      count: steps in one call.
      arguments: state, what the feed passes, and key; or their shapes.
    """
    spread = STRATEGIES[layout.way](step, feed, layout, count, *arguments)
    return spread.lower(*arguments)


def many_steps(step: Callable, feed: Feed, count: int) -> Callable:
    """Returns call(state, passed, key) -> (state, metrics `[count]`), uncompiled."""

    def call(state, passed, key):
        def body(state, i):
            return step(state, feed.select(passed, state.step, i), key)

        return loop(body, state, jnp.arange(count), unroll=count == 1)

    return call


def jit_single_device(
    step: Callable, feed: Feed, layout: Layout, count: int, *_: Tree
) -> Any:
    """Under `jit`, on one device."""
    del layout
    return jax.jit(many_steps(step, feed, count), donate_argnums=0)


def pmap_data_parallel(
    step: Callable, feed: Feed, layout: Layout, count: int, *_: Tree
) -> Any:
    """Under `pmap`; the state has no leading axis, it goes to all and comes as one."""
    return jax.pmap(
        many_steps(step, feed, count),
        axis_name=AXIS,
        in_axes=(None, feed.axis, None),
        out_axes=None,
        devices=layout.devices,
        donate_argnums=0,
    )


def shard_map_data_parallel(
    step: Callable, feed: Feed, layout: Layout, count: int, *_: Tree
) -> Any:
    """Under `jit` and `shard_map`: what `pmap` does, over all processes too."""
    call = many_steps(step, feed, count)

    def own(state, passed, key):
        part = jax.tree.map(_squeeze, feed.axis, passed, is_leaf=_is_none)
        return call(state, part, key)

    axes = (None, feed.axis, None)
    spread = jax.shard_map(
        own,
        mesh=layout.mesh,
        in_specs=jax.tree.map(spec, axes, is_leaf=_is_none),
        out_specs=(spec(None), spec(None)),
        check_vma=False,
    )
    return jax.jit(spread, donate_argnums=0)


def _squeeze(axis: int | None, below: Tree) -> Tree:
    """Without the axis of devices, of which a device has one."""
    if axis is None:
        return below
    return jax.tree.map(lambda x: jnp.squeeze(x, axis), below)


def zero_sharded(
    step: Callable, feed: Feed, layout: Layout, count: int, *given: Tree
) -> Any:
    """Under `jit`, where what lies in parts is computed in parts.

    That is all of a step but its gradients, see `each_its_part`.
    """
    lie = jax.lax.with_sharding_constraint

    def sharded(state, batches, key):
        state, metrics = step(state, lie(batches, layout.spread(1)), key)
        return lie(state, shardings(state, layout)), metrics

    whole, own = layout.spread(None), shardings(given[0], layout)
    return jax.jit(
        many_steps(sharded, feed, count),
        donate_argnums=0,
        in_shardings=(own, layout.spread(feed.axis), whole),
        out_shardings=(own, whole),
    )


def shard_gradient(layout: Layout) -> Callable[[Callable], Callable]:
    """What is put around the gradients of a step whose state lies in parts.

    Within, each device has the whole parameters and its part of the batch, as always.
    What the optimizers keep, and the running mean, no device ever has whole: this is
    what ZeRO saves, https://arxiv.org/abs/1910.02054.
    """
    if layout.way != "shards":
        return lambda gradient: gradient

    def around(gradient):
        def spread(player, state, batch, key):
            call = jax.shard_map(
                functools.partial(gradient, player),
                mesh=layout.mesh,
                in_specs=(spec(None), spec(0), spec(None)),
                out_specs=spec(None),
                check_vma=False,
            )
            read = state.replace(opt_state=Players(None, None), ema=None)
            return call(read, batch, key)

        return spread

    return around


def seed_parallel(
    step: Callable, feed: Feed, layout: Layout, count: int, *_: Tree
) -> Any:
    """For several runs: side by side on one device, spread over several.

    A device has its runs whole, so that none waits for another.
    """
    axes = (AXES, feed.runs, 0)
    call = vmap_seeds(many_steps(step, feed, count), axes, unroll=layout.unroll)
    if len(layout.devices) == 1:
        return jax.jit(call, donate_argnums=0)
    spread = jax.shard_map(
        call,
        mesh=layout.mesh,
        in_specs=jax.tree.map(spec, axes, is_leaf=_is_none),
        out_specs=(jax.tree.map(spec, AXES, is_leaf=_is_none), spec(1)),
        check_vma=False,
    )
    return jax.jit(spread, donate_argnums=0)


def _is_none(x: Any) -> bool:
    return x is None


STRATEGIES: dict[str, Callable[..., Any]] = {
    "one": jit_single_device,
    "pmap": pmap_data_parallel,
    "mesh": shard_map_data_parallel,
    "shards": zero_sharded,
    "runs": seed_parallel,
}
"""(step, feed, layout, count, *arguments) to what can be lowered, by `Layout.way`."""


def format_costs(program: Any) -> list[str]:
    """What a compiled program takes: lines on memory and FLOPs, for each device."""
    memory, cost = program.memory_analysis(), program.cost_analysis() or {}
    lines = []
    if memory is not None:
        sizes = {
            "arguments": memory.argument_size_in_bytes,
            "results": memory.output_size_in_bytes - memory.alias_size_in_bytes,
            "temporaries": memory.temp_size_in_bytes,
        }
        sizes["in all, per device"] = sum(sizes.values())
        lines += [f"memory, {name}: {n / 2**20:,.2f} MiB" for name, n in sizes.items()]
    if "flops" in cost:
        lines.append(f"compute: {cost['flops'] / 1e9:,.4f} GFLOP per call and device")
    return lines
