"""The loss of an encoder whose generator and discriminator do not move."""

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.losses.reconstruction import mean_square
from jaxgan.schedules import Weight, at
from jaxgan.terms import stateless
from jaxgan.types import LossInputs, Term


def encoder(pixels: Weight = 1.0, features: Weight = 1.0) -> Term:
    """Reconstruction by an encoder alone, f-AnoGAN's izi_f.

    pixels E(x - G(E(x)))^2 + features E(f(x) - f(G(E(x))))^2, means over pixels and
    over the discriminator's features f, https://doi.org/10.1016/j.media.2019.01.010,
    equation 3. Its gradient reaches the encoder only: the generator is trained as if
    the term were not there.

    Args:
      pixels: weight of the distance of pixels.
      features: weight of the distance of features, the paper's kappa; 0 leaves it out.

    Raises:
      UsageError: while tracing, if there is no encoder, or if the discriminator returns
        no features.
    """

    def term(s: LossInputs) -> jax.Array:
        real, generator = s.samples.real, s.generator
        if not isinstance(real, dict) or "z" not in real or generator is None:
            raise UsageError("encoder: this task has no encoder: use the task anomaly")
        fixed = jax.lax.stop_gradient(real)

        def distance(z):
            back = {**generator({**fixed, "z": z}), "z": fixed["z"]}
            image = {name: x for name, x in back.items() if name != "z"}
            target = {name: fixed[name] for name in image}
            value = at(pixels, s.step) * mean_square(target, image)
            if features == 0:
                return value
            one, other = (s.critic(x).features for x in (fixed, back))
            if not jax.tree.leaves(one):
                raise UsageError(
                    "encoder: this discriminator returns no features: use "
                    "encoder(features=0), or networks that return features"
                )
            return value + at(features, s.step) * mean_square(one, other)

        # The gradient at the codes goes on to the encoder, and to nothing else.
        value, slope = jax.lax.stop_gradient(jax.value_and_grad(distance)(fixed["z"]))
        return value + jnp.sum(slope * (real["z"] - fixed["z"]))

    return stateless(term)
