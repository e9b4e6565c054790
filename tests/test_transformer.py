"""The Transformer generator of texts: likelihoods, causality, samples, gradients."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
import scipy.stats
from kind_runs import close, run
from scipy.special import logsumexp

from jaxgan.data.text import END, tokens_example
from jaxgan.errors import UsageError
from jaxgan.gan.objective import bind, example_keys
from jaxgan.networks import NETWORKS, transformer
from jaxgan.networks.streams import keys_of_examples

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
LENGTH, COUNT, HEADS = 4, 2_000, 2
EXAMPLE = tokens_example(LENGTH, (END, "<unk>", "a", "b", "c"))
GENERATOR = NETWORKS["text"](
    transformer.transformer_generator(6, 2, HEADS), example=EXAMPLE
).generator


@pytest.fixture(autouse=True, scope="module")
def hasty():
    """Makes XLA compile faster programs less eagerly."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@functools.cache
def params() -> Any:
    """Of the generator, none of which is zero."""

    def init():
        with keys_of_examples(lambda: example_keys(KEY, 1)):
            return GENERATOR.init(KEY, {"tokens": jnp.zeros((1, 4))}, train=False)

    made: Any = jax.eval_shape(init)["params"]
    rng = np.random.default_rng(0)
    made = {k: 0.5 * rng.normal(size=x.shape) for k, x in sorted(made.items())}
    for name in made:
        if name.endswith("norm"):
            made[name][0] += 1
    return {k: x.astype(np.float32) for k, x in made.items()}


def block_of(i):
    names = transformer.Block._fields
    return transformer.Block(*(params()[f"block_{i}_{name}"] for name in names))


def weights():
    p = params()
    return transformer.Weights(
        jnp.asarray(p["embedding"]),
        jnp.asarray(p["positions"]),
        (block_of(0), block_of(1)),
        *(p[name] for name in ("norm", "outputs", "outputs_bias")),
    )


def by_hand(tokens):
    """Log-likelihoods of one text by loops over places and heads, in float64."""
    w = jax.tree.map(np.float64, weights())

    def norm(x, own):
        return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * own[0] + own[1]

    def gelu(x):
        return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    before = [len(w.embedding) - 1, *tokens[:-1]]
    xs = [w.embedding[token] + w.positions[i] for i, token in enumerate(before)]
    for own in w.blocks:
        inside = [norm(x, own.norm) @ own.inputs + own.inputs_bias for x in xs]
        q, k, v = np.split(np.array(inside), 3, 1)
        for i, x in enumerate(xs):
            mixed = []
            for part in (slice(0, 3), slice(3, 6)):
                scores = np.exp(
                    [q[i, part] @ k[j, part] / 3**0.5 for j in range(i + 1)]
                )
                mixed.append(scores / scores.sum() @ v[: i + 1, part])
            x = x + np.concatenate(mixed) @ own.outputs + own.outputs_bias
            up = gelu(norm(x, own.second_norm) @ own.up + own.up_bias)
            xs[i] = x + up @ own.down + own.down_bias
    logits = np.array([norm(x, w.norm) @ w.outputs + w.outputs_bias for x in xs])
    return logits[range(len(xs)), tokens] - logsumexp(logits, 1)


@functools.cache
def likelihoods():
    """The results of the generator for all texts of five tokens, in their order."""
    every = np.stack(np.unravel_index(range(5**LENGTH), (5,) * LENGTH), -1)
    net, _ = bind(GENERATOR, {"params": params()}, example_keys(KEY, len(every)))
    return every, jax.tree.map(np.asarray, jax.jit(net)({"tokens": jnp.asarray(every)}))


def place(text) -> int:
    return int(np.ravel_multi_index(text, (5,) * LENGTH))


def test_likelihoods_are_those_of_loops_and_of_no_later_token():
    every, found = likelihoods()
    for text in ([2, 3, 4, 2], [4, 4, 1, 3]):
        np.testing.assert_allclose(
            found["log_likelihood"][place(text)], by_hand(text), atol=1e-4
        )
    # A text goes on to its first end.
    assert found["is_token"][place([2, 0, 0, 0])].tolist() == [1, 1, 0, 0]
    # Whatever the last token is, the first three are as likely.
    by_text = found["log_likelihood"].reshape(-1, 5, LENGTH)
    assert np.ptp(by_text[..., :3], 1).max() == 0
    goes_on = (every != 0).all(1).reshape(-1, 5)[:, 1:].all(1)
    assert np.ptp(by_text[goes_on][..., 3], 1).min() > 0.01


