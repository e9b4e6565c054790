"""Lines, files and pictures that a run reports, to the character and the pixel."""

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan import reporting
from jaxgan.errors import UsageError
from jaxgan.reporting import images
from jaxgan.reporting.console import Pace, format_line, update_pace
from jaxgan.reporting.metrics_file import truncate_metrics
from jaxgan.reporting.plots import Panel, panels, read_curves
from jaxgan.reporting.progress import LABEL

pytestmark = pytest.mark.usefixtures("curves")

WHITE = [255, 255, 255]


@pytest.fixture
def lines(caplog):
    """The lines that the user reads."""
    caplog.set_level(logging.INFO, logger="jaxgan")
    return lambda: [record.getMessage() for record in caplog.records]


# One line


def test_a_line():
    metrics = {
        "generator/loss": 0.712,
        "discriminator/loss": 1.234,
        "discriminator/r1": 0.02,
        "discriminator/real": 3.0,
        "discriminator/grad_norm": 9.0,
        "seconds": 5.0,
        "score": 12.3456,
    }
    pace = Pace(1_200, 0.0, 35.1, 34.92)
    want = "step 1,200/10,000  D 1.234  G 0.712  r1 0.02  score 12.35"
    assert format_line(1_200, 10_000, metrics) == want
    want += "  35.1 steps/s  2,246 img/s  ETA 4:12"
    assert format_line(1_200, 10_000, metrics, pace, 64) == want
    # Sounds and texts are no images.
    want = want.replace("2,246 img/s", "2,246 examples/s")
    assert format_line(1_200, 10_000, metrics, pace, 64, unit="examples") == want


def test_a_score_has_the_name_of_its_metric_and_is_printed_once():
    metrics = {"score": 4.7, "eval/fd_a": 4.7, "eval/recall_a": 0.5}
    want = "step 1/2  fd_a 4.7  recall_a 0.5  score 4.7"
    assert format_line(1, 2, metrics) == want
    want = "step 1/2  recall_a 0.5  score (fd_a) 4.7 ± 0.1"
    got = format_line(1, 2, metrics, deviations={"score": 0.1}, score_name="fd_a")
    assert got == want


def test_a_line_at_the_end_has_no_time_left():
    pace = Pace(9, 0.0, 0.25, 0.25)
    assert format_line(10, 10, {}, pace, 8) == "step 10/10  0.25 steps/s  2.0 img/s"


def test_terms_of_the_same_name_are_told_apart():
    metrics = {"discriminator/l2": 1.0, "generator/l2": 2.0, "generator/l1": np.nan}
    assert format_line(1, 2, metrics) == "step 1/2  l2 1  G.l2 2  l1 nan"


def test_the_pace_is_that_of_the_last_steps_and_the_rest_is_judged_smoothly():
    pace = update_pace(Pace(100, 0.0), 110, 10.0)
    assert pace == Pace(110, 10.0, 1.0, 1.0)
    pace = update_pace(pace, 210, 20.0)
    assert (pace.step, pace.time, pace.rate) == (210, 20.0, 10.0)
    assert pace.smooth == pytest.approx(0.7 * 1 + 0.3 * 10)
    assert update_pace(pace, 210, 30.0) == pace


# The metrics file


def test_metrics_are_lines_of_json_with_the_step_first(tmp_path):
    file = tmp_path / "metrics.jsonl"
    reporting.append(file, {"a": 0.5, "step": 3, "b": float("nan")})
    reporting.append(file, {"step": 4, "a": float("inf")})
    text = '{"step": 3, "a": 0.5, "b": null}\n{"step": 4, "a": null}\n'
    assert file.read_text() == text


