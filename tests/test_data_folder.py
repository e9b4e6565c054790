import warnings

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.errors import UsageError

RANDOM = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape).astype(np.uint8)


def save(path, image: np.ndarray | Image.Image, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    picture.save(path, **options)


def load(path, **options) -> data.Dataset:
    return data.load(f"folder:{path}", **options)


def test_a_flat_folder_has_no_labels_and_is_sorted(tmp_path):
    images = {name: noise(5, 7) for name in ("b.png", "a.bmp", "c.tif", "d.PNG")}
    for name, image in images.items():
        save(tmp_path / name, image)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_text("neither")
    dataset = load(tmp_path)
    assert (dataset.size, dataset.shape, dataset.classes) == (4, (5, 7, 1), ())
    assert not dataset.resident
    out = data.read_all(dataset)
    assert set(out) == {"image"}
    for row, name in zip(out["image"], sorted(images), strict=True):
        np.testing.assert_array_equal(row[..., 0], images[name])


def test_first_level_folders_are_the_classes(tmp_path):
    for name in ("dogs/1.png", "cats/deep/2.png", "cats/1.png", "ants/9.png"):
        save(tmp_path / name, noise(4, 4, 3))
    dataset = load(tmp_path)
    assert dataset.classes == ("ants", "cats", "dogs")
    labels = dataset.read(np.arange(4))["label"]
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, [0, 1, 1, 2])


