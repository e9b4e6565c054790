"""A perceptual reconstruction term, by the stages of EfficientNet-Lite0."""

import functools
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import ChannelsError, UsageError
from jaxgan.losses.reconstruction import weighted
from jaxgan.metrics.features import efficientnet
from jaxgan.metrics.features.resize import resize
from jaxgan.metrics.perceptual import perceptual_distance
from jaxgan.ranges import Range
from jaxgan.schedules import Weight
from jaxgan.types import LossInputs, Term, Tree

Side = Annotated[int, Range(0, 1024)]


def perceptual(weight: Weight = 1.0, size: Side = 0) -> Term:
    """The perceptual distance of fakes to their targets, a term of the generator.

    weight E[d(x, G)] with d of `jaxgan.metrics.perceptual.perceptual_distance`, whose
    features are those of an ImageNet classifier, https://arxiv.org/abs/1603.08155. The
    task must pair samples, as for `l1`. The classifier's weights are constants of the
    step, and are read when the first step is traced.

    Args:
      weight: factor of the mean.
      size: the shorter side in pixels to which images are resized first, bicubic; 0 to
        compare them as they are, or at 32 pixels, which is the least. The classifier
        was trained at 224 pixels, and costs more the larger the images are.

    Raises:
      UsageError: for a size from 1 to 31. While tracing, if the extra `features` is not
        installed, or for samples that are not images of 1 or 3 channels.
    """
    least = efficientnet.LEAST_SIZE
    if 0 < size < least:
        raise UsageError(f"perceptual: size={size} is too small: use size={least}")

    def term(s: LossInputs) -> jax.Array:
        real, fake = s.samples.real, s.samples.fake
        if not isinstance(real, jax.Array) or real.ndim != 4:
            raise UsageError("perceptual compares pairs of images: leave it out")
        if real.shape[-1] not in (1, 3):
            raise ChannelsError(
                "perceptual compares images of 1 or 3 channels, not "
                f"{real.shape[-1]}: leave it out",
                real.shape[-1],
            )
        short = min(real.shape[1:3])
        scale = (size or max(short, least)) / short
        # The images themselves, if they have that size.
        new = (round(real.shape[1] * scale), round(real.shape[2] * scale))
        pair = (resize(x, new) for x in (real, fake))
        return jnp.mean(perceptual_distance(classifier(), *pair))

    return weighted(weight, term)


@functools.cache
def classifier() -> Tree:
    """Returns the variables of EfficientNet-Lite0 as NumPy arrays.

    Raises:
      UsageError: if the package with the weights is not installed.
    """
    try:
        # This may run while a step is traced, and must not become part of it.
        with jax.ensure_compile_time_eval():
            variables, _ = efficientnet.load()
            return jax.tree.map(np.asarray, variables)
    except UsageError as error:
        raise UsageError(f"perceptual: {error}; or leave perceptual out") from error
