"""The counted random bits against `jax.random`'s, published answers and statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32

from jaxgan.networks.ops.threefry import bernoulli, threefry

ONES = 0xFFFFFFFF
KNOWN = [  # key, counter, answer of 13 rounds: the vectors of the authors' own tests
    ((0, 0), (0, 0), (0x9D1C5EC6, 0x8BD50731)),
    ((ONES, ONES), (ONES, ONES), (0xFD36D048, 0x2D17272C)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xBA3E4725, 0xF27D669E)),
]


def words(*numbers):
    return jnp.array(numbers, jnp.uint32)


@pytest.mark.parametrize(("key", "counter", "answer"), KNOWN)
def test_published_answers(key, counter, answer):
    found = threefry(words(*key), tuple(words(*counter)))
    assert tuple(int(x) for x in found) == answer


def test_twenty_rounds_are_those_of_jax():
    key, counters = words(7, 11), np.arange(10, dtype=np.uint32)
    found = threefry(key, (jnp.array(counters[:5]), jnp.array(counters[5:])), 20)
    assert np.concatenate(found).tolist() == threefry_2x32(key, counters).tolist()


def test_chances_have_their_probability_and_no_neighbours():
    hits = np.asarray(bernoulli(jax.random.key(3), jnp.arange(64), (50, 80), 0.7)) - 0.7
    n, deviation = hits.size, np.sqrt(0.7 * 0.3)
    assert abs(hits.mean()) < 4 * deviation / np.sqrt(n)
    for shift, axis in ((1, 0), (1, 1), (1, 2), (7, 2), (32, 0)):
        product = (hits * np.roll(hits, shift, axis)).mean() / deviation**2
        assert abs(product) < 4 / np.sqrt(n)
    other = (
        np.asarray(bernoulli(jax.random.key(4), jnp.arange(64), (50, 80), 0.7)) - 0.7
    )
    assert abs((hits * other).mean()) / deviation**2 < 4 / np.sqrt(n)


def test_an_example_keeps_its_chances_whatever_stands_beside_it():
    key = jax.random.key(5)
    whole = bernoulli(key, jnp.arange(8), (6, 7), 0.3)
    parts = [bernoulli(key, jnp.array([i, i + 4]), (6, 7), 0.3) for i in range(4)]
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(part, whole[np.array([i, i + 4])])
