"""Depths and widths of residual networks by image size, as published."""

from typing import NamedTuple

from jaxgan.errors import ImageSizeError, UsageError
from jaxgan.ranges import ceil_div

LARGE = 48
"""Shorter side from which on channels double with each halving of the image."""

Side = tuple[int, int]
"""Height and width."""


class Stages(NamedTuple):
    """The blocks of one network, in the order of computation."""

    features: tuple[int, ...]
    """Channels after each block, in units of the width."""
    sides: tuple[Side, ...]
    """Height and width after each block."""
    start: Side
    """Height and width before the first block."""
    first: int = 0
    """Channels before the first block; 0 for those of an image."""

    def resampled(self, block: int) -> bool:
        """Returns True if a block changes height and width."""
        return self.sides[block] != (self.start, *self.sides)[block]


def halvings_of(size: Side) -> int:
    """Returns how often images are halved: until the shorter side has 4 to 7 pixels.

    >>> [halvings_of((side, side)) for side in (8, 16, 28, 32, 48, 64, 128, 256)]
    [1, 2, 2, 3, 3, 4, 5, 6]
    """
    return max(min(size) // 4, 1).bit_length() - 1


def check_size(size: Side, name: str) -> None:
    """Raises ImageSizeError unless images can be halved so often.

    Args:
      size: height and width.
      name: of the networks, for the message.
    """
    near = fitting_size(size)
    if near != size:
        multiple = 2 ** max(halvings_of(near), 1)
        raise ImageSizeError(
            f"{name} needs images of 8 pixels or more, here with sides that are "
            f"multiples of {multiple}, such as {near[0]}x{near[1]}, not "
            f"{size[0]}x{size[1]}",
            near,
        )


def fitting_size(size: Side) -> Side:
    """Returns the height and width that fit, near the given ones.

    >>> [fitting_size(size) for size in ((32, 48), (30, 30), (31, 36), (3, 5))]
    [(32, 48), (32, 32), (32, 40), (8, 8)]
    """
    height, width = (max(side, 8) for side in size)
    multiple = 2 ** halvings_of((height, width))
    # Rounded up, the shorter side may need one more halving, but no second one.
    while height % multiple or width % multiple:
        height, width = (
            ceil_div(side, multiple) * multiple for side in (height, width)
        )
        multiple = 2 ** halvings_of((height, width))
    return height, width


def generator_stages(size: Side, name: str) -> Stages:
    """Returns the blocks of a generator, each of which doubles the image.

    Below 48 pixels, all have four times the width, https://arxiv.org/abs/1802.05957,
    table 4. From there on they have 8 times (table 5), 16 times at 64 and 128 pixels
    (table 6), or those of https://arxiv.org/abs/1809.11096, table 5.

    >>> generator_stages((32, 32), "resnet").features
    (4, 4, 4)
    >>> [generator_stages((side, side), "resnet").features for side in (48, 64)]
    [(4, 2, 1), (8, 4, 2, 1)]
    >>> [generator_stages((side, side), "resnet").features for side in (128, 256)]
    [(16, 8, 4, 2, 1), (16, 8, 8, 4, 2, 1)]
    """
    check_size(size, name)
    count = halvings_of(size)
    sides = tuple(
        (size[0] >> level, size[1] >> level) for level in reversed(range(count))
    )
    start = (size[0] >> count, size[1] >> count)
    if min(size) < LARGE:
        return Stages((4,) * count, sides, start, 4)
    widths = large_widths(count)[::-1]
    return Stages(widths[1:], sides, start, widths[0])


def large_widths(count: int) -> tuple[int, ...]:
    """Returns the channels at each resolution from the highest, `count + 1` of them.

    >>> large_widths(3), large_widths(5), large_widths(6)
    ((1, 2, 4, 8), (1, 2, 4, 8, 16, 16), (1, 2, 4, 8, 8, 16, 16))
    """
    if count == 6:
        return (1, 2, 4, 8, 8, 16, 16)
    return tuple(min(2**level, 16) for level in range(count + 1))


def discriminator_stages(size: Side, name: str) -> Stages:
    """Returns the blocks of a discriminator, of which the last does not halve.

    Below 48 pixels there are two halvings, and four blocks of twice the width,
    https://arxiv.org/abs/1802.05957, table 4. From there on images are halved to
    3, 4, 5 or 7 pixels (table 5, for 48 pixels, and 6).

    >>> stages = discriminator_stages((32, 32), "resnet")
    >>> stages.features, stages.sides
    ((2, 2, 2, 2), ((16, 16), (8, 8), (8, 8), (8, 8)))
    >>> [discriminator_stages((side, side), "resnet").features for side in (48, 64)]
    [(1, 2, 4, 8, 16), (1, 2, 4, 8, 16)]
    >>> [discriminator_stages((side, side), "resnet").features for side in (128, 256)]
    [(1, 2, 4, 8, 16, 16), (1, 2, 4, 8, 8, 16, 16)]
    """
    check_size(size, name)
    count = halvings_of(size)
    if min(size) < LARGE:
        count, blocks = min(count, 2), 4
        features = (2,) * blocks
    else:
        # From 6 pixels there is one halving more.
        low = (size[0] >> count, size[1] >> count)
        count += min(low) == 6 and not (low[0] % 2 or low[1] % 2)
        features = large_widths(count)
        blocks = len(features)
    sides = tuple(
        (size[0] >> level, size[1] >> level)
        for level in (min(block, count) for block in range(1, blocks + 1))
    )
    return Stages(features, sides, size)


def attention_side(
    stages: tuple[Stages, ...], size: Side, chosen: int, most: int, name: str
) -> int:
    """Returns the shorter side of the feature maps that have self-attention.

    Args:
      stages: of both networks.
      size: height and width of images.
      chosen: by the user; 0 for the largest that is at most half of the image.
      most: the largest side that 0 stands for.
      name: of the networks, for the message.

    Raises:
      UsageError: if there are no feature maps of the side that was chosen.
    """
    sides = sorted({min(side) for own in stages for side in own.sides})
    if chosen and chosen not in sides:
        choices = ", ".join(map(str, sides))
        raise UsageError(
            f"{name}: attention={chosen}: there are no features with this shorter "
            f"side: choose from {choices}"
        )
    return chosen or max(x for x in sides if x <= max(min(min(size) // 2, most), 4))
