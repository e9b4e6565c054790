"""A game of the lab: a GAN of points in the plane, trained by the real train step."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.config.resolve import make_config
from jaxgan.gan import builder, objective
from jaxgan.gan.gan import GAN
from jaxgan.gan.train_step import accumulate, make_update
from jaxgan.monitoring.probe import mean_logits
from jaxgan.types import (
    LossInputs,
    Players,
    Samples,
    TrainState,
    Tree,
    image_example,
)
from jaxgan.viewer.lab_data import PlaneSet
from jaxgan.viewer.lab_settings import Settings, flags

SHOWN = 256
"""Samples that are shown."""

COUNTED = 512
"""Samples of which modes are counted."""

ARROWS = 96
"""Samples with an arrow."""

SURFACE = 40
"""Points of D's surface along each axis."""

KEPT = 2_000
"""Maximum number of rows of metrics that are kept."""

EXAMPLE = image_example((2,), np.float32)


class Programs(NamedTuple):
    """The compiled functions of a game."""

    gan: GAN
    advance: Callable
    """(state, key, count, points) to (state, mean metrics, last step finite)."""
    update: Callable
    """(state, key, points, player) to (state, metrics): one update of one player."""
    observe: Callable
    """(state, variables, points, extent) to `Seen`, as a dictionary."""


@functools.lru_cache(maxsize=8)
def programs(rules: Settings) -> Programs:
    """Builds a game and its functions, which compile when they are first called.

    Raises:
      UsageError: if something cannot be built.
    """
    config = make_config(**flags(rules))
    gan = builder.build_gan(config, EXAMPLE)
    size = (rules.d_updates, rules.batch_size)
    loss = objective.make_loss(gan.task, gan.networks, gan.terms)
    one = make_update(accumulate(loss, 1, True), gan.optimizers, gan.task.stage)

    def batch(points, key, step):
        # Folded with another number than the step's own keys.
        key = jax.random.fold_in(jax.random.fold_in(key, step), 2**30)
        return {"image": points[jax.random.randint(key, size, 0, len(points))]}

    def advance(state, key, count, points):
        def body(_, carry):
            state, total = carry
            state, values = gan.train_step(state, batch(points, key, state.step), key)
            return state, jax.tree.map(jnp.add, total, values)

        example = batch(points, key, state.step)
        values = jax.eval_shape(gan.train_step, state, example, key)[1]
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), values)
        state, total = jax.lax.fori_loop(0, count, body, (state, zeros))
        return state, jax.tree.map(lambda x: x / count, total)

    def update(state, key, points, player):
        last = jax.tree.map(lambda x: x[-1], batch(points, key, state.step))
        state, values = one(player, state, last, jax.random.fold_in(key, state.step))
        # Counted as a step, so that the next one draws another batch.
        now = {"params": state.params.generator, **state.stats.generator}
        return state.replace(step=state.step + 1, ema=_mean(state.ema, now)), values

    def _mean(old, new):
        return optax.incremental_update(new, old, 0.01)

    return Programs(
        gan._replace(init=jax.jit(gan.init)),
        jax.jit(advance),
        jax.jit(update, static_argnames="player"),
        jax.jit(functools.partial(observe, gan)),
    )


def observe(
    gan: GAN, state: TrainState, variables: Tree, points: jax.Array, extent: jax.Array
) -> dict[str, jax.Array]:
    """Returns what the lab shows of a state.

    Args:
      gan: the game.
      state: the state.
      variables: the generator's that are shown: the newest, or their moving average.
      points: of the data, `[POINTS, 2]`.
      extent: of the surface, `[]`.

    Returns:
      `samples` `[COUNTED, 2]`, `arrows` `[ARROWS, 2]` (the negative gradient of G's
      loss with respect to each sample, times their number), `slopes` `[ARROWS]` (the
      length of D's own gradient there), `surface` `[SURFACE, SURFACE]` (D's logits),
      and the mean logits and their signs of `real` and `fake`.
    """
    keys = objective.example_keys(jax.random.key(7), COUNTED)
    real = points[:COUNTED]
    samples = gan.play(variables, {"image": real}, keys)
    fakes = samples.fake
    d_variables = objective.variables(state, "discriminator")
    d, _ = objective.bind(gan.networks.discriminator, d_variables, keys)
    arrows, slopes = gradients(gan, state, d, samples)
    line = jnp.linspace(-extent, extent, SURFACE)
    # Row by row from the bottom, x fastest.
    places = jnp.stack(jnp.meshgrid(line, line), axis=-1).reshape(-1, 2)
    of_real, of_fake = mean_logits(d(real)), mean_logits(d(fakes))
    return {
        "samples": fakes,
        "arrows": arrows[:ARROWS],
        "slopes": slopes[:ARROWS],
        "surface": mean_logits(d(places)).reshape(SURFACE, SURFACE),
        "real": of_real.mean(),
        "fake": of_fake.mean(),
        # How often D ranks a real example above a fake one.
        "ranked": (of_real[:, None] > of_fake[None]).mean(),
    }


