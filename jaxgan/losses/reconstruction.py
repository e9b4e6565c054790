"""Terms of the generator that compare images: distances, cycles and smoothness.

Each value is a mean over examples, pixels and channels, then over the leaves of a
sample, for images in [-1, 1].
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.schedules import Value, Weight, at
from jaxgan.terms import leaf_mean, stateless
from jaxgan.types import LossInputs, Term, Tree


def l1(weight: Weight = 100.0, region: str = "whole") -> Term:
    """The mean absolute difference of fakes to their targets.

    weight E|x - G|, as in pix2pix, https://arxiv.org/abs/1611.07004, equation 3. The
    task must pair samples: the real sample at the same place is the target.

    Args:
      weight: factor of the mean.
      region: `whole`, or `holes` for the mean over the pixels in holes only; those
        around them are equal in inpainting, and make the mean over all pixels small.

    Raises:
      UsageError: for another region. While tracing, for holes without a mask.
    """
    return weighted(weight, distance("l1", jnp.abs, region))


def l2(weight: Weight = 100.0, region: str = "whole") -> Term:
    """The mean squared difference of fakes to their targets.

    weight E(x - G)^2. The task must pair samples, as for `l1`.

    Args:
      weight: factor of the mean.
      region: as for `l1`.

    Raises:
      UsageError: for another region. While tracing, for holes without a mask.
    """
    return weighted(weight, distance("l2", jnp.square, region))


def distance(
    name: str, cost: Callable[[jax.Array], jax.Array], region: str
) -> Callable[[LossInputs], jax.Array]:
    """Returns a function of loss inputs: the mean cost of real minus fake, `[]`.

    Args:
      name: the term in messages.
      cost: of a difference, entry by entry.
      region: `whole` or `holes`.

    Raises:
      UsageError: for another region.
    """
    if region not in ("whole", "holes"):
        raise UsageError(f"{name}(region={region!r}): choose region from whole, holes")

    def whole(s: LossInputs) -> jax.Array:
        return leaf_mean(lambda r, f: cost(r - f), s.samples.real, s.samples.fake)

    def holes(s: LossInputs) -> jax.Array:
        condition = s.samples.condition
        if not isinstance(condition, dict) or "mask" not in condition:
            raise UsageError(
                f"{name}(region='holes') needs masks: use the task inpainting, or "
                "region='whole'"
            )
        error = cost(s.samples.real - s.samples.fake)
        return jnp.mean(hole_means(error, condition["mask"]))

    return holes if region == "holes" else whole


def hole_means(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns the mean of each image over the pixels in its holes, `[B]`.

    Each image has the same weight, whatever the size of its holes. Without holes its
    mean is 0.

    Args:
      x: `[B, H, W, C]`.
      mask: `[B, H, W, 1]`, 1 in holes, else 0.
    """
    count = jnp.sum(mask, (1, 2, 3)) * x.shape[-1]
    return jnp.sum(x * mask, (1, 2, 3)) / jnp.maximum(count, 1)


def cycle(weight: Weight = 10.0) -> Term:
    """Cycle consistency, https://arxiv.org/abs/1703.10593, equation 2.

    weight E|x - F(G(x))| for each domain, averaged over domains; the paper's value is
    the sum over both. The task returns F(G(x)) as the `reconstruction` of `real`.

    Args:
      weight: factor of the mean.

    Raises:
      UsageError: while tracing, if the task reconstructs no samples.
    """

    return weighted(weight, lambda s: mean_error(*there_and_back("cycle", s)))


def cycle_l2(weight: Weight = 10.0) -> Term:
    """Cycle consistency by squares, for autoencoders of any examples.

    weight E(x - F(G(x)))^2, averaged like `cycle`. Where most pixels are black, the
    median of examples that a mean absolute difference prefers is black everywhere.

    Args:
      weight: factor of the mean.

    Raises:
      UsageError: while tracing, if the task reconstructs no samples.
    """
    return weighted(weight, lambda s: mean_square(*there_and_back("cycle_l2", s)))


def there_and_back(name: str, s: LossInputs) -> tuple[Tree, Tree]:
    """Returns real samples and their reconstructions; raises UsageError without any."""
    real, back = s.samples.real, s.samples.reconstruction
    if jax.tree.structure(real) != jax.tree.structure(back):
        raise UsageError(
            f"{name}: this task maps no sample back: use the task unpaired, domains or "
            "anomaly"
        )
    return real, back


def identity(weight: Weight = 5.0) -> Term:
    """Images of a target domain are left alone, https://arxiv.org/abs/1703.10593.

    weight E|G(y) - y| for images y that are in the generator's target domain already,
    averaged over both domains (section 5.2 of the paper, which sums them). It keeps
    the colors of photographs that become paintings.

    Args:
      weight: factor of the mean.

    Raises:
      UsageError: while tracing, unless samples are of two domains of equal shapes.
    """

    def term(s: LossInputs) -> jax.Array:
        real = s.samples.real
        if not isinstance(real, dict) or s.generator is None or len(real) != 2:
            raise UsageError("identity needs two domains: use the task unpaired")
        (a, x), (b, y) = real.items()
        if x.shape != y.shape:
            raise UsageError(
                f"identity needs images of equal shapes, but {a} is "
                f"{list(x.shape[1:])} and {b} {list(y.shape[1:])}: leave it out with "
                "identity(0), or resize the images"
            )
        # Each network reads the domain that it generates.
        same = s.generator({a: y, b: x})
        return mean_error(same, real)

    return weighted(weight, term)


def total_variation(weight: Weight = 1.0) -> Term:
    """The mean absolute difference of neighboring pixels of fakes.

    weight (E|x[i+1, j] - x[i, j]| + E|x[i, j+1] - x[i, j]|), the anisotropic total
    variation of Rudin, Osher and Fatemi (1992), per pixel.

    Args:
      weight: factor of the sum.

    Raises:
      UsageError: while tracing, if samples are no images.
    """

    def term(s: LossInputs) -> jax.Array:
        if any(x.ndim != 4 for x in jax.tree.leaves(s.samples.fake)):
            raise UsageError("total_variation needs images [B, H, W, C]: leave it out")
        rows = leaf_mean(lambda x: jnp.abs(x[:, 1:] - x[:, :-1]), s.samples.fake)
        columns = leaf_mean(
            lambda x: jnp.abs(x[:, :, 1:] - x[:, :, :-1]), s.samples.fake
        )
        return rows + columns

    return weighted(weight, term)


def weighted(weight: Value, value: Callable[[LossInputs], jax.Array]) -> Term:
    """Returns a term without state: a weight times a value, 0 if the weight is 0.

    With a weight of 0 the value is not computed, so that it may fail.
    """
    # A schedule is never equal to 0, so that only the number leaves the value out.
    if weight == 0:
        return stateless(lambda s: jnp.zeros(()))
    return stateless(lambda s: at(weight, s.step) * value(s))


def mean_error(a: Tree, b: Tree) -> jax.Array:
    """Returns the mean absolute difference of two trees of equal shapes, `[]`."""
    return leaf_mean(lambda x, y: jnp.abs(x - y), a, b)


def mean_square(a: Tree, b: Tree) -> jax.Array:
    """Returns the mean squared difference of two trees of equal shapes, `[]`."""
    return leaf_mean(lambda x, y: (x - y) ** 2, a, b)
