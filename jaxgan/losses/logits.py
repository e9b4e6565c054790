"""Penalties on the discriminator's logits."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxgan.augment import Augmentation, chain_batch, flip, translation
from jaxgan.errors import UsageError
from jaxgan.ranges import Fraction
from jaxgan.schedules import Weight, at
from jaxgan.terms import leaf_mean, running_mean, stateless
from jaxgan.types import LossInputs, Term, Tree


def lecam(weight: Weight = 0.3, decay: Fraction = 0.99) -> Term:
    """LeCam regularization, https://arxiv.org/abs/2104.03310.

    Pulls D(real) and D(fake) towards each other's running means: weight
    (E[(D(x) - a_fake)^2] + E[(D(G(z)) - a_real)^2]). `a_real` and `a_fake` are the
    running means of D's logits before this update, one number for all leaves of the
    logits, and start at 0.

    Args:
      weight: factor of the sum.
      decay: decay of the running means at each update.

    Raises:
      UsageError: if `decay` is not in [0, 1).
    """
    # Rejects a wrong decay here, before anything is traced.
    average = running_mean(decay)

    def init():
        return {"real": jnp.zeros(()), "fake": jnp.zeros(())}

    def apply(s: LossInputs, means: Tree) -> tuple[jax.Array, Tree]:
        logits = {"real": s.real.logits, "fake": s.fake.logits}
        # Each side is pulled towards the running mean of the other.
        real = leaf_mean(lambda r: (r - means["fake"]) ** 2, logits["real"])
        fake = leaf_mean(lambda f: (f - means["real"]) ** 2, logits["fake"])
        # The new means are for the next update.
        new = {k: average(means[k], leaf_mean(lambda x: x, logits[k])) for k in means}
        return at(weight, s.step) * (real + fake), new

    return Term(init, apply)


def consistency(
    weight: Weight = 10.0,
    fake: Weight = 0.0,
    by: Augmentation | Sequence[Augmentation] | None = None,
) -> Term:
    """Consistency regularization, https://arxiv.org/abs/1910.12027 (CR).

    weight E[(D(x) - D(T(x)))^2] on real data, plus the same with weight `fake` on
    generated data (balanced CR, https://arxiv.org/abs/2002.04724).

    Args:
      weight: weight on real data.
      fake: weight on generated data; 0 leaves it out.
      by: the augmentations of T, applied in order with probability 1. The default is a
        horizontal flip half of the time, then a shift by up to 1/8 of the size.

    Raises:
      UsageError: while tracing, if `by` is not given and examples are not images.
    """

    def distance(s: LossInputs, x: Tree) -> jax.Array:
        # p = 1: T is always applied.
        changed = chain_batch(consistency_augmentations(x, by))(s.keys, x, jnp.ones(()))
        # Both calls have the same dropout mask, so that only T differs.
        logits = s.critic(x).logits, s.critic(changed).logits
        return leaf_mean(lambda original, other: (original - other) ** 2, *logits)

    def term(s: LossInputs) -> jax.Array:
        real = at(weight, s.step) * distance(s, s.samples.real)
        # A schedule is never equal to 0, so that only the number leaves it out.
        if fake == 0:
            return real
        return real + at(fake, s.step) * distance(s, s.samples.fake)

    return stateless(term)


def consistency_augmentations(
    samples: Tree, by: Augmentation | Sequence[Augmentation] | None
) -> Sequence[Augmentation]:
    """Returns the augmentations of T for some samples.

    Args:
      samples: leaves `[B, H, W, C]`, unless `by` is given.
      by: the augmentations; None for a flip and a shift of images.

    Raises:
      UsageError: if `by` is None and the samples are not images.
    """
    if by is not None:
        return [by] if callable(by) else by
    shapes = [leaf.shape for leaf in jax.tree.leaves(samples)]
    if any(len(shape) != 4 for shape in shapes):
        raise UsageError(
            f"consistency flips and shifts images [B, H, W, C], not {shapes}: choose "
            "other augmentations with consistency(by=...)"
        )
    # With p = 1, `flip` mirrors half of the images.
    return [flip(), translation()]
