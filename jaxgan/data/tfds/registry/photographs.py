"""Patches of photographs, for super-resolution and inpainting."""

import io
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.items import Item, hold_out, pixels, png, within_time
from jaxgan.data.tfds.registry.packages import Package
from jaxgan.data.tfds.registry.recipe import Config, Contents, Recipe, Row, Splits
from jaxgan.types import ExampleSpec, Field

HELD_OUT = 12
"""Number of photographs in the test split."""
SIDE = 96
STRIDE = 64
"""Distance of the patches of train, which overlap; those of test do not."""
LEAST = 300
"""Shorter side of the smallest photograph; smaller pictures are buttons."""
SHORT = 640
"""Largest shorter side, in pixels, of a photograph from which patches are cut."""
DETAIL = 3.0
"""Detail below which a patch is left out, such as one of sky; see `detail`."""

GCOMPRIS = Package(
    registry="Debian",
    name="gcompris-qt-data",
    version="",
    sha256="",
    license="CC-BY, CC-BY-SA, GPL-3+, GFDL or public domain, by photograph",
    files=r"\./usr/share/gcompris-qt/rcc/"
    r"(erase|explore_(monuments|world_animals|farm_animals))\.rcc",
)
LOMIRI = Package(
    registry="Debian",
    name="lomiri-wallpapers-16.04",
    version="",
    sha256="",
    license="CC-BY 4.0, CC-BY-SA 4.0 or CC0 1.0, by photograph",
    # The two others are made up of colors.
    files=r"\./usr/share/backgrounds/(?!analogpattern|umang).+\.jpg",
)


def photographs(contents: Contents) -> Splits:
    """Cuts photographs into patches; no photograph is in both splits.

    Raises:
      Unavailable: if a photograph is damaged.
    """
    items = within_time(_reduced(contents))
    parts = hold_out(items, HELD_OUT)
    strides = {"train": STRIDE, "test": SIDE}
    return {split: _rows(part, strides[split]) for split, part in parts.items()}


def _reduced(contents: Contents) -> Iterator[Item]:
    for name, photo in _photos(contents):
        if (picture := reduce(photo)) is not None:
            yield Item(name, {"image": picture}, group=name)


def _photos(contents: Contents) -> Iterator[tuple[str, bytes]]:
    """Yields a name and the file of each photograph."""
    for path, resources in sorted(contents[GCOMPRIS.name].items()):
        stem = path.rpartition("/")[2].removesuffix(".rcc")
        for number, photo in enumerate(webp_files(resources)):
            yield f"{stem}_{number}", photo
    for path, photo in sorted(contents[LOMIRI.name].items()):
        yield path.rpartition("/")[2].removesuffix(".jpg"), photo


def webp_files(resources: bytes) -> Iterator[bytes]:
    """Yields the WebP pictures of a Qt resource file, which has them as they are.

    >>> list(webp_files(b"..RIFF" + bytes([6, 0, 0, 0]) + b"WEBP12.."))
    [b'RIFF\\x06\\x00\\x00\\x00WEBP12']
    """
    start = resources.find(b"RIFF")
    while start >= 0:
        size = 8 + int.from_bytes(resources[start + 4 : start + 8], "little")
        if resources[start + 8 : start + 12] == b"WEBP":
            yield resources[start : start + size]
        start = resources.find(b"RIFF", start + 4)


def reduce(photo: bytes) -> bytes | None:
    """Returns a photograph as a PNG at half its size or less, None if it is small.

    At full size photographs have traces of their compression, and few fine details.

    Raises:
      Unavailable: if it is damaged.
    """
    try:
        with Image.open(io.BytesIO(photo), formats=["JPEG", "WEBP"]) as image:
            short = min(image.size)
            if short < LEAST:
                return None
            scale = min(short // 2, SHORT) / short
            size = (round(image.width * scale), round(image.height * scale))
            return png(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    except (OSError, ValueError, SyntaxError) as error:
        raise Unavailable("a photograph of the package is damaged") from error


def _rows(items: Iterable[Item], stride: int) -> Iterator[Row]:
    for x in items:
        photo = pixels(x.pictures["image"]).astype(np.uint8)
        for (top, left), patch in patches(photo, stride):
            yield f"{x.name}_{top}_{left}", {"image": png(Image.fromarray(patch))}


def patches(
    photo: np.ndarray, stride: int
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Yields the place (row, column) and the pixels of patches that show something.

    Args:
      photo: `[H, W, 3]` uint8.
      stride: distance of neighbors, which are on a grid in the middle.
    """
    rows, columns = (
        range((side - SIDE) % stride // 2, side - SIDE + 1, stride)
        for side in photo.shape[:2]
    )
    for top in rows:
        for left in columns:
            patch = photo[top : top + SIDE, left : left + SIDE]
            if detail(patch) >= DETAIL:
                yield (top, left), patch


def detail(patch: np.ndarray) -> float:
    """Returns the mean absolute difference of neighboring pixels, in 8-bit values.

    >>> detail(np.uint8([[[0], [2]], [[6], [2]]]))
    3.0
    """
    values = np.float32(patch)
    return float(np.mean([np.abs(np.diff(values, axis=i)).mean() for i in (0, 1)]))


DESCRIPTION = "Patches, 96x96 pixels, of photographs of animals, monuments and nature."

PHOTOGRAPHS = {
    "photographs": Recipe(
        DESCRIPTION,
        "GCompris, https://gcompris.net, and Lomiri, https://lomiri.com; the authors "
        "of the photographs are in the packages' copyright files",
        (GCOMPRIS, LOMIRI),
        {
            "": Config(
                DESCRIPTION, ExampleSpec(image=Field((SIDE, SIDE, 3))), photographs
            )
        },
    )
}
"""Recipes of photographs by name."""
