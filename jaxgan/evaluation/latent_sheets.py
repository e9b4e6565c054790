"""Sheets and walks through the latents of a run, and their files."""

import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxgan import reporting
from jaxgan.config.conditions import class_number
from jaxgan.config.sampling import SampleConfig, seed_path
from jaxgan.errors import UsageError
from jaxgan.evaluation import latent_paths
from jaxgan.evaluation.latent_directions import moved
from jaxgan.evaluation.latent_labels import label_images
from jaxgan.evaluation.latent_space import LatentSpace
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.sample_files import sheet_of, to_dtype, written
from jaxgan.evaluation.sample_inputs import inputs_of
from jaxgan.evaluation.spectrogram_pictures import as_images, has_pictures
from jaxgan.experiment import memory
from jaxgan.files import atomic_write
from jaxgan.reporting import Picture
from jaxgan.reporting.animation import encode_frames
from jaxgan.reporting.images import grid, layout
from jaxgan.types import Batch, Field

log = logging.getLogger("jaxgan")

STEPS = (-3, -2, -1, 0, 1, 2, 3)
"""Standard deviations along a direction."""

MILLISECONDS = 50
"""Time of a frame of a walk."""


class Rows(NamedTuple):
    """Samples in rows, or frames, and the latents that they come from."""

    samples: np.ndarray
    """`[rows, columns, ...]` float32."""
    arrays: dict[str, np.ndarray]
    """Further arrays of an .npz, such as `latents` `[rows, columns, dim]`."""
    first: np.ndarray | None = None
    """Samples in a row above, `[columns, ...]`."""


class Source(NamedTuple):
    """The latents of samples, and what their images depend on beside them."""

    space: LatentSpace
    config: SampleConfig
    batch: Batch
    """Examples with the labels or attributes of samples."""

    def at(self, seed: int, numbers: np.ndarray) -> tuple[jax.Array, dict[str, Any]]:
        """Returns the keys and the conditions of samples of a seed by their numbers."""
        keys = self.space.keys(seed, int(numbers.max()) + 1)[jnp.asarray(numbers)]
        return keys, self.space.conditions(self.batch, numbers)

    def points(
        self, seed: int, numbers: np.ndarray, *, styles: bool
    ) -> tuple[np.ndarray, jax.Array, dict[str, Any]]:
        """Returns z or w of samples, `[n, dim]`, with their keys and conditions."""
        keys, conditions = self.at(seed, numbers)
        z = self.space.latents(keys, conditions)
        if not styles:
            return z, keys, conditions
        return self.space.styles(z, keys, conditions), keys, conditions


@memory.explain_out_of_memory("use a smaller --n, or fewer --frames")
def draw(config: SampleConfig, run: Run) -> int:
    """Draws a sheet or a walk, and writes it. Returns the exit code.

    Args:
      config: its flags, and the output.
      run: a run whose samples start from latents, which may be truncated.

    Raises:
      UsageError: if the run does not fit the flags.
    """
    field, out = run.example[run.example.generated], config.out
    is_drawn = len(field.shape) == 3 or has_pictures(field)
    if out.suffix != ".npz" and not is_drawn:
        raise UsageError(
            f"--out={out}: samples of this run are {list(field.shape)} numbers, not "
            "pictures: use --out=sheet.npz"
        )
    seeds = _seeds(config)
    for seed, found in zip(seeds, rows_of(config, run), strict=True):
        path = out if len(seeds) == 1 else seed_path(out, seed, seeds)
        _write(path, found, config, field)
        rows, columns = found.samples.shape[:2]
        log.info("%d x %d samples in %s", rows, columns, path)
    return 0


def rows_of(config: SampleConfig, run: Run) -> Iterator[Rows]:
    """Returns the sheet of each seed, or a walk, drawn when it is needed.

    All flags but those of the output are checked, and the checkpoint is read, before it
    returns.

    Args:
      config: its flags.
      run: a run whose samples start from latents, which may be truncated.

    Raises:
      UsageError: if the run does not fit the flags.
    """
    _check(config, run)
    batch = inputs_of(config, run).batch
    shape = run.example.shape
    memory.check_sampling(run.part(raw=config.raw), _count(config), shape)
    space = LatentSpace(run, run.restore(config.which, raw=config.raw))
    make, source = SHEETS[config.latents.sheet], Source(space, config, batch)
    return (make(source, seed) for seed in _seeds(config))


