"""What the networks say and draw at a moment: a few forward passes for the monitor."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data
from jaxgan.experiment.setup import Experiment
from jaxgan.gan.objective import bind, example_keys, variables
from jaxgan.metrics.vendi import kernel_width, vendi_score
from jaxgan.types import Batch, DiscriminatorOutput, Players, Task, TrainState

EXAMPLES = 256
"""Examples on each side, rounded up to whole batches, and fewer of small ones."""

MOST_BATCHES = 32
"""Batches on each side: they are written out, and hundreds take minutes to compile."""

LEAST_DISTINCT = 1.1
"""Distinct examples below which data have no variety to compare samples with."""


def open_probe(
    plan: Experiment, key: jax.Array
) -> Callable[[TrainState], dict[str, float]]:
    """Chooses examples and noise once; returns what measures a state.

    The measures are means of D's logits on examples it trains on (`probe/train`), on
    some that are kept from it (`probe/held_out`) and on samples (`probe/fake`), the
    standard error of the first two's difference (`probe/spread`), and how many
    distinct samples there are beyond the first for each distinct example beyond the
    first (`probe/diversity`): 0 where all are equal, about 1 where all is well. All are
    of the newest parameters, without dropout and augmentation.

    Data in which (nearly) all examples are equal have no such measure: then the number
    of distinct examples is told instead (`probe/distinct`).
    """
    config, dataset, held = plan.config, plan.dataset, plan.held_out
    count = min(-(-EXAMPLES // config.batch_size), MOST_BATCHES)
    keys = example_keys(key, count * config.batch_size)
    order = data.epoch_order(config.seed, 0, dataset.size)
    train = batches(dataset, order, count, config.batch_size)
    kept = held and batches(held, np.arange(held.size), count, config.batch_size)
    known = min(held.size, len(keys)) if held else 0
    few = min(dataset.size, EXAMPLES)
    measure = jax.jit(make_measure(plan.game.task, plan.game.nets, known, few))
    split = keys.reshape(count, config.batch_size)

    def probe(state):
        found = measure(state.replace(opt_state=None, ema=None), train, kept, split)
        del found["diversity" if found["distinct"] < LEAST_DISTINCT else "distinct"]
        return {f"probe/{name}": float(x) for name, x in found.items()}

    return probe


def batches(
    dataset: data.Dataset, order: np.ndarray, count: int, size: int
) -> list[Batch]:
    """The first examples of an order, again from the start if there are too few."""
    numbers = np.resize(order, count * size)
    examples = data.normalize(dataset.read(numbers))
    return [
        {name: x[i * size : (i + 1) * size] for name, x in examples.items()}
        for i in range(count)
    ]


def make_measure(task: Task, nets: Players, known: int, few: int) -> Callable:
    """Returns measure(state, train, held_out, keys), uncompiled.

    Args:
      task: how the generator meets a batch.
      nets: one per player.
      known: how many of the held-out examples differ.
      few: how many training examples and samples are counted for diversity.
    """

    def measure(state, train, held_out, keys):
        g, d = (
            bind(net, variables(state, player), jax.random.key(0), train=False)[0]
            for player, net in zip(Players._fields, nets, strict=True)
        )

        def critique(batch, keys):
            samples = task(g, batch, keys)
            real, fake = (
                mean_logits(d(x, samples.condition))
                for x in (samples.real, samples.fake)
            )
            return samples, real, fake

        seen = [critique(*x) for x in zip(train, keys, strict=True)]
        samples, real, fake = jax.tree.map(lambda *x: jnp.concatenate(x), *seen)
        found = {"train": real.mean(), "fake": fake.mean()}
        if held_out is not None:
            kept = [critique(*x)[1] for x in zip(held_out, keys, strict=True)]
            found |= held_out_gap(real, jnp.concatenate(kept), known)
        some = jax.tree.map(lambda x: x[:few], samples)
        width = kernel_width(some.real)
        fake, real = (vendi_score(x, width) for x in (some.fake, some.real))
        diversity = (fake - 1) / jnp.maximum(real - 1, 1e-6)
        return found | {"diversity": diversity, "distinct": real}

    return measure


def mean_logits(critique: DiscriminatorOutput) -> jax.Array:
    """One logit per row: the mean over its positions, scales and domains."""
    leaves = jax.tree.leaves(critique.logits)
    return jnp.stack([x.reshape(len(x), -1).mean(1) for x in leaves]).mean(0)


def held_out_gap(
    train: jax.Array, held_out: jax.Array, known: int
) -> dict[str, jax.Array]:
    """D's mean on held-out examples, and the standard error of the difference."""
    error = train.var() / len(train) + held_out.var() / min(known, len(held_out))
    return {"held_out": held_out.mean(), "spread": jnp.sqrt(error)}
