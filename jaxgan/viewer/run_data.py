"""Contents of plots of a run: curves, findings and pictures, as plain data."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.reporting import Layout, Picture, load_png, moments, read_findings
from jaxgan.reporting.plots import Curve, Panel, panels, read_curves, smoothed
from jaxgan.viewer.catalogue import Listed

POINTS = 400
"""Maximum number of points of a curve."""

MOMENTS = 12
"""Maximum number of pictures in the history of a sample."""

LIVE_SECONDS = 120.0
"""A run whose metrics are younger counts as training."""

FEW = 12
"""Curves with at most so many values are not smoothed."""


class RunCurves(NamedTuple):
    """The curves and findings of a run."""

    name: str
    curves: dict[str, Curve]
    findings: list[dict]


def read_run(run: Listed) -> RunCurves:
    """Reads the curves and the findings of a run; torn lines are skipped."""
    file = run.path("metrics.jsonl")
    if file is None:
        return RunCurves(run.name, {}, [])
    return RunCurves(run.name, read_curves(file), read_findings(file))


def stamp(run: Listed) -> tuple[int, int]:
    """Returns what changes when the metrics of a run do."""
    file = run.path("metrics.jsonl")
    if file is None:
        return 0, 0
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def state_of(run: Listed, read: RunCurves, steps: int) -> str:
    """Says in words how far a run is.

    Args:
      run: the run.
      read: its curves.
      steps: of the whole run.
    """
    last = max((int(c.steps[-1]) for c in read.curves.values()), default=0)
    file = run.path("metrics.jsonl")
    if file is None:
        return f"{run.name}: no metrics yet"
    age = time.time() - file.stat().st_mtime
    told = f"{run.name}: step {last:,}" + (f" of {steps:,}" if steps else "")
    if steps and last >= steps:
        return f"{told}, finished"
    return f"{told}, training" if age < LIVE_SECONDS else f"{told}, not running"


def panels_of(runs: Sequence[RunCurves]) -> list[Panel]:
    """Returns the panels of several runs, with the metrics that any of them has."""
    joined: dict[str, list[np.ndarray]] = {}
    for run in runs:
        for name, curve in run.curves.items():
            joined.setdefault(name, []).append(curve.values)
    shares = [
        name
        for name, values in joined.items()
        if all(x.min() >= 0 and x.max() <= 1 for x in values)
    ]
    return panels(list(joined), shares=shares)


def thinned(curve: Curve) -> tuple[Curve, Curve]:
    """Returns a curve and its running median, each with at most POINTS points."""
    count = len(curve.values)
    chosen = np.unique(
        np.linspace(0, count - 1, min(count, POINTS)).round().astype(int)
    )
    pale = Curve(curve.steps[chosen], curve.values[chosen])
    return pale, pale if count <= FEW else smoothed(curve, most=POINTS)


def load_picture(file: Path) -> Picture | None:
    """Returns a picture of samples; None if it cannot be read."""
    try:
        return load_png(file)
    except Exception:  # a damaged picture may raise anything
        return None


def step_of(file: Path) -> int:
    """Returns the step in the name of a picture of samples.

    >>> step_of(Path("samples/step_00000100.png"))
    100
    """
    digits = file.stem.rpartition("_")[2]
    return int(digits) if digits.isdecimal() and len(digits) < 16 else 0


def as_rgba(pixels: np.ndarray) -> np.ndarray:
    """Returns pixels as Bokeh draws them: `[H, W]` uint32, from the bottom up.

    Args:
      pixels: uint8, `[H, W]` or `[H, W, 3]`.

    >>> hex(as_rgba(np.uint8([[[1, 2, 3]]]))[0, 0])
    '0xff030201'
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None].repeat(3, axis=-1)
    alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    rgba = np.ascontiguousarray(np.concatenate([pixels[..., :3], alpha], axis=-1)[::-1])
    return rgba.view("<u4").reshape(pixels.shape[:2])


def tile_at(layout: Layout, x: float, y: float) -> int | None:
    """Returns the number of the tile at a place of a grid, None between tiles.

    Args:
      layout: of the grid.
      x: pixels from the left.
      y: pixels from the top.

    >>> tile_at(Layout(56, 56, 2, 8, 64), 60.0, 3.0)
    1
    """
    high, wide = layout.height + layout.pad, layout.width + layout.pad
    row, above = divmod(y - layout.pad, high)
    column, left = divmod(x - layout.pad, wide)
    inside = 0 <= column < layout.columns and row >= 0
    inside = inside and above < layout.height and left < layout.width
    number = int(row * layout.columns + column)
    return number if inside and number < layout.count else None


def corner(layout: Layout, number: int) -> tuple[int, int]:
    """Returns the row and the column of the first pixel of a tile."""
    row, column = divmod(number, layout.columns)
    top = layout.pad + row * (layout.height + layout.pad)
    return top, layout.pad + column * (layout.width + layout.pad)


def tile(picture: Picture, number: int) -> np.ndarray | None:
    """Returns the pixels of a tile, None if the picture has no such tile."""
    layout = picture.layout
    if layout is None or not 0 <= number < layout.count:
        return None
    top, left = corner(layout, number)
    cut = picture.pixels[top : top + layout.height, left : left + layout.width]
    return cut if cut.shape[:2] == (layout.height, layout.width) else None


def fake_part(cut: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """Returns the generated part of a tile with several columns, such as source|fake.

    >>> fake_part(np.zeros((4, 12)), ("source", "fake", "real")).shape
    (4, 4)
    """
    if len(columns) < 2 or "fake" not in columns:
        return cut
    width = cut.shape[1] // len(columns)
    first = list(columns).index("fake") * width
    return cut[:, first : first + width]


def history(files: Sequence[Path], number: int) -> list[tuple[int, np.ndarray]]:
    """Returns a sample at some steps of training: (step, pixels), in order.

    Args:
      files: the pictures of samples, one per step.
      number: of the tile.
    """
    by_step = {step_of(file): file for file in files}
    made = []
    for step in moments(list(by_step), MOMENTS):
        picture = load_picture(by_step[step])
        cut = picture and tile(picture, number)
        if cut is not None:
            made.append((step, cut))
    return made


def as_example(cut: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Returns the example `[H, W, C]` uint8 that a tile shows, None if it cannot be.

    Args:
      cut: of a picture, where small images are enlarged by a whole factor.
      shape: of an example, `(H, W, C)` with one or three channels.
    """
    if len(shape) != 3 or shape[2] not in (1, 3):
        return None
    scale = cut.shape[0] // shape[0]
    small = cut[::scale, ::scale] if scale else cut
    if small.shape[:2] != shape[:2]:
        return None
    if small.ndim == 2:
        small = small[..., None]
    return small.repeat(3, -1) if small.shape[2] < shape[2] else small[..., : shape[2]]