def test_metrics_end_at_the_step_that_is_resumed(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 5}\n{"step": 10}\n{"step": 10, "score": 1}\n{"step": 15')
    truncate_metrics(file, 10)
    assert file.read_text() == '{"step": 5}\n{"step": 10}\n{"step": 10, "score": 1}\n'
    truncate_metrics(file, 5)
    assert file.read_text() == '{"step": 5}\n'
    truncate_metrics(tmp_path / "none", 5)


def test_broken_lines_go_and_whole_files_stay_untouched(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1}\n{"st\n[3]\n{"step": 2}\n{"step": 3}')
    truncate_metrics(file, 10)
    assert file.read_text() == '{"step": 1}\n{"step": 2}\n'
    before = file.stat().st_ino
    truncate_metrics(file, 10)
    assert file.stat().st_ino == before


def test_the_lines_of_step_0_are_written_anew_and_rollbacks_stay(tmp_path):
    file = tmp_path / "metrics.jsonl"
    note = '{"step": 0, "kind": "rollback", "finding": "back to step 0"}\n'
    file.write_text('{"step": 0, "score": 1}\n' + note + '{"step": 5}\n')
    truncate_metrics(file, 0)
    assert file.read_text() == note


BROKEN = [b'{"st', b"[1]", b"null", b"3", b"{}", b'{"step": null}', b'{"step": "1"}']
BROKEN += [b"[" * 9999, b"\xff\xfe", b"\0\0"]


@pytest.mark.parametrize("line", BROKEN)
def test_lines_that_are_broken_are_passed_over(tmp_path, line):
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"step": 1, "a": 2.5}\n' + line + b'\n{"step": 2}\n' + line)
    assert reporting.read_metrics(file) == [{"step": 1, "a": 2.5}, {"step": 2}]
    truncate_metrics(file, 2)
    assert file.read_bytes() == b'{"step": 1, "a": 2.5}\n{"step": 2}\n'
    assert reporting.read_metrics(tmp_path / "none") == []


# Pictures


def test_a_grid_to_the_pixel():
    images = (
        np.zeros((3, 40, 32, 1), np.uint8) + np.array([10, 20, 30])[:, None, None, None]
    )
    pixels = reporting.grid(images.astype(np.uint8), columns=2, pad=1)
    want = np.full((1 + 41 + 41, 1 + 33 + 33), 255)
    want[1:41, 1:33] = 10
    want[1:41, 34:66] = 20
    want[42:82, 1:33] = 30
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, want)


def test_floats_cover_the_range_and_what_is_none_is_black():
    values = np.array([-1, 0, 1, 3, -9, np.nan, np.inf], np.float32)
    pixels = reporting.grid(
        np.tile(values[:, None, None, None], (1, 32, 32, 1)), 7, pad=0
    )
    assert pixels[0, ::32].tolist() == [0, 128, 255, 255, 0, 0, 255]


def test_16_bits_are_shown_as_8():
    images = np.array([0, 32768, 65535], np.uint16)[:, None, None, None]
    pixels = reporting.grid(np.tile(images, (1, 32, 32, 1)), 3, pad=0)
    assert pixels[0, ::32].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("side", "scale"), [(8, 4), (28, 2), (31, 2), (32, 1), (64, 1)]
)
def test_small_images_are_enlarged_pixel_by_pixel(side, scale):
    images = np.arange(side * side).reshape(1, side, side, 1).astype(np.uint8)
    pixels = reporting.grid(images, pad=0)
    assert pixels.shape == (side * scale, side * scale)
    np.testing.assert_array_equal(pixels[::scale, ::scale], images[0, :, :, 0])
    np.testing.assert_array_equal(
        pixels[scale - 1 :: scale, ::scale], images[0, :, :, 0]
    )


def test_alpha_is_shown_over_white():
    image = np.zeros((1, 32, 32, 4), np.uint8)
    image[0, 0, :3] = [[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 51]]
    pixels = reporting.grid(image, pad=0)
    assert pixels[0, :3].tolist() == [[200, 0, 0], WHITE, [244, 204, 204]]


@pytest.mark.parametrize(
    ("channels", "shape"), [(1, ()), (2, ()), (3, (3,)), (4, (3,)), (7, (3,))]
)
def test_any_number_of_channels_can_be_shown(channels, shape):
    assert reporting.grid(np.zeros((1, 32, 32, channels))).shape == (36, 36, *shape)


