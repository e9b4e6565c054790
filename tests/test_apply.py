"""Pictures of users through runs that map images."""

import io
import json
import logging
import os
import struct
import zlib

import jax
import maps
import numpy as np
import pytest
from PIL import Image, ImageCms

import jaxgan
from jaxgan import apply, sample, train
from jaxgan.config.applying import MAX_PIXELS, MapOptions, parse_args
from jaxgan.errors import TrainingError, UsageError
from jaxgan.evaluation import apply_limits, mapping, picture_facts, picture_files
from jaxgan.evaluation.mapping import Mapper
from jaxgan.experiment import memory

RNG = np.random.default_rng(1)


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The tables with the toys, which other tests do not see."""
    before = [dict(table) for table in maps.TABLES]
    maps.register()
    yield
    for table, own in zip(maps.TABLES, before, strict=True):
        table.clear()
        table.update(own)


def trained(folder, *flags):
    """The workdir of a run of two steps."""
    common = ["--batch_size=2", "--steps=2", "--held_out=none", "--samples=2"]
    common += ["--score_samples=2", "--devices=1", f"--workdir={folder}"]
    assert train.main([*common, *flags]) == 0
    return folder


@pytest.fixture(scope="module")
def blurred(tmp_path_factory):
    """A paired run whose network is a known filter."""
    folder = tmp_path_factory.mktemp("blurred") / "run"
    flags = ["--dataset=map_pair", "--task=paired", "--networks=blur"]
    return trained(folder, *flags, "--import=maps_registered")


@pytest.fixture
def open_run(monkeypatch):
    """A function that lets the program open a run of a toy; returns its name."""

    def replace(*args, **more):
        opened = run_of(*args, **more)
        monkeypatch.setattr("jaxgan.evaluation.apply.load_run", lambda *_, **__: opened)
        return "a_run"

    return replace


def random(*shape):
    return RNG.integers(0, 256, shape, np.uint8)


def save(path, pixels, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **more)
    return path


def load(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def expected(pixels, scale=1):
    """The filter in NumPy, of uint8 `[H, W, C]`."""
    x = np.pad(pixels.astype(np.float64) / 127.5 - 1, ((1, 1), (1, 1), (0, 0)))
    height, width = pixels.shape[:2]
    y = sum(
        maps.KERNEL[i, j] * x[i : i + height, j : j + width]
        for i in range(3)
        for j in range(3)
    )
    y = np.round((y + 1) * 127.5).clip(0, 255)
    return y.repeat(scale, 0).repeat(scale, 1)


def near(a, b):
    """Asserts equality up to a rounding by one."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    assert a.shape == b.shape
    assert np.abs(a - b).max(initial=0) <= 1


def mapped(run, *names, code=0):
    assert apply.main([f"--workdir={run}", *map(str, names)]) == code


def refused(capsys, run, *names):
    """The one line that a bad request gets."""
    capsys.readouterr()
    mapped(run, *names, code=2)
    text = capsys.readouterr().err
    [line] = [x for x in text.splitlines() if x.startswith("error: ")]
    return line


def files(folder):
    return sorted(str(x.relative_to(folder)) for x in folder.rglob("*") if x.is_file())


# Files, folders and patterns.


def test_one_picture_to_a_file(blurred, tmp_path):
    pixels = random(16, 16, 3)
    save(tmp_path / "a.png", pixels)
    for name in ("b.png", "c.webp", "d.JPG", "new/", "new2"):
        mapped(blurred, tmp_path / "a.png", f"{tmp_path}/{name}")
    near(load(tmp_path / "b.png"), expected(pixels))
    assert files(tmp_path) == [
        *("a.png", "b.png", "c.webp", "d.JPG", "new/a.png", "new2/a.png")
    ]
    with Image.open(tmp_path / "c.webp") as c, Image.open(tmp_path / "d.JPG") as d:
        assert (c.format, d.format) == ("WEBP", "JPEG")
        assert c.size == d.size == (16, 16)


def test_a_folder_keeps_its_structure(blurred, tmp_path):
    first, second = random(16, 16, 3), random(5, 33, 3)
    save(tmp_path / "in" / "a.png", first)
    save(tmp_path / "in" / "deep" / "er" / "a.bmp", second)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    mapped(blurred, tmp_path / "in", tmp_path / "out")
    assert files(tmp_path / "out") == ["a.png", "deep/er/a.png"]
    near(load(tmp_path / "out" / "a.png"), expected(first))
    near(
        load(tmp_path / "out" / "deep" / "er" / "a.png")[:4, :32],
        expected(second)[:4, :32],
    )


