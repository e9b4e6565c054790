"""A picture of samples as a Bokeh plot, whose tiles can be chosen."""

# Type checkers do not know the constructors of Bokeh's models.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, FixedTicker, Range1d

from jaxgan.reporting import Layout
from jaxgan.viewer import page
from jaxgan.viewer.run_data import as_rgba, corner, tile_at

NONE: dict[str, list] = {"image": [], "width": [], "height": []}
"""The columns of no picture."""


class PicturePlot:
    """A picture, and a frame around the tile that is chosen.

    Args:
      colors: of the page.
      name: of the plot.
      chosen: called with the number of a tile that is clicked, None for no action.
    """

    def __init__(
        self,
        colors: page.Colors,
        name: str,
        chosen: Callable[[int], None] | None = None,
    ) -> None:
        self._chosen, self.layout = chosen, None
        self.source = ColumnDataSource({**NONE})
        self._frame = ColumnDataSource({k: [] for k in ("x", "y", "w", "h")})
        self.plot = page.plot(
            tools="save",
            x_range=Range1d(0, 1),
            y_range=Range1d(0, 1),
            aspect_ratio=1,
            sizing_mode="scale_width",
            max_width=620,
            name=name,
            min_border=0,
        )
        self.plot.axis.visible = False
        self.plot.grid.visible = False
        self.plot.outline_line_color = None
        self.plot.image_rgba("image", 0, 0, "width", "height", source=self.source)
        self.plot.rect(
            *("x", "y", "w", "h"),
            source=self._frame,
            fill_alpha=0,
            line_color=colors.fake,
            line_width=3,
        )
        if chosen:
            self.plot.on_event(Tap, self._tapped)

    def show(self, pixels: np.ndarray, layout: Layout | None) -> None:
        """Shows a picture.

        Args:
          pixels: uint8, `[H, W]` or `[H, W, 3]`.
          layout: of its tiles, None if it is a single drawing.
        """
        height, width = pixels.shape[:2]
        self.layout, self._height = layout, height
        if (self.plot.x_range.end, self.plot.y_range.end) != (width, height):
            self.plot.x_range.update(start=0, end=width)
            self.plot.y_range.update(start=0, end=height)
            self.plot.aspect_ratio = width / height
        self.source.data = {
            "image": [as_rgba(pixels)],
            "width": [width],
            "height": [height],
        }

    def choose(self, number: int | None) -> None:
        """Draws the frame around a tile."""
        layout = self.layout
        if layout is None or number is None or not 0 <= number < layout.count:
            self._frame.data = {k: [] for k in ("x", "y", "w", "h")}
            return
        top, left = corner(layout, number)
        # The center, from the bottom.
        self._frame.data = {
            "x": [left + layout.width / 2],
            "y": [self._height - top - layout.height / 2],
            "w": [layout.width + layout.pad],
            "h": [layout.height + layout.pad],
        }

    def _tapped(self, event: Any) -> None:
        if self.layout is None or event.x is None or event.y is None:
            return
        number = tile_at(self.layout, event.x, self._height - event.y)
        if number is not None and self._chosen:
            self._chosen(number)


class Strip:
    """Pictures in a row, each with a label.

    Args:
      title: of the row.
      name: of the plot.
    """

    def __init__(self, title: str, name: str) -> None:
        self._source = ColumnDataSource({"image": [], "x": []})
        self.plot = page.plot(
            title,
            x_range=Range1d(0, 12),
            y_range=Range1d(0, 1),
            height=118,
            sizing_mode="stretch_width",
            name=name,
            min_border=2,
        )
        self.plot.yaxis.visible = False
        self.plot.grid.visible = False
        self.plot.outline_line_color = None
        self.plot.image_rgba("image", "x", 0, 0.94, 1, source=self._source)

    def show(self, images: Sequence[np.ndarray], labels: Sequence[str]) -> None:
        """Shows pictures, uint8 `[H, W]` or `[H, W, C]`, with labels below them."""
        places = [i + 0.5 for i in range(len(images))]
        self.plot.xaxis.ticker = FixedTicker(ticks=places)
        self.plot.xaxis.major_label_overrides = dict(zip(places, labels, strict=True))
        # At least as many places as fit, so that few pictures are not stretched.
        self.plot.x_range.update(start=0, end=max(len(images), 8))
        self._source.data = {
            "image": [as_rgba(_gray(image)) for image in images],
            "x": [float(i) for i in range(len(images))],
        }


def _gray(image: np.ndarray) -> np.ndarray:
    """Returns an image as `[H, W]` or `[H, W, 3]` uint8."""
    if image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        scaled = 255 * (image - low) / max(high - low, 1e-9)
        image = np.asarray(scaled, np.uint8)
    if image.ndim == 3 and image.shape[-1] < 3:
        return image[..., 0]
    return image[..., :3] if image.ndim == 3 else image
