"""Baselines of image-to-image tasks: by hand, and equal to scikit-image's."""

import numpy as np
import pytest
import super_resolution
from PIL import Image
from test_image_similarity import images

from jaxgan.metrics.baselines import BASELINES, Inputs, baselines_for, with_channels
from jaxgan.metrics.features.resize import weights

SHAPE = (16, 12, 3)
TARGETS = 255 - images((5, *SHAPE), seed=3)


def inputs(source=None, mask=None, shape=SHAPE):
    source = images((2, *SHAPE)) if source is None else source
    return Inputs(source, shape, TARGETS, mask)


def apply(name, given):
    out = BASELINES[name].apply(given)
    assert out.dtype == np.uint8
    assert out.shape == (len(given.source), *given.shape)
    return out


def holes():
    mask = np.zeros((2, 16, 12, 1), bool)
    mask[0, 5:9, 4:8] = True
    mask[1, 2:4] = True
    return mask


@pytest.mark.parametrize("name", ["nearest", "bicubic", "lanczos"])
def test_resizers_are_pillows(name):
    small = images((2, 4, 3, 3))
    got = apply(name, inputs(small))
    how = getattr(Image.Resampling, name.upper())
    for one, large in zip(small, got, strict=True):
        expected = Image.fromarray(one).resize((12, 16), how)
        np.testing.assert_array_equal(large, np.asarray(expected))


def test_identity_has_the_size_and_the_channels_of_targets():
    source = images((2, *SHAPE))
    assert apply("identity", inputs(source)) is source
    np.testing.assert_array_equal(
        apply("identity", inputs(source[:, ::2, ::2])),
        source[:, ::2, ::2].repeat(2, 1).repeat(2, 2),
    )
    gray = apply("identity", inputs(source[..., :1]))
    np.testing.assert_array_equal(gray, source[..., :1].repeat(3, -1))
    # black, white and opacity
    colors = np.array([[0, 0, 0, 9], [255, 255, 255, 9]], np.uint8)[None, None]
    assert with_channels(colors, 1).ravel().tolist() == [0, 255]
    assert with_channels(colors, 3).tolist() == colors[..., :3].tolist()
    assert with_channels(colors[..., :3], 4)[..., 3].tolist() == [[[255, 255]]]


def test_the_mean_image_has_the_least_squared_error():
    got = apply("mean_image", inputs())
    np.testing.assert_array_equal(got[0], got[1])
    error = ((TARGETS - got[0].astype(float)) ** 2).sum(0)
    for step in (-1, 1):
        assert (error <= ((TARGETS - (got[0] + float(step))) ** 2).sum(0)).all()


def test_histogram_matching_is_scikit_images():
    from skimage.exposure import match_histograms

    given = inputs()._replace(targets=TARGETS[:1])
    for image, got in zip(
        given.source, apply("histogram_matching", given), strict=True
    ):
        expected = match_histograms(
            image.astype(float), TARGETS[0].astype(float), channel_axis=-1
        )
        np.testing.assert_array_equal(got, np.round(expected))
    # of several targets it is the histogram of all: that of one image twice
    twice = given._replace(targets=TARGETS[[0, 0]])
    np.testing.assert_array_equal(
        apply("histogram_matching", twice), apply("histogram_matching", given)
    )


@pytest.mark.parametrize("name", baselines_for(SHAPE, SHAPE, has_mask=True))
@pytest.mark.parametrize("channels", [1, 3])
def test_holes_are_filled_and_known_pixels_stay(name, channels):
    if BASELINES[name].module:
        pytest.importorskip(BASELINES[name].module)
    # a plain color is continued
    plain = np.full((2, 16, 12, channels), 90, np.uint8)
    mask = holes()
    given = inputs(np.where(mask, 0, plain).astype(np.uint8), mask, plain.shape[1:])
    np.testing.assert_allclose(apply(name, given), plain, atol=2)
    # a ramp is filled with values between its ends
    ramp = np.broadcast_to(
        np.linspace(20, 200, 12).astype(np.uint8)[:, None], plain.shape
    )
    given = given._replace(source=np.where(mask, 0, ramp).astype(np.uint8))
    got = apply(name, given)
    np.testing.assert_array_equal(np.where(mask, 0, got), np.where(mask, 0, ramp))
    assert abs(got[0, 5:9, 4:8].mean() - ramp[0, 5:9, 4:8].mean()) < 25
    if name == "biharmonic":  # a linear function is biharmonic
        np.testing.assert_allclose(got[0], ramp[0], atol=2)
    # an image without known pixels stays as it is, and so does one without holes
    every = np.ones_like(mask)
    every[1] = False
    np.testing.assert_array_equal(apply(name, given._replace(mask=every)), given.source)


def test_the_mean_of_known_pixels():
    source = np.zeros((1, 2, 2, 3), np.uint8)
    source[0, 0] = [[10, 20, 30], [20, 30, 41]]
    mask = np.array([[[[False], [False]], [[True], [True]]]])
    got = apply("mean_fill", Inputs(source, (2, 2, 3), TARGETS, mask))
    assert got[0, 1].tolist() == [[15, 25, 36]] * 2


def test_baselines_of_columns():
    assert baselines_for((8, 12, 3), SHAPE) == ["nearest", "bicubic", "lanczos"]
    names = ["identity", "mean_image", "histogram_matching"]
    assert baselines_for(SHAPE, SHAPE) == names
    assert baselines_for((32, 32, 3), SHAPE, aligned=False) == [names[0], names[2]]
    assert "biharmonic" in baselines_for(SHAPE, SHAPE, has_mask=True)
    assert BASELINES["identity"].is_installed
    assert not BASELINES["telea"]._replace(module="no_such_module").is_installed


# The table of super-resolution papers, whose pictures are not here


def test_pictures_are_made_smaller_by_an_antialiased_cubic_filter():
    picture = images((1, 29, 38, 3))[0]
    real = super_resolution.cropped(picture, 4)
    assert real.shape == (28, 36, 3)
    small = super_resolution.downscaled(real, 4)
    rows, columns = weights(28, 7), weights(36, 9)
    expected = np.einsum("ih,jw,hwc->ijc", rows, columns, real)
    np.testing.assert_allclose(small, expected.clip(0, 255), atol=1.01)


def test_a_method_is_judged_by_luma_inside_of_the_border():
    picture = images((1, 30, 37, 3))[0]
    seen = []

    def add(values):
        def upscale(small, shape):
            seen.append(small.shape)
            whole = super_resolution.cropped(picture, 4).astype(int)
            return (whole + values).clip(0, 255).astype(np.uint8)

        return super_resolution.judge(picture, 4, upscale)

    border = np.zeros((28, 36, 3), int)
    border[:4] = border[:, -4:] = 50
    assert add(border)["psnr"] > 80
    assert seen == [(7, 9, 3)]
    # one more in green alone: 128.553 / 255 of luma
    green = add(np.array([0, 1, 0]))
    assert green["psnr"] == pytest.approx(20 * np.log10(255 * 255 / 128.553), abs=0.01)
    assert green["psnr_rgb"] == pytest.approx(10 * np.log10(255**2 * 3), abs=0.01)


def test_gray_pictures_stay_gray(tmp_path):
    for mode, channels in (("L", 1), ("RGB", 3), ("RGBA", 3), ("P", 3)):
        Image.new(mode, (9, 8)).save(tmp_path / "a.png")
        assert super_resolution.read(tmp_path / "a.png").shape == (8, 9, channels)
