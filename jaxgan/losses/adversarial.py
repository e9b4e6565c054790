"""Adversarial losses: one term for each player.

Logits are high for samples that the discriminator classifies as real. Every loss is a
mean over examples, then over the leaves of the logits, so that each scale or domain has
the same weight. Both players minimize their loss.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import nn

from jaxgan.ranges import Fraction, Number
from jaxgan.terms import batch_mean, leaf_mean, stateless
from jaxgan.types import Players, Term


def minimax(smooth: Fraction = 0.0, smooth_fake: Fraction = 0.0) -> Players[Term]:
    """The minimax loss, which saturates for G, https://arxiv.org/abs/1406.2661.

    V = E[log D(x)] + E[log(1 - D(G(z)))] with D = sigmoid(logit). D minimizes -V, and G
    minimizes the second half of V, so its loss log(1 - D(G(z))) is at most 0.

    Args:
      smooth: label smoothing; D's target for real is `1 - smooth`.
      smooth_fake: D's target for fake; G's loss does not depend on it.
    """
    # log(1 - sigmoid(f)) = -softplus(f).
    generator = stateless(lambda s: leaf_mean(lambda f: -nn.softplus(f), s.fake.logits))
    return Players(generator, _cross_entropy(1 - smooth, smooth_fake))


def non_saturating(
    smooth: Fraction = 0.0, smooth_fake: Fraction = 0.0
) -> Players[Term]:
    """The non-saturating loss: G maximizes log D(G(z)), https://arxiv.org/abs/1406.2661.

    D's loss is that of `minimax`. Tutorials call this binary cross-entropy. It is
    computed from logits.

    Args:
      smooth: label smoothing; D's target for real is `1 - smooth`.
      smooth_fake: D's target for fake; G's loss does not depend on it.
    """
    # -log sigmoid(f) = softplus(-f).
    generator = stateless(lambda s: leaf_mean(lambda f: nn.softplus(-f), s.fake.logits))
    return Players(generator, _cross_entropy(1 - smooth, smooth_fake))


def _cross_entropy(real: float, fake: float) -> Term:
    """Returns a term: the cross-entropy with targets `real` and `fake`.

    It is -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)) for a target t.
    """

    # softplus(-x) + (1 - t) x and softplus(x) - t x equal it, and do not overflow.
    def term(s):
        real_loss = leaf_mean(lambda r: nn.softplus(-r) + (1 - real) * r, s.real.logits)
        return real_loss + leaf_mean(lambda f: nn.softplus(f) - fake * f, s.fake.logits)

    return stateless(term)


def least_squares(a: Number = 0.0, b: Number = 1.0, c: Number = 1.0) -> Players[Term]:
    """The least-squares loss of LSGAN, https://arxiv.org/abs/1611.04076, equation 2.

    Args:
      a: D's target for fake.
      b: D's target for real.
      c: G's target for fake.
    """

    def discriminator(s):
        # E[(D(x) - b)^2] / 2 + E[(D(G(z)) - a)^2] / 2.
        real = leaf_mean(lambda r: (r - b) ** 2, s.real.logits)
        return 0.5 * (real + leaf_mean(lambda f: (f - a) ** 2, s.fake.logits))

    # E[(D(G(z)) - c)^2] / 2.
    generator = stateless(
        lambda s: 0.5 * leaf_mean(lambda f: (f - c) ** 2, s.fake.logits)
    )
    return Players(generator, stateless(discriminator))


def wasserstein() -> Players[Term]:
    """The Wasserstein loss: a difference of means, https://arxiv.org/abs/1701.07875.

    The critic must be Lipschitz: clip its weights, or add a gradient penalty.
    """

    def discriminator(s):
        # E[D(G(z))] - E[D(x)].
        real = leaf_mean(lambda r: r, s.real.logits)
        return leaf_mean(lambda f: f, s.fake.logits) - real

    generator = stateless(lambda s: leaf_mean(lambda f: -f, s.fake.logits))
    return Players(generator, stateless(discriminator))


def hinge() -> Players[Term]:
    """The hinge loss of https://arxiv.org/abs/1705.02894."""

    def discriminator(s):
        # E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))].
        real = leaf_mean(lambda r: nn.relu(1 - r), s.real.logits)
        return real + leaf_mean(lambda f: nn.relu(1 + f), s.fake.logits)

    generator = stateless(lambda s: leaf_mean(lambda f: -f, s.fake.logits))
    return Players(generator, stateless(discriminator))


def relativistic() -> Players[Term]:
    """The relativistic pairing loss (RpGAN), https://arxiv.org/abs/2501.05441.

    L_G = E softplus(-(D(fake) - D(real))), L_D = E softplus(-(D(real) - D(fake))). Each
    fake is paired with the real example at the same place in the batch.
    """

    def margin(sign):
        def pair_loss(real, fake):
            return nn.softplus(sign * (fake - real))

        return stateless(lambda s: leaf_mean(pair_loss, s.real.logits, s.fake.logits))

    # The losses of the players differ in the sign only.
    return Players(generator=margin(-1.0), discriminator=margin(1.0))


def relativistic_average() -> Players[Term]:
    """The relativistic average loss (RaSGAN), https://arxiv.org/abs/1807.00734.

    L_D = E softplus(-(D(real) - E D(fake))) + E softplus(D(fake) - E D(real)). L_G is
    the same with real and fake exchanged. The inner means are over the batch of all
    devices: for each leaf of the logits, over its examples and positions.
    """

    # The mean over the batch of all devices, then over positions.
    def against_mean(x, other, axis):
        return jax.tree.map(lambda x, y: x - jnp.mean(batch_mean(y, axis)), x, other)

    def margin(sign):
        def term(s):
            # Each side is compared with the mean of the other.
            real = against_mean(s.real.logits, s.fake.logits, s.axis)
            fake = against_mean(s.fake.logits, s.real.logits, s.axis)
            real_loss = leaf_mean(lambda r: nn.softplus(-sign * r), real)
            return real_loss + leaf_mean(lambda f: nn.softplus(sign * f), fake)

        return stateless(term)

    # Exchanging real and fake is the same as changing the sign.
    return Players(generator=margin(-1.0), discriminator=margin(1.0))


def none() -> Players[Term]:
    """No adversarial loss: 0 for both players.

    It trains the generator by its other terms alone, such as `l1`: the baseline that
    papers on translation compare with.
    """
    zero = stateless(lambda s: jnp.zeros(()))
    return Players(generator=zero, discriminator=zero)


LOSSES: dict[str, Callable[..., Players[Term]]] = {
    f.__name__: f
    for f in (
        minimax,
        non_saturating,
        least_squares,
        wasserstein,
        hinge,
        relativistic,
        relativistic_average,
        none,
    )
}
"""Adversarial losses by name."""
