"""The generator of a run as a function of arrays, for programs without jaxgan."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.picture_facts import find_facts, transform
from jaxgan.gan import objective
from jaxgan.gan.gan import LAST_STEP, example_batch
from jaxgan.parallel import multi_seed
from jaxgan.types import ExampleSpec, Tree

SEED = 0
"""Seed of the noise inside networks. Most have none."""


class Generator(NamedTuple):
    """A generator in evaluation mode, as a function of the inputs of one example.

    Dropout is off, and batch normalization uses its running statistics, so that an
    example does not depend on others.
    """

    inputs: dict[str, jax.ShapeDtypeStruct]
    """The shapes of one example's inputs: `latents`, `label`, `source`, ..."""
    apply: Callable[..., jax.Array]
    """(variables, keys `[B]`, *inputs `[B, ...]`) to samples `[B, ...]`, float32."""
    latents: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    """(seed `[]` uint32, number `[]` int32) to the latents that `sample` draws. None if
    samples do not start from noise."""

    def batched(self, variables: Tree, *inputs: jax.Array) -> jax.Array:
        """Returns the samples of inputs `[B, ...]`. B may be symbolic."""

        def one(number: jax.Array, *values: jax.Array) -> jax.Array:
            # Networks read the length of a batch, which is 1 here, whatever B is.
            alone = (x[None] for x in values)
            return self.apply(variables, _key(SEED, number)[None], *alone)[0]

        numbers = jnp.arange(inputs[0].shape[0], dtype=jnp.int32)
        return jax.vmap(one)(numbers, *inputs)


def generator_of(run: Run) -> Generator:
    """Returns the generator of a run.

    Raises:
      UsageError: if samples are no function of arrays, as those of texts.
    """
    task, field = run.gan.task, run.example[run.example.generated]
    if field.kind == "tokens":
        raise UsageError(
            f"--task={run.config.task}: the network draws texts token by token, and is "
            "no function of latents: use --format=safetensors or --format=npz"
        )
    if task.transform is None:
        return _of_latents(run)
    return _of_spectrograms(run) if field.kind == "waveform" else _of_pictures(run)


def shapes_of(run: Run) -> Tree:
    """Returns the shapes of the generator's variables."""
    return jax.eval_shape(run.gan.init, jax.random.key(0)).ema


def _key(seed: int | jax.Array, number: jax.Array) -> jax.Array:
    """Returns the key that `sample` has for an example. Seeds have 32 bits."""
    key = multi_seed.key_of(seed) if isinstance(seed, int) else jax.random.key(seed)
    return jax.random.fold_in(key, number)


def _of_latents(run: Run) -> Generator:
    """Returns a function of latents and the fields that samples depend on."""
    gan, example = run.gan, run.example
    batch = example_batch(example, 1)
    inputs = {name: _shape_in(batch[name]) for name in gan.task.inputs}

    def draw(seed: Any, number: Any) -> Any:
        keys = _key(seed, number)[None]
        played = gan.task.play(_of_zeros(run), batch, keys, LAST_STEP)
        return None if played.latents is None else played.latents[0]

    latents = jax.eval_shape(draw, jnp.uint32(0), jnp.int32(0))
    if latents is not None:
        inputs = {"latents": latents, **inputs}

    def apply(variables, keys, *values):
        given = dict(zip(inputs, values, strict=True))
        change = functools.partial(_replaced, given.pop("latents", None))
        fake = gan.generate(variables, {**batch, **given}, keys, change)
        return _generated(fake, example)

    return Generator(inputs, apply, draw if latents is not None else None)


def _of_zeros(run: Run) -> Callable[..., Tree]:
    """Returns a generator whose output is zero, in the shape of the network's."""

    def generate(inputs, condition=None):
        def real(variables, inputs, condition):
            # Networks with noise need a key per example.
            keys = jax.random.split(jax.random.key(0), 1)
            call, _ = objective.bind(run.gan.networks.generator, variables, keys)
            return call(inputs, condition)

        shapes = jax.eval_shape(real, shapes_of(run), inputs, condition)
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return generate


def _replaced(latents: jax.Array | None, inputs: Tree) -> Tree:
    """Returns the inputs of a network with other latents.

    Raises:
      UsageError: if the network has no single latent.
    """
    if latents is None:
        return inputs
    if isinstance(inputs, dict) and "z" in inputs:  # beside what an encoder reads
        return {**inputs, "z": latents}
    if isinstance(inputs, jax.Array) and inputs.shape[1:] == latents.shape[1:]:
        return latents
    raise UsageError(
        "the generator's input is no single array of latents: use "
        "--format=safetensors or --format=npz"
    )


def _of_spectrograms(run: Run) -> Generator:
    """Returns a function of the log-mel spectrograms of a vocoder."""
    gan, batch = run.gan, example_batch(run.example, 1)

    seen: list[Any] = []

    def look(inputs):
        seen.append(inputs)
        return inputs

    keys = jax.random.split(jax.random.key(0), 1)
    jax.eval_shape(lambda x: gan.generate(x, batch, keys, look), shapes_of(run))
    inputs = {"spectrogram": _shape_in(seen[0])}

    def apply(variables, keys, spectrogram):
        return gan.generate(variables, batch, keys, lambda _: spectrogram)

    return Generator(inputs, apply)


def _of_pictures(run: Run) -> Generator:
    """Returns a function of pictures of the size in training, and what goes with them.

    Raises:
      UsageError: if the network maps no pictures.
    """
    facts = find_facts(run, reverse=False)
    inputs = {facts.field: _float32(*facts.base, facts.channels)}
    batch = example_batch(run.example, 1)
    for name in sorted(facts.reads):
        is_mask = name == "mask"
        inputs[name] = _float32(*facts.base, 1) if is_mask else _shape_in(batch[name])

    def apply(variables, keys, *values):
        given = dict(zip(inputs, values, strict=True))
        return transform(run, variables, given, keys)

    return Generator(inputs, apply)


def _float32(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _shape_in(batch: Any) -> jax.ShapeDtypeStruct:
    """Returns the shape of one example of a batch."""
    return jax.ShapeDtypeStruct(batch.shape[1:], batch.dtype)


def _generated(fake: Tree, example: ExampleSpec) -> jax.Array:
    """Returns the generated field of what a task generates."""
    return fake[example.generated] if isinstance(fake, dict) else fake
