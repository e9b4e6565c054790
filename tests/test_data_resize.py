import numpy as np
import pytest
from PIL import Image

from jaxgan.data.resize import Frame, fit, fit_array, framed_size, parse_frame
from jaxgan.errors import UsageError

COUNT = np.arange(24, dtype=np.uint8).reshape(4, 6)


def framed(
    image: np.ndarray, image_size: str | None, crop: str = "center"
) -> np.ndarray:
    return fit(parse_frame(image_size, crop), Image.fromarray(image))


def test_without_flags_a_picture_stays_as_it_is():
    np.testing.assert_array_equal(framed(COUNT, None)[..., 0], COUNT)
    rgb = np.stack([COUNT] * 3, -1)
    np.testing.assert_array_equal(framed(rgb, None), rgb)


@pytest.mark.parametrize(
    ("image_size", "crop", "want"),
    [
        ("4", "center", COUNT[:, 1:5]),  # the largest square
        ("2x6", "center", COUNT[1:3]),  # the largest of 1 : 3
        ("4x2", "4x2", COUNT[:, 2:4]),
        (None, "2", COUNT[1:3, 2:4]),
        (None, "2x4", COUNT[1:3, 1:5]),
    ],
)
def test_crops_without_resizing(image_size, crop, want):
    np.testing.assert_array_equal(framed(COUNT, image_size, crop)[..., 0], want)


def test_none_squeezes_and_center_does_not():
    """Left third black, the rest white: squeezed, the edge stays at a third."""
    image = np.full((60, 180), 255, np.uint8)
    image[:, :60] = 0
    squeezed = framed(image, "30", "none")[15, :, 0]
    np.testing.assert_array_equal(squeezed > 127, np.arange(30) >= 10)
    assert framed(image, "30", "center")[15, 5:, 0].min() > 250  # starts at the edge


def test_shrinking_averages_and_does_not_skip():
    """A fine checkerboard becomes gray; picking every other pixel would not."""
    checkers = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    gray = framed(checkers, "16")[2:-2, 2:-2, 0]
    assert np.abs(gray.astype(int) - 127.5).max() < 2


def test_enlarging_a_ramp_gives_a_ramp():
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (16, 1))
    fine = framed(ramp, "32")[16, 6:-6, 0].astype(float)
    np.testing.assert_allclose(np.diff(fine), 5, atol=1)


def test_sixteen_bits_survive_resizing():
    deep = np.full((8, 8), 40_001, np.uint16)
    deep[:, 4:] = 65_535
    out = framed(deep, "4")
    assert out.dtype == np.uint16
    assert out.shape == (4, 4, 1)
    assert abs(int(out[2, 0, 0]) - 40_001) < 1500
    assert out[2, 3, 0] > 64_000  # clipped, not wrapped around


def test_transparent_colours_do_not_bleed():
    image = np.zeros((8, 8, 4), np.uint8)
    image[:, :4] = [255, 0, 0, 255]
    image[:, 4:] = [0, 255, 0, 0]  # invisible green
    out = framed(image, "4")
    visible = out[..., 3] > 10
    assert out[visible][:, 1].max() == 0


def test_arrays_are_framed_channel_by_channel():
    image = np.random.default_rng(0).integers(0, 255, (9, 12, 3)).astype(np.uint8)
    frame = Frame((5, 5))
    np.testing.assert_array_equal(
        fit_array(frame, image), fit(frame, Image.fromarray(image))
    )
    assert fit_array(frame, image[..., :2].astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("image_size", "crop", "message"),
    [
        ("x", "center", r"--image_size=x is not a size: use 64, or 48x64"),
        ("-4", "center", "--image_size=-4 is not a size"),
        ("0", "center", "--image_size=0 is not a size: each side must be from 1"),
        ("64x", "center", "--image_size=64x is not a size"),
        ("99999", "center", "each side must be from 1 to 32768"),
        ("64", "middle", "--crop=middle is not center, none or a size"),
        (None, "0x4", "--crop=0x4"),
    ],
)
def test_sizes_that_make_no_sense(image_size, crop, message):
    with pytest.raises(UsageError, match=message):
        parse_frame(image_size, crop)


def test_a_crop_larger_than_the_picture():
    with pytest.raises(
        UsageError, match=r"--crop=108x108 .* 218x100: .*--crop=108x100"
    ):
        framed_size(parse_frame("64", "108"), (218, 100))


def test_a_very_long_picture_keeps_at_least_one_pixel():
    assert framed(np.zeros((1, 400), np.uint8), "100x2").shape == (100, 2, 1)


def behind_glass(dtype, hidden):
    """A ramp, opaque on the left; on the right transparent, of a hidden color."""
    low, high = (-1, 1) if dtype == np.float32 else (0, np.iinfo(dtype).max)
    image = np.zeros((16, 16, 4))
    image[..., :3] = np.linspace(0.2, 0.8, 16)[:, None, None]
    image[:, 8:, :3] = hidden
    image[:, :8, 3] = 1
    image = low + image * (high - low)
    return (image if low else np.rint(image)).astype(dtype), low, high


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_hidden_colors_do_not_show_at_the_edges(dtype):
    frame = Frame((8, 8), "none")
    white, low, high = behind_glass(dtype, 1)
    black = behind_glass(dtype, 0)[0]
    for hidden in (white, black):
        parts = (fit_array(frame, hidden) - float(low)) / (high - low)
        # what one sees is the opaque side's color, by the share that is opaque
        alpha, ramp = parts[..., 3:], parts[:, :1, :3]
        seen = parts[..., :3] * alpha
        np.testing.assert_allclose(seen, ramp * alpha, atol=4 / 255)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_opaque_colors_are_resized_as_without_alpha(dtype):
    image = behind_glass(dtype, 1)[0]
    image[..., 3] = image.max()
    frame = Frame((8, 8), "none")
    got, want = fit_array(frame, image), fit_array(frame, image[..., :3].copy())
    top = 1 if dtype == np.float32 else 65535
    want = np.clip(want, -top, top)
    np.testing.assert_allclose(got[..., :3] / top, want / top, atol=2e-5)


def test_a_crop_keeps_hidden_colors():
    image = behind_glass(np.uint8, 1)[0]
    np.testing.assert_array_equal(
        fit_array(Frame(None, (8, 8)), image), image[4:12, 4:12]
    )
