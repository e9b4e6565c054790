"""Generation with an encoder, to find examples that are unlike the training data."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.ranges import NonNegative, Probability, Width
from jaxgan.tasks.generate import generated_field
from jaxgan.tasks.latents import latent_sampler
from jaxgan.types import AnomalyParts, Batch, ExampleSpec, Samples, Task, Tree


def anomaly(
    dim: Width = 32,
    noise: NonNegative = 0.5,
    blur: NonNegative = 1.0,
    contrast: Probability = 0.5,
    features: NonNegative = 0.1,
    latents: str = "normal",
    *,
    example: ExampleSpec | None = None,
) -> Task:
    """Trains a generator G, an encoder E, and a discriminator of (example, latent).

    Real is (x, E(x)) and fake is (G(z), z), as in BiGAN and ALI,
    https://arxiv.org/abs/1605.09782 and https://arxiv.org/abs/1606.00704. The
    `reconstruction` is (G(E(x)), E(G(z))), for the terms `cycle` (ALICE,
    https://arxiv.org/abs/1709.01215) and `encoder` (f-AnoGAN,
    https://doi.org/10.1016/j.media.2019.01.010). Networks are a single generator with
    both parts, such as `encoder_mlp`: it maps `image` and `z` to G(z) and E(x).

    An example is unusual if G(E(x)) differs from it, in pixels or in the features of
    the discriminator. With `noise`, the encoder learns to remove it: other examples
    than normal ones are restored badly.

    Args:
      dim: entries of a latent.
      noise: standard deviation of the noise that is added to the examples that the
        encoder reads, in training only.
      blur: standard deviation of the Gaussian, in pixels, that smooths differences
        before they are squared, as edges are never at their place exactly; 0 for none.
      contrast: power of an example's variance that divides its squared differences, as
        those of faint examples are small; 0 for none.
      features: weight of the distance of features in the score, beside 1 of pixels,
        unless weights are chosen on normal examples.
      latents: `normal` or `uniform` (in (-1, 1)).
      example: the fields of an example, of which the first is generated; `image` if
        None.

    Raises:
      FieldError: for texts, which the task `text` generates.
      UsageError: for an unknown distribution, or if `dim` is less than 1.
    """
    sample_latent = latent_sampler(dim, latents)
    field = generated_field(example, "anomaly")

    def play(generator, batch, keys, step):
        x, z = batch[field], jax.vmap(sample_latent)(keys)
        if example is not None and x.shape[1:] != example.shape:
            # Samples do not depend on the examples, which may be left out.
            x = jnp.zeros((len(z), *example.shape))
        made = generator({field: batch.get(NOISY, x), "z": z})
        real, fake = {field: x, "z": made["z"]}, {field: made[field], "z": z}
        back = generator({field: fake[field], "z": real["z"]})
        return Samples(real, fake, reconstruction=back, latents=z)

    return Task(
        play,
        requires=(field,),
        preview=lambda s: columns(s, field),
        augment=noise_adder(field, noise) if noise else None,
        score=scorer(field, dim, blur, contrast),
        weights={"features": features},
    )


FAINT = 1e-2
"""Added to the variance of examples in [-1, 1], so that blank ones have a score."""

NOISY = "noisy"
"""The field of the examples that the encoder reads in training, with their noise."""


def noise_adder(field: str, noise: float) -> Callable[[Batch, jax.Array], Batch]:
    """Returns a function that adds the field `NOISY` to batches.

    Args:
      field: the examples.
      noise: standard deviation of what is added to them.
    """

    def augment(batch: Batch, keys: jax.Array) -> Batch:
        x = batch[field]
        normal = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:], x.dtype))
        return {**batch, NOISY: x + noise * normal(keys)}

    return augment


def columns(samples: Samples, field: str) -> dict[str, Tree]:
    """Returns the columns of a preview."""
    return {
        "source": samples.real[field],
        "reconstruction": samples.reconstruction[field],
        "fake": samples.fake[field],
    }


def scorer(
    field: str, dim: int, blur: float, contrast: float
) -> Callable[..., AnomalyParts]:
    """Returns the `score` of the task, whose arguments are those of `anomaly`."""

    def score(generator, critic, inputs, keys):
        x = inputs[field]
        # A generator has both inputs; only one of its outputs is used.
        z = generator({field: x, "z": jnp.zeros((len(x), dim))})["z"]
        back = generator({field: x, "z": z})[field]
        features = [critic({field: y, "z": z}).features for y in (x, back)]
        return AnomalyParts(
            reconstruction=back,
            pixels=pixel_distance(x, back, blur, contrast),
            features=feature_distance(*features),
        )

    return score


def mean_squares(x: jax.Array) -> jax.Array:
    """Returns the mean square of each example, `[B, ...]` to `[B]`."""
    return jnp.mean(x.reshape(len(x), -1) ** 2, -1)


def pixel_distance(
    x: jax.Array, back: jax.Array, blur: float = 0.0, contrast: float = 0.0
) -> jax.Array:
    """Returns squared differences of examples to their reconstructions.

    Their sum over pixels is the mean square of (x - back), smoothed, divided by a power
    of the variance of x.

    Args:
      x: `[B, H, W, C]`, or vectors `[B, d]`.
      back: the reconstructions, of the same shape.
      blur: standard deviation in pixels of the Gaussian for images; 0 for none.
      contrast: the power; 0 for none.

    Returns:
      `[B, H, W]`, or `[B, d]`.

    >>> float(pixel_distance(jnp.ones((1, 2, 2, 3)), jnp.zeros((1, 2, 2, 3))).sum())
    1.0
    """
    gap = x - back
    if blur and gap.ndim == 4:
        gap = smoothed(gap, blur)
    rows = x.reshape(len(x), -1)
    scale = (jnp.var(rows, -1) + FAINT) ** contrast if contrast else jnp.ones(len(x))
    squares = gap**2 / (rows.shape[1] * scale.reshape(-1, *[1] * (x.ndim - 1)))
    return squares.sum(-1) if squares.ndim == 4 else squares


def smoothed(images: jax.Array, sigma: float) -> jax.Array:
    """Convolves images `[B, H, W, C]` with a Gaussian, as if they were 0 outside."""
    reach = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    # Rows, then columns: a Gaussian is a product.
    for axis in (1, 2):
        pads = [(reach, reach) if i == axis else (0, 0) for i in range(4)]
        padded, size = jnp.pad(images, pads), images.shape[axis]
        moved = [
            float(weight) * jax.lax.slice_in_dim(padded, i, i + size, axis=axis)
            for i, weight in enumerate(weights / weights.sum())
        ]
        images = jnp.stack(moved).sum(0)
    return images


def feature_distance(one: Tree, other: Tree) -> jax.Array:
    """Returns the mean squared difference of features, averaged over layers, `[B]`."""
    gaps = jax.tree.map(lambda a, b: mean_squares(a - b), one, other)
    return jnp.stack(jax.tree.leaves(gaps)).mean(0)