def test_patterns_and_several_inputs(blurred, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/b.png", "in/x/c.png", "in/d.jpg"):
        save(tmp_path / name, random(16, 16, 3))
    mapped(blurred, "in/*.png", "one")
    assert files(tmp_path / "one") == ["a.png", "b.png"]
    mapped(blurred, "in/**/*.png", "two")
    assert files(tmp_path / "two") == ["a.png", "b.png", "x/c.png"]
    mapped(blurred, "in/a.png", "--tile=16", "in/d.jpg", "three")
    assert files(tmp_path / "three") == ["a.png", "d.png"]


def test_results_in_a_folder_below_the_inputs_are_no_inputs(blurred, tmp_path):
    save(tmp_path / "a.png", random(16, 16, 3))
    mapped(blurred, tmp_path, tmp_path / "out")
    mapped(blurred, "--overwrite", tmp_path, tmp_path / "out")
    assert files(tmp_path) == ["a.png", "out/a.png"]


def test_outputs_are_not_overwritten_unless_asked(blurred, tmp_path, capsys):
    save(tmp_path / "a.png", random(16, 16, 3))
    save(tmp_path / "b.png", random(3, 3, 3))
    before = (tmp_path / "b.png").read_bytes()
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    assert "b.png exists: use --overwrite" in refused(capsys, blurred, a, b)
    assert b.read_bytes() == before
    mapped(blurred, "--overwrite", a, b)
    assert load(b).shape == (16, 16, 3)


def test_an_input_is_never_an_output(blurred, tmp_path, capsys):
    a = save(tmp_path / "a.png", random(16, 16, 3))
    (tmp_path / "link.png").symlink_to(a)
    os.link(a, tmp_path / "hard.png")
    before = a.read_bytes()
    for other in ("a.png", "link.png", "hard.png", ""):
        line = refused(capsys, blurred, "--overwrite", a, f"{tmp_path}/{other}")
        assert "is an input; write to another OUT" in line
    assert a.read_bytes() == before


def test_two_pictures_with_one_output(blurred, tmp_path, capsys):
    save(tmp_path / "a.png", random(16, 16, 3))
    save(tmp_path / "a.jpg", random(16, 16, 3))
    line = refused(capsys, blurred, tmp_path, tmp_path / "out")
    assert "a.jpg and " in line
    assert "would both be written to" in line
    assert not (tmp_path / "out").exists()


def test_a_damaged_picture_is_reported(blurred, tmp_path, capsys, caplog):
    good = save(tmp_path / "in" / "good.png", random(40, 40, 3))
    whole = good.read_bytes()
    (tmp_path / "in" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "text.png").write_text("no picture")
    mapped(blurred, tmp_path / "in", tmp_path / "out", code=1)
    text = caplog.text
    assert text.count("cannot be read as a picture") == 2
    assert "2 of 3 pictures could not be mapped" in text
    assert files(tmp_path / "out") == ["good.png"]
    line = refused(
        capsys, blurred, "--on_bad_example=stop", tmp_path / "in", tmp_path / "out2"
    )
    assert "text.png cannot be read" in line
    assert not (tmp_path / "out2").exists()


def test_a_failed_write_leaves_no_half_file(blurred, tmp_path, capsys, monkeypatch):
    a = save(tmp_path / "a.png", random(16, 16, 3))
    (tmp_path / "out").mkdir()

    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fails)
    line = refused(capsys, blurred, a, tmp_path / "out")
    assert "a.png cannot be written (Input/output error); check the disk" in line
    assert files(tmp_path / "out") == []


# Limits of sizes.


