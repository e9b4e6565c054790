"""Metrics of texts as they are written in a command: `bleu|copies`.

`TEXT_COMPARISONS` has factories by name. Metrics of features are in `comparisons`, and
texts have those of the extractor `minilm`.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

from jaxgan.data.text import END, encode, split_tokens
from jaxgan.data.text_files import read_text
from jaxgan.errors import printable
from jaxgan.files import local_path
from jaxgan.metrics import text
from jaxgan.metrics.text_evaluators import ngram_distances, without_filling
from jaxgan.ranges import Range

Values = dict[str, float]
"""Values of metrics by name."""


class TextSets(NamedTuple):
    """Three sets of texts."""

    real: Sequence[str]
    """Held-out texts."""
    fake: Sequence[str]
    """The texts to judge."""
    train: Sequence[str]
    """All training texts."""
    unit: str = "words"
    """The unit that BLEU counts, `words` or `characters`; see `unit_of`."""
    known: Sequence[str] = ()
    """Further real texts, which a lexicon has."""

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """Splits texts into the tokens that are counted."""
        return [split_tokens(x, self.unit) for x in texts]


class TextComparison(NamedTuple):
    """A metric of texts."""

    name: str
    """As it is written in a command."""
    compare: Callable[[TextSets], Values]
    protocol: dict[str, str]
    """The facts to report with the values."""


def unit_of(texts: Sequence[str]) -> str:
    """Returns what is counted in texts: words, or characters if texts are single words.

    >>> unit_of(["Anna", "Bob"]), unit_of(["the cat", "sat on a mat"])
    ('characters', 'words')
    """
    lengths = [len(split_tokens(x, "words")) for x in texts]
    return "words" if lengths and statistics.median(lengths) > 1 else "characters"


def bleu(n: Annotated[int, Range(2, 9)] = 5) -> TextComparison:
    """Measures BLEU-2 to BLEU-n against held-out texts, and self-BLEU beside it.

    A generator that repeats one good text has a high BLEU, and a self-BLEU of 1. So
    BLEU (more is better) says nothing without self-BLEU (less is better): compare both
    with those of held-out texts.

    Args:
      n: largest number of tokens.
    """

    def compare(sets: TextSets) -> Values:
        fake, real = sets.tokens(sets.fake), sets.tokens(sets.real)
        scores = text.bleu_scores(fake, text.References(real, n), n)
        own = text.self_bleu(fake, n)
        names = range(2, n + 1)
        return {
            **{f"bleu_{i}": float(x) for i, x in zip(names, scores, strict=True)},
            **{f"self_bleu_{i}": float(x) for i, x in zip(names, own, strict=True)},
        }

    facts = {"mean over texts": "each against all references", "smoothing": "0.1 for 0"}
    return TextComparison("bleu", compare, facts)


def distinct(n: Annotated[int, Range(1, 9)] = 2) -> TextComparison:
    """Measures the share of different n-grams, `distinct_n`.

    Args:
      n: number of tokens.
    """

    def compare(sets: TextSets) -> Values:
        return {f"distinct_{n}": text.distinct(sets.tokens(sets.fake), n)}

    return TextComparison("distinct", compare, {"of": "all n-grams"})


def ngrams(most: Annotated[int, Range(1, 9)] = 4) -> TextComparison:
    """Measures how far the n-grams are from those of held-out texts; less is better.

    The value `ngrams` is the mean of `text_evaluators.ngram_distances` of n = 1 to
    `most`, as in training, but of the unit of BLEU, and of held-out texts. The end of a
    text is a token. It falls with the number of texts, even if they are perfect: see
    its floor.

    Args:
      most: largest number of tokens.
    """

    def compare(sets: TextSets) -> Values:
        both = [sets.tokens(texts) for texts in (sets.real, sets.fake)]
        words = sorted({word for texts in both for text in texts for word in text})
        names, length = (END, *words), max(len(x) for texts in both for x in texts)
        real, fake = (
            without_filling(encode(texts, names, length + 1), 0) for texts in both
        )
        return {"ngrams": statistics.fmean(ngram_distances(real, fake, most))}

    facts = {"of": f"1- to {most}-grams", "distance": "half the sum of differences"}
    return TextComparison("ngrams", compare, facts)


def copies() -> TextComparison:
    """Measures the share of texts that are in the training set, and that are repeated.

    The values are `copied` and `repeated`; 1 - `copied` is also called novelty.
    """

    def compare(sets: TextSets) -> Values:
        found = text.copied(sets.fake, frozenset(sets.train))
        return {"copied": found, "repeated": text.repeated(sets.fake)}

    facts = {
        "copied": "equal to a training text",
        "repeated": "equal to an earlier one",
    }
    return TextComparison("copies", compare, facts)


def words(lexicon: str = "") -> TextComparison:
    """Measures the share of words that a training or held-out text has, `valid_words`.

    Of generators of characters. If texts are single words, as in lists of words or
    names, two further values are the share of texts that are not in the training set,
    `novel`, and of those that are words beside that, `novel_words`.

    Args:
      lexicon: a file with further words, such as /usr/share/dict/words.

    Raises:
      UsageError: if the file cannot be read.
    """
    more: frozenset[str] = frozenset()
    if lexicon:
        path = local_path("words(lexicon)", lexicon)
        more = frozenset(split_tokens(read_text("words", path), "words"))

    def compare(sets: TextSets) -> Values:
        texts = [*sets.train, *sets.real, *sets.known]
        known = {word for x in texts for word in split_tokens(x, "words")} | more
        fake = [split_tokens(x, "words") for x in sets.fake]
        values = {"valid_words": text.valid_words(fake, known)}
        if sets.unit == "characters":
            train = frozenset(sets.train)
            new = [x for x in sets.fake if x not in train]
            count = max(len(sets.fake), 1)
            values["novel"] = len(new) / count
            values["novel_words"] = sum(x in known for x in new) / count
        return values

    of = "training and held-out texts"
    of += f", and {len(more):,} words of {printable(lexicon)}" if more else ""
    return TextComparison("words", compare, {"lexicon": of})


def length() -> TextComparison:
    """Measures the mean number of tokens of a text, `length`."""

    def compare(sets: TextSets) -> Values:
        counts = [len(x) for x in sets.tokens(sets.fake)]
        return {"length": statistics.fmean(counts)}

    return TextComparison("length", compare, {"compare with": "held-out texts"})


TEXT_COMPARISONS: dict[str, Callable[..., TextComparison]] = {
    f.__name__: f for f in (bleu, ngrams, distinct, copies, words, length)
}
"""Factories of metrics of texts by name."""
