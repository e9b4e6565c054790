"""What is added to an adversarial loss, on either side."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.core import Critique, LossInputs, Term, Tree
from jaxgan.losses import stateless
from jaxgan.schedules import Value, at


def slope(critic: Callable[[Tree], Critique], samples: Tree) -> jax.Array:
    """Squared norm of the critic's gradient at each example, `[B]`.

    The logits of an example are summed first; the norm is over all its leaves and axes.
    """

    def total(x):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(critic(x).logits))

    grads = jax.tree.leaves(jax.grad(total)(samples))
    squares = [jnp.sum(g**2, axis=tuple(range(1, g.ndim))) for g in grads]
    return jnp.stack(squares).sum(0)


def r1(gamma: Value = 10.0) -> Term:
    """Zero-centred slope at real data, https://arxiv.org/abs/1801.04406, equation 9.

    gamma/2 E[|grad D(x)|^2], summed over H, W, C.
    """
    return stateless(
        lambda s: at(gamma, s.step) / 2 * jnp.mean(slope(s.critic, s.samples.real))
    )


def r2(gamma: Value = 10.0) -> Term:
    """Zero-centred slope at generated data, https://arxiv.org/abs/1801.04406."""
    return stateless(
        lambda s: at(gamma, s.step) / 2 * jnp.mean(slope(s.critic, s.samples.fake))
    )


def gradient_penalty(weight: Value = 10.0) -> Term:
    """Slope one between real and fake, https://arxiv.org/abs/1704.00028 (WGAN-GP).

    The mixing factor is drawn for each example; the norm is smooth at zero.
    """

    def mix(key, real, fake):
        t = jax.random.uniform(key)
        return jax.tree.map(lambda r, f: t * r + (1 - t) * f, real, fake)

    def term(s: LossInputs) -> jax.Array:
        between = jax.vmap(mix)(s.keys, s.samples.real, s.samples.fake)
        norm = jnp.sqrt(slope(s.critic, between) + 1e-12)
        return at(weight, s.step) * jnp.mean((norm - 1) ** 2)

    return stateless(term)


REGULARIZERS = {f.__name__: f for f in (r1, r2, gradient_penalty)}