def test_kept_keys_and_values_give_the_same_logits():
    w, text = weights(), jnp.array([[2, 3, 4, 2], [4, 1, 1, 3]])
    before = jnp.pad(text[:, :-1], ((0, 0), (1, 0)), constant_values=5)
    kept: Any = tuple(jnp.zeros((2, 2, LENGTH, 6)) for _ in w.blocks)
    step = jax.jit(transformer.next_logits, static_argnums=4)
    for i in range(LENGTH):
        kept, logits = step(w, kept, before[:, i], i, HEADS)
        found = jax.nn.log_softmax(logits)[jnp.arange(2), text[:, i]]
        expected = [likelihoods()[1]["log_likelihood"][place(x), i] for x in text]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def write(net, count, relaxation=1.0, **more):
    ones = jnp.ones(count)
    return net({"temperature": ones, "relaxation": relaxation * ones, **more})


def test_texts_follow_the_likelihoods_while_training_and_sampling():
    by_text = likelihoods()[1]["log_likelihood"]
    keys, own = example_keys(KEY, COUNT), {"params": params()}
    calls = [bind(GENERATOR, own, keys, dropout=x)[0] for x in (None, KEY)]
    texts, rows = (
        np.asarray(jax.jit(write, static_argnums=(0, 1))(x, COUNT)) for x in calls
    )
    hot = np.broadcast_to(np.eye(5)[4], rows.shape)
    np.testing.assert_allclose(np.sort(rows, -1), hot, atol=1e-6)
    for some in (texts, rows.argmax(-1)):
        seen, counts = np.unique(some, axis=0, return_counts=True)
        chances = np.exp([np.float64(by_text[place(x)]).sum() for x in seen])
        # Rare texts are one class.
        often = chances * COUNT > 5
        observed = np.append(counts[often], COUNT - counts[often].sum())
        expected = np.append(chances[often], 1 - chances[often].sum()) * COUNT
        assert often.sum() > 20
        assert scipy.stats.chisquare(observed, expected).pvalue > 0.01


def test_gradients_are_those_of_the_softmax_up_to_the_end():
    """At the last place, with the tokens before it given."""
    keys = example_keys(KEY, 1)

    def last(p, second, relaxation):
        call, _ = bind(GENERATOR, {"params": p}, keys, dropout=KEY)
        prompt = jnp.array([[2, second, 3, -1]])
        return write(call, 1, relaxation, prompt=prompt)[0, -1]

    slope = jax.jit(jax.jacrev(last))
    one, half, after = (
        slope(params(), *x)["outputs_bias"] for x in ((2, 1.0), (2, 0.5), (0, 1.0))
    )
    # The slope is (diag(s) - s s^T) / relaxation, for the probabilities s.
    found = []
    for slopes, relaxation in ((one, 1.0), (half, 0.5)):
        product = -relaxation * np.asarray(slopes)  # s_i s_j where i and j differ
        others = [[(i + 1) % 5, (i + 2) % 5] for i in range(5)]
        s = np.array(
            [
                np.sqrt(product[i, j] * product[i, k] / product[j, k])
                for i, (j, k) in enumerate(others)
            ]
        )
        assert s.sum() == pytest.approx(1, abs=1e-4)
        np.testing.assert_allclose(np.diag(-product), s * (1 - s), atol=1e-5)
        found.append(s)
    # Half the relaxation squares the odds.
    expected = found[0] ** 2 / (found[0] ** 2).sum()
    np.testing.assert_allclose(found[1], expected, atol=1e-4)
    assert (after == 0).all()


def test_one_and_two_devices_take_the_same_finite_steps(monkeypatch):
    tokens = kinds.ExampleSpec(tokens=kinds.TOKENS)
    networks = (
        "text(transformer_generator(4, 1, 2, dropout=0.2), "
        "text_discriminator(1, 2, (2,), filters=2, hidden=2))"
    )
    kind = kinds.Kind("text(0.5)", networks, tokens)
    monkeypatch.setitem(kinds.KINDS, "tokens", kind)
    flags: dict[str, Any] = {"d_terms": "", "g_terms": "likelihood(1)"}
    one, two = (run("tokens", n, 2, **flags) for n in (1, 2))
    close(one, two)
    values = one[1]["generator/likelihood"]
    assert np.isfinite(values).all()
    assert 0.7 < values[0] / np.log(6) < 1.5


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(UsageError, match="divide the width: use width=8"):
        transformer.transformer_generator(6, 1, 4)
