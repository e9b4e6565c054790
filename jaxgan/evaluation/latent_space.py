"""The space of a run's latents: draws them, and samples of given ones.

A network is said to have styles if it has the methods `mapping(z, condition, *, train)`
to w `[B, d]`, and `synthesis(w, *, train)` of w `[B, d]` or `[B, layers, d]`, which its
`__call__` calls.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UsageError
from jaxgan.evaluation.latent_directions import Directions, principal_directions
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import generate_in_batches
from jaxgan.gan import builder, objective
from jaxgan.gan.gan import example_batch, make_generate, make_play
from jaxgan.networks.styles import has_styles, innermost
from jaxgan.parallel import multi_seed
from jaxgan.types import Batch, Field, Samples, Tree

LEARNED = 1_024
"""Latents from which means and directions are computed."""

MOST_FEATURES = 16_384
"""Maximum number of outputs of the first layer that are used."""

Z, W, TO, SHARE = "latent z", "latent w", "label to", "label share"
"""Names of latents in a batch, beside the fields of examples."""

Change = Callable[[jax.Array], jax.Array]


def check_has_latents(run: Run) -> None:
    """Raises UsageError if the task of a run has no latents, naming another program."""
    name, task = run.folder.name, run.gan.task
    others = [x for x in task.inputs if x not in _conditions(run)]
    if others or task.transform is not None:
        raise UsageError(
            f"{name} maps inputs of yours, and has no latents to explore: use "
            f"python -m jaxgan.apply --workdir={run.folder}"
        )
    if run.example[run.example.generated].kind == "tokens":
        raise UsageError(
            f"{name} makes texts, which have no space of latents: use python -m "
            "jaxgan.sample --n=64"
        )


class LatentSpace:
    """Draws latents of a run, and samples of given latents.

    Args:
      run: the run.
      variables: of its generator.

    Raises:
      UsageError: if its samples do not come from one latent vector.
    """

    def __init__(self, run: Run, variables: Tree) -> None:
        check_has_latents(run)
        self.run = run
        self.field: Field = run.example[run.example.generated]
        self.gan = _without_remat(run)
        self.variables = jax.device_put(variables)
        self.has_styles = has_styles(self.gan.networks.generator)
        self.dim = self._find_dim(run.folder.name)

    @property
    def layers(self) -> int:
        """The number of layers of a synthesis, each of which can have its own w."""
        return int(innermost(self.gan.networks.generator).layers)

    def _find_dim(self, name: str) -> int:
        """Returns the number of entries of a latent, without computing anything."""
        keys, found = objective.example_keys(jax.random.key(0), 1), []

        def note(inputs):
            found.append(inputs)
            return inputs

        jax.eval_shape(
            lambda *args: self.gan.generate(*args, note),
            *(self.variables, example_batch(self.run.example, 1), keys),
        )
        if len(found) != 1 or getattr(found[0], "ndim", 0) != 2:
            other = "sample --n=64"
            if self.gan.task.score is not None:
                other = f"score --workdir={self.run.folder}"
            raise UsageError(
                f"{name} does not start from one latent vector, which can be explored: "
                f"use python -m jaxgan.{other}"
            )
        return found[0].shape[1]

    def keys(self, seed: int, n: int) -> jax.Array:
        """Returns the PRNG keys of the samples of a seed, `[n]`."""
        return objective.example_keys(multi_seed.key_of(seed), n)

    def conditions(
        self, batch: Mapping[str, Any], numbers: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns labels or attributes of samples by their numbers, `[n, ...]`.

        Args:
          batch: examples, which start over where there are too few.
          numbers: `[n]`.
        """
        fields = {name: np.asarray(batch[name]) for name in self.run.gan.task.inputs}
        return {name: x[numbers % len(x)] for name, x in fields.items()}

    def latents(self, keys: jax.Array, conditions: dict[str, Any]) -> np.ndarray:
        """Returns the latents z that the task draws, `[n, dim]`."""
        return self._run(self._draw_z, conditions, keys)

    def styles(
        self, z: np.ndarray, keys: jax.Array, conditions: dict[str, Any]
    ) -> np.ndarray:
        """Returns the w of latents, `[n, d]`, of a network that has styles."""
        return self._run(self._draw_features, {**conditions, Z: z}, keys)

    def images(
        self,
        keys: jax.Array,
        conditions: dict[str, Any],
        *,
        z: np.ndarray | None = None,
        w: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns samples, `[n, ...]` float32, as the data are normalized.

        Args:
          keys: of the samples, `[n]`, for latents and for the noise of layers.
          conditions: labels or attributes, `[n, ...]` by field.
          z: latents `[n, dim]`; None to draw them.
          w: their styles, `[n, d]` or `[n, layers, d]`; None for those of z.
        """
        given = {k: x for k, x in ((Z, z), (W, w)) if x is not None}
        return self._run(self._draw, {**conditions, **given}, keys)

    def _run(self, draw: Any, arrays: dict[str, Any], keys: jax.Array) -> np.ndarray:
        """Calls a compiled function some at a time."""
        return generate_in_batches(draw, self.variables, self.example(arrays), keys)

    def example(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Returns arrays with one row of zeros for each field that they lack."""
        return {**example_batch(self.run.example, 1), **arrays}

    def generate(self, variables: Tree, batch: Batch, keys: jax.Array) -> Tree:
        """Draws samples of the latents `Z` or `W` in a batch, to be compiled."""
        return self.own(self.play(variables, batch, keys).fake)

    def own(self, samples: Tree) -> jax.Array:
        """Returns the generated field of samples."""
        # A task may generate more than one array, such as codes of the data.
        name = self.run.example.generated
        return samples[name] if isinstance(samples, dict) else samples

    def play(self, variables: Tree, batch: Batch, keys: jax.Array) -> Samples:
        """Plays the task with the latents `Z` or `W` in a batch, to be compiled."""
        batch = dict(batch)
        z, w = batch.pop(Z, None), batch.pop(W, None)
        to, share = batch.pop(TO, None), batch.pop(SHARE, None)
        with contextlib.ExitStack() as stack:
            if w is not None:
                stack.enter_context(at_styles(lambda own: jnp.asarray(w, own.dtype)))
            if to is not None and share is not None:
                stack.enter_context(between_embeddings(to, share))
            change = _identity if z is None else lambda _: z
            return self.gan.play(variables, batch, keys, change)

    @functools.cached_property
    def _draw(self) -> Any:
        return jax.jit(self.generate)

    @functools.cached_property
    def _draw_z(self) -> Any:
        """A compiled function of (variables, batch, keys) to the latents of a task."""

        def draw(variables, batch, keys):
            found = []

            def note(z):
                found.append(z)
                return z

            self.gan.generate(variables, batch, keys, note)
            return found[0]  # the rest of the generator is not compiled

        return jax.jit(draw)

    @functools.cached_property
    def _draw_features(self) -> Any:
        """A compiled function to the output of the first layer, or to w."""
        return jax.jit(self._features)

    def _features(self, variables: Tree, batch: Batch, keys: jax.Array) -> Tree:
        outputs: list[jax.Array] = []

        def record(x):
            outputs.append(x.astype(jnp.float32))
            return x

        with self.at_features(record):
            self.generate(variables, batch, keys)
        # A generator without layers has the features of its latents.
        return outputs[0] if outputs else batch[Z]

    def at_features(self, change: Change) -> Any:
        """Returns a context that changes w, or the output of the first layer."""
        return at_mapping(change) if self.has_styles else at_first_layer(change)

    def learn(
        self, conditions: dict[str, Any], count: int = LEARNED
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws latents, and computes their features: w, or the first layer's output.

        Args:
          conditions: of all of them, one row by field.
          count: number of latents.

        Returns:
          Latents `[count, dim]` and features `[count, ...]`.
        """
        keys = objective.example_keys(jax.random.key(2), count)
        z = self.latents(keys, conditions)
        return z, self._run(self._draw_features, {**conditions, Z: z}, keys)

    def mean_style(self, conditions: dict[str, Any], count: int = LEARNED) -> Any:
        """Returns the mean w of a condition, `[d]`."""
        return self.learn(conditions, count)[1].mean(0)

    def directions(self, conditions: dict[str, Any], count: int) -> Directions:
        """Returns the principal directions of w, or of z by the first layer.

        Args:
          conditions: of the latents, one row by field.
          count: the largest number of directions.
        """
        z, features = self.learn(conditions)
        flat = features.reshape(len(z), -1)[:, :MOST_FEATURES]
        return principal_directions(flat if self.has_styles else z, flat, count)


def _conditions(run: Run) -> set[str]:
    """Returns the fields of examples that are labels or attributes."""
    kinds = ("label", "attributes")
    return {name for name, field in run.example.items() if field.kind in kinds}


def _without_remat(run: Run) -> builder.GAN:
    """Returns the GAN of a run without recomputation, whose values can be recorded."""
    if not run.config.remat:
        return run.gan
    config = dataclasses.replace(run.config, remat=False)
    facts = {"example": run.example, "axis_name": None}
    networks, task = builder.build_networks(config, facts), run.gan.task
    return run.gan._replace(
        networks=networks,
        generate=make_generate(task, networks),
        play=make_play(task, networks),
    )


def _identity(x: Tree) -> Tree:
    return x


@contextlib.contextmanager
def at_mapping(change: Change) -> Iterator[None]:
    """Changes the w `[B, d]` that a network's mapping returns."""

    def intercept(call, args, kwargs, context):
        made = call(*args, **kwargs)
        return change(made) if context.method_name == "mapping" else made

    with nn.intercept_methods(intercept):
        yield


@contextlib.contextmanager
def at_styles(change: Change) -> Iterator[None]:
    """Changes the w `[B, d]` or `[B, layers, d]` that a synthesis starts from."""

    def intercept(call, args, kwargs, context):
        if context.method_name != "synthesis":
            return call(*args, **kwargs)
        if args:
            return call(change(args[0]), *args[1:], **kwargs)
        return call(**{**kwargs, "w": change(kwargs["w"])})

    with nn.intercept_methods(intercept):
        yield


@contextlib.contextmanager
def between_embeddings(to: jax.Array, share: jax.Array) -> Iterator[None]:
    """Interpolates all embeddings of labels.

    Args:
      to: the labels at the other end, `[B]`.
      share: their part, `[B]` in [0, 1].
    """

    def intercept(call, args, kwargs, context):
        made = call(*args, **kwargs)
        is_embedding = isinstance(context.module, nn.Embed)
        if not is_embedding or context.method_name != "__call__":
            return made
        part = share[:, None].astype(made.dtype)
        return (1 - part) * made + part * call(to)

    with nn.intercept_methods(intercept):
        yield


@contextlib.contextmanager
def at_first_layer(change: Change) -> Iterator[None]:
    """Changes the output of a generator's first layer.

    That is the innermost module whose call ends first, of those with vectors as input:
    embeddings of labels have integers.
    """
    done: list[bool] = []

    def intercept(call, args, kwargs, context):
        made = call(*args, **kwargs)
        is_vector = bool(args) and getattr(args[0], "ndim", 0) == 2
        if done or context.method_name != "__call__" or not is_vector:
            return made
        if not isinstance(made, jax.Array):
            return made
        done.append(True)
        return change(made)

    with nn.intercept_methods(intercept):
        yield
