"""Texts as a data set: `text:PATH`, as lines or as windows of running text."""

import logging
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data.dataset import Dataset, from_fields
from jaxgan.data.listing import NoSuchSplit
from jaxgan.data.text import (
    UNKNOWN,
    encode,
    make_vocabulary,
    split_tokens,
    tokens_example,
)
from jaxgan.data.text_files import WHOLE, read_texts
from jaxgan.errors import UsageError, printable

LOG = logging.getLogger("jaxgan")

HELD_OUT = 20
"""One in this many lines, or the last of this many parts of windows, is the test
split of texts without one."""

WINDOW = {"characters": 64, "words": 20}
"""Tokens of a window by their kind, unless a length is given."""

SHARE, MOST = 0.95, 128
"""Without a length: that of the shortest lines that hold this share, and the most."""


class TextReading(NamedTuple):
    """The way in which a text becomes examples."""

    cut: str = "lines"
    """`lines`, or `windows` of consecutive tokens."""
    tokens: str = "characters"
    """`characters` or `words`."""
    length: int = 0
    """Tokens of an example; 0 for a length that fits the text."""
    vocabulary: int = 5_000
    """Number of different tokens at most; the others become the unknown token."""


Texts = list[Sequence[str]]
"""Tokenized examples."""


def check_reading(reading: TextReading, of_text: bool) -> None:
    """Checks the flags of texts.

    Args:
      reading: their values.
      of_text: True for a data set of texts; others have the defaults.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    flags = {
        "text": (reading.cut, ("lines", "windows")),
        "tokens": (reading.tokens, tuple(UNKNOWN)),
        "length": (reading.length, range(2**16)),
        "vocabulary": (reading.vocabulary, range(3, 2**20)),
    }
    for (flag, (value, allowed)), default in zip(
        flags.items(), TextReading(), strict=True
    ):
        if not of_text and value != default:
            raise UsageError(
                f"--{flag}={value} is only for text:PATH; use --{flag}={default}"
            )
        if value not in allowed:
            listed = (
                f"choose {' or '.join(map(str, allowed))}"
                if isinstance(allowed, tuple)
                else f"must be from {allowed.start} to {allowed.stop - 1}"
            )
            raise UsageError(f"--{flag}={printable(str(value))}: {listed}")


def text(
    name: str, path: Path, reading: TextReading, *, split: str = "train"
) -> Dataset:
    """Loads a text file, or all `.txt` files below a folder.

    A folder with files or folders called `train` and `test` has these splits. Of other
    texts, 1 in 20 lines, or the last twentieth of the windows, is the split `test`.
    Equal lines are in one split only: those of other splits are left out of `train`.

    Args:
      name: the name of the data set, `text:PATH`.
      path: the file or folder.
      reading: the way in which the text becomes examples.
      split: the name of the split.

    Raises:
      UsageError: if there is no text, or no line of the length.
      NoSuchSplit: if there is no such split.
    """
    return from_texts(
        name, read_texts(name, path), reading, split=split, origin=printable(str(path))
    )


def from_texts(
    name: str, texts: dict[str, str], reading: TextReading, *, split: str, origin: str
) -> Dataset:
    """Returns the data set of texts by split; see `text`.

    Args:
      name: the name of the data set.
      texts: by split, or one text named `WHOLE`, from which a test split is taken.
      reading: the way in which a text becomes examples.
      split: the name of the split.
      origin: the source of the texts, in a few words.
    """
    cut = {key: _cut(one, reading) for key, one in texts.items()}
    parts = _hold_out(cut[WHOLE], reading) if WHOLE in cut else _without_leaks(cut)
    if split not in parts:
        raise NoSuchSplit(
            f"--split={printable(split)}: {name} has the splits {', '.join(parts)}; "
            "use one of them"
        )
    length = reading.length or _usual_length(parts["train"], reading)
    fits = {key: [x for x in part if len(x) <= length] for key, part in parts.items()}
    for key in dict.fromkeys(("train", split)):
        if not fits[key]:
            raise UsageError(
                f"{name}: none of {len(parts[key]):,} {reading.cut} of the split {key} "
                f"has 1 to {length} {reading.tokens}: use a longer text, or "
                f"--length={length * 2 if parts[key] else 32}"
            )
    names = make_vocabulary(
        fits["train"], reading.vocabulary, reading.tokens, ends=reading.cut == "lines"
    )
    ids = encode(fits[split], names, length)
    longer = len(parts[split]) - len(fits[split])
    if longer:
        LOG.info(
            "data: left out %s lines of more than %d %s",
            *(f"{longer:,}", length, reading.tokens),
        )
    unknown = float(np.mean(ids == names.index(UNKNOWN[reading.tokens])))
    return from_fields(
        name,
        {"tokens": ids},
        example=tokens_example(length, names),
        origin=f"{len(ids):,} {reading.cut} of up to {length} {reading.tokens} from "
        f"{origin}, vocabulary of {len(names):,}, unknown {unknown:.1%}",
    )


def _cut(one: str, reading: TextReading) -> Texts:
    """Returns the tokenized examples of a text; lines without tokens are left out."""
    if reading.cut == "lines":
        lines = (split_tokens(x.strip(), reading.tokens) for x in one.split("\n"))
        return [line for line in lines if line]
    tokens = split_tokens(one, reading.tokens)
    length = reading.length or WINDOW[reading.tokens]
    # Only whole windows, and none that overlaps another.
    return [tokens[i : i + length] for i in range(0, len(tokens) - length + 1, length)]


def _usual_length(texts: Texts, reading: TextReading) -> int:
    """Returns the length of examples, if the user chose none."""
    if reading.cut == "windows":
        return WINDOW[reading.tokens]
    lengths = sorted(map(len, texts)) or [1]
    return min(lengths[int(SHARE * (len(lengths) - 1))], MOST)


def _hold_out(texts: Texts, reading: TextReading) -> dict[str, Texts]:
    """Splits examples into `train` and `test`; a few of them are `train` alone."""
    if reading.cut == "windows":
        count = len(texts) // HELD_OUT
        parts = {"train": texts[: len(texts) - count], "test": texts[-count:]}
        return parts if count else {"train": texts}
    # By content, so that equal lines are in the same split.
    parts: dict[str, Texts] = {"train": [], "test": []}
    for line in texts:
        number = zlib.crc32("\n".join(line).encode())
        parts["train" if number % HELD_OUT else "test"].append(line)
    return parts if parts["train"] and parts["test"] else {"train": texts}


def _without_leaks(parts: dict[str, Texts]) -> dict[str, Texts]:
    """Leaves examples of other splits out of `train`."""
    others = {tuple(x) for key, part in parts.items() if key != "train" for x in part}
    kept = [x for x in parts["train"] if tuple(x) not in others]
    if left_out := len(parts["train"]) - len(kept):
        LOG.info("data: left out %s examples of other splits", f"{left_out:,}")
    return {**parts, "train": kept}
