"""Pairs of drawings that are rendered: outlines and colors, skeletons and glyphs."""

import json
from collections.abc import Callable, Iterator, Mapping

from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.items import Item, hold_out, is_blank, pairs, within_time
from jaxgan.data.tfds.registry.packages import Package
from jaxgan.data.tfds.registry.recipe import Config, Contents, Recipe, Splits
from jaxgan.data.tfds.registry.svg import render
from jaxgan.types import ExampleSpec, Field

OPENMOJI_HELD_OUT = 200
HANZI_HELD_OUT = 500

OPENMOJI = Package(
    registry="npm",
    name="openmoji",
    version="17.0.0",
    sha256="55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
    license="CC-BY-SA 4.0",
    files=r"package/(data/openmoji\.json|(black|color)/svg/[^/]+\.svg)",
)
HANZI = Package(
    registry="npm",
    name="hanzi-writer-data",
    version="2.0.1",
    sha256="72baf3d82b114e60d6e40ea05f24d2262a05cd39d544e2f322ba2fceb7beff15",
    license="Arphic Public License",
    files=r"package/[^/]\.json",
)


def openmoji(contents: Contents) -> Splits:
    """Renders OpenMoji: `source` is the black outline, `image` the colored drawing.

    Flags (their outlines are empty boxes), skin tones (they share an outline), drawings
    without color, and drawings with text are left out.

    Raises:
      Unavailable: if the list of drawings or a drawing is damaged.
    """
    files = contents[OPENMOJI.name]
    try:
        listed = json.loads(files["package/data/openmoji.json"])
        codes = [
            x["hexcode"]
            for x in listed
            if "flags" not in (x["group"], x["subgroups"]) and not x.get("skintone")
        ]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Unavailable("the package's openmoji.json is damaged") from error
    items = within_time(_openmoji_items(files, codes))
    return _paired(items, OPENMOJI_HELD_OUT, image="color", source="black")


def _openmoji_items(files: Mapping[str, bytes], codes: list[str]) -> Iterator[Item]:
    for code in codes:
        paths = {x: f"package/{x}/svg/{code}.svg" for x in ("black", "color")}
        svgs = {x: files.get(p, b"").decode(errors="replace") for x, p in paths.items()}
        # A few are drawn in one style only.
        if not all(svgs.values()) or any("<text" in svg for svg in svgs.values()):
            continue
        pictures = {style: render(svg) for style, svg in svgs.items()}
        if pictures["black"] != pictures["color"] and not is_blank(pictures["black"]):
            yield Item(code, pictures, group=code)


def hanzi(contents: Contents) -> Splits:
    """Renders Chinese characters: `source` is the skeleton, `image` the brush strokes.

    Raises:
      Unavailable: if a character is damaged.
    """
    items = within_time(_hanzi_items(contents[HANZI.name]))
    return _paired(items, HANZI_HELD_OUT, image="brush", source="skeleton")


def _hanzi_items(files: Mapping[str, bytes]) -> Iterator[Item]:
    for path, text in sorted(files.items()):
        name = path.rpartition("/")[2].removesuffix(".json")
        try:
            character = json.loads(text)
            svgs = {style: draw(character) for style, draw in STYLES.items()}
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"the package's {name}.json is damaged") from error
        pictures = {style: render(svg, mode="L") for style, svg in svgs.items()}
        yield Item(name, pictures, group=name)


def _paired(items: list[Item], count: int, image: str, source: str) -> Splits:
    parts = hold_out(items, count)
    return {key: pairs(part, image, source) for key, part in parts.items()}


def _brush(character: Mapping) -> str:
    """Returns the outlines of the strokes."""
    return _canvas("".join(f'<path d="{path}"/>' for path in character["strokes"]))


def _skeleton(character: Mapping) -> str:
    """Returns the middle lines of the strokes."""
    lines = [" ".join(f"{x},{y}" for x, y in points) for points in character["medians"]]
    drawn = "".join(f'<polyline points="{points}"/>' for points in lines)
    # 24 units are 1.5 pixels of 64.
    return _canvas(f'<g fill="none" stroke="#000" stroke-width="24">{drawn}</g>')


def _canvas(inner: str) -> str:
    # The y axis points up, and the baseline is at 124 of 1024.
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1024 1024">'
        f'<g transform="translate(0,900) scale(1,-1)">{inner}</g></svg>'
    )


STYLES: dict[str, Callable[[Mapping], str]] = {"brush": _brush, "skeleton": _skeleton}

COLOR, GRAY = Field((64, 64, 3)), Field((64, 64, 1))


def _recipe(
    description: str,
    citation: str,
    package: Package,
    field: Field,
    make: Callable[[Contents], Splits],
) -> Recipe:
    """Returns a recipe of rendered pairs."""
    config = Config(description, ExampleSpec(image=field, source=field), make)
    packages, configs = (package,), {"": config}
    return Recipe(description, citation, packages, configs, modules=("resvg_py",))


DRAWINGS = {
    "openmoji": _recipe(
        "OpenMoji, 64x64 pixels on white: outlines as source, colored as image.",
        "OpenMoji 17.0.0, https://openmoji.org",
        OPENMOJI,
        COLOR,
        openmoji,
    ),
    "hanzi": _recipe(
        "Chinese characters, 64x64 gray: skeletons as source, brush strokes as image.",
        "Make Me a Hanzi, https://github.com/skishore/makemeahanzi, from fonts of "
        "Arphic Technology",
        HANZI,
        GRAY,
        hanzi,
    ),
}
"""Recipes of drawings by name."""
