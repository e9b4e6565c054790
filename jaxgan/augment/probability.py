"""How often samples are augmented: a number, a schedule, or as D's answers ask for."""

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxgan.augment.random_apply import Augmentation, chain, check_probability
from jaxgan.ranges import Positive, Range
from jaxgan.schedules import Value, at
from jaxgan.terms import leaf_mean
from jaxgan.types import Augment, LossInputs, Tree, UsageError

DECAY = 0.75
"""What the running mean keeps at an update: it remembers about four."""


class Probability(NamedTuple):
    """How p comes about: all of `types.Augment` but what is done to samples."""

    init: Callable[[], Tree]
    read: Callable[[Tree, jax.Array], jax.Array]
    update: Callable[[LossInputs, Tree], Tree]


class AdaState(NamedTuple):
    """What `ada` remembers, both `[]`."""

    p: jax.Array
    overfit: jax.Array
    """Running mean of r_t, in [-1, 1]."""


def build(
    parts: Sequence[Augmentation], strength: Value | Probability = 1.0
) -> Augment:
    """Augmentations one after another, and how often.

    Args:
      parts: in their order.
      strength: p in [0, 1], as a number or a schedule; or from `STRENGTHS`.

    Raises:
      UsageError: if a number, or what a schedule begins or ends with, is not in [0, 1].
    """
    how = (
        strength
        if isinstance(strength, Probability)
        else constant_or_schedule(strength)
    )
    return Augment(how.init, chain_batch(parts), how.read, how.update)


def chain_batch(
    parts: Sequence[Augmentation],
) -> Callable[[jax.Array, Tree, ArrayLike], Tree]:
    """Augmentations as one function of (keys `[B]`, samples, p).

    Every leaf `[B, H, W, C]` of the samples is changed with the same keys: scales,
    domains, a picture and its mask alike.
    """
    augment = jax.vmap(chain(parts), (0, 0, None))

    def apply(keys, samples, p):
        return jax.tree.map(lambda leaf: augment(keys, leaf, p), samples)

    return apply


def constant_or_schedule(value: Value) -> Probability:
    """p as a number or a schedule says. A schedule is kept within [0, 1]."""
    for step in (0, 2**30):
        p = float(at(value, jnp.int32(step)))
        check_probability("the augmentation's probability", p, 0.5)

    def read(memory, step):
        return jnp.clip(jnp.asarray(at(value, step), jnp.float32), 0.0, 1.0)

    return Probability(lambda: (), read, lambda inputs, memory: memory)


def ada(
    target: Annotated[float, Range(-1, 1, "()")] = 0.6,
    images: Positive = 500_000.0,
    relative: bool = False,
) -> Probability:
    """As much as keeps D from overfitting, https://arxiv.org/abs/2006.06676, section 3.

    r_t = E[sign(D(real))] over the whole batch of all devices, in a running mean of
    about four updates. Every update of D moves p by sign(r_t - target) times the batch
    over `images`, from 0 on and within [0, 1]. Of a batch taken in parts, each part has
    its own sign, and p moves by their mean.

    Args:
      target: of r_t; 1 is a D that always tells real from fake.
      images: until p has gone from 0 to 1, at the fastest.
      relative: r_t = E[sign(D(real) - D(fake))], paired in the order of the batch, for
        losses whose logits have no zero: relativistic and Wasserstein ones.
    """
    if not -1 < target < 1:
        raise UsageError(f"target is between -1 and 1, not {target}: take 0.6")
    if not images > 0:
        raise UsageError(f"images is more than 0, not {images}: take 500000")

    def update(inputs, memory):
        now = _overfitting(inputs, relative)
        count = jnp.float32(len(inputs.keys) * inputs.parts)
        if inputs.axis:
            now = jax.lax.pmean(now, inputs.axis)
            count = jax.lax.psum(count, inputs.axis)
        overfit = DECAY * memory.overfit + (1 - DECAY) * now
        p = memory.p + jnp.sign(overfit - target) * count / images
        return AdaState(jnp.clip(p, 0.0, 1.0), overfit)

    def init():
        return AdaState(jnp.zeros(()), jnp.zeros(()))

    return Probability(init, lambda memory, step: memory.p, update)


def _overfitting(inputs: LossInputs, relative: bool) -> jax.Array:
    """How often D is right about real rather than wrong, in [-1, 1]."""
    real, fake = inputs.real.logits, inputs.fake.logits
    margin = jax.tree.map(jnp.subtract, real, fake) if relative else real
    return leaf_mean(jnp.sign, margin)


PROBABILITIES = {"ada": ada}
