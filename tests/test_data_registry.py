"""Data sets of pictures that are made from packages, of tiny packages made here."""

import errno
import gzip
import hashlib
import io
import json
import os
import re
import resource
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import data_fixtures
import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_fixtures import png
from PIL import Image

from jaxgan import data
from jaxgan.data import words
from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry import (
    RECIPES,
    builder,
    drawings,
    emoji,
    faces,
    icons,
    items,
    packages,
    photographs,
)
from jaxgan.data.tfds.registry.items import Item, hold_out, unpaired
from jaxgan.errors import UsageError

PAIR = ("google", "twitter")
TONES = ("1f3fb", "1f3fc")


def tar(path, files):
    """Writes a tar archive of contents by path, of the same bytes each time."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(plain.getvalue(), mtime=0))
    return path


def plain(value, side=64, mode="RGB"):
    """A PNG of one value."""
    file = io.BytesIO()
    Image.new(mode, (side, side), value).save(file, "png")
    return file.getvalue()


def emoji_files(vendor, count):
    """The files of an emoji package: `count` emoji, those of odd number in two tones.

    Red is the number of an emoji, green its tone, and blue its vendor.
    """
    files, listed = {}, []
    for number in range(count):
        code, tones = f"1F{number:03X}", TONES if number % 2 else ()
        names = [code.lower(), *(f"{code.lower()}-{tone}" for tone in tones)]
        for green, name in enumerate(names):
            value = (number, green, PAIR.index(vendor))
            files[f"package/img/{vendor}/64/{name}.png"] = plain(value)
        entry = {"unified": code, "image": f"{names[0]}.png"}
        entry["category"] = emoji.CATEGORIES[number % 10]
        forms = {
            tone: {"image": f"{name}.png"}
            for tone, name in zip(tones, names[1:], strict=True)
        }
        listed.append({**entry, **({"skin_variations": forms} if forms else {})})
    files["package/emoji.json"] = json.dumps(listed).encode()
    files["package/README.md"] = b"not needed"
    return files


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Makes a program of a name that runs a shell script, first of all in PATH."""

    def make(name, script):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    return make


@pytest.fixture
def serve(tmp_path, tool, monkeypatch):
    """Makes npm deliver archives, whose sha256 the recipe of a set expects."""

    def make(name, files):
        shelf = tmp_path / "shelf"
        shelf.mkdir(exist_ok=True)
        expected = []
        for package in RECIPES[name].packages:
            place = tar(shelf / packages.archive_name(package), files[package.name])
            digest = hashlib.sha256(place.read_bytes()).hexdigest()
            expected.append(package._replace(sha256=digest))
        recipe = RECIPES[name]._replace(packages=tuple(expected))
        monkeypatch.setitem(RECIPES, name, recipe)
        # As npm names its files: `pack NAME@VERSION`.
        tool("npm", f'cp "{shelf}/$(echo "$2" | tr @ -).tgz" .')

    return make


@pytest.fixture
def small_emoji(serve, monkeypatch):
    """Fifty emoji in 100 forms each vendor, ten of which are held out."""
    monkeypatch.setattr(emoji, "HELD_OUT", 10)
    for name in ("emoji_pairs", "emoji", "emoji_domains"):
        serve(name, {f"emoji-datasource-{v}": emoji_files(v, 50) for v in PAIR})


def all_of(name, split, place, **options):
    dataset = data.load(name, split=split, data_dir=str(place), **options)
    return dataset, data.read_all(dataset)


def color(images):
    """Number, tone and vendor of each picture."""
    return images[:, 0, 0].astype(int).tolist()


