"""The errors that end a program with a one-line message, and text functions."""

import re
from typing import Any

LONGEST_WORD = 255
"""Maximum number of characters of a word in a message, that of a file name."""

PLURALS = {"tokens": "texts", "waveform": "sounds"}
"""Words for examples of the kinds that `KindError` is for."""


class UsageError(ValueError):
    """Invalid input of the user. The message names a value that works.

    Programs print the message on one line and exit with code 2.

    >>> issubclass(UsageError, ValueError)
    True
    """


class BuildError(UsageError):
    """An error of a network or a task, which may be the user's own.

    Programs also write its traceback to a file, and name that.
    """


class FieldError(UsageError):
    """Examples without the fields that a network, a task or a metric needs."""


class KindError(FieldError):
    """Examples of texts or sounds, for a network or a task of another kind.

    >>> str(KindError("small needs images, not texts", "tokens"))
    'small needs images, not texts: use a network and a task of texts'
    """

    def __init__(self, problem: str, kind: str):
        super().__init__(f"{problem}: use a network and a task of {PLURALS[kind]}")
        self.problem = problem
        """The message without the advice."""
        self.kind = kind
        """Of the examples: a key of `PLURALS`."""


class LengthError(FieldError):
    """Waveforms of a length that a task cannot process.

    >>> LengthError("vocoder needs a multiple of 256", 45_056, 44_100).seconds
    '1.02168'
    """

    def __init__(self, problem: str, samples: int, rate: int, hop: int = 0):
        super().__init__(f"{problem}: use another length or hop")
        self.problem = problem
        """The message without the advice."""
        # The fewest digits that are rounded to this number of samples.
        digits = next(
            d for d in range(17) if round(round(samples / rate, d) * rate) == samples
        )
        self.seconds = f"{samples / rate:.{digits}f}"
        """The nearest length that fits, as a number."""
        self.hop = hop
        """A hop that fits the length; 0 for none."""


class ImageSizeError(FieldError):
    """Images of a size that a network cannot process.

    >>> ImageSizeError("unet halves images", (64, 64)).size
    (64, 64)
    """

    def __init__(self, message: str, size: tuple[int, int]):
        super().__init__(message)
        self.size = size
        """The nearest height and width that fit."""


class ChannelsError(FieldError):
    """Images with a number of channels that a term cannot process.

    >>> ChannelsError("perceptual compares images of 1 or 3 channels", 4).channels
    4
    """

    def __init__(self, message: str, channels: int):
        super().__init__(message)
        self.channels = channels


class LabelError(UsageError):
    """A condition for a generator that takes none.

    >>> str(LabelError("this generator takes no label"))
    'this generator takes no label: wrap it in embed, or use the task generate'
    """

    def __init__(self, problem: str):
        super().__init__(f"{problem}: wrap it in embed, or use the task generate")
        self.problem = problem
        """The message without the advice."""


class ConditionError(FieldError):
    """Examples without the labels or attributes that a network needs.

    >>> str(ConditionError("embed needs labels or attributes"))
    'embed needs labels or attributes: use a dataset that has them'
    """

    def __init__(self, problem: str):
        super().__init__(f"{problem}: use a dataset that has them")
        self.problem = problem
        """The message without the advice."""


class BatchSizeError(UsageError):
    """A number of examples that a network cannot process at once.

    >>> BatchSizeError("pack(2) takes 2 examples at a time", 5, 2).fits
    6
    """

    def __init__(self, problem: str, count: int, multiple: int):
        fits = -(-count // multiple) * multiple
        super().__init__(
            f"{problem}: use a batch size that gives each device a multiple of "
            f"{multiple}, such as {fits} on one device"
        )
        self.problem = problem
        """The message without the advice."""
        self.count = count
        """The number of examples."""
        self.fits = fits
        """The next larger number that fits."""


class TrainingError(RuntimeError):
    """A run that cannot continue, such as one with NaN in a loss.

    Programs print the message on one line and exit with code 1.

    >>> issubclass(TrainingError, RuntimeError)
    True
    """


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, without its final period.

    >>> first_line(ValueError("No such split.\\n\\nTraceback ..."))
    'No such split'
    """
    # Messages may begin with empty lines.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else type(error).__name__


def printable(text: str) -> str:
    r"""Escapes control characters in `text`.

    File and class names may contain any character. Escape codes, line breaks and
    bidirectional controls must not reach a terminal or a log.

    >>> printable("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    """
    # isprintable is False for control, format and separator characters.
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def short_repr(value: Any, longest: int = 80) -> str:
    """Returns the `repr` of a value, cut to `longest` characters.

    >>> short_repr("r1(1)"), short_repr("x" * 100, 5)
    ("'r1(1)'", "'xxxx...")
    """
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def one_line(text: str) -> str:
    r"""Formats a message as one line: escapes control characters, cuts long words.

    >>> one_line("no flag --\nx" + "y" * 300 + ": see --help")[-17:]
    'yy...: see --help'
    """

    def cut(word: re.Match) -> str:
        return f"{word[0][:60]}..."

    # The outer two pairs of braces make one literal pair: \w{256,}.
    return re.sub(rf"\w{{{LONGEST_WORD + 1},}}", cut, printable(text))
