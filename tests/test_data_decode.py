"""Single picture files: their formats, orientation, transparency, and hostile ones."""

import io
import logging
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, features

from jaxgan import data
from jaxgan.data.decode import ORIENTATION, decode, formats, header, open_picture
from jaxgan.data.resize import Frame
from jaxgan.errors import UsageError
from jaxgan.reporting.images import load_png

CORNER = np.zeros((16, 32, 3), np.uint8)
CORNER[:8, :16] = 255
UPRIGHT = {  # by EXIF 2.32, 4.6.4: where row 0 and column 0 of the stored pixels are
    2: lambda x: x[:, ::-1],  # top, right
    3: lambda x: x[::-1, ::-1],  # bottom, right
    4: lambda x: x[::-1],  # bottom, left
    5: lambda x: x.swapaxes(0, 1),  # left, top
    6: lambda x: x.swapaxes(0, 1)[:, ::-1],  # right, top
    7: lambda x: x.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
    8: lambda x: x.swapaxes(0, 1)[::-1],  # left, bottom
}


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def turned(value) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    return exif


def read(content: bytes, mode: str = "RGB"):
    """The size by the header, and the pixels."""
    with open_picture(content) as picture:
        size = header(picture).size
    with open_picture(content) as picture:
        return size, decode(picture, mode, Frame())


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(height: int, width: int, *late: bytes) -> bytes:
    """A black picture (if small) with chunks behind the pixels."""
    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(min(height * (width + 1), 100)))
    chunks = chunk(b"IHDR", size), chunk(b"IDAT", pixels), *late, chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("value", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_pictures_are_turned_upright(kind, value):
    given = {"quality": 100} if kind in ("JPEG", "WEBP", "AVIF") else {}
    content = encoded(Image.fromarray(CORNER), kind, exif=turned(value), **given)
    size, pixels = read(content)
    want = UPRIGHT.get(value, lambda x: x)(CORNER)
    assert size == want.shape[:2]
    np.testing.assert_array_equal(pixels > 127, want > 127)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_turned_too(kind):
    deep = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2000
    content = encoded(Image.fromarray(deep), kind, exif=turned(8))
    size, pixels = read(content, "I;16")
    assert size == (6, 4)
    np.testing.assert_array_equal(pixels[..., 0], UPRIGHT[8](deep))


EXIF = turned(6).tobytes()[6:]
LONG = EXIF + bytes(60_000)


@pytest.mark.parametrize(
    ("late", "size"),
    [(EXIF, (6, 4)), (LONG, (6, 4)), (turned(9).tobytes()[6:], (4, 6))],
    ids=["short", "with a preview", "invalid"],
)
def test_exif_behind_the_pixels_of_a_png(late, size):
    found, pixels = read(png(4, 6, chunk(b"eXIf", late)))
    assert found == pixels.shape[:2] == size


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"garbage",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff\0\0",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04six\0\0\0\0\0",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x05\0\0\0\x01\0\0\0\x1a\0\0\0\0\0\0\0\x06\0\0\0\0",
    ],
    ids=["empty", "garbage", "astray", "cut", "text", "fraction"],
)
def test_damaged_exif_is_upright(exif):
    for kind in ("PNG", "WEBP"):
        content = encoded(Image.new("RGB", (6, 4)), kind, exif=b"Exif\0\0" + exif)
        assert read(content)[0] == read(content)[1].shape[:2] == (4, 6)
    late = chunk(b"eXIf", EXIF)[:-1] + b"?"
    assert read(png(4, 6, late))[0] == (4, 6)