def test_pairs_are_split_by_emoji(small_emoji, tmp_path, caplog):
    caplog.set_level("INFO", "jaxgan")
    train_set, train = all_of("emoji_pairs", "train", tmp_path)
    test_set, test = all_of("emoji_pairs", "test", tmp_path)
    assert list(train_set.example) == ["image", "source"]
    assert train["source"].shape[1:] == train_set.shape == (64, 64, 3)
    assert train["source"].dtype == train_set.dtype == np.uint8
    for part in (train, test):
        google, twitter = color(part["source"]), color(part["image"])
        assert [x[:2] for x in google] == [x[:2] for x in twitter]
        assert {x[2] for x in google} == {0}
        assert {x[2] for x in twitter} == {1}
    held = {x[0] for x in color(test["image"])}
    assert (test_set.size, len(held)) == (10, 10)
    assert {x[1] for x in color(test["image"])} == {0}
    # All forms of the 40 other emoji.
    want = {(n, t) for n in set(range(50)) - held for t in range(3 if n % 2 else 1)}
    assert Counter(tuple(x[:2]) for x in color(train["image"])) == Counter(want)
    assert (train_set.aligned, test_set.aligned) == (True, True)
    assert "emoji-datasource-google 16.0.0 (Apache-2.0)" in caplog.messages[-1]
    assert "emoji-datasource-twitter 16.0.0 (CC-BY 4.0)" in caplog.messages[-1]


def test_unpaired_domains_share_no_emoji(small_emoji, tmp_path):
    dataset, train = all_of("emoji_pairs/unpaired", "train", tmp_path)
    a, b = color(train["source"]), color(train["image"])
    assert {x[2] for x in a} == {0}
    assert {x[2] for x in b} == {1}
    assert not {x[0] for x in a} & {x[0] for x in b}
    assert len({tuple(x) for x in a}) == len(a) > 20
    test_set, test = all_of("emoji_pairs/unpaired", "test", tmp_path)
    _, paired = all_of("emoji_pairs/paired", "test", tmp_path)
    for field in test:
        np.testing.assert_array_equal(test[field], paired[field])
    assert (dataset.aligned, test_set.aligned) == (False, True)
    # A slice knows it, and so does a part beside another split.
    for split, aligned in (("train[:10%]", False), ("test+train[:3]", False)):
        part = data.load("emoji_pairs/unpaired", split=split, data_dir=str(tmp_path))
        assert part.aligned == aligned
        assert 0 < part.size < dataset.size


def test_labels_are_categories_or_vendors(small_emoji, tmp_path):
    dataset, train = all_of("emoji", "train", tmp_path)
    assert dataset.classes == emoji.CATEGORIES
    assert [x[0] % 10 for x in color(train["image"])] == train["label"].tolist()
    assert {x[2] for x in color(train["image"])} == {0, 1}
    dataset, test = all_of("emoji_domains", "test", tmp_path)
    assert (dataset.size, dataset.classes) == (20, PAIR)
    assert [x[2] for x in color(test["image"])] == test["label"].tolist()
    without, _ = all_of("emoji", "train", tmp_path, label_field="none")
    assert list(without.example) == ["image"]


def test_tones_and_vendors_are_attributes(serve, monkeypatch, tmp_path):
    tones = [x.lower() for x in emoji.TONES if x]
    monkeypatch.setattr(sys.modules[__name__], "TONES", tones)
    serve("emoji_tones", {f"emoji-datasource-{v}": emoji_files(v, 50) for v in PAIR})
    dataset, train = all_of("emoji_tones", "train", tmp_path)
    _, test = all_of("emoji_tones", "test", tmp_path)
    assert dataset.example["attributes"].names == emoji.TONED
    # 25 emoji have tones, of which one in ten is held out with all its forms
    assert (len(train["image"]), len(test["image"])) == (23 * 12, 2 * 12)
    for part in (train, test):
        for (_, tone, vendor), own in zip(
            color(part["image"]), part["attributes"], strict=True
        ):
            assert own[:6].argmax() == tone
            assert own[6:8].argmax() == vendor
            assert own[:8].sum() == 2
    numbers = [{x[0] for x in color(part["image"])} for part in (train, test)]
    assert numbers[0].isdisjoint(numbers[1])


