"""The one train step of every task."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from jaxgan.errors import UsageError
from jaxgan.gan.objective import Terms, example_keys
from jaxgan.types import Batch, Players, Task, TrainState, Tree


def init_state(
    key: jax.Array,
    task: Task,
    nets: Players[nn.Module],
    terms: Terms,
    optimizers: Players[optax.GradientTransformation],
    batch: Batch,
) -> TrainState:
    """Runs the task once with networks that come into being as they are called.

    Call it under `jax.jit`: thousands of small operations become one program.
    """
    g_key, d_key, task_key = jax.random.split(key, 3)
    made: dict[str, dict] = {}

    def fresh(name, net, key):
        def call(*args, **kwargs):
            if name not in made:
                made[name] = dict(net.init(key, *args, train=False, **kwargs))
            return net.apply(made[name], *args, train=False, **kwargs)

        return call

    keys = example_keys(task_key, len(jax.tree.leaves(batch)[0]))
    samples = task(fresh("generator", nets.generator, g_key), batch, keys)
    fresh("discriminator", nets.discriminator, d_key)(samples.fake, samples.condition)
    ema = made["generator"]
    params = Players(*(made[player]["params"] for player in Players._fields))
    stats = Players(*(_without_params(made[player]) for player in Players._fields))
    opt = Players(*(t.init(p) for t, p in zip(optimizers, params, strict=True)))
    memory = Players(*({name: t.init() for name, t in own.items()} for own in terms))
    return TrainState(jnp.zeros((), jnp.int32), params, stats, opt, memory, ema)


def _without_params(variables: dict) -> dict:
    return {name: value for name, value in variables.items() if name != "params"}


def make_step(
    loss: Callable,
    optimizers: Players[optax.GradientTransformation],
    *,
    decay: Callable[[jax.Array], jax.typing.ArrayLike],
    axis: str | None = None,
    unroll: bool = False,
    parts: int = 1,
    same_latents: bool = False,
    around: Callable[[Callable], Callable] = lambda gradient: gradient,
) -> Callable:
    """Returns step(state, batches, key) -> (state, metrics).

    Axis 0 of `batches` is D's updates; G then answers the last of them. The same
    function runs under jit (`axis=None`) and under pmap (`axis` is its axis name).

    Args:
      loss: from `make_loss`, on the same axis.
      optimizers: one per player.
      decay: share of the running mean that stays, as a function of the step.
      axis: name of the device axis to average gradients, statistics and metrics over.
      unroll: write D's updates out instead of looping (faster on CPU).
      parts: gradients of so many parts of a batch are averaged before an update.
      same_latents: G answers the very samples that D saw last; where both updates are
        written out, XLA then computes them once.
      around: put around gradient(player, state, batch, key), which reads neither
        optimizers nor running mean, where devices share the rest of the step.
    """
    gradient = around(accumulate(loss, parts, unroll, axis))

    def update(player, state, batch, key):
        own, opt = getattr(state.params, player), getattr(state.opt_state, player)
        grads, stats, memory, values = gradient(player, state, batch, key)
        updates, opt = getattr(optimizers, player).update(grads, opt, own)
        own = optax.apply_updates(own, updates)
        values[f"{player}/grad_norm"] = optax.tree.norm(grads)
        values[f"{player}/param_norm"] = optax.tree.norm(own)
        return _put(state, player, own, stats, opt, memory), values

    def step(state, batches, key):
        k = len(jax.tree.leaves(batches)[0])
        keys = jax.random.split(jax.random.fold_in(key, state.step), k + 1)
        g_key = keys[k - 1 if same_latents else k]
        state, d_values = loop(
            lambda state, x: update("discriminator", state, *x),
            state,
            (batches, keys[:k]),
            unroll,
        )
        last = jax.tree.map(lambda x: x[-1], (batches, d_values))
        state, g_values = update("generator", state, last[0], g_key)
        now = {"params": state.params.generator, **state.stats.generator}
        ema = optax.incremental_update(now, state.ema, 1 - decay(state.step))
        return state.replace(step=state.step + 1, ema=ema), {**last[1], **g_values}

    return step


def with_checked_batches(step: Callable, shape: tuple[int, ...]) -> Callable:
    """Returns the step, which checks its batches when it is traced.

    It raises UsageError for batches of integers, or of examples of another shape.
    """

    def checked(state, batches, key):
        check_batches(batches, shape)
        return step(state, batches, key)

    return checked


def check_batches(batches: Batch, shape: tuple[int, ...]) -> None:
    """Raises UsageError unless images are floats `[updates, batch, *shape]`."""
    image = batches["image"]
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise UsageError(
            f"the step was given {image.dtype} images and takes floats in [-1, 1]: "
            "pass data.normalise(batches)"
        )
    if image.shape[2:] != shape or image.ndim != len(shape) + 2:
        raise UsageError(
            f"the step was given images of shape {list(image.shape)} and takes "
            f"[updates, batch, {', '.join(map(str, shape))}]: add the axis of "
            "discriminator updates, as data.stream does"
        )


def accumulate(
    loss: Callable, parts: int, unroll: bool, axis: str | None = None
) -> Callable:
    """Returns gradient(player, state, batch, key) -> (grads, stats, memory, values).

    All are means over the devices of `axis`.

    The batch is taken in `parts`, one after the other, which needs so many times less
    memory; means over the batch inside a term or a network are then over one part.
    Every part starts from the same statistics and term state, and what they become is
    averaged: running means, which are linear in what is new, decay once per update.
    """

    def one(player, state, batch, key, part):
        grad = jax.grad(loss, has_aux=True)
        own = getattr(state.params, player)
        grads, aux = grad(own, player, state, batch, key, part)
        return (grads, *aux)

    def gradient(player, state, batch, key):
        if parts == 1:
            return one(player, state, batch, key, 0)

        def body(carry, x):
            return carry, one(player, state, x[0], key, x[1])

        split = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), batch)
        _, found = loop(body, (), (split, jnp.arange(parts)), unroll)
        return jax.tree.map(lambda x: x.mean(0).astype(x.dtype), found)

    def averaged(player, state, batch, key):
        found = gradient(player, state, batch, key)
        return jax.lax.pmean(found, axis) if axis else found

    return averaged


def loop(
    body: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, unroll: bool
) -> tuple[Tree, Tree]:
    """`jax.lax.scan`, or the same written out.

    XLA for CPU gives convolutions their fast form in the outermost computation only, so
    that a loop around them, of one turn even, costs a factor of three to five.
    """
    turns = len(jax.tree.leaves(xs)[0])
    if not unroll and turns > 1:
        return jax.lax.scan(body, carry, xs)
    outs = []
    for i in range(turns):
        carry, out = body(carry, jax.tree.map(lambda x, i=i: x[i], xs))
        outs.append(out)
    return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *outs)


def _put(state: TrainState, player: str, params, stats, opt, memory) -> TrainState:
    """The state with the slots of one player filled anew, the other's as they were."""

    def put(players, mine):
        return players._replace(**{player: mine})

    return state.replace(
        params=put(state.params, params),
        stats=put(state.stats, stats),
        opt_state=put(state.opt_state, opt),
        term_state=put(state.term_state, memory),
    )
