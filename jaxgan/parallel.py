"""All that knows of devices: which there are, and how one step runs on them."""

import importlib.metadata
import logging
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.core import Batch, Tree, UsageError
from jaxgan.step import loop

log = logging.getLogger("jaxgan")

AXIS = "devices"


class Feed(NamedTuple):
    """How a compiled call comes by the batches of its steps."""

    at: Callable[[int], Tree]
    """What to pass to the call that starts at a step."""
    select: Callable[[Tree, jax.Array, jax.Array], Batch]
    """Traced: (passed, step, i) to the raw batches `[k, B, ...]` of the call's i-th step."""
    axis: int | None = None
    """The axis of what is passed that is split over devices; None if all get all."""
    close: Callable[[], None] = lambda: None


def pick(count: int) -> list[jax.Device]:
    """The first `count` local devices, 0 for all.

    Raises:
      UsageError: if there are not so many.
    """
    devices = jax.local_devices()
    if not 0 <= count <= len(devices):
        raise UsageError(
            f"--devices={count}: there are {len(devices)}; 0 takes all of them"
        )
    return devices[: count or None]


def describe(devices: list[jax.Device]) -> str:
    """One line that names the devices, such as `1 cpu device (cpu), jax 0.10.2`."""
    kind = devices[0]
    many = "device" if len(devices) == 1 else "devices"
    return (
        f"{len(devices)} {kind.platform} {many} ({kind.device_kind}), "
        f"jax {jax.__version__}"
    )


def missed_accelerator(platform: str) -> str | None:
    """The plugin of an accelerator that is installed but not in use, if there is one."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    if platform != "cpu" or asked == "cpu":
        return None
    names = (d.metadata["Name"] or "" for d in importlib.metadata.distributions())
    found = [n for n in names if n.startswith("jax-cuda") or n == "libtpu"]
    return min(found, default=None)


def axis_of(devices: list[jax.Device]) -> str | None:
    """The axis that gradients are averaged over: none on one device."""
    return AXIS if len(devices) > 1 else None


def default_steps_per_call(devices: list[jax.Device]) -> int:
    """1 on CPU, where XLA slows convolutions down in loops; 50 elsewhere."""
    return 1 if devices[0].platform == "cpu" else 50


def replicate(tree: Tree, devices: list[jax.Device]) -> Tree:
    """The same arrays on every device, without a leading axis."""
    mesh = jax.sharding.Mesh(np.array(devices), AXIS)
    spec = jax.sharding.PartitionSpec()
    return jax.device_put(tree, jax.sharding.NamedSharding(mesh, spec))


def resident(
    arrays: Tree,
    order: Callable[[int], np.ndarray],
    *,
    updates: int,
    batch: int,
    devices: list[jax.Device],
) -> Feed:
    """A data set that lies on the devices; the host sends one order per epoch.

    Args:
      arrays: all examples, `[N, ...]` per field.
      order: the permutation `[N]` of an epoch.
      updates: batches per step.
      batch: examples per batch, over all devices.
      devices: where each keeps the whole set and gathers its own part.
    """
    size = len(jax.tree.leaves(arrays)[0])
    per_epoch = size // (updates * batch)
    local = batch // len(devices)
    data = replicate(arrays, devices)
    kept: dict[int, Any] = {}

    def at(step):
        epoch = step // per_epoch
        if epoch not in kept:
            orders = np.stack([order(epoch), order(epoch + 1)])
            kept.clear()
            kept[epoch] = replicate((orders, np.int32(epoch)), devices)
        return data, kept[epoch]

    def select(passed, step, i):
        del i  # the step alone says where we are
        data, (orders, first) = passed
        part = jax.lax.axis_index(AXIS) * local if len(devices) > 1 else 0
        start = (step % per_epoch) * updates * batch + part
        places = start + jnp.arange(updates)[:, None] * batch + jnp.arange(local)
        numbers = orders[step // per_epoch - first, places]
        return jax.tree.map(lambda x: x[numbers], data)

    return Feed(at, select)


def streamed(
    batches: Any, *, steps_per_call: int, devices: list[jax.Device]
) -> Feed:
    """A data set that comes from the host, step by step.

    Args:
      batches: a generator of `[k, B, ...]` per field and step.
      steps_per_call: how many of them a call takes.
      devices: over which axis B is split.
    """
    many = len(devices) > 1

    def split(x):
        k, b, *shape = x.shape
        return x.reshape(k, len(devices), b // len(devices), *shape) if many else x

    def at(step):
        del step  # the generator was started at the right one
        several = [next(batches) for _ in range(steps_per_call)]
        return jax.tree.map(lambda *x: np.stack([split(y) for y in x]), *several)

    def select(passed, step, i):
        del step
        return jax.tree.map(lambda x: x[i], passed)

    return Feed(at, select, axis=2 if many else None, close=batches.close)


def many_steps(
    step: Callable, feed: Feed, prepare: Callable[[Batch], Batch], count: int
) -> Callable:
    """Returns call(state, passed, key) -> (state, metrics `[count]`), to be compiled."""

    def call(state, passed, key):
        def body(state, i):
            batches = prepare(feed.select(passed, state.step, i))
            return step(state, batches, key)

        return loop(body, state, jnp.arange(count), unroll=count == 1)

    return call


def mapped(call: Callable, feed: Feed, devices: list[jax.Device]) -> Any:
    """The call under `jit` on one device, under `pmap` on several; donates the state.

    The state has no leading axis: it is passed to all devices and comes back as one.
    """
    if len(devices) == 1:
        return jax.jit(call, donate_argnums=0)
    return jax.pmap(
        call,
        axis_name=AXIS,
        in_axes=(None, feed.axis, None),
        out_axes=None,  # pyright: ignore[reportArgumentType]
        devices=devices,
        donate_argnums=0,
    )
