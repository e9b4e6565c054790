"""Runs that differ in numbers only, trained side by side in one vmapped program.

A lane is a seed with its own `Hyper`: learning rates, b2 and gamma are entries of its
optimizer and term state, not constants of the program. All lanes share what the program
is made of: networks, batch size, number of steps, and the fraction of the batch on
which penalties are computed.

The optimizer and the penalties of lanes are in the tables only within `installed`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.errors import UsageError
from jaxgan.gan.gan import GAN
from jaxgan.losses import REGULARIZERS, r1, r2
from jaxgan.networks import layers
from jaxgan.optimizers import MOVERS, OPTIMIZERS
from jaxgan.ranges import Range, Steps
from jaxgan.schedules import cosine
from jaxgan.types import LossInputs, Players, Term, TrainState, Tree

Fraction = Annotated[float, Range(0, 1, "(]")]
PER_CALL = 100
"""Steps that one call of the program makes, if there are as many."""
DATA_KEY = 1_000
"""Added to a lane's seed, for the key of its batches."""


class Hyper(NamedTuple):
    """The numbers of a lane; by default those of version 0.1.0's `default`.

    Rates and gamma go from their value to that of their end on half a cosine. Without
    an end they are constant.
    """

    lr: float = 2e-3
    """Learning rate of both players."""
    lr_end: float | None = None
    g_lr: float | None = None
    """Learning rate of the generator, if it is another one. It has the same end."""
    b2: float = 0.99
    """Of Adam, with b1 = 0."""
    gamma: float = 1.0
    """Of R1 and R2."""
    gamma_end: float | None = None

    def rates(self) -> Players[tuple[float, float]]:
        """Returns the first and the last learning rate of each player.

        >>> Hyper(lr_end=1e-5, g_lr=4e-3).rates()
        Players(generator=(0.004, 1e-05), discriminator=(0.002, 1e-05))
        """
        firsts = (self.lr if self.g_lr is None else self.g_lr, self.lr)
        ends = (x if self.lr_end is None else self.lr_end for x in firsts)
        return Players(*zip(firsts, ends, strict=True))

    def gammas(self) -> tuple[float, float]:
        """Returns the first and the last gamma."""
        return self.gamma, self.gamma if self.gamma_end is None else self.gamma_end


class LaneState(NamedTuple):
    """The state of a lane's optimizer, with its numbers."""

    rates: jax.Array
    """The first and the last learning rate, `[2]`."""
    b2: jax.Array
    adam: optax.ScaleByAdamState


def between(ends: jax.Array, steps: int, step: jax.Array) -> jax.Array:
    """Returns the value of a cosine schedule whose ends, `[2]`, are not constants."""
    start, end = ends
    return cosine(start, end, steps)(step)  # pyright: ignore[reportArgumentType]


def lane_adam(steps: Steps) -> optax.GradientTransformation:
    """Adam with b1 = 0, whose rates and b2 are in its state.

    Args:
      steps: after which the learning rate is at its end.
    """

    def init(params):
        adam: Any = optax.scale_by_adam(b1=0.0).init(params)
        return LaneState(jnp.zeros(2), jnp.zeros(()), adam)  # `states_of` sets both

    def update(updates, state, params=None):
        del params
        rate = between(state.rates, steps, state.adam.count)
        adam = optax.scale_by_adam(b1=0.0, b2=state.b2)
        updates, new = adam.update(updates, state.adam)
        moved = jax.tree.map(lambda x: -rate * x, updates)
        return moved, state._replace(adam=new)

    return optax.GradientTransformation(init, update)


def lane_penalty(penalty: Callable[..., Term]) -> Callable[..., Term]:
    """Returns `r1` or `r2` of a part of the batch, with gamma in the term's state."""

    def factory(steps: Steps, fraction: Fraction = 1.0) -> Term:
        def apply(s: LossInputs, gammas: jax.Array) -> tuple[jax.Array, jax.Array]:
            count = max(int(len(jax.tree.leaves(s.samples.real)[0]) * fraction), 1)
            first = jax.tree.map(lambda x: x[:count], s.samples)
            term = penalty(lambda step: between(gammas, steps, step))
            return term.apply(s._replace(samples=first), ())[0], gammas

        return Term(lambda: jnp.zeros(2), apply)

    return factory


