"""Networks, task and terms of texts: their distribution, gradients and likelihoods."""

import functools
import json
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from narrow_presets import flags_of

from jaxgan import data, parallel
from jaxgan.config.resolve import make_config
from jaxgan.data.text import END, tokens_example
from jaxgan.errors import UsageError
from jaxgan.experiment import init_from
from jaxgan.experiment.data_facts import example_to_json
from jaxgan.gan import builder
from jaxgan.gan.objective import bind, example_keys
from jaxgan.networks import NETWORKS, recurrent
from jaxgan.networks.ops.gumbel import gumbel_noise, straight_through
from jaxgan.networks.ops.platform import jit_once
from jaxgan.networks.streams import keys_of_examples
from jaxgan.networks.text import TextDiscriminator

KEY = jax.random.key(0)
LENGTH, COUNT = 4, 4000
EXAMPLE = tokens_example(LENGTH, (END, "<unk>", "a", "b", "c"))
GENERATOR = NETWORKS["text"](
    recurrent.recurrent_generator(6, 3), example=EXAMPLE
).generator
ONE = {"temperature": jnp.ones(1), "relaxation": jnp.ones(1)}


def test_noise_is_that_of_a_gumbel_distribution_and_other_at_other_steps():
    words = jax.vmap(lambda key: jax.random.bits(key, (2,)))(jax.random.split(KEY, 500))
    one, other = gumbel_noise(words, 0, 7), gumbel_noise(words, 1, 7)
    assert scipy.stats.kstest(np.ravel(one), "gumbel_r").pvalue > 0.01
    assert abs(np.corrcoef(np.ravel(one), np.ravel(other))[0, 1]) < 0.06
    assert abs(np.corrcoef(np.asarray(one).T).ravel()[1:7]).max() < 0.15


def test_straight_through_gradients_by_hand():
    soft, weights = jnp.array([0.2, 0.5, 0.3]), jnp.array([1.0, 2.0, 4.0])

    def score(logits):
        return straight_through(nn.softmax(logits), jnp.argmax(logits)) @ weights

    value, slope = jax.value_and_grad(score)(jnp.log(soft))
    # The value is that of the hard choice, the slope p (w - p.w) that of the softmax.
    assert value == pytest.approx(2.0)
    mean = 0.2 + 1.0 + 1.2
    np.testing.assert_allclose(slope, soft * (weights - mean), rtol=1e-5)


@functools.cache
def variables():
    """Of the generator, with outputs far from uniform."""
    with keys_of_examples(lambda: example_keys(KEY, 1)):
        # Only texts are read, which needs no noise.
        made: Any = GENERATOR.init(KEY, {"tokens": jnp.zeros((1, 1))}, train=False)
    return {"params": {**made["params"], "outputs": 3 * made["params"]["outputs"]}}


@functools.cache
def writer(train):
    """Returns write(temperature), compiled: the texts of the generator, or its rows."""

    def write(temperature):
        keys, ones = example_keys(KEY, COUNT), jnp.ones(COUNT)
        call, _ = bind(GENERATOR, variables(), keys, dropout=KEY if train else None)
        return call({"temperature": temperature * ones, "relaxation": ones})

    return jax.jit(write)


def write(temperature=1.0, *, train=False):
    return np.asarray(writer(train)(temperature))


@functools.cache
def log_likelihoods():
    """The results of the generator for all texts of five tokens, in their order."""
    every = np.stack(np.unravel_index(range(5**LENGTH), (5,) * LENGTH), -1)
    net, _ = bind(GENERATOR, variables(), example_keys(KEY, len(every)))
    return every, jax.tree.map(np.asarray, jax.jit(net)({"tokens": jnp.asarray(every)}))


def places(texts) -> np.ndarray:
    """The places of texts in that order."""
    return np.asarray(np.ravel_multi_index(np.transpose(texts), (5,) * LENGTH))


