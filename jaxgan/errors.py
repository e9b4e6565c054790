"""The two errors that end a program with one line, and the text of such lines."""

import re
from typing import Any

LONGEST_WORD = 255
"""Characters of a word in a message; no name of a file has more."""


class UsageError(ValueError):
    """What the user asked for cannot be done; the message says what can.

    Programs print the message on one line and exit with code 2.
    """


class TrainingError(RuntimeError):
    """A run that cannot go on, such as one with NaN in a loss.

    Programs print the message on one line and exit with code 1.
    """


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its final full stop.

    >>> first_line(ValueError("No such split.\\n\\nTraceback ..."))
    'No such split'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else type(error).__name__


def printable(text: str) -> str:
    r"""Escapes the characters of `text` that a terminal would act on.

    File and class names may hold any character; escape codes, line breaks and
    bidirectional controls must not reach a terminal or a log.

    >>> printable("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def short_repr(value: Any, longest: int = 80) -> str:
    """The `repr` of a value, cut where it is longer than a line can take.

    >>> short_repr("r1(1)"), short_repr("x" * 100, 5)
    ("'r1(1)'", "'xxxx...")
    """
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def one_line(text: str) -> str:
    r"""A message as one line of a terminal: escaped, and with long words cut.

    >>> one_line("no flag --\nx" + "y" * 300 + ": see --help")[-17:]
    'yy...: see --help'
    """

    def cut(word: re.Match) -> str:
        return f"{word[0][:60]}..."

    return re.sub(rf"\w{{{LONGEST_WORD + 1},}}", cut, printable(text))
