"""Emoji as two vendors draw them: pairs, unpaired domains, classes, and skin tones.

Variants of one emoji in several skin tones look alike, so that the splits are made by
emoji without skin tone.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.items import (
    Item,
    hold_out,
    on_white,
    pairs,
    rank,
    unpaired,
)
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
TONES = {
    "": "tone=yellow",
    "1F3FB": "tone=light",
    "1F3FC": "tone=medium-light",
    "1F3FD": "tone=medium",
    "1F3FE": "tone=medium-dark",
    "1F3FF": "tone=dark",
}
"""Attributes of skin tones by their code point, from light to dark."""
TONED = (*TONES.values(), *(f"vendor={x}" for x in VENDORS), "hand")
"""Names of the attributes of `emoji_tones`."""
DESCRIBED = (
    *(f"category={x}" for x in CATEGORIES),
    *("tone=none", *[x for tone, x in TONES.items() if tone]),
    *(f"vendor={x}" for x in VENDORS),
)
"""Names of the attributes of `emoji_attributes`."""
TONED_SHARE = 10
"""One of so many emoji is in the test split of `emoji_tones`."""
PICTURE = Field((64, 64, 3))
PAIR = ExampleSpec(image=PICTURE, source=PICTURE)
CITATION = "Cal Henderson, emoji-data 16.0.0, https://github.com/iamcal/emoji-data"


def _package(vendor: str, sha256: str, license: str) -> Package:
    return Package(
        registry="npm",
        name=f"emoji-datasource-{vendor}",
        version="16.0.0",
        sha256=sha256,
        license=license,
        files=rf"package/(emoji\.json|img/{vendor}/64/[^/]+\.png)",
    )


PACKAGES = (
    _package(
        "google",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        "Apache-2.0",
    ),
    _package(
        "twitter",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
        "CC-BY 4.0",
    ),
)


def read_emoji(contents: Contents) -> list[Item]:
    """Returns the emoji that both vendors draw, from the files of their packages.

    Raises:
      Unavailable: if the list of emoji or a picture is damaged.
    """
    files = [(v, contents[f"emoji-datasource-{v}"]) for v in VENDORS]
    try:
        listed = json.loads(files[0][1]["package/emoji.json"])
        forms = [
            (form["image"], entry, tone)
            for entry in listed
            for tone, form in {
                "": entry,
                **entry.get("skin_variations", {}),
            }.items()
        ]
        items = dict(_items(files, forms))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Unavailable("the package's emoji.json is damaged") from error
    return list(items.values())


def _items(
    files: list[tuple[str, Mapping[str, bytes]]],
    forms: list[tuple[str, dict[str, Any], str]],
) -> Iterator[tuple[str, Item]]:
    """Yields the emoji by name.

    Args:
      files: those of each vendor's package.
      forms: file name, entry in the list of emoji, and skin tone.
    """
    for image, entry, tone in forms:
        base, category = entry["unified"], entry["category"]
        drawn = {v: held.get(f"package/img/{v}/64/{image}") for v, held in files}
        pictures = {v: on_white(x, 64) for v, x in drawn.items() if x is not None}
        # Some emoji are drawn by one vendor only.
        if len(pictures) == len(VENDORS) and category in CATEGORIES:
            name, part = image.removesuffix(".png"), str(entry.get("subcategory", ""))
            yield name, Item(name, pictures, base, not tone, category, tone, part)


Maker = Callable[[list[Item]], Iterable[Row]]


def _splits(train: Maker, test: Maker) -> Callable[[Contents], Splits]:
    """Returns a function that makes the examples of both splits."""

    def make(contents: Contents) -> Splits:
        parts = hold_out(read_emoji(contents), HELD_OUT)
        return {"train": train(parts["train"]), "test": test(parts["test"])}

    return make


def _paired(items: list[Item]) -> Iterator[Row]:
    return pairs(items, image="twitter", source="google")


def _unpaired(items: list[Item]) -> Iterator[Row]:
    return unpaired(items, image="twitter", source="google")


def _is_hand(item: Item) -> bool:
    """Returns True for hands and other parts of a body, which have no face."""
    return item.part.startswith("hand") or item.part == "body-parts"


def _with_tones(contents: Contents) -> Splits:
    """Makes pictures of all emoji in six tones, with their attributes.

    No emoji of the test split is in train in another tone.
    """
    tones = tuple(TONES)
    forms = [x for x in read_emoji(contents) if x.tone.upper() in tones]
    counts = Counter(x.group for x in forms)
    whole = [x for x in forms if counts[x.group] == len(tones)]
    order = sorted({x.group for x in whole}, key=rank)
    test = set(order[: len(order) // TONED_SHARE])

    def rows(held_out: bool) -> Iterator[Row]:
        for x in whole:
            if (x.group in test) != held_out:
                continue
            for vendor, picture in x.pictures.items():
                own = {TONES[x.tone.upper()], f"vendor={vendor}"}
                own |= {"hand"} if _is_hand(x) else set()
                values = np.array([name in own for name in TONED], np.uint8)
                yield f"{vendor} {x.name}", {"image": picture, "attributes": values}

    return {"train": rows(False), "test": rows(True)}


def _with_categories(contents: Contents) -> Splits:
    """Makes pictures with category, tone and vendor as attributes.

    Emoji of two people in two tones are left out. The test split has all tones of its
    emoji.
    """
    tones = {**TONES, "": "tone=none"}
    forms = [x for x in read_emoji(contents) if x.tone.upper() in tones]

    def rows(items: list[Item]) -> Iterator[Row]:
        for x in items:
            for vendor, picture in x.pictures.items():
                own = {f"category={x.label}", tones[x.tone.upper()]}
                own |= {f"vendor={vendor}"}
                values = np.array([name in own for name in DESCRIBED], np.uint8)
                yield f"{vendor} {x.name}", {"image": picture, "attributes": values}

    parts = hold_out(forms, HELD_OUT, variants=True)
    return {split: rows(items) for split, items in parts.items()}


def _described(
    description: str,
    contents: str,
    names: tuple[str, ...],
    make: Callable[[Contents], Splits],
) -> Recipe:
    """Returns the recipe of pictures with attributes.

    Args:
      description: of the data set.
      contents: the pictures, in a few words.
      names: the attributes.
      make: makes the examples of all splits.
    """
    kind = Field((len(names),), np.dtype(np.uint8), "attributes", names)
    spec = ExampleSpec(image=PICTURE, attributes=kind)
    return Recipe(description, CITATION, PACKAGES, {"": Config(contents, spec, make)})


def _labeled(
    description: str, names: tuple[str, ...], label: Callable[[Item, str], str]
) -> Recipe:
    """Returns the recipe of all pictures with a label.

    Args:
      description: of the data set.
      names: the classes.
      label: maps an emoji and a vendor to a class.
    """

    def rows(items: list[Item]) -> Iterator[Row]:
        for x in items:
            for vendor, picture in x.pictures.items():
                number = names.index(label(x, vendor))
                yield f"{vendor} {x.name}", {"image": picture, "label": number}

    kind = Field((), np.dtype(np.int32), "label", names)
    spec = ExampleSpec(image=PICTURE, label=kind)
    config = Config(description, spec, _splits(rows, rows))
    return Recipe(description, CITATION, PACKAGES, {"": config})


EMOJI = {
    "emoji_pairs": Recipe(
        "Emoji of 64x64 pixels on white: Google's as source, Twitter's as image.",
        CITATION,
        PACKAGES,
        {
            "paired": Config("The same emoji twice.", PAIR, _splits(_paired, _paired)),
            "unpaired": Config(
                "Different emoji in train, and the same emoji twice in test.",
                PAIR,
                _splits(_unpaired, _paired),
                unaligned=("train",),
            ),
        },
    ),
    "emoji": _labeled(
        "Emoji of two vendors, 64x64 pixels on white, by category.",
        CATEGORIES,
        lambda item, vendor: item.label,
    ),
    "emoji_domains": _labeled(
        "Emoji, 64x64 pixels on white, by vendor.",
        VENDORS,
        lambda item, vendor: vendor,
    ),
    "emoji_attributes": _described(
        "Emoji of two vendors, 64x64 pixels on white, with category, skin tone and "
        "vendor as attributes.",
        "All emoji, in one skin tone or none.",
        DESCRIBED,
        _with_categories,
    ),
    "emoji_tones": _described(
        "Emoji of people and hands, 64x64 pixels on white, in six skin tones of two "
        "vendors, with tone, vendor and hand as attributes.",
        "All emoji that have six skin tones.",
        TONED,
        _with_tones,
    ),
}
"""Recipes of emoji by name."""
