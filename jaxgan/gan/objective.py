"""The loss of each player: forward passes, then the terms of the player."""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.networks.streams import keys_of_examples
from jaxgan.networks.styles import ToStyles, has_styles
from jaxgan.types import (
    Augment,
    Batch,
    DiscriminatorOutput,
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
    """For calls of the networks by terms."""
    stage: jax.Array
    data: jax.Array
    """For the task's augmentation of the batch."""


def loss_keys(key: jax.Array, player: str) -> LossKeys:
    """Returns the keys of a player. Both players draw the same samples."""
    data = jax.random.fold_in(key, 2 + len(Players._fields))
    # Both players have the same first two keys, and so the same samples.
    task, generator, *rest = jax.random.split(key, 2 + len(Players._fields))
    own = rest[Players._fields.index(player)]
    terms, augment, discriminator, again = jax.random.split(own, 4)
    stage = jax.random.fold_in(own, 4)
    return LossKeys(task, terms, augment, generator, discriminator, again, stage, data)


def example_keys(
    key: jax.Array, count: int, first: jax.typing.ArrayLike = 0
) -> jax.Array:
    """Returns one key per example, `[count]`, from its number in the whole batch.

    An example gets the same noise on any number of devices.

    Args:
      key: a PRNG key.
      count: number of examples.
      first: number of the first example.
    """
    # A key depends on the example's number only, not on the count.
    numbers = first + jnp.arange(count)
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(numbers)


NOISE = 2**31
"""Folded into keys of examples for noise inside networks; calls are numbered from 0."""

LAYERS = 0
"""Seed of the numbers that make the noise of layers different."""

STAGE = "stage"
"""Name of the state of the task's stage in the discriminator's `term_state`."""


def noise_keys(keys: jax.Array, call: int) -> Callable[[], jax.Array]:
    """Returns a function that returns the keys `[B]` of the noise of a network.

    Args:
      keys: of the examples, `[B]`.
      call: number of the call of the network.
    """
    return lambda: jax.vmap(lambda key: jax.random.fold_in(key, NOISE + call))(keys)


def bind(
    net: nn.Module,
    variables: dict,
    keys: jax.Array,
    *,
    dropout: jax.Array | None = None,
) -> tuple[Callable[..., Tree], Callable[[], Tree]]:
    """Returns a network as a function, and a function that returns its new statistics.

    The function takes (inputs, condition=None). Every call has its own dropout mask and
    noise.

    Args:
      net: the network.
      variables: its parameters and statistics.
      keys: of the examples, `[B]`, for noise.
      dropout: a PRNG key, to update statistics and to apply dropout. None for sampling.
    """
    params = variables["params"]
    stats = {k: v for k, v in variables.items() if k != "params"}
    box = [stats, 0]  # statistics and calls so far, while the step is traced

    def call(inputs, condition=None):
        number = box[1]
        box[1] += 1
        current = {"params": params, **box[0]}
        # Streams without a name of their own use that of `params`.
        rngs = {"params": jax.random.key(LAYERS)}
        with keys_of_examples(noise_keys(keys, number)):
            if dropout is None:
                return net.apply(current, inputs, condition, train=False, rngs=rngs)
            rngs["dropout"] = jax.random.fold_in(dropout, number)
            # Each call starts from the statistics that the previous one returned.
            out, box[0] = net.apply(
                current, inputs, condition, train=True, rngs=rngs, mutable=list(box[0])
            )
        return out

    return call, lambda: box[0]


def make_loss(
    task: Task,
    networks: Players[nn.Module],
    terms: Terms,
    *,
    augment: Augment | None = None,
    axis: str | None = None,
    parts: int = 1,
) -> Callable:
    """Returns loss(own, player, state, batch, key, part) -> (value, aux).

    `own` are the parameters of `player`, with respect to which the loss is
    differentiated. aux is (stats, term_state, values, played), where `values` has the
    value of each term as `player/term`, `term_state` is that of the terms, without the
    stage's, and `played` has the samples that the stage keeps, () if there is none.

    Args:
      task: plays a generator on a batch.
      networks: one per player.
      terms: by name, for each player.
      augment: augmentation of everything the discriminator sees.
      axis: name of the device axis that holds the rest of the batch.
      parts: number of micro-batches of a device's batch; `part` is the number of one.
    """
    forward = make_forward(task, networks, augment, axis, parts)

    def loss(own, player, state, batch, key, part=0):
        # The loss is a function of `own`, which replaces the parameters in the state.
        state = state.replace(params=state.params._replace(**{player: own}))
        inputs, stats, p, played = forward(player, state, batch, key, part)
        old = getattr(state.term_state, player)
        results = {
            name: term.apply(inputs, old[name])
            for name, term in getattr(terms, player).items()
        }
        values = {f"{player}/{name}": value for name, (value, _) in results.items()}
        # The sum below would hide a term that is not a scalar.
        chex.assert_rank(list(values.values()), 0)
        if player == "discriminator":
            values |= mean_logits(inputs)
            values |= {"discriminator/augment": p} if augment else {}
        term_state = {name: new for name, (_, new) in results.items()}
        total = jnp.stack([value for value, _ in results.values()]).sum()
        return total, (stats, term_state, values, played)

    return loss


def make_forward(
    task: Task,
    networks: Players[nn.Module],
    augment: Augment | None,
    axis: str | None,
    parts: int,
) -> Callable:
    """Returns forward(player, state, batch, key, part) -> (inputs, stats, p, played).

    `inputs` are those of the terms, `stats` the new statistics of the player's network,
    p is the probability of augmentation, and `played` is as in `make_loss`. The
    arguments are those of `make_loss`.
    """

    with_styles = has_styles(networks.generator)

    def forward(player, state, batch, key, part):
        keys = loss_keys(key, player)
        count = len(jax.tree.leaves(batch)[0])
        # The number of this micro-batch in the whole batch.
        first = (jax.lax.axis_index(axis) * parts if axis else 0) + part

        def per_example(key):
            return example_keys(key, count, first * count)

        def net(player, key, every=1):
            # Each micro-batch has its own dropout masks.
            dropout = jax.random.fold_in(key, part) if parts > 1 else key
            network, own = getattr(networks, player), variables(state, player)
            return bind(network, own, per_example(key)[::every], dropout=dropout)

        g, g_stats = net("generator", keys.generator)
        d, d_stats = net("discriminator", keys.discriminator)
        batch = training_batch(task, batch, per_example(keys.data))
        samples = task.play(g, batch, per_example(keys.task), state.step)
        check_samples(samples)
        # The stage keeps samples from before it is applied, in D's updates only.
        played = ()
        if task.stage and player == "discriminator":
            played, kept = samples, state.term_state.discriminator[STAGE]
            samples = task.stage.apply(per_example(keys.stage), samples, kept)

        # All that the discriminator sees is augmented with the same keys.
        def see_every(n):
            own = per_example(keys.augment)[::n]
            return augment_fn(augment, state, own)

        see, p = see_every(1)
        condition = augment_images(see, samples.condition)

        def generator(inputs):
            return net("generator", keys.again)[0](inputs, samples.condition)

        real, fake = judge(d, see, samples, condition)
        inputs = LossInputs(
            samples=samples,
            real=real,
            fake=fake,
            # Bound anew at each call, for the same dropout mask every time.
            critic=critic_of(
                lambda n: (net("discriminator", keys.again, n)[0], see_every(n)[0]),
                condition,
                count,
            ),
            keys=per_example(keys.terms),
            step=state.step,
            generator=generator,
            styles=(lambda z: generator(ToStyles(z))) if with_styles else None,
            params=getattr(state.params, player),
            axis=axis,
            parts=parts,
        )
        # Only the player that is trained gets new statistics.
        stats = getattr(Players(g_stats, d_stats), player)()
        return inputs, stats, p, played

    return forward


def judge(
    d: Callable, see: Callable[[Tree], Tree], samples: Samples, condition: Tree
) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
    """Returns the outputs of the discriminator for real examples and for samples.

    These are two calls on all platforms. One call of a doubled batch gives batch
    normalization other statistics, and takes as many or more of the compiler's cycles
    on a TPU (`benchmarks/step_forms.py`).
    """
    return d(see(samples.real), condition), d(see(samples.fake), condition)


def critic_of(
    every: Callable[[int], tuple[Callable, Callable[[Tree], Tree]]],
    condition: Tree,
    count: int,
) -> Callable[[Tree], DiscriminatorOutput]:
    """Returns the discriminator as a function of all samples, or of every n-th one.

    Args:
      every: n to the discriminator and the augmentation, with the keys of every n-th
        example.
      condition: of all examples, augmented.
      count: number of all examples.
    """

    def critic(samples: Tree) -> DiscriminatorOutput:
        n = count // len(jax.tree.leaves(samples)[0])
        network, see = every(n)
        return network(see(samples), jax.tree.map(lambda x: x[::n], condition))

    return critic


def training_batch(task: Task, batch: Batch, keys: jax.Array) -> Batch:
    """Returns the batch that a train step plays: augmented, if the task does that.

    Args:
      task: the task.
      batch: normalized examples.
      keys: one per example, `[B]`.
    """
    return task.augment(batch, keys) if task.augment else batch


def variables(state: TrainState, player: str) -> dict:
    """Returns the variables of a player's network: parameters and statistics."""
    return {"params": getattr(state.params, player), **getattr(state.stats, player)}


def augment_term(augment: Augment) -> Term:
    """Returns a term of value 0 that carries the state of the augmentation."""

    def apply(inputs, term_state):
        return jnp.zeros(()), augment.update(inputs, term_state)

    return Term(augment.init, apply)


def augment_fn(
    augment: Augment | None, state: TrainState, keys: jax.Array
) -> tuple[Callable[[Tree], Tree], jax.Array]:
    """Returns a function that augments samples, and its probability `[]`.

    Real samples, fake samples and those of terms are augmented alike.
    """
    if augment is None:
        return lambda samples: samples, jnp.zeros(())
    # The state is that before this update.
    p = jnp.asarray(
        augment.strength(state.term_state.discriminator["augment"], state.step)
    )
    return lambda samples: augment.apply(keys, samples, p), p


def augment_images(see: Callable[[Tree], Tree], condition: Tree) -> Tree:
    """Augments the images `[B, H, W, C]` of a condition like the samples.

    Labels, attributes and vectors stay.
    """
    return jax.tree.map(lambda x: see(x) if x.ndim == 4 else x, condition)


def mean_logits(inputs: LossInputs) -> dict[str, jax.Array]:
    """Returns the mean logits of real and fake samples, for the log."""

    def mean(logits):
        return jnp.stack([jnp.mean(x) for x in jax.tree.leaves(logits)]).mean()

    return {
        "discriminator/real": mean(inputs.real.logits),
        "discriminator/fake": mean(inputs.fake.logits),
    }


def check_samples(samples: Samples) -> None:
    """Raises AssertionError unless generated samples have the shapes of the data."""
    chex.assert_trees_all_equal_structs(samples.real, samples.fake)
    chex.assert_trees_all_equal_shapes_and_dtypes(samples.real, samples.fake)
