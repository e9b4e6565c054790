"""Optimizers from recipes: `clip_by_global_norm(1)|adam(2e-4, b1=0.5)`.

The order is that of `optax.chain`. Learning rates, and Adam's b1 and b2, may be
schedules. A schedule counts the updates of its optimizer: with five discriminator
updates per step, a schedule of the discriminator ends after a fifth of the steps. The
name `steps` in a schedule is the number of updates in the whole run.
"""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.errors import UsageError
from jaxgan.ranges import (
    ANY,
    BELOW_ONE,
    NON_NEGATIVE,
    POSITIVE,
    Fraction,
    NonNegative,
    Positive,
    Range,
    Size,
)
from jaxgan.schedules import SCHEDULES, Decay, Rate, Value, schedules_of
from jaxgan.spec import build, unknown

Factory = Callable[..., optax.GradientTransformation]
"""A function of numbers, schedules and booleans that returns an optimizer."""


Threshold = Annotated[float | None, POSITIVE]
"""None does not clip."""


def adam(
    lr: Rate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NonNegative = 1e-8,
    eps_hat: bool = False,
    clipping_threshold: Threshold = None,
) -> optax.GradientTransformation:
    """Adam, https://arxiv.org/abs/1412.6980.

    If b1 or b2 is a schedule, its newest value is used to correct the bias.

    A gradient that suddenly grows moves a parameter by up to
    (1 - b1) / sqrt(1 - b2) learning rates in one update: by 10 with b1=0 and b2=0.99.
    `clipping_threshold=1` limits that like Adafactor,
    https://arxiv.org/abs/1804.04235, section 6, and StableAdamW,
    https://arxiv.org/abs/2304.13013.

    Args:
      lr: learning rate.
      b1: decay of the running mean of gradients.
      b2: decay of the running mean of squared gradients.
      eps: added to the root of the mean of squares.
      eps_hat: if True, adds eps before the bias of that mean is corrected, like Keras
        and TensorFlow (epsilon hat, at the end of section 2 of the paper), instead of
        after it (algorithm 1).
      clipping_threshold: largest root mean square of the update of a parameter array,
        in learning rates. A larger update is scaled down to it. The state has the same
        arrays with and without it.
    """
    factory: Factory = _adam_hat if eps_hat else optax.adam
    if clipping_threshold is not None:
        scale = _scale_by_adam_hat if eps_hat else optax.scale_by_adam
        factory = _clipped(factory, scale, clipping_threshold)
    return _scheduled(factory, b1, b2)(lr, b1, b2, eps)


def adamw(
    lr: Rate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    weight_decay: NonNegative = 1e-2,
    eps: NonNegative = 1e-8,
    clipping_threshold: Threshold = None,
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay, https://arxiv.org/abs/1711.05101.

    The other arguments are those of `adam`. The decay is not part of what is clipped.
    """
    factory: Factory = optax.adamw
    if clipping_threshold is not None:
        factory = _clipped(factory, optax.scale_by_adam, clipping_threshold)
    make = _scheduled(factory, b1, b2)
    return make(lr, b1, b2, eps, weight_decay=weight_decay)


def _adam_hat(learning_rate, b1, b2, eps) -> optax.GradientTransformation:
    """Adam with eps hat."""
    scaled = _scale_by_adam_hat(b1, b2, eps)
    return optax.chain(scaled, optax.scale_by_learning_rate(learning_rate))


def _scale_by_adam_hat(b1, b2, eps) -> optax.GradientTransformation:
    """Has sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps) as the update."""
    # The state is that of `optax.scale_by_adam`; only the update differs.
    moments = optax.scale_by_adam(b1, b2, eps)

    def update(updates, state, params=None):
        # Only the new moments are used, not their update.
        new: Any = moments.update(updates, state, params)[1]
        # Both bias corrections; the count is t.
        factor = jnp.sqrt(1 - b2**new.count) / (1 - b1**new.count)

        def step(m, v):
            return factor * m / (jnp.sqrt(v) + eps)

        return jax.tree.map(step, new.mu, new.nu), new

    return optax.GradientTransformation(moments.init, update)


def _clipped(factory: Factory, scale: Factory, threshold: float) -> Factory:
    """Returns the factory, with updates clipped before they are multiplied by the rate.

    Args:
      factory: of the optimizer, with a state to which clipping adds nothing.
      scale: its first part, a function of b1, b2 and eps.
      threshold: largest root mean square of an array.
    """
    clip = optax.clip_by_block_rms(threshold)

    # The parameters of the factory, which `inject_hyperparams` keeps in the state.
    @functools.wraps(factory)
    def make(learning_rate, b1, b2, eps, weight_decay=None, **_):
        scaled = scale(b1, b2, eps)

        def update(updates, state, params=None):
            updates, state = scaled.update(updates, state, params)
            return clip.update(updates, optax.EmptyState())[0], state

        parts = [optax.GradientTransformation(scaled.init, update)]
        if weight_decay is not None:
            parts.append(optax.add_decayed_weights(weight_decay))
        return optax.chain(*parts, optax.scale_by_learning_rate(learning_rate))

    return make


def _scheduled(factory: Factory, *values: Value) -> Factory:
    """Returns the factory, with schedules allowed for all numbers if one is needed."""
    # `inject_hyperparams` changes the optimizer's state, so it is used only if needed.
    return optax.inject_hyperparams(factory) if any(map(callable, values)) else factory


def rmsprop(
    lr: Rate, decay: Fraction = 0.99, eps: NonNegative = 1e-8
) -> optax.GradientTransformation:
    """RMSProp like in the WGAN paper, https://arxiv.org/abs/1701.07875."""
    # PyTorch, in which WGAN was written, adds eps outside the root.
    return optax.rmsprop(lr, decay, eps, eps_in_sqrt=False)