MODES = {
    "L": ("L", 1),
    "1": ("L", 1),
    "RGB": ("RGB", 3),
    "RGBA": ("RGBA", 4),
    "LA": ("RGBA", 4),
    "P": ("RGB", 3),
    "CMYK": ("RGB", 3),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_one_of_three(tmp_path, mode):
    want, channels = MODES[mode]
    picture = Image.fromarray(noise(6, 4, 3)).convert(mode)
    save(tmp_path / ("x.tif" if mode == "CMYK" else "x.png"), picture)
    dataset = load(tmp_path)
    assert (dataset.shape, dataset.dtype) == ((6, 4, channels), np.uint8)
    out = dataset.read(np.array([0]))["image"][0]
    np.testing.assert_array_equal(
        out.squeeze(), np.asarray(picture.convert(want)).squeeze()
    )


def test_a_palette_with_a_transparent_colour_keeps_it(tmp_path):
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    save(tmp_path / "x.gif", picture, transparency=0)
    dataset = load(tmp_path)
    assert dataset.shape == (4, 4, 4)
    assert (dataset.read(np.array([0]))["image"][..., 3] == 0).all()


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
def test_lossy_formats(tmp_path, suffix):
    save(tmp_path / f"x.{suffix}", np.full((8, 8, 3), 77, np.uint8))
    out = load(tmp_path).read(np.array([0]))["image"]
    np.testing.assert_allclose(out, 77, atol=3)


def test_cameras_held_on_their_side(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image = np.zeros((8, 24), np.uint8)
    image[:, :8] = 255
    save(tmp_path / "x.jpg", image, exif=exif, quality=100)
    dataset = load(tmp_path)
    assert dataset.shape == (24, 8, 1)
    column = dataset.read(np.array([0]))["image"][0, :, 4, 0]
    np.testing.assert_array_equal(column > 127, np.arange(24) < 8)


def test_a_mixture_is_read_as_the_widest(tmp_path):
    gray, rgb = noise(3, 3), noise(3, 3, 3)
    save(tmp_path / "a.png", gray)
    save(tmp_path / "b.png", rgb)
    out = data.read_all(load(tmp_path))["image"]
    np.testing.assert_array_equal(out[0], np.stack([gray] * 3, -1))
    np.testing.assert_array_equal(out[1], rgb)
    save(tmp_path / "c.png", noise(3, 3, 4))
    out = data.read_all(load(tmp_path))["image"]
    np.testing.assert_array_equal(out[1], np.dstack([rgb, np.full((3, 3), 255)]))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_kept(tmp_path, suffix):
    deep = RANDOM.integers(0, 65536, (5, 6)).astype(np.uint16)
    save(tmp_path / f"x.{suffix}", deep)
    dataset = load(tmp_path)
    assert (dataset.shape, dataset.dtype) == ((5, 6, 1), np.uint16)
    np.testing.assert_array_equal(dataset.read(np.array([0]))["image"][0, ..., 0], deep)


def test_sixteen_bits_beside_eight_are_refused(tmp_path):
    save(tmp_path / "deep.png", np.zeros((4, 4), np.uint16))
    save(tmp_path / "flat.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(UsageError, match=r"deep\.png has 16 bits .*flat\.png has 8"):
        load(tmp_path)


def test_sizes_must_agree_or_be_made_to(tmp_path):
    save(tmp_path / "a.png", noise(8, 8))
    save(tmp_path / "b.png", noise(8, 12))
    want = r"a\.png is 8x8, .*b\.png is 8x12\); resize them with --image_size=64x64"
    with pytest.raises(UsageError, match=want):
        load(tmp_path)
    assert data.read_all(load(tmp_path, image_size="6"))["image"].shape == (2, 6, 6, 1)
    assert load(tmp_path, crop="6").shape == (6, 6, 1)
    with pytest.raises(UsageError, match=r"a\.png: --crop=8x10 is larger"):
        load(tmp_path, crop="8x10", image_size="4")


def test_folders_without_pictures(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no pictures"):
        load(tmp_path)
    save(tmp_path / "x.png", noise(2, 2))
    with pytest.raises(UsageError, match="is not a folder"):
        load(tmp_path / "x.png")
    with pytest.raises(UsageError, match=r"--split=test: .* another folder:PATH"):
        load(tmp_path, split="test")


def test_pictures_beside_class_folders_are_refused(tmp_path):
    save(tmp_path / "loose.png", noise(2, 2))
    save(tmp_path / "cats/1.png", noise(2, 2))
    with pytest.raises(UsageError, match=r"beside \(loose\.png\) and inside \(cats/\)"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no picture at all"])
def test_a_broken_header_is_found_at_once(tmp_path, content):
    save(tmp_path / "good.png", noise(2, 2))
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(UsageError, match=r"bad\.png cannot be read") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_missing_pixels_are_found_when_they_are_read(tmp_path, suffix):
    for i in range(8):
        save(tmp_path / f"{i}.{suffix}", noise(40, 40, 3))
    whole = (tmp_path / f"5.{suffix}").read_bytes()
    (tmp_path / f"5.{suffix}").write_bytes(whole[: len(whole) // 2])
    dataset = load(tmp_path)
    with pytest.raises(UsageError, match=rf"5\.{suffix} cannot be read as a picture"):
        data.read_all(dataset)
    with pytest.raises(UsageError, match=rf"5\.{suffix} cannot be read as a picture"):
        list(data.stream(dataset, seed=0, updates=1, batch=2, steps=4))


def test_pictures_of_floats_are_refused(tmp_path):
    save(tmp_path / "x.tif", np.zeros((3, 3), np.float32))
    with pytest.raises(UsageError, match="pixels of mode F are not supported"):
        load(tmp_path)


def test_a_picture_that_changes_is_noticed(tmp_path):
    save(tmp_path / "x.png", noise(4, 4))
    dataset = load(tmp_path)
    save(tmp_path / "x.png", noise(5, 4))
    with pytest.raises(UsageError, match="has changed since this run began"):
        dataset.read(np.array([0]))
    (tmp_path / "x.png").unlink()
    with pytest.raises(UsageError, match=r"x\.png cannot be read"):
        dataset.read(np.array([0]))


def test_no_file_stays_open(tmp_path):
    save(tmp_path / "x.png", noise(4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        load(tmp_path).read(np.array([0]))
