"""Ranges of numbers, declared in the annotations of factories.

With `def r1(gamma: Weight = 10.0)` and `Weight = Annotated[Value, Range(0)]`, `spec`
rejects `r1(-1)` and names the parameter and its range. A type checker reads only the
first argument of `Annotated`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, get_args, get_origin


def ceil_div(a: int, b: int) -> int:
    """Returns a / b, rounded up.

    >>> ceil_div(7, 2), ceil_div(8, 2)
    (4, 4)
    """
    return -(-a // b)


LARGEST = 3.4028234663852886e38
"""The largest float32; a larger number becomes infinite on a device."""


class Range(NamedTuple):
    """An interval of numbers.

    >>> 1 in Range(0, 1), 1 in Range(0, 1, "[)"), float("nan") in Range(0)
    (True, False, False)
    """

    low: float
    high: float = LARGEST
    ends: str = "[]"
    """Brackets of the interval: a parenthesis excludes the end."""
    example: float | None = None
    """A usual value, for parameters without a default."""

    def __contains__(self, value: Any) -> bool:
        """Returns True if a number is inside; NaN and infinity never are."""
        # Comparisons with NaN are False.
        above = self.low <= value if self.ends[0] == "[" else self.low < value
        below = value <= self.high if self.ends[1] == "]" else value < self.high
        return above and below

    def holds(self, value: Any) -> bool:
        """Returns True if all numbers of an argument are inside.

        These are a number itself, the entries of a sequence, and the `ends` of a
        schedule that has them. Any other argument holds no numbers.
        """
        if isinstance(value, int | float):
            return value in self
        if isinstance(value, list | tuple):
            return all(map(self.holds, value))
        return all(end in self for end in getattr(value, "ends", ()))

    def __str__(self) -> str:
        """Returns the range in words, to follow "must be".

        >>> str(Range(0)), str(Range(0, ends="(]")), str(Range(0, 1, "[)"))
        ('at least 0', 'more than 0', 'in [0, 1)')
        >>> str(Range(-1, 1, "()")), str(Range(-LARGEST))
        ('between -1 and 1', 'a finite number')
        """
        first, last = self.ends
        # LARGEST stands for no bound, and is left out of the text.
        if self.high < LARGEST:
            if self.ends == "()":
                return f"between {self.low} and {self.high}"
            return f"in {first}{self.low}, {self.high}{last}"
        if self.low == -LARGEST:
            return "a finite number"
        return f"{'at least' if first == '[' else 'more than'} {self.low}"


def range_of(annotation: Any) -> tuple[Any, Range | None]:
    """Splits an annotation into its type and the range that it declares, if any.

    >>> range_of(Probability)
    (<class 'float'>, Range(low=0, high=1, ends='[]', example=None))
    >>> range_of(str)
    (<class 'str'>, None)
    """
    if get_origin(annotation) is not Annotated:
        return annotation, None
    kind, *extras = get_args(annotation)
    return kind, next((x for x in extras if isinstance(x, Range)), None)


NON_NEGATIVE = Range(0)
POSITIVE = Range(0, ends="(]")
BELOW_ONE = Range(0, 1, "[)")
ANY = Range(-LARGEST)

Number = Annotated[float, ANY]
NonNegative = Annotated[float, NON_NEGATIVE]
Positive = Annotated[float, POSITIVE]
Probability = Annotated[float, Range(0, 1)]
Fraction = Annotated[float, BELOW_ONE]
"""A fraction below 1, such as the decay of a running mean or a dropout rate."""

Steps = Annotated[int, Range(1, 2**31 - 1, example=1000)]
"""A number of steps; devices count them in int32."""

Width = Annotated[int, Range(1, 2**20)]
"""A number of channels, units or examples; no layer has a million."""
Size = Annotated[int, Range(0, 2**20)]
"""A `Width` that may be 0, with a special meaning."""
Widths = Annotated[Sequence[int], Range(1, 2**20)]
"""The widths of several layers."""
