"""Icons that artists drew at two sizes, which are true pairs for super-resolution."""

from jaxgan.data.tfds.registry.items import Item, hold_out, on_white, pairs
from jaxgan.data.tfds.registry.packages import Package
from jaxgan.data.tfds.registry.recipe import Config, Contents, Recipe, Splits
from jaxgan.types import ExampleSpec, Field

HELD_OUT = 100
SMALL, LARGE = 32, 128

OXYGEN = Package(
    registry="Debian",
    name="oxygen-icon-theme",
    version="",
    sha256="",
    license="LGPL-3+",
    files=rf"\./usr/share/icons/oxygen/base/({SMALL}x{SMALL}|{LARGE}x{LARGE})/.+\.png",
)


def oxygen(contents: Contents) -> Splits:
    """Pairs the icons of 32x32 pixels (`source`) and of 128x128 (`image`).

    Links, by which an icon has several names, are no files of the package.

    Raises:
      Unavailable: if an icon is damaged.
    """
    files: dict[int, dict[str, bytes]] = {SMALL: {}, LARGE: {}}
    for path, picture in contents[OXYGEN.name].items():
        # Such as base, 32x32 and actions/edit-copy.png.
        size, _, name = path.partition("/base/")[2].partition("/")
        files[int(size.partition("x")[0])][name] = picture
    items = []
    for name in sorted(files[SMALL].keys() & files[LARGE].keys()):
        pictures = {str(side): on_white(files[side][name], side) for side in files}
        # One subject may be in several folders.
        items.append(Item(name, pictures, group=name.rpartition("/")[2]))
    parts = hold_out(items, HELD_OUT)
    return {key: pairs(part, str(LARGE), str(SMALL)) for key, part in parts.items()}


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
        {"": Config(DESCRIPTION, SPEC, oxygen)},
    )
}
"""Recipes of icons by name."""
