"""Results of checks."""

from typing import NamedTuple

OK, WARN, FAIL = "ok", "warn", "FAIL"


class Finding(NamedTuple):
    """The result of a check, in one line."""

    status: str
    """`ok`, `warn` (something is missing that not everyone needs), or `FAIL`."""
    subject: str
    """The checked thing, in one or two words."""
    text: str

    def __str__(self) -> str:
        """Returns the line that is printed.

        >>> str(Finding(OK, "devices", "1 cpu device"))
        'ok    devices       1 cpu device'
        """
        return f"{self.status:<5} {self.subject:<13} {self.text}"
