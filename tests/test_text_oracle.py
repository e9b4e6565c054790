"""The synthetic oracle of the benchmark of texts."""

import itertools
import json

import jax
import numpy as np
import pytest
import text_oracle
from jax.scipy.special import logsumexp

from jaxgan.config.resolve import make_config

TINY = text_oracle.make_oracle(vocabulary=3, width=4)


def by_hand(ids):
    """Nats per token of one text, gate by gate."""
    w = jax.tree.map(np.asarray, TINY)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    h = c = np.zeros(4)
    token, total = 0, 0.0
    for following in ids:
        gates = w.embedding[token] @ w.inputs + h @ w.hidden + w.bias
        i, f, o, g = gates.reshape(4, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        logits = h @ w.outputs + w.outputs_bias
        total += float(logsumexp(logits)) - logits[following]
        token = following
    return total / len(ids)


def test_samples_follow_the_likelihoods():
    """The likelihoods of all texts of two tokens are shares that add up to 1."""
    texts = np.array(list(itertools.product(range(3), repeat=2)), np.int32)
    found = np.asarray(text_oracle.nll(TINY, texts))
    np.testing.assert_allclose(found, [by_hand(x) for x in texts], rtol=1e-5)
    expected = np.exp(-2 * found)
    assert expected.sum() == pytest.approx(1, abs=1e-5)
    keys = jax.random.split(jax.random.key(0), 6_000)
    drawn = np.asarray(text_oracle.sample(TINY, keys, length=2))
    counts = np.bincount(drawn @ [3, 1], minlength=9)
    # Chi-square of 8 degrees of freedom: above 26 once in a thousand times.
    assert (np.square(counts - 6_000 * expected) / (6_000 * expected)).sum() < 26


def test_values_of_texts():
    same = np.array([[1, 2, 0]] * 4, np.int32)
    assert text_oracle.values_of(TINY, same) == {
        "nll_oracle": pytest.approx(by_hand([1, 2, 0]), rel=1e-5),
        "repeated": 0.75,
    }


@pytest.mark.parametrize("arm", text_oracle.ARMS)
def test_the_flags_of_arms_are_valid(arm):
    config = make_config(**text_oracle.flags_of(arm, seed=1, steps=40))
    assert (config.steps, config.seed, config.import_) == (40, 1, "text_oracle")
    assert "{" not in f"{config.g_optimizer}{config.task}"
    assert config.init_from.endswith("seed-1") == (arm != text_oracle.FIRST)


def test_runs_of_several_files_are_joined(tmp_path):
    files = []
    for seed, value in (("0", 1.0), ("2", 3.0)):
        row = text_oracle.with_runs({seed: {"nll_oracle": value}})
        found = {"rows": {"gan": row, "oracle": {"nll_oracle": 5.0}}}
        files.append(tmp_path / f"{seed}.json")
        files[-1].write_text(json.dumps(found))
    rows = text_oracle.joined(files)
    assert rows["gan"]["nll_oracle"] == pytest.approx((2.0, 2**0.5))
    assert (rows["gan"]["seeds"], sorted(rows["gan"]["runs"])) == (2, ["0", "2"])
    assert rows["oracle"] == {"nll_oracle": 5.0}
    assert text_oracle.needed(["gan"]) == ["likelihood", "gan"]
