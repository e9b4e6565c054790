"""Hostile and odd pictures, each in a folder beside two that are plain."""

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image


class Accepted(NamedTuple):
    """The content of a data set that was read."""

    size: int
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()


class Refused(NamedTuple):
    """A word of the error with which it is refused."""

    word: str


Case = tuple[str, Callable[[Path], str], Accepted | Refused]
"""A name, what makes files in a folder and returns `--dataset`, and the outcome."""

PLAIN = Accepted(2, (8, 8, 1))
THREE = Accepted(3, (8, 8, 1))


def encoded(mode: str = "L", form: str = "PNG", size=(8, 8), **options: Any) -> bytes:
    """The bytes of a picture file of one color."""
    file = BytesIO()
    Image.new(mode, size, options.pop("color", 0)).save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(width: int, height: int, depth: int = 8, body: bytes = b"") -> bytes:
    """A gray PNG of any size on paper; `body` stands for its pixels."""
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_chunk(more: bytes) -> bytes:
    """A plain PNG with a chunk after its header."""
    whole = encoded()
    return whole[:33] + more + whole[33:]


def beside(name: str | bytes, content: bytes) -> Callable[[Path], str]:
    """Two plain pictures and a file of any name and content."""

    def make(root: Path) -> str:
        for plain in ("a.png", "b.png"):
            (root / plain).write_bytes(encoded())
        place = root / os.fsdecode(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return f"folder:{root}"

    return make


def linked(name: str, target: str) -> Callable[[Path], str]:
    """Two plain pictures and a symbolic link."""

    def make(root: Path) -> str:
        made = beside("a.png", encoded())(root)
        (root / name).symlink_to(target)
        return made

    return make


def alone(content: bytes, name: str = "a.png") -> Callable[[Path], str]:
    """Two copies of a file, and nothing else."""

    def make(root: Path) -> str:
        (root / name).write_bytes(content)
        (root / f"b{name}").write_bytes(content)
        return f"folder:{root}"

    return make


def fifo(root: Path) -> str:
    made = beside("a.png", encoded())(root)
    os.mkfifo(root / "c.png")
    return made


def layout(*names: str) -> Callable[[Path], str]:
    """A plain picture at each place."""

    def make(root: Path) -> str:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(encoded())
        return f"folder:{root}"

    return make


def of(kind: str, make: Callable[[Path], str]) -> Callable[[Path], str]:
    """The same files as a data set of another kind."""
    return lambda root: make(root).replace("folder:", f"{kind}:", 1)


def linked_side(root: Path) -> str:
    layout("A/a.png", "A/b.png")(root)
    (root / "B").symlink_to("A")
    return f"pairs:{root}"


def fifo_side(root: Path) -> str:
    layout("A/a.png", "A/b.png", "B/a.png", "B/b.png")(root)
    os.mkfifo(root / "A" / "c.png")
    return f"pairs:{root}"


def two(*names: str, second: str = "B") -> Callable[[Path], str]:
    """A plain picture at each place, unpaired; the second domain may be a link."""

    def make(root: Path) -> str:
        layout(*names)(root)
        (root / "same").symlink_to("A")
        (root / "loop").symlink_to("loop")
        return f"unpaired:{root}/A,{root}/{second}"

    return make


def linked_class(root: Path) -> str:
    layout("data/cat/a.png", "elsewhere/b.png")(root)
    (root / "data" / "dog").symlink_to("../elsewhere")
    return f"folder:{root / 'data'}"


def looped_class(root: Path) -> str:
    layout("cat/a.png", "dog/b.png")(root)
    (root / "cat" / "up").symlink_to("..")
    return f"folder:{root}"


def turned(orientation: int, form: str = "JPEG") -> bytes:
    """A picture 12 wide and 8 high with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded("L", form, (12, 8), exif=exif)


def several(form: str, mode: str = "L") -> bytes:
    """A picture of three frames or pages."""
    more = [Image.new(mode, (8, 8), i) for i in (1, 2)]
    return encoded(mode, form, save_all=True, append_images=more)


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 8
%%EndComments
0 0 8 8 rectfill
showpage
%%EOF
"""
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"></svg>'
BOMB = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 2**24))
SIDEWAYS = Accepted(2, (12, 8, 1))
FLAT = Accepted(2, (8, 12, 1))
ESCAPE = "\x1b[31m\n"