def test_images_that_are_not_square_make_a_sheet_that_is():
    assert reporting.layout((64, 64, 64, 3)).columns == 8
    assert reporting.layout((16, 32, 128, 3)) == images.Layout(32, 128, 2, 2, 16)
    assert reporting.layout((2, 32, 8, 3), columns=5) == (32, 8, 2, 2, 2)


def test_points_are_where_they_should_be():
    pixels = reporting.scatter(
        np.array([[0.0, 0.0], [1.0, 0.5], [9.0, 0.0]]),
        real=np.array([[-1.0, -1.0], [0.0, 0.0]]),
        extent=1.25,
        size=251,
    )
    fake = (pixels == images.FAKE).all(-1)
    real = (pixels == images.REAL).all(-1)
    assert pixels.shape == (251, 251, 3)
    assert fake[124:127, 124:127].all()  # (0, 0), over the real one
    assert fake[74:77, 224:227].all()  # 100 pixels a unit, y upwards
    assert fake.sum() == 18
    assert real[224:227, 24:27].all()
    assert real.sum() == 9


def test_points_that_are_not_numbers_are_left_out():
    pixels = reporting.scatter(np.array([[np.nan, 0.0], [np.inf, 1.0]]))
    assert not (pixels == images.FAKE).all(-1).any()


def test_a_constant_is_a_level_line():
    pixels = reporting.curves(np.zeros((1, 7)), extent=1.0, size=101)
    rows = np.flatnonzero((pixels == images.FAKE).all(-1).any(1))
    assert pixels.shape == (101, 202, 3)
    assert set(rows) <= {49, 50, 51}
    assert 50 in rows


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((9, 32, 32, 3), (104, 104, 3)),
        ((9, 2), (256, 256, 3)),
        ((9, 1), (256, 512, 3)),
        ((9, 17), (256, 512, 3)),
        ((9, 30, 4), (256, 512, 3)),
        ((1, 1), (256, 512, 3)),
        ((9,), (256, 512, 3)),
    ],
)
def test_samples_of_any_shape_have_a_picture(shape, size):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = reporting.picture(values, values)
    assert found.pixels.shape == size
    assert found.pixels.dtype == np.uint8
    assert (found.layout is not None) == (len(shape) == 4)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_a_picture_is_saved_with_its_layout_and_step(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    picture = reporting.Picture(pixels, reporting.layout((4, 28, 28, 1)), 1200)
    reporting.save_png(tmp_path / "a.png", picture)
    found = reporting.load_png(tmp_path / "a.png")
    np.testing.assert_array_equal(found.pixels, pixels)
    assert found[1:] == picture[1:]
    reporting.save_png(tmp_path / "b.png", pixels)
    assert reporting.load_png(tmp_path / "b.png")[1:] == (None, None, (), b"", ())
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.png"]


# The same latents through training


def test_moments_have_the_first_and_the_last_and_are_denser_at_the_start():
    steps = list(range(0, 10_001, 100))
    chosen = reporting.moments(steps)
    # the nearest to 100, 178, 316, 562, 1000, 1778, 3162, 5623, 10000
    assert chosen == [0, 100, 200, 300, 600, 1000, 1800, 3200, 5600, 10000]
    assert reporting.moments([5]) == [5]
    assert reporting.moments([]) == []
    assert reporting.moments(range(11), count=10) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]


def previews(folder: Path, steps, shape=(16, 32, 32, 1)) -> list[Path]:
    """Pictures whose tiles are as bright as their number plus their step."""
    paths = []
    for step in steps:
        number = np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        images = np.broadcast_to(number + step, shape).astype(np.uint8)
        paths.append(folder / f"step_{step:08}.png")
        pixels = reporting.grid(images)
        reporting.save_png(
            paths[-1], reporting.Picture(pixels, reporting.layout(shape), step)
        )
    return paths


