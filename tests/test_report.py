"""Reports: one file with everything in it, whatever the workdir holds."""

import base64
import html.parser
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from earlier_workdirs import CASES, TINY
from test_train import run

import jaxgan
from jaxgan import report, reporting
from jaxgan.config.resolve import make_config, to_dict
from jaxgan.errors import UsageError
from jaxgan.reporting import sounds
from jaxgan.reporting.images import Picture
from jaxgan.sharing import sessions
from jaxgan.sharing.record import read_record
from jaxgan.sharing.report import page, pictures, tables
from jaxgan.sharing.report import report as reports

EVIL = "<script>alert('x')</script>"
EARLIER = Path(__file__).parent / "workdirs-0.1.0"


class Reader(html.parser.HTMLParser):
    """All elements, attributes and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def count(self, tag):
        return self.elements.count(tag)


def check_page(path):
    """Checks that a page runs and loads nothing, and returns it."""
    content = path.read_text()
    assert len(content) < 5 * 2**20
    found = Reader(content)
    assert found.count("script") == 0
    assert not {"iframe", "object", "embed", "link", "base", "form"} & {*found.elements}
    for tag, name, value in found.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href", "xlink:href", "action", "poster"):
            assert value.startswith(("data:image/", "data:audio/", "#")), value[:80]
    assert "default-src 'none'" in content
    # Neither templates nor matplotlib leave anything unfinished.
    assert not re.search(r"\{\{|\{%|#0a0b[0-9a-f]{2}|@import|url\((?!#)", content)
    return found


def rows_of(**more):
    """Rows of metrics, and a finding at step 4."""
    rows = [{"step": 0, "score": 0.9, "eval/sliced_wasserstein": 0.9}]
    for step in range(1, 13):
        row = {"step": step, "generator/loss": 1 / step, "discriminator/loss": 0.5}
        row |= {"discriminator/r1": 0.1, "seconds": 2.0 * step, "steps_per_second": 5}
        row |= {"probe/diversity": 0.8, f"discriminator/{EVIL}": 0.1, **more}
        if step % 4 == 0:
            row |= {"score": 0.9 / step, "eval/sliced_wasserstein": 0.9 / step}
        rows.append(row)
    rows.append({"step": 4, "kind": "x", "finding": f"samples of {EVIL} are few"})
    return rows


def write_workdir(folder, *, steps=12, size=(8, 8, 1), count=16, rows=None, **flags):
    """A workdir as training leaves it, with names that are markup."""
    (folder / "samples").mkdir(parents=True)
    given = {"dataset": f"folder:{EVIL}", "steps": steps, "g_terms": f"l1(1)|{EVIL}"}
    config = to_dict(make_config(**{**given, **flags}))
    (folder / "config.json").write_text(json.dumps(config))
    data = {"shape": size, "dtype": "uint8", "classes": [EVIL, "b"], "size": 40}
    (folder / "data.json").write_text(json.dumps({**data, "fingerprint": "f"}))
    lines = [json.dumps(row) + "\n" for row in rows or rows_of()]
    (folder / "metrics.jsonl").write_text("".join(lines))
    rng = np.random.default_rng(0)
    for step in (0, 4, 8, 12):
        images = rng.integers(0, 256, (count, *size), np.uint8)
        file = folder / f"samples/step_{step:08}.png"
        reporting.save_png(file, reporting.picture(images)._replace(step=step))
    return folder


def write_evaluation(folder):
    protocol = {"step": 12, "n_fake": 10, "n_real": 9, "held_out": f"9 of {EVIL}"}
    metrics = {EVIL: {"value": 1.25, "std": 0.5, "floor": 0.25}, "x": {"value": None}}
    content = {"metrics": metrics, "protocol": {**protocol, "floor": "others"}}
    (folder / "evaluation.json").write_text(json.dumps(content))
    rows = {"generator": {EVIL: 1.25}, f"method {EVIL}": {EVIL: 2.5}}
    pairs = {**content, "rows": rows}
    (folder / "evaluation-pairs.json").write_text(json.dumps(pairs))
    (folder / "evaluation-bad.json").write_text("[1, 2")
    picture = Picture(np.zeros((9, 9, 3), np.uint8), columns=("near", EVIL))
    reporting.save_png(folder / f"evaluation-memorization_{'x'}.png", picture)


def test_a_page_has_everything_and_names_stay_text(tmp_path):
    folder = write_workdir(tmp_path / "<b>run")
    write_evaluation(folder)
    entry = {"started": EVIL, "cpu": EVIL, "versions": {"jax": EVIL}, "seconds": 3.5}
    entry |= {"peak_host": 3 * 2**30, "command": f"train --x={EVIL}", "devices": 5}
    machine = {"sessions": [entry, {**entry, "versions": 7}, "no object"]}
    (folder / "machine.json").write_text(json.dumps(machine))
    assert report.main([f"--workdir={folder}"]) == 0
    found = check_page(folder / "report.html")
    text = found.text
    for words in (
        "<b>run",
        "finished",
        f"samples of {EVIL} are few",
        f"9 of {EVIL}",
        "1.25 ± 0.5",
        f"method {EVIL}",
        "Best score 0.075 sliced_wasserstein, step 12",
        "Time 0:24",
        "3.0 GiB",
        f"2 classes {EVIL}, b",
        f"discriminator {EVIL}".replace("</", "< "),  # a label has no slash
        "--g_terms",
        "Samples beside their nearest training examples",
        "Columns: near | <script>",
    ):
        assert words in text, words
    assert found.count("svg") == 4
    # The last samples, four moments, and the neighbors.
    assert found.count("img") == 6
    # The command trains the same.
    command = next(x for x in found.texts if x.startswith("python -m jaxgan.train"))
    assert f"'--dataset=folder:{EVIL}'".replace("'x'", "'\"'\"'x'\"'\"'") in command
    assert "--steps=12" in command
    assert "--batch_size" not in command


def test_no_device_is_opened_and_a_report_is_replaced(tmp_path):
    folder = write_workdir(tmp_path / "run")
    program = (
        "import sys, jax; jax.config.update('jax_platforms', 'none')\n"
        "from jaxgan import report; sys.exit(report.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, f"--workdir={folder}"]
    subprocess.run(command, check=True, timeout=300)
    # A report of ours is replaced where it belongs, and nowhere else.
    first = jaxgan.write_report(folder)
    other = tmp_path / "other.html"
    jaxgan.write_report(folder, other)
    for path, content in ((other, None), (first, "mine")):
        if content:
            path.write_text(content)
        before = path.read_bytes()
        with pytest.raises(UsageError, match="exists: use --overwrite"):
            jaxgan.write_report(folder, path if content is None else None)
        assert path.read_bytes() == before
    jaxgan.write_report(folder, other, overwrite=True)


def test_runs_are_compared(tmp_path):
    a = write_workdir(tmp_path / "a/run", loss="hinge")
    b = write_workdir(
        tmp_path / "b/run", rows=rows_of(**{"eval/only_b": 0.5}), steps=99
    )
    write_evaluation(b)
    out = tmp_path / "both.html"
    assert report.main(["--compare", str(a), str(b), f"--out={out}"]) == 0
    found = check_page(out)
    for words in ("a/run", "b/run", "--loss hinge relativistic", "--steps 12 99"):
        assert words in found.text
    assert "unfinished: 12 %" in found.text
    assert "only b" in found.text
    assert found.count("img") == 2
    assert "1.25 ± 0.5" in found.text
    # With --workdir, that run comes first.
    path = jaxgan.write_report(b, compare=[a])
    assert path == b / "comparison.html"
    assert "--loss relativistic hinge" in check_page(path).text


def test_large_pictures_and_sounds_fit(tmp_path):
    folder = write_workdir(tmp_path / "run", size=(400, 400, 3), count=9)
    write_evaluation(folder)
    rng = np.random.default_rng(0)
    for step in (4, 8, 12):
        wave = rng.uniform(-1, 1, (150_000, 1))
        file = folder / f"samples/step_{step:08}.wav"
        file.write_bytes(sounds.wav(wave, 16_000))
    # A name that is no step, and a picture that is damaged.
    (folder / "samples/step_x.png").write_text("no picture")
    last = (folder / "samples/step_00000012.png").read_bytes()
    (folder / "samples/step_00000016.png").write_bytes(last[:1000])
    found = check_page(jaxgan.write_report(folder))
    assert found.count("audio") == 2  # a third one would be too large
    uris = [v for tag, name, v in found.attributes if (tag, name) == ("audio", "src")]
    heard = base64.b64decode(uris[0].partition(",")[2])
    assert heard == (folder / "samples/step_00000012.wav").read_bytes()
    assert "Samples at step 12" in found.text


def test_texts_and_several_seeds(tmp_path):
    rows = rows_of()
    for row in rows[1:-1]:
        row["std"] = {"generator/loss": 0.1}
        row["runs"] = {"generator/loss": [row["generator/loss"]] * 3}
    folder = write_workdir(tmp_path / "run", rows=rows, runs=3)
    lines = f"{EVIL}\n" + "a line\n" * 40
    (folder / "samples/step_00000012.txt").write_text(lines)
    found = check_page(jaxgan.write_report(folder))
    assert found.text.count("a line") == pictures.LINES - 1
    assert "seeds 0 to 2" in found.text
    # The band of a standard deviation.
    assert "fill-opacity: 0.15" in (folder / "report.html").read_text()


def test_a_run_in_progress_and_an_empty_one(tmp_path):
    folder = write_workdir(tmp_path / "run", steps=24)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 13, "generator/lo')  # torn
    assert "unfinished: 50 %" in check_page(jaxgan.write_report(folder)).text
    for name in ("metrics.jsonl", "data.json"):
        (folder / name).unlink()
    for file in (folder / "samples").iterdir():
        file.unlink()
    found = check_page(jaxgan.write_report(folder))
    assert "unfinished: 0 %" in found.text
    assert found.count("img") == found.count("svg") == 0


@pytest.mark.parametrize("name", ["default", "runs"])
def test_a_workdir_of_version_0_1_0(tmp_path, name):
    with tarfile.open(EARLIER / f"{name}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    record = read_record(tmp_path / name)
    assert record.changed["networks"][0] == CASES[name]["networks"]
    assert record.changed["batch_size"][0] == TINY["batch_size"]
    found = check_page(jaxgan.write_report(tmp_path / name))
    assert "did not record it" in found.text
    assert f"--networks={CASES[name]['networks']}" in found.text.replace("'", "")


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda x: (x / "config.json").unlink(), "is not the folder of a run"),
        (lambda x: (x / "config.json").write_text("[]"), "is damaged"),
        (lambda x: (x / "config.json").write_text('{"steps": "x"}'), "is damaged"),
        (lambda x: (x / "data.json").write_text("{"), "is damaged"),
        (lambda x: (x / "report.html").mkdir(), "is not a file"),
    ],
)
def test_damage_is_one_line(tmp_path, capsys, damage, word):
    folder = write_workdir(tmp_path / "run")
    damage(folder)
    assert report.main([f"--workdir={folder}"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert word in line
    assert not (folder / "report.html").is_file()


def test_training_writes_it(pictures, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(reports, "write_safely", SAFELY)
    folder = run(pictures, tmp_path / "run", 2)
    found = check_page(folder / "report.html")
    [session] = sessions.read(folder)
    assert session["first_step"] == 0
    assert session["last_step"] == 2
    assert session["peak_host"] > 2**20
    assert session["versions"]["jax"] in found.text
    # A finished run is left as it is; a failing report is logged.
    (folder / "report.html").write_text("mine")
    run(pictures, folder, 2)
    assert (folder / "report.html").read_text() == "mine"
    assert len(sessions.read(folder)) == 1


SAFELY = reports.write_safely
"""The function itself, which `conftest.no_reports` replaces."""


def test_a_report_that_fails_does_not_end_a_run(tmp_path, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise RuntimeError("no ink")

    monkeypatch.setattr(reports, "write_safely", SAFELY)
    monkeypatch.setattr(reports, "write_report", fail)
    with reports.recorded(tmp_path, steps=5, report=True):
        pass
    assert "the report could not be written: no ink" in caplog.text
    assert len(sessions.read(tmp_path)) == 1
    monkeypatch.setattr(sessions, "atomic_write", fail_to_write)
    with reports.recorded(tmp_path, steps=5, report=False):
        pass
    assert "machine.json could not be written: Is a directory" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr(sessions, "peaks", fail)
    with reports.recorded(tmp_path, steps=5, report=False):
        pass
    assert "machine.json could not be written: no ink" in caplog.text


def test_commands_are_recorded(monkeypatch):
    commands = {
        "/x/jaxgan/train.py": "python -m jaxgan.train '--loss=x y'",
        "/bin/jaxgan": "jaxgan '--loss=x y'",
        "/x/jaxgan/__main__.py": "jaxgan '--loss=x y'",
        "/x/pytest/__main__.py": "",
    }
    for program, expected in commands.items():
        monkeypatch.setattr(sys, "argv", [program, "--loss=x y"])
        assert sessions.command() == expected


def fail_to_write(*args, **kwargs):
    raise IsADirectoryError(21, "Is a directory")


def test_pictures_are_small_enough():
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    made = pictures.embed(Picture(noise), "x", 5_000, 200)
    kind, _, data = made.uri.partition(";base64,")
    content = base64.b64decode(data)
    assert kind == "data:image/jpeg"
    assert len(content) <= 5_000
    assert made.width <= 200
    plain = pictures.embed(Picture(noise * 0), "x", 5_000, 200)
    assert plain.uri.startswith("data:image/png")
    assert tables.shown(float("nan")) == "nan"
    assert page.labels([]) == []