def by_hand(tokens):
    """Log-likelihoods of a text by a loop over NumPy arrays, up to its end."""
    w = {k: np.asarray(x, np.float64) for k, x in variables()["params"].items()}
    h, before, found = np.zeros(6), 5, []

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    for token in tokens:
        x = w["embedding"][before] @ w["inputs"] + w["bias"]
        y = h @ w["hidden"]
        reset, update = sigmoid(x[:6] + y[:6]), sigmoid(x[6:12] + y[6:12])
        new = np.tanh(x[12:] + reset * (y[12:] + w["hidden_bias"]))
        h = (1 - update) * new + update * h
        logits = h @ w["outputs"] + w["outputs_bias"]
        found.append(logits[token] - np.log(np.exp(logits).sum()))
        if token == 0:
            break
        before = token
    return found


def test_likelihoods_are_those_of_a_loop():
    texts = [[2, 3, 4, 2], [3, 0, 0, 0], [0, 0, 0, 0]]
    every, found = log_likelihoods()
    for text, place in zip(texts, places(texts), strict=True):
        expected = by_hand(text)
        padded = expected + [0.0] * (LENGTH - len(expected))
        np.testing.assert_allclose(found["log_likelihood"][place], padded, atol=1e-5)
        assert found["is_token"][place].sum() == len(expected)
    # All texts that stay ended have probability 1 together.
    ended = np.cumsum(every == 0, 1) > 0
    possible = ~(ended[:, :-1] & (every[:, 1:] != 0)).any(1)
    total = np.exp(found["log_likelihood"][possible].sum(1)).sum()
    assert total == pytest.approx(1, abs=1e-4)


def test_texts_follow_the_likelihoods_while_training_and_sampling():
    by_text = log_likelihoods()[1]["log_likelihood"]
    for texts in (write(), write(train=True).argmax(-1)):
        seen, counts = np.unique(texts, axis=0, return_counts=True)
        chances = np.exp(np.float64(by_text[places(seen)]).sum(1))
        # Rare texts are one class.
        often = chances * COUNT > 5
        observed = np.append(counts[often], COUNT - counts[often].sum())
        expected = np.append(chances[often], 1 - chances[often].sum()) * COUNT
        assert often.sum() > 20
        assert scipy.stats.chisquare(observed, expected).pvalue > 0.01


def test_rows_are_one_hot_and_have_no_gradient_after_the_end():
    rows = write(train=True)
    hot = np.broadcast_to(np.eye(5)[4], rows.shape)
    np.testing.assert_allclose(np.sort(rows, -1), hot, atol=1e-6)
    texts = rows.argmax(-1)
    ended = (np.cumsum(texts == 0, 1) > 0)[:, :-1]
    assert (texts[:, 1:][ended] == 0).all()
    assert ended.any()

    def last(params, second):
        call, _ = bind(GENERATOR, {"params": params}, example_keys(KEY, 1), dropout=KEY)
        prompt = jnp.array([[2, second, -1, -1]])
        return call({**ONE, "prompt": prompt})[0, -1] @ jnp.arange(5.0)

    slope = jax.jit(jax.grad(last))
    after, before = (slope(variables()["params"], token) for token in (0, 2))
    assert all((x == 0).all() for x in jax.tree.leaves(after))
    assert (before["outputs"] != 0).any()


def test_a_temperature_of_0_is_the_likeliest_token_and_a_prompt_is_kept():
    texts = write(0.0)
    assert (texts == texts[0]).all()
    greedy = []
    while len(greedy) < LENGTH:
        after = [by_hand([*greedy, token])[-1] for token in range(5)]
        greedy.append(int(np.argmax(after)))
        if greedy[-1] == 0:
            greedy += [0] * (LENGTH - len(greedy))
    assert texts[0].tolist() == greedy
    # A high temperature makes all tokens equally likely at first.
    first = np.bincount(write(100.0)[:, 0], minlength=5)
    assert scipy.stats.chisquare(first).pvalue > 0.001


def judged(net, params, texts) -> Any:
    return net.apply(params, texts, train=True)


