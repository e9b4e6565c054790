"""Evaluators of texts that need no weights."""

from collections import Counter
from collections.abc import Callable
from typing import Annotated

import jax
import numpy as np

from jaxgan.data.dataset import Dataset, Examples
from jaxgan.data.text import END
from jaxgan.errors import UsageError
from jaxgan.metrics.evaluators import Evaluator, SampleFn, Values, number_of
from jaxgan.ranges import Range


def ngram_distances(real: np.ndarray, fake: np.ndarray, most: int) -> list[float]:
    """Returns the total variation distances of 1- to `most`-grams of two sets of texts.

    Each is 0 if all n-grams are equally frequent in both sets, and 1 if none is in
    both. A set of texts without any is as far as can be from one that has some.

    Args:
      real: tokens `[n, length]` int; those of -1 are none.
      fake: tokens `[m, length]`.
      most: largest n.

    >>> ngram_distances(np.array([[1, 2]]), np.array([[2, 1], [2, 1]]), 2)
    [0.0, 1.0]
    """
    return [_distance(_shares(real, n), _shares(fake, n)) for n in range(1, most + 1)]


def _shares(rows: np.ndarray, n: int) -> dict[bytes, float]:
    """Returns the share of each n-gram among all of a set."""
    places = max(rows.shape[1] - n + 1, 0)
    if not places:
        return {}
    grams = np.stack([rows[:, i : i + places] for i in range(n)], -1).reshape(-1, n)
    grams = np.ascontiguousarray(grams[(grams >= 0).all(1)], np.int32)
    counts = Counter(gram.tobytes() for gram in grams)
    total = max(len(grams), 1)
    return {gram: count / total for gram, count in counts.items()}


def _distance(one: dict[bytes, float], other: dict[bytes, float]) -> float:
    """Returns half the sum of differences of shares."""
    if not one or not other:
        return float(bool(one) != bool(other))
    keys = one.keys() | other.keys()
    return sum(abs(one.get(x, 0.0) - other.get(x, 0.0)) for x in keys) / 2


def ngrams(
    most: Annotated[int, Range(1, 9)] = 4,
    samples: Annotated[int, Range(2, 2**20)] = 512,
    *,
    train: Dataset | None = None,
) -> Evaluator:
    """Measures how far the n-grams of samples are from those of real texts.

    The value `ngrams` is the mean of `ngram_distances` of n = 1 to `most`, and the
    score. Tokens are those of the data, with the end of a text as one of them. It falls
    with the number of samples, even if they are perfect, so compare equal numbers only.

    Args:
      most: largest number of tokens.
      samples: number of samples and of real texts, at most that of the fixed examples.
      train: the training examples, None before they are read.

    Raises:
      UsageError: if they are not texts.
    """
    if train is not None:
        first = train.example[train.example.generated]
        if first.kind != "tokens":
            raise UsageError(
                f"ngrams needs texts, not {first.kind} of shape {list(first.shape)}: "
                "use sliced_wasserstein"
            )

    def init(dataset: Dataset, examples: Examples, key: jax.Array) -> tuple[int, int]:
        field = dataset.example[dataset.example.generated]
        end = 0 if field.names[:1] == (END,) else -1
        return min(samples, number_of(examples)), end

    def run(state: tuple[int, int], sample_fn: SampleFn) -> Values:
        count, end = state
        drawn = sample_fn(count)
        real, fake = (without_filling(x, end) for x in (drawn.real, drawn.fake))
        return {"ngrams": float(np.mean(ngram_distances(real, fake, most)))}

    return Evaluator(init, run)


def without_filling(texts: np.ndarray, end: int) -> np.ndarray:
    """Returns numbers of tokens, with -1 after the first end.

    Args:
      texts: numbers `[n, length]`, or rows `[n, length, V]`.
      end: the number of the token `END`; -1 if there is none.

    >>> without_filling(np.array([[3, 0, 0], [1, 2, 3]]), 0).tolist()
    [[3, 0, -1], [1, 2, 3]]
    """
    ids = np.asarray(texts)
    ids = ids.argmax(-1) if ids.ndim == 3 else ids
    ended = np.cumsum(ids == end, 1) - (ids == end) > 0
    return np.where(ended, -1, ids)


TEXT_EVALUATORS: dict[str, Callable[..., Evaluator]] = {ngrams.__name__: ngrams}
"""Factories of evaluators of texts by name."""