def test_categories_are_attributes(small_emoji, serve, tmp_path):
    serve(
        "emoji_attributes", {f"emoji-datasource-{v}": emoji_files(v, 50) for v in PAIR}
    )
    dataset, train = all_of("emoji_attributes", "train", tmp_path)
    _, test = all_of("emoji_attributes", "test", tmp_path)
    assert dataset.example["attributes"].names == emoji.DESCRIBED
    assert emoji.DESCRIBED[8:12] == (
        *("category=Symbols", "category=Flags", "tone=none", "tone=light"),
    )
    for part in (train, test):
        for (number, tone, vendor), own in zip(
            color(part["image"]), part["attributes"], strict=True
        ):
            assert own[:10].argmax() == number % 10
            assert own[10:16].argmax() == tone
            assert own[16:].argmax() == vendor
            assert own.sum() == 3
        assert {tuple(x[1:]) for x in color(part["image"])} >= {(1, 0), (2, 1)}
    numbers = [{x[0] for x in color(part["image"])} for part in (train, test)]
    assert numbers[0].isdisjoint(numbers[1])


def test_a_field_can_be_chosen_and_all_are_framed(small_emoji, tmp_path):
    one, source = all_of("emoji_pairs", "test", tmp_path, image_field="source")
    assert list(one.example) == ["image"]
    assert {x[2] for x in color(source["image"])} == {0}
    both, small = all_of("emoji_pairs", "test", tmp_path, image_size="16")
    assert both.example["source"].shape == (16, 16, 3)
    assert small["source"].shape == small["image"].shape == (10, 16, 16, 3)


def test_stock_tfds_reads_the_set_and_its_license(small_emoji, tmp_path):
    data.load("emoji_pairs", data_dir=str(tmp_path))
    place = tmp_path / "emoji_pairs" / "paired" / "1.0.0"
    stock = tfds.builder_from_directory(place)
    features: Any = stock.info.features
    assert sorted(features) == ["image", "source"]
    assert "Apache-2.0 and CC-BY 4.0" in (place / "dataset_info.json").read_text()
    assert "iamcal" in stock.info.citation
    source: Any = tfds.data_source("emoji_pairs", data_dir=tmp_path, split="test")
    assert len(source) == 10


def test_the_fingerprint_is_that_of_the_pixels(small_emoji, serve, tmp_path):
    """PNG of another compression has another sha256, and holds the same pixels."""
    first = data.load("emoji_pairs", data_dir=str(tmp_path / "a"))
    files = {f"emoji-datasource-{v}": emoji_files(v, 50) for v in PAIR}
    for held in files.values():
        for path in [x for x in held if x.endswith(".png")]:
            pixels = np.asarray(Image.open(io.BytesIO(held[path])).convert("RGBA"))
            held[path] = png(pixels)
    serve("emoji_pairs", files)
    again = data.load("emoji_pairs", data_dir=str(tmp_path / "b"))
    assert data.fingerprint(again) == data.fingerprint(first) is not None
    test = data.load("emoji_pairs", split="test", data_dir=str(tmp_path / "b"))
    assert data.fingerprint(test) != data.fingerprint(first)


def test_names_configs_and_versions(tmp_path):
    for name, message in (
        ("emoji_pair", "did you mean emoji_pairs"),
        ("emoji_pairs/unpared", "no config 'unpared'; use emoji_pairs/unpaired"),
        ("emoji_pairs:9.9.9", "--dataset=emoji_pairs:9.9.9: .*write it like"),
    ):
        with pytest.raises(UsageError, match=message):
            data.load(name, data_dir=str(tmp_path))


