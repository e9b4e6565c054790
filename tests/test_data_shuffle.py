import numpy as np
import pytest

from jaxgan.data import epoch_order, step_indices, steps_per_epoch
from jaxgan.errors import UsageError

M64 = 2**64 - 1


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10, from Salmon et al. (2011)."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * c0, 2**64)
        high1, low1 = divmod(0xCA5A826395121157 * c2, 2**64)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & M64, (k1 + 0xBB67AE8584CAA73B) & M64
    return [c0, c1, c2, c3]


def test_our_philox_gives_the_published_answer():
    assert philox([0, 0, 0, 0], [0, 0])[0] == 0x16554D9ECA36314C


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (7, 3), (2**40, 1), (-1, 0)])
def test_epoch_order_sorts_the_words_of_philox(seed, epoch):
    words = []
    for block in range(1, 6):  # numpy counts from 1
        words += philox([block, 0, 0, 0], [seed % 2**64, epoch])
    want = sorted(range(18), key=words.__getitem__)
    np.testing.assert_array_equal(epoch_order(seed, epoch, 18), want)


def test_epoch_order_is_a_permutation_that_depends_on_seed_and_epoch():
    orders = [epoch_order(s, e, 1000) for s, e in [(0, 0), (0, 1), (1, 0)]]
    for order in orders:
        assert order.dtype == np.int32
        np.testing.assert_array_equal(np.sort(order), np.arange(1000))
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        assert (orders[a] == orders[b]).mean() < 0.01


def test_epoch_order_cannot_be_spoilt_by_its_reader():
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(0, 0, 10)[0] = 1


def test_no_example_repeats_within_an_epoch_and_the_remainder_changes():
    size, updates, batch = 103, 2, 5
    steps = steps_per_epoch(size, updates, batch)
    assert steps == 10
    left_out = []
    for epoch in range(3):
        numbers = np.concatenate(
            [
                step_indices(s, seed=4, size=size, updates=updates, batch=batch).ravel()
                for s in range(epoch * steps, (epoch + 1) * steps)
            ]
        )
        assert len(np.unique(numbers)) == 100
        left_out.append(set(range(size)) - set(numbers.tolist()))
    assert len(set(map(frozenset, left_out))) == 3


def test_step_indices_are_consecutive_pieces_of_the_order():
    numbers = step_indices(12, seed=3, size=103, updates=2, batch=5)  # epoch 1, step 2
    want = epoch_order(3, 1, 103)[20:30].reshape(2, 5)
    np.testing.assert_array_equal(numbers, want)


def test_step_indices_take_numpy_steps():
    step = np.asarray(3, np.int32)
    a = step_indices(step, seed=0, size=64, updates=1, batch=8)  # type: ignore
    b = step_indices(3, seed=0, size=64, updates=1, batch=8)
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("size", "updates", "batch", "message"),
    [
        (100, 1, 128, "--batch_size=128 needs .* the 100 .* use --batch_size=100"),
        (100, 5, 32, "--batch_size=32 x 5 updates .* use --batch_size=20"),
        (3, 5, 1, "--batch_size=1 x 5 updates needs more than the 3 examples"),
    ],
)
def test_a_batch_larger_than_the_set_is_refused(size, updates, batch, message):
    with pytest.raises(UsageError, match=message):
        steps_per_epoch(size, updates, batch)
