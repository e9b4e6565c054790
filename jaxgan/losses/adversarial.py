"""Adversarial losses: for each player, one term.

Logits are high for what the discriminator takes for real. Every loss is a mean over
examples, then over the leaves of the logits, so that each scale or domain weighs the
same. Both players minimise.
"""

import jax
import jax.numpy as jnp
from jax import nn

from jaxgan.ranges import Fraction, Number
from jaxgan.terms import batch_mean, leaf_mean, stateless
from jaxgan.types import Players, Term


def minimax(smooth: Fraction = 0.0, smooth_fake: Fraction = 0.0) -> Players[Term]:
    """The value function itself, saturating for G, https://arxiv.org/abs/1406.2661.

    V = E[log D(x)] + E[log(1 - D(G(z)))] with D = sigmoid(logit): G minimises its
    second half, D minimises -V. The value that G reports is log(1 - D(G(z))) <= 0.

    Args:
      smooth: label smoothing, D's target for real is `1 - smooth`.
      smooth_fake: D's target for fake; G's loss does not change.
    """
    generator = stateless(lambda s: leaf_mean(lambda f: -nn.softplus(f), s.fake.logits))
    return Players(generator, _cross_entropy(1 - smooth, smooth_fake))


def non_saturating(
    smooth: Fraction = 0.0, smooth_fake: Fraction = 0.0
) -> Players[Term]:
    """As `minimax`, but G maximises log D(G(z)), https://arxiv.org/abs/1406.2661.

    This is what the tutorials call binary cross-entropy, computed from logits.

    Args:
      smooth: label smoothing, D's target for real is `1 - smooth`.
      smooth_fake: D's target for fake; G's loss does not change.
    """
    generator = stateless(lambda s: leaf_mean(lambda f: nn.softplus(-f), s.fake.logits))
    return Players(generator, _cross_entropy(1 - smooth, smooth_fake))


def _cross_entropy(real: float, fake: float) -> Term:
    """-t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)) at a target t for each side."""

    def term(s):
        of_real = leaf_mean(lambda r: nn.softplus(-r) + (1 - real) * r, s.real.logits)
        return of_real + leaf_mean(lambda f: nn.softplus(f) - fake * f, s.fake.logits)

    return stateless(term)


def least_squares(a: Number = 0.0, b: Number = 1.0, c: Number = 1.0) -> Players[Term]:
    """LSGAN, https://arxiv.org/abs/1611.04076, equation 2.

    Args:
      a: D's target for fake.
      b: D's target for real.
      c: what G wants D to say of fake.
    """

    def discriminator(s):
        real = leaf_mean(lambda r: (r - b) ** 2, s.real.logits)
        return 0.5 * (real + leaf_mean(lambda f: (f - a) ** 2, s.fake.logits))

    generator = stateless(
        lambda s: 0.5 * leaf_mean(lambda f: (f - c) ** 2, s.fake.logits)
    )
    return Players(generator, stateless(discriminator))


def wasserstein() -> Players[Term]:
    """The critic's difference of means, https://arxiv.org/abs/1701.07875.

    It wants a Lipschitz critic: clipped weights, or a gradient penalty.
    """

    def discriminator(s):
        return leaf_mean(lambda f: f, s.fake.logits) - leaf_mean(
            lambda r: r, s.real.logits
        )

    generator = stateless(lambda s: leaf_mean(lambda f: -f, s.fake.logits))
    return Players(generator, stateless(discriminator))


def hinge() -> Players[Term]:
    """The hinge loss of https://arxiv.org/abs/1705.02894."""

    def discriminator(s):
        real = leaf_mean(lambda r: nn.relu(1 - r), s.real.logits)
        return real + leaf_mean(lambda f: nn.relu(1 + f), s.fake.logits)

    generator = stateless(lambda s: leaf_mean(lambda f: -f, s.fake.logits))
    return Players(generator, stateless(discriminator))


def relativistic() -> Players[Term]:
    """Each fake against one real, https://arxiv.org/abs/2501.05441 (RpGAN).

    L_G = E softplus(-(D(fake) - D(real))), L_D = E softplus(-(D(real) - D(fake))),
    paired in the order of the batch.
    """

    def margin(sign):
        def of(real, fake):
            return nn.softplus(sign * (fake - real))

        return stateless(lambda s: leaf_mean(of, s.real.logits, s.fake.logits))

    return Players(generator=margin(-1.0), discriminator=margin(1.0))


def relativistic_average() -> Players[Term]:
    """Each sample against the other kind's mean, https://arxiv.org/abs/1807.00734.

    L_D = E softplus(-(D(real) - E D(fake))) + E softplus(D(fake) - E D(real)) (RaSGAN);
    L_G is the same with real and fake exchanged. The means are over the batch of all
    devices, for each leaf of the logits over its examples and positions.
    """

    def against_mean(x, other, axis):
        return jax.tree.map(lambda x, y: x - jnp.mean(batch_mean(y, axis)), x, other)

    def margin(sign):
        def term(s):
            real = against_mean(s.real.logits, s.fake.logits, s.axis)
            fake = against_mean(s.fake.logits, s.real.logits, s.axis)
            above = leaf_mean(lambda r: nn.softplus(-sign * r), real)
            return above + leaf_mean(lambda f: nn.softplus(sign * f), fake)

        return stateless(term)

    return Players(generator=margin(-1.0), discriminator=margin(1.0))


LOSSES = {
    f.__name__: f
    for f in (
        minimax,
        non_saturating,
        least_squares,
        wasserstein,
        hinge,
        relativistic,
        relativistic_average,
    )
}