PICTURES: list[Case] = [
    ("no picture", beside("c.png", b"hello"), Refused("c.png")),
    ("empty", beside("c.png", b""), Refused("c.png")),
    ("truncated PNG", beside("c.png", encoded()[:46]), Refused("c.png")),
    ("only a signature", beside("c.png", encoded()[:8]), Refused("c.png")),
    (
        "truncated JPEG",
        beside("c.jpg", encoded(form="JPEG")[:-200]),
        Refused("c.jpg"),
    ),
    ("damaged pixels", beside("c.png", png(8, 8, body=b"x")), Refused("c.png")),
    ("too few pixels", alone(png(8, 8, body=zlib.compress(b"\0"))), Refused("a.png")),
    ("no size", beside("c.png", png(0, 0)), Refused("c.png")),
    ("a width of 0", beside("c.png", png(0, 8)), Refused("c.png")),
    ("a bit depth of 3", beside("c.png", png(8, 8, 3)), Refused("c.png")),
    ("a bomb by its header", alone(png(2**16, 2**16)), Refused("a.png")),
    ("a huge header", beside("c.png", png(2**31 - 1, 2**31 - 1)), Refused("c.png")),
    ("a smaller bomb", beside("c.png", png(12_000, 9_000)), Refused("c.png")),
    ("a GIF bomb", alone(b"GIF89a\xff\xff\xff\xff\0\0\0;", "a.gif"), Refused("a.gif")),
    ("a bomb of text", beside("c.png", with_chunk(BOMB)), Refused("c.png")),
    ("ZIP", beside("c.png", b"PK\5\6" + bytes(18)), Refused("c.png")),
    ("EPS", alone(EPS), Refused("a.png")),
    ("SVG", beside("c.png", SVG), Refused("c.png")),
    ("PDF", beside("c.png", b"%PDF-1.4\n%%EOF\n"), Refused("c.png")),
    ("floats", alone(encoded("F", "TIFF"), "a.tif"), Refused("mode F")),
    ("32 bits", alone(encoded("I", "TIFF"), "a.tif"), Refused("mode I")),
    ("16 and 8 bits", beside("c.png", encoded("I;16")), Refused("16 bits")),
    ("other size", beside("c.png", encoded(size=(9, 8))), Refused("--image_size")),
    ("loose and nested", beside("cat/c.png", encoded()), Refused("beside")),
    ("16 bits", alone(encoded("I;16")), PLAIN),
    ("one bit", alone(encoded("1")), PLAIN),
    ("CMYK", alone(encoded("CMYK", "JPEG"), "a.jpg"), Accepted(2, (8, 8, 3))),
    ("CMYK TIFF", alone(encoded("CMYK", "TIFF"), "a.tif"), Accepted(2, (8, 8, 3))),
    ("palette", alone(encoded("P")), Accepted(2, (8, 8, 3))),
    ("keyed palette", alone(encoded("P", transparency=0)), Accepted(2, (8, 8, 4))),
    ("RGBA", alone(encoded("RGBA")), Accepted(2, (8, 8, 4))),
    ("color among gray", beside("c.png", encoded("RGB")), Accepted(3, (8, 8, 3))),
    ("animated GIF", alone(several("GIF"), "a.gif"), Accepted(2, (8, 8, 3))),
    ("animated PNG", alone(several("PNG")), PLAIN),
    ("pages", alone(several("TIFF"), "a.tif"), PLAIN),
    *((f"orientation {n}", alone(turned(n), "a.jpg"), FLAT) for n in range(5)),
    *((f"orientation {n}", alone(turned(n), "a.jpg"), SIDEWAYS) for n in range(5, 9)),
    ("no profile", alone(encoded(icc_profile=b"no profile")), PLAIN),
    ("odd text", alone(with_chunk(chunk(b"tEXt", b"\xff\0\xff"))), PLAIN),
    ("an unknown chunk", alone(with_chunk(chunk(b"abCd", b"x" * 999))), PLAIN),
    ("a JPEG called png", beside("c.png", encoded(form="JPEG")), THREE),
    ("a GIF called jpg", beside("c.jpg", encoded(form="GIF")), Accepted(3, (8, 8, 3))),
    ("upper case", beside("C.PNG", encoded()), THREE),
    ("text beside", beside("c.txt", b"hello"), PLAIN),
    ("a hidden file", beside("._a.png", b"hello"), PLAIN),
    ("a hidden folder", beside(".git/c.png", b"hello"), PLAIN),
    ("a Mac's folder", beside("__MACOSX/c.png", b"hello"), PLAIN),
    ("Windows' thumbnails", beside("Thumbs.db", b"hello"), PLAIN),
    ("escapes in a name", beside(f"{ESCAPE}.png", encoded()), THREE),
    ("no UTF-8 in a name", beside(b"\xff.png", encoded()), THREE),
    ("a link", linked("c.png", "a.png"), THREE),
    (
        "classes",
        layout("cat/a.png", "dog/b.png"),
        PLAIN._replace(classes=("cat", "dog")),
    ),
    (
        "deep",
        layout("/".join(["d"] * 60) + "/a.png", "d/b.png"),
        PLAIN._replace(classes=("d",)),
    ),
    ("a link to nothing", linked("c.png", "nothing.png"), Refused("c.png")),
    ("a link to itself", linked("c.png", "c.png"), Refused("c.png")),
    ("EPS beside", beside("c.png", EPS), Refused("c.png")),
    ("PSD", beside("c.png", b"8BPS\0\1" + bytes(99)), Refused("c.png")),
    ("escapes in a bad file's name", beside(f"{ESCAPE}.png", b""), Refused("x1b")),
    ("no UTF-8 in a bad file's name", beside(b"\xff.png", b""), Refused(".png")),
    ("escapes in a class", layout(f"{ESCAPE}/a.png", "b.png"), Refused("x1b")),
    ("a FIFO", fifo, PLAIN),
    ("a device", linked("c.png", "/dev/zero"), PLAIN),
    ("a terminal", linked("c.png", "/dev/tty"), PLAIN),
    ("a linked class", linked_class, PLAIN._replace(classes=("cat", "dog"))),
    ("a loop of links", looped_class, PLAIN._replace(classes=("cat", "dog"))),
    ("a disk's thumbnails", beside("@eaDir/c.png/t.png", b"hello"), PLAIN),
    (
        "splits",
        layout("train/cat/a.png", "train/dog/b.png", "val/cat/c.png"),
        PLAIN._replace(classes=("cat", "dog")),
    ),
    (
        "splits and a class",
        layout("train/a.png", "val/b.png", "cat/c.png"),
        Refused("cat"),
    ),
    ("JFIF", beside("c.jfif", encoded(form="JPEG")), THREE),
    ("PPM", beside("c.pgm", encoded(form="PPM")), THREE),
    ("orientation 9", alone(turned(9), "a.jpg"), FLAT),
    ("a turned PNG", alone(turned(6, "PNG")), SIDEWAYS),
    ("a turned WebP", alone(turned(6, "WEBP"), "a.webp"), Accepted(2, (12, 8, 3))),
    ("a linked side", linked_side, PLAIN),
    ("a FIFO in a side", fifo_side, PLAIN),
    (
        "pairs below splits",
        of("pairs", layout(*(f"{x}/train/{n}.png" for x in "ab" for n in (1, 2)))),
        PLAIN,
    ),
    (
        "escapes in a name without a partner",
        of("pairs", layout(f"A/{ESCAPE}.png", "A/a.png", "B/a.png")),
        Refused("x1b"),
    ),
    (
        "no UTF-8 in a name without a partner",
        of("pairs", layout(os.fsdecode(b"A/\xff.png"), "A/a.png", "B/a.png")),
        Refused("no partner"),
    ),
    (
        "escapes in a side",
        of("pairs", layout(f"{ESCAPE}/a.png", "b/a.png", "c/a.png")),
        Refused("no folder A"),
    ),
    (
        "escapes in both sides",
        of("pairs", layout(f"{ESCAPE}1/a.png", f"{ESCAPE}2/a.png")),
        Refused("x1b"),
    ),
    (
        "halves",
        of("pairs", alone(encoded(size=(16, 8)))),
        PLAIN,
    ),
    ("a bomb of halves", of("pairs", alone(png(2**16, 2**15))), Refused("a.png")),
    ("no halves", of("pairs", alone(encoded(size=(1, 1)))), Refused("odd width")),
    ("a turned half", of("pairs", alone(turned(6), "a.jpg")), Refused("12x8")),
    ("two domains", two("A/a.png", "A/b.png", "B/a.png", "B/b.png"), PLAIN),
    (
        "a link to the other domain",
        two("A/a.png", "A/b.png", second="same"),
        Refused("inside it"),
    ),
    (
        "a domain that links to itself",
        two("A/a.png", "A/b.png", second="loop"),
        Refused("cannot be read"),
    ),
    (
        "escapes in a domain's picture",
        two("A/a.png", "A/b.png", f"B/{ESCAPE}.png", second=f"B/{ESCAPE}.png"),
        Refused("x1b"),
    ),
    (
        "escapes in the only domain",
        of("domains", layout(f"{ESCAPE}/a.png", f"{ESCAPE}/b.png")),
        Refused("x1b"),
    ),
    (
        "escapes below domains",
        of("domains", layout(*(f"{x}/{ESCAPE}{n}/a.png" for x in "ab" for n in "12"))),
        Refused("x1b"),
    ),
]