def gradients(
    gan: GAN, state: TrainState, d: Callable, samples: Samples
) -> tuple[jax.Array, jax.Array]:
    """Returns the pull of G's loss on each sample `[n, 2]`, and D's slope there `[n]`.

    The pull is the negative gradient of G's adversarial loss with respect to the
    sample, times the number of samples, as the loss is their mean.
    """
    n = len(samples.fake)
    keys = objective.example_keys(jax.random.key(8), n)
    term, own = gan.terms.generator["loss"], state.term_state.generator["loss"]

    def loss(fake):
        moved = samples._replace(fake=fake)
        inputs = LossInputs(moved, d(samples.real), d(fake), d, keys, state.step)
        return term.apply(inputs, own)[0]

    slope = jax.grad(lambda x: mean_logits(d(x)).sum())(samples.fake)
    return -n * jax.grad(loss)(samples.fake), jnp.linalg.norm(slope, axis=-1)


class Game:
    """A game in progress: its rules, state and metrics."""

    def __init__(self, settings: Settings, plane: PlaneSet) -> None:
        self.settings = settings
        self.plane = plane
        self._programs = programs(settings.rules)
        self.restart()

    def restart(self) -> None:
        """Starts again from new networks."""
        key = jax.random.key(self.settings.seed)
        self._key = jax.random.fold_in(key, 1)
        self.state = self._with_rates(self._programs.gan.init(key))
        self._points = jnp.asarray(self.plane.points)
        self.rows: list[dict[str, float]] = []

    @property
    def step(self) -> int:
        """The number of steps so far."""
        return int(self.state.step)

    def change(self, settings: Settings) -> bool:
        """Changes the rules, and keeps the networks if they fit.

        Returns:
          True if the game goes on with the same networks.

        Raises:
          UsageError: if something cannot be built; the game stays as it was.
        """
        made = programs(settings.rules)
        seed, old = self.settings.seed, self.settings
        if made is not self._programs:
            fresh = made.gan.init(jax.random.key(settings.seed))
            kept = _keep(self.state, fresh)
            self._programs, self.settings = made, settings
            if kept is None or settings.seed != seed:
                self.restart()
                return False
            self.state = kept
        self.settings = settings
        if settings.seed != old.seed:
            self.restart()
            return False
        self.state = self._with_rates(self.state)
        return True

    def set_plane(self, plane: PlaneSet) -> None:
        """Plays on other data from here on, with the same networks."""
        self.plane, self._points = plane, jnp.asarray(plane.points)

    def _with_rates(self, state: TrainState) -> TrainState:
        """Returns the state with the rates of the settings, where it holds them."""
        if self.settings.optimizer != "adam":
            return state
        rates = Players(self.settings.g_rate, self.settings.d_rate)
        new = [
            optax.tree.set(opt, learning_rate=jnp.float32(rate))
            for opt, rate in zip(state.opt_state, rates, strict=True)
        ]
        return state.replace(opt_state=Players(*new))

    def advance(self, count: int) -> None:
        """Trains for `count` steps, in one compiled call."""
        state, values = self._programs.advance(
            self.state, self._key, jnp.int32(count), self._points
        )
        self._keep_row(state, values)

    def update(self, player: str) -> None:
        """Updates one player once."""
        state, values = self._programs.update(
            self.state, self._key, self._points, player=player
        )
        self._keep_row(state, values)

    def _keep_row(self, state: TrainState, values: dict[str, jax.Array]) -> None:
        self.state = state
        row = {name: float(x) for name, x in values.items()}
        self.rows.append({"step": float(self.step), **row})
        # Every second row goes if there are too many.
        if len(self.rows) > KEPT:
            self.rows = self.rows[::2]

    def see(self, *, average: bool = False) -> dict[str, np.ndarray]:
        """Returns what `observe` returns for the state, as NumPy arrays.

        Args:
          average: True to show the moving average of the generator.
        """
        newest = objective.variables(self.state, "generator")
        variables = self.state.ema if average else newest
        extent = jnp.float32(self.plane.extent)
        seen = self._programs.observe(self.state, variables, self._points, extent)
        return jax.tree.map(np.asarray, seen)


def _keep(old: TrainState, fresh: TrainState) -> TrainState | None:
    """Returns a new game's state with the old networks, None if they do not fit."""

    def fits(a, b):
        shapes = jax.tree.map(jnp.shape, a), jax.tree.map(jnp.shape, b)
        return jax.tree.structure(a) == jax.tree.structure(b) and shapes[0] == shapes[1]

    if not fits((old.params, old.ema), (fresh.params, fresh.ema)):
        return None
    # Moments too, unless the optimizer is another.
    opt = old.opt_state if fits(old.opt_state, fresh.opt_state) else fresh.opt_state
    return fresh.replace(
        step=old.step, params=old.params, stats=old.stats, ema=old.ema, opt_state=opt
    )
