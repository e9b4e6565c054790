"""A plain autoencoder of the size of a run's generator and encoder, as a baseline."""

import json
import logging
from pathlib import Path
from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import data
from jaxgan.errors import printable
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.files import atomic_write, open_regular, reason, remedy
from jaxgan.gan.judging import in_whole_groups
from jaxgan.gan.objective import bind, example_keys, variables
from jaxgan.metrics.features.classifier_training import identity, order
from jaxgan.types import ExampleSpec, Tree

log = logging.getLogger("jaxgan")

NAME = "autoencoder"
"""The row of the baseline."""

RECIPE = 1
"""Version of the recipe; a change needs another number."""

BATCH, RATE, SEED = 64, 1e-3, 0
"""Images of an update, the first learning rate, and the seed of all randomness."""


class Autoencoder:
    """The networks of a run with weights of their own, trained by L2 alone.

    Adam (https://arxiv.org/abs/1412.6980) on the mean squared difference of images to
    their reconstructions, with a learning rate that falls to 0 by a cosine. There is no
    noise and no discriminator. The result is the same for the same data, machine and
    versions of libraries.

    Args:
      run: a run whose task scores images.
      steps: number of updates.
    """

    def __init__(self, run: Run, steps: int) -> None:
        self._run, self._steps = run, steps
        self._tx = optax.adam(optax.cosine_decay_schedule(RATE, steps))
        state = run.gan.init(jax.random.key(SEED))
        # The discriminator is bound, as a task may call it, and is not trained.
        self._critic = variables(state, "discriminator")
        self._start: Tree = variables(state, "generator")
        self._weights = self._start
        self._update = jax.jit(self._updated)
        self._score = jax.jit(self._distances)

    def fit(self, train: data.Dataset, folder: Path | None = None) -> None:
        """Trains the networks on normal images.

        Args:
          train: the training examples of the run.
          folder: keeps the weights, which are read if they are there; None for no file.
        """
        if folder is None:
            self._weights = self._train(train)
            return
        file, key = folder / f"{NAME}-{self._steps}.msgpack", self._key(train)
        found = _load(file, key, self._start)
        if found is None:
            found = self._train(train)
            _save(file, key, found)
        self._weights = found

    def score(self, images: np.ndarray) -> np.ndarray:
        """Returns the mean squared differences of raw images `[n, *shape]`, `[n]`."""
        found = []
        for first in range(0, len(images), AT_ONCE):
            some = images[first : first + AT_ONCE]
            # Every batch has the same shape: the last image is repeated.
            padded = np.concatenate([some, some[-1:].repeat(AT_ONCE - len(some), 0)])
            found.append(np.asarray(self._score(self._weights, padded))[: len(some)])
        return np.concatenate(found).astype(np.float64)

    def _train(self, train: data.Dataset) -> Tree:
        """Returns trained weights, as NumPy arrays."""
        size = min(BATCH, train.size)
        numbers = order(SEED, train.size, self._steps * size)
        weights, field = self._start, train.example.generated
        state = self._tx.init(weights["params"])
        with Progress(f"steps of the {NAME}", self._steps) as progress:
            for step in range(self._steps):
                some = numbers[step * size : (step + 1) * size]
                images = train.read(some)[field]
                weights, state = self._update(weights, state, images, step)
                progress.advance(1)
        return jax.tree.map(np.asarray, weights)

    def _updated(
        self, weights: Tree, state: Tree, images: jax.Array, step: jax.Array
    ) -> tuple[Tree, Tree]:
        """Returns the weights and the optimizer's state after an update."""
        stats = {k: x for k, x in weights.items() if k != "params"}
        key = jax.random.fold_in(jax.random.key(SEED), step)

        def loss(params: Tree) -> tuple[jax.Array, Tree]:
            own = {"params": params, **stats}
            squares, stats_ = self._squares(own, images, dropout=key)
            return squares.mean(), stats_

        gradient, stats = jax.grad(loss, has_aux=True)(weights["params"])
        updates, state = self._tx.update(gradient, state, weights["params"])
        params = optax.apply_updates(weights["params"], updates)
        return {"params": params, **stats}, state

    def _distances(self, weights: Tree, images: jax.Array) -> jax.Array:
        return self._squares(weights, images)[0]

    def _squares(
        self, weights: Tree, images: jax.Array, dropout: jax.Array | None = None
    ) -> tuple[jax.Array, Tree]:
        """Returns the mean squared differences `[B]`, and the new statistics."""
        field, gan = self._run.example.generated, self._run.gan
        example = ExampleSpec({field: self._run.example[field]})
        inputs = data.normalize({field: images}, example)
        keys = jnp.broadcast_to(example_keys(jax.random.key(0), 1), (len(images),))
        networks = gan.networks
        generator, stats = bind(networks.generator, weights, keys, dropout=dropout)
        critic, _ = bind(networks.discriminator, self._critic, keys)
        assert gan.task.score is not None  # checked before
        # XLA removes what the reconstruction does not depend on.
        critic = in_whole_groups(critic)
        back = gan.task.score(generator, critic, inputs, keys).reconstruction
        gaps = (inputs[field] - back).reshape(len(images), -1)
        return jnp.mean(jnp.square(gaps), -1), stats()

    def _key(self, train: data.Dataset) -> str:
        """Returns all that the weights depend on."""
        config = self._run.config
        facts = {
            "recipe": RECIPE,
            "steps": self._steps,
            "task": config.task,
            "networks": [config.networks, config.generator_wrap],
            "precision": config.precision,
            "train": identity(train, train.example.generated),
        }
        return json.dumps(facts)


def _load(file: Path, key: str, like: Tree) -> Tree | None:
    """Returns the weights in a file, None if there are none for the key."""
    try:
        with open_regular(file) as stream:
            content: Any = flax.serialization.msgpack_restore(stream.read())
        if content["key"] != key:
            return None
        found = flax.serialization.from_state_dict(like, content["weights"])
        forms = [
            [(np.shape(x), np.asarray(x).dtype) for x in jax.tree.leaves(tree)]
            for tree in (like, found)
        ]
        if forms[0] != forms[1]:
            raise ValueError("it has other weights")
        if not all(np.isfinite(x).all() for x in jax.tree.leaves(found)):
            raise ValueError("its weights are not finite")
        return found
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Bytes that are no such file can raise anything.
    except Exception as error:
        shown = printable(str(file))
        log.warning("%s is ignored and replaced: %s", shown, reason(error))
        return None


def _save(file: Path, key: str, weights: Tree) -> None:
    """Writes a file; logs a warning if it cannot be written."""
    content = {"key": key, "weights": flax.serialization.to_state_dict(weights)}
    try:
        file.parent.mkdir(exist_ok=True)
        atomic_write(file, flax.serialization.msgpack_serialize(content))
    except OSError as error:
        log.warning(
            "the weights of the autoencoder are not kept (%s: %s); %s",
            *(printable(str(file)), reason(error), remedy(error)),
        )