def fails(name, place):
    """The one line with which a preparation fails; nothing of the set remains."""
    with pytest.raises(UsageError) as caught:
        data.load(name, data_dir=str(place))
    left = {x.name for x in place.rglob("*") if x.is_file() and x.suffix != ".tgz"}
    # TFDS notes who began to write.
    assert left <= {f"{name}.lock", "metadata.json"}
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_a_registry_cannot_deliver_is_one_line(small_emoji, tool, tmp_path):
    place = tmp_path / "data"
    tool("npm", "echo npm warn old >&2; echo npm error code ECONNREFUSED >&2; exit 1")
    line = fails("emoji_pairs", place)
    assert "(npm: code ECONNREFUSED)" in line
    archive = "emoji-datasource-google-16.0.0.tgz"
    assert f"put {archive} emoji-datasource-twitter-16.0.0.tgz into {place}" in line
    tool("npm", "echo other > other.tgz")
    assert "other.tgz does not have the published sha256" in fails("emoji_pairs", place)
    assert not list(place.rglob("*.tgz"))
    # As the message says, an archive of the right sha256 may be put there.
    for file in (tmp_path / "shelf").glob("*.tgz"):
        (place / "downloads" / "packages").mkdir(exist_ok=True, parents=True)
        os.link(file, place / "downloads" / "packages" / file.name)
    assert data.load("emoji_pairs", data_dir=str(place)).size > 40


def test_programs_that_are_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "(npm: not installed)" in fails("emoji", tmp_path / "a")
    line = fails("oxygen_icons", tmp_path / "b")
    assert "(apt-get: not installed; it may need apt-get update)" in line


def test_the_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "find_spec", lambda module: None)
    line = fails("dicebear_faces", tmp_path)
    assert "resvg_py and dicebear" in line
    assert line.endswith("pip install 'jaxgan[pictures]'")


def test_a_full_disk_leaves_nothing(small_emoji, tmp_path, monkeypatch):
    """The disk has no room for an archive, and then for the examples."""
    place = tmp_path / "data"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(packages.shutil, "copyfile", full)
        line = fails("emoji_pairs", place)
    assert f"cannot be prepared in {place} " in line
    assert "No space left on device); use another --data_dir" in line
    assert not list(place.rglob("*.tgz"))
    sizes = [file.stat().st_size for file in (tmp_path / "shelf").glob("*.tgz")]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes) + 512, before[1]))
    try:
        line = fails("emoji_pairs", place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in line
    assert line.endswith("free some space, or use another --data_dir")
    # The archives are kept, so that only the examples were missing.
    assert len(list(place.rglob("*.tgz"))) == 2
    assert data.load("emoji_pairs", data_dir=str(place)).size > 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"package/emoji.json": b"{"}, "emoji.json is damaged"),
        ({"package/emoji.json": b"[1]"}, "emoji.json is damaged"),
        (
            {"package/img/google/64/1f000.png": b"x"},
            "picture of the package is damaged",
        ),
        ({"package/img/google/64/1f000.png": plain(0, 32)}, "is not 64x64"),
    ],
)
def test_damaged_packages(change, message):
    contents = {f"emoji-datasource-{v}": emoji_files(v, 2) for v in PAIR}
    contents["emoji-datasource-google"].update(change)
    with pytest.raises(Unavailable, match=message):
        emoji.read_emoji(contents)


