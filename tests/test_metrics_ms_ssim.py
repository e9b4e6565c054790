"""MS-SSIM against an implementation with scipy, and similarities that are known."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from jaxgan.errors import UsageError
from jaxgan.metrics.ms_ssim import (
    ms_ssim,
    pair_similarity,
    scales_of,
    unordered_pair,
)


def smooth(seed, n, height, width, channels=1):
    """Smooth images in [-1, 1]."""
    x = np.random.default_rng(seed).normal(size=(n, height, width, channels))
    x = scipy.ndimage.gaussian_filter(x, (0, 3, 3, 0), mode="wrap")
    return (np.tanh(x / x.std())).astype(np.float32)


def noise(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def by_scipy(a, b):
    """The formula of the paper for two channels `[H, W]`, in float64."""
    a, b = ((x.astype(np.float64) + 1) / 2 for x in (a, b))
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[
        : scales_of((1, *a.shape))
    ]
    weights = weights / weights.sum()
    size = min(11, *a.shape)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    window = np.exp(-(x**2 + y**2) / (2 * (1.5 * size / 11) ** 2))
    window /= window.sum()

    def mean(image):
        return scipy.signal.convolve2d(image, window, mode="valid")

    result = 1.0
    for i, weight in enumerate(weights):
        va, vb = (mean(z * z) - mean(z) ** 2 for z in (a, b))
        cov = mean(a * b) - mean(a) * mean(b)
        value = (2 * cov + 0.0009) / (va + vb + 0.0009)
        if i == len(weights) - 1:
            value *= (2 * mean(a) * mean(b) + 0.0001) / (
                mean(a) ** 2 + mean(b) ** 2 + 0.0001
            )
        result *= max(value.mean(), 0) ** weight
        a, b = (
            scipy.ndimage.uniform_filter(z, 2, origin=-1)[:-1:2, :-1:2] for z in (a, b)
        )
    return result


@pytest.mark.parametrize(
    ("height", "width"), [(7, 9), (11, 11), (28, 28), (45, 64), (180, 176)]
)
def test_it_is_the_formula_in_scipy(height, width):
    a = smooth(0, 2, height, width, 3)
    b = np.clip(0.8 * a + 0.2 * smooth(1, 2, height, width, 3) + 0.1, -1, 1)
    want = [
        np.mean([by_scipy(x[..., c], y[..., c]) for c in range(3)])
        for x, y in zip(a, b, strict=True)
    ]
    got = ms_ssim(a, b)
    assert got.shape == (2,)
    np.testing.assert_allclose(got, want, rtol=2e-4)
    assert 0.2 < min(want) < max(want) < 0.99


def test_scales_fit_the_window():
    sides = {10: 1, 11: 1, 22: 2, 28: 2, 32: 2, 44: 3, 64: 3, 88: 4, 128: 4, 176: 5}
    assert {side: scales_of((1, side, 999, 1)) for side in sides} == sides


@pytest.mark.parametrize("side", [5, 28, 64])
def test_equal_images_are_one(side):
    a = smooth(0, 4, side, side, 3)
    assert (np.asarray(ms_ssim(a, a)) == 1).all()
    black = -np.ones((2, side, side, 1))
    assert (np.asarray(ms_ssim(black, black)) == 1).all()
    np.testing.assert_allclose(ms_ssim(a, a[::-1]), ms_ssim(a[::-1], a), rtol=1e-4)


def test_a_negative_is_not_similar():
    a = smooth(0, 3, 28, 28)
    assert (np.asarray(ms_ssim(a, -a)) == 0).all()


def test_a_change_of_luminance_by_hand():
    # equal pixels: structure 1 at all scales, and luminance at the last one
    dark, light = np.full((1, 28, 28, 1), -0.6), np.full((1, 28, 28, 1), 0.2)
    means = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    want = means ** (0.2856 / (0.0448 + 0.2856))
    np.testing.assert_allclose(ms_ssim(dark, light), want, rtol=1e-4)


def test_more_noise_is_less_similar():
    a = 0.5 * smooth(0, 4, 32, 32)
    found = [
        float(np.mean(ms_ssim(a, np.clip(a + s * noise(1, *a.shape), -1, 1))))
        for s in (0.0, 0.02, 0.1, 0.3)
    ]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.7 < found[1]


def test_all_pairs_of_few_images():
    images = smooth(0, 5, 16, 16)
    pairs = [(i, j) for i in range(5) for j in range(i)]
    values = [float(ms_ssim(images[[i]], images[[j]])[0]) for i, j in pairs]
    got = pair_similarity(images, pairs=10)
    assert got == pytest.approx((np.mean(values), np.std(values), 1), rel=1e-5)


def test_batches_are_filled_up_without_effect(monkeypatch):
    images = smooth(0, 12, 11, 11)
    want = pair_similarity(images, pairs=50, seed=1)
    monkeypatch.setattr("jaxgan.metrics.ms_ssim.BATCH", 16)
    got = pair_similarity(images, pairs=50, seed=1)
    assert got == pytest.approx(want, rel=1e-5)
    assert pair_similarity(images, pairs=50, seed=2) != got


def test_collapse_is_similar_and_variety_is_not():
    one = np.tile(smooth(0, 1, 28, 28), (6, 1, 1, 1))
    assert pair_similarity(one, pairs=9) == (1.0, 0.0, 2)
    two = np.concatenate([one[:3], smooth(1, 3, 28, 28)])
    assert pair_similarity(two, pairs=15).mean < 0.8


def test_pairs_are_distinct_and_of_two_images():
    first, second = unordered_pair(np.arange(4950))
    assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == 4950
    assert (first > second).all()
    assert (first.max(), second.min()) == (99, 0)
    # of very many images, whose pairs need all bits of a float64
    n = 90_000_000
    ends = np.array([n * (n - 1) // 2 - 1, n * (n - 1) // 2])
    first, second = unordered_pair(ends)
    assert first.tolist() == [n - 1, n]
    assert second.tolist() == [n - 2, 0]


def test_bad_input():
    images = smooth(0, 4, 8, 8)
    with pytest.raises(UsageError, match="7 of 6 pairs of 4 images; use 1 to 6"):
        pair_similarity(images, pairs=7)
    for bad, text in (
        (images[:1], "one image has no pairs"),
        (images[:0], "n > 1, not"),
        (images[0], r"must be \[n, H, W, C\]"),
        (np.minimum(1.5 * images, 1), r"in \[-1, 1\], not \[-1.\d+, 1\]"),
        (np.nan * images, "not .nan, nan"),
        ((images + 2).astype(np.uint8), r"in \[-1, 1\], not"),
    ):
        with pytest.raises(UsageError, match=text):
            pair_similarity(bad, pairs=1)
