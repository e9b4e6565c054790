"""Texts as numbers: tokens, vocabularies, and back."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from jaxgan.types import ExampleSpec, Field

END = "<end>"
"""The token after the last one of a line; it is repeated up to the length."""

UNKNOWN_WORD = "<unk>"
"""Stands for words that the vocabulary lacks."""

UNKNOWN_CHARACTER = "\ufffd"
"""Stands for characters that the vocabulary lacks; only vocabularies of characters
have it."""

UNKNOWN = {"characters": UNKNOWN_CHARACTER, "words": UNKNOWN_WORD}
"""The unknown token by the kind of tokens."""

WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")
"""A word, which may have apostrophes and hyphens inside, or a mark of punctuation."""


def split_tokens(text: str, tokens: str) -> list[str]:
    """Splits a text into its tokens.

    Args:
      text: the text.
      tokens: `characters` or `words`; marks of punctuation are words.

    >>> split_tokens("It's cold, Sir.", "words"), split_tokens("hi", "characters")
    (["It's", 'cold', ',', 'Sir', '.'], ['h', 'i'])
    """
    return list(text) if tokens == "characters" else WORD.findall(text)


def make_vocabulary(
    texts: Iterable[Sequence[str]], size: int, tokens: str, *, ends: bool
) -> tuple[str, ...]:
    """Returns the commonest tokens, after the special ones.

    Args:
      texts: tokenized texts.
      size: number of tokens at most, with the special ones.
      tokens: `characters` or `words`.
      ends: True if `END`, number 0, follows texts.

    Returns:
      The tokens by falling frequency, and in the order of their characters if they are
      equally frequent.

    >>> make_vocabulary([["b", "a"], ["b"]], 9, "words", ends=True)
    ('<end>', '<unk>', 'b', 'a')
    """
    special = ((END,) if ends else ()) + (UNKNOWN[tokens],)
    counts = Counter(token for text in texts for token in text)
    for token in special:
        counts.pop(token, None)
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    return (*special, *ranked[: max(size - len(special), 0)])


def is_characters(names: Sequence[str]) -> bool:
    """Returns True if a vocabulary is of characters, False if it is of words."""
    return UNKNOWN_CHARACTER in names


def encode(
    texts: Sequence[Sequence[str]], names: Sequence[str], length: int
) -> np.ndarray:
    """Returns the numbers of tokens, `[n, length]` int32.

    Args:
      texts: tokenized texts. Shorter ones are filled with `END`, and longer ones cut.
      names: the vocabulary. Tokens that it lacks become the unknown one.
      length: tokens of a text.

    Raises:
      ValueError: for a text that is too short, if the vocabulary has no `END`, and for
        an unknown token, if it has no unknown one.

    >>> encode([["b"], ["a", "c"]], ("<end>", "<unk>", "a", "b"), 3).tolist()
    [[3, 0, 0], [2, 1, 0]]
    """
    numbers = {token: i for i, token in enumerate(names)}
    kind = "characters" if is_characters(names) else "words"
    unknown = numbers.get(UNKNOWN[kind], -1)
    # -1 marks what the vocabulary cannot say.
    ids = np.full((len(texts), length), numbers.get(END, -1), np.int32)
    for row, text in zip(ids, texts, strict=True):
        found = [numbers.get(token, unknown) for token in text[:length]]
        row[: len(found)] = found
    if ids.size and ids.min() < 0:
        raise ValueError(f"the vocabulary lacks {END} or {UNKNOWN[kind]}")
    return ids


def decode(ids: np.ndarray, names: Sequence[str]) -> list[str]:
    """Returns texts, each up to its first `END`.

    Characters are joined as they are, and words by spaces.

    Args:
      ids: numbers of tokens, `[n, length]`, or a row of probabilities for each, `[n,
        length, V]`, of which the likeliest token is taken.
      names: the vocabulary.

    >>> decode(np.array([[3, 2, 0, 2], [2, 2, 3, 3]]), ("<end>", "<unk>", "a", "b"))
    ['b a', 'a a b b']
    """
    joiner = "" if is_characters(names) else " "
    end = names.index(END) if END in names else -1
    texts = []
    ids = np.asarray(ids)
    for row in (ids.argmax(-1) if ids.ndim == 3 else ids).tolist():
        stop = row.index(end) if end in row else len(row)
        texts.append(joiner.join([names[int(i)] for i in row[:stop]]))
    return texts


def tokens_example(length: int, names: Sequence[str]) -> ExampleSpec:
    """Returns the fields of texts: `tokens` `[length]` int32.

    >>> tokens_example(4, ("a", "b")).shape
    (4,)
    """
    return ExampleSpec(
        tokens=Field((length,), np.dtype(np.int32), "tokens", tuple(names))
    )
