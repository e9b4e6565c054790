"""Penalties on the gradients of the discriminator and of the generator."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxgan.errors import UsageError
from jaxgan.ranges import Fraction, NonNegative, Positive, Width
from jaxgan.schedules import Value, Weight, at
from jaxgan.terms import batch_mean, leaf_mean, running_mean, stateless
from jaxgan.types import DiscriminatorOutput, LossInputs, Term, Tree

Critic = Callable[[Tree], DiscriminatorOutput]
"""The discriminator as a function of samples."""


def squared_gradient_norm(critic: Critic, samples: Tree) -> jax.Array:
    """Returns the squared gradient norm for each row of the critic's logits, `[rows]`.

    The logits of a row are summed first. The norm is over all leaves and axes of the
    examples of a row: one example, or the m consecutive ones that `pack` joins.

    Args:
      critic: a function of samples.
      samples: leaves `[B, ...]`.
    """
    logits, pull = jax.vjp(lambda x: critic(x).logits, samples)
    # The gradient of the sum of all logits: an example affects its own row only.
    (grads,) = pull(jax.tree.map(jnp.ones_like, logits))
    rows = len(jax.tree.leaves(logits)[0])
    # `[B]` to `[rows]`: the examples of a pack are one row.
    return squared_norm(grads).reshape(rows, -1).sum(1)


def every_nth(tree: Tree, n: int) -> Tree:
    """Returns every n-th example of leaves `[B, ...]`: `[B / n, ...]`.

    Parts of a batch on several devices have the same examples as the whole batch.

    Raises:
      UsageError: if B is not a multiple of n.
    """
    for leaf in jax.tree.leaves(tree):
        if len(leaf) % n:
            raise UsageError(
                f"batch_shrink={n}: the batch of each device is {len(leaf)}, which "
                f"must be a multiple of it: {math.gcd(n, len(leaf))} would do"
            )
    return jax.tree.map(lambda x: x[::n], tree)


def squared_norm(tree: Tree) -> jax.Array:
    """Returns the squared norm of each example over its leaves and axes, `[B]`."""
    leaves = jax.tree.leaves(tree)
    # One `[B]` per leaf.
    squares = [jnp.sum(x**2, axis=tuple(range(1, x.ndim))) for x in leaves]
    return jnp.stack(squares).sum(0)


def norm(squared: jax.Array) -> jax.Array:
    """Returns the square root, with an epsilon that keeps the gradient finite at 0."""
    return jnp.sqrt(squared + 1e-12)


def normal_like(keys: jax.Array, samples: Tree) -> Tree:
    """Returns standard normal noise shaped like the samples, from a key per example."""
    return jax.vmap(optax.tree.random_like)(keys, samples)


def r1(gamma: Weight = 10.0, batch_shrink: Width = 1) -> Term:
    """Zero-centered gradient penalty on real data, https://arxiv.org/abs/1801.04406.

    gamma/2 E[|grad D(x)|^2], summed over H, W, C (equation 9).

    Args:
      gamma: twice the factor of the mean. In a recipe, `auto` is that of
        `jaxgan.losses.gamma.gamma_of`.
      batch_shrink: n, such as 4. The penalty is computed on every n-th example of the
        batch, which is an unbiased estimate for 1/n of the cost. The batch of each
        device must be a multiple of it.
    """

    def term(s: LossInputs) -> jax.Array:
        # The critic augments its samples itself.
        some = every_nth(s.samples.real, batch_shrink)
        squares = squared_gradient_norm(s.critic, some)
        return at(gamma, s.step) / 2 * jnp.mean(squares)

    return stateless(term)


def r2(gamma: Weight = 10.0, batch_shrink: Width = 1) -> Term:
    """Zero-centered gradient penalty on fakes, https://arxiv.org/abs/1801.04406.

    gamma/2 E[|grad D(G(z))|^2], summed over H, W, C.

    Args:
      gamma: twice the factor of the mean.
      batch_shrink: n; the penalty is computed on every n-th fake, as in `r1`.
    """

    def term(s: LossInputs) -> jax.Array:
        some = every_nth(s.samples.fake, batch_shrink)
        squares = squared_gradient_norm(s.critic, some)
        return at(gamma, s.step) / 2 * jnp.mean(squares)

    return stateless(term)


def approximate_r1(gamma: Weight = 0.1, sigma: Positive = 0.01) -> Term:
    """`r1` without a second derivative, https://arxiv.org/abs/2509.24935 (GAT).

    gamma/2 E[((D(x + sigma e) - D(x)) / sigma)^2] with e ~ N(0, I). For small sigma the
    expectation of the square is |grad D(x)|^2 of each logit, which is averaged over
    positions and leaves. `r1` sums the logits of an example first.

    Args:
      gamma: twice the factor of the mean, like in `r1`.
      sigma: standard deviation of the noise. The difference loses more digits as sigma
        becomes smaller, so the logits must be float32.

    Raises:
      UsageError: if `sigma` is not more than 0.
    """
    return _difference(lambda s: s.samples.real, gamma, sigma)


def approximate_r2(gamma: Weight = 0.1, sigma: Positive = 0.01) -> Term:
    """`approximate_r1` on generated data, with the same noise.

    Args:
      gamma: twice the factor of the mean.
      sigma: standard deviation of the noise.

    Raises:
      UsageError: if `sigma` is not more than 0.
    """
    return _difference(lambda s: s.samples.fake, gamma, sigma)


def _difference(
    samples: Callable[[LossInputs], Tree], gamma: Value, sigma: float
) -> Term:
    """Returns the term of `approximate_r1` on either kind of samples."""
    if sigma <= 0:
        raise UsageError(f"sigma={sigma}: must be more than 0, such as 0.01")

    def term(s):
        # One finite difference in a random direction.
        clean = samples(s)
        noise = normal_like(s.keys, clean)
        noisy = jax.tree.map(lambda x, e: x + sigma * e, clean, noise)
        # Both calls have the same dropout mask, so that only the noise differs.
        logits = s.critic(noisy).logits, s.critic(clean).logits
        squared_slope = leaf_mean(lambda n, c: ((n - c) / sigma) ** 2, *logits)
        return at(gamma, s.step) / 2 * squared_slope

    return stateless(term)


def gradient_penalty(
    weight: Weight = 10.0, one_sided: bool = False, batch_shrink: Width = 1
) -> Term:
    """Gradient penalty of WGAN-GP, https://arxiv.org/abs/1704.00028.

    weight E[(|grad D(x)| - 1)^2] at x = t real + (1 - t) fake. The mixing factor t is
    uniform in [0, 1), drawn for each example. The norm is smooth at zero.

    Args:
      weight: factor of the mean.
      one_sided: if True, penalizes only norms above 1, https://arxiv.org/abs/1709.08894.
      batch_shrink: n; the penalty is computed on every n-th pair, as in `r1`.
    """

    def mix(key, real, fake):
        t = jax.random.uniform(key)
        return jax.tree.map(lambda r, f: t * r + (1 - t) * f, real, fake)

    def term(s: LossInputs) -> jax.Array:
        # One factor per example, the same for all leaves.
        pairs = every_nth((s.keys, s.samples.real, s.samples.fake), batch_shrink)
        between = jax.vmap(mix)(*pairs)
        excess = norm(squared_gradient_norm(s.critic, between)) - 1
        # Norms below 1 are not penalized.
        excess = jax.nn.relu(excess) if one_sided else excess
        return at(weight, s.step) * jnp.mean(excess**2)

    return stateless(term)


def dragan(weight: Weight = 10.0, sigma: NonNegative = 0.5) -> Term:
    """Gradient penalty of DRAGAN around real data, https://arxiv.org/abs/1705.07215.

    weight E[(|grad D(x + sigma std e)| - 1)^2], with e ~ N(0, I) for each example.

    Args:
      weight: factor of the mean.
      sigma: standard deviation of the noise, relative to that of the data, which is
        computed for each leaf over the batch of all devices.
    """

    def term(s: LossInputs) -> jax.Array:
        real = s.samples.real
        noise = normal_like(s.keys, real)
        # The noise is as large as the data, up to sigma.
        scales = jax.tree.map(lambda x: sigma * deviation(x, s.axis), real)
        around = jax.tree.map(lambda x, c, e: x + c * e, real, scales, noise)
        excess = norm(squared_gradient_norm(s.critic, around)) - 1
        return at(weight, s.step) * jnp.mean(excess**2)

    return stateless(term)


def deviation(x: jax.Array, axis: str | None) -> jax.Array:
    """Returns the standard deviation over all entries and devices, `[]`."""
    # All devices subtract the same mean.
    mean = jnp.mean(batch_mean(x, axis))
    return norm(jnp.mean(batch_mean((x - mean) ** 2, axis)))


def path_length(weight: Weight = 2.0, decay: Fraction = 0.99) -> Term:
    """Path length regularization, https://arxiv.org/abs/1912.04958, equation 4.

    A term of the generator: weight E[(|J^T y| - a)^2] for J = dG(z)/dz and
    y ~ N(0, I) / sqrt(H W), drawn for each example. If samples are vectors, y is not
    scaled down. `a` is the running mean of |J^T y| before this update, and starts at 0.

    With a mapping network J is dG(w)/dw, for one style per layer, and |J^T y|^2 is the
    mean over layers, not the sum. Then the weight 2 is the paper's at all resolutions:
    ln 2 / (r^2 (ln r - ln 2)) for images of r x r pixels, y ~ N(0, I) and the sum over
    2 log2(r) - 2 layers. The paper evaluates it at every eighth step:
    `every(8, path_length(2))`.

    Args:
      weight: factor of the mean.
      decay: decay of the running mean at each update.

    Raises:
      UsageError: if `decay` is not in [0, 1); while tracing, if there are no latents.
    """
    average = running_mean(decay)

    def apply(s: LossInputs, mean: jax.Array) -> tuple[jax.Array, jax.Array]:
        # |J^T y| of each example, `[B]`.
        lengths = norm(vjp_squares(s))
        # `mean` is from before this update, and constant to the gradient.
        value = at(weight, s.step) * jnp.mean((lengths - mean) ** 2)
        return value, average(mean, jnp.mean(lengths))

    return Term(lambda: jnp.zeros(()), apply)


def vjp_squares(s: LossInputs) -> jax.Array:
    """Returns |J^T y|^2 of the generator for each example, `[B]`."""
    # A generator with an encoder takes examples beside latents.
    encodes = isinstance(s.samples.real, dict) and "z" in s.samples.real
    if s.samples.latents is None or s.generator is None or encodes:
        raise UsageError(
            "path_length needs latents: use a task with noise, such as generate"
        )
    # The styles are a function of the parameters too.
    latents = s.samples.latents if s.styles is None else s.styles(s.samples.latents)
    # J^T y is one pullback of the generator.
    fake, pull = jax.vjp(s.generator, latents)

    # y / sqrt(H W); the product of no axes is 1, which leaves vectors alone.
    def per_pixel(y):
        return y / jnp.sqrt(float(math.prod(y.shape[1:-1])))

    squares = squared_norm(pull(jax.tree.map(per_pixel, normal_like(s.keys, fake)))[0])
    if s.styles is None:
        return squares
    return squares / jax.tree.leaves(latents)[0].shape[1]
