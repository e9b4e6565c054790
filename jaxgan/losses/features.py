"""Terms on the discriminator's features and class logits."""

import jax
import jax.numpy as jnp
import optax

from jaxgan.errors import UsageError
from jaxgan.networks.conditions import DROPPED
from jaxgan.schedules import Weight, at
from jaxgan.terms import batch_mean, stateless
from jaxgan.types import DiscriminatorOutput, LossInputs, Term


def feature_matching(weight: Weight = 1.0, of: str = "means") -> Term:
    """Feature matching, https://arxiv.org/abs/1606.03498: a term of the generator.

    weight |E f(x) - E f(G(z))|^2, summed over the axes of a feature and averaged over
    leaves. The expectations are means over the batch of all devices. Of examples it is
    weight E|f(x) - f(G(z))|, averaged over all axes and leaves, of samples that the
    task pairs, https://arxiv.org/abs/1711.11585.

    Args:
      weight: factor of the term.
      of: `means` of the batch, or `examples`.

    Raises:
      UsageError: for another `of`. While tracing, if the discriminator returns no
        features.
    """
    if of not in ("means", "examples"):
        raise UsageError(f"feature_matching(of={of!r}): choose of from means, examples")

    def term(s: LossInputs) -> jax.Array:
        def gap_of(real, fake):
            if of == "examples":
                return jnp.mean(jnp.abs(real - fake))
            # E f(x) - E f(G(z)), without the axis of examples.
            gap = batch_mean(real, s.axis) - batch_mean(fake, s.axis)
            return jnp.sum(gap**2)

        # The default features are an empty tree.
        gaps = jax.tree.map(gap_of, s.real.features, s.fake.features)
        gaps = jax.tree.leaves(gaps)
        if not gaps:
            raise UsageError(
                "feature_matching: this discriminator returns no features: use "
                "networks that return features, such as mlp"
            )
        return at(weight, s.step) * jnp.stack(gaps).mean()

    return stateless(term)


def auxiliary_classifier(real: Weight = 1.0, fake: Weight = 1.0) -> Term:
    """Classification of samples, https://arxiv.org/abs/1610.09585 (AC-GAN).

    -real E[log P(c | x)] - fake E[log P(c | G(z, c))], the same for both players. For
    attributes, which are independent, log P is the sum over them. Dropped labels count
    as 0; dropped attributes cannot be told from absent ones, and are learned as these.

    Args:
      real: weight at real data; 0 leaves this half out.
      fake: weight at generated data; 0 leaves this half out.

    Raises:
      UsageError: while tracing, if there are no labels or attributes, or no class
        logits, or if their number is not that of the attributes.
    """
    sides = {"real": real, "fake": fake}
    # A half of weight 0 needs no class logits.
    used = {name: weight for name, weight in sides.items() if weight != 0}

    def term(s: LossInputs) -> jax.Array:
        condition = s.samples.condition
        if getattr(condition, "ndim", 0) not in (1, 2):
            raise UsageError(
                "auxiliary_classifier: there are no labels or attributes: use the task "
                "conditional"
            )

        def loss(name):
            logits = require_class_logits(getattr(s, name), "auxiliary_classifier")
            # -log P(c | x) of each example.
            cross = nll(logits, condition, "auxiliary_classifier")
            return at(used[name], s.step) * jnp.mean(cross)

        return sum((loss(name) for name in used), start=jnp.zeros(()))

    return stateless(term)


