"""What the discriminator may say: penalties on its logits."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxgan.augment import Augmentation, chain_batch, flip, translation
from jaxgan.ranges import Fraction
from jaxgan.schedules import Weight, at
from jaxgan.terms import leaf_mean, running_mean, stateless
from jaxgan.types import LossInputs, Term, Tree, UsageError


def lecam(weight: Weight = 0.3, decay: Fraction = 0.99) -> Term:
    """Each kind near the other's past, https://arxiv.org/abs/2104.03310.

    weight (E[(D(x) - a_fake)^2] + E[(D(G(z)) - a_real)^2]). `a_real` and `a_fake` are
    running means of D's logits as they were before this update, from 0 on, one number
    for all leaves of the logits.

    Args:
      weight: of the sum.
      decay: how much of the running means stays at each update.
    """
    average = running_mean(decay)

    def init():
        return {"real": jnp.zeros(()), "fake": jnp.zeros(())}

    def apply(s: LossInputs, means: Tree) -> tuple[jax.Array, Tree]:
        now = {"real": s.real.logits, "fake": s.fake.logits}
        real = leaf_mean(lambda r: (r - means["fake"]) ** 2, now["real"])
        fake = leaf_mean(lambda f: (f - means["real"]) ** 2, now["fake"])
        new = {k: average(means[k], leaf_mean(lambda x: x, now[k])) for k in means}
        return at(weight, s.step) * (real + fake), new

    return Term(init, apply)


def consistency(
    weight: Weight = 10.0,
    fake: Weight = 0.0,
    by: Augmentation | Sequence[Augmentation] | None = None,
) -> Term:
    """The same answer to an augmented example, https://arxiv.org/abs/1910.12027 (CR).

    weight E[(D(x) - D(T(x)))^2] at real data; `fake` weighs the same at generated data,
    https://arxiv.org/abs/2002.04724 (bCR).

    Args:
      weight: at real data.
      fake: at generated data; 0 leaves it out.
      by: what T does, one augmentation after another, with probability 1; by default a
        horizontal flip half of the time, and a shift by up to 1/8 of the size.

    Raises:
      UsageError: while tracing, if `by` is not given and examples are no images.
    """

    def distance(s: LossInputs, x: Tree) -> jax.Array:
        changed = chain_batch(consistency_augmentations(x, by))(s.keys, x, jnp.ones(()))
        pair = s.critic(x).logits, s.critic(changed).logits
        return leaf_mean(lambda here, there: (here - there) ** 2, *pair)

    def term(s: LossInputs) -> jax.Array:
        real = at(weight, s.step) * distance(s, s.samples.real)
        if fake == 0:
            return real
        return real + at(fake, s.step) * distance(s, s.samples.fake)

    return stateless(term)


def consistency_augmentations(
    samples: Tree, by: Augmentation | Sequence[Augmentation] | None
) -> Sequence[Augmentation]:
    """What T does to samples, in its order; raises UsageError if that is unknown."""
    if by is not None:
        return [by] if callable(by) else by
    shapes = [leaf.shape for leaf in jax.tree.leaves(samples)]
    if any(len(shape) != 4 for shape in shapes):
        raise UsageError(
            f"consistency flips and shifts images [B, H, W, C]; these are {shapes}: "
            "say what to do instead, such as consistency(by=...)"
        )
    return [flip(), translation()]
