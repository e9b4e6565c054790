"""The WordPiece tokenizer of uncased BERT models, https://arxiv.org/abs/1810.04805."""

import unicodedata
from collections.abc import Mapping

FIRST, LAST, UNKNOWN, PAD = "[CLS]", "[SEP]", "[UNK]", "[PAD]"
"""Pieces that are no text."""

LONGEST_WORD = 100
"""Characters of a word above which it is unknown."""


def words(text: str) -> list[str]:
    """Splits a text into lower-case words and single marks, without accents.

    >>> words("Don't panic, caf\u00e9!")
    ['don', "'", 't', 'panic', ',', 'cafe', '!']
    """
    plain = unicodedata.normalize("NFD", text.lower())
    shown: list[str] = []
    for character in plain:
        category = unicodedata.category(character)
        if category == "Mn" or (category[0] == "C" and not character.isspace()):
            continue  # accents, controls
        alone = _is_mark(character, category) or _is_ideograph(character)
        shown.append(f" {character} " if alone else character)
    return "".join(shown).split()


def _is_mark(character: str, category: str) -> bool:
    """Returns True for punctuation, and for all ASCII signs such as $ and ^."""
    ascii_sign = character.isascii() and category[0] == "S"
    return ascii_sign or category[0] == "P"


def _is_ideograph(character: str) -> bool:
    """Returns True for Chinese characters, each of which is a word."""
    return unicodedata.name(character, "").startswith("CJK ")


def pieces(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    """Splits a word into the longest pieces of a vocabulary, from left to right.

    Args:
      word: one of `words`.
      vocabulary: numbers of pieces; those inside of a word start with `##`.

    Returns:
      The numbers of the pieces, or that of `UNKNOWN` if there is no such split.

    >>> pieces("unable", {"[UNK]": 0, "un": 1, "##able": 2, "##a": 3})
    [1, 2]
    """
    found: list[int] = []
    start = 0
    while start < len(word) <= LONGEST_WORD:
        inside = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((x for x in ends if inside + word[start:x] in vocabulary), None)
        if end is None:
            return [vocabulary[UNKNOWN]]
        found.append(vocabulary[inside + word[start:end]])
        start = end
    return found or [vocabulary[UNKNOWN]]


def encode(text: str, vocabulary: Mapping[str, int], longest: int) -> list[int]:
    """Returns the numbers of the pieces of a text, between `FIRST` and `LAST`.

    Args:
      text: any text.
      vocabulary: numbers of pieces.
      longest: largest number of pieces, beyond which the text is cut.
    """
    inner = [number for word in words(text) for number in pieces(word, vocabulary)]
    return [vocabulary[FIRST], *inner[: longest - 2], vocabulary[LAST]]
