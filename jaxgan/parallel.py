"""All that knows of devices: which there are, and how one step runs on them."""

import importlib.metadata
import logging
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.core import Batch, Device, TrainState, Tree, UsageError
from jaxgan.runs import AXES, together
from jaxgan.step import loop

log = logging.getLogger("jaxgan")

AXIS = "devices"


class Feed(NamedTuple):
    """How a compiled call comes by the batches of its steps."""

    at: Callable[[int, int], Tree]
    """(step, count) to what is passed to the call of so many steps from there."""
    select: Callable[[Tree, jax.Array, jax.Array], Batch]
    """Traced: (passed, step, i) to raw batches `[k, B, ...]` of the i-th step."""
    axis: Any = None
    """The axes of what is passed that are split over devices, as `pmap` takes them."""
    runs: Any = None
    """The axes of what is passed that are runs, as `vmap` takes them."""
    close: Callable[[], None] = lambda: None


def pick(count: int) -> list[Device]:
    """The first `count` local devices, 0 for all.

    Raises:
      UsageError: if there are not so many, or none at all.
    """
    try:
        devices = jax.local_devices()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"jax starts on no device: {reason}") from error
    if not 0 <= count <= len(devices):
        raise UsageError(
            f"--devices={count}: there are {len(devices)}; 0 takes all of them"
        )
    return devices[: count or None]


def describe(devices: list[Device]) -> str:
    """One line that names the devices, such as `1 cpu device (cpu), jax 0.10.2`."""
    kind = devices[0]
    many = "device" if len(devices) == 1 else "devices"
    return (
        f"{len(devices)} {kind.platform} {many} ({kind.device_kind}), "
        f"jax {jax.__version__}"
    )


