"""The two-player loss, and the one train step of every task."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from jaxgan.core import (
    Batch,
    LossInputs,
    Players,
    Samples,
    Task,
    Term,
    TrainState,
    Tree,
)

Terms = Players[dict[str, Term]]


class LossKeys(NamedTuple):
    """The PRNG keys of one evaluation of a loss, one per purpose."""

    task: jax.Array
    terms: jax.Array
    generator: jax.Array
    discriminator: jax.Array
    critic: jax.Array


def example_keys(key: jax.Array, count: int, axis: str | None = None) -> jax.Array:
    """One key per example, `[count]`, by its number in the whole batch.

    So 1, 2 and 8 devices draw the same noise for the same example.
    """
    first = jax.lax.axis_index(axis) * count if axis else 0
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(first + jnp.arange(count))


def bind(
    net: nn.Module, variables: dict, key: jax.Array, train: bool
) -> tuple[Callable[..., Tree], Callable[[], Tree]]:
    """A network as a plain function, and a second one that tells its newest stats.

    Every call has a dropout key of its own.
    """
    params = variables["params"]
    stats = {k: v for k, v in variables.items() if k != "params"}
    box = [stats, 0]  # lives only while the step is traced

    def call(*args, **kwargs):
        rngs = {"dropout": jax.random.fold_in(key, box[1])}
        box[1] += 1
        current = {"params": params, **box[0]}
        apply = functools.partial(net.apply, current, *args, **kwargs, train=train)
        if not train:
            return apply()
        out, box[0] = apply(rngs=rngs, mutable=list(box[0]))
        return out

    return call, lambda: box[0]


def make_loss(
    task: Task, nets: Players[nn.Module], terms: Terms, axis: str | None = None
) -> Callable:
    """Returns loss(own, player, state, batch, key) -> (value, (stats, memory, values)).

    `own` are the parameters of `player`, the only ones the loss is a function of;
    `values` is what each term contributed, by `player/term`.
    """

    def loss(own, player, state, batch, key):
        keys = LossKeys(*jax.random.split(key, len(LossKeys._fields)))
        params = state.params._replace(**{player: own})
        g_vars = {"params": params.generator, **state.stats.generator}
        d_vars = {"params": params.discriminator, **state.stats.discriminator}
        g, g_stats = bind(nets.generator, g_vars, keys.generator, train=True)
        d, d_stats = bind(nets.discriminator, d_vars, keys.discriminator, train=True)
        critic, _ = bind(nets.discriminator, d_vars, keys.critic, train=True)
        count = len(jax.tree.leaves(batch)[0])
        samples = task(g, batch, example_keys(keys.task, count, axis))
        check_samples(samples)
        inputs = LossInputs(
            samples=samples,
            real=d(samples.real, samples.condition),
            fake=d(samples.fake, samples.condition),
            critic=lambda x: critic(x, samples.condition),
            keys=example_keys(keys.terms, count, axis),
            step=state.step,
        )
        memory = getattr(state.term_state, player)
        results = {
            name: term.apply(inputs, memory[name])
            for name, term in getattr(terms, player).items()
        }
        values = {f"{player}/{name}": value for name, (value, _) in results.items()}
        chex.assert_rank(list(values.values()), 0)
        if player == "discriminator":
            values |= mean_logits(inputs)
        memory = {name: memory for name, (_, memory) in results.items()}
        stats = getattr(Players(g_stats, d_stats), player)()
        total = sum(value for value, _ in results.values())
        return total, (stats, memory, values)

    return loss


def mean_logits(inputs: LossInputs) -> dict[str, jax.Array]:
    """What D says of real and of fake on average, for the log."""

    def mean(logits):
        return jnp.stack([jnp.mean(x) for x in jax.tree.leaves(logits)]).mean()

    return {
        "discriminator/real": mean(inputs.real.logits),
        "discriminator/fake": mean(inputs.fake.logits),
    }


def check_samples(samples: Samples) -> None:
    """Fails while tracing if a generator's output is not shaped as its data."""
    chex.assert_trees_all_equal_structs(samples.real, samples.fake)
    chex.assert_trees_all_equal_shapes_and_dtypes(samples.real, samples.fake)


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
    """

    def update(player, state, batch, key):
        own, opt = getattr(state.params, player), getattr(state.opt_state, player)
        grad = jax.value_and_grad(loss, has_aux=True)
        (_, (stats, memory, values)), grads = grad(own, player, state, batch, key)
        if axis:
            mean = jax.lax.pmean((stats, memory, values, grads), axis)
            stats, memory, values, grads = mean
        updates, opt = getattr(optimizers, player).update(grads, opt, own)
        own = optax.apply_updates(own, updates)
        values[f"{player}/grad_norm"] = optax.tree.norm(grads)
        values[f"{player}/param_norm"] = optax.tree.norm(own)
        return _put(state, player, own, stats, opt, memory), values

    def step(state, batches, key):
        k = len(jax.tree.leaves(batches)[0])
        keys = jax.random.split(jax.random.fold_in(key, state.step), k + 1)
        state, d_values = loop(
            lambda state, x: update("discriminator", state, *x),
            state,
            (batches, keys[:k]),
            unroll,
        )
        last = jax.tree.map(lambda x: x[-1], (batches, d_values))
        state, g_values = update("generator", state, last[0], keys[k])
        now = {"params": state.params.generator, **state.stats.generator}
        ema = optax.incremental_update(now, state.ema, 1 - decay(state.step))
        return state.replace(step=state.step + 1, ema=ema), {**last[1], **g_values}

    return step


def loop(
    body: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, unroll: bool
) -> tuple[Tree, Tree]:
    """`jax.lax.scan`, or the same written out.

    XLA for CPU gives convolutions their fast form in the outermost computation only, so
    that a loop around them, of one turn even, costs a factor of three to five.
    """
    if not unroll:
        return jax.lax.scan(body, carry, xs)
    outs = []
    for i in range(len(jax.tree.leaves(xs)[0])):
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