HOSTILE = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
    "pdf": b"%PDF-1.4\n1 0 obj",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "psd": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\4\0\0\0\4\0\x08\0\3" + bytes(60),
    "wmf": b"\xd7\xcd\xc6\x9a\0\0\0\0\0\0\4\0\4\0\x48\0" + bytes(60),
    "fli": b"\0\0\0\0\x11\xaf\1\0\4\0\4\0\x08\0\3\0" + bytes(120),
    "tga": bytes([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 24, 0]) + bytes(12),
    "xbm": b"#define x_width 8\n#define x_height 1\nstatic char x_bits[]={0x00};",
    "zip": b"PK\3\4" + bytes(30),
    "nothing": b"",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_formats_by_content_not_by_name(tmp_path, kind):
    (tmp_path / "x.png").write_bytes(HOSTILE[kind])
    message = r"x\.png cannot be read as a picture \(damaged, or none of PNG, JPEG"
    with pytest.raises(UsageError, match=message):
        data.load(f"folder:{tmp_path}")
    with pytest.raises(ValueError, match="none of PNG"):
        load_png(tmp_path / "x.png")


def test_each_format_is_one_that_this_pillow_reads():
    assert {"PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"} <= set(formats())
    assert ("AVIF" in formats()) == features.check("avif")
    assert not {"EPS", "WMF", "PSD", "PDF", "FLI", "TGA"} & set(formats())


@pytest.mark.parametrize("side", [10_000, 100_000, 2**31 - 1])
def test_decompression_bombs_are_told_by_their_header(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png(side, side))
    message = rf"bomb\.png cannot be read.*{side**2} pixels.*exceeds limit"
    with pytest.raises(UsageError, match=message) as caught:
        data.load(f"folder:{tmp_path}", image_size="8")
    assert "\n" not in str(caught.value)


def test_a_picture_that_becomes_a_bomb(tmp_path):
    (tmp_path / "x.png").write_bytes(png(8, 8))
    dataset = data.load(f"folder:{tmp_path}")
    (tmp_path / "x.png").write_bytes(png(9000, 9000))  # below Pillow's limit
    with pytest.raises(data.BadExample, match="has changed since this run began"):
        dataset.read(np.array([0]))


CUT = [(kind, {}) for kind in ("GIF", "TIFF", "PPM", "AVIF", "JPEG2000")]
CUT += [("WEBP", {"lossless": True}), ("TIFF", {"compression": "tiff_lzw"})]


