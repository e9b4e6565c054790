"""Rendering of SVG drawings with resvg, which the extra `pictures` installs."""

from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.items import on_white
from jaxgan.errors import first_line


def render(svg: str, side: int = 64, mode: str = "RGB") -> bytes:
    """Returns a square drawing on white as a PNG.

    Args:
      svg: the drawing.
      side: the height and width in pixels.
      mode: RGB, or L for gray.

    Raises:
      Unavailable: if the drawing is damaged.
    """
    import resvg_py  # pyright: ignore[reportMissingImports]

    try:
        # System fonts differ between machines.
        drawn = resvg_py.svg_to_bytes(
            svg_string=svg,
            width=side,
            height=side,
            background="white",
            skip_system_fonts=True,
        )
    except ValueError as error:
        raise Unavailable(f"a drawing is damaged: {first_line(error)}") from error
    return on_white(drawn, side, mode)
