"""Samples of a run in rows as arrays: by class, between latents, along directions."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.config.conditions import DROPPED, NONE, class_numbers, group_of
from jaxgan.config.evaluating import checkpoint_of
from jaxgan.config.sampling import SampleConfig, sheet_config
from jaxgan.errors import UsageError
from jaxgan.evaluation import latent_sheets
from jaxgan.evaluation.drawn import grid_columns, open_run, samples_of
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.sample_files import to_dtype
from jaxgan.evaluation.sample_inputs import condition_of
from jaxgan.experiment import memory
from jaxgan.ranges import ceil_div

Names = str | Sequence[str | int]
"""Names or numbers as a text, such as `3,17`, or one by one."""


class Sheet(NamedTuple):
    """Samples of a run in rows and columns.

    >>> samples = np.zeros((2, 8, 28, 28, 1), np.uint8)
    >>> Sheet(samples, ("cat", "dog"), None, "", {}).captions[0]
    'cat'
    """

    samples: np.ndarray
    """`[rows, columns, *shape]` in the dtype of the data; of a walk `[frames, n,
    *shape]`. The first row and column of mixed styles are those that are mixed, and
    their corner is white."""
    captions: tuple[str, ...]
    """The text of each row, such as the name of its class; empty for interpolations of
    a grid, mixed styles and walks."""
    latents: np.ndarray | None
    """`[rows, columns, dim]` float32; of mixed styles `[n, n, layers, dim]`, of the
    samples below the first row and right of the first column. None for rows of
    conditions and interpolations of a grid."""
    space: str
    """The space of the latents: `z`, or `w` of networks that have a mapping; empty
    without latents."""
    arrays: dict[str, np.ndarray]
    """Other arrays: `labels` `[rows, columns]` int32 or `attributes` `[rows, columns,
    k]` float32 of rows of conditions and interpolations of a grid; `directions`
    `[rows, dim]`, each one standard deviation long, and their `shares` of the variance
    `[rows]`; `shares` `[rows, columns]` of the second of two labels; `sources` `[2 * n,
    dim]`, the w that are mixed."""


@memory.explain_out_of_memory("use a smaller n, or fewer frames")
def sheet_run(
    workdir: str | Path,
    *,
    labels: Names = "",
    sheet: str = "",
    interpolate: str = "",
    between: str | Sequence[int] = (),
    between_labels: Names = (),
    directions: int = 0,
    style_mixing: int = 0,
    frames: int = 0,
    n: int | None = None,
    seed: int | None = None,
    label: str = "",
    attributes: str = "",
    truncation: float | None = None,
    checkpoint: str | int = "last",
    raw: bool = False,
    run: int = 0,
) -> Sheet:
    """Draws samples in rows, like `python -m jaxgan.sample`, and writes nothing.

    One of `labels`, `sheet`, `between`, `between_labels`, `directions` and
    `style_mixing` says what rows show. `frames`, alone or with `between` or
    `between_labels`, make a walk instead, and `interpolate` alone a grid.

    Args:
      workdir: folder of the run.
      labels: classes by name or number, such as `0-9`, `all` or `["cat", "dog"]`: a row
        for each, of the same latents. Name a class with a comma by its number.
      sheet: an attribute, such as `smiling` or `hair`: a row for each of its values, of
        the same latents and other attributes.
      interpolate: `spherical` (https://arxiv.org/abs/1609.04468) or `linear`: the way
        between seeds; alone, between the ends of each row of a grid.
      between: from 2 to 64 seeds, such as `(3, 17)`: a row for each pair of neighbors.
      between_labels: from 2 to 64 classes: a row for each pair of neighbors, of the
        same latent.
      directions: number of principal directions of the latents, from 1 to 64: a row for
        each, from -3 to 3 standard deviations (GANSpace,
        https://arxiv.org/abs/2004.02546).
      style_mixing: number of layers, the coarse ones, that have the style of the first
        column; the others have that of the first row (StyleGAN,
        https://arxiv.org/abs/1812.04948).
      frames: of a closed walk, from 2 to 2,000, by default through the seeds 0 to 4.
      n: samples in a row, by default 8; of mixed styles 4, and in a frame 9. Of a grid
        it is the number of all samples, by default 64, which fill its rows.
      seed: of the samples, by default 0; those of `between` and of walks have seeds of
        their own.
      label: name or number of the class of all samples; empty for all in turn.
      attributes: of all samples, such as `smiling=1,hair=dark`; the others are those of
        real examples.
      truncation: from 0 to 10: numbers of normal latents beyond it are drawn again; of
        networks with a mapping, the factor of w around its mean. None for neither.
      checkpoint: `last`, `best` or a step.
      raw: True for the newest parameters instead of their moving average.
      run: number of the run, of several.

    Raises:
      UsageError: if the run or the checkpoint cannot be used, or if arguments do not
        fit the run or each other. It names the flag of the program.

    >>> sheet_run("no/run", labels="all")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=no/run is not the folder of a run...
    """
    config = sheet_config(
        workdir,
        checkpoint_of(checkpoint),
        seed,
        labels=_text(labels),
        sheet=sheet,
        interpolate=interpolate,
        between=_text(between) or None,
        between_labels=_text(between_labels) or None,
        directions=directions or None,
        style_mixing=style_mixing or None,
        frames=frames or None,
        n=n,
        label=label,
        attributes=attributes,
        truncation=truncation,
        raw=raw,
        run=run,
    )
    opened = open_run(config)
    make = _of_latents if config.latents.sheet else _of_conditions
    return make(config, opened)


def _text(names: Names | Sequence[int]) -> str:
    """Returns the text of a flag.

    >>> _text((3, 17)), _text("3-5")
    ('3,17', '3-5')
    """
    return names if isinstance(names, str) else ",".join(map(str, names))


def _of_latents(config: SampleConfig, run: Run) -> Sheet:
    """Draws a sheet or a walk through latents."""
    [found] = latent_sheets.rows_of(config, run)
    arrays = dict(found.arrays)
    # Latents may have fewer directions than are asked for.
    captions = captions_of(config, run)[: len(found.samples)]
    return Sheet(
        to_dtype(latent_sheets.with_first(found), run.example.dtype),
        captions,
        arrays.pop("latents"),
        str(arrays.pop("space")),
        arrays,
    )


def _of_conditions(config: SampleConfig, run: Run) -> Sheet:
    """Draws a row for each condition, or a grid of interpolations."""
    columns = config.n if config.conditions.rows else grid_columns(config.n)
    if config.n % columns:
        raise UsageError(
            f"--n={config.n}: rows of {columns} samples are not full: use "
            f"--n={ceil_div(config.n, columns) * columns}"
        )
    [found] = samples_of(config, run)
    samples, arrays = to_dtype(found.samples, run.example.dtype), {}
    if found.labels is not None:
        name = {"label": "labels"}.get(condition_of(run), "attributes")
        arrays[name] = _in_rows(found.labels, columns)
    return Sheet(_in_rows(samples, columns), captions_of(config, run), None, "", arrays)


def _in_rows(x: np.ndarray, columns: int) -> np.ndarray:
    """Returns an array `[rows * columns, ...]` in rows, `[rows, columns, ...]`."""
    return x.reshape(-1, columns, *x.shape[1:])


def captions_of(config: SampleConfig, run: Run) -> tuple[str, ...]:
    """Returns the text of each row; none of a grid, mixed styles and a walk."""
    asked, flags, example = config.conditions, config.latents, run.example
    if asked.labels:
        classes = class_numbers(asked.labels, example.classes)
        return tuple(NONE if i == DROPPED else example.classes[i] for i in classes)
    if asked.sheet:
        names = example["attributes"].names
        if asked.sheet in names:
            return f"{asked.sheet}=0", f"{asked.sheet}=1"
        return tuple(names[i] for i in group_of(asked.sheet, names))
    if flags.frames:
        return ()
    if flags.directions:
        return tuple(f"direction {i + 1}" for i in range(flags.directions))
    numbers = latent_sheets.classes_of(config, run)
    ends = [example.classes[i] for i in numbers] or list(map(str, flags.between))
    return tuple(f"{a} to {b}" for a, b in itertools.pairwise(ends))
