"""Measures of texts: by hand, and against nltk."""

import itertools
import random

import jax
import numpy as np
import pytest

from jaxgan import spec
from jaxgan.data import from_fields, load
from jaxgan.data.text import END, UNKNOWN_CHARACTER, tokens_example
from jaxgan.errors import UsageError
from jaxgan.gan.build_evaluators import default_metrics
from jaxgan.metrics import EVALUATORS, text
from jaxgan.metrics.features import minilm
from jaxgan.metrics.text_baselines import NGrams, most_typical
from jaxgan.metrics.text_comparisons import TEXT_COMPARISONS, TextSets
from jaxgan.types import Samples


def sentences(n, seed=0, words="abcde"):
    """Random texts of 1 to 9 words."""
    rng = random.Random(seed)
    return [rng.choices(words, k=rng.randint(1, 9)) for _ in range(n)]


def test_bleu_by_hand():
    """Clipped counts, the closest length, the penalty and the smoothing."""
    references = text.References([["the", "cat", "sat", "on", "the", "mat"]], 2)
    # Both of two `the` match, of three only two: 2/3, and 0 of 2 bigrams.
    got = text.bleu_scores([["the"] * 3], references, 2)
    assert got == pytest.approx([np.exp(1 - 6 / 3) * (2 / 3 * 0.1 / 2) ** 0.5])
    # No word matches.
    assert text.bleu_scores([["dog"]], references, 2) == [0]
    assert text.bleu_scores([[]], references, 2) == [0]
    # Lengths 4 and 8 are equally near to 6, and the shorter one counts.
    both = text.References(["abcd", "abcdefgh"], 2)
    assert text.bleu_scores(["abcdef"], both, 2) == pytest.approx(1)
    with pytest.raises(UsageError, match="BLEU has no reference texts"):
        text.References([[]], 2)


def test_self_bleu_leaves_out_the_text_itself():
    texts = [list("aab"), list("aab"), list("ab"), list("c")]
    expected = [
        text.bleu_scores([x], text.References(texts[:i] + texts[i + 1 :], 3), 3)
        for i, x in enumerate(texts)
    ]
    np.testing.assert_allclose(text.self_bleu(texts, 3), np.mean(expected, 0))
    for seed in range(3):
        some = sentences(12, seed, "ab")
        expected = [
            text.bleu_scores([x], text.References(some[:i] + some[i + 1 :], 4), 4)
            for i, x in enumerate(some)
        ]
        np.testing.assert_allclose(text.self_bleu(some, 4), np.mean(expected, 0))
    with pytest.raises(UsageError, match="self-BLEU of 1 text: use two or more"):
        text.self_bleu(["a"], 2)
    np.testing.assert_array_equal(text.self_bleu(["", ""], 3), [0, 0])


def test_bleu_equals_that_of_nltk():
    bleu = pytest.importorskip("nltk.translate.bleu_score")
    smooth = bleu.SmoothingFunction().method1
    texts, real = sentences(20, 1), sentences(15, 2)
    for n in (2, 3, 5):
        weights = tuple(1 / n for _ in range(n))
        expected = [bleu.sentence_bleu(real, x, weights, smooth) for x in texts]
        got = text.bleu_scores(texts, text.References(real, n), n)[-1]
        assert got == pytest.approx(np.mean(expected), rel=1e-12)
        own = [
            bleu.sentence_bleu(texts[:i] + texts[i + 1 :], x, weights, smooth)
            for i, x in enumerate(texts)
        ]
        assert text.self_bleu(texts, n)[-1] == pytest.approx(np.mean(own), rel=1e-12)


def test_single_words_are_judged_by_characters():
    sets = TextSets(["abc"], ["abd", "abd"], ["abd"], "characters")
    found = spec.build_one("bleu(2)", TEXT_COMPARISONS).compare(sets)
    assert found == {"bleu_2": pytest.approx(3**-0.5), "self_bleu_2": pytest.approx(1)}
    copies = spec.build_one("copies", TEXT_COMPARISONS).compare(sets)
    assert copies == {"copied": 1, "repeated": 0.5}


def test_lists_of_words_have_shares_of_new_ones(tmp_path):
    sets = TextSets(
        *(["Dora"], ["Anna", "Carl", "Carl", "Xyz"], ["Anna", "Bob"]),
        *("characters", ["Carl"]),
    )
    found = spec.build_one("words", TEXT_COMPARISONS).compare(sets)
    # Anna is copied, Xyz is no word.
    assert found == {"valid_words": 0.75, "novel": 0.75, "novel_words": 0.5}
    (tmp_path / "more").write_text("Xyz\nother words\n")
    more = spec.build_one(f"words('{tmp_path}/more')", TEXT_COMPARISONS)
    found = more.compare(sets)
    assert found == {"valid_words": 1, "novel": 0.75, "novel_words": 0.75}
    assert "3 words of" in more.protocol["lexicon"]
    with pytest.raises(UsageError, match="none cannot be read"):
        spec.build_one(f"words('{tmp_path}/none')", TEXT_COMPARISONS)