def sgd(lr: Rate, momentum: Fraction = 0.0) -> optax.GradientTransformation:
    """Stochastic gradient descent, with momentum unless it is 0."""
    # With 0 instead of None, optax would keep a trace.
    return optax.sgd(lr, momentum or None)


def clip_by_global_norm(
    norm: Annotated[float, Range(0, ends="(]", example=1)],
) -> optax.GradientTransformation:
    """Scales the gradient of a player down to `norm` if its norm is larger."""
    return optax.clip_by_global_norm(norm)


def clip_weights(bound: Positive = 0.01) -> optax.GradientTransformation:
    """Clips parameters to [-bound, bound], https://arxiv.org/abs/1701.07875 (WGAN).

    It must come last: `rmsprop(5e-5)|clip_weights(0.01)`. No parameter leaves the
    interval through rounding, and updates that stay inside it do not change.
    """

    def clip(update, param):
        most = _largest_up_to(bound, param.dtype)
        # The sum that `optax.apply_updates` computes.
        moved = param + update
        change = jnp.clip(moved, -most, most) - param
        # param + change may round to the next number outside. Moving the change inward
        # by one number puts their exact sum, and so the rounded one, inside.
        inward = jnp.nextafter(change, -jnp.sign(moved) * jnp.inf)
        change = jnp.where(jnp.abs(param + change) > most, inward, change)
        return jnp.where(jnp.abs(moved) <= most, update, change)

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates, params))


def _largest_up_to(bound: float, dtype: Any) -> np.ndarray:
    """Returns the largest number of a dtype that is at most `bound`."""
    most = np.asarray(bound, dtype)
    # Rounding to the dtype may go up.
    return np.nextafter(most, np.zeros_like(most)) if float(most) > bound else most


def freeze(start: Size, part: str = "") -> optax.GradientTransformation:
    """Leaves parameters as they are from an update on, bit for bit.

    It must come last: `adam(2e-4)|freeze(2000)`. Momentum and weight decay end too.

    Args:
      start: number of the first update that is left out.
      part: name of the part of the network that is frozen, such as `decoder`; empty for
        the whole network.

    Raises:
      UsageError: when the network is initialized, if it has no such part.
    """

    def init(params):
        if part and not any(
            part in map(_name, path) for path, _ in jax.tree.leaves_with_path(params)
        ):
            raise UsageError(f"freeze: the network has no part {part!r}")
        return jnp.zeros((), jnp.int32)

    def update(updates, state, params=None):
        del params

        def keep(path, update):
            if part and part not in map(_name, path):
                return update
            return jnp.where(state < start, update, jnp.zeros_like(update))

        # The number of this update, which stays at the start, as it would overflow.
        return jax.tree.map_with_path(keep, updates), jnp.minimum(state + 1, start)

    return optax.GradientTransformation(init, update)


def _name(key: Any) -> str:
    """Returns the name of a key in the path of a parameter."""
    return str(getattr(key, "key", key))