def domain_classification(real: Weight = 1.0, fake: Weight = 1.0) -> Term:
    """Classification of domains, https://arxiv.org/abs/1711.09020 (StarGAN).

    -real E[log P(own | x)] - fake E[log P(target | G(x, target))], equations 2 and 3.
    The discriminator has the first half and the generator the second. For attributes
    it is the sum of their binary cross-entropies.

    Args:
      real: weight at real data, for the discriminator; 0 leaves this half out.
      fake: weight at generated data, for the generator; 0 leaves this half out.

    Raises:
      UsageError: while tracing, if there are no domains or no class logits, or if their
        number is not that of the domains.
    """
    halves = {"real": real, "fake": fake}
    used = {name: weight for name, weight in halves.items() if weight != 0}

    def term(s: LossInputs) -> jax.Array:
        condition = s.samples.condition
        if not isinstance(condition, dict) or "target" not in condition:
            raise UsageError(
                "domain_classification: there are no domains: use the task domains"
            )
        own = condition.get("attributes", condition.get("label"))
        domains = {"real": own, "fake": condition["target"]}

        def loss(name):
            logits = require_class_logits(getattr(s, name), "domain_classification")
            return at(used[name], s.step) * jnp.mean(nll(logits, domains[name]))

        return sum((loss(name) for name in used), start=jnp.zeros(()))

    return stateless(term)


def nll(
    logits: jax.Array, domain: jax.Array, name: str = "domain_classification"
) -> jax.Array:
    """Returns the negative log-likelihood of labels or attributes, `[B]`.

    Args:
      logits: class logits `[B, k]`.
      domain: labels `[B]`, of which those that are `DROPPED` count as 0, or attributes
        `[B, k]` of 0 and 1, which are independent.
      name: of the term, for messages.
    """
    if domain.ndim == 1:
        cross = optax.softmax_cross_entropy_with_integer_labels(
            logits, jnp.maximum(domain, 0)
        )
        return jnp.where(domain == DROPPED, 0, cross)
    if logits.shape != domain.shape:
        count = domain.shape[1]
        raise UsageError(
            f"{name}: {count} attributes, but {logits.shape[1]} class "
            f"logits: wrap the discriminator in classifier({count})"
        )
    return jnp.sum(optax.sigmoid_binary_cross_entropy(logits, domain), 1)


def mutual_information(weight: Weight = 1.0) -> Term:
    """Recovery of the code of a fake, https://arxiv.org/abs/1606.03657 (InfoGAN).

    weight E[-log Q(c | G(z, c))], the same for both players. For the `category`
    `[B, K]` this is the cross-entropy with the first K class logits. For the
    `continuous` `[B, c]` it is 1/2 |c - mu|^2 with the other class logits as mu: the
    negative log-likelihood of a Gaussian with variance 1, without its constant.

    Args:
      weight: factor of the term.

    Raises:
      UsageError: while tracing, if there is no code, or if the number of class logits
        is not the number of its entries.
    """

    def term(s: LossInputs) -> jax.Array:
        code = s.samples.reconstruction
        if not isinstance(code, dict) or not code.keys() & {"category", "continuous"}:
            raise UsageError("mutual_information: there is no code: use the task codes")
        logits = require_class_logits(s.fake, "mutual_information")
        # A part that the code does not have counts as one of size 0.
        none = jnp.zeros((len(logits), 0))
        category = code.get("category", none)
        continuous = code.get("continuous", none)
        first, rest = category.shape[1], continuous.shape[1]
        # Shapes are known while tracing, so a wrong head fails before training.
        if logits.shape[1] != first + rest:
            raise UsageError(
                f"mutual_information: a code of {first} + {rest} entries, but "
                f"{logits.shape[1]} class logits: wrap the discriminator in "
                f"classifier({first + rest})"
            )
        # The first logits are those of the category, the others are mu.
        nll = 0.5 * jnp.sum((logits[:, first:] - continuous) ** 2, 1)
        # A code may have no category.
        if first:
            nll += optax.softmax_cross_entropy(logits[:, :first], category)
        return at(weight, s.step) * jnp.mean(nll)

    return stateless(term)


def require_class_logits(critique: DiscriminatorOutput, wanted_by: str) -> jax.Array:
    """Returns the class logits; raises UsageError if there are none."""
    if critique.class_logits is None:
        raise UsageError(
            f"{wanted_by}: this discriminator returns no class logits: wrap it in "
            "classifier"
        )
    return critique.class_logits