def test_distances_of_ngrams_by_hand():
    # The texts a b and b, each with its end.
    example = tokens_example(3, (END, "a", "b"))
    real = np.array([[1, 2, 0], [2, 0, 0]], np.int32)
    dataset = from_fields("texts", {"tokens": real}, example=example, origin="")
    evaluator = EVALUATORS["ngrams"](2)

    def distance(fake):
        state = evaluator.init(dataset, {"tokens": real}, jax.random.key(0))
        drawn = Samples(real, np.asarray(fake))
        return evaluator.run(state, lambda count, first=0: drawn)["ngrams"]

    assert distance(real[::-1]) == 0
    # Rows are read as their largest entries.
    assert distance(np.eye(3)[real]) == 0
    # a <end> twice: a 1/2, <end> 1/2, not 1/5, 2/5, 2/5 for a, <end> and b. Of pairs
    # none is in both.
    assert distance([[1, 0, 0], [1, 0, 0]]) == pytest.approx((0.4 + 1) / 2)
    # Without a pair: <end> alone.
    assert distance([[0, 0, 0]]) == pytest.approx((0.6 + 1) / 2)
    with pytest.raises(UsageError, match="ngrams needs texts"):
        EVALUATORS["ngrams"](2, train=load("ring8"))


@pytest.mark.parametrize(
    ("fake", "distance"),
    [
        # As above: the same texts, a <end> twice, and texts without tokens.
        (["b", "a b"], 0),
        (["a", "a"], (0.4 + 1) / 2),
        (["", ""], (0.6 + 1) / 2),
    ],
)
def test_finished_runs_have_the_same_distances_of_ngrams(fake, distance):
    sets = TextSets(["a b", "b"], fake, ["a"])
    found = spec.build_one("ngrams(2)", TEXT_COMPARISONS).compare(sets)
    assert found == {"ngrams": pytest.approx(distance)}


def test_texts_have_a_default_metric_that_reads_them(monkeypatch):
    def of(names, count):
        tokens = np.zeros((count, 2), np.int32)
        example = tokens_example(2, names)
        return default_metrics(
            from_fields("x", {"tokens": tokens}, example=example, origin="")
        )

    words, lines, single = (
        (END, "<unk>"),
        (UNKNOWN_CHARACTER, " "),
        (UNKNOWN_CHARACTER,),
    )
    kid = "kid(minilm, 256, 10, 256, 1024)"
    monkeypatch.setattr(minilm, "is_installed", lambda: True)
    assert [of(x, 1_024) for x in (words, lines, single)] == [kid, kid, "ngrams"]
    assert of(words, 1_023) == "ngrams"
    monkeypatch.setattr(minilm, "is_installed", lambda: False)
    assert of(words, 1_024) == "ngrams"


def test_each_metric_has_its_values():
    sets = TextSets(["the cat sat", "a dog"], ["the cat", "the kat"], ["the cat"])
    found = {
        name: spec.build_one(name, TEXT_COMPARISONS).compare(sets)
        for name in TEXT_COMPARISONS
    }
    assert list(found["bleu"]) == [
        f"{x}_{n}" for x in ("bleu", "self_bleu") for n in range(2, 6)
    ]
    assert found["distinct"] == {"distinct_2": 1}
    assert found["copies"] == {"copied": 0.5, "repeated": 0}
    assert found["words"] == {"valid_words": 0.75}
    assert found["length"] == {"length": 2}


ROWS = np.array([[1, 2, 3, 0], [1, 2, 0, 0], [2, 0, 0, 0], [3, 1, 2, 2]], np.int32)


def frequencies(tokens):
    numbers, counts = np.unique(tokens, return_counts=True)
    return dict(zip(numbers.tolist(), (counts / counts.sum()).tolist(), strict=True))


def about(counts):
    """Shares of counts, within the error of thousands of draws."""
    total = sum(counts.values())
    return {k: pytest.approx(x / total, abs=0.03) for k, x in counts.items()}


def test_ngrams_follow_the_training_texts():
    """The first token, and the one after each token, have the frequencies there."""
    drawn = NGrams(ROWS[:3], 2, end=0).sample(4_000, seed=1)
    assert frequencies(drawn[:, 0]) == about({1: 2, 2: 1})
    pairs = [(a, b) for row in drawn for a, b in itertools.pairwise(row.tolist())]
    after = {x: frequencies([b for a, b in pairs if a == x]) for x in range(4)}
    assert after == {0: {0: 1}, 1: {2: 1}, 2: about({0: 2, 3: 1}), 3: {0: 1}}


def test_a_unigram_draws_each_end_once():
    """Tokens that fill a text do not count, and too long texts are drawn again."""
    drawn = NGrams(ROWS, 1, end=0).sample(6_000, seed=0)
    # 4 ends of 14 tokens.
    ended = 4 / 14 / (1 - (10 / 14) ** 5)
    first = frequencies(drawn[:, 0])
    assert first.pop(0) == pytest.approx(ended, abs=0.03)
    assert {k: x / (1 - ended) for k, x in first.items()} == about({1: 3, 2: 5, 3: 2})


def test_texts_that_are_not_accepted_are_drawn_again():
    model = NGrams(ROWS, 1, end=0)
    drawn = model.sample(200, seed=0, accepts=lambda row: (row != 0).sum() >= 3)
    assert ((drawn != 0).sum(1) >= 3).all()
    np.testing.assert_array_equal(
        drawn, model.sample(200, seed=0, accepts=lambda row: (row != 0).sum() >= 3)
    )
    with pytest.raises(UsageError, match="1-gram texts are hardly ever as long"):
        model.sample(2, seed=0, accepts=lambda row: False)


def test_a_context_without_followers_does_not_stop_a_model():
    """3 is always the last token of a text that has no end."""
    drawn = NGrams(np.array([[3, 1, 3], [1, 1, 3]]), 2).sample(50, seed=0)
    assert drawn.shape == (50, 3)
    assert set(drawn.ravel()) <= {1, 3}


def test_the_most_typical_text_has_the_best_bleu():
    texts = [list("xyz"), list("abc"), list("abz")]
    assert most_typical(texts, [list("abc"), list("abd")]) == 1
