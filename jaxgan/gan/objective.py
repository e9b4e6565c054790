"""The two-player loss: what the networks see, and what the terms make of it."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.types import (
    Augment,
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
    augment: jax.Array
    generator: jax.Array
    discriminator: jax.Array
    again: jax.Array
    """For the networks as terms call them."""


def loss_keys(key: jax.Array, player: str) -> LossKeys:
    """Keys by which both players draw the same samples; all else is each one's own."""
    task, generator, *rest = jax.random.split(key, 2 + len(Players._fields))
    own = rest[Players._fields.index(player)]
    terms, augment, discriminator, again = jax.random.split(own, 4)
    return LossKeys(task, terms, augment, generator, discriminator, again)


def example_keys(
    key: jax.Array, count: int, first: jax.typing.ArrayLike = 0
) -> jax.Array:
    """One key per example, `[count]`, by its number in the whole batch.

    So 1, 2 and 8 devices draw the same noise for the same example.
    """
    numbers = first + jnp.arange(count)
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(numbers)


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


def binder(
    nets: Players[nn.Module], state: TrainState, part: int | jax.Array | None
) -> Callable:
    """Returns net(player, key), which is `bind` of a player in training.

    `part` is the number of a batch's part, whose dropout masks are its own.
    """

    def net(player, key):
        key = key if part is None else jax.random.fold_in(key, part)
        return bind(getattr(nets, player), variables(state, player), key, train=True)

    return net


def make_loss(
    task: Task,
    nets: Players[nn.Module],
    terms: Terms,
    *,
    augment: Augment | None = None,
    axis: str | None = None,
    parts: int = 1,
) -> Callable:
    """Returns loss(own, player, state, batch, key, part) -> (value, aux).

    `own` are the parameters of `player`, the only ones the loss is a function of.
    aux is (stats, memory, values); `values` is what each term contributed, by
    `player/term`.

    Args:
      task: how the generator meets a batch.
      nets: one per player.
      terms: by name, for each player.
      augment: how samples are changed before D sees them.
      axis: name of the device axis that holds the rest of the batch.
      parts: in how many parts a device's batch is taken; `part` is the number of one.
    """

    def loss(own, player, state, batch, key, part=0):
        state = state.replace(params=state.params._replace(**{player: own}))
        keys = loss_keys(key, player)
        count = len(jax.tree.leaves(batch)[0])
        first = (jax.lax.axis_index(axis) * parts if axis else 0) + part

        def per_example(key):
            return example_keys(key, count, first * count)

        net = binder(nets, state, part if parts > 1 else None)
        g, g_stats = net("generator", keys.generator)
        d, d_stats = net("discriminator", keys.discriminator)
        samples = task(g, batch, per_example(keys.task))
        check_samples(samples)
        see, p = augment_fn(augment, state, per_example(keys.augment))
        condition = samples.condition
        given = () if condition is None else (condition,)
        inputs = LossInputs(
            samples=samples,
            real=d(see(samples.real), condition),
            fake=d(see(samples.fake), condition),
            critic=lambda x: net("discriminator", keys.again)[0](see(x), condition),
            keys=per_example(keys.terms),
            step=state.step,
            generator=lambda z: net("generator", keys.again)[0](z, *given),
            params=own,
            axis=axis,
            parts=parts,
        )
        total, memory, values = evaluate_terms(terms, player, inputs, state)
        if augment and player == "discriminator":
            values["discriminator/augment"] = p
        stats = getattr(Players(g_stats, d_stats), player)()
        return total, (stats, memory, values)

    return loss


def variables(state: TrainState, player: str) -> dict:
    """A player's parameters and statistics, as its network takes them."""
    return {"params": getattr(state.params, player), **getattr(state.stats, player)}


def augment_term(augment: Augment) -> Term:
    """The discriminator's term `augment`: it adds nothing, and remembers for it."""

    def apply(inputs, memory):
        return jnp.zeros(()), augment.update(inputs, memory)

    return Term(augment.init, apply)


def augment_fn(
    augment: Augment | None, state: TrainState, keys: jax.Array
) -> tuple[Callable[[Tree], Tree], jax.Array]:
    """What the discriminator sees of samples, and how often they are changed.

    Real and fake, and what terms ask for, are changed alike.
    """
    if augment is None:
        return lambda samples: samples, jnp.zeros(())
    p = jnp.asarray(
        augment.strength(state.term_state.discriminator["augment"], state.step)
    )
    return lambda samples: augment.apply(keys, samples, p), p


def evaluate_terms(
    terms: Terms, player: str, inputs: LossInputs, state: TrainState
) -> tuple[jax.Array, dict[str, Tree], dict[str, jax.Array]]:
    """The sum of a player's terms, what they remember, and what each contributed."""
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
    total = jnp.stack([value for value, _ in results.values()]).sum()
    return total, memory, values


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
