"""The likelihood of real texts under a generator."""

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.schedules import Weight, at
from jaxgan.terms import batch_mean, stateless
from jaxgan.types import LossInputs, Term


def likelihood(weight: Weight = 1.0) -> Term:
    """The negative log-likelihood of real texts, in nats per token.

    weight E[-log p(token | tokens before)], a mean over the tokens of the batch up to
    the end of each text. With the loss `none` it trains a language model, and beside
    another loss it keeps the generator near one. The task must be `text`.

    Args:
      weight: factor of the mean.

    Raises:
      UsageError: while tracing, if the task has no likelihoods.
    """

    def term(s: LossInputs) -> jax.Array:
        found = s.samples.reconstruction
        if not isinstance(found, dict) or "log_likelihood" not in found:
            raise UsageError("likelihood needs a generator of texts: use the task text")
        total = jnp.sum(found["log_likelihood"], 1)
        # Devices have different numbers of tokens, and the mean is over all of them.
        tokens = jnp.mean(batch_mean(jnp.sum(found["is_token"], 1), s.axis))
        return -at(weight, s.step) * jnp.mean(total) / tokens

    return stateless(term)
