"""Faces that a program composes of parts that artists drew, with exact attributes.

Each attribute has one drawing, so that a change of it has one right result. The rest of
a face, from its skin to its clothes, is drawn by number.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.items import choose
from jaxgan.data.tfds.registry.packages import Package
from jaxgan.data.tfds.registry.recipe import Config, Contents, Recipe, Row, Splits
from jaxgan.data.tfds.registry.svg import render
from jaxgan.types import ExampleSpec, Field

SIZES = {"train": 6_000, "test": 600}
PEEPS_SIZES = {"train": 3_000, "test": 300}

HAIR = {"black_hair": "2c1b18", "brown_hair": "724133", "blond_hair": "d6b370"}
"""Colors of hair and beard, of which a face has one."""
ON_OFF = ("glasses", "beard", "long_hair", "smile")
ATTRIBUTES = (*ON_OFF, *HAIR)
NEVER = frozenset({"glasses", "beard"})
"""Attributes that are never together in the train split."""

IDENTITY: dict[str, tuple[str, ...]] = {
    "skinColor": ("614335", "d08b5b", "ae5d29", "edb98a", "ffdbb4"),
    "clothesVariant": (
        *("blazerAndShirt", "blazerAndSweater", "collarAndSweater", "hoodie"),
        *("overall", "shirtCrewNeck", "shirtScoopNeck", "shirtVNeck"),
    ),
    "clothesColor": (
        *("262e33", "65c9ff", "5199e4", "25557c", "e6e6e6", "929598", "3c4f5c"),
        *("b1e2ff", "a7ffc4", "ffafb9", "ffffb1", "ff488e", "ff5c5c"),
    ),
    "eyesVariant": (
        *("closed", "default", "eyeRoll", "happy", "side", "squint", "surprised"),
        *("wink", "winkWacky"),
    ),
    "eyebrowsVariant": (
        *("angry", "angryNatural", "default", "defaultNatural", "flatNatural"),
        *("frownNatural", "raisedExcited", "raisedExcitedNatural", "sadConcerned"),
        *("sadConcernedNatural", "unibrowNatural", "upDown", "upDownNatural"),
    ),
}
"""Parts of a face that are no attributes, and their drawings."""

Attributes = frozenset[str]


def attributes_of(seed: str, held_out: bool) -> Attributes:
    """Returns the attributes of a face, by its number.

    Args:
      seed: identifies the face.
      held_out: allows all of `NEVER` together if True.
    """
    on = frozenset(x for x in ON_OFF if choose((True, False), f"{seed} {x}"))
    if not held_out and on >= NEVER:
        on -= {choose(sorted(NEVER), f"{seed} never")}
    return on | {choose(tuple(HAIR), f"{seed} hair")}


def edit(own: Attributes, seed: str, held_out: bool) -> Attributes:
    """Returns the attributes after one change: of glasses, ..., or the hair's color.

    Args:
      own: the attributes of the face.
      seed: identifies the face.
      held_out: allows all of `NEVER` together if True.
    """
    edits = [own ^ {x} for x in ON_OFF]
    colors = own & set(HAIR)
    edits.append(
        own - colors | {choose(sorted(set(HAIR) - colors), f"{seed} other hair")}
    )
    allowed = [x for x in edits if held_out or not x >= NEVER]
    return choose(allowed, f"{seed} edit")


def options_of(identity: Mapping[str, str], attributes: Attributes) -> dict[str, Any]:
    """Returns the options with which DiceBear draws a face in the style avataaars."""
    (color,) = (HAIR[x] for x in HAIR if x in attributes)
    drawn = {
        **identity,
        "backgroundColor": "ffffff",
        "hairColor": color,
        "facialHairColor": color,
        "accessoriesColor": "262e33",
        "accessoriesVariant": "prescription02",
        "facialHairVariant": "beardMedium",
        "topVariant": "straight02" if "long_hair" in attributes else "shortFlat",
        "mouthVariant": "smile" if "smile" in attributes else "serious",
    }
    return {
        # Options are lists, of which DiceBear would choose by a seed.
        **{key: [value] for key, value in drawn.items()},
        "accessoriesProbability": 100 * ("glasses" in attributes),
        "facialHairProbability": 100 * ("beard" in attributes),
        "topProbability": 100,
        "seed": "",
    }


def faces(contents: Contents) -> Splits:
    """Draws faces (`image`, `attributes`) and one edit each (`target`, ...)."""
    style = _style(contents, "avataaars")
    splits: dict[str, Iterator[Row]] = {}
    numbers = _identities(sum(SIZES.values()))
    for split, size in SIZES.items():
        # No face of test is in train with other attributes.
        part = [next(numbers) for _ in range(size)]
        splits[split] = _face_rows(style, part, held_out=split == "test")
    return splits


def _identities(count: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields `count` different faces without attributes, each with a seed."""
    seen: set[tuple[str, ...]] = set()
    number = 0
    while len(seen) < count:
        seed = f"face {number}"
        identity = {key: choose(x, f"{seed} {key}") for key, x in IDENTITY.items()}
        number += 1
        if (parts := tuple(identity.values())) not in seen:
            seen.add(parts)
            yield seed, identity


