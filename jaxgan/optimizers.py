"""Optimizers as text: `clip_by_global_norm(1)|adam(2e-4, b1=0.5)`, in optax's order.

Rates, and Adam's b1 and b2, may be schedules: of that optimizer's updates, so that a
discriminator of five updates a step is through with one in a fifth of the steps.
"""

import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.ranges import (
    ANY,
    BELOW_ONE,
    NON_NEGATIVE,
    POSITIVE,
    Fraction,
    NonNegative,
    Positive,
    Range,
)
from jaxgan.schedules import SCHEDULES, Decay, Rate, Value
from jaxgan.spec import build, unknown

Factory = Callable[..., optax.GradientTransformation]


def adam(
    lr: Rate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NonNegative = 1e-8,
    eps_hat: bool = False,
) -> optax.GradientTransformation:
    """Adam, https://arxiv.org/abs/1412.6980.

    Under a schedule of b1 or b2, the bias is corrected by the newest value.

    Args:
      lr: the rate.
      b1: decay of the mean of gradients.
      b2: decay of the mean of their squares.
      eps: added to the root of the mean of squares.
      eps_hat: add eps before the mean's bias is corrected, as Keras and TensorFlow do
        (the paper's epsilon hat, end of section 2), not after it (algorithm 1).
    """
    return _scheduled(_adam_hat if eps_hat else optax.adam, b1, b2)(lr, b1, b2, eps)


def _adam_hat(learning_rate, b1, b2, eps) -> optax.GradientTransformation:
    """lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps), with the state of `adam`."""
    moments = optax.scale_by_adam(b1, b2, eps)

    def update(updates, state, params=None):
        found: Any = moments.update(updates, state, params)[1]
        factor = jnp.sqrt(1 - b2**found.count) / (1 - b1**found.count)

        def step(m, v):
            return factor * m / (jnp.sqrt(v) + eps)

        return jax.tree.map(step, found.mu, found.nu), found

    scaled = optax.GradientTransformation(moments.init, update)
    return optax.chain(scaled, optax.scale_by_learning_rate(learning_rate))


def adamw(
    lr: Rate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    weight_decay: NonNegative = 1e-2,
    eps: NonNegative = 1e-8,
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay, https://arxiv.org/abs/1711.05101."""
    make = _scheduled(optax.adamw, b1, b2)
    return make(lr, b1, b2, eps, weight_decay=weight_decay)


def _scheduled(factory: Factory, *values: Value) -> Factory:
    """The factory, which takes schedules for all its numbers if one value is one."""
    return optax.inject_hyperparams(factory) if any(map(callable, values)) else factory


def rmsprop(
    lr: Rate, decay: Fraction = 0.99, eps: NonNegative = 1e-8
) -> optax.GradientTransformation:
    """RMSProp as the WGAN paper uses it, https://arxiv.org/abs/1701.07875."""
    return optax.rmsprop(lr, decay, eps, eps_in_sqrt=False)


def sgd(lr: Rate, momentum: Fraction = 0.0) -> optax.GradientTransformation:
    """Stochastic gradient descent, with momentum if it is not 0."""
    return optax.sgd(lr, momentum or None)


def clip_by_global_norm(
    norm: Annotated[float, Range(0, ends="(]", example=1)],
) -> optax.GradientTransformation:
    """Scales the gradient of a player down to `norm` if it is longer."""
    return optax.clip_by_global_norm(norm)


def clip_weights(bound: Positive = 0.01) -> optax.GradientTransformation:
    """Ends every update inside [-bound, bound], https://arxiv.org/abs/1701.07875.

    Stands last: `rmsprop(5e-5)|clip_weights(0.01)`. No parameter leaves the interval by
    a rounding error; updates that stay inside it are left as they are.
    """

    def clip(update, param):
        most = _largest_up_to(bound, param.dtype)
        moved = param + update
        change = jnp.clip(moved, -most, most) - param
        # param + change may round to the next number outside. One step of the change
        # inward makes their exact sum, and so the rounded one, lie inside.
        inward = jnp.nextafter(change, -jnp.sign(moved) * jnp.inf)
        change = jnp.where(jnp.abs(param + change) > most, inward, change)
        return jnp.where(jnp.abs(moved) <= most, update, change)

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates, params))


def _largest_up_to(bound: float, dtype: Any) -> np.ndarray:
    """The largest number of a type that is not above `bound`."""
    most = np.asarray(bound, dtype)
    return np.nextafter(most, np.zeros_like(most)) if float(most) > bound else most


