"""Training of classifiers of labels or attributes: one recipe for every set."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np
import optax

from jaxgan.data import KINDS, Dataset, Examples, fingerprint, read_all
from jaxgan.data.cache import LIMIT, read_some
from jaxgan.data.shuffle import epoch_order, evenly
from jaxgan.errors import UsageError, printable
from jaxgan.metrics.features.base import image_shape
from jaxgan.ranges import ceil_div
from jaxgan.types import Tree

RECIPE = 1
"""Version of the recipe and of the network; a change needs another number."""
BATCH, EPOCHS = 64, 5
LEAST, MOST = 400, 5000
"""Bounds on the number of steps, for small and for large sets."""
RATE, DECAY = 1.5e-3, 0.05
"""The learning rate at the start, and the weight decay."""
TESTED = 10_000
"""Largest number of examples of the accuracy."""
SAMPLE = 256
"""Decoded examples that identify a set, in addition to its fingerprint."""

normalize = KINDS["image"].normalize
"""Maps raw images and waveforms to float32 in [-1, 1]."""


class Labelled(NamedTuple):
    """Images and their labels."""

    images: np.ndarray
    """`[n, H, W, C]`, raw."""
    labels: np.ndarray
    """`[n]` int32, or attributes `[n, k]`."""

    def at(self, numbers: np.ndarray) -> "Labelled":
        """Returns some of the examples, by their numbers or by a mask."""
        return Labelled(self.images[numbers], self.labels[numbers])


def check(dataset: Dataset) -> None:
    """Checks that a classifier can be trained on a data set.

    Raises:
      UsageError: for fields other than images or sounds with a label, fewer than two
        classes, or fewer than two examples.
    """
    # Sounds are images to a classifier, which raises for those that are too short.
    if dataset.example[dataset.example.generated].kind != "waveform":
        image_shape(dataset.example, "classifier")
    name, classes = printable(dataset.name), dataset.classes
    if not classes:
        raise UsageError(
            f"classifier needs labels, which {name} does not have: use "
            "efficientnet or random for images"
        )
    if len(classes) == 1:
        raise UsageError(
            f"classifier needs two or more classes, and {name} has only "
            f"{printable(*classes)!r}: use efficientnet or random for images"
        )
    if dataset.size < 2:
        raise UsageError(
            f"classifier cannot be trained on {dataset.size} image of {name}: use a "
            "split of 1,000 or more"
        )


def identity(dataset: Dataset, field: str = "label") -> str:
    """Returns a digest of a labelled set: of its fingerprint and decoded examples."""
    sample = read_some(dataset, evenly(dataset.size, SAMPLE))
    form = (fingerprint(dataset), dataset.size, dataset.shape, dataset.classes)
    whole = hashlib.sha256(repr(form).encode())
    # A fingerprint is that of stored bytes, which a crop does not change.
    for part in _labelled(dataset, sample, field):
        whole.update(np.ascontiguousarray(part).tobytes())
    return whole.hexdigest()[:16]


def read(dataset: Dataset, most: int | None = None, field: str = "label") -> Labelled:
    """Returns examples of a labelled set: all, or as many as the limits allow.

    Args:
      dataset: a labelled set.
      most: largest number of examples. Of more, and of more than 2 GiB of pixels,
        evenly spaced ones are returned.
      field: the one with the labels.
    """
    fits = max(LIMIT * dataset.size // max(dataset.nbytes, 1), 1)
    count = min(dataset.size, fits, most or dataset.size)
    if count == dataset.size:
        return _labelled(dataset, read_all(dataset), field)
    return _labelled(dataset, dataset.read(evenly(dataset.size, count)), field)


def _labelled(dataset: Dataset, examples: Examples, field: str) -> Labelled:
    return Labelled(examples[dataset.example.generated], examples[field])


def set_apart(examples: Labelled) -> tuple[Labelled, Labelled]:
    """Splits off every tenth example for the accuracy, for sets without others.

    Returns:
      The remaining examples and those split off. Of fewer than 20, both are all.
    """
    if len(examples.labels) < 20:
        return examples, examples
    apart = np.arange(len(examples.labels)) % 10 == 9
    return examples.at(~apart), examples.at(apart)


def number_of_steps(size: int, epochs: int = EPOCHS) -> int:
    """Returns the number of steps for a training set of `size` examples.

    >>> number_of_steps(50), number_of_steps(20_000), number_of_steps(10**6)
    (400, 1563, 5000)
    """
    return int(np.clip(ceil_div(epochs * size, BATCH), LEAST, MOST))


Loss = Callable[[jax.Array, jax.Array], jax.Array]
"""Maps logits and labels to losses, whose mean is minimized."""


Change = Callable[[jax.Array, jax.Array], jax.Array]
"""Maps a PRNG key and images `[B, H, W, C]` in [-1, 1] to augmented ones."""


def train(
    net: nn.Module,
    examples: Labelled,
    seed: int,
    loss: Loss = optax.softmax_cross_entropy_with_integer_labels,
    epochs: int = EPOCHS,
) -> Tree:
    """Trains a network on labelled images, on one device, for `number_of_steps`.

    See `make_trainer` for the recipe.

    Args:
      net: maps (images or waveforms in [-1, 1], dropout=key or None) to logits
        `[B, k]` and features.
      examples: raw images and labels.
      seed: seed of the weights, of the order and of dropout.
      loss: the cross-entropy of labels or attributes.
      epochs: times that an example is seen, between the bounds on the steps.

    Returns:
      The variables of `net`, as NumPy arrays.

    Raises:
      UsageError: if all labels are equal, or an image has NaN.
    """
    size = len(examples.labels)
    if (examples.labels == examples.labels[0]).all():
        raise UsageError(
            f"classifier needs examples of two or more classes, and all {size} have "
            f"the label {examples.labels[0]}: use more of the set"
        )
    steps = number_of_steps(size, epochs)
    numbers = order(seed, size, steps * BATCH)

    def draw(step: int) -> Labelled:
        return examples.at(numbers[step * BATCH : (step + 1) * BATCH])

    return make_trainer(net, steps, loss)(draw, seed)


def order(seed: int, size: int, count: int) -> np.ndarray:
    """Returns numbers of examples, `[count or more]`: whole epochs, one by one."""
    epochs = range(ceil_div(count, size))
    return np.concatenate([epoch_order(seed, i, size) for i in epochs])


def make_trainer(
    net: nn.Module,
    steps: int,
    loss: Loss = optax.softmax_cross_entropy_with_integer_labels,
    change: Change = lambda key, images: images,
) -> Callable[[Callable[[int], Labelled], int], Tree]:
    """Returns a function that trains a network from any source of batches.

    AdamW (https://arxiv.org/abs/1711.05101) on the cross-entropy, with a learning rate
    that falls to 0 by a cosine. On a CPU, the result is the same for the same seed,
    machine and version of JAX.

    Args:
      net: the network, see `train`.
      steps: number of updates.
      loss: the cross-entropy of labels or attributes.
      change: augments the normalized images of a batch.

    Returns:
      train(draw, seed), compiled once. `draw` maps a step to the raw batch. It returns
      the variables, and raises UsageError if they are not finite.
    """
    tx = optax.adamw(optax.cosine_decay_schedule(RATE, steps), weight_decay=DECAY)
    init, update = jax.jit(net.init), _make_update(net, tx, loss, change)

    def train(draw: Callable[[int], Labelled], seed: int) -> Tree:
        key = jax.random.key(seed)
        weights = init(key, normalize(draw(0).images[:1]))
        state = tx.init(weights)
        for i in range(steps):
            # One step per call, as XLA for CPU is slow at convolutions in a loop.
            images, labels = draw(i)
            weights, state = update(weights, state, images, labels, key, i)
        weights = jax.tree.map(np.asarray, weights)
        if not all(np.isfinite(x).all() for x in jax.tree.leaves(weights)):
            raise UsageError(
                "the classifier's weights are not finite after training: remove the "
                "images with NaN or infinite values"
            )
        return weights

    return train


def _make_update(
    net: nn.Module, tx: optax.GradientTransformation, loss: Loss, change: Change
) -> Callable[..., tuple[Tree, Tree]]:
    """Returns update(weights, state, images, labels, key, step), compiled."""

    @jax.jit
    def update(weights, state, images, labels, key, step):
        dropout = jax.random.fold_in(key, step)
        images = change(dropout, normalize(images))

        def mean_loss(weights):
            logits, _ = net.apply(weights, images, dropout=dropout)
            return loss(logits, labels).mean()

        updates, state = tx.update(jax.grad(mean_loss)(weights), state, weights)
        return optax.apply_updates(weights, updates), state

    return update
