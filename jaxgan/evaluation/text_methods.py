"""Values of a generator of text and of plain methods, in the same metrics."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.data.text import END, decode
from jaxgan.errors import UsageError
from jaxgan.evaluation.build_metrics import Metrics
from jaxgan.evaluation.extraction import ByExtractor, check_rows, unique
from jaxgan.evaluation.scores import Real, Values, joined, values_of
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.text_baselines import CANDIDATES, ORDERS, NGrams, most_typical
from jaxgan.metrics.text_comparisons import TextSets, unit_of

REPEATED = "one sentence repeated"
"""The row of a generator that has collapsed, and has a high BLEU."""


def plain_methods(
    rows: np.ndarray, names: Sequence[str], count: int, *, seed: int = 0
) -> dict[str, list[str]]:
    """Returns texts of n-gram models, and the most typical training text repeated.

    Those of the models have as many tokens as training texts: at least as many as the
    shortest, at most as many as the longest.

    Args:
      rows: tokens of all training texts, `[n, length]` int32.
      names: the vocabulary.
      count: number of texts of each method.
      seed: of the models.
    """
    end = list(names).index(END) if END in names else -1
    sizes = (rows != end).sum(1)
    low, high = sizes.min(), sizes.max()

    def accepts(row: np.ndarray) -> bool:
        return bool(low <= (row != end).sum() <= high)

    texts = {}
    for name, order in ORDERS.items():
        model = NGrams(rows, order, end=end)
        found = model.sample(count, seed=seed, accepts=accepts)
        texts[name] = decode(found, names)
    # Of a random half, the text that is most like the other half.
    order = np.random.default_rng(seed).permutation(len(rows))
    some = decode(rows[order[: 11 * CANDIDATES]], names)
    texts[REPEATED] = [typical_text(some)] * count
    return texts


def typical_text(texts: Sequence[str]) -> str:
    """Returns the one of the first texts that is most like the others.

    It is chosen from the first ones, at most half.
    """
    first = max(min(CANDIDATES, len(texts) // 2), 1)
    sets = TextSets([], [], [], unit_of(texts))
    others = sets.tokens(texts[first:] or texts)
    return texts[most_typical(sets.tokens(texts[:first]), others)]


class Judge(NamedTuple):
    """The metrics of texts, and the real side, whose features are extracted once."""

    metrics: Metrics
    sets: TextSets
    """Without `fake`."""
    real: Real

    def values(self, texts: Sequence[str], name: str) -> Values:
        """Returns the values of texts by name.

        Args:
          texts: to judge.
          name: the kind of texts, for messages.
        """
        extractors = unique(x.extractor for x in self.metrics.sets)
        features = features_of(texts, extractors, name)
        of_sets = values_of(self.metrics.sets, self.real, features)
        sets = self.sets._replace(fake=texts)
        return joined([*of_sets, *(x.compare(sets) for x in self.metrics.texts)])


def make_judge(
    metrics: Metrics,
    real: Sequence[str],
    train: Sequence[str],
    unit: str,
    known: Sequence[str] = (),
) -> Judge:
    """Returns a judge of texts.

    Args:
      metrics: the metrics.
      real: held-out texts.
      train: all training texts.
      unit: what BLEU counts.
      known: all held-out texts, for lexicons.
    """
    extractors = unique(x.extractor for x in metrics.sets)
    of_real = features_of(real, extractors, "held-out texts")
    # Few metrics read features of all training texts, which take long.
    needed = any(x.whole_train for x in metrics.sets)
    of_train = of_real
    if needed:
        of_train = features_of(train, extractors, "training texts")
    sets = TextSets(real, (), train, unit, known)
    return Judge(metrics, sets, Real(of_real, of_train))


def features_of(
    texts: Sequence[str], extractors: Mapping[str, Extractor], name: str
) -> ByExtractor:
    """Returns the features of texts by extractor.

    Args:
      texts: the texts.
      extractors: by their name and digest; they get a list of texts.
      name: the kind of texts, for messages.

    Raises:
      UsageError: if an extractor is of no text, or features are not finite.
    """
    found = {}
    for key, extractor in extractors.items():
        extract: Callable = extractor.extract
        found[key] = extract(list(texts))
        check_rows(found[key], extractor, name, 0, len(texts))
    return found


def check_count(count: int, held_out: int) -> None:
    """Raises UsageError if there are too few held-out texts to compare with."""
    if min(count, held_out) < 2:
        raise UsageError(
            f"there are {held_out} held-out texts: use another --split, such as "
            "--split=100"
        )
