"""The pictures that a network accepts, found from shapes without compiling anything."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.data.resize import Size
from jaxgan.errors import BuildError, UsageError, first_line
from jaxgan.evaluation.load_run import Run
from jaxgan.experiment.data_facts import read_example
from jaxgan.gan import objective
from jaxgan.gan.objective import example_keys
from jaxgan.ranges import ceil_div
from jaxgan.types import Tree

MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 3, 6, 12, 24, 48)
"""Multiples that the sides of pictures may have to be, in the order of trial."""

NO_PICTURES = ("tokens", "vector")
"""Kinds of data that are neither pictures nor sounds."""

FACTORS = (1, 2, 4, 8, 3)
"""Scales of a super-resolution whose inputs no field of the data has."""


class Facts(NamedTuple):
    """The pictures that a network maps, and the results, without its parameters."""

    field: str
    """The input that has the picture: `source`, or `image` in reverse."""
    reads: frozenset[str]
    """The inputs beside it: `mask`, `label`, `attributes`."""
    base: Size
    """Height and width in training; smaller pictures are padded to it."""
    multiple: int
    """The sides must be a multiple of it; 0 if they must be those of `base`."""
    scale: int
    """Pixels of the result for each pixel of the picture, along a side."""
    channels: int
    """Channels of the picture."""
    variables: Tree
    """The shapes of the generator's variables."""


class _Recorder(dict):
    """Inputs of a task that record which of them it reads."""

    def __init__(self, inputs: dict[str, Any]) -> None:
        super().__init__(inputs)
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Returns an input, or the default."""
        self.seen.add(name)
        return super().get(name, default)


def transform(run: Run, variables: Tree, inputs: dict[str, Any], keys: Any) -> Any:
    """Returns the results of the task's transform, `[B, H, W, C]`.

    Args:
      run: a run whose task maps images.
      variables: the generator's.
      inputs: normalized, `[B, ...]` by name.
      keys: of the examples, `[B]`.
    """
    generator, _ = objective.bind(run.gan.networks.generator, variables, keys)
    assert run.gan.task.transform is not None  # checked before
    return run.gan.task.transform(generator, inputs, keys)


def kind_of_data(folder: Path) -> str:
    """Returns the kind of the first field of a run's data, empty if it is unknown."""
    try:
        example = read_example(folder)
        return example[example.generated].kind
    except (UsageError, OSError):
        return ""  # what is wrong is said where the run is opened


def check_maps_pictures(run: Run) -> None:
    """Raises UsageError unless the task of a run maps pictures."""
    task, kind = run.config.task, run.example[run.example.generated].kind
    if run.gan.task.transform is None or kind in NO_PICTURES:
        other = "draw samples with python -m jaxgan.sample"
        if run.gan.task.score is not None:
            other = "score pictures with python -m jaxgan.score"
        raise UsageError(
            f"--workdir={run.folder}: --task={task} maps no pictures; {other}, or "
            "train with --preset=pix2pix"
        )
    if kind == "waveform":
        raise UsageError(
            f"--workdir={run.folder}: --task={task} maps sounds, no pictures: use "
            "python -m jaxgan.apply with WAV files"
        )


def find_facts(run: Run, *, reverse: bool) -> Facts:
    """Returns the facts of a run.

    Args:
      run: the run.
      reverse: True for the direction from `image` to `source`.

    Raises:
      UsageError: if the run maps no pictures, or not in this direction.
    """
    check_maps_pictures(run)
    task = run.config.task
    field, example = "image" if reverse else "source", run.example
    given = _has_field(run, field)
    own = example[field if given else example.generated]
    shapes = jax.eval_shape(run.gan.init, jax.random.key(0)).ema
    height, width, channels = own.shape
    tried = Facts(field, frozenset(), (height, width), 0, 1, channels, shapes)
    base, size, reads = _first_output(run, tried, reverse=reverse)
    scale = size[0] // base[0]
    if not scale or size != (scale * base[0], scale * base[1]):
        raise UsageError(
            f"--task={task}: the network makes {size[0]}x{size[1]} of "
            f"{base[0]}x{base[1]}, and pictures need one scale of 1 or more"
        )
    found = tried._replace(reads=frozenset(reads - {field}), base=base, scale=scale)
    # In training, super-resolution reads a smaller picture than the data have.
    small = base[0] // scale, base[1] // scale
    if not given and accepts(run, found, small):
        found = found._replace(base=small)
    return found._replace(multiple=_find_multiple(run, found))


def _has_field(run: Run, field: str) -> bool:
    """Returns True if the task reads the field of the data, and makes no other one."""
    return field in run.example and field in run.gan.task.inputs


def _first_output(
    run: Run, facts: Facts, *, reverse: bool
) -> tuple[Size, Size, set[str]]:
    """Returns the first size that is accepted, that of its result, and what is read."""
    (height, width), task = facts.base, run.config.task
    errors: list[Exception] = []
    # Only super-resolution needs another factor than 1.
    for factor in (1,) if _has_field(run, facts.field) else FACTORS:
        base = max(height // factor, 1), max(width // factor, 1)
        try:
            size, reads = _output(run, facts, base)
        except Exception as error:  # a network may raise any
            errors.append(error)
            continue
        if facts.field in reads:
            return base, size, reads
        errors.append(UsageError(f"the task does not read {facts.field}"))
    if reverse:
        raise UsageError(
            f"--reverse: --task={task} maps in one direction only; leave it out"
        )
    raise BuildError(
        f"--networks={run.config.networks}, --task={task}: pictures of the size in "
        f"training cannot be mapped: {first_line(errors[0])}"
    )


def _find_multiple(run: Run, facts: Facts) -> int:
    """Returns the smallest multiple that is accepted as both sides, 0 for none."""
    for multiple in MULTIPLES:
        # An odd and an even number of it, near the size in training.
        odd = ceil_div(facts.base[0], multiple) // 2 * 2 + 1
        even = ceil_div(facts.base[1], multiple) // 2 * 2 + 2
        if accepts(run, facts, (odd * multiple, even * multiple)):
            return multiple
    return 0


def accepts(run: Run, facts: Facts, size: Size) -> bool:
    """Returns True if pictures of this size give results of `facts.scale` times it."""
    try:
        found, _ = _output(run, facts, size)
    except Exception:  # the network's own, which may be any
        return False
    return found == (facts.scale * size[0], facts.scale * size[1])


def _output(run: Run, facts: Facts, size: Size) -> tuple[Size, set[str]]:
    """Returns the size of results, and the names of the inputs that are read."""
    seen: set[str] = set()

    def traced(variables, inputs, key):
        recorded = _Recorder(inputs)
        result = transform(run, variables, recorded, example_keys(key, 1))
        seen.update(recorded.seen)
        return result

    inputs = dict(_input_shapes(run, facts, size))
    result = jax.eval_shape(traced, facts.variables, inputs, jax.random.key(0))
    _, height, width, _ = result.shape
    return (height, width), seen


def _input_shapes(run: Run, facts: Facts, size: Size) -> Iterator[tuple[str, Any]]:
    """Yields the shapes of all inputs that there may be."""
    float32 = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
    example = run.example
    yield facts.field, float32((1, *size, facts.channels))
    yield "mask", float32((1, *size, 1))
    if "label" in example:
        yield "label", jax.ShapeDtypeStruct((1,), jnp.int32)
    if "attributes" in example:
        yield "attributes", float32((1, *example["attributes"].shape))
