"""A trained network as a function of pictures of any size."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data
from jaxgan.config.applying import MapOptions
from jaxgan.data.resize import Size
from jaxgan.errors import TrainingError, UsageError
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.picture_facts import Facts, accepts, find_facts, transform
from jaxgan.evaluation.sample_files import to_dtype
from jaxgan.evaluation.tiles import axes_for, map_tiles
from jaxgan.gan.objective import example_keys
from jaxgan.parallel import multi_seed
from jaxgan.ranges import ceil_div
from jaxgan.spec import unknown
from jaxgan.types import Tree

SIDE = 512
"""Side of the tiles of larger pictures, or of their results if those are larger."""

LEAST = 256
"""Least side of the tiles of larger pictures, however large their results are."""

GRID = 64
"""Sides of whole pictures are padded to its multiples, so that few shapes compile."""

PIXELS = 2**17
"""Pixels of the tiles of one call, of several tiles."""


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
        self.facts = find_facts(run, reverse=options.reverse)
        self._inputs = conditions(run, self.facts, options)
        check_tile(run, self.facts, options)
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
        axes = axes_for(size, tile, self.overlap, max(self.facts.multiple, 1))
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
        np.copyto(result, pixels, where=~mask[..., None])
        return result

    @property
    def overlap(self) -> int:
        """Pixels that neighboring tiles share, at most half of a tile."""
        chosen = self._options.overlap
        return chosen if chosen >= 0 else max(16, self._most // 8)

    @property
    def _most(self) -> int:
        """The side of the tiles of larger pictures, about that if no flag sets it."""
        facts = self.facts
        if not facts.multiple:
            return min(facts.base)
        chosen = max(SIDE // facts.scale, LEAST, *facts.base)
        return self._options.tile or chosen

    def tile_for(self, size: Size) -> Size:
        """Returns the height and width of the tiles of a picture of this size.

        It depends on the size of the picture alone. Sides are rounded up, so that
        pictures of similar sizes share a compiled program.
        """
        facts, side, most = self.facts, self._options.tile, self._most
        if not facts.multiple:
            return facts.base
        grid = ceil_div(GRID, facts.multiple) * facts.multiple

        def along(length: int, base: int) -> int:
            # Smaller pictures are padded to the size in training.
            whole = base if length <= base else ceil_div(length, grid) * grid
            if side or whole <= most:
                return min(whole, most)
            # Tiles that cover the length with little more than their overlaps.
            count = ceil_div(length, most)
            even = ceil_div(length + (count - 1) * self.overlap, count)
            return ceil_div(even, grid) * grid

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
        picture = {"image": inputs[self.facts.field]}
        normal = {**inputs, self.facts.field: data.normalize(picture)["image"]}
        if "mask" in inputs:
            normal["mask"] = inputs["mask"].astype(jnp.float32)
        # All examples have one label, and the same attributes.
        for name in self._inputs:
            value = jnp.asarray(inputs[name])
            normal[name] = jnp.broadcast_to(value, (count, *value.shape))
        result = transform(self._run, variables, normal, keys)
        return result.astype(jnp.float32)


def conditions(run: Run, facts: Facts, options: MapOptions) -> dict[str, np.ndarray]:
    """Returns the inputs beside a picture and its mask, the same for all pictures.

    Returns:
      `label` `[]` int32, or `attributes` `[k]` float32, or nothing.

    Raises:
      UsageError: for options that the run does not read, or that it lacks.
    """
    given = {"label": options.label, "attributes": options.attributes}
    for name, value in given.items():
        if value and name not in facts.reads:
            raise UsageError(
                f"--{name}: --task={run.config.task} reads no {name}; leave it out"
            )
    found = {}
    if "label" in facts.reads:
        names = list(run.example.classes)
        if not options.label:
            raise UsageError(f"use --label=NAME, the domain, one of {', '.join(names)}")
        if options.label not in names:
            raise UsageError(f"--label: {unknown(options.label, names, 'domain')}")
        found["label"] = np.array(names.index(options.label), np.int32)
    if "attributes" in facts.reads:
        names = run.example["attributes"].names
        if set(options.attributes) != set(names):
            got = ", ".join(options.attributes) or "nothing"
            each = ",".join(f"{name}=0" for name in names)
            raise UsageError(
                f"--attributes: give a value to each, not to {got}: "
                f"--attributes='{each}'"
            )
        values = [options.attributes[name] for name in names]
        found["attributes"] = np.array(values, np.float32)
    return found


def check_tile(run: Run, facts: Facts, options: MapOptions) -> None:
    """Raises UsageError unless the network accepts the tiles of the options."""
    side, overlap, multiple = options.tile, options.overlap, facts.multiple
    high, wide = facts.base
    if side and not multiple and (side, side) != facts.base:
        raise UsageError(
            f"--tile={side}: this network maps {high}x{wide} only; leave it out"
        )
    if side and multiple and not accepts(run, facts, (side, side)):
        near = ceil_div(max(side, high, wide), multiple) * multiple
        raise UsageError(
            f"--tile={side}: this network needs sides that are a multiple of "
            f"{multiple}: use --tile={near}"
        )
    most = side or (LEAST if multiple else min(high, wide))
    if 2 * overlap > most:
        raise UsageError(
            f"--overlap={overlap}: must be at most half of a tile, which is {most}: "
            f"use --overlap={most // 4}"
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
