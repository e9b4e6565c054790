"""Counts the model FLOPs of a traced step."""

import math
from collections.abc import Iterator
from typing import Any

import jax.extend.core as core
import numpy as np
from jax.interpreters import partial_eval


def traced_flops(jaxpr: Any) -> float:
    """Returns the FLOPs of all matrix products and convolutions of a traced program.

    A multiplication and its addition are two FLOPs. Zeros of padding and dilation are
    not counted, nor is dead code. Loops count as often as they run, where that is known
    (`scan`), and branches as the most expensive one. Inside of `shard_map` the count is
    that of one device.

    Args:
      jaxpr: a `ClosedJaxpr`, such as the `jaxpr` of `jax.jit(f).trace(...)`.
    """
    alive, _ = partial_eval.dce_jaxpr(jaxpr.jaxpr, [True] * len(jaxpr.jaxpr.outvars))
    return _count(alive)


def contains(jaxpr: Any, primitive: str) -> bool:
    """Returns True if a traced program has an operation, also within another one.

    Args:
      jaxpr: a `ClosedJaxpr`, as from `jax.make_jaxpr`.
      primitive: the name of the operation, such as `conv_general_dilated`.

    >>> import jax
    >>> product = jax.make_jaxpr(jax.jit(lambda x: x @ x))(np.eye(2))
    >>> contains(product, "dot_general"), contains(product, "sort")
    (True, False)
    """

    def within(program):
        return any(
            equation.primitive.name == primitive
            or any(map(within, _inner(equation.params)))
            for equation in program.eqns
        )

    return within(jaxpr.jaxpr)


def _count(jaxpr: Any) -> float:
    return sum(map(_of_equation, jaxpr.eqns))


def _of_equation(equation: Any) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        return _of_product(equation)
    if name == "conv_general_dilated":
        return _of_convolution(equation)
    inner = [_count(jaxpr) for jaxpr in _inner(params)]
    if name == "cond":
        return max(inner, default=0.0)
    return sum(inner) * (params["length"] if name == "scan" else 1)


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    """Yields the programs among the parameters of an equation."""
    for value in params.values():
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, core.ClosedJaxpr):
                yield one.jaxpr
            elif isinstance(one, core.Jaxpr):
                yield one


def _of_product(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    summed = math.prod(shape[axis] for axis in contracted)
    return 2.0 * math.prod(equation.outvars[0].aval.shape) * summed


def _of_convolution(equation: Any) -> float:
    params = equation.params
    lhs, rhs = (x.aval.shape for x in equation.invars)
    out = equation.outvars[0].aval.shape
    numbers = params["dimension_numbers"]
    # Axes of the batch and the features, then the spatial ones.
    batch, features, *axes = numbers.out_spec
    taps = 1.0
    for i, axis in enumerate(axes):
        taps *= pairs(
            lhs[numbers.lhs_spec[2 + i]],
            rhs[numbers.rhs_spec[2 + i]],
            out[axis],
            stride=params["window_strides"][i],
            padding=params["padding"][i][0],
            lhs_dilation=params["lhs_dilation"][i],
            rhs_dilation=params["rhs_dilation"][i],
        )
    # The kernel has the input features of one group only.
    return 2.0 * out[batch] * out[features] * rhs[numbers.rhs_spec[1]] * taps


def pairs(
    size: int,
    kernel: int,
    out: int,
    *,
    stride: int = 1,
    padding: int = 0,
    lhs_dilation: int = 1,
    rhs_dilation: int = 1,
) -> int:
    """Returns the multiplications along one axis that no zero of padding has part in.

    >>> pairs(4, 3, 4, padding=1), pairs(4, 2, 8, padding=1, lhs_dilation=2)
    (10, 8)
    """
    at = stride * np.arange(out)[:, None] - padding + rhs_dilation * np.arange(kernel)
    inside = (at >= 0) & (at <= (size - 1) * lhs_dilation) & (at % lhs_dilation == 0)
    return int(inside.sum())