def centralize() -> optax.GradientTransformation:
    """Gradient centralization, https://arxiv.org/abs/2004.01461, equation 1.

    Subtracts the mean of the gradient of each unit's weights. Units are along the last
    axis, like in Flax; `optax.centralize` expects them along the first.
    """

    def center(grad):
        axes = tuple(range(grad.ndim - 1))
        # Biases and scales have one axis, and no mean to subtract.
        return grad - jnp.mean(grad, axes, keepdims=True) if axes else grad

    return optax.stateless(lambda updates, params: jax.tree.map(center, updates))


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
    "radam.threshold": Range(4),  # below 4, radam takes the root of a negative number
    "eta_minus": Range(0, 1, "(]"),
    "eta_plus": Range(1),
    "decay_rate": Range(0, 1),
    "decay_offset": Range(-(2**31), 0),  # a positive one makes early steps negative
    "min_dim_size_to_factor": Range(1, 2**31 - 1),
}
"""Ranges of optax's parameters: by name, or by optimizer and name."""


def from_optax(name: str) -> Factory:
    """Returns a factory of optax with only the parameters that a recipe can set.

    These are numbers, schedules and booleans. The learning rate has no default. The
    range of a number is in `RANGES`; any other number must be finite.

    Args:
      name: name of a factory in `optax`.
    """
    factory = getattr(optax, name)
    parameters = []
    for parameter in inspect.signature(factory).parameters.values():
        kind = _recipe_type(parameter.annotation)
        if kind not in (bool, None):
            # A range for this optimizer overrides that for the name.
            usual = RANGES.get(parameter.name, ANY)
            usual = RANGES.get(f"{name}.{parameter.name}", usual)
            kind = Annotated[kind, usual]
        if parameter.name == "learning_rate":
            parameter = parameter.replace(annotation=kind, default=parameter.empty)
            parameters.append(parameter)
        elif kind is not None:
            parameters.append(parameter.replace(annotation=kind))
    signature = inspect.Signature(parameters)

    # `spec` checks arguments against the signature of this function.
    def make(*args, **kwargs):
        # Parameters that the call leaves out keep optax's defaults.
        return factory(**signature.bind(*args, **kwargs).arguments)

    make.__name__, make.__doc__ = name, factory.__doc__
    # Type checkers do not know this attribute of a function.
    vars(make)["__signature__"] = signature
    return make


def _recipe_type(annotation: Any) -> Any:
    """Returns the type of a parameter in a recipe, None if a recipe cannot set it."""
    # The members of a union, or the annotation itself.
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
"""Optax's optimizers that need only a learning rate and gradients.

Left out are `noisy_sgd`, which carries a PRNG key, and those that need the value of the
loss.
"""

OTHERS = (
    "adaptive_grad_clip",
    "add_decayed_weights",
    "clip",
    "clip_by_block_rms",
    "zero_nans",
)
"""Optax's transformations of gradients and updates, for use with an optimizer."""


def _available(names: tuple[str, ...]) -> dict[str, Factory]:
    """Returns the factories that the installed version of optax has."""
    return {name: from_optax(name) for name in names if hasattr(optax, name)}


MOVERS: dict[str, Factory] = {
    **{f.__name__: f for f in (adam, adamw, rmsprop, sgd)},
    **_available(ALIASES),
}
"""Optimizers by name: a recipe needs at least one."""

OPTIMIZERS: dict[str, Factory] = {
    **MOVERS,
    **{f.__name__: f for f in (clip_by_global_norm, clip_weights, centralize, freeze)},
    **_available(OTHERS),
}
"""All transformations by name."""


def chain(text: str, updates: int | None = None) -> optax.GradientTransformation:
    """Builds an optimizer from a recipe, such as `adam(linear(1e-3, 1e-4, 1000))`.

    Args:
      text: the recipe.
      updates: their number in the whole run, for which `steps` stands in a schedule:
        `adam(linear(1e-3, 1e-4, steps))`. None if the recipe may not have it.

    Raises:
      UsageError: if the recipe is wrong, or has no optimizer that moves parameters.

    >>> chain("clip_by_global_norm(1)|adam(linear(1e-3, 1e-4, 1000))").init is not None
    True
    """
    known = SCHEDULES if updates is None else schedules_of(updates)
    parts = build(text, OPTIMIZERS, known)
    # Without an optimizer, the gradient itself would be the update.
    if not set(parts) & set(MOVERS):
        raise unknown(text, MOVERS, "optimizer that moves parameters in")
    return optax.chain(*parts.values())
