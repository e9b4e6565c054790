"""The probe: a few forward passes that measure the networks for the monitor."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data
from jaxgan.gan.gan import GAN
from jaxgan.gan.objective import bind, example_keys, training_batch, variables
from jaxgan.metrics.vendi import relative_diversity
from jaxgan.networks.wrappers import group_of
from jaxgan.ranges import ceil_div
from jaxgan.types import (
    Batch,
    DiscriminatorOutput,
    Players,
    Samples,
    Task,
    TrainState,
    Tree,
)

EXAMPLES = 256
"""Number of examples of each kind, rounded up to whole batches, up to MAX_BATCHES."""

MAX_BATCHES = 32
"""Maximum number of batches."""

MIN_DISTINCT = 1.1
"""Number of distinct examples below which the data have too little variety."""


class Probe:
    """Measures a state on fixed examples and noise.

    The measures are of the newest parameters, without dropout and augmentation of the
    discriminator's inputs:

      probe/train: mean logit of training examples.
      probe/held_out: mean logit of held-out examples.
      probe/fake: mean logit of samples.
      probe/spread: standard error of the difference of the first two.
      probe/diversity: the number of distinct samples beyond the first, divided by that
        of examples: 0 if all samples are equal, about 1 if they vary like the data.
      probe/distinct: the number of distinct examples, instead of the diversity, if
        (nearly) all examples are equal.

    Args:
      gan: the GAN.
      dataset: the training examples.
      held_out: examples that training does not see, or None.
      key: a PRNG key.
      batch_size: examples in a batch.
      seed: selects the training examples.
      parts: number of parts of a batch, on devices and in micro-batches. A
        discriminator that compares examples sees one of them at a time, as in training.
    """

    def __init__(
        self,
        gan: GAN,
        dataset: data.Dataset,
        held_out: data.Dataset | None,
        key: jax.Array,
        *,
        batch_size: int,
        seed: int,
        parts: int = 1,
    ) -> None:
        # Whole batches with EXAMPLES or more, up to the maximum.
        count = min(ceil_div(EXAMPLES, batch_size), MAX_BATCHES)
        keys = example_keys(key, count * batch_size)
        order = data.epoch_order(seed, 0, dataset.size)
        self._train = batches(dataset, order, count, batch_size)
        self._held_out = held_out and batches(
            held_out, np.arange(held_out.size), count, batch_size
        )
        # [batches, B]
        self._keys = keys.reshape(count, batch_size)
        # Held-out examples repeat if there are fewer than keys.
        known = min(held_out.size, len(keys)) if held_out else 0
        few = min(dataset.size, EXAMPLES)
        self._measure = make_measure(gan.task, gan.networks, known, few, parts)

    def __call__(self, state: TrainState) -> dict[str, float]:
        """Returns the measures of a state, by name."""
        # The measures depend on neither.
        state = state.replace(opt_state=None, ema=None)
        measures = self._measure(state, self._train, self._held_out, self._keys)
        # The diversity means nothing if the data hardly vary.
        del measures["diversity" if measures["distinct"] < MIN_DISTINCT else "distinct"]
        return {f"probe/{name}": float(x) for name, x in measures.items()}


def batches(
    dataset: data.Dataset, order: np.ndarray, count: int, size: int
) -> list[Batch]:
    """Returns the first examples of an order in batches, repeated if they are few."""
    # `np.resize` repeats a short order from its start.
    numbers = np.resize(order, count * size)
    examples = data.normalize(data.read_some(dataset, numbers), dataset.example)
    return [
        {name: x[i * size : (i + 1) * size] for name, x in examples.items()}
        for i in range(count)
    ]


def make_measure(
    task: Task, networks: Players, known: int, few: int, parts: int = 1
) -> Callable:
    """Returns measure(state, train, held_out, keys), which calls compiled programs.

    One program plays a batch. If a single one played all batches, it would compile for
    as many times as long.

    Args:
      task: plays a generator on a batch.
      networks: one per player.
      known: the number of different held-out examples.
      few: the number of examples and samples whose diversity is measured.
      parts: of a batch, see `Probe`.
    """
    # Without groups the parts make no difference.
    parts = parts if group_of(networks.discriminator) else 1
    play = make_play(task, networks, parts)
    on_train, summary = jax.jit(play), jax.jit(functools.partial(summarize, known, few))
    # Without the samples, which need no generator here.
    on_held_out = jax.jit(lambda *args: play(*args)[1])

    def measure(state, train, held_out, keys):
        # Logits of training examples and of samples, then of held-out examples.
        played = [on_train(state, *x) for x in zip(train, keys, strict=True)]
        logits = held_out and [
            on_held_out(state, *x) for x in zip(held_out, keys, strict=True)
        ]
        return summary(played, logits)

    return measure


def make_play(task: Task, networks: Players, parts: int = 1) -> Callable:
    """Returns play(state, batch, keys) of samples and the logits of real and fake."""

    def play(state, batch, keys):
        # Noise inside the networks depends on the keys alone.
        def network(player, keys):
            net, own = getattr(networks, player), variables(state, player)
            return bind(net, own, keys)[0]

        def judge(keys, real, fake, condition):
            d = network("discriminator", keys)
            return tuple(mean_logits(d(x, condition)) for x in (real, fake))

        batch = training_batch(task, batch, keys)
        generator = network("generator", keys)
        samples = task.play(generator, batch, keys, state.step)
        seen = keys, samples.real, samples.fake, samples.condition
        return samples, *in_parts(judge, parts, *seen)

    return play


def in_parts(call: Callable, parts: int, *args: Tree) -> Tree:
    """Calls a function for parts of arrays `[B, ...]`, and joins the results."""
    if parts == 1:
        return call(*args)
    split = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), args)
    results = jax.vmap(call)(*split)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), results)


def summarize(
    known: int,
    few: int,
    played: list[tuple[Samples, jax.Array, jax.Array]],
    held_out: list[jax.Array] | None,
) -> dict[str, jax.Array]:
    """Returns the measures of batches, by name.

    Args:
      known: the number of different held-out examples.
      few: the number of examples and samples whose diversity is measured.
      played: samples, logits of training examples and logits of samples, by batch.
      held_out: logits of held-out examples by batch, or None.
    """
    samples, real, fake = jax.tree.map(lambda *x: jnp.concatenate(x), *played)
    measures = {"train": real.mean(), "fake": fake.mean()}
    if held_out is not None:
        measures |= held_out_gap(real, jnp.concatenate(held_out), known)
    some = jax.tree.map(lambda x: x[:few], samples)
    diversity, distinct = relative_diversity(some.real, some.fake)
    return measures | {"diversity": diversity, "distinct": distinct}


def mean_logits(output: DiscriminatorOutput) -> jax.Array:
    """Returns one logit per example, the mean over positions, scales and domains."""
    leaves = jax.tree.leaves(output.logits)
    # Each leaf `[B, ...]` becomes `[B]`, then the mean over leaves.
    return jnp.stack([x.reshape(len(x), -1).mean(1) for x in leaves]).mean(0)


def held_out_gap(
    train: jax.Array, held_out: jax.Array, known: int
) -> dict[str, jax.Array]:
    """Returns the mean held-out logit and the standard error of the difference."""
    # Repeated examples add no information, so count each once.
    error = train.var() / len(train) + held_out.var() / min(known, len(held_out))
    return {"held_out": held_out.mean(), "spread": jnp.sqrt(error)}
