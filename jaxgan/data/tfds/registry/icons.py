"""Icons that artists drew at two sizes, which are true pairs for super-resolution."""

from collections.abc import Callable, Mapping

import numpy as np

from jaxgan.data.tfds.registry.items import (
    Item,
    hold_out,
    is_blank,
    on_white,
    pairs,
    pixels,
)
from jaxgan.data.tfds.registry.packages import Package
from jaxgan.data.tfds.registry.recipe import Config, Contents, Recipe, Splits
from jaxgan.types import ExampleSpec, Field

HELD_OUT = 100
SMALL, LARGE = 32, 128
SAME = 10
"""Mean absolute difference, of 255, up to which two icons are the same drawing."""

OXYGEN = Package(
    registry="Debian",
    name="oxygen-icon-theme",
    version="",
    sha256="",
    license="LGPL-3+",
    files=rf"\./usr/share/icons/oxygen/base/({SMALL}x{SMALL}|{LARGE}x{LARGE})/.+\.png",
)


def same_drawing(pictures: Mapping[str, bytes]) -> bool:
    """Returns True if the large icon, once reduced, is nearly the small one.

    Artists redraw many icons for small sizes, with fewer parts or in another place.

    Args:
      pictures: PNG by side in pixels.
    """
    small, large = pixels(pictures[str(SMALL)]), pixels(pictures[str(LARGE)])
    # The mean of each block of 4x4 pixels.
    blocks = large.reshape(SMALL, LARGE // SMALL, SMALL, LARGE // SMALL, 3)
    return float(np.abs(blocks.mean((1, 3)) - small).mean()) <= SAME


def _always(pictures: Mapping[str, bytes]) -> bool:
    del pictures
    return True


def _maker(keep: Callable[[Mapping[str, bytes]], bool]) -> Callable[[Contents], Splits]:
    """Returns a function that pairs the icons that are kept.

    The pairs are icons of 32x32 pixels (`source`) and of 128x128 (`image`). Links, by
    which an icon has several names, are no files of the package.
    """

    def make(contents: Contents) -> Splits:
        files: dict[int, dict[str, bytes]] = {SMALL: {}, LARGE: {}}
        for path, picture in contents[OXYGEN.name].items():
            # Such as 32x32 and actions/edit-copy.png.
            size, _, name = path.partition("/base/")[2].partition("/")
            files[int(size.partition("x")[0])][name] = picture
        items = []
        for name in sorted(files[SMALL].keys() & files[LARGE].keys()):
            pictures = {str(side): on_white(files[side][name], side) for side in files}
            if keep(pictures) and not any(map(is_blank, pictures.values())):
                # One subject may be in several folders.
                items.append(Item(name, pictures, group=name.rpartition("/")[2]))
        parts = hold_out(items, HELD_OUT)
        return {key: pairs(part, str(LARGE), str(SMALL)) for key, part in parts.items()}

    return make


SPEC = ExampleSpec(
    image=Field((LARGE, LARGE, 3)),
    source=Field((SMALL, SMALL, 3)),
)
DESCRIPTION = "Oxygen icons on white: of 32x32 pixels as source, of 128x128 as image."

ICONS = {
    "oxygen_icons": Recipe(
        DESCRIPTION,
        "The Oxygen icon theme of KDE, https://invent.kde.org/frameworks/oxygen-icons",
        (OXYGEN,),
        {
            "same_drawing": Config(
                "Icons that look alike at both sizes.", SPEC, _maker(same_drawing)
            ),
            "all": Config("Also redrawn icons.", SPEC, _maker(_always)),
        },
    )
}
"""Recipes of icons by name."""