def test_progress_has_a_row_per_moment_of_the_first_tiles(tmp_path):
    pixels = reporting.progress(previews(tmp_path, [0, 10, 100]))
    assert pixels is not None
    left = LABEL
    assert pixels.shape == (3 * 34 + 4, left + 12 * 34, 3)
    for row, step in enumerate([0, 10, 100]):
        tops = pixels[2 + row * 34 : 2 + row * 34 + 32, left:]
        for tile in range(12):
            assert (tops[:, tile * 34 : tile * 34 + 32] == tile + step).all()
        label = pixels[2 + row * 34 : 34 + row * 34, :left]
        assert label.min() < 100, "the step is written"


def test_progress_leaves_out_what_it_cannot_show(tmp_path):
    good = previews(tmp_path, [0, 10])
    other = previews(tmp_path, [5], shape=(4, 32, 32, 1))
    (tmp_path / "step_00000007.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "step_00000008.png").write_bytes(good[0].read_bytes()[:90])
    bad = [tmp_path / "step_00000007.png", tmp_path / "step_00000008.png"]
    pixels = reporting.progress([*good, *other, *bad])
    assert pixels is not None
    assert len(pixels) == 2 * 34 + 4
    assert reporting.progress(bad) is None
    assert reporting.progress([]) is None


def test_drawings_stand_side_by_side_even_of_other_programs(tmp_path):
    for step in (3, 40):
        drawing = np.full((50, 60, 3), step, np.uint8)
        Image.fromarray(drawing).save(tmp_path / f"step_{step:08}.png")
    pixels = reporting.progress(sorted(tmp_path.glob("*.png")))
    assert pixels is not None
    assert pixels.shape == (74, 2 * 68, 3)
    assert (pixels[20:70, :60] == 3).all()
    assert (pixels[20:70, 68:128] == 40).all()


# Curves


def test_curves_are_read_without_what_is_broken(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text(
        '{"step": 2, "a": 1.5, "b": null}\n{"st\n[1]\n{"step": 1, "a": NaN}\n'
    )
    reporting.append(file, {"step": 1, "a": 0.5})
    found = read_curves(file)
    assert sorted(found) == ["a", "step"]
    assert found["a"].steps.tolist() == [1, 2]
    assert found["a"].values.tolist() == [0.5, 1.5]


def test_every_measure_has_its_panel():
    names = [f"discriminator/{x}" for x in ("loss", "r1", "real", "fake", "grad_norm")]
    names += ["generator/loss", "generator/l1", "score", "seconds", "images"]
    assert {panel.title: list(panel.names) for panel in panels(names)} == {
        "loss": ["discriminator/loss", "generator/loss"],
        "mean logit": ["discriminator/real", "discriminator/fake"],
        "terms": ["discriminator/r1", "generator/l1"],
        "gradient norm": ["discriminator/grad_norm"],
        "score (distance)": ["score"],
    }
    more = ["probe/held_out", "probe/diversity", "discriminator/augment", "probe/train"]
    assert {panel.title: list(panel.names) for panel in panels(more)} == {
        "mean logit": ["probe/held_out"],
        "augmented": ["discriminator/augment"],
        "diversity": ["probe/diversity"],
    }
    assert panels(["step", "seconds"]) == []
    measured = ["score", "eval/fd_a", "eval/modes/kl", "eval/recall_a"]
    named = {
        panel.title: panel.names
        for panel in panels(measured, "fd_a", ["eval/recall_a"])
    }
    assert named == {
        "score (distance)": {"score": "fd_a"},
        "evaluation": {"eval/modes/kl": "modes kl"},
        "in [0, 1]": {"eval/recall_a": "recall_a"},
    }
    # without the name of the score all are shown
    assert panels(["eval/fd_a"]) == [Panel("evaluation", {"eval/fd_a": "fd_a"})]


@pytest.mark.parametrize(
    "rows",
    [
        [{"generator/loss": 1.0}],
        [{"score": 3.0}],
        [{"score": 9.0 / 9**i, "eval/a": 4.0, "eval/b": i / 3} for i in range(3)],
        [{"generator/loss": 0.0}] * 3,
        [{"discriminator/r1": 10.0**i, "score": 1e30 * i} for i in range(9)],
    ],
)
def test_any_metrics_can_be_drawn(tmp_path, rows):
    file = tmp_path / "metrics.jsonl"
    for step, row in enumerate(rows):
        reporting.append(file, {"step": step, **row})
    assert reporting.losses_plot(file, tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as image:
        assert image.width == 1100
    assert sorted(os.listdir(tmp_path)) == ["losses.png", "metrics.jsonl"]


def test_without_measures_nothing_is_drawn(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    assert not reporting.losses_plot(
        tmp_path / "metrics.jsonl", tmp_path / "losses.png"
    )
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


BACKEND = """
import os, sys
from jaxgan import reporting
reporting.append("metrics.jsonl", {"step": 1, "score": 2.0})
assert reporting.losses_plot("metrics.jsonl", "losses.png")
from jaxgan.performance.planning.plot import draw
draw({}, "plan.png")
assert os.environ["MPLBACKEND"] == "module://nowhere.inline"
assert "matplotlib.pyplot" not in sys.modules
# A run that starts imports nothing that takes long and is not used.
import jaxgan.data
from jaxgan.reporting.tensorboard import EventWriter
from pathlib import Path
EventWriter(Path(".")).close()
slow = {"boto3", "google.cloud.storage", "scipy"} & set(sys.modules)
assert not slow, slow
"""


def test_a_backend_that_does_not_exist_is_not_asked_for(tmp_path):
    """A notebook leaves its own to the programs that it starts."""
    root = Path(__file__).parent.parent
    environment = {**os.environ, "MPLBACKEND": "module://nowhere.inline"}
    done = subprocess.run(
        [sys.executable, "-c", BACKEND],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    events, *others = sorted(os.listdir(tmp_path))
    assert events.startswith("events.out.tfevents.")
    assert others == ["losses.png", "metrics.jsonl", "plan.png"]


# All together


def tell(folder, steps, resume_step=0):
    """A run that logs and shows each step up to `steps[-1]` of 8."""
    with reporting.open_metric_writer(
        folder, steps=8, batch_size=4, resume_step=resume_step, terminal=False
    ) as told:
        for step in steps:
            told.write_scalars(
                step, {"generator/loss": step / 2, "seconds": 1.0 * step}
            )
            told.write_images(
                step, reporting.picture(np.zeros((4, 32, 32, 3), np.float32))
            )


def metrics_of(folder):
    return [
        json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()
    ]


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with contextlib.redirect_stderr(io.StringIO()):
        found = EventAccumulator(str(folder))
        found.Reload()
    return found


def test_a_run_is_told_everywhere(tmp_path, lines, capfd):
    tell(tmp_path, [1, 2])
    assert [text.split("  ")[:2] for text in lines()] == [
        ["step 1/8", "G 0.5"],
        ["step 2/8", "G 1"],
    ]
    written = metrics_of(tmp_path)
    assert all(line.pop("steps_per_second") > 0 for line in written)
    assert written == [
        {"step": 1, "images": 4, "generator/loss": 0.5, "seconds": 1.0},
        {"step": 2, "images": 8, "generator/loss": 1.0, "seconds": 2.0},
    ]
    names = {path.name for path in tmp_path.iterdir() if "tfevents" not in path.name}
    assert names == {"metrics.jsonl", "samples", "progress.png", "losses.png"}
    assert sorted(os.listdir(tmp_path / "samples")) == [
        "step_00000001.png",
        "step_00000002.png",
    ]
    board = events(tmp_path)
    points = [(e.step, e.value) for e in board.Scalars("generator/loss")]
    assert points == [(1, 0.5), (2, 1.0)]
    assert board.Tags()["scalars"] == ["generator/loss", "steps_per_second"]
    assert [e.step for e in board.Images("samples")] == [1, 2]
    assert capfd.readouterr() == ("", ""), "all else is silent"


def test_several_runs_are_told_in_a_mean_and_a_deviation(tmp_path, lines):
    values = {"generator/loss": np.array([1.0, 2.0, 3.0]), "score": 0.5}
    values["discriminator/loss"] = np.array([4.0, np.nan, np.inf])
    values["generator/l1"] = np.full(3, np.nan)
    with reporting.open_metric_writer(
        tmp_path, steps=4, batch_size=1, terminal=False
    ) as told:
        told.write_scalars(2, values)
    assert lines()[0].split("  ")[:5] == [
        "step 2/4",
        "D 4 ± 0",
        "G 2 ± 1",
        "l1 nan ± 0",
        "score 0.5",
    ]
    [written] = metrics_of(tmp_path)
    assert written["generator/loss"] == 2.0
    assert written["generator/l1"] is None
    assert written["std"]["generator/loss"] == 1.0
    assert written["runs"]["discriminator/loss"] == [4.0, None, None]
    points = [e.value for e in events(tmp_path).Scalars("generator/loss")]
    assert points == [2.0]


def test_what_was_found_is_in_the_log_the_metrics_and_on_the_board(tmp_path, lines):
    with reporting.open_metric_writer(
        tmp_path, steps=4, batch_size=1, terminal=False
    ) as told:
        told.write_scalars(1, {"generator/loss": 1.0})
        told.write_text(1, "collapsed", "generator collapsed: at step 1")
    assert lines()[-1] == "generator collapsed: at step 1"
    assert metrics_of(tmp_path)[1] == {
        "step": 1,
        "kind": "collapsed",
        "finding": "generator collapsed: at step 1",
    }
    assert "findings/text_summary" in events(tmp_path).Tags()["tensors"]
    with reporting.open_metric_writer(
        tmp_path, steps=4, batch_size=1, terminal=False, resume_step=0
    ):
        assert metrics_of(tmp_path) == []


@pytest.mark.parametrize("resume_step", [0, 3])
def test_a_resumed_run_tells_nothing_twice(tmp_path, lines, resume_step):
    tell(tmp_path, [1, 2, 3, 4, 5])
    [first] = tmp_path.glob("events.*")
    first.rename(tmp_path / "events.out.tfevents.1700000000.vm")  # some time ago
    tell(tmp_path, range(resume_step + 1, 9), resume_step)
    assert [row["step"] for row in metrics_of(tmp_path)] == [1, 2, 3, 4, 5, 6, 7, 8]
    points = [e.step for e in events(tmp_path).Scalars("generator/loss")]
    assert points == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len(os.listdir(tmp_path / "samples")) == 8


@pytest.mark.parametrize(
    "torn", [b'{"st', b'{"step": 0, "score": 1.0}\n{"step": 2, "generator/lo']
)
def test_a_torn_row_before_the_first_checkpoint_is_dropped(tmp_path, lines, torn):
    """A full disk in the first steps leaves such a file and no checkpoint."""
    (tmp_path / "metrics.jsonl").write_bytes(torn)
    tell(tmp_path, [1, 2], resume_step=0)
    assert [row["step"] for row in metrics_of(tmp_path)] == [1, 2]
    assert (tmp_path / "losses.png").exists()


def test_samples_after_the_resumed_step_go(tmp_path, lines):
    tell(tmp_path, [1, 2, 3, 4])
    tell(tmp_path, [], resume_step=2)
    assert sorted(os.listdir(tmp_path / "samples")) == [
        "step_00000001.png",
        "step_00000002.png",
    ]


def test_a_score_alone_repeats_no_speed(tmp_path, lines):
    with reporting.open_metric_writer(
        tmp_path, steps=4, batch_size=1, terminal=False
    ) as told:
        told.write_scalars(1, {"generator/loss": 1.0})
        told.write_scalars(1, {"score": 0.25, "generator/odd": float("nan")})
    assert "steps/s" in lines()[0]
    assert lines()[1] == "step 1/4  odd nan  score 0.25"


def test_a_run_that_fails_still_has_its_curves(tmp_path, lines):
    def diverge():
        with reporting.open_metric_writer(
            tmp_path, steps=4, batch_size=1, terminal=False
        ) as told:
            told.write_scalars(1, {"generator/loss": 1.0})
            raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        diverge()
    assert (tmp_path / "losses.png").exists()


def test_a_disk_that_fills_up_is_one_line(tmp_path, lines, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with reporting.open_metric_writer(
        tmp_path, steps=4, batch_size=1, terminal=False
    ) as told:
        monkeypatch.setattr("jaxgan.reporting.metric_writer.append", full)
        with pytest.raises(
            UsageError, match=r"any more \(No space left on device\); fr"
        ):
            told.write_scalars(1, {"generator/loss": 1.0})


BAR = """
    import logging, sys, time
    from jaxgan import reporting
    logging.basicConfig(format="%(message)s")
    logging.getLogger("jaxgan").setLevel(logging.INFO)
    with reporting.open_metric_writer(sys.argv[1], steps=4, batch_size=2) as told:
        for step in (1, 2, 3, 4):
            time.sleep(0.2)
            told.write_scalars(step, {"discriminator/loss": 1.5, "generator/loss": 0.5})
            if step == 2:
                logging.getLogger("jaxgan").warning("checkpoint 1 is damaged")
"""


def test_on_a_terminal_there_is_a_bar_that_no_line_tears(tmp_path):
    pty = pytest.importorskip("pty", reason="terminals are of POSIX systems")
    termios = pytest.importorskip("termios")
    main, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 120))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BAR), str(tmp_path)],
        cwd=Path(__file__).parent.parent,
        stderr=terminal,
        stdout=subprocess.PIPE,
        timeout=60,
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # what a closed terminal reads as
        while part := os.read(main, 65536):
            shown += part
    os.close(main)
    assert (done.returncode, done.stdout) == (0, b"")
    states = [s.strip() for s in shown.decode().replace("\n", "\r").split("\r")]
    assert states.count("checkpoint 1 is damaged") == 1
    bars = [state for state in states if "step" in state]
    assert bars[0].startswith("0%")
    assert "step 0/4" in bars[0]
    assert bars[-1].startswith("100%")
    assert "step 4/4  D 1.5  G 0.5" in bars[-1]
    assert "img/s" in bars[-1]
    assert sum(shown.count(text) for text in (b"Traceback", b"Warning")) == 0


def test_columns_stand_side_by_side_example_by_example():
    # two examples: a gray 16x32 source, 32x32 fakes and targets in color
    source = np.stack([np.full((16, 16, 1), -1.0), np.full((16, 16, 1), 1.0)])
    fake = np.full((2, 32, 32, 3), [1.0, -1.0, -1.0])
    real = np.full((2, 32, 32, 3), [-1.0, -1.0, 1.0])
    columns = {"source": source, "fake": fake, "real": real}
    pixels = reporting.picture_of_columns(columns, None).pixels
    # tiles of 96 x 32, one above the other, and white lines of 2 pixels
    assert pixels.shape == (2 + 2 * 34, 2 + 98, 3)
    assert (pixels[2:34, 2:34] == 0).all()
    assert (pixels[36:68, 2:34] == 255).all()
    assert (pixels[2:34, 34:66] == [255, 0, 0]).all()
    assert (pixels[36:68, 66:98] == [0, 0, 255]).all()


def test_columns_of_other_samples_are_the_fakes_alone():
    points = np.linspace(-1, 1, 8).reshape(4, 2)
    columns = {"source": points + 1, "fake": points}
    both = reporting.picture_of_columns(columns, points).pixels
    np.testing.assert_array_equal(both, reporting.picture(points, points).pixels)
