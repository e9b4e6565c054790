"""L1, PSNR and SSIM: by hand, and equal to scikit-image's."""

import numpy as np
import pytest

from jaxgan.data.kinds import as_8_bit
from jaxgan.errors import UsageError
from jaxgan.metrics import image_similarity
from jaxgan.metrics.image_similarity import finite_psnr, l1, luma, psnr, ssim


def images(shape, seed=0):
    """Smooth colors with noise, uint8 `[n, H, W, C]`."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 150, shape[2])[:, None]
    return (ramp + rng.integers(0, 100, shape)).astype(np.uint8)


def pair(shape=(3, 20, 17, 3)):
    real = images(shape)
    noise = np.random.default_rng(1).integers(-40, 40, shape)
    return real, (real.astype(int) + noise).clip(0, 255).astype(np.uint8)


def test_floats_are_rounded_to_the_8_bit_values_that_they_would_be_saved_as():
    real, fake = pair()
    for x in (real, fake):
        np.testing.assert_array_equal(
            as_8_bit(np.asarray(x / 127.5 - 1, np.float32)), x
        )
        np.testing.assert_array_equal(as_8_bit(x.astype(np.uint16) * 257), x)
    # half a value more is the same image
    near = (fake + 0.4) / 127.5 - 1
    for metric in (l1, psnr, ssim):
        np.testing.assert_array_equal(metric(real, near), metric(real, fake))


def test_l1_and_psnr_by_hand():
    real = np.full((2, 4, 4, 3), 100, np.uint8)
    fake = real.copy()
    fake[0, :2] += 10  # half of the pixels
    fake[1, 0, 0, 0] = 0
    assert l1(real, fake).tolist() == [5.0, pytest.approx(100 / 48)]
    expected = [10 * np.log10(255**2 / x) for x in (50, 100**2 / 48)]
    np.testing.assert_allclose(psnr(real, fake), expected)
    # the last rows and the corner are cut off
    np.testing.assert_array_equal(psnr(real, fake, border=1)[1], np.inf)
    inner = 10 * np.log10(255**2 / 50)
    assert psnr(real, fake, border=1)[0] == pytest.approx(inner)


def test_holes_alone():
    real, fake = pair()
    mask = np.zeros((3, 20, 17, 1), np.float32)
    mask[0, 4:9, 2:7] = 1
    mask[1, :, :8] = 1
    got = l1(real, fake, mask=mask), psnr(real, fake, mask=mask)
    for i, hole in enumerate([np.s_[4:9, 2:7], np.s_[:, :8]]):
        a, b = real[i : i + 1][:, *hole], fake[i : i + 1][:, *hole]
        assert got[0][i] == pytest.approx(l1(a, b)[0])
        assert got[1][i] == pytest.approx(psnr(a, b)[0])
    # without a hole there is nothing to compare
    assert np.isnan([x[2] for x in got]).all()
    # a mask is cut with its image
    assert np.isnan(psnr(real, fake, mask=mask, border=8)[0])
    with pytest.raises(UsageError, match="does not fit images"):
        l1(real, fake, mask=mask[:, :5])


def test_equal_images_have_a_mean():
    real, fake = pair()
    fake[1] = real[1]
    values = psnr(real, fake)
    assert np.isposinf(values).tolist() == [False, True, False]
    # at least as large as that of any other image
    one = real.copy()
    one[1, 0, 0, 0] += 1
    assert finite_psnr(values, real[0].size)[1] == pytest.approx(psnr(real, one)[1])
    assert np.isnan(finite_psnr(np.array([np.nan]), 5)).all()


def test_luma_is_that_of_studio_swing():
    from skimage.color import rgb2ycbcr

    real, fake = pair()
    np.testing.assert_allclose(luma(real)[..., 0], rgb2ycbcr(real)[..., 0], atol=1e-9)
    # gray stays, and its weights have the sum of 219
    assert luma(real[..., :1]).tolist() == real[..., :1].tolist()
    shifted = real.copy()
    shifted[...] = 17
    plain = np.full_like(real, 7)
    expected = 10 * np.log10(255**2 / (10 * 219 / 255) ** 2)
    np.testing.assert_allclose(psnr(shifted, plain, channel="y"), expected)
    with pytest.raises(UsageError, match="2 channels have no luma"):
        psnr(real[..., :2], fake[..., :2], channel="y")


def test_psnr_is_scikit_images():
    from skimage.metrics import peak_signal_noise_ratio

    real, fake = pair()
    expected = [peak_signal_noise_ratio(*x) for x in zip(real, fake, strict=True)]
    np.testing.assert_allclose(psnr(real, fake), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 20, 17, 3), (2, 11, 40, 1)])
@pytest.mark.parametrize("window", ["uniform", "gaussian"])
def test_ssim_is_scikit_images(shape, window, monkeypatch):
    from skimage.metrics import structural_similarity

    own = {"gaussian_weights": True, "use_sample_covariance": False, "sigma": 1.5}
    own = own if window == "gaussian" else {}
    real, fake = pair(shape)
    expected = np.array(
        [
            structural_similarity(a, b, channel_axis=-1, data_range=255, **own)
            for a, b in zip(real, fake, strict=True)
        ]
    )
    assert 0.05 < expected.min() < expected.max() < 0.95
    np.testing.assert_allclose(ssim(real, fake, window=window), expected, atol=1e-9)
    # some at a time
    monkeypatch.setattr(image_similarity, "AT_ONCE", 1)
    np.testing.assert_allclose(ssim(real, fake, window=window), expected, atol=1e-9)
    np.testing.assert_allclose(ssim(real, real, window=window), 1)


def test_ssim_of_luma_without_the_border():
    from skimage.metrics import structural_similarity

    real, fake = pair()
    for i, value in enumerate(ssim(real, fake, channel="y", border=4)):
        a, b = (luma(x[i, 4:-4, 4:-4])[..., 0] for x in (real, fake))
        expected = structural_similarity(a, b, data_range=255)
        assert value == pytest.approx(expected, abs=1e-9)


def test_no_images_have_no_values():
    none = np.zeros((0, 16, 16, 3), np.uint8)
    for metric in (l1, psnr, ssim):
        assert metric(none, none).shape == (0,)


@pytest.mark.parametrize(
    ("metric", "shapes", "settings", "message"),
    [
        (l1, [(2, 8, 8, 3), (2, 8, 8, 1)], {}, "are no pairs"),
        (l1, [(8, 8, 3), (8, 8, 3)], {}, "are no pairs"),
        (psnr, [(2, 8, 8, 3)] * 2, {"border": 4}, "border=4: images of 8 x 8"),
        (psnr, [(2, 8, 8, 3)] * 2, {"border": -1}, "border=-1"),
        (psnr, [(2, 8, 8, 3)] * 2, {"channel": "Y"}, "no channel 'Y'"),
        (ssim, [(2, 30, 6, 3)] * 2, {}, "30 x 6 pixels are smaller than the uniform"),
        (ssim, [(2, 9, 9, 3)] * 2, {"border": 2}, "5 x 5 pixels are smaller"),
        (ssim, [(2, 9, 9, 3)] * 2, {"window": "gaussian"}, "gaussian window of 11"),
        (ssim, [(2, 9, 9, 3)] * 2, {"window": "box"}, "no window 'box'"),
    ],
)
def test_what_cannot_be_compared(metric, shapes, settings, message):
    with pytest.raises(UsageError, match=message):
        metric(*(np.zeros(shape, np.uint8) for shape in shapes), **settings)