def png_of(side):
    """A PNG of a huge square, without its pixels."""
    content = io.BytesIO()
    Image.new("1", (1, 1)).save(content, "PNG")
    data = content.getvalue()
    chunk = b"IHDR" + struct.pack(">II", side, side) + data[24:29]
    return data[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


def test_max_pixels_is_the_limit_of_pillow():
    assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS


def test_the_user_sets_the_number_of_pixels(blurred, tmp_path, capsys, monkeypatch):
    a = save(tmp_path / "a.png", random(16, 20, 3))
    out = tmp_path / "b.png"
    line = refused(capsys, blurred, "--max_pixels=319", a, out)
    assert "320 pixels are more than --max_pixels=319: use --max_pixels=320" in line
    mapped(blurred, "--max_pixels=320", a, out)
    # also above the limit of Pillow, which others keep
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    mapped(blurred, "--overwrite", a, out)
    mapped(blurred, a, tmp_path / "new.jpg")
    with pytest.raises(UsageError, match="too many pixels: give them as an array"):
        jaxgan.apply_run(blurred, a)
    assert Image.MAX_IMAGE_PIXELS == 100
    monkeypatch.undo()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "huge.png").write_bytes(png_of(10_000))
    line = refused(capsys, blurred, tmp_path / "in", tmp_path / "out")
    assert "huge.png cannot be read as a picture (100,000,000 pixels are more" in line
    assert "use --max_pixels=100000000" in line


@pytest.mark.parametrize(
    ("name", "side", "most"),
    [
        ("b.webp", 4096, "WEBP files at most 16,383"),
        ("b.jpg", 16_376, "JPEG files at most 65,500"),
    ],
)
def test_a_format_that_cannot_hold_the_result(
    open_run, tmp_path, capsys, monkeypatch, name, side, most
):
    run = open_run("super_resolution(4)", "blur_4_times", "single")
    monkeypatch.setattr(Mapper, "restore", None)
    a = save(tmp_path / "a.png", random(2, side, 3))
    line = refused(capsys, run, a, tmp_path / name)
    assert f"{name}: the result has 8x{4 * side} pixels, and {most} a side; " in line
    assert line.endswith("b.png")
    assert files(tmp_path) == ["a.png"]


def test_results_that_do_not_fit_into_memory(open_run, tmp_path, capsys, monkeypatch):
    run = open_run("super_resolution(4)", "blur_4_times", "single")
    a = save(tmp_path / "a.png", random(40, 100, 3))
    # 3 bytes of the picture, and 16 * (3 + 4 + 3) of the result
    need = 4_000 * 163
    monkeypatch.setattr(memory, "host_bytes", lambda: 2**40)
    monkeypatch.setattr(apply_limits, "host_bytes", lambda: need - 1)
    line = refused(capsys, run, a, tmp_path / "b.png")
    assert "for a result of 160x400 pixels, and 0.00 GiB are free: use a" in line
    assert "picture of at most 1,999 pixels, or a machine with more memory" in line
    assert files(tmp_path) == ["a.png"]
    monkeypatch.setattr(apply_limits, "host_bytes", lambda: need + 2**10)
    mapped(run, a, tmp_path / "b.png")


def test_arrays_whose_results_do_not_fit_into_memory(open_run, monkeypatch):
    run = open_run("super_resolution(4)", "blur_4_times", "single")
    two = [random(40, 100, 3), random(8, 8, 3)]
    # 3 channels of 16 pixels of the result for each of the pictures
    need = 48 * 4_064
    with monkeypatch.context() as patch:
        patch.setattr(memory, "nbytes", lambda tree: 0)
        patch.setattr(apply_limits, "host_bytes", lambda: need - 1)
        patch.setattr(Mapper, "restore", None)
        with pytest.raises(UsageError) as error:
            jaxgan.apply_run(run, two)
    assert "the results of 2 picture(s) take 0.00 GiB of memory, and" in str(
        error.value
    )
    assert "give fewer or smaller pictures at a time" in str(error.value)
    assert [x.shape for x in jaxgan.apply_run(run, two)] == [(160, 400, 3), (32, 32, 3)]


def test_memory_that_runs_out_is_explained(open_run, monkeypatch):
    run = open_run("super_resolution(4)", "blur_4_times", "single")

    def fail(*args, **options):
        raise MemoryError("40 GiB")

    monkeypatch.setattr(Mapper, "restore", fail)
    with pytest.raises(UsageError, match=r"memory ran out \(40 GiB\): give fewer at a"):
        jaxgan.apply_run(run, random(8, 8, 3))


