"""Inversion: searches the latents from which a generator makes given images."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.config.inverting import InversionOptions
from jaxgan.errors import BatchSizeError, UsageError
from jaxgan.evaluation.latent_space import LatentSpace, W, Z
from jaxgan.evaluation.truncation import normal_entries
from jaxgan.gan.judging import judge_alone
from jaxgan.networks.ops.platform import platform
from jaxgan.types import Tree

CANDIDATES = 256
"""Latents drawn, of which those with the nearest images are started from."""

ROWS = 64
"""Latents that are optimized at once."""


class Scale(NamedTuple):
    """The distribution of latents, in whose units steps are measured."""

    mean: np.ndarray
    """`[dim]`."""
    deviation: np.ndarray
    low: np.ndarray
    """The smallest value, of entries that are bounded."""
    high: np.ndarray


class Inverter:
    """Searches latents, by Adam on an error of pixels and features.

    Inversion of generators by optimization, https://arxiv.org/abs/1609.03552.

    Args:
      space: the latents.
      critic: the variables of the discriminator.
      conditions: labels or attributes of all images, one row by field.
      options: of the search.
    """

    def __init__(
        self,
        space: LatentSpace,
        critic: Tree,
        conditions: dict[str, Any],
        options: InversionOptions,
    ) -> None:
        self._space, self._options = space, options
        self._conditions = conditions
        self._variables = space.variables, jax.device_put(critic)
        self.is_w = space.has_styles and options.space != "z"
        if options.space == "w" and not space.has_styles:
            raise UsageError(
                "--space=w: the generator of this run has no mapping: use --space=z"
            )
        self._name = W if self.is_w else Z
        self._find_candidates()
        schedule = optax.cosine_decay_schedule(options.learning_rate, options.steps)
        self._optimizer = optax.adam(schedule)
        self._advance = jax.jit(self._step)
        self._whole = jax.jit(self._scan)
        self._features = jax.jit(self._features_of)

    def _find_candidates(self) -> None:
        """Draws latents with their images, and computes their scale."""
        space = self._space
        self._keys = space.keys(self._options.seed, CANDIDATES)
        z = space.latents(self._keys, self._conditions)
        points = space.styles(z, self._keys, self._conditions) if self.is_w else z
        self._points = points
        self._images = space.images(self._keys, self._conditions, z=z)
        bounded = np.zeros(points.shape[1], bool)
        if not self.is_w:
            # Categories and uniform numbers stay in their range.
            bounded = ~normal_entries(points)
        self.scale = Scale(
            points.mean(0),
            np.maximum(points.std(0), 1e-6),
            np.where(bounded, points.min(0), -np.inf),
            np.where(bounded, points.max(0), np.inf),
        )

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the latents `[n, dim]` of images, and their images `[n, H, W, C]`.

        Args:
          images: `[n, H, W, C]` float32 in [-1, 1].
        """
        restarts = self._options.restarts
        at_once = max(ROWS // restarts, 1)
        at_once = min(at_once, len(images))
        found = []
        for first in range(0, len(images), at_once):
            # All calls have the same shapes; the last image is repeated.
            numbers = np.minimum(np.arange(first, first + at_once), len(images) - 1)
            made = self._search(images[numbers])
            found.append([x[: len(images) - first] for x in made])
        latents, recovered = (np.concatenate(x) for x in zip(*found, strict=True))
        return latents, recovered

    def _search(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the best latents of some images, and their images."""
        restarts, scale = self._options.restarts, self.scale
        starts = nearest(images, self._images, restarts).reshape(-1)
        targets = jnp.asarray(images.repeat(restarts, 0))
        keys = self._keys[jnp.asarray(starts)]
        units = jnp.asarray((self._points[starts] - scale.mean) / scale.deviation)
        fixed = (self._variables, targets, self._target_features(targets, keys), keys)
        best = jnp.full(len(units), jnp.inf)
        carry = (units, self._optimizer.init(units), units, best)
        if platform() == "cpu":
            # XLA for CPU is slow at convolutions in a loop.
            for _ in range(self._options.steps):
                carry = self._advance(carry, fixed)
        else:
            carry = self._whole(carry, fixed)
        _, _, best_units, losses = jax.device_get(self._advance(carry, fixed))
        chosen = losses.reshape(-1, restarts).argmin(1)
        rows = np.arange(len(images)) * restarts + chosen
        latents = np.asarray(self._latents(best_units[rows]), np.float32)
        recovered = self._space.images(
            keys[jnp.asarray(rows)], self._conditions, **{"wz"[not self.is_w]: latents}
        )
        return latents, recovered

    def _latents(self, units: Any) -> Any:
        """Returns latents of numbers of standard deviations."""
        scale = self.scale
        return jnp.clip(scale.mean + scale.deviation * units, scale.low, scale.high)

    def _scan(self, carry: Tree, fixed: Tree) -> Tree:
        """Takes all steps in one program."""

        def body(carry, _):
            return self._step(carry, fixed), None

        return jax.lax.scan(body, carry, None, length=self._options.steps)[0]

    def _step(self, carry: Tree, fixed: Tree) -> Tree:
        """Takes a step of Adam, and keeps the best latents so far."""
        units, state, best, lowest = carry
        (_, losses), gradient = jax.value_and_grad(self._loss, has_aux=True)(
            units, fixed
        )
        is_better = losses < lowest
        best = jnp.where(is_better[:, None], units, best)
        lowest = jnp.where(is_better, losses, lowest)
        change, state = self._optimizer.update(gradient, state)
        return optax.apply_updates(units, change), state, best, lowest

    def _loss(self, units: jax.Array, fixed: Tree) -> tuple[jax.Array, jax.Array]:
        """Returns the sum of the losses, and the loss of each latent, `[n]`."""
        (variables, critic), targets, features, keys = fixed
        batch = self._batch(len(units), **{self._name: self._latents(units)})
        samples = self._space.play(variables, batch, keys)
        fake = self._space.own(samples.fake)
        pixels = jnp.square(fake - targets).reshape(len(units), -1).mean(1)
        losses = self._options.pixel_weight * pixels
        if features:
            own = self._critic_features(critic, fake, samples.condition, keys)
            errors = [relative_error(x, y) for x, y in zip(own, features, strict=True)]
            losses += self._options.feature_weight * sum(errors) / len(errors)
        return losses.sum(), losses

    def _batch(self, count: int, **more: Any) -> dict[str, Any]:
        """Returns examples with the conditions of the images, and latents."""
        rows = {
            name: jnp.repeat(jnp.asarray(x), count, 0)
            for name, x in self._space.example(self._conditions).items()
        }
        return {**rows, **more}

    def _target_features(self, targets: jax.Array, keys: jax.Array) -> list[jax.Array]:
        """Returns the features of the images, none if they have no weight."""
        if not self._options.feature_weight:
            return []
        kind = "no features"
        try:
            if found := self._features(self._variables, targets, keys):
                return found
        except BatchSizeError:
            kind = "features of several images at once"
        raise UsageError(
            f"--feature_weight={self._options.feature_weight:g}: the discriminator "
            f"of this run has {kind}: use --feature_weight=0"
        )

    def _features_of(
        self, variables: Tree, images: jax.Array, keys: jax.Array
    ) -> list[jax.Array]:
        batch = self._batch(len(images))
        condition = self._space.play(variables[0], batch, keys).condition
        return self._critic_features(variables[1], images, condition, keys)

    def _critic_features(
        self, critic: Tree, images: jax.Array, condition: Tree, keys: jax.Array
    ) -> list[jax.Array]:
        # The restarts of a picture, and other pictures, must not change its features.
        net = self._space.gan.networks.discriminator
        output = judge_alone(net, critic, images, condition, keys)
        return jax.tree.leaves(output.features)


def relative_error(own: jax.Array, target: jax.Array) -> jax.Array:
    """Returns squared errors of features, relative to their mean square, `[n]`."""
    own, target = (x.reshape(len(x), -1) for x in (own, target))
    return jnp.square(own - target).mean(1) / (jnp.square(target).mean(1) + 1e-8)


def nearest(images: np.ndarray, candidates: np.ndarray, count: int) -> np.ndarray:
    """Returns the numbers of the candidates with the least squared error.

    Args:
      images: `[n, ...]`.
      candidates: `[m, ...]`.
      count: number of candidates for each image, at most m.

    Returns:
      `[n, count]`, the nearest first.

    >>> nearest(np.array([[0.0], [5.0]]), np.array([[4.0], [1.0], [6.5]]), 2).tolist()
    [[1, 0], [0, 2]]
    """
    flat, others = (
        x.reshape(len(x), -1).astype(np.float64) for x in (images, candidates)
    )
    squares = (flat**2).sum(1)[:, None] + (others**2).sum(1) - 2 * flat @ others.T
    return np.argsort(squares, axis=1, kind="stable")[:, :count]