@pytest.mark.filterwarnings("ignore:(Corrupt|Truncated)")  # Pillow's own, of TIFF
@pytest.mark.parametrize(("kind", "given"), CUT)
def test_pictures_that_are_cut_short(tmp_path, kind, given):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    content = encoded(Image.fromarray(noise), kind, **given)
    for size in (len(content) // 2, len(content) - 40):
        (tmp_path / "x.tif").write_bytes(content[:size])
        with pytest.raises(data.BadExample, match=r"x\.tif cannot be read"):
            data.read_all(data.load(f"folder:{tmp_path}"))


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_a_picture_that_becomes_no_file(tmp_path, kind):
    file = tmp_path / "x.png"
    file.write_bytes(png(4, 4))
    dataset = data.load(f"folder:{tmp_path}")
    file.unlink()
    {
        "fifo": lambda: os.mkfifo(file),
        "folder": lambda: file.mkdir(),
        "device": lambda: file.symlink_to("/dev/zero"),
    }[kind]()
    with pytest.raises(data.BadExample, match=r"x\.png .*it is not a regular file"):
        dataset.read(np.array([0]))


def test_names_cannot_act_on_a_terminal(tmp_path):
    (tmp_path / "a\x1b[31m\n.png").write_bytes(b"?")
    with pytest.raises(UsageError) as caught:
        data.load(f"folder:{tmp_path}")
    assert r"a\x1b[31m\n.png cannot be read" in str(caught.value)
    (tmp_path / "a\x1b[31m\n.png").write_bytes(png(4, 4))
    (tmp_path / "b\x1b[31m\n.png").write_bytes(png(4, 5))
    with pytest.raises(UsageError, match="differ in size") as caught:
        data.load(f"folder:{tmp_path}")
    assert "\x1b" not in str(caught.value)


def test_the_first_frame_is_read_and_this_is_said_once(tmp_path, caplog):
    frames = [Image.new("RGB", (6, 4), (i, i, i)) for i in (200, 20, 90)]
    kinds = ["GIF", "WEBP", "PNG", "TIFF", "AVIF"]
    for kind in kinds:
        given = {"lossless": True} if kind == "WEBP" else {}
        frames[0].save(
            *(tmp_path / f"{kind}.{kind.lower()}", kind),
            **{"save_all": True, "append_images": frames[1:], **given},
        )
    frames[0].save(tmp_path / "one.jpg")
    with caplog.at_level(logging.INFO, "jaxgan"):
        dataset = data.load(f"folder:{tmp_path}")
    (line,) = [x for x in caplog.messages if "frames" in x]
    assert "5 picture(s) have several frames or pages, such as" in line
    assert "AVIF.avif" in line
    np.testing.assert_allclose(data.read_all(dataset)["image"], 200, atol=2)


def save(path, *bands: int) -> None:
    """A picture whose upper half has those values, and is opaque below."""
    pixels = np.full((4, 4, len(bands)), bands, np.uint8)
    if len(bands) in (2, 4):
        pixels[2:, :, -1] = 255
    Image.fromarray(pixels.squeeze()).save(path)


def test_one_picture_with_an_opaque_alpha_channel_changes_nothing(tmp_path, caplog):
    save(tmp_path / "a.png", 1, 2, 3)
    save(tmp_path / "b.png", 4, 5, 6, 255)
    dataset = data.load(f"folder:{tmp_path}")
    assert dataset.shape == (4, 4, 3)
    assert data.read_all(dataset)["image"][:, 0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert data.load(f"folder:{tmp_path}", alpha="keep").shape == (4, 4, 4)


def test_one_transparent_picture_is_named(tmp_path, caplog):
    for i in range(3):
        save(tmp_path / f"{i}.png", 10)
    save(tmp_path / "b.png", 0, 0, 0, 255)
    save(tmp_path / "c.png", 100, 0, 0, 0)
    dataset = data.load(f"folder:{tmp_path}")
    assert dataset.shape == (4, 4, 4)
    (line,) = [x for x in caplog.messages if "alpha" in x]
    assert "2 of 5 pictures have an alpha channel" in line
    assert "c.png is transparent in part" in line
    assert "--alpha=white puts them on white and trains on RGB" in line


@pytest.mark.parametrize("alpha", ["white", "black"])
def test_transparent_pixels_are_put_on_a_color(tmp_path, alpha):
    save(tmp_path / "c.png", 100, 0, 200, 128)
    dataset = data.load(f"folder:{tmp_path}", alpha=alpha)
    (image,) = data.read_all(dataset)["image"]
    # 128 / 255 of the color, and the rest of white (255) or black.
    part = 128 / 255
    exact = part * np.array([100, 0, 200]) + (1 - part) * 255 * (alpha == "white")
    np.testing.assert_allclose(image[0, 0], exact, atol=1)
    np.testing.assert_array_equal(image[3, 0], [100, 0, 200])


def test_gray_with_alpha_on_a_color_is_gray(tmp_path):
    save(tmp_path / "c.png", 100, 0)
    dataset = data.load(f"folder:{tmp_path}", alpha="white")
    assert dataset.shape == (4, 4, 1)
    assert data.read_all(dataset)["image"][0, :, 0, 0].tolist() == [255, 255, 100, 100]


def test_sets_without_folders_have_no_background():
    with pytest.raises(UsageError, match=r"--alpha=white is only for folder:PATH"):
        data.load("ring8", alpha="white")


@pytest.mark.parametrize("most", [255, 4095, 65535])
def test_portable_graymaps_of_any_depth(tmp_path, most):
    values = np.linspace(0, most, 12).round().astype(int)
    kind = "u1" if most < 256 else ">u2"
    content = b"P5 4 3 %d\n" % most + values.astype(kind).tobytes()
    (tmp_path / "x.pgm").write_bytes(content)
    dataset = data.load(f"folder:{tmp_path}")
    full = 255 if most < 256 else 65535
    assert dataset.dtype == (np.uint8 if most < 256 else np.uint16)
    image = data.read_all(dataset)["image"].ravel()
    np.testing.assert_allclose(image, values * (full / most), atol=0.5)
