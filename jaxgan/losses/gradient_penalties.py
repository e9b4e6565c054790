"""How steep the players are: penalties on their gradients."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxgan.ranges import Fraction, NonNegative, Positive
from jaxgan.schedules import Value, Weight, at
from jaxgan.terms import batch_mean, leaf_mean, running_mean, stateless
from jaxgan.types import DiscriminatorOutput, LossInputs, Term, Tree, UsageError

Critic = Callable[[Tree], DiscriminatorOutput]


def squared_gradient_norm(critic: Critic, samples: Tree) -> jax.Array:
    """Squared norm of the critic's gradient at each row of its logits, `[rows]`.

    The logits of a row are summed first; the norm is over all leaves and axes of its
    examples: one, or the m consecutive ones that a critic packs into a row.
    """
    logits, pull = jax.vjp(lambda x: critic(x).logits, samples)
    (grads,) = pull(jax.tree.map(jnp.ones_like, logits))
    rows = len(jax.tree.leaves(logits)[0])
    return squared_norm(grads).reshape(rows, -1).sum(1)


def squared_norm(tree: Tree) -> jax.Array:
    """Of each example, over its leaves and axes, `[B]`."""
    leaves = jax.tree.leaves(tree)
    squares = [jnp.sum(x**2, axis=tuple(range(1, x.ndim))) for x in leaves]
    return jnp.stack(squares).sum(0)


def norm(squared: jax.Array) -> jax.Array:
    """A root whose gradient is finite at zero."""
    return jnp.sqrt(squared + 1e-12)


def normal_like(keys: jax.Array, samples: Tree) -> Tree:
    """Standard normal noise in the shape of the samples, from one key per example."""
    return jax.vmap(optax.tree.random_like)(keys, samples)


def r1(gamma: Weight = 10.0) -> Term:
    """Zero-centred slope at real data, https://arxiv.org/abs/1801.04406, equation 9.

    gamma/2 E[|grad D(x)|^2], summed over H, W, C.
    """
    return stateless(
        lambda s: (
            at(gamma, s.step)
            / 2
            * jnp.mean(squared_gradient_norm(s.critic, s.samples.real))
        )
    )


def r2(gamma: Weight = 10.0) -> Term:
    """Zero-centred slope at generated data, https://arxiv.org/abs/1801.04406."""
    return stateless(
        lambda s: (
            at(gamma, s.step)
            / 2
            * jnp.mean(squared_gradient_norm(s.critic, s.samples.fake))
        )
    )


def approximate_r1(gamma: Weight = 0.1, sigma: Positive = 0.01) -> Term:
    """`r1` without a second derivative, https://arxiv.org/abs/2509.24935 (GAT).

    gamma/2 E[((D(x + sigma e) - D(x)) / sigma)^2] with e ~ N(0, I): for small sigma its
    expectation is |grad D(x)|^2 of each logit, which is then averaged over positions
    and leaves (`r1` sums the logits of an example first).

    Args:
      gamma: as in `r1`.
      sigma: standard deviation of the noise. The smaller it is, the more digits the
        difference loses: logits are to be float32.
    """
    return _difference(lambda s: s.samples.real, gamma, sigma)


def approximate_r2(gamma: Weight = 0.1, sigma: Positive = 0.01) -> Term:
    """`approximate_r1` at generated data, with the same noise."""
    return _difference(lambda s: s.samples.fake, gamma, sigma)


def _difference(
    samples: Callable[[LossInputs], Tree], gamma: Value, sigma: float
) -> Term:
    if sigma <= 0:
        raise UsageError(f"sigma={sigma}: it divides by it; 0.01 is the usual value")

    def term(s):
        here = samples(s)
        noise = normal_like(s.keys, here)
        near = jax.tree.map(lambda x, e: x + sigma * e, here, noise)
        pair = s.critic(near).logits, s.critic(here).logits
        return (
            at(gamma, s.step)
            / 2
            * leaf_mean(lambda n, h: ((n - h) / sigma) ** 2, *pair)
        )

    return stateless(term)


def gradient_penalty(weight: Weight = 10.0, one_sided: bool = False) -> Term:
    """Slope one between real and fake, https://arxiv.org/abs/1704.00028 (WGAN-GP).

    weight E[(|grad D(x)| - 1)^2] at x = t real + (1 - t) fake. The mixing factor t is
    drawn for each example; the norm is smooth at zero.

    Args:
      weight: of the mean.
      one_sided: only slopes above one count, https://arxiv.org/abs/1709.08894.
    """

    def mix(key, real, fake):
        t = jax.random.uniform(key)
        return jax.tree.map(lambda r, f: t * r + (1 - t) * f, real, fake)

    def term(s: LossInputs) -> jax.Array:
        between = jax.vmap(mix)(s.keys, s.samples.real, s.samples.fake)
        excess = norm(squared_gradient_norm(s.critic, between)) - 1
        counted = jax.nn.relu(excess) if one_sided else excess
        return at(weight, s.step) * jnp.mean(counted**2)

    return stateless(term)


def dragan(weight: Weight = 10.0, sigma: NonNegative = 0.5) -> Term:
    """Slope one around real data, https://arxiv.org/abs/1705.07215.

    weight E[(|grad D(x + sigma std e)| - 1)^2], with e ~ N(0, I) for each example.

    Args:
      weight: of the mean.
      sigma: size of the noise in standard deviations of the data, which are taken for
        each leaf over the batch of all devices.
    """

    def term(s: LossInputs) -> jax.Array:
        real = s.samples.real
        noise = normal_like(s.keys, real)
        scales = jax.tree.map(lambda x: sigma * deviation(x, s.axis), real)
        around = jax.tree.map(lambda x, c, e: x + c * e, real, scales, noise)
        excess = norm(squared_gradient_norm(s.critic, around)) - 1
        return at(weight, s.step) * jnp.mean(excess**2)

    return stateless(term)


def deviation(x: jax.Array, axis: str | None) -> jax.Array:
    """Standard deviation of all entries of the batch of all devices, `[]`."""
    mean = jnp.mean(batch_mean(x, axis))
    return norm(jnp.mean(batch_mean((x - mean) ** 2, axis)))


def path_length(weight: Weight = 2.0, decay: Fraction = 0.99) -> Term:
    """Equal slopes of G at all latents, https://arxiv.org/abs/1912.04958, equation 4.

    weight E[(|J^T y| - a)^2] for J = dG(z)/dz and y ~ N(0, I) / sqrt(H W), drawn for
    each example; y is not scaled down where samples are vectors. `a` is the running
    mean of |J^T y| as it was before this update, from 0 on. A term of the generator.

    Args:
      weight: of the mean.
      decay: how much of the running mean stays at each update.
    """
    average = running_mean(decay)

    def apply(s: LossInputs, mean: jax.Array) -> tuple[jax.Array, jax.Array]:
        lengths = norm(squared_norm(vjp_norm(s)))
        value = at(weight, s.step) * jnp.mean((lengths - mean) ** 2)
        return value, average(mean, jnp.mean(lengths))

    return Term(lambda: jnp.zeros(()), apply)


def vjp_norm(s: LossInputs) -> Tree:
    """J^T y of the generator at each example, in the shape of its latents."""
    if s.samples.latents is None or s.generator is None:
        raise UsageError("path_length wants latents: choose --task=generate")
    fake, pull = jax.vjp(s.generator, s.samples.latents)

    def per_pixel(y):
        return y / jnp.sqrt(float(math.prod(y.shape[1:-1])))

    return pull(jax.tree.map(per_pixel, normal_like(s.keys, fake)))[0]