def test_a_discriminator_reads_rows_and_numbers_alike():
    net = TextDiscriminator(5, 2, 3, (2, 5), 4, 6)
    ids = jnp.array([[2, 3, 4, 0], [3, 3, 1, 0]])
    params = net.init(KEY, ids, train=True)
    by_ids, by_rows = (judged(net, params, x) for x in (ids, jax.nn.one_hot(ids, 5)))
    np.testing.assert_allclose(by_ids.logits, by_rows.logits, rtol=1e-5)
    assert by_ids.logits.shape == (2, 2)
    assert by_ids.features.shape == (2, 2, 8)
    # A maximum over the text does not depend on the order of single tokens.
    narrow = TextDiscriminator(5, 2, 3, (1,), 4, 6)
    params = narrow.init(KEY, ids, train=True)
    one, other = (judged(narrow, params, x).logits for x in (ids, ids[:, ::-1]))
    np.testing.assert_array_equal(one, other)


def step_of(preset, devices=1, **other):
    """The state and the metrics after two steps of a narrow preset."""
    terms = "likelihood(linear(1, 0.5, 9))"
    narrow = {**flags_of(preset), "g_terms": terms, "batch_size": 8, **other}
    config = make_config(preset=preset, **narrow)
    layout = parallel.layout_of(parallel.choose_devices(devices))
    example = tokens_example(6, (END, *map(str, range(19))))
    built = builder.build_gan(
        config,
        example,
        axis=layout.axis,
        devices=layout.parts,
        unroll=layout.unroll,
        wrap_gradient=layout.strategy.wrap_gradient(layout),
    )
    texts = np.random.default_rng(0).integers(0, 20, (16, 6)).astype(np.int32)
    order = np.arange(16, dtype=np.int32)
    feed = parallel.resident(
        {"tokens": texts}, lambda epoch: order, updates=1, batch=8, layout=layout
    )
    traced_once = chex.assert_max_traces(built.train_step, n=1)
    chex.clear_trace_counter()
    program = parallel.make_compiler(traced_once, feed, layout)
    state = parallel.place(jit_once(built.init)(KEY), layout)
    for start in range(2):
        passed = (state, feed.at(start, 1), KEY)
        state, metrics = program(1, *passed)(*passed)
    return jax.device_get((state, metrics))


def test_a_language_model_takes_finite_steps():
    state, metrics = step_of("language_model")
    assert metrics["discriminator/fake"][-1] == 0.0
    assert 0.7 < metrics["generator/likelihood"][-1] / np.log(20) < 1.2
    assert not np.any(state.params.discriminator["bias"])


def test_one_and_two_devices_take_the_same_finite_steps():
    # One penalty instead of two, which take long to compile.
    one, two = (step_of("text_gan", n, d_terms="r2(0.1)") for n in (1, 2))
    state, metrics = one
    assert np.isfinite(np.concatenate(list(metrics.values()))).all()
    # Near that of equally likely tokens, log 20, times the weight.
    assert 0.7 < metrics["generator/likelihood"][-1] / np.log(20) < 1.2
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=2e-5), (state, metrics), two
    )


def test_weights_of_another_vocabulary_are_refused(tmp_path):
    source = init_from.Source("runs/1", tmp_path, "last", False)

    def check(*names, length=LENGTH):
        facts = json.dumps(example_to_json(tokens_example(length, names)))
        (tmp_path / "data.json").write_text(facts)
        init_from.check_vocabulary(source, EXAMPLE)

    # The same one, for texts of another length.
    check(END, "<unk>", "a", "b", "c", length=9)
    # Another order, a part of it, and more.
    for names in ("bac", "ab", "abcd"):
        said = f"--init_from=runs/1: its {len(names) + 2} tokens are others than the 5"
        with pytest.raises(UsageError, match=said):
            check(END, "<unk>", *names)


def test_the_likelihood_needs_a_task_with_one():
    config = make_config(dataset="ring8", g_terms="likelihood")
    with pytest.raises(UsageError, match="likelihood needs a generator of texts"):
        builder.build(config, data.load("ring8"))
