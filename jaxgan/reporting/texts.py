"""Texts as a picture, for previews, and as the lines of a file."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxgan.errors import printable

WIDTH, LINE, MARGIN = 560, 16, 6
"""In pixels: of the sheet, of a line, around the lines."""

MOST = 24
"""Lines of a picture; further texts are left out."""


def as_line(text: str) -> str:
    r"""Returns a text as one line, with `\n` for line breaks and `\\` for `\`.

    >>> as_line("a\nb")
    'a\\nb'
    """
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def draw_texts(texts: Sequence[str]) -> np.ndarray:
    """Draws the first texts, one a line, black on white; long ones are cut.

    Returns:
      uint8 `[height, width]`, of one size for equally many texts.
    """
    lines = [printable(as_line(text)) for text in texts[:MOST]]
    sheet = Image.new("L", (WIDTH, LINE * len(lines) + 2 * MARGIN), 255)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for number, line in enumerate(lines):
        place = (MARGIN, MARGIN + LINE * number)
        # Small fonts have no characters beyond Latin.
        shown = line.encode("latin-1", "replace").decode("latin-1")
        draw.text(place, shown, fill=0, font=font)
    return np.asarray(sheet)