def missed_accelerator(platform: str) -> str | None:
    """An accelerator's plugin that is installed but not in use, if there is one."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    if platform != "cpu" or asked == "cpu":
        return None
    names = (d.metadata["Name"] or "" for d in importlib.metadata.distributions())
    found = [n for n in names if n.startswith("jax-cuda") or n == "libtpu"]
    return min(found, default=None)


def warn_of_missed_accelerator(devices: list[Device]) -> None:
    """Says so, unmistakably, when an installed accelerator is not what runs."""
    plugin = missed_accelerator(devices[0].platform)
    if plugin:
        line = "!" * 72
        log.warning(
            "%s\n%s is installed, but jax found no such device and RUNS ON THE CPU.\n"
            "Look at its driver, or set JAX_PLATFORMS=cpu if that is what you want.\n"
            "%s",
            *(line, plugin, line),
        )


def resident_limit(devices: list[Device]) -> int:
    """Bytes of a data set that may lie on each device: a quarter of it, or 2 GiB."""
    stats = devices[0].memory_stats() or {}
    return stats.get("bytes_limit", 2**33) // 4


def axis_of(devices: list[Device]) -> str | None:
    """The axis that gradients are averaged over: none on one device."""
    return AXIS if len(devices) > 1 else None


def default_steps_per_call(devices: list[Device]) -> int:
    """1 on CPU, where XLA slows convolutions down in loops; 50 elsewhere."""
    return 1 if devices[0].platform == "cpu" else 50


def replicate(tree: Tree, devices: list[Device]) -> Tree:
    """The same arrays on every device, without a leading axis."""
    return jax.device_put(tree, _sharding(devices, None))


def place(state: TrainState, devices: list[Device], runs: int) -> TrainState:
    """A state on the devices: the same on each, or the runs spread over them."""
    if runs == 1:
        return replicate(state, devices)

    def put(axis, tree):
        return jax.device_put(tree, _sharding(devices, axis))

    return jax.tree.map(put, AXES, state, is_leaf=_is_none)


def _sharding(devices: list[Device], axis: int | None) -> jax.sharding.NamedSharding:
    """An axis spread over the devices, or the same on each."""
    return jax.sharding.NamedSharding(_mesh(devices), _spec(axis))


def _mesh(devices: list[Device]) -> jax.sharding.Mesh:
    return jax.sharding.Mesh(np.array(devices), AXIS)


def _spec(axis: int | None) -> jax.sharding.PartitionSpec:
    spread = () if axis is None else (*[None] * axis, AXIS)
    return jax.sharding.PartitionSpec(*spread)


def _is_none(x: Any) -> bool:
    return x is None


def resident(
    arrays: Tree,
    order: Callable[[int], np.ndarray],
    *,
    updates: int,
    batch: int,
    devices: list[Device],
    runs: int = 1,
) -> Feed:
    """A data set that lies on the devices; the host sends one order per epoch.

    Args:
      arrays: all examples, `[N, ...]` per field.
      order: the permutation `[N]` of an epoch, one row for each of several runs.
      updates: batches per step.
      batch: examples per batch, over all devices.
      devices: where each keeps the whole set and gathers its own part.
      runs: how many are trained at once, each with batches of its own.
    """
    size = len(jax.tree.leaves(arrays)[0])
    per_epoch = size // (updates * batch)
    split = len(devices) if runs == 1 else 1
    local = batch // split
    data = replicate(arrays, devices)
    firsts = local * np.arange(split) if split > 1 else np.int32(0)
    kept: dict[int, Any] = {}

    def at(step, count):
        del count  # at most an epoch: two orders serve
        epoch = step // per_epoch
        if epoch not in kept:
            orders = np.stack([order(epoch), order(epoch + 1)], axis=-2)
            kept.clear()
            kept[epoch] = replicate((orders, np.int32(epoch)), devices)
        return data, kept[epoch], firsts

    def select(passed, step, i):
        del i  # the step alone says where we are
        data, (orders, first), part = passed
        start = (step % per_epoch) * updates * batch + part
        places = start + jnp.arange(updates)[:, None] * batch + jnp.arange(local)
        numbers = orders[step // per_epoch - first, places]
        return jax.tree.map(lambda x: x[numbers], data)

    return Feed(at, select, axis=(None, None, 0), runs=(None, (0, None), None))


def streamed(batches: Any, *, devices: list[Device], runs: int = 1) -> Feed:
    """A data set that comes from the host, step by step.

    Args:
      batches: a generator of `[k, B, ...]` per field and step, or of `[runs, k, B,
        ...]` for several runs.
      devices: over which axis B is split, or the runs are.
      runs: how many are trained at once.
    """
    many = len(devices) > 1 and runs == 1
    steps_axis = 0 if runs == 1 else 1

    def split(x):
        k, b, *shape = x.shape
        return x.reshape(k, len(devices), b // len(devices), *shape) if many else x

    def at(step, count):
        del step  # the generator was started at the right one
        several = [next(batches) for _ in range(count)]
        return jax.tree.map(
            lambda *x: np.stack([split(y) for y in x], steps_axis), *several
        )

    def select(passed, step, i):
        del step
        return jax.tree.map(lambda x: x[i], passed)

    axis = 2 if many else None
    return Feed(at, select, axis=axis, runs=0, close=batches.close)


def many_steps(step: Callable, feed: Feed, count: int) -> Callable:
    """Returns call(state, passed, key) -> (state, metrics `[count]`), uncompiled."""

    def call(state, passed, key):
        def body(state, i):
            return step(state, feed.select(passed, state.step, i), key)

        return loop(body, state, jnp.arange(count), unroll=count == 1)

    return call


def compiled(
    step: Callable, feed: Feed, devices: list[Device], runs: int = 1
) -> Callable:
    """Returns get(count, *arguments): the program of so many steps.

    Each program is compiled once, when it is first asked for.
    """
    programs: dict[int, Any] = {}

    def get(count, *arguments):
        if count not in programs:
            started = time.monotonic()
            many = many_steps(step, feed, count)
            spread = mapped if runs == 1 else several_runs
            programs[count] = spread(many, feed, devices).lower(*arguments).compile()
            taken = time.monotonic() - started
            log.info("compiled %d step(s) per call in %.1f s", count, taken)
        return programs[count]

    return get


def mapped(call: Callable, feed: Feed, devices: list[Device]) -> Any:
    """The call under `jit` on one device, under `pmap` on several; donates the state.

    The state has no leading axis: it is passed to all devices and comes back as one.
    """
    if len(devices) == 1:
        return jax.jit(call, donate_argnums=0)
    return jax.pmap(
        call,
        axis_name=AXIS,
        in_axes=(None, feed.axis, None),
        out_axes=None,
        devices=devices,
        donate_argnums=0,
    )


def several_runs(call: Callable, feed: Feed, devices: list[Device]) -> Any:
    """The call for several runs: side by side on one device, spread over several.

    A device has its runs whole, so that none waits for another.
    """
    axes = (AXES, feed.runs, 0)
    call = together(call, axes, unroll=devices[0].platform == "cpu")
    if len(devices) == 1:
        return jax.jit(call, donate_argnums=0)
    spread = jax.shard_map(
        call,
        mesh=_mesh(devices),
        in_specs=jax.tree.map(_spec, axes, is_leaf=_is_none),
        out_specs=(jax.tree.map(_spec, AXES, is_leaf=_is_none), _spec(1)),
        check_vma=False,
    )
    return jax.jit(spread, donate_argnums=0)


def needs(program: Any) -> list[str]:
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