def test_links_and_large_files_of_archives_are_not_read(tmp_path, monkeypatch):
    package = packages.Package("npm", "a", "1", "", "MIT", r"package/.*\.png")
    place = tmp_path / "a-1.tgz"
    with tarfile.open(place, "w") as archive:
        link = tarfile.TarInfo("package/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        real = tarfile.TarInfo("package/real.png")
        real.size = 4
        archive.addfile(real, io.BytesIO(b"1234"))
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    package = package._replace(sha256=digest)
    assert packages.contents(package, tmp_path) == {"package/real.png": b"1234"}
    monkeypatch.setattr(packages, "LARGEST", 3)
    with pytest.raises(Unavailable, match=r"real\.png is too large"):
        packages.contents(package, tmp_path)
    with pytest.raises(Unavailable, match="a has no files like"):
        packages.contents(package._replace(files="nothing"), tmp_path)


def test_a_wheel_is_read_without_running_it(tmp_path, monkeypatch):
    index = tmp_path / "index"
    index.mkdir()
    for name in [x for x in os.environ if x.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in (
        ("PIP_CONFIG_FILE", os.devnull),
        ("PIP_NO_INDEX", "1"),
        ("PIP_FIND_LINKS", str(index)),
    ):
        monkeypatch.setenv(name, value)
    wheel = index / "some_styles-1.0-py3-none-any.whl"
    info = "some_styles-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("some_styles/a.json", "{}")
        file.writestr("some_styles/__init__.py", "raise SystemExit")
        file.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: some-styles\nVersion: 1.0\n",
        )
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    package = packages.Package("PyPI", "some-styles", "1.0", digest, "", r".*\.json")
    kept = tmp_path / "kept"
    assert packages.contents(package, kept) == {"some_styles/a.json": b"{}"}
    # From the second time on, the archive is there.
    wheel.unlink()
    assert packages.contents(package, kept) == {"some_styles/a.json": b"{}"}
    with pytest.raises(Unavailable, match=r"pip: [CNH]"):
        packages.contents(package._replace(sha256="0" * 64), kept)


LIST = "AA\nAda\nzebra\nzebra's\nétude\nzoo\n"


def test_words_of_a_package_of_debian(tool, tmp_path, monkeypatch):
    listed = {"./usr/share/dict/american-english": LIST.encode()}
    digest = hashlib.sha256(packages.pack(listed)).hexdigest()
    monkeypatch.setattr(words, "WAMERICAN", words.WAMERICAN._replace(packed=digest))
    place = tar(tmp_path / "a.tar", {**listed, "./usr/bin/x": b"not needed"})
    tool("apt-get", "touch a.deb")
    tool("dpkg-deb", f"cat {place}")
    found = data.load("wamerican", data_dir=str(tmp_path))
    vocabulary = found.example["tokens"].names
    assert data.decode(data.read_all(found)["tokens"], vocabulary) == ["zebra", "zoo"]
    # From the second time on, the needed file is there, and no other one.
    tool("apt-get", "exit 1")
    kept = tmp_path / "downloads/packages/wamerican-2020.12.07.tar"
    assert kept.read_bytes() == packages.pack(listed)
    assert data.load("wamerican", data_dir=str(tmp_path)).size == 2
    # Another list, such as that of another version, is not used.
    tool("apt-get", "touch a.deb")
    monkeypatch.setattr(words, "WAMERICAN", words.WAMERICAN._replace(packed="0" * 64))
    with pytest.raises(UsageError) as error:
        data.load("wamerican", data_dir=str(tmp_path))
    assert "does not have the published sha256): use text:PATH, " in str(error.value)


def icon(side, seed, shift=0):
    """A blurred random picture; the same seed gives the same drawing at every size."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    large = Image.fromarray(np.roll(small, shift, 1)).resize((128, 128), 3)
    return png(np.asarray(large.resize((side, side), Image.Resampling.BOX)))


def test_icons_of_one_drawing_at_two_sizes(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(icons, "HELD_OUT", 3)
    base = "./usr/share/icons/oxygen/base"
    drawn = {}
    for number in range(12):
        drawn[f"{base}/32x32/a/{number}.png"] = icon(32, number)
        drawn[f"{base}/128x128/a/{number}.png"] = icon(128, number)
    drawn[f"{base}/32x32/a/redrawn.png"] = icon(32, 77, shift=3)
    drawn[f"{base}/128x128/a/redrawn.png"] = icon(128, 77)
    drawn[f"{base}/32x32/a/blank.png"] = plain("white", 32)
    drawn[f"{base}/128x128/a/blank.png"] = plain("white", 128)
    drawn[f"{base}/32x32/a/alone.png"] = icon(32, 78)
    place = tar(tmp_path / "icons.tar", drawn)
    tool("apt-get", "touch a.deb")
    tool("dpkg-deb", f"cat {place}")
    dataset, train = all_of("oxygen_icons", "train", tmp_path)
    test_set, test = all_of("oxygen_icons", "test", tmp_path)
    assert (dataset.size, test_set.size) == (9, 3)
    assert dataset.example["image"].shape == (128, 128, 3)
    assert dataset.example["source"].shape == (32, 32, 3)
    for part in (train, test):
        blocks = part["image"].reshape(-1, 32, 4, 32, 4, 3).mean((2, 4))
        assert np.abs(blocks - part["source"]).max() <= 1
    redrawn = data.load("oxygen_icons/all", data_dir=str(tmp_path))
    assert redrawn.size == 10
    # The source keeps its ratio to the image.
    framed, small = all_of("oxygen_icons", "test", tmp_path, image_size="64")
    assert framed.example["source"].shape == (16, 16, 3)
    assert small["image"].shape == (3, 64, 64, 3)


def photo(form, side, seed):
    """A photograph, twice as wide as high: noise at the left, and blue sky."""
    noise = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 20, 3))
    pixels = np.full((side, 2 * side, 3), (90, 120, 250), np.uint8)
    left = noise.repeat(8, 0).repeat(8, 1)
    pixels[:, : left.shape[1]] = left
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, quality=90)
    return file.getvalue()


def test_photographs_are_cut_where_they_show_something(monkeypatch):
    monkeypatch.setattr(photographs, "HELD_OUT", 1)
    webp = [photo("WEBP", side, seed) for seed, side in enumerate((400, 400, 240))]
    resources = b"qres" + b"..".join(webp) + b"RIFF and so on"
    contents = {
        photographs.GCOMPRIS.name: {"./a/erase.rcc": resources},
        photographs.LOMIRI.name: {"./b/Hill.jpg": photo("JPEG", 1600, 5)},
    }
    splits = {x: dict(y) for x, y in photographs.photographs(contents).items()}
    # 200x400 pixels, of which the left 80 are noise: two rows in a column.
    assert list(splits["train"]) == [
        f"erase_{i}_{top}_24" for i in range(2) for top in (20, 84)
    ]
    # 640x1280 pixels, with noise in the left 256, without overlap.
    assert list(splits["test"]) == [
        f"Hill_{32 + 96 * i}_{16 + 96 * j}" for i in range(6) for j in range(3)
    ]
    whole = items.pixels(photographs.reduce(webp[1]) or b"")
    patch = items.pixels(splits["train"]["erase_1_84_24"]["image"])
    np.testing.assert_array_equal(patch, whole[84:180, 24:120])
    with pytest.raises(Unavailable, match="a photograph of the package is damaged"):
        photographs.reduce(webp[0][:100])


def test_the_photographs_of_the_packages():
    folder = "./usr/share/gcompris-qt/rcc"
    paths = [f"{folder}/{x}.rcc" for x in ("erase", "explore_monuments", "lang")]
    backgrounds = "./usr/share/backgrounds"
    paths += [f"{backgrounds}/{x}_by_A.jpg" for x in ("umang", "Bridge")]
    patterns = [x.files for x in RECIPES["photographs"].packages]
    matched = [x for x in paths if any(re.fullmatch(p, x) for p in patterns)]
    assert matched == [paths[0], paths[1], paths[4]]


def test_copies_of_test_pictures_are_in_no_split():
    drawn = [Item(str(n), {"a": bytes([n]), "b": b"x%d" % n}, str(n)) for n in range(9)]
    test = hold_out(drawn, 2)["test"]
    copy = Item("copy", {"a": test[0].pictures["a"], "b": b"new"}, "copy", main=False)
    variant = Item("tone", {"a": b"t", "b": b"u"}, test[1].group, main=False)
    parts = hold_out([*drawn, copy, variant], 2)
    assert [x.name for x in parts["test"]] == [x.name for x in test]
    assert len(parts["train"]) == 7
    assert not {"copy", "tone"} & {x.name for x in parts["train"]}


def test_unpaired_halves_have_nearly_the_same_size():
    drawn = [
        Item(str(n), {"a": b"a%d" % n, "b": b"b%d" % n}, str(n // 3))
        for n in range(999)
    ]
    rows = [row for _, row in unpaired(drawn, image="a", source="b")]
    assert 440 < len(rows) < 500
    group = {name: {int(row[name][1:]) // 3 for row in rows} for name in rows[0]}
    assert not group["image"] & group["source"]


def test_making_pictures_is_bounded_in_time(monkeypatch):
    assert items.within_time(iter("ab")) == ["a", "b"]
    monkeypatch.setattr(items, "SECONDS", -1.0)
    with pytest.raises(Unavailable, match="exceeds"):
        items.within_time(iter("ab"))


def test_attributes_of_faces_are_edited_one_at_a_time():
    colors = set(faces.HAIR)
    together, edits = Counter(), Counter()
    for number in range(400):
        for held_out in (False, True):
            seed = f"face {number}"
            own = faces.attributes_of(seed, held_out)
            other = faces.edit(own, seed, held_out)
            for attributes in (own, other):
                assert len(attributes & colors) == 1
                together[held_out] += attributes >= faces.NEVER
            changed = own ^ other
            # A color replaces another, and anything else is on or off.
            assert len(changed) == (2 if changed <= colors else 1)
            edits["hair" if changed <= colors else next(iter(changed))] += 1
    assert together[False] == 0
    assert 130 < together[True] < 270  # about a quarter of 800
    assert set(edits) == {*faces.ON_OFF, "hair"}
    assert min(edits.values()) > 80


def test_faces_are_all_different():
    numbered = list(faces._identities(500))
    assert len({seed for seed, _ in numbered}) == 500
    assert len({tuple(x.values()) for _, x in numbered}) == 500


def styles():
    """The definitions of DiceBear's styles, as they are installed for its tests."""
    pytest.importorskip("resvg_py")
    pytest.importorskip("dicebear")
    place = pytest.importorskip("dicebear_styles").__path__[0]
    names = ("avataaars", "open-peeps")
    read = {x: Path(place, f"{x}.json").read_bytes() for x in names}
    return {
        "dicebear-styles": {f"dicebear_styles/{x}.json": y for x, y in read.items()}
    }


def test_an_edit_changes_the_picture_where_the_attribute_is(monkeypatch):
    contents = styles()
    monkeypatch.setattr(faces, "SIZES", {"train": 24, "test": 8})
    splits = {split: list(rows) for split, rows in faces.faces(contents).items()}
    assert {split: len(rows) for split, rows in splits.items()} == faces.SIZES
    smiles = 0
    for _, row in splits["train"] + splits["test"]:
        before, after = items.pixels(row["image"]), items.pixels(row["target"])
        changed = np.flatnonzero(row["attributes"] != row["target_attributes"])
        where = np.argwhere((before != after).any(-1))
        assert len(where)
        if [faces.ATTRIBUTES[x] for x in changed] == ["smile"]:
            smiles += 1
            # The mouth is a little above and below the middle.
            assert where.min(0).tolist() >= [30, 20]
            assert where.max(0).tolist() <= [50, 44]
    assert smiles


def test_faces_of_two_styles_belong_to_nobody(monkeypatch):
    contents = styles()
    monkeypatch.setattr(faces, "PEEPS_SIZES", {"train": 6, "test": 3})
    splits = {split: list(rows) for split, rows in faces.peeps(contents).items()}
    every = [row for rows in splits.values() for _, row in rows]
    for field in ("image", "source"):
        assert len({row[field] for row in every}) == 9
    assert RECIPES["avataaars_open_peeps"].configs[""].unaligned == ("train", "test")


def test_drawings_without_color_are_left_out(monkeypatch):
    pytest.importorskip("resvg_py")
    monkeypatch.setattr(drawings, "OPENMOJI_HELD_OUT", 1)
    frame = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72">{}</svg>'
    line = '<rect x="18" y="18" width="36" height="36" fill="{}" stroke="#000"/>'
    files, listed = {}, []

    def draw(code, black, color, group="objects", **more):
        kind = {"group": group, "subgroups": "tool", "skintone": "", **more}
        listed.append({"hexcode": code, **kind})
        for style, inner in (("black", black), ("color", color)):
            if inner is not None:
                path = f"package/{style}/svg/{code}.svg"
                files[path] = frame.format(inner).encode()

    outline = line.format("none")
    for number in range(3):
        draw(f"A{number}", outline, line.format(f"#f{number}0000"))
    draw("B", outline, outline)
    draw("C", "", line.format("#f0f"))
    draw("D", outline + "<text>a</text>", line.format("#f00"))
    draw("E", outline, line.format("#f00"), group="flags")
    draw("F", outline, line.format("#f00"), subgroups="flags")
    draw("G", outline, line.format("#f00"), skintone="1")
    draw("H", outline, None)
    files["package/data/openmoji.json"] = json.dumps(listed).encode()
    splits = {k: list(x) for k, x in drawings.openmoji({"openmoji": files}).items()}
    # All have one outline: copies of the one of test are in no split.
    assert [len(splits[x]) for x in ("train", "test")] == [0, 1]
    ((code, row),) = splits["test"]
    middle = items.pixels(row["image"])[32, 32].tolist()
    assert middle == [240 + int(code[1]), 0, 0]
    assert items.pixels(row["source"])[32, 32].tolist() == [255, 255, 255]
    assert items.pixels(row["source"])[16:48, 16].max() < 200


def test_characters_are_upright_and_skeletons_inside_strokes(monkeypatch):
    pytest.importorskip("resvg_py")
    monkeypatch.setattr(drawings, "HANZI_HELD_OUT", 1)
    # One stroke in the upper left: y points up, from -124 to 900.
    stroke = "M 100 500 L 400 500 L 400 800 L 100 800 Z"
    character = {"strokes": [stroke], "medians": [[[150, 650], [350, 650]]]}
    files = {"package/a.json": json.dumps(character).encode()}
    splits = drawings.hanzi({"hanzi-writer-data": files})
    ((name, row),) = splits["test"]
    brush, skeleton = items.pixels(row["image"]), items.pixels(row["source"])
    assert (name, brush.shape) == ("a", (64, 64))
    # 100..400 of 1024 are pixels 6.25 to 25, and so are 900 - 800..500.
    assert brush[8:24, 8:24].max() == 0
    assert brush[27:].min() == brush[:, 27:].min() == 255
    assert ((skeleton < 200) & (brush > 50)).sum() == 0
    assert (skeleton < 200).sum() > 10
    with pytest.raises(Unavailable, match=r"a\.json is damaged"):
        drawings.hanzi({"hanzi-writer-data": {"package/a.json": b"[]"}})


def test_the_real_emoji(tmp_path_factory):
    """Fetched once; skipped with the reason if no registry answers."""
    place = data_fixtures._prepared("emoji_pairs", tmp_path_factory)
    train_set, train = all_of("emoji_pairs", "train", place)
    test_set, test = all_of("emoji_pairs", "test", place)
    assert (train_set.size, test_set.size) == (3_007, 400)
    for field in ("image", "source"):
        seen = {x.tobytes() for x in train[field]}
        assert not seen & {x.tobytes() for x in test[field]}
    # The identity, as a baseline of translation.
    difference = test["image"].astype(float) - test["source"]
    assert abs(np.abs(difference).mean() - 42.09) < 0.01
    ratio = 10 * np.log10(255**2 / (difference**2).mean((1, 2, 3)))
    assert abs(ratio.mean() - 11.757) < 1e-3
