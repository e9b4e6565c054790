"""Pictures under names, their split into train and test, and rows made of them."""

import hashlib
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.recipe import Row

SECONDS = 900.0
"""Timeout of making the pictures of a split."""

BLANK = 32
"""Range of the values of a picture below which it counts as blank."""

T = TypeVar("T")


class Item(NamedTuple):
    """A subject, as several sources or in several styles draw it."""

    name: str
    """A unique name, such as that of a file."""
    pictures: dict[str, bytes]
    """PNG by source or style."""
    group: str
    """Items of one group are never split, such as an emoji in several skin tones."""
    main: bool = True
    """False for variants, which are not tested."""
    label: str = ""
    tone: str = ""
    """The skin tone of a variant, as it is written in its source."""
    part: str = ""
    """A finer label, such as a subcategory."""


def rank(text: str) -> str:
    """Returns a key that sorts texts in a fixed order without meaning."""
    return hashlib.sha256(text.encode()).hexdigest()


def choose(options: Sequence[T], seed: str) -> T:
    """Returns one of the options, by a hash of the seed."""
    return options[int(rank(seed), 16) % len(options)]


def within_time(made: Iterable[T]) -> list[T]:
    """Returns all of an iterable; raises Unavailable if that exceeds `SECONDS`."""
    end, kept = time.monotonic() + SECONDS, []
    for one in made:
        kept.append(one)
        if time.monotonic() > end:
            raise Unavailable(f"making its pictures exceeds {SECONDS:g} s")
    return kept


def hold_out(
    items: Sequence[Item], count: int, variants: bool = False
) -> dict[str, list[Item]]:
    """Splits items by group, so that no variant or copy of a test picture is in train.

    The test split has the main items of `count` groups, chosen by a fixed hash. Their
    variants are in neither split, and nor are items that share a picture with them.

    Args:
      items: all of them.
      count: groups of the test split.
      variants: puts the variants into the test split too.
    """
    main = sorted((x for x in items if x.main), key=lambda x: rank(x.group))
    test = main[:count]
    groups = {x.group for x in test}
    if variants:
        test = [x for x in items if x.group in groups]
    copies = {picture for x in test for picture in x.pictures.values()}
    train = [
        x
        for x in items
        if x.group not in groups and copies.isdisjoint(x.pictures.values())
    ]
    return {"train": train, "test": test}


def pairs(items: Iterable[Item], image: str, source: str) -> Iterator[Row]:
    """Yields both pictures of each item, as the fields `image` and `source`."""
    for x in items:
        yield x.name, {"image": x.pictures[image], "source": x.pictures[source]}


def unpaired(items: Iterable[Item], image: str, source: str) -> Iterator[Row]:
    """Yields pictures of different items, from two halves that share no group.

    The halves are of nearly the same size; the larger one loses the rest.
    """
    halves: tuple[list[Item], list[Item]] = ([], [])
    # Ordered by other hashes than that of the split.
    for x in sorted(items, key=lambda x: rank(f"order {x.name}")):
        choose(halves, f"half {x.group}").append(x)
    for a, b in zip(*halves, strict=False):
        pictures = {"image": a.pictures[image], "source": b.pictures[source]}
        yield f"{b.name} {a.name}", pictures


def png(image: Image.Image) -> bytes:
    """Returns an image as a PNG file."""
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def pixels(picture: bytes) -> np.ndarray:
    """Returns a PNG as `[H, W, C]` or `[H, W]` float32, from 0 to 255."""
    with Image.open(io.BytesIO(picture)) as image:
        return np.asarray(image, np.float32)


def is_blank(picture: bytes) -> bool:
    """Returns True for a PNG of hardly any contrast."""
    values = pixels(picture)
    return bool(np.ptp(values) < BLANK)


def on_white(picture: bytes, side: int, mode: str = "RGB") -> bytes:
    """Returns an image file as a PNG without transparency, composited over white.

    Args:
      picture: the file's content.
      side: the height and width that the image must have.
      mode: RGB, or L for gray.

    Raises:
      Unavailable: if the image is damaged, or of another size.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=["PNG"]) as image:
            above = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        raise Unavailable("a picture of the package is damaged") from error
    if above.size != (side, side):
        raise Unavailable(f"a picture of the package is not {side}x{side}")
    below = Image.new("RGBA", above.size, "white")
    return png(Image.alpha_composite(below, above).convert(mode))
