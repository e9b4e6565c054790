"""What else the discriminator tells: terms on its features and its class logits."""

import jax
import jax.numpy as jnp
import optax

from jaxgan.schedules import Weight, at
from jaxgan.terms import batch_mean, stateless
from jaxgan.types import DiscriminatorOutput, LossInputs, Term, UsageError


def feature_matching(weight: Weight = 1.0) -> Term:
    """The same mean features for real and fake, https://arxiv.org/abs/1606.03498.

    weight |E f(x) - E f(G(z))|^2, summed over the axes of a feature, mean over leaves;
    the means are over the batch of all devices. A term of the generator.

    Raises:
      UsageError: while tracing, if the discriminator returns no features.
    """

    def term(s: LossInputs) -> jax.Array:
        def squared_gap(real, fake):
            gap = batch_mean(real, s.axis) - batch_mean(fake, s.axis)
            return jnp.sum(gap**2)

        gaps = jax.tree.map(squared_gap, s.real.features, s.fake.features)
        gaps = jax.tree.leaves(gaps)
        if not gaps:
            raise UsageError(
                "feature_matching: this discriminator returns no features: "
                "--networks=mlp does"
            )
        return at(weight, s.step) * jnp.stack(gaps).mean()

    return stateless(term)


def auxiliary_classifier(real: Weight = 1.0, fake: Weight = 1.0) -> Term:
    """The label found again, https://arxiv.org/abs/1610.09585 (AC-GAN).

    -real E[log P(c | x)] - fake E[log P(c | G(z, c))], for both players alike.

    Args:
      real: weight at real data; 0 leaves it out.
      fake: weight at generated data; 0 leaves it out.

    Raises:
      UsageError: while tracing, if there are no labels or no class logits.
    """
    sides = {"real": real, "fake": fake}
    used = {name: weight for name, weight in sides.items() if weight != 0}

    def term(s: LossInputs) -> jax.Array:
        labels = s.samples.condition
        if labels is None:
            raise UsageError("auxiliary_classifier: no labels: --task=conditional")

        def loss(name):
            logits = require_class_logits(getattr(s, name), "auxiliary_classifier")
            cross = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return at(used[name], s.step) * jnp.mean(cross)

        return sum((loss(name) for name in used), start=jnp.zeros(()))

    return stateless(term)


def mutual_information(weight: Weight = 1.0) -> Term:
    """The code of a fake found again, https://arxiv.org/abs/1606.03657 (InfoGAN).

    weight E[-log Q(c | G(z, c))], for both players alike: cross-entropy of the
    `category` `[B, K]` with the first K class logits, plus 1/2 |c - mu|^2 of the
    `continuous` `[B, c]` with the rest as mu: the negative log-likelihood of a Gaussian
    of variance one, without its constant.

    Raises:
      UsageError: while tracing, if there is no code, or not one class logit for each of
        its entries.
    """

    def term(s: LossInputs) -> jax.Array:
        code = s.samples.reconstruction
        if not isinstance(code, dict) or not code.keys() & {"category", "continuous"}:
            raise UsageError("mutual_information: no code: --task=codes has one")
        found = require_class_logits(s.fake, "mutual_information")
        none = jnp.zeros((len(found), 0))
        category = code.get("category", none)
        continuous = code.get("continuous", none)
        first, rest = category.shape[1], continuous.shape[1]
        if found.shape[1] != first + rest:
            raise UsageError(
                f"mutual_information: a code of {first} + {rest} entries, but "
                f"{found.shape[1]} class logits: "
                f"--discriminator_wrap=classifier({first + rest})"
            )
        nll = 0.5 * jnp.sum((found[:, first:] - continuous) ** 2, 1)
        if first:
            nll += optax.softmax_cross_entropy(found[:, :first], category)
        return at(weight, s.step) * jnp.mean(nll)

    return stateless(term)


def require_class_logits(critique: DiscriminatorOutput, wanted_by: str) -> jax.Array:
    """The class logits; raises UsageError if there are none."""
    if critique.class_logits is None:
        raise UsageError(
            f"{wanted_by}: no class logits: --discriminator_wrap=classifier has them"
        )
    return critique.class_logits