def convolve_patches(
    x: jax.Array,
    kernel: jax.Array,
    stride: int = 1,
    groups: int = 1,
    padding: Any = "SAME",
) -> jax.Array:
    """Convolves `[B, H, W, C]` with SAME padding as one product of patches.

    Under vmap, each lane has its own kernel. XLA makes one convolution with groups of
    that, which is slow on a GPU; a product has a batch axis.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`; k is odd.
      stride: only 1.
      groups: only 1.
      padding: only SAME.

    Raises:
      UsageError: for other kernels.
    """
    k, _, _, features = kernel.shape
    if (stride, groups, k % 2, padding) != (1, 1, 1, "SAME"):
        raise UsageError(
            "lanes have SAME convolutions of stride 1 with odd kernels only: use "
            "networks such as small(16)"
        )
    height, width = x.shape[1:3]
    pads = (k // 2, k // 2)
    padded = jnp.pad(x, [(0, 0), pads, pads, (0, 0)])
    shifts = [(i, j) for i in range(k) for j in range(k)]
    # `[B, H, W, k * k * C]`, in the order of the kernel.
    patches = [padded[:, i : i + height, j : j + width] for i, j in shifts]
    return jnp.concatenate(patches, -1) @ kernel.reshape(-1, features)


@contextmanager
def installed() -> Iterator[None]:
    """A context in which GANs with lanes can be built, traced and compiled."""
    penalties = {"lane_r1": lane_penalty(r1), "lane_r2": lane_penalty(r2)}
    own = {"lane_adam": lane_adam}
    patches = dict.fromkeys(("conv_same", "conv_cpu"), convolve_patches)
    with (
        mock.patch.dict(REGULARIZERS, penalties),
        mock.patch.dict(MOVERS, own),
        mock.patch.dict(OPTIMIZERS, own),
        mock.patch.multiple(layers, **patches),
    ):
        yield


def flags_of(steps: int, fraction: float) -> dict[str, Any]:
    """Returns the flags of a program of lanes, beside those of its networks.

    Args:
      steps: number of steps, and length of all schedules.
      fraction: of the batch, on which penalties are computed.
    """
    optimizer = f"lane_adam({steps})"
    return {
        "d_terms": f"lane_r1({steps}, {fraction})|lane_r2({steps}, {fraction})",
        "g_optimizer": optimizer,
        "d_optimizer": optimizer,
        "steps": steps,
    }


def states_of(gan: GAN, seeds: np.ndarray, hypers: list[Hyper]) -> TrainState:
    """Returns the first states of all lanes, stacked; their numbers are set.

    Args:
      gan: built with `flags_of`, within `installed`.
      seeds: `[lanes]`; a seed gives the networks that `gan.init` makes of its key.
      hypers: one per lane.
    """
    state = jax.jit(jax.vmap(lambda seed: gan.init(jax.random.key(seed))))(seeds)
    rates = Players(*zip(*(hyper.rates() for hyper in hypers), strict=True))
    b2 = jnp.array([hyper.b2 for hyper in hypers])
    gammas = jnp.array([hyper.gammas() for hyper in hypers])

    def put(opt: Tree, own: Any) -> Tree:
        def change(x):
            lane = isinstance(x, LaneState)
            # A new array each, as the states are donated.
            return x._replace(rates=jnp.array(own), b2=b2 + 0) if lane else x

        return jax.tree.map(change, opt, is_leaf=lambda x: isinstance(x, LaneState))

    terms = state.term_state.discriminator
    terms = {k: gammas + 0 if k.startswith("lane_") else x for k, x in terms.items()}
    return state.replace(
        opt_state=Players(*map(put, state.opt_state, rates)),
        term_state=state.term_state._replace(discriminator=terms),
    )


def draw(
    seed: jax.typing.ArrayLike, step: jax.typing.ArrayLike, batch: int, size: int
) -> tuple[jax.Array, jax.Array]:
    """Returns the key of a lane's step, and the numbers of its images, `[batch]`.

    Images are drawn with replacement, unlike those of `jaxgan.train`, which shuffles
    epochs.
    """
    key = jax.random.fold_in(jax.random.key(DATA_KEY + seed), step)
    return key, jax.random.randint(key, (batch,), 0, size)


def make_chunk(gan: GAN, batch: int, steps: int) -> Callable[..., tuple]:
    """Returns chunk(states, seeds, images) -> (states, metrics of the last step).

    Args:
      gan: built with `flags_of`, within `installed`.
      batch: images per step.
      steps: per call.
    """

    def one(state, seed, images):
        def body(state, _):
            key, numbers = draw(seed, state.step, batch, len(images))
            return gan.train_step(state, {"image": images[numbers][None]}, key)

        state, metrics = jax.lax.scan(body, state, length=steps)
        return state, jax.tree.map(lambda x: x[-1], metrics)

    return jax.jit(jax.vmap(one, (0, 0, None)), donate_argnums=0)


def train(
    gan: GAN,
    states: TrainState,
    seeds: np.ndarray,
    images: np.ndarray,
    *,
    batch: int,
    steps: int,
) -> TrainState:
    """Trains all lanes; call it within `installed`.

    Args:
      gan: built with `flags_of`.
      states: of all lanes, from `states_of`; donated.
      seeds: `[lanes]`.
      images: `[n, H, W, C]` uint8, which are kept on the device.
      batch: images per step.
      steps: number of steps; a last call makes those that are left over.
    """
    placed, done = jnp.asarray(images), 0
    while done < steps:
        count = min(PER_CALL, steps - done)
        chunk = make_chunk(gan, batch, count)
        for _ in range((steps - done) // count):
            states, _ = chunk(states, seeds, placed)
            done += count
    return jax.block_until_ready(states)
