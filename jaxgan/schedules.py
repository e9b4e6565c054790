"""Numbers that may change with the step: `float | optax.Schedule`."""

import dataclasses
import re
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from jaxgan.ranges import BELOW_ONE, NON_NEGATIVE, NonNegative, Number, Range, Steps

Value = float | optax.Schedule
Weight = Annotated[Value, NON_NEGATIVE]
Rate = Annotated[Value, Range(0, example=1e-3)]
Decay = Annotated[Value, BELOW_ONE]


def at(value: Value, step: Any) -> Any:
    """Returns a number, or the value of a schedule at a step.

    >>> at(0.5, 100)
    0.5
    >>> float(at(linear(1.0, 0.0, 200), 100))
    0.5
    """
    return value(step) if callable(value) else value


@dataclasses.dataclass(frozen=True)
class Ramp:
    """A schedule between two values, which it never leaves."""

    ends: tuple[float, float]
    """The first and the last value, which are checked against a parameter's range."""
    schedule: optax.Schedule

    def __call__(self, step: Any) -> Any:
        """Returns the value at a step, `[]`."""
        return self.schedule(step)


def linear(start: Number, end: Number, steps: Steps) -> Ramp:
    """Goes from `start` to `end` in `steps` steps on a straight line, then stays."""
    return Ramp((start, end), optax.linear_schedule(start, end, steps))


def cosine(start: Number, end: Number, steps: Steps) -> Ramp:
    """Goes from `start` to `end` in `steps` steps on half a cosine, then stays.

    R3GAN's burn-in, https://arxiv.org/abs/2501.05441.

    >>> round(float(cosine(1.0, 0.0, 200)(100)), 6)
    0.5
    """

    # `optax.cosine_decay_schedule` cannot start at 0.
    def schedule(step):
        done = jnp.clip(step / steps, 0.0, 1.0)
        # Half a cosine, from 1 to 0.
        return end + (start - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * done))

    return Ramp((start, end), schedule)


def exponential(start: NonNegative, end: NonNegative, steps: Steps) -> Ramp:
    """Goes from `start` to `end` in `steps` steps by equal factors, then stays.

    In place of 0 there is 1e-8, which factors can reach. The annealing of https://openreview.net/forum?id=rJedV3R5tm.

    >>> round(float(exponential(1.0, 0.01, 200)(100)), 6)
    0.1
    """

    first, last = max(start, 1e-8), max(end, 1e-8)

    def schedule(step):
        return first * (last / first) ** jnp.clip(step / steps, 0.0, 1.0)

    return Ramp((start, end), schedule)


def warmup(end: Number, steps: Steps) -> Ramp:
    """Goes from 0 to `end` in `steps` steps on a straight line, then stays."""
    return Ramp((0.0, end), optax.linear_schedule(0.0, end, steps))


SCHEDULES: dict[str, Callable[..., optax.Schedule]] = {
    f.__name__: f for f in (linear, cosine, exponential, warmup)
}
"""Factories of schedules by name."""

STEPS = "steps"
"""The name that stands for the length of the run, as in `cosine(2e-3, 1e-5, steps)`."""


def schedules_of(steps: int) -> dict[str, Callable[..., Any]]:
    """Returns `SCHEDULES` and what `steps` is in their arguments.

    Args:
      steps: the number of steps, or of updates of an optimizer, in the whole run.

    >>> sorted(schedules_of(100).keys() - SCHEDULES), schedules_of(100)["steps"]()
    (['steps'], 100)
    """
    return {**SCHEDULES, STEPS: lambda: steps}


def ends_with_run(text: str) -> bool:
    """Returns True if a schedule in a recipe has the length of the run.

    >>> ends_with_run("adam(cosine(2e-3, 1e-5, steps))"), ends_with_run("r1(1)")
    (True, False)
    >>> ends_with_run("linear(1, 0, steps=100)")
    False
    """
    return re.search(rf"\b{STEPS}\b(?!\s*=)", text) is not None


def ema_decay(
    half_life: Value, batch_size: int, ramp: float
) -> Callable[[jax.Array], jax.typing.ArrayLike]:
    """Returns the decay of a running mean at a step, for a half-life in images.

    decay = 0.5 ** (batch_size / half_life). The half-life is at most `ramp` times the
    images seen so far, so that early samples do not depend on the initial network.

    Args:
      half_life: in images, a number or a schedule; 0 copies the parameters.
      batch_size: images per step.
      ramp: fraction of the images seen; 0 for no ramp.

    >>> float(ema_decay(64.0, 64, 0.0)(10))
    0.5
    """

    def decay(step):
        # Images seen, with those of this step.
        seen = (step + 1.0) * batch_size
        target = at(half_life, step)
        # At first the half-life grows with the images seen.
        life = jnp.minimum(target, ramp * seen) if ramp else jnp.asarray(target)
        # A half-life of 0 would divide by 0.
        return jnp.where(life > 0, 0.5 ** (batch_size / jnp.maximum(life, 1e-8)), 0.0)

    return decay
