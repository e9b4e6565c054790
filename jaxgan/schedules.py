"""Numbers that change with the step: `float | optax.Schedule` everywhere."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from jaxgan.ranges import BELOW_ONE, NON_NEGATIVE, Number, Range, Steps

Value = float | optax.Schedule
Weight = Annotated[Value, NON_NEGATIVE]
Rate = Annotated[Value, Range(0, example=1e-3)]
Decay = Annotated[Value, BELOW_ONE]


def at(value: Value, step: Any) -> Any:
    """The value at a step.

    >>> at(0.5, 100)
    0.5
    >>> float(at(linear(1.0, 0.0, 200), 100))
    0.5
    """
    return value(step) if callable(value) else value


@dataclasses.dataclass(frozen=True)
class Ramp:
    """A schedule that goes from one value to another and never leaves them."""

    ends: tuple[float, float]
    schedule: optax.Schedule

    def __call__(self, step: Any) -> Any:
        """Returns the value at a step, `[]`."""
        return self.schedule(step)


def linear(start: Number, end: Number, steps: Steps) -> Ramp:
    """From `start` to `end` in `steps` steps on a straight line, then constant."""
    return Ramp((start, end), optax.linear_schedule(start, end, steps))


def cosine(start: Number, end: Number, steps: Steps) -> Ramp:
    """From `start` to `end` in `steps` steps on half a cosine, then constant.

    R3GAN's burn-in, https://arxiv.org/abs/2501.05441.

    >>> round(float(cosine(1.0, 0.0, 200)(100)), 6)
    0.5
    """

    def schedule(step):
        done = jnp.clip(step / steps, 0.0, 1.0)
        return end + (start - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * done))

    return Ramp((start, end), schedule)


def warmup(end: Number, steps: Steps) -> Ramp:
    """From 0 to `end` in `steps` steps, then constant."""
    return Ramp((0.0, end), optax.linear_schedule(0.0, end, steps))


SCHEDULES = {f.__name__: f for f in (linear, cosine, warmup)}


def ema_decay(
    half_life: Value, batch_size: int, ramp: float
) -> Callable[[jax.Array], jax.typing.ArrayLike]:
    """What a running mean keeps at a step, for a half-life counted in images.

    0.5 ** (batch / half-life); the half-life is never longer than `ramp` times the
    images seen so far, so that early samples do not remember the initial network.

    Args:
      half_life: in images, or its schedule; 0 follows the parameters exactly.
      batch_size: images per step.
      ramp: share of the images seen; 0 for no ramp.

    >>> float(ema_decay(64.0, 64, 0.0)(10))
    0.5
    """

    def decay(step):
        seen = (step + 1.0) * batch_size
        said = at(half_life, step)
        life = jnp.minimum(said, ramp * seen) if ramp else jnp.asarray(said)
        return jnp.where(life > 0, 0.5 ** (batch_size / jnp.maximum(life, 1e-8)), 0.0)

    return decay