def centralize() -> optax.GradientTransformation:
    """Gradients of each unit's weights lose their mean, arXiv 2004.01461, equation 1.

    Units are the last axis, as Flax has them; optax's own takes the first for them.
    """

    def centred(grad):
        axes = tuple(range(grad.ndim - 1))
        return grad - jnp.mean(grad, axes, keepdims=True) if axes else grad

    return optax.stateless(lambda updates, params: jax.tree.map(centred, updates))


RANGES = {
    **dict.fromkeys(("b1", "b2", "b3", "rho", "momentum"), BELOW_ONE),
    **dict.fromkeys(("eps", "eps_root", "weight_decay"), NON_NEGATIVE),
    **dict.fromkeys(("weight_decay_rate", "min_norm", "min_step_size"), NON_NEGATIVE),
    **dict.fromkeys(("alpha", "beta", "initial_accumulator_value"), NON_NEGATIVE),
    **dict.fromkeys(("clipping_threshold", "trust_coefficient"), POSITIVE),
    **dict.fromkeys(
        ("clipping", "max_delta", "threshold"), Range(0, ends="(]", example=1)
    ),
    "learning_rate": Range(0, example=1e-3),
    "max_step_size": POSITIVE,
    "radam.threshold": Range(4),  # below, the root of a negative number
    "eta_minus": Range(0, 1, "(]"),
    "eta_plus": Range(1),
    "decay_rate": Range(0, 1),
    "decay_offset": Range(-(2**31), 0),  # steps before the first have no decay
    "min_dim_size_to_factor": Range(1, 2**31 - 1),
}
"""The ranges of optax's parameters, by name, or by optimizer and name."""


def from_optax(name: str) -> Factory:
    """Optax's factory of that name, with the arguments that text can say.

    Those are numbers, schedules and booleans; a learning rate must be said. Numbers
    have the range that `RANGES` has for them, or are finite.
    """
    factory = getattr(optax, name)
    said = []
    for parameter in inspect.signature(factory).parameters.values():
        kind = _kind(parameter.annotation)
        if kind not in (bool, None):
            usual = RANGES.get(parameter.name, ANY)
            usual = RANGES.get(f"{name}.{parameter.name}", usual)
            kind = Annotated[kind, usual]
        if parameter.name == "learning_rate":
            said.append(parameter.replace(annotation=kind, default=parameter.empty))
        elif kind is not None:
            said.append(parameter.replace(annotation=kind))
    signature = inspect.Signature(said)

    def make(*args, **kwargs):
        return factory(**signature.bind(*args, **kwargs).arguments)

    make.__name__, make.__doc__ = name, factory.__doc__
    vars(make)["__signature__"] = signature
    return make


def _kind(annotation: Any) -> Any:
    """What a parameter takes, in the kinds that `spec` knows; None if it knows none."""
    kinds = typing.get_args(annotation) or (annotation,)
    if annotation in (bool, int):
        return annotation
    if float not in kinds:
        return None
    scheduled = any(typing.get_origin(kind) is Callable for kind in kinds)
    return Value if scheduled else float


ALIASES = (
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adamax",
    "adamaxw",
    "adan",
    "amsgrad",
    "fromage",
    "lamb",
    "lars",
    "lion",
    "nadam",
    "nadamw",
    "novograd",
    "optimistic_adam_v2",
    "optimistic_gradient_descent",
    "radam",
    "rprop",
    "sign_sgd",
    "sm3",
    "yogi",
)
"""Optax's optimizers that need no more than a rate and gradients, beside ours.

Not `noisy_sgd`, which keeps a key of its own, nor those that ask for the loss's value.
"""

OTHERS = (
    "adaptive_grad_clip",
    "add_decayed_weights",
    "clip",
    "clip_by_block_rms",
    "zero_nans",
)
"""Optax's changes of gradients and updates that go before or after an optimizer."""


def _installed(names: tuple[str, ...]) -> dict[str, Factory]:
    return {name: from_optax(name) for name in names if hasattr(optax, name)}


MOVERS: dict[str, Factory] = {
    **{f.__name__: f for f in (adam, adamw, rmsprop, sgd)},
    **_installed(ALIASES),
}
OPTIMIZERS: dict[str, Factory] = {
    **MOVERS,
    **{f.__name__: f for f in (clip_by_global_norm, clip_weights, centralize)},
    **_installed(OTHERS),
}


def chain(text: str) -> optax.GradientTransformation:
    """The optimizer of a recipe; its numbers may be schedules of the update's count.

    >>> chain("clip_by_global_norm(1)|adam(linear(1e-3, 1e-4, 1000))").init is not None
    True
    """
    parts = build(text, OPTIMIZERS, SCHEDULES)
    if not set(parts) & set(MOVERS):
        raise unknown(text, MOVERS, "optimizer that moves parameters in")
    return optax.chain(*parts.values())
