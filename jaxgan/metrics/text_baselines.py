"""Plain writers of text, which every generator has to be compared with."""

import random
from collections.abc import Callable, Sequence

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.text import References, Tokens, bleu_scores

ORDERS = {"trigram": 3, "bigram": 2, "unigram": 1}
"""N-gram models by name: the tokens that they look at, with the next one."""

TRIES = 100
"""Texts that are written for one that is accepted, at most."""

CANDIDATES = 200
"""Texts of which the most typical is chosen, at most."""


class NGrams:
    """A table of the tokens that follow each context in training texts.

    Args:
      rows: tokens of the training texts as numbers, `[n, length]` int.
      order: number of tokens of an n-gram: 1 draws all tokens independently.
      end: the number that fills texts after their last token; -1 for none.

    >>> table = NGrams(np.array([[5, 1, 2], [5, 1, 2]]), order=2)
    >>> table.sample(2, seed=0).tolist()
    [[5, 1, 2], [5, 1, 2]]
    """

    def __init__(self, rows: np.ndarray, order: int, *, end: int = -1) -> None:
        self._length, self._order, self._end = rows.shape[1], order, end
        followers: dict[tuple, list[int]] = {}
        self._any: list[int] = []
        for row in rows.tolist():
            # The first end is a token like others, and the rest fills. A text of full
            # length has no room for it.
            row = row[: row.index(end)] if end in row else row
            row += [end] * (end >= 0)
            padded = self._start() + row
            self._any += row
            for i, token in enumerate(row):
                followers.setdefault(tuple(padded[i : i + order - 1]), []).append(token)
        self._followers = followers

    def _start(self) -> list[int]:
        """Returns the context of the first token, which no text has."""
        return [-2] * (self._order - 1)

    def sample(
        self,
        count: int,
        *,
        seed: int,
        accepts: Callable[[np.ndarray], bool] = lambda row: True,
    ) -> np.ndarray:
        """Draws texts, `[count, length]` int32.

        Args:
          count: number of texts.
          seed: of the random numbers.
          accepts: returns True for texts to keep, such as those of a usual length.

        Texts that do not end within the length are not accepted.

        Raises:
          UsageError: if hardly any text is accepted.
        """
        chosen = random.Random(seed)
        rows: list[np.ndarray] = []
        for _ in range(TRIES * count):
            if len(rows) == count:
                break
            row = self._draw(chosen)
            if row is not None and accepts(row):
                rows.append(row)
        if len(rows) < count:
            raise UsageError(
                f"{self._order}-gram texts are hardly ever as long as training texts: "
                "use longer ones"
            )
        return np.array(rows, np.int32).reshape(count, self._length)

    def _draw(self, chosen: random.Random) -> np.ndarray | None:
        """Draws one text, `[length]` int32, or None if it is longer than that."""
        row = self._start()
        ends = self._end >= 0
        for _ in range(self._length + ends):
            context = tuple(row[len(row) - self._order + 1 :])
            # A context that only ends texts is followed by any token.
            token = chosen.choice(self._followers.get(context, self._any))
            row.append(token)
            if token == self._end:
                break
        else:
            if ends:
                return None
        text = row[self._order - 1 :]
        filled = text + [self._end] * (self._length - len(text))
        return np.array(filled[: self._length], np.int32)


def most_typical(texts: Sequence[Tokens], references: Sequence[Tokens]) -> int:
    """Returns the number of the text with the highest BLEU-3.

    A generator that repeats it beats others in BLEU.

    Args:
      texts: training texts, of which the first `CANDIDATES` are looked at.
      references: other training texts.
    """
    known = References(references, 3)
    some = texts[:CANDIDATES]
    return int(np.argmax([bleu_scores([text], known, 3)[-1] for text in some]))