def _seeds(config: SampleConfig) -> tuple[int, ...]:
    """Returns the seeds of sheets: a path through seeds is one sheet."""
    is_path = SHEETS[config.latents.sheet] is _walk
    return config.seeds[:1] if is_path else config.seeds


def _check(config: SampleConfig, run: Run) -> None:
    """Raises UsageError if labels do not fit the run."""
    names = config.latents.between_labels
    if names and "label" not in run.gan.task.inputs:
        raise UsageError(
            f"--between_labels={','.join(names)}: this run is unconditional, "
            f"--task={run.config.task} reads no labels: use --between=3,17"
        )
    classes_of(config, run)


def classes_of(config: SampleConfig, run: Run) -> list[int]:
    """Returns the classes of a path, whose names or numbers are given.

    Raises:
      UsageError: if there is no such class.
    """
    known, flag = run.example.classes, "between_labels"
    return [class_number(x, known, flag) for x in config.latents.between_labels]


def _count(config: SampleConfig) -> int:
    """Returns the number of samples of a sheet or a walk."""
    flags, n = config.latents, config.n
    ends = len(flags.between or flags.between_labels)
    counts = {
        "directions": flags.directions * len(STEPS),
        "style_mixing": (n + 1) ** 2,
    }
    return counts.get(flags.sheet, n * max(flags.frames, ends - 1))


def _places(config: SampleConfig, count: int) -> list[tuple[int, int, float]]:
    """Returns the places of a path through points: rows of a sheet, or a loop."""
    if config.latents.frames:
        return latent_paths.closed_loop(count, config.latents.frames)
    return latent_paths.rows_between(count, config.n)


def _in_rows(config: SampleConfig, samples: np.ndarray) -> np.ndarray:
    """Returns samples `[places * tiles, ...]` in rows, or in frames of `n`."""
    return samples.reshape(-1, config.n, *samples.shape[1:])


def way_of(asked: str | bool, has_styles: bool) -> str:
    """Returns the way of interpolation: the one that is asked for, or the usual one."""
    # Lines are straight in w, and arcs are those of normal latents.
    return str(asked or ("linear" if has_styles else "spherical"))


def _walk(source: Source, seed: int) -> Rows:
    """Draws the pictures between samples of seeds."""
    space, config = source.space, source.config
    seeds = config.latents.between or config.seeds
    way = way_of(config.interpolate, space.has_styles)
    styles = space.has_styles and way == "linear"
    tiles = config.n if config.latents.frames else 1
    numbers = np.arange(tiles)
    ends = [source.points(x, numbers, styles=styles)[0] for x in seeds]
    places = _places(config, len(seeds))
    points = latent_paths.interpolate_all(np.stack(ends), places, way)
    # The noise of layers stays on the way.
    keys, conditions = source.at(seeds[0], np.tile(numbers, len(places)))
    flat = points.reshape(-1, points.shape[-1])
    samples = space.images(keys, conditions, **{"w" if styles else "z": flat})
    arrays = {"latents": _in_rows(config, flat), "space": np.array("zw"[styles])}
    return Rows(_in_rows(config, samples), arrays)


def _between_labels(source: Source, seed: int) -> Rows:
    """Draws the pictures between classes, of the same latents."""
    space, config = source.space, source.config
    classes = np.array(classes_of(config, space.run), np.int32)
    tiles = config.n if config.latents.frames else 1
    places = _places(config, len(classes))
    numbers = np.tile(np.arange(tiles), len(places))
    keys, conditions = source.at(seed, numbers)
    a = np.repeat(classes[[x for x, _, _ in places]], tiles)
    b = np.repeat(classes[[x for _, x, _ in places]], tiles)
    share = np.repeat(np.array([x[2] for x in places], np.float32), tiles)
    z = space.latents(keys, {**conditions, "label": a})
    samples = label_images(space, keys, conditions, z, (a, b), share)
    arrays = {"latents": _in_rows(config, z), "space": np.array("z")}
    arrays["shares"] = _in_rows(config, share)
    return Rows(_in_rows(config, samples), arrays)


