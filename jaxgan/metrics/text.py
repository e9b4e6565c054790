"""Measures of generated texts: BLEU, repetition, copies of training texts, words.

Texts are sequences of tokens, such as words. Everything here is NumPy and Python, on
the host.
"""

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence

import numpy as np

from jaxgan.errors import UsageError

Tokens = Sequence[Hashable]
"""A text as words, characters or their numbers."""

EPSILON = 0.1
"""The number of matches that stands for none, if a text has n-grams."""


def ngrams(text: Tokens, n: int) -> Counter:
    """Counts the runs of n tokens of a text.

    >>> ngrams("abab", 2)
    Counter({('a', 'b'): 2, ('b', 'a'): 1})
    """
    return Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))


class References:
    """The n-grams of reference texts, for BLEU of any number of texts.

    Args:
      texts: at least one text that is not empty.
      most: largest n.

    Raises:
      UsageError: if all texts are empty.
    """

    def __init__(self, texts: Sequence[Tokens], most: int) -> None:
        if not any(texts):
            raise UsageError(
                "BLEU has no reference texts: use texts that are not empty"
            )
        self._lengths = Counter(map(len, texts))
        # The largest count of an n-gram in any text, and the second largest, which is
        # that of the others if a text is left out.
        self._best: list[dict[tuple, int]] = []
        self._second: list[dict[tuple, int]] = []
        for n in range(1, most + 1):
            best: dict[tuple, int] = {}
            second: dict[tuple, int] = {}
            for text in texts:
                for gram, count in ngrams(text, n).items():
                    high = best.get(gram, 0)
                    if count > high:
                        best[gram], second[gram] = count, high
                    elif count > second.get(gram, 0):
                        second[gram] = count
            self._best.append(best)
            self._second.append(second)

    def matches(self, text: Tokens, n: int, *, without: bool) -> tuple[int, int]:
        """Returns the n-grams of a text that are in a reference, and all of them.

        An n-gram matches at most as often as it is in one reference.

        Args:
          text: the text.
          n: number of tokens.
          without: True to leave out one reference that is equal to the text.
        """
        own = ngrams(text, n)
        best, second = self._best[n - 1], self._second[n - 1]
        found = 0
        for gram, count in own.items():
            high = best.get(gram, 0)
            if without and count == high:
                high = second[gram]
            found += min(count, high)
        return found, max(sum(own.values()), 1)

    def closest_length(self, text: Tokens, *, without: bool) -> int:
        """Returns the length of the reference nearest to that of a text.

        Of two equally near ones it is the shorter.
        """
        length = len(text)
        others = {
            x for x, count in self._lengths.items() if count > (without and x == length)
        }
        return min(others, key=lambda x: (abs(x - length), x))


def bleu_scores(
    texts: Sequence[Tokens], references: References, most: int, *, own: bool = False
) -> np.ndarray:
    """Returns the mean BLEU-2 to BLEU-`most` of texts, each against all references.

    BLEU-n (https://aclanthology.org/P02-1040) of a text is the geometric mean of the
    shares of its 1- to n-grams that are in references, times a penalty if it is
    shorter than the nearest reference. As in papers on text GANs
    (https://arxiv.org/abs/1802.01886), the mean over texts is taken, and a share of no
    n-grams counts as 0.1 of them (method 1 of http://aclweb.org/anthology/W14-3346).

    Args:
      texts: at least one.
      references: of at least `most`-grams.
      most: largest n, at least 2.
      own: True if the texts are the references: each is compared with the others.

    Returns:
      `[most - 1]` float64 in [0, 1]; a text without any match has 0.

    >>> bleu_scores(["abc"], References(["abd"], 2), 2).round(4)  # (2/3 x 1/2)^(1/2)
    array([0.5774])
    """
    total = np.zeros(most - 1)
    for text in texts:
        shares = []
        for n in range(1, most + 1):
            found, count = references.matches(text, n, without=own)
            shares.append((found or EPSILON) / count)
            if n == 1 and not found:
                break
        else:
            logs = np.cumsum(np.log(shares))[1:] / np.arange(2, most + 1)
            nearest = references.closest_length(text, without=own)
            total += np.exp(logs) * _brevity(len(text), nearest)
    return total / len(texts)


def _brevity(length: int, nearest: int) -> float:
    """Returns the penalty of a text that is shorter than the nearest reference."""
    return 1.0 if length > nearest else math.exp(1 - nearest / length)


def self_bleu(texts: Sequence[Tokens], most: int) -> np.ndarray:
    """Returns the BLEU-2 to BLEU-`most` of each text against all others.

    It is 1 if all are equal, and low if they differ, https://arxiv.org/abs/1802.01886.

    Args:
      texts: at least two.
      most: largest n.

    Raises:
      UsageError: for fewer texts.

    >>> self_bleu(["abc", "abc", "abc"], 3)
    array([1., 1.])
    """
    if len(texts) < 2:
        raise UsageError(f"self-BLEU of {len(texts)} text: use two or more")
    if not any(texts):
        return np.zeros(most - 1)
    return bleu_scores(texts, References(texts, most), most, own=True)


def distinct(texts: Iterable[Tokens], n: int) -> float:
    """Returns the share of different n-grams among all, https://arxiv.org/abs/1510.03055.

    Compare equal numbers of texts only, as it falls with their number.

    >>> distinct(["abab", "ab"], 2)
    0.5
    """
    counts: Counter = Counter()
    for text in texts:
        counts.update(ngrams(text, n))
    return len(counts) / max(sum(counts.values()), 1)


def repeated(texts: Sequence[Hashable]) -> float:
    """Returns the share of texts that are equal to an earlier one.

    >>> repeated(["a", "b", "a", "a"])
    0.5
    """
    return 1 - len(set(texts)) / max(len(texts), 1)


def copied(texts: Sequence[Hashable], training: Collection[Hashable]) -> float:
    """Returns the share of texts that are equal to a training text.

    Args:
      texts: the texts to judge.
      training: texts; a set is fast.

    >>> copied(["new", "old", "old"], {"old", "older"}).__round__(4)
    0.6667
    """
    return sum(text in training for text in texts) / max(len(texts), 1)


def valid_words(texts: Iterable[Sequence[str]], lexicon: Collection[str]) -> float:
    """Returns the share of words that are in a lexicon; 0 if there are no words.

    >>> valid_words([["the", "cat"], ["teh", "cat"]], {"the", "cat"})
    0.75
    """
    words = [word for text in texts for word in text]
    return sum(word in lexicon for word in words) / max(len(words), 1)
