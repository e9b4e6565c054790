"""Emoji as two vendors draw them: pairs, unpaired domains, and classes.

Variants of one emoji in several skin tones look alike. All variants of an emoji are on
one side of the split, as are emoji with the same picture.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.packages import Package
from jaxgan.data.tfds.registry.recipe import Config, Contents, Recipe, Row, Splits
from jaxgan.types import ExampleSpec, Field

HELD_OUT = 400
"""Number of emoji in the test split."""
VENDORS = ("google", "twitter")
CATEGORIES = (
    *("Smileys & Emotion", "People & Body", "Component", "Animals & Nature"),
    *("Food & Drink", "Travel & Places", "Activities", "Objects", "Symbols", "Flags"),
)
PICTURE = Field((64, 64, 3))

PACKAGES = tuple(
    Package(
        registry="npm",
        name=f"emoji-datasource-{vendor}",
        version="16.0.0",
        sha256=sha256,
        license=license,
        files=rf"package/(emoji\.json|img/{vendor}/64/[^/]+\.png)",
    )
    for vendor, sha256, license in (
        (
            "google",
            "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
            "Apache-2.0",
        ),
        (
            "twitter",
            "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
            "CC-BY 4.0",
        ),
    )
)


class Emoji(NamedTuple):
    """An emoji, or its variant in a skin tone, as both vendors draw it."""

    name: str
    """Name of its file without suffix, such as `1f385-1f3fb`."""
    base: str
    """Code points of the emoji without skin tone, such as `1F385`."""
    category: str
    plain: bool
    """True for the emoji itself, False for its variants."""
    pictures: dict[str, bytes]
    """PNG by vendor: `[64, 64, 3]` on white."""


def rank(text: str) -> str:
    """Returns a key that sorts texts in a fixed order without meaning."""
    return hashlib.sha256(text.encode()).hexdigest()


def on_white(picture: bytes, size: tuple[int, int]) -> bytes:
    """Returns an image file as an RGB PNG, composited over white.

    Args:
      picture: the file's content.
      size: the height and width that the image must have.

    Raises:
      Unavailable: if the image is damaged, or of another size.
    """
    try:
        with Image.open(io.BytesIO(picture)) as image:
            above = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        raise Unavailable("a picture of the package is damaged") from error
    if (above.height, above.width) != size:
        raise Unavailable(f"a picture of the package is not {size[0]}x{size[1]}")
    below = Image.new("RGBA", above.size, "white")
    file = io.BytesIO()
    Image.alpha_composite(below, above).convert("RGB").save(file, "png")
    return file.getvalue()


def read_emoji(contents: Contents) -> list[Emoji]:
    """Returns the emoji that both vendors draw, from the files of their packages.

    Raises:
      Unavailable: if the list of emoji or a picture is damaged.
    """
    files = {v: contents[f"emoji-datasource-{v}"] for v in VENDORS}
    try:
        listed = json.loads(files["google"]["package/emoji.json"])
        entries = [
            (form["image"].removesuffix(".png"), entry["unified"], entry["category"])
            for entry in listed
            for form in (entry, *entry.get("skin_variations", {}).values())
        ]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Unavailable("the package's emoji.json is damaged") from error
    paths = {v: f"package/img/{v}/64/{{}}.png".format for v in VENDORS}
    made, seen = [], set()
    for name, base, category in entries:
        drawn = all(paths[v](name) in files[v] for v in VENDORS)
        if not drawn or category not in CATEGORIES or name in seen:
            continue
        seen.add(name)
        pictures = {v: on_white(files[v][paths[v](name)], (64, 64)) for v in VENDORS}
        plain = name == base.lower()
        made.append(Emoji(name, base, category, plain, pictures))
    return made


def split(emoji: Sequence[Emoji]) -> dict[str, list[Emoji]]:
    """Splits emoji by base, so that no variant or copy of a test picture is in train.

    The test split has `HELD_OUT` emoji without skin tone, by a fixed hash of their code
    points. Their variants are in neither split, and nor are copies of their pictures.
    """
    plain = sorted((e for e in emoji if e.plain), key=lambda e: rank(e.base))
    test = plain[:HELD_OUT]
    bases = {e.base for e in test}
    copies = {picture for e in test for picture in e.pictures.values()}
    train = [
        e
        for e in emoji
        if e.base not in bases and copies.isdisjoint(e.pictures.values())
    ]
    return {"train": train, "test": test}


def _pair(image: Emoji, source: Emoji) -> Row:
    key = image.name if image is source else f"{source.name} {image.name}"
    pictures = {
        "image": image.pictures["twitter"],
        "source": source.pictures["google"],
    }
    return key, pictures


def _paired(emoji: Iterable[Emoji]) -> Iterator[Row]:
    return (_pair(e, e) for e in emoji)


def _unpaired(emoji: Iterable[Emoji]) -> Iterator[Row]:
    """Pairs pictures of different emoji: Google's of one half, Twitter's of the other.

    The halves are of nearly the same size; the larger one loses the rest.
    """
    halves: tuple[list[Emoji], list[Emoji]] = ([], [])
    # Ordered by another hash than that of the split.
    for e in sorted(emoji, key=lambda e: rank(f"order {e.name}")):
        halves[int(rank(f"half {e.base}"), 16) % 2].append(e)
    return (_pair(a, b) for a, b in zip(*halves, strict=False))


def _each(emoji: Iterable[Emoji], label: Callable[[Emoji, str], int]) -> Iterator[Row]:
    """Yields the pictures of all vendors, each with a label."""
    for e in emoji:
        for vendor in VENDORS:
            example = {"image": e.pictures[vendor], "label": label(e, vendor)}
            yield f"{vendor} {e.name}", example


def _category(emoji: Emoji, vendor: str) -> int:
    del vendor
    return CATEGORIES.index(emoji.category)


def _vendor(emoji: Emoji, vendor: str) -> int:
    del emoji
    return VENDORS.index(vendor)


def _maker(
    train: Callable[[list[Emoji]], Iterable[Row]],
    test: Callable[[list[Emoji]], Iterable[Row]],
) -> Callable[[Contents], Splits]:
    """Returns a function that makes both splits of a config."""

    def make(contents: Contents) -> Splits:
        parts = split(read_emoji(contents))
        return {"train": train(parts["train"]), "test": test(parts["test"])}

    return make


def _labeled(
    description: str,
    names: tuple[str, ...],
    label: Callable[[Emoji, str], int],
) -> Recipe:
    def rows(emoji: list[Emoji]) -> Iterator[Row]:
        return _each(emoji, label)

    spec = ExampleSpec(
        image=PICTURE, label=Field((), np.dtype(np.int32), "label", names)
    )
    config = Config(description, spec, _maker(rows, rows))
    return Recipe(description, CITATION, PACKAGES, {"": config})


CITATION = "Cal Henderson, emoji-data 16.0.0, https://github.com/iamcal/emoji-data"
PAIR = ExampleSpec(image=PICTURE, source=PICTURE)

EMOJI = {
    "emoji_pairs": Recipe(
        "Emoji of 64x64 pixels on white: Google's as source, Twitter's as image.",
        CITATION,
        PACKAGES,
        {
            "paired": Config("The same emoji twice.", PAIR, _maker(_paired, _paired)),
            "unpaired": Config(
                "Disjoint emoji in train, and the same emoji twice in test.",
                PAIR,
                _maker(_unpaired, _paired),
                unaligned=("train",),
            ),
        },
    ),
    "emoji": _labeled(
        "Emoji of two vendors, 64x64 pixels on white, by category.",
        CATEGORIES,
        _category,
    ),
    "emoji_domains": _labeled(
        "Emoji, 64x64 pixels on white, by vendor.", VENDORS, _vendor
    ),
}
"""Recipes of emoji by name."""