def _face_rows(
    style: Any, numbered: list[tuple[str, dict[str, str]]], held_out: bool
) -> Iterator[Row]:
    for seed, identity in numbered:
        own = attributes_of(seed, held_out)
        other = edit(own, seed, held_out)
        example: dict[str, Any] = {}
        for image, field, attributes in (
            ("image", "attributes", own),
            ("target", "target_attributes", other),
        ):
            example[image] = render(_draw(style, options_of(identity, attributes)))
            example[field] = np.array([x in attributes for x in ATTRIBUTES], np.uint8)
        yield seed, example


def peeps(contents: Contents) -> Splits:
    """Draws faces in two styles, `source` and `image`, that belong to nobody."""
    # Both splits take from the same faces, so that they share none.
    sources = _different(_style(contents, "avataaars"))
    images = _different(_style(contents, "open-peeps"))

    def rows(split: str, size: int) -> Iterator[Row]:
        for number in range(size):
            yield f"{split} {number}", {"image": next(images), "source": next(sources)}

    return {split: rows(split, size) for split, size in PEEPS_SIZES.items()}


def _different(style: Any) -> Iterator[bytes]:
    """Yields different faces, all parts of which DiceBear chooses by a seed."""
    seen: set[bytes] = set()
    for number in itertools.count():
        options = {"seed": f"face {number}", "backgroundColor": ["ffffff"]}
        face = render(_draw(style, options))
        if face not in seen:
            seen.add(face)
            yield face


def _style(contents: Contents, name: str) -> Any:
    """Returns a style of DiceBear from its definition in a package."""
    from dicebear import Style  # pyright: ignore[reportMissingImports]

    (files,) = contents.values()
    try:
        return Style(json.loads(files[f"dicebear_styles/{name}.json"]))
    except (ValueError, KeyError) as error:
        raise Unavailable(f"the package's {name}.json is damaged") from error


def _draw(style: Any, options: dict[str, Any]) -> str:
    from dicebear import Avatar  # pyright: ignore[reportMissingImports]

    return Avatar(style, {"size": 64, **options}).to_json()["svg"]


def _package(license: str, styles: str) -> Package:
    return Package(
        registry="PyPI",
        name="dicebear-styles",
        version="10.6.0",
        sha256="5a5b0b9c534d133fa06f1dd29f280139995965b32b08c5635a69cc6afc30930d",
        license=license,
        files=rf"dicebear_styles/({styles})\.json",
    )


PICTURE = Field((64, 64, 3))
KIND = Field((len(ATTRIBUTES),), np.dtype(np.uint8), "attributes", ATTRIBUTES)
AVATAAARS = "avataaars by Pablo Stanley: free for personal and commercial use"


def _recipe(
    description: str,
    package: Package,
    spec: ExampleSpec,
    make: Callable[[Contents], Splits],
    unaligned: tuple[str, ...] = (),
) -> Recipe:
    """Returns a recipe of faces that DiceBear composes."""
    citation = "DiceBear, https://www.dicebear.com; parts drawn by Pablo Stanley"
    configs = {"": Config(description, spec, make, unaligned)}
    modules = ("resvg_py", "dicebear")
    return Recipe(description, citation, (package,), configs, modules=modules)


FACES = {
    "dicebear_faces": _recipe(
        "Faces, 64x64 pixels on white, their attributes, and one edit of each. "
        "Glasses and beard are together in the test split only.",
        _package(AVATAAARS, "avataaars"),
        ExampleSpec(
            image=PICTURE, attributes=KIND, target=PICTURE, target_attributes=KIND
        ),
        faces,
    ),
    "avataaars_open_peeps": _recipe(
        "Faces, 64x64 pixels on white: avataaars as source, Open Peeps as image.",
        _package(f"{AVATAAARS}; Open Peeps: CC0 1.0", "avataaars|open-peeps"),
        ExampleSpec(image=PICTURE, source=PICTURE),
        peeps,
        unaligned=("train", "test"),
    ),
}
"""Recipes of faces by name."""
