"""Times in the texts of flags: `20m`, `2h`."""

from jaxgan.config.flags import parse_float, shorten
from jaxgan.errors import UsageError

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
MOST_DAYS = 100


def parse_time(flag: str, text: str) -> float:
    """Returns the seconds of a time such as `20m`, `2h` or `90s`.

    Args:
      flag: the flag to name in errors.
      text: a number and a unit.

    Raises:
      UsageError: for another text, or a time out of range.

    >>> parse_time("--budget", "20m"), parse_time("--budget", "1.5h")
    (1200.0, 5400.0)
    """
    number, unit = text[:-1], text[-1:]
    try:
        seconds = parse_float(number) * UNITS[unit]
    except Exception:
        raise UsageError(
            f"{flag}={shorten(text)}: write a time as {flag}=20m or {flag}=2h"
        ) from None
    if not 1 <= seconds <= MOST_DAYS * UNITS["d"]:  # NaN too
        raise UsageError(
            f"{flag}={shorten(text)}: must be from 1s to {MOST_DAYS}d, such as "
            f"{flag}=20m"
        )
    return seconds
