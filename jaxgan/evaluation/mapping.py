"""A trained network as a function of pictures of any size."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data
from jaxgan.config.applying import MapOptions
from jaxgan.data.resize import Size
from jaxgan.errors import BuildError, TrainingError, UsageError, first_line
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.sample_files import to_dtype
from jaxgan.evaluation.tiles import axes_for, map_tiles
from jaxgan.gan import objective
from jaxgan.gan.objective import example_keys
from jaxgan.parallel import multi_seed
from jaxgan.ranges import ceil_div
from jaxgan.spec import unknown
from jaxgan.types import Tree

MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 3, 6, 12, 24, 48)
"""Multiples that the sides of pictures may have to be, in the order of trial."""

FACTORS = (1, 2, 4, 8, 3)
"""Scales of a super-resolution whose inputs no field of the data has."""

SIDE = 512
"""Side of the tiles of larger pictures, unless a flag sets it."""

GRID = 64
"""Sides of whole pictures are padded to its multiples, so that few shapes compile."""

PIXELS = 2**17
"""Pixels of the tiles of one call, of several tiles."""

FIELDS = {"label": "--label=NAME", "attributes": "--attributes", "mask": "--mask=PATH"}
"""The flags of the inputs beside the picture."""


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


class Mapper:
    """Maps pictures by a run's network, in tiles of a few compiled shapes.

    Args:
      run: the run.
      options: the tiles, and the values of the inputs beside the picture.

    Raises:
      UsageError: if the run maps no pictures, or if the options do not fit it.
    """

    def __init__(self, run: Run, options: MapOptions) -> None:
        self._run, self._options = run, options
        check_transform(run)
        self._shapes = jax.eval_shape(run.gan.init, jax.random.key(0)).ema
        self.facts = self._find_facts()
        self._inputs = self._conditions()
        self._check_tile()
        self._key = multi_seed.key_of(options.seed)
        self._compiled = jax.jit(self._transform)
        self._variables: Tree = None

    def restore(self, which: Any = "last", *, raw: bool = False) -> None:
        """Reads the network's variables of a checkpoint, see `Run.restore`."""
        self._variables = jax.device_put(self._run.restore(which, raw=raw))

    def __call__(self, pixels: np.ndarray, mask: np.ndarray | None = None) -> Any:
        """Maps a picture.

        Args:
          pixels: `[H, W, C]` uint8.
          mask: `[H, W]` bool, True in holes, if the task reads one. Other pixels stay
            as they are.

        Returns:
          `[scale * H, scale * W, D]` uint8.
        """
        size, scale = (pixels.shape[0], pixels.shape[1]), self.facts.scale
        tile = self.tile_for(size)
        overlap = self._options.overlap
        if overlap < 0:
            overlap = max(16, min(tile) // 8)
        axes = axes_for(size, tile, overlap, max(self.facts.multiple, 1))
        # The mask is one more channel, so that it is cut and padded alike.
        image = pixels
        if mask is not None:
            image = np.concatenate([pixels, mask[..., None].astype(np.uint8)], -1)
        result = map_tiles(
            image,
            axes,
            self._map_batch,
            scale=scale,
            at_once=_at_once(tile, len(axes[1].starts)),
            finish=_finished,
        )
        if mask is None or result.shape != pixels.shape:
            return result
        return np.where(mask[..., None], result, pixels)

    def tile_for(self, size: Size) -> Size:
        """Returns the height and width of the tiles of a picture of this size."""
        facts, side = self.facts, self._options.tile
        if not facts.multiple:
            return facts.base
        # Sides are rounded up, so that pictures of similar sizes share a program.
        multiple = facts.multiple
        most = side or ceil_div(SIDE, multiple) * multiple
        grid = ceil_div(GRID, multiple) * multiple

        def along(length: int, base: int) -> int:
            whole = base if length <= base else ceil_div(length, grid) * grid
            return min(whole, side or max(most, base))

        return along(size[0], facts.base[0]), along(size[1], facts.base[1])

    def _map_batch(self, tiles: np.ndarray) -> np.ndarray:
        """Maps tiles `[n, h, w, C]` uint8, with the mask as last channel if read."""
        inputs = {self.facts.field: tiles, **self._inputs}
        if "mask" in self.facts.reads:
            inputs |= {self.facts.field: tiles[..., :-1], "mask": tiles[..., -1:]}
        return np.asarray(self._compiled(self._variables, inputs, self._key))

    def _transform(self, variables: Tree, inputs: dict[str, Any], key: Any) -> Any:
        """Returns the results of tiles, float32; all tiles have the same noise."""
        count = len(inputs[self.facts.field])
        keys = jnp.broadcast_to(example_keys(key, 1), (count,))
        normal = dict(inputs)
        normal[self.facts.field] = data.normalize({"image": inputs[self.facts.field]})[
            "image"
        ]
        for name in ("label", "attributes"):
            if name in inputs:
                value = jnp.asarray(inputs[name])
                normal[name] = jnp.broadcast_to(value, (count, *value.shape))
        if "mask" in inputs:
            normal["mask"] = inputs["mask"].astype(jnp.float32)
        result = self._call(variables, normal, keys)
        return result.astype(jnp.float32)

    def _call(self, variables: Tree, inputs: dict[str, Any], keys: jax.Array) -> Any:
        gan = self._run.gan
        generator, _ = objective.bind(gan.networks.generator, variables, keys)
        assert gan.task.transform is not None  # checked before
        return gan.task.transform(generator, inputs, keys)

    # The facts are found from shapes alone, so that nothing is compiled.

    def _find_facts(self) -> Facts:
        example = self._run.example
        field = "image" if self._options.reverse else "source"
        own = example[field] if field in example else example[example.generated]
        height, width, channels = own.shape
        tried = Facts(field, frozenset(), (height, width), 0, 1, channels)
        # The first factor that fits; only super-resolution needs another than 1.
        errors = []
        for factor in FACTORS if field not in example else (1,):
            base = max(height // factor, 1), max(width // factor, 1)
            try:
                size, reads = self._output(tried, base)
                break
            except Exception as error:  # a network may raise any
                errors.append(error)
        else:
            raise self._unfit(errors[0])
        if field not in reads:
            raise self._unfit(KeyError(field))
        scale = size[0] // base[0]
        found = tried._replace(reads=frozenset(reads - {field}), base=base, scale=scale)
        if not scale or size != (scale * base[0], scale * base[1]):
            raise UsageError(
                f"--task={self._run.config.task}: the network makes {size[0]}x{size[1]}"
                f" of {base[0]}x{base[1]}, which is no whole scale; pictures need one"
            )
        # In training, super-resolution reads a smaller picture than the data have.
        small = base[0] // scale, base[1] // scale
        if field not in example and self._accepts(found, small):
            found = found._replace(base=small)
        return found._replace(multiple=self._find_multiple(found))

    def _find_multiple(self, facts: Facts) -> int:
        """Returns the smallest multiple that is accepted as both sides, 0 for none."""
        for multiple in MULTIPLES:
            # An odd and an even number of it, near the size in training.
            odd = ceil_div(facts.base[0], multiple) // 2 * 2 + 1
            even = ceil_div(facts.base[1], multiple) // 2 * 2 + 2
            if self._accepts(facts, (odd * multiple, even * multiple)):
                return multiple
        return 0

    def _accepts(self, facts: Facts, size: Size) -> bool:
        """Returns True if pictures of this size give results of `scale` times it."""
        try:
            found, _ = self._output(facts, size)
        except Exception:  # the network's own, which may be any
            return False
        return found == (facts.scale * size[0], facts.scale * size[1])

    def _output(self, facts: Facts, size: Size) -> tuple[Size, set[str]]:
        """Returns the size of results, and the names of the inputs that are read."""
        seen: set[str] = set()

        def traced(variables, inputs, key):
            inputs = _Recorder(inputs)
            result = self._call(variables, inputs, example_keys(key, 1))
            seen.update(inputs.seen)
            return result

        inputs = dict(self._input_shapes(facts, size))
        result = jax.eval_shape(traced, self._shapes, inputs, jax.random.key(0))
        _, height, width, _ = result.shape
        return (height, width), seen

    def _input_shapes(self, facts: Facts, size: Size) -> Iterator[tuple[str, Any]]:
        """Yields the shapes of all inputs that there may be."""
        float32 = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
        yield facts.field, float32((1, *size, facts.channels))
        yield "mask", float32((1, *size, 1))
        example = self._run.example
        if "label" in example:
            yield "label", jax.ShapeDtypeStruct((1,), jnp.int32)
        if "attributes" in example:
            yield "attributes", float32((1, *example["attributes"].shape))

    def _unfit(self, error: Exception) -> UsageError:
        task = self._run.config.task
        if self._options.reverse:
            return UsageError(
                f"--reverse: --task={task} maps in one direction only; leave it out"
            )
        return BuildError(
            f"--networks={self._run.config.networks}, --task={task}: pictures of the "
            f"size in training cannot be mapped: {first_line(error)}"
        )

    def _conditions(self) -> dict[str, Any]:
        """Returns the label or the attributes; raises UsageError unless they fit."""
        options, example, reads = self._options, self._run.example, self.facts.reads
        task = self._run.config.task
        for name, value in (
            ("label", options.label),
            ("attributes", options.attributes),
        ):
            if value and name not in reads:
                raise UsageError(
                    f"--{name}: --task={task} reads no {name}; leave it out"
                )
        found = {}
        if "label" in reads:
            names = list(example.classes)
            if options.label not in names:
                raise UsageError(f"--label: {unknown(options.label, names, 'domain')}")
            found["label"] = np.int32(names.index(options.label))
        if "attributes" in reads:
            names = example["attributes"].names
            if set(options.attributes) != set(names):
                given = ", ".join(options.attributes) or "nothing"
                each = ",".join(f"{name}=0" for name in names)
                raise UsageError(
                    f"--attributes: give a value to each, not to {given}: "
                    f"--attributes='{each}'"
                )
            values = [options.attributes[name] for name in names]
            found["attributes"] = np.array(values, np.float32)
        return found

    def _check_tile(self) -> None:
        """Raises UsageError unless the network accepts the tiles of the flags."""
        side, overlap, facts = self._options.tile, self._options.overlap, self.facts
        high, wide = facts.base
        if side and not facts.multiple and (side, side) != facts.base:
            raise UsageError(
                f"--tile={side}: this network maps {high}x{wide} only; leave it out"
            )
        if side and facts.multiple and not self._accepts(facts, (side, side)):
            near = ceil_div(max(side, *facts.base), facts.multiple) * facts.multiple
            raise UsageError(
                f"--tile={side}: this network needs sides that are a multiple of "
                f"{facts.multiple}: use --tile={near}"
            )
        smallest = side or min(facts.base)
        if 2 * overlap > smallest:
            raise UsageError(
                f"--overlap={overlap}: must be at most half of a tile, which is "
                f"{smallest} here: use --overlap={smallest // 4}"
            )


def check_transform(run: Run) -> None:
    """Raises UsageError unless a run maps pictures."""
    if run.gan.task.transform is None:
        raise UsageError(
            f"--workdir={run.folder}: --task={run.config.task} maps no pictures; draw "
            "samples with python -m jaxgan.sample, or train with --preset=pix2pix"
        )


def _at_once(tile: Size, across: int) -> int:
    """Returns the tiles of one call: a power of two, so that few shapes compile."""
    most = max(1, min(across, PIXELS // (tile[0] * tile[1])))
    return 1 << (most.bit_length() - 1)


def _finished(rows: np.ndarray) -> np.ndarray:
    """Converts results to uint8; raises TrainingError if they are not finite."""
    if not np.isfinite(rows).all():
        raise TrainingError(
            "the network's results are not finite: use an earlier checkpoint, such as "
            "--checkpoint=best"
        )
    return to_dtype(rows, np.dtype(np.uint8))
