"""Optimizers as text: `clip_by_global_norm(1)|adam(2e-4, b1=0.5)`, in optax's order."""

import jax
import jax.numpy as jnp
import optax

from jaxgan.schedules import SCHEDULES, Value
from jaxgan.spec import build, unknown


def adam(
    lr: Value, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> optax.GradientTransformation:
    """Adam, https://arxiv.org/abs/1412.6980."""
    return optax.adam(lr, b1, b2, eps)


def adamw(
    lr: Value, b1: float = 0.9, b2: float = 0.999, weight_decay: float = 1e-2
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay, https://arxiv.org/abs/1711.05101."""
    return optax.adamw(lr, b1, b2, weight_decay=weight_decay)


def rmsprop(
    lr: Value, decay: float = 0.99, eps: float = 1e-8
) -> optax.GradientTransformation:
    """RMSProp as the WGAN paper uses it, https://arxiv.org/abs/1701.07875."""
    return optax.rmsprop(lr, decay, eps, eps_in_sqrt=False)


def sgd(lr: Value, momentum: float = 0.0) -> optax.GradientTransformation:
    """Stochastic gradient descent, with momentum if it is not 0."""
    return optax.sgd(lr, momentum or None)


def clip_by_global_norm(norm: float) -> optax.GradientTransformation:
    """Scales the gradient of a player down to `norm` if it is longer."""
    return optax.clip_by_global_norm(norm)


def clip_weights(bound: float = 0.01) -> optax.GradientTransformation:
    """Ends every update inside [-bound, bound], https://arxiv.org/abs/1701.07875.

    Stands last: `rmsprop(5e-5)|clip_weights(0.01)`.
    """

    def clip(update, param):
        return jnp.clip(param + update, -bound, bound) - param

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates, params))


OPTIMIZERS = {
    f.__name__: f
    for f in (adam, adamw, rmsprop, sgd, clip_by_global_norm, clip_weights)
}


def chain(text: str) -> optax.GradientTransformation:
    """The optimizer of a recipe; its numbers may be schedules of the update's count.

    >>> chain("clip_by_global_norm(1)|adam(linear(1e-3, 1e-4, 1000))").init is not None
    True
    """
    parts = build(text, OPTIMIZERS, SCHEDULES)
    if not set(parts) & {"adam", "adamw", "rmsprop", "sgd"}:
        raise unknown(text, OPTIMIZERS, "optimizer that moves parameters in")
    return optax.chain(*parts.values())
