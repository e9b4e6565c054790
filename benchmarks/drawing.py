"""Plots of GANs in the plane: samples and real data over the discriminator's logits.

The plots resemble those of GAN Lab (https://arxiv.org/abs/1809.01587). Logits are shown
relative to their median in each plot and are scaled per plot. Colors therefore show
where the discriminator rates points as more real than elsewhere, not how certain it is.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from jaxgan.data import Modes
from jaxgan.metrics.mode_coverage import Coverage

FAKE, REAL = "#f4a582", "#8fd0bf"
OPINION = LinearSegmentedColormap.from_list("opinion", [FAKE, "#fbfbf8", REAL])
POINTS, DATA, INK = "#1546c0", "#8a8a8a", "#222222"
LEVELS, FEWER = np.linspace(-1, 1, 12), np.linspace(-1, 1, 6)
"""Contour levels of the surface in images and in animations."""
FINE = 90
"""Number of grid points of the surface along each side."""
LIMIT = 900_000
"""Maximum size of an animation in bytes."""


class Stage(NamedTuple):
    """A dataset in the plane."""

    name: str
    real: np.ndarray
    """`[n, 2]`."""
    modes: Modes

    @property
    def half(self) -> float:
        """Half of the side length of the plot."""
        return 1.4 * float(np.abs(self.modes.centers).max())

    @property
    def grid(self) -> np.ndarray:
        """Grid points of the surface, `[FINE^2, 2]`."""
        line = np.linspace(-self.half, self.half, FINE, dtype=np.float32)
        return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


class Scene(NamedTuple):
    """A run at one step."""

    step: int
    samples: np.ndarray
    """`[n, 2]`."""
    surface: np.ndarray
    """Logits at the grid points, `[FINE^2]`."""
    coverage: Coverage

    def score(self, stage: Stage) -> str:
        """Returns the coverage of the samples as text."""
        of, good = len(stage.modes.centers), 100 * self.coverage.quality
        return f"{self.coverage.modes}/{of} modes, {good:.0f} % high quality"


Act = tuple[Stage, dict[str, Sequence[Scene]]]
"""A dataset and the scenes of each run by name, at the same steps."""


def sheet(path: Path, acts: Sequence[Act]) -> None:
    """Writes an image with a row for each run and a column for each scene."""
    rows = [(stage, *run) for stage, runs in acts for run in runs.items()]
    columns = max(len(scenes) for _, _, scenes in rows)
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure((2.12 * columns + 0.5, 2.55 * len(rows) + 0.45), dpi=100)
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes, (stage, name, scenes) in zip(grid, rows, strict=True):
            axes[0].set_ylabel(f"{stage.name}\n{name}", fontsize=10, color=INK)
            for axis in axes[len(scenes) :]:
                axis.set_axis_off()
            for axis, scene in zip(axes, scenes, strict=False):
                paint(axis, stage, scene)
                title = f"step {scene.step:,}\n{scene.score(stage)}"
                axis.set_title(title, fontsize=8, color=INK, pad=4)
        _legend(figure, columns=4, size=9.5)
        high = 0.4 / figure.get_figheight()
        figure.tight_layout(rect=(0, high, 1, 1), h_pad=1.4, w_pad=0.6)
        save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as a small .png, with a palette of 255 colors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    with Image.open(path) as picture:
        flat = picture.convert("RGB").quantize(255, dither=Image.Dither.NONE)
    flat.save(path, optimize=True)


def paint(axis: Any, stage: Stage, scene: Scene, *, crisp: bool = False) -> None:
    """Draws the surface, the real points and the samples.

    Args:
      axis: axes to draw on.
      stage: dataset.
      scene: run at one step.
      crisp: draws without antialiasing, for small palettes.
    """
    half = stage.half
    line = np.linspace(-half, half, FINE)
    levels = FEWER if crisp else LEVELS
    axis.contourf(line, line, opinion(scene.surface), levels=levels, cmap=OPINION)
    style: dict[str, Any] = {"ls": "", "mew": 0, "antialiased": not crisp}
    axis.plot(*stage.real.T, c=DATA, marker="o", ms=3.7, **style)
    marker, size = ("s", 1.45) if crisp else ("o", 1.5)  # 1.45 points are two pixels
    samples = scene.samples[:600] if crisp else scene.samples
    axis.plot(*samples.T, c=POINTS, marker=marker, ms=size, **style)
    axis.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    axis.set(xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set(color="#bbbbbb", linewidth=0.8)


def opinion(surface: np.ndarray) -> np.ndarray:
    """Returns logits minus their median, softly limited to (-1, 1), `[FINE, FINE]`."""
    away = surface - np.median(surface)
    scale = np.quantile(np.abs(away), 0.7) + 1e-6
    return 0.999 * np.tanh(away / scale).reshape(FINE, FINE)


def film(path: Path, acts: Sequence[Act], *, wait: int = 120, last: int = 2000) -> None:
    """Writes an animation with a row for each dataset and a column for each run.

    Frames are dropped until the file is smaller than `LIMIT` bytes.

    Args:
      path: a .gif, or an animated .png, which is a fifth smaller.
      acts: runs with the same number of scenes.
      wait: duration of a frame in milliseconds.
      last: duration of the last frame in milliseconds.

    Raises:
      SystemExit: if the file is too large with few frames.
    """
    count = min(len(scenes) for _, runs in acts for scenes in runs.values())
    frames = reduced([frame(acts, i) for i in range(count)])
    path.parent.mkdir(parents=True, exist_ok=True)
    for fewer in range(count, 10, -2):
        places = np.linspace(0, count - 1, fewer).round().astype(int)
        first, *others = [frames[i] for i in places]
        waits = [wait * count // fewer] * (fewer - 1) + [last]
        options = {"append_images": others, "duration": waits, "loop": 0}
        first.save(path, save_all=True, optimize=True, **options)
        if path.stat().st_size < LIMIT:
            return
    raise SystemExit(
        f"{path} has {path.stat().st_size:,} bytes: use fewer datasets or runs"
    )


def frame(acts: Sequence[Act], number: int) -> Image.Image:
    """Returns one frame of an animation."""
    names = list(acts[0][1])
    side = 3.2  # inches
    wide, high = side * len(names), (side + 0.3) * len(acts) + 0.72
    with mpl.rc_context({"font.size": 10, "font.family": "DejaVu Sans"}):
        figure = Figure((wide, high), dpi=100)
        canvas = FigureCanvasAgg(figure)
        grid = figure.subplots(len(acts), len(names), squeeze=False)
        for axes, (stage, runs) in zip(grid, acts, strict=True):
            for axis, (name, scenes) in zip(axes, runs.items(), strict=True):
                paint(axis, stage, scenes[number], crisp=True)
                title = f"{name}\n{scenes[number].score(stage)}"
                axis.set_title(title, fontsize=9.5, color=INK, pad=4)
        step = next(iter(acts[0][1].values()))[number].step
        style: dict[str, Any] = {"fontsize": 12, "fontweight": "bold", "color": INK}
        figure.text(0.5, 1 - 0.22 / high, f"step {step:,}", ha="center", **style)
        _legend(figure, columns=4, size=8.5)
        edges = {"left": 0.02, "right": 0.98, "wspace": 0.05, "hspace": 0.16}
        figure.subplots_adjust(bottom=0.36 / high, top=1 - 0.68 / high, **edges)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def reduced(frames: Sequence[Image.Image], colors: int = 24) -> list[Image.Image]:
    """Maps the frames to a palette of their most frequent colors, without dithering."""
    counts: Counter[tuple[int, ...]] = Counter()
    for picture in frames:
        for count, color in picture.getcolors(2**24) or []:
            counts[color] += count  # type: ignore[index]
    palette = Image.new("P", (1, 1))
    palette.putpalette([c for color, _ in counts.most_common(colors) for c in color])
    none = Image.Dither.NONE
    return [picture.quantize(palette=palette, dither=none) for picture in frames]


def _legend(figure: Figure, columns: int, size: float) -> None:
    def dot(color, width):
        return Line2D([], [], ls="", marker="o", ms=width, mec=color, mfc=color)

    figure.legend(
        [dot(DATA, 6), dot(POINTS, 3.5), Patch(color=REAL), Patch(color=FAKE)],
        ["real", "generated", "D finds it more real", "D finds it more fake"],
        loc="lower center",
        ncols=columns,
        frameon=False,
        fontsize=size,
        handletextpad=0.4,
        columnspacing=1.4,
        handlelength=1.2,
    )
