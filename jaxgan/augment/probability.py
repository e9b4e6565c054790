"""The probability of augmentations: a number, a schedule, or adaptive (ADA)."""

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxgan.augment.random_apply import Augmentation, chain, check_probability
from jaxgan.errors import UsageError
from jaxgan.ranges import Positive, Range
from jaxgan.schedules import Value, at
from jaxgan.terms import leaf_mean
from jaxgan.types import Augment, LossInputs, Tree

DECAY = 0.75
"""Decay of the running mean at an update; it averages over about four updates."""


class Probability(NamedTuple):
    """The probability p with its state: `types.Augment` without `apply`."""

    init: Callable[[], Tree]
    read: Callable[[Tree, jax.Array], jax.Array]
    """(term_state, step) to p, `[]` in [0, 1]."""
    update: Callable[[LossInputs, Tree], Tree]
    """(inputs of the discriminator's update, term_state) to the new term_state."""


class AdaState(NamedTuple):
    """The state of `ada`, both fields `[]`."""

    p: jax.Array
    overfit: jax.Array
    """The running mean of r_t, in [-1, 1]."""


def build(
    parts: Sequence[Augmentation], strength: Value | Probability = 1.0
) -> Augment:
    """Combines augmentations and their probability.

    Args:
      parts: augmentations, in order.
      strength: p in [0, 1] as a number or a schedule, or a `Probability` such as `ada`.

    Raises:
      UsageError: if a number, or the first or last value of a schedule, is not in
        [0, 1].
    """
    # Numbers and schedules have no state of their own.
    if isinstance(strength, Probability):
        probability = strength
    else:
        probability = constant_or_schedule(strength)
    return Augment(
        probability.init, chain_batch(parts), probability.read, probability.update
    )


def chain_batch(
    parts: Sequence[Augmentation],
) -> Callable[[jax.Array, Tree, ArrayLike], Tree]:
    """Chains augmentations into one function of (keys `[B]`, samples, p).

    All leaves `[B, H, W, C]` of the samples are changed with the same keys, so that
    scales, domains, or an image and its mask are changed alike.
    """
    # A key per example, and the same p for all.
    augment = jax.vmap(chain(parts), (0, 0, None))

    def apply(keys, samples, p):
        return jax.tree.map(lambda leaf: augment(keys, leaf, p), samples)

    return apply


def constant_or_schedule(value: Value) -> Probability:
    """Returns a p without state. The values of a schedule are clipped to [0, 1].

    Raises:
      UsageError: if a number, or the first or last value of a schedule, is not in
        [0, 1].
    """
    # Schedules have reached their last value by step 2^30.
    for step in (0, 2**30):
        p = float(at(value, jnp.int32(step)))
        check_probability("the augmentation's probability", p, 0.5)

    def read(term_state, step):
        # A schedule may leave [0, 1] between the steps that were checked.
        return jnp.clip(jnp.asarray(at(value, step), jnp.float32), 0.0, 1.0)

    # Nothing to start from, and nothing to update.
    return Probability(lambda: (), read, lambda inputs, term_state: term_state)


def ada(
    target: Annotated[float, Range(-1, 1, "()")] = 0.6,
    images: Positive = 500_000.0,
    relative: bool = False,
) -> Probability:
    """Adapts p to the overfitting of D, https://arxiv.org/abs/2006.06676 (ADA).

    Section 3 of the paper. r_t = E[sign(D(real))] over the batch of all devices, in a
    running mean of about four updates. Every update of D changes p by
    sign(r_t - target) * batch size / `images`, starting at 0 and clipped to [0, 1].
    With several micro-batches, each has its own sign, and p changes by their mean.

    Args:
      target: target of r_t; r_t is 1 if D classifies all real examples as real.
      images: smallest number of images in which p can go from 0 to 1.
      relative: if True, r_t = E[sign(D(real) - D(fake))], paired in the order of the
        batch: for losses whose logits have no zero, relativistic and Wasserstein.

    Raises:
      UsageError: if `target` is not between -1 and 1, or `images` is not more than 0.
    """
    if not -1 < target < 1:
        raise UsageError(f"target must be between -1 and 1, not {target}: use 0.6")
    if not images > 0:
        raise UsageError(f"images must be more than 0, not {images}: use 500000")

    def update(inputs, term_state):
        now = _overfitting(inputs, relative)
        # The examples of the whole update, over micro-batches and devices.
        count = jnp.float32(len(inputs.keys) * inputs.parts)
        # Over all devices, so that they agree on one sign.
        if inputs.axis:
            now = jax.lax.pmean(now, inputs.axis)
            count = jax.lax.psum(count, inputs.axis)
        overfit = DECAY * term_state.overfit + (1 - DECAY) * now
        # A fixed step in the direction of the target.
        p = term_state.p + jnp.sign(overfit - target) * count / images
        return AdaState(jnp.clip(p, 0.0, 1.0), overfit)

    def init():
        return AdaState(jnp.zeros(()), jnp.zeros(()))

    return Probability(init, lambda term_state, step: term_state.p, update)


def _overfitting(inputs: LossInputs, relative: bool) -> jax.Array:
    """Returns r_t of one batch: the mean sign of D's logits, `[]` in [-1, 1]."""
    real, fake = inputs.real.logits, inputs.fake.logits
    # A logit is positive if D classifies its example as real.
    margin = jax.tree.map(jnp.subtract, real, fake) if relative else real
    return leaf_mean(jnp.sign, margin)


PROBABILITIES: dict[str, Callable[..., Probability]] = {"ada": ada}
"""Factories of adaptive probabilities by name."""
