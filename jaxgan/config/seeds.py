"""Seeds in the texts of flags: `7`, or `0,2,5-8`."""

from jaxgan.config.flags import parse_int, shorten
from jaxgan.errors import UsageError

MAX_SEEDS = 10_000
"""Maximum seeds of one call; each has its own file."""
MAX_SEED = 2**63 - 1


def parse_seeds(text: str, flag: str = "--seed") -> tuple[int, ...]:
    """Parses seeds, without repetitions.

    Args:
      text: seeds and ranges, separated by commas.
      flag: the flag to name in errors.

    Raises:
      UsageError: naming the flag and a value that works.

    >>> parse_seeds("0,2,5-8")
    (0, 2, 5, 6, 7, 8)
    """
    # A dict keeps the order and drops repetitions.
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            # A single seed is a range of one.
            found = range(parse_int(first), parse_int(last or first) + 1)
        except Exception as error:
            raise UsageError(
                f"{flag}={shorten(text)}: write seeds as 7 or 0,2,5-8"
            ) from error
        # An empty range, such as 8-5, adds no seeds.
        if found and not 0 <= found[0] <= found[-1] <= MAX_SEED:
            raise UsageError(
                f"{flag}={shorten(text)}: seeds must be from 0 to {MAX_SEED}, such as 7"
            )
        # Before the range is expanded; len(found) could overflow.
        if len(seeds) + max(found.stop - found.start, 0) > MAX_SEEDS:
            raise UsageError(
                f"{flag}={shorten(text)}: at most {MAX_SEEDS:,} seeds at once, such as "
                "0-99"
            )
        seeds.update(dict.fromkeys(found))
    if not seeds:
        raise UsageError(f"{flag}={text}: names no seed: write 7 or 0,2,5-8")
    return tuple(seeds)
