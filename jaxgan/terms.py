"""Building blocks of loss terms: means, term state and lazy evaluation."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.ranges import Steps
from jaxgan.types import LossInputs, Term, Tree


def running_mean(decay: float) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Returns average(old, new) = decay * old + (1 - decay) * new.

    Raises:
      UsageError: if `decay` is not in [0, 1).

    >>> running_mean(0.75)(4.0, 8.0)
    5.0
    """
    if not 0 <= decay < 1:
        raise UsageError(f"decay={decay}: must be in [0, 1), such as 0.99")
    return lambda old, new: decay * old + (1 - decay) * new


def every(n: Steps, term: Term) -> Term:
    """Evaluates a term on every n-th step only, and multiplies it by n.

    Lazy regularization, https://arxiv.org/abs/1912.04958. The term is evaluated at
    steps 0, n, 2n, and so on. At all others its value is 0 and its state does not
    change. `every(1, term)` is the term itself. This saves no time on a CPU.

    Raises:
      UsageError: if `n` is less than 1.
    """
    if n < 1:
        raise UsageError(f"every({n}, ...): n must be at least 1, such as 16")
    if n == 1:
        return term

    def apply(s: LossInputs, term_state: Tree) -> tuple[jax.Array, Tree]:
        # Both branches of `cond` must return the same dtype.
        dtype, due = jnp.result_type(float), s.step % n == 0

        def now(term_state):
            # The factor n keeps the mean of the term over steps.
            value, term_state = term.apply(s, term_state)
            return jnp.asarray(n * value, dtype), term_state

        def not_now(term_state):
            return jnp.zeros((), dtype), term_state

        return where_due(due, now, not_now, term_state)

    return Term(term.init, apply)


def where_due(
    due: jax.Array,
    now: Callable[[Tree], Tree],
    not_now: Callable[[Tree], Tree],
    x: Tree,
) -> Tree:
    """Returns now(x) if `due`, else not_now(x); a CPU evaluates both.

    XLA for CPU uses its fast convolutions in the outermost computation only. In a
    branch they would cost far more than the branch saves.
    """

    def branch(x):
        return jax.lax.cond(due, now, not_now, x)

    # On a CPU: both, in the outermost computation.
    def select(x):
        return jax.tree.map(lambda a, b: jnp.where(due, a, b), now(x), not_now(x))

    # The platform is known when the program is lowered, not while tracing.
    return jax.lax.platform_dependent(x, cpu=select, default=branch)


def stateless(fn: Callable[[LossInputs], jax.Array]) -> Term:
    """Returns a term without state from a function of the loss inputs."""
    return Term(lambda: (), lambda inputs, term_state: (fn(inputs), term_state))


def leaf_mean(fn: Callable[..., jax.Array], *trees: Tree) -> jax.Array:
    """Returns the mean of `fn` within each leaf, averaged over leaves, `[]`.

    Every leaf has the same weight, whatever its size.
    """
    # A mean of means, not the mean over all entries.
    leaves = jax.tree.leaves(jax.tree.map(lambda *x: jnp.mean(fn(*x)), *trees))
    return jnp.asarray(sum(leaves) / len(leaves))


def batch_mean(x: jax.Array, axis: str | None) -> jax.Array:
    """Returns the mean over the batch of all devices, `[B, ...]` to `[...]`."""
    mean = jnp.mean(x, 0)
    # Devices have equally many examples, so a mean of means is exact.
    return mean if axis is None else jax.lax.pmean(mean, axis)