def _directions(source: Source, seed: int) -> Rows:
    """Draws a sample on its way along principal directions, a row for each."""
    space, config = source.space, source.config
    count = config.latents.directions
    if count > space.dim and not space.has_styles:
        raise UsageError(
            f"--directions={count}: latents of this run have {space.dim} numbers: use "
            f"--directions={space.dim}"
        )
    one, _, conditions = source.points(seed, np.zeros(1, int), styles=space.has_styles)
    found = space.directions(conditions, count)
    name = "w" if space.has_styles else "the first layer"
    for number, share in enumerate(found.shares, 1):
        log.info(
            "direction %d has %.1f %% of the variance of %s", number, 100 * share, name
        )
    points = np.concatenate(
        [moved(one, {k: s}, found.ways) for k in range(len(found.ways)) for s in STEPS]
    )
    keys, conditions = source.at(seed, np.zeros(len(points), int))
    key = "w" if space.has_styles else "z"
    samples = space.images(keys, conditions, **{key: points})
    shape = (len(found.ways), len(STEPS))
    arrays = {
        "latents": points.reshape(*shape, -1),
        "space": np.array(key),
        "directions": found.ways,
        "shares": found.shares,
    }
    return Rows(samples.reshape(*shape, *samples.shape[1:]), arrays)


def _style_mixing(source: Source, seed: int) -> Rows:
    """Draws mixtures of the styles of samples; the first column and row are these."""
    space, config = source.space, source.config
    coarse, n = config.latents.style_mixing, config.n
    if not space.has_styles:
        raise UsageError(
            f"--style_mixing={coarse}: the generator of this run has no styles: use "
            "--between=3,17, or train with --networks=stylegan2"
        )
    layers = space.layers
    if coarse >= layers:
        raise UsageError(
            f"--style_mixing={coarse}: the generator has {layers} layers: use "
            f"--style_mixing={layers // 2}"
        )
    w, keys, conditions = source.points(seed, np.arange(2 * n), styles=True)
    own = space.images(keys, conditions, w=w)
    mixed = mixed_styles(w[:n], w[n:], coarse, layers)
    # Rows keep their noise and their labels.
    numbers = np.repeat(np.arange(n), n)
    keys, conditions = source.at(seed, numbers)
    samples = space.images(keys, conditions, w=mixed.reshape(n * n, layers, -1))
    samples = samples.reshape(n, n, *samples.shape[1:])
    # The corner is white.
    first = np.concatenate([np.ones_like(own[:1]), own[n:]])
    rows = np.concatenate([own[:n, None], samples], axis=1)
    return Rows(rows, {"latents": mixed, "sources": w, "space": np.array("w")}, first)


def mixed_styles(
    rows: np.ndarray, columns: np.ndarray, coarse: int, layers: int
) -> np.ndarray:
    """Returns the styles of all pairs of two lists of w.

    Args:
      rows: `[r, d]`, the styles of the first `coarse` layers.
      columns: `[c, d]`, the styles of the other layers.
      coarse: number of layers.
      layers: number of all layers.

    Returns:
      `[r, c, layers, d]`.

    >>> mixed_styles(np.zeros((1, 1)), np.ones((2, 1)), 1, 3)[0, 0, :, 0].tolist()
    [0.0, 1.0, 1.0]
    """
    is_coarse = (np.arange(layers) < coarse)[:, None]
    return np.where(is_coarse, rows[:, None, None], columns[None, :, None])


SHEETS: dict[str, Callable[[Source, int], Rows]] = {
    "walk": _walk,
    "between": _walk,
    "between_labels": _between_labels,
    "directions": _directions,
    "style_mixing": _style_mixing,
}
"""Makers of sheets by the names of flags."""


def with_first(found: Rows) -> np.ndarray:
    """Returns the samples of a sheet with the row above, `[rows, columns, ...]`."""
    first = [] if found.first is None else [found.first[None]]
    return np.concatenate([*first, found.samples])


def _write(path: Path, found: Rows, config: SampleConfig, field: Field) -> None:
    """Writes a sheet in the form of its suffix."""
    samples = found.samples
    with written(path):
        if path.suffix == ".npz":
            arrays = {"samples": to_dtype(samples, field.dtype), **found.arrays}
            content = io.BytesIO()
            np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
            atomic_write(path, content.getvalue())
        elif config.latents.frames:
            frames = [Image.fromarray(sheet_of(x, field).pixels) for x in samples]
            form = path.suffix.removeprefix(".").upper()
            atomic_write(path, encode_frames(frames, form, MILLISECONDS))
        else:
            shown = np.concatenate(with_first(found))
            if has_pictures(field):
                shown = as_images(shown, field)
            columns = samples.shape[1]
            tiles = layout(shown.shape, columns)
            reporting.save_png(path, Picture(grid(shown, columns), tiles))
