"""Previews of translated images: columns of other sizes, masks, and their animation."""

import numpy as np
import pytest
from PIL import Image, ImageSequence
from test_image_similarity import images

from jaxgan import reporting
from jaxgan.reporting import animation
from jaxgan.reporting.animation import save_animation
from jaxgan.reporting.images import enlarged

SHAPE = (3, 16, 24, 3)


def scaled(x):
    return np.float32(x / 127.5 - 1)


def test_smaller_columns_are_enlarged_to_the_largest():
    real = images(SHAPE)
    source, mask = real[:, ::2, ::2], np.zeros((*SHAPE[:3], 1), np.float32)
    mask[:, 4:8] = 1
    # out of order
    columns = {"real": scaled(real), "fake": scaled(255 - real)}
    columns |= {"mask": mask, "source": scaled(source)}
    picture = reporting.picture_of_columns(columns, None)
    assert picture.columns == ("source", "mask", "fake", "real")
    layout = picture.layout
    assert layout is not None
    assert (layout.height, layout.width, layout.count) == (16, 4 * 24, 3)
    first = picture.pixels[2:18, 2 : 2 + 96]
    parts = np.split(first, 4, axis=1)
    np.testing.assert_array_equal(parts[0], source[0].repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(parts[2], 255 - real[0])
    np.testing.assert_array_equal(parts[3], real[0])
    # holes are white, and all else is black
    assert (parts[1][4:8] == 255).all()
    assert (np.delete(parts[1], np.s_[4:8], 0) == 0).all()


def test_other_columns_stand_before_the_fakes():
    one = images(SHAPE)
    names = ["fake", "bicubic", "real", "lanczos", "source"]
    picture = reporting.picture_of_columns(dict.fromkeys(names, one), None)
    assert picture.columns == ("source", "bicubic", "lanczos", "fake", "real")


def test_pixels_are_repeated_and_the_form_is_kept():
    one = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    got = enlarged(one, (5, 7))[0, ..., 0]
    # by 7 / 3: the middle of a pixel is in the right one
    assert got.shape == (5, 7)
    assert got[0].tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert got[:, 0].tolist() == [0, 0, 0, 3, 3]
    assert enlarged(one, (8, 30)).shape == (1, 8, 12, 1)
    # gray beside colors, with white below
    columns = {"source": one, "fake": np.zeros((1, 8, 9, 3), np.uint8)}
    pixels = reporting.picture_of_columns(columns, None).pixels
    layout = reporting.layout((1, 8, 18, 3))
    assert pixels.shape[:2] == (layout.height + 4, layout.width + 4)
    left = pixels[2 : 2 + layout.height, 2 : 2 + layout.width // 2]
    assert (left[6 * layout.height // 8 :] == 255).all()
    assert (left[: 6 * layout.height // 8] < 6).all()


def previews(folder, steps, columns=("source", "fake", "real"), shape=SHAPE):
    """Pictures of a run whose fakes get brighter."""
    paths = []
    for step in steps:
        real = images(shape)
        shown = dict.fromkeys(columns, real)
        shown["fake"] = np.full(shape, 3 * (step % 80), np.uint8)
        picture = reporting.picture_of_columns(shown, None)._replace(step=step)
        paths.append(folder / f"step_{step:08}.png")
        reporting.save_png(paths[-1], picture)
    return paths


def test_an_animation_has_a_frame_per_picture(tmp_path):
    paths = previews(tmp_path, [0, 10, 20])
    assert save_animation(paths[::-1], tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        frames = [np.asarray(x.convert("RGB")) for x in ImageSequence.Iterator(gif)]
        durations = [x.info["duration"] for x in ImageSequence.Iterator(gif)]
    assert len(frames) == 3
    assert durations == [animation.EACH, animation.EACH, animation.LAST]
    for step, pixels in zip((0, 10, 20), frames, strict=True):
        # the first tile's fake: after the title, the gap and the source
        fake = pixels[animation.TITLE + 2 :][:16, 2 + 24 : 2 + 48]
        np.testing.assert_allclose(fake, 3 * step, atol=4)


def test_an_animation_is_small(tmp_path, monkeypatch):
    monkeypatch.setattr(animation, "FRAMES", 5)
    monkeypatch.setattr(animation, "SIDE", 90)
    # 20 tiles that are wider than a frame
    paths = previews(tmp_path, range(0, 80, 2), shape=(20, 40, 40, 3))
    assert save_animation(paths, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 5  # type: ignore[attr-defined]
        # one tile of 3 x 40 pixels, made smaller; the title needs more
        assert gif.height <= 90 + animation.TITLE
        assert gif.width < 200


@pytest.mark.parametrize(
    ("steps", "columns"), [([0], ("source", "fake")), ([0, 9], ("fake", "other"))]
)
def test_nothing_to_animate(tmp_path, steps, columns):
    paths = previews(tmp_path, steps, columns)
    assert not save_animation(paths, tmp_path / "a.gif")
    assert not (tmp_path / "a.gif").exists()


def test_a_run_writes_its_animation(tmp_path):
    (tmp_path / "samples").mkdir()
    previews(tmp_path / "samples", [0, 5])
    reporting.summarize(tmp_path)
    assert {x.name for x in tmp_path.iterdir()} >= {"progress.png", "translation.gif"}
