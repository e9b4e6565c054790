"""Sets of images to extract features of: examples of data, and samples of a run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan import data
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import generate_in_batches
from jaxgan.evaluation.sample_files import to_dtype
from jaxgan.gan.objective import example_keys
from jaxgan.metrics.features import feature_cache
from jaxgan.parallel import multi_seed
from jaxgan.types import Device, Tree


class Part(NamedTuple):
    """Some images of a set, and their classes."""

    images: np.ndarray
    """`[n, H, W, C]` float32 in [-1, 1]."""
    labels: np.ndarray | None
    """`[n]` int32, None if there are none."""
    raw: np.ndarray | None = None
    """The images in the dtype of the data, if they cannot be read again by number."""
    attributes: np.ndarray | None = None
    """`[n, k]` bool, None if there are none."""


class ImageSet(NamedTuple):
    """Numbered images, which are read or drawn some at a time."""

    name: str
    """The kind of images, for messages, such as `held-out examples`."""
    count: int
    """Number of images."""
    shape: tuple[int, ...]
    """Shape of an image."""
    read: Callable[[int, int], Part]
    """(start, stop) to the images of these numbers."""
    stored: Callable[[np.ndarray], np.ndarray] | None
    """Any numbers `[k]` to images `[k, H, W, C]`; None for samples."""
    scale: Callable[[np.ndarray], np.ndarray] = lambda raw: raw
    """Raw samples to images in [-1, 1]."""
    folders: tuple[Path, ...] = ()
    """Folders that may keep the features, the preferred one first; () for none."""
    identity: Callable[[], str] = lambda: ""
    """Returns a digest of the images, for the name of the file."""


def of_dataset(name: str, dataset: data.Dataset, numbers: np.ndarray) -> ImageSet:
    """Returns examples of a data set, with their labels if there are any.

    Args:
      name: the kind of images, for messages.
      dataset: raw examples.
      numbers: of the examples, `[n]`.
    """

    def read(start: int, stop: int) -> Part:
        return read_images(dataset, numbers[start:stop])

    def stored(places: np.ndarray) -> np.ndarray:
        return read_images(dataset, numbers[places]).images

    return ImageSet(
        name,
        len(numbers),
        dataset.shape,
        read,
        stored,
        folders=feature_cache.folders_of(dataset),
        identity=lambda: feature_cache.identity(dataset, numbers),
    )


def read_images(dataset: data.Dataset, numbers: np.ndarray) -> Part:
    """Reads and normalizes the images of some examples, and their labels."""
    examples = data.normalize(dataset.read(numbers), dataset.example)
    # The first field is the one that is generated.
    labels = examples.get("label")
    images = np.asarray(examples[dataset.example.generated], np.float32)
    labels = None if labels is None else np.asarray(labels, np.int32)
    return Part(images, labels, attributes=attributes_of(examples))


def attributes_of(examples: Mapping[str, Any]) -> np.ndarray | None:
    """Returns the attributes of normalized examples, `[n, k]` bool, or None."""
    found = examples.get("attributes")
    return None if found is None else np.asarray(found) > 0.5


def of_samples(
    run: Run, variables: Tree, train: data.Dataset, *, seed: int, count: int
) -> ImageSet:
    """Returns samples of a run, which are drawn when they are read.

    They are rounded to the dtype of the data. Their inputs, such as labels, are those
    of training examples in a fixed order. Each has a PRNG key by its number, so that
    any part of them can be drawn alone.

    Args:
      run: the run.
      variables: the generator's.
      train: the training examples of the run.
      seed: of the samples.
      count: number of samples.
    """
    example, key = run.example, multi_seed.key_of(seed)
    devices = jax.local_devices()
    # Devices of a CPU share its cores.
    devices = devices[:1] if devices[0].platform == "cpu" else devices
    draw = over_devices(run.gan.generate, variables, devices)
    inputs = inputs_of_samples(train, count)
    conditional, by_attributes = is_conditional(run), has_attributes(run)

    def scale(raw: np.ndarray) -> np.ndarray:
        images = data.normalize({example.generated: raw}, example)[example.generated]
        return np.asarray(images, np.float32)

    def read(start: int, stop: int) -> Part:
        numbers = inputs[start:stop]
        batch = data.normalize(train.read(numbers), example)
        keys = example_keys(key, stop - start, start)
        drawn = generate_in_batches(lambda _, *args: draw(*args), None, batch, keys)
        # A task may generate more than one array, such as codes of the data.
        drawn = drawn[example.generated] if isinstance(drawn, dict) else drawn
        raw = to_dtype(drawn, example.dtype)
        labels = np.asarray(batch["label"], np.int32) if conditional else None
        attributes = attributes_of(batch) if by_attributes else None
        return Part(scale(raw), labels, raw, attributes)

    name = f"samples of run {run.number}, seed {seed}"
    return ImageSet(name, count, example.shape, read, None, scale)


def inputs_of_samples(train: data.Dataset, count: int) -> np.ndarray:
    """Returns the numbers of the training examples whose inputs samples have.

    The examples start over if there are fewer than samples.
    """
    return data.epoch_order(0, 1, train.size)[np.arange(count) % train.size]


def is_conditional(run: Run) -> bool:
    """Returns True if samples of a run are those of a label."""
    return "label" in run.gan.task.inputs


def has_attributes(run: Run) -> bool:
    """Returns True if samples of a run are those of attributes."""
    return "attributes" in run.gan.task.inputs


def over_devices(
    generate: Callable[..., Tree], variables: Tree, devices: list[Device]
) -> Callable[[Tree, jax.Array], Tree]:
    """Compiles a function of a batch, which is split over devices if they divide it.

    Args:
      generate: maps (variables, examples by field `[B, ...]`, keys `[B]`) to samples,
        example by example.
      variables: the generator's, which are copied to all devices.
      devices: of this process.

    Returns:
      (examples, keys) to samples.
    """
    mesh = Mesh(np.array(devices), ("batch",))
    split = NamedSharding(mesh, PartitionSpec("batch"))
    whole = NamedSharding(mesh, PartitionSpec())
    compiled, variables = jax.jit(generate), jax.device_put(variables, whole)

    def draw(examples: Tree, keys: jax.Array) -> Tree:
        rows = split if len(keys) % len(devices) == 0 else whole
        return compiled(variables, *jax.device_put((examples, keys), rows))

    return draw
