"""Writes scores as a table, and heat maps as pictures."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan import reporting
from jaxgan.config.scoring import ScoreConfig
from jaxgan.data.kinds import as_8_bit
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation import picture_files
from jaxgan.evaluation.picture_paths import check_folder
from jaxgan.evaluation.score_inputs import Source
from jaxgan.files import kind

COLUMNS = ("file", "score", "percentile", "verdict")
"""The first columns of a table; the shares of the parts in the score follow."""

VERDICTS = ("normal", "anomaly")
"""The verdicts of scores up to the threshold, and above it."""


def check_heatmaps(config: ScoreConfig, sources: Sequence[Source]) -> None:
    """Raises UsageError if heat maps cannot be written, or would replace files."""
    if config.heatmaps is None:
        return
    check_folder(f"--heatmaps={printable(str(config.heatmaps))}", config.heatmaps)
    seen: set[Path] = set()
    for source in sources:
        for name, below in zip(source.names, source.below, strict=True):
            target = heatmap_file(config.heatmaps, below)
            shown = printable(str(target))
            if target in seen:
                raise UsageError(
                    f"the heat map of {printable(name)} and that of another picture "
                    f"would both be {shown}: rename one, or score them one by one"
                )
            seen.add(target)
            if not os.path.lexists(target):
                continue
            if not target.is_file():
                raise UsageError(
                    f"{shown} is {kind(target)}, not a file; use another --heatmaps"
                )
            if not config.overwrite:
                raise UsageError(
                    f"{shown} exists: use --overwrite, or another --heatmaps"
                )


def heatmap_file(folder: Path, below: Path) -> Path:
    """Returns the file of a heat map.

    >>> heatmap_file(Path("maps"), Path("bad/v1.2"))
    PosixPath('maps/bad/v1.2.png')
    """
    return folder / below.with_name(f"{below.name}.png")


def table_of(names: Sequence[str], columns: Mapping[str, Sequence[Any]]) -> str:
    """Returns a table with a head as the text of a .csv file.

    Args:
      names: of the images.
      columns: the values by name, one for each image: numbers or texts.

    >>> table_of(["a.png"], {"score": [1.25], "verdict": ["normal"]})
    'file,score,verdict\\na.png,1.25,normal\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([COLUMNS[0], *columns])
    for row in zip(names, *columns.values(), strict=True):
        writer.writerow([x if isinstance(x, str) else f"{x:.9g}" for x in row])
    return text.getvalue()


def encoded(text: str) -> bytes:
    """Returns the bytes of a table; names of files keep theirs."""
    return text.encode("utf-8", "surrogateescape")


def picture_of(
    image: np.ndarray, reconstruction: np.ndarray, heat: np.ndarray, hottest: float
) -> bytes:
    """Returns an image, its reconstruction and its heat map as a PNG.

    Args:
      image: `[H, W, C]`, uint8, uint16 or floats in [-1, 1].
      reconstruction: the same size, uint8.
      heat: `[H, W]`, at least 0.
      hottest: the value that has the last color; larger ones have it too.
    """
    columns = {
        "picture": as_8_bit(image)[None],
        "reconstruction": reconstruction[None],
        "heat": colored(heat, hottest)[None],
    }
    sheet = reporting.picture_of_columns(columns, None).pixels
    shown = sheet[..., None] if sheet.ndim == 2 else sheet
    return picture_files.encode(shown, ".png")


def colored(heat: np.ndarray, hottest: float) -> np.ndarray:
    """Returns a heat map in the colors of matplotlib's `inferno`, from black to yellow.

    Args:
      heat: `[H, W]`, at least 0.
      hottest: the value that has the last color; larger ones have it too.

    Returns:
      `[H, W, 3]` uint8.
    """
    from matplotlib import colormaps

    scaled = np.clip(heat / hottest, 0, 1) if hottest > 0 else np.zeros_like(heat)
    return np.round(colormaps["inferno"](scaled)[..., :3] * 255).astype(np.uint8)
