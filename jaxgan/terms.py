"""What terms carry from step to step, and when they are evaluated."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.ranges import Steps
from jaxgan.types import LossInputs, Term, Tree, UsageError


def running_mean(decay: float) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Returns average(old, new): `decay` of the old stays.

    Raises:
      UsageError: if `decay` is not in [0, 1).

    >>> running_mean(0.75)(4.0, 8.0)
    5.0
    """
    if not 0 <= decay < 1:
        raise UsageError(f"decay={decay}: a share in [0, 1), such as 0.99")
    return lambda old, new: decay * old + (1 - decay) * new


def every(n: Steps, term: Term) -> Term:
    """A term on each n-th step only, n times as strong, https://arxiv.org/abs/1912.04958.

    It counts at steps 0, n, 2n ...; at all others its value is 0 and its memory stays
    as it was. `every(1, term)` is the term itself. On a CPU this saves no time.

    Raises:
      UsageError: if `n` is less than 1.
    """
    if n < 1:
        raise UsageError(f"every({n}, ...): n is at least 1, such as 16")
    if n == 1:
        return term

    def apply(s: LossInputs, memory: Tree) -> tuple[jax.Array, Tree]:
        dtype, due = jnp.result_type(float), s.step % n == 0

        def now(memory):
            value, memory = term.apply(s, memory)
            return jnp.asarray(n * value, dtype), memory

        def not_now(memory):
            return jnp.zeros((), dtype), memory

        return where_due(due, now, not_now, memory)

    return Term(term.init, apply)


def where_due(
    due: jax.Array,
    now: Callable[[Tree], Tree],
    not_now: Callable[[Tree], Tree],
    x: Tree,
) -> Tree:
    """now(x) if `due`, else not_now(x); both are evaluated on a CPU.

    XLA for CPU gives convolutions their fast form in the outermost computation only; in
    a branch they would cost far more than is saved.
    """

    def branch(x):
        return jax.lax.cond(due, now, not_now, x)

    def select(x):
        return jax.tree.map(lambda a, b: jnp.where(due, a, b), now(x), not_now(x))

    return jax.lax.platform_dependent(x, cpu=select, default=branch)


def stateless(fn: Callable[[LossInputs], jax.Array]) -> Term:
    """A term that carries nothing from step to step."""
    return Term(lambda: (), lambda inputs, memory: (fn(inputs), memory))


def leaf_mean(fn: Callable[..., jax.Array], *trees: Tree) -> jax.Array:
    """Mean over leaves of the mean of `fn`, so that every scale weighs the same."""
    leaves = jax.tree.leaves(jax.tree.map(lambda *x: jnp.mean(fn(*x)), *trees))
    return jnp.asarray(sum(leaves) / len(leaves))


def batch_mean(x: jax.Array, axis: str | None) -> jax.Array:
    """Mean over axis 0 of the batch of all devices, `[B, ...]` to `[...]`."""
    mean = jnp.mean(x, 0)
    return mean if axis is None else jax.lax.pmean(mean, axis)