def test_no_line_counts_pictures_that_failed(blurred, tmp_path, caplog, capsys):
    good = save(tmp_path / "a.png", random(40, 40, 3)).read_bytes()
    (tmp_path / "a.png").write_bytes(good[: len(good) // 2])
    with caplog.at_level(logging.INFO, "jaxgan"):
        mapped(blurred, tmp_path / "a.png", tmp_path / "b.png", code=1)
    assert "1 of 1 pictures could not be mapped" in caplog.text
    assert "picture(s) in" not in caplog.text


# Modes, orientation, alpha, profiles.


def test_gray_pictures_become_rgb(blurred, tmp_path):
    pixels = random(16, 16)
    save(tmp_path / "gray.png", pixels)
    mapped(blurred, tmp_path / "gray.png", tmp_path / "out.png")
    near(load(tmp_path / "out.png"), expected(np.stack([pixels] * 3, -1)))


def test_16_bits_are_read_with_8(blurred, tmp_path, caplog):
    pixels = random(16, 16)
    Image.fromarray(pixels.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    with caplog.at_level(logging.INFO, "jaxgan"):
        mapped(blurred, tmp_path / "deep.png", tmp_path / "out.png")
    near(load(tmp_path / "out.png"), expected(np.stack([pixels] * 3, -1)))
    assert "1 of 1 picture(s) have 16 bits per channel" in caplog.text


@pytest.mark.parametrize("tag", range(1, 9))
def test_results_are_upright(blurred, tmp_path, tag):
    upright = random(16, 24, 3)
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[tag]
    stored = Image.fromarray(upright)
    stored = stored if undo is None else stored.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = tag
    stored.save(tmp_path / "a.png", exif=exif)
    mapped(blurred, tmp_path / "a.png", tmp_path / "b.png")
    near(load(tmp_path / "b.png")[:15, :23], expected(upright)[:15, :23])
    with Image.open(tmp_path / "b.png") as result:
        assert result.getexif().get(0x0112, 1) == 1


def test_alpha_is_kept_and_looks_right_on_white(blurred, tmp_path):
    pixels = random(16, 16, 4)
    pixels[:4, :, 3], pixels[4:8, :, 3] = 0, 255
    save(tmp_path / "a.png", pixels)
    mapped(blurred, tmp_path / "a.png", tmp_path / "b.png")
    got = load(tmp_path / "b.png")
    np.testing.assert_array_equal(got[..., 3], pixels[..., 3])
    share = pixels[..., 3:] / 255
    white = np.round(pixels[..., :3] * share + 255 * (1 - share)).astype(np.uint8)
    near(got[4:8, :, :3], expected(white)[4:8])  # opaque
    # Over white it looks as the network made it, unless that is darker than alpha.
    shown = got[..., :3] * share + 255 * (1 - share)
    possible = expected(white) >= 255 * (1 - share)
    assert possible[4:].mean() > 0.8
    assert np.abs(shown - expected(white))[4:][possible[4:]].max() <= 2
    mapped(blurred, tmp_path / "a.png", tmp_path / "b.jpg")
    assert load(tmp_path / "b.jpg").shape == (16, 16, 3)


def test_color_profiles_are_kept_if_they_fit(blurred, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    save(tmp_path / "a.png", random(16, 16, 3), icc_profile=profile)
    gray = profile[:16] + b"GRAY" + profile[20:]
    save(tmp_path / "g.png", random(16, 16), icc_profile=gray)
    for name, kept in (("a.png", profile), ("g.png", None)):
        mapped(blurred, "--overwrite", tmp_path / name, tmp_path / "out.png")
        with Image.open(tmp_path / "out.png") as result:
            assert result.info.get("icc_profile") == kept


@pytest.mark.parametrize("suffix", picture_files.FORMATS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_all_formats_hold_all_results(suffix, channels):
    pixels = np.full((9, 7, channels), 200, np.uint8)
    # JPEG has no alpha channel: 200 / 255 of 200, the rest white.
    flat = suffix in (".jpg", ".jpeg") and channels in (2, 4)
    with Image.open(io.BytesIO(picture_files.encode(pixels, suffix))) as picture:
        got = np.asarray(picture.convert("L"))
    near(got, np.full((9, 7), 212 if flat else 200))


# Sizes.


def run_of(task, networks, kind="pair", **more):
    return maps.untrained(task, networks, maps.spec(kind, **more))


def mapper_of(task, networks, kind="pair", *, options=None, **more):
    mapper = Mapper(run_of(task, networks, kind, **more), options or MapOptions())
    mapper.restore()
    return mapper


@pytest.mark.parametrize(
    ("task", "networks", "kind", "facts"),
    [
        ("paired", "blur", "pair", ((16, 16), 1, 1)),
        ("paired", "hourglass", "pair", ((16, 16), 4, 1)),
        ("paired", "fixed", "pair", ((16, 16), 0, 1)),
        ("super_resolution(2)", "blur_twice", "single", ((8, 8), 1, 2)),
        # Sources of the size of images, which a run of an earlier version ignores.
        ("super_resolution(2)", "blur_twice", "pair", ((8, 8), 1, 2)),
    ],
)
def test_what_a_network_accepts_is_found_from_shapes(task, networks, kind, facts):
    mapper = Mapper(run_of(task, networks, kind), MapOptions())
    found = mapper.facts
    assert (found.base, found.multiple, found.scale) == facts
    assert found.channels == 3


def test_tiles_equal_the_whole_for_a_local_network():
    pixels = random(70, 53, 3)
    whole = mapper_of("paired", "blur", options=MapOptions(tile=96))(pixels)
    tiled = mapper_of("paired", "blur", options=MapOptions(tile=32, overlap=8))
    near(tiled(pixels), expected(pixels))
    inside = np.s_[:69, :52]  # beyond, padding differs
    near(whole[inside], expected(pixels)[inside])


def test_any_size_from_one_pixel_up():
    mapper = mapper_of("paired", "hourglass", options=MapOptions(tile=24, overlap=6))
    for height in (1, 2, 3, 17, 23, 24, 25, 47, 48, 49, 72):
        constant = np.full((height, 73 - height, 3), 7 + height, np.uint8)
        near(mapper(constant), constant)


def test_a_network_of_one_size_is_applied_in_tiles_of_it():
    mapper = mapper_of("paired", "fixed")
    pixels = random(40, 7, 3)
    near(mapper(pixels), (pixels.astype(float) - 127.5) / 2 + 127.5)
    assert mapper.tile_for((40, 7)) == (16, 16)


def test_super_resolution_enlarges_colors_and_alpha(tmp_path, open_run):
    run = open_run("super_resolution(2)", "blur_twice", "single")
    pixels = random(21, 10, 3)
    alpha = np.full((21, 10, 1), 128, np.uint8)
    alpha[:10] = 255
    save(tmp_path / "a.png", np.concatenate([pixels, alpha], -1))
    mapped(run, tmp_path / "a.png", tmp_path / "b.png")
    got = load(tmp_path / "b.png")
    assert got.shape == (42, 20, 4)
    near(got[:16, :18, :3], expected(pixels, scale=2)[:16, :18])
    assert set(np.unique(got[:16, :, 3])) == {255}
    assert set(np.unique(got[24:, :, 3])) == {128}


def test_few_shapes_are_compiled_for_many_sizes(monkeypatch):
    mapper = mapper_of("paired", "hourglass")
    monkeypatch.setattr(mapping, "SIDE", 128)
    monkeypatch.setattr(mapping, "LEAST", 128)
    shapes = {
        mapper.tile_for((height, width))
        for height in range(1, 300, 7)
        for width in range(1, 300, 7)
    }
    sides = (16, 64, 128, 192)
    assert shapes == {(h, w) for h in sides for w in sides}
    # Two tiles of 128 would not cover 256 and their overlap of 16.
    assert mapper.tile_for((240, 241)) == (128, 192)


def test_a_gray_network_reads_colors_in_gray(tmp_path, open_run, caplog):
    run = open_run("paired", "blur", "pair", channels=1)
    pixels = random(16, 16, 3)
    save(tmp_path / "a.png", pixels)
    with caplog.at_level(logging.INFO, "jaxgan"):
        mapped(run, tmp_path / "a.png", tmp_path / "b.png")
    gray = np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    near(load(tmp_path / "b.png"), expected(gray)[..., 0])
    assert "1 of 1 picture(s) are in color, and are read in gray" in caplog.text


def test_the_seed_decides_the_noise():
    pixels = random(16, 16, 3)

    def result(seed):
        options = MapOptions(seed=seed)
        return mapper_of("paired", "blur_noise", options=options)(pixels)

    np.testing.assert_array_equal(result(3), result(3))
    assert (result(3) != result(4)).mean() > 0.5


def test_results_that_are_not_finite_end_the_program():
    mapper = mapper_of("paired", "blur")
    mapper._variables = jax.tree.map(lambda x: x * np.nan, mapper._variables)
    with pytest.raises(TrainingError, match="not finite: use an earlier checkpoint"):
        mapper(random(16, 16, 3))


# Masks, labels, attributes, the other direction.


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_known_pixels_stay_as_they_are(open_run, tmp_path, mode):
    filled = open_run("inpainting", "blur", "single")
    pixels = random(40, 50, 4)
    picture = Image.fromarray(pixels).convert(mode)
    picture.save(tmp_path / "a.png")
    hole = np.zeros((40, 50), np.uint8)
    hole[10:30, 5:20] = 255
    save(tmp_path / "mask.png", hole)
    mask = f"--mask={tmp_path}/mask.png"
    mapped(filled, mask, "--tile=24", tmp_path / "a.png", tmp_path / "b.png")
    got, before = load(tmp_path / "b.png"), np.asarray(picture)
    before = np.stack([before] * 3, -1) if mode == "L" else before
    np.testing.assert_array_equal(got[hole == 0], before[hole == 0])
    assert (got[hole > 0] != before[hole > 0]).mean() > 0.5


def test_masks_of_a_folder_have_the_names_of_their_pictures(open_run, tmp_path, capsys):
    filled = open_run("inpainting", "blur", "single")
    for name in ("a.jpg", "x/b.png"):
        save(tmp_path / "in" / name, random(16, 16, 3))
    save(tmp_path / "masks" / "a.png", np.full((16, 16), 255))
    flags = [f"--mask={tmp_path}/masks", tmp_path / "in", tmp_path / "out"]
    assert "1 picture(s) have no mask, such as x/b.png" in refused(
        capsys, filled, *flags
    )
    save(tmp_path / "masks" / "x" / "b.bmp", np.zeros((16, 16)))
    mapped(filled, *flags)
    np.testing.assert_array_equal(
        load(tmp_path / "out" / "x" / "b.png"), load(tmp_path / "in" / "x" / "b.png")
    )


def test_masks_that_do_not_fit(open_run, blurred, tmp_path, capsys):
    a = save(tmp_path / "a.png", random(16, 16, 3))
    save(tmp_path / "mask.png", np.zeros((16, 17)))
    out, mask = tmp_path / "b.png", f"--mask={tmp_path}/mask.png"
    assert "fills no holes" in refused(capsys, blurred, f"--mask={a}", a, out)
    filled = open_run("inpainting", "blur", "single")
    assert "this run fills holes: use --mask=PATH" in refused(capsys, filled, a, out)
    assert "mask.png is 16x17, and " in refused(capsys, filled, mask, a, out)
    no = f"--mask={tmp_path}/no.png"
    assert "there is no such file" in refused(capsys, filled, no, a, out)


def test_a_label_selects_the_domain():
    pixels = np.full((16, 16, 3), 100, np.uint8)
    plain = mapper_of("shift", "fixed", "label", options=MapOptions(label="ink"))
    other = mapper_of("shift", "fixed", "label", options=MapOptions(label="oil"))
    near(other(pixels) - plain(pixels), np.full((16, 16, 3), 0.1 * 127.5))
    for label, message in (
        ("", "use --label=NAME, the domain, one of ink, oil"),
        ("olo", "--label: no domain 'olo': .*ink, oil"),
    ):
        with pytest.raises(UsageError, match=message):
            mapper_of("shift", "fixed", "label", options=MapOptions(label=label))


def test_attributes_are_all_given_by_name():
    pixels = np.full((16, 16, 3), 60, np.uint8)

    def result(**values):
        options = MapOptions(attributes=values)
        return mapper_of("shift", "fixed", "attributes", options=options)(pixels)

    difference = result(beard=0.5, hat=0.25) - result(hat=0.25, beard=0.0)
    near(difference, np.full((16, 16, 3), 0.5 * 127.5))
    for values in ({}, {"hat": 1.0}, {"hat": 1.0, "beard": 1.0, "nose": 0.0}):
        with pytest.raises(UsageError, match="--attributes='hat=0,beard=0'"):
            result(**values)


def test_inputs_that_a_run_does_not_read():
    for options in (MapOptions(label="ink"), MapOptions(attributes={"hat": 1.0})):
        with pytest.raises(UsageError, match="--task=paired reads no"):
            mapper_of("paired", "blur", options=options)


def test_the_other_direction():
    pixels = np.full((16, 16, 3), 127, np.uint8)
    there = mapper_of("both_ways", "fixed")(pixels)
    back = mapper_of("both_ways", "fixed", options=MapOptions(reverse=True))(pixels)
    near(there, np.full_like(pixels, 191))
    near(back, np.full_like(pixels, 64))
    with pytest.raises(UsageError, match="--reverse: --task=paired maps in one"):
        mapper_of("paired", "blur", options=MapOptions(reverse=True))


def test_tiles_that_a_network_does_not_accept():
    for networks, options, message in (
        ("hourglass", MapOptions(tile=30), "multiple of 4: use --tile=32"),
        ("fixed", MapOptions(tile=32), "--tile=32: this network maps 16x16 only"),
        ("blur", MapOptions(tile=32, overlap=17), "at most half of a tile"),
        ("fixed", MapOptions(overlap=9), "--overlap=9: .* use --overlap=4"),
    ):
        with pytest.raises(UsageError, match=message):
            mapper_of("paired", networks, options=options)


# Runs of the other kind, and the API.


def test_a_run_knows_its_program(blurred, finished, tmp_path, capsys):
    a = save(tmp_path / "a.png", random(16, 16, 3))
    line = refused(capsys, finished, a, tmp_path / "b.png")
    assert "--task=generate(4) maps no pictures; draw samples with " in line
    assert sample.main([f"--workdir={blurred}", f"--out={tmp_path}/b.png"]) == 2
    assert "use python -m jaxgan.apply --workdir=RUN" in capsys.readouterr().err
    assert files(tmp_path) == ["a.png"]


def test_arrays_and_paths_by_the_api(blurred, open_run, tmp_path):
    pixels = random(16, 20, 3)
    file = save(tmp_path / "a.png", pixels)
    one = jaxgan.apply_run(blurred, pixels)
    assert one.dtype == np.uint8
    near(one[:15, :19], expected(pixels)[:15, :19])
    several = jaxgan.apply_run(blurred, [pixels, file, str(file)])
    for result in several:
        np.testing.assert_array_equal(result, one)
    for bad, message in (
        (pixels / 255, "float64: give"),
        (pixels[..., :1], "has 1 channels"),
        (tmp_path / "no.png", "no.png cannot be read"),
    ):
        with pytest.raises(UsageError, match=message):
            jaxgan.apply_run(blurred, bad)
    with pytest.raises(UsageError, match="rate=8000: this run maps pictures"):
        jaxgan.apply_run(blurred, pixels, rate=8_000)
    filled = open_run("inpainting", "blur", "single")
    hole = np.zeros((16, 20), bool)
    hole[4:8, 4:8] = True
    got = jaxgan.apply_run(filled, pixels, mask=hole, checkpoint=2)
    np.testing.assert_array_equal(got[~hole], pixels[~hole])
    with pytest.raises(UsageError, match="mask: this run needs a mask"):
        jaxgan.apply_run(filled, pixels)
    with pytest.raises(UsageError, match="make them equal"):
        jaxgan.apply_run(filled, pixels, mask=hole.T)
    for masks in ([hole, hole], hole):
        match = rf"mask: {len(masks)} mask\(s\) for 3 pictures: give one for each"
        with pytest.raises(UsageError, match=match):
            jaxgan.apply_run(filled, [pixels] * 3, mask=masks)


def test_flags_and_names_in_any_order():
    config = parse_args(
        [
            *("a.png", "--workdir=run", "--attributes=a=1,b=0", "--raw", "b.png"),
            *("--checkpoint=40", "--tile=64", "--", "-out"),
        ]
    )
    assert (config.pictures, config.out) == (("a.png", "b.png"), "-out")
    assert (config.which, config.tile, config.overlap) == (40, 64, -1)
    assert (config.raw, config.attributes) == (True, {"a": 1.0, "b": 0.0})


def test_the_kind_of_data_is_known_without_fields(tmp_path):
    # That of data with an image or a vector, and a label at most.
    for shape, kind in (([2], "vector"), ([8, 8, 3], "image")):
        facts = {"shape": shape, "dtype": "float32", "classes": [], "size": 9}
        (tmp_path / "data.json").write_text(json.dumps(facts))
        assert picture_facts.kind_of_data(tmp_path) == kind
    (tmp_path / "data.json").write_text("[]")
    assert picture_facts.kind_of_data(tmp_path) == ""
