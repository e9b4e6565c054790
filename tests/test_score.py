"""Scores of pictures by a run that finds anomalies, and of bad input."""

import csv
import json
import logging
import shutil
from typing import Any

import anomaly_toys
import maps
import numpy as np
import pytest
from anomaly_toys import HELD, LABELS, TESTS
from PIL import Image

import jaxgan
from jaxgan import score
from jaxgan.config.scoring import ScoreConfig, parse_args
from jaxgan.data.resize import Frame, fit_array
from jaxgan.data.split import hold_out
from jaxgan.errors import UsageError
from jaxgan.evaluation import score_reference
from jaxgan.evaluation.load_run import load_run
from jaxgan.metrics import anomaly


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The tables with the toys."""
    with anomaly_toys.registered():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of two steps, whose generator is a known filter."""
    return anomaly_toys.train(tmp_path_factory.mktemp("spots") / "run")


@pytest.fixture
def run(made, tmp_path):
    """A copy of it, which a test may change."""
    ignored = shutil.ignore_patterns("anomaly")
    shutil.copytree(made, tmp_path / "run", ignore=ignored)
    return tmp_path / "run"


def parts_of(run, pixels):
    """The parts in NumPy, of uint8 `[n, 8, 8, 1]`."""
    x = pixels.astype(np.float64) / 127.5 - 1
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    back = np.tensordot(maps.KERNEL.ravel(), shifted, 1)
    _, variables = load_run(run).restore_players()
    [dense] = variables.discriminator["params"].values()
    logits = x.reshape(len(x), -1) @ dense["kernel"][:, 0] + dense["bias"][0]
    maps_ = ((x - back) ** 2)[..., 0]
    parts = {"pixels": maps_.sum((1, 2)), "features": logits**2}
    return {**parts, "mean": x.mean((1, 2, 3)) ** 2}, maps_


def held_out():
    """The held-out examples: those that `train` was not given."""
    loaded = jaxgan.load_dataset("spots")
    rest, held = hold_out(loaded, str(HELD), "train", lambda _: loaded)
    assert held is not None
    assert held.arrays is not None
    assert rest.size == anomaly_toys.TRAIN - HELD
    return held.arrays["image"]


def expected(run, pixels):
    """The shares of the parts in the scores, and the scores of normal examples."""
    normal, _ = parts_of(run, held_out())
    scales = {name: x.mean() for name, x in normal.items()}
    scales["mean"] /= anomaly_toys.WEIGHTS["mean"]
    parts, maps_ = parts_of(run, pixels)
    shares = {name: x / scales[name] for name, x in parts.items()}
    return shares, np.sum([x / scales[k] for k, x in normal.items()], 0), maps_


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(pixels)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
    return path


def read(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def run_score(*args, code=0):
    assert score.main(list(map(str, args))) == code


def refused(capsys, *args):
    """The one line that a bad request gets."""
    capsys.readouterr()
    run_score(*args, code=2)
    text = capsys.readouterr().err
    [line] = [x for x in text.splitlines() if x.startswith("error: ")]
    return line


# The values.


def test_scores_are_those_of_the_definition(made):
    found = jaxgan.score_run(made, TESTS, false_alarms=0.1)
    shares, normal, maps_ = expected(made, TESTS)
    total = sum(shares.values())
    assert set(found.parts) == {"pixels", "features", "mean"}
    for name, values in shares.items():
        np.testing.assert_allclose(found.parts[name], values, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(found.score, total, rtol=2e-3)
    # Of 40 held-out scores, the 37th: ceil(41 * 0.9).
    np.testing.assert_allclose(found.threshold, np.sort(normal)[36], rtol=2e-3)
    lower = (normal[:, None] < total).mean(0) * 100
    assert np.abs(found.percentile - lower).max() <= 2.5
    np.testing.assert_array_equal(found.is_anomaly, found.score > found.threshold)
    # The maps have the shape of the pixels' distances, and add up to the scores.
    np.testing.assert_allclose(found.heat.sum((1, 2)), found.score, rtol=1e-9)
    one, own = found.heat[0], maps_[0]
    np.testing.assert_allclose(one / one.sum(), own / own.sum(), atol=1e-5)
    assert found.reconstruction.shape == TESTS.shape
    assert found.reconstruction.dtype == np.uint8


def test_weights_change_the_score(made):
    alone = jaxgan.score_run(made, TESTS, weights="features=0,mean=0")
    both = jaxgan.score_run(made, TESTS)
    np.testing.assert_allclose(alone.score, both.parts["pixels"])
    # A weight of the task that is not named stays.
    own = anomaly_toys.WEIGHTS["mean"]
    heavy = jaxgan.score_run(made, TESTS, weights={"mean": 2 * own, "pixels": 0.5})
    np.testing.assert_allclose(heavy.parts["mean"], 2 * both.parts["mean"])
    np.testing.assert_allclose(heavy.parts["pixels"], both.parts["pixels"] / 2)
    np.testing.assert_array_equal(heavy.parts["features"], both.parts["features"])
    named = jaxgan.score_run(made, TESTS, weights={"features": 0, "mean": 0})
    np.testing.assert_array_equal(named.score, alone.score)
    # The spots are found by their pixels.
    auroc = anomaly.auroc(alone.score, LABELS == 0)
    assert auroc > 0.99


def test_a_score_depends_on_its_image_alone(made):
    whole = jaxgan.score_run(made, np.repeat(TESTS, 3, 0))
    single = jaxgan.score_run(made, TESTS[7:8])
    np.testing.assert_allclose(whole.score[21], single.score[0], rtol=1e-5)


# Files, folders, patterns and arrays.


def test_the_program_writes_what_the_function_returns(made, tmp_path):
    file = save(tmp_path / "in" / "a.png", TESTS[0])
    save(tmp_path / "in" / "deep" / "b.png", TESTS[1])
    np.savez(tmp_path / "some.npz", images=TESTS[2:5])
    names = [tmp_path / "in", f"{tmp_path}/in/*.png", tmp_path / "some.npz", file]
    out = tmp_path / "scores.csv"
    run_score(f"--workdir={made}", *names, f"--out={out}", "--false_alarms=0.1")
    rows = read(out)
    order = [0, 1, 0, 2, 3, 4, 0]
    shown = [str(file), f"{tmp_path}/in/deep/b.png", str(file)]
    shown += [f"{tmp_path}/some.npz[{i}]" for i in range(3)]
    assert [x["file"] for x in rows] == [*shown, str(file)]
    found = jaxgan.score_run(made, TESTS[order], false_alarms=0.1)
    for name, values in {"score": found.score, **found.parts}.items():
        written = [float(row[name]) for row in rows]
        np.testing.assert_allclose(written, values, rtol=1e-4)
    verdicts = [row["verdict"] == "anomaly" for row in rows]
    assert verdicts == found.is_anomaly.tolist()
    for row in rows:
        parts = sum(float(row[name]) for name in found.parts)
        assert float(row["score"]) == pytest.approx(parts, rel=1e-7)
        assert 0 <= float(row["percentile"]) <= 100
    # The function takes paths too.
    again = jaxgan.score_run(made, tmp_path / "in", false_alarms=0.1)
    np.testing.assert_allclose(again.score, found.score[:2], rtol=1e-4)
    assert again.names == shown[:2]


def test_without_a_file_the_table_is_printed(made, tmp_path, capsys):
    file = save(tmp_path / "a.png", TESTS[0])
    run_score(f"--workdir={made}", file)
    head, line = capsys.readouterr().out.splitlines()
    assert head == "file,score,percentile,verdict,pixels,features,mean"
    assert line.startswith(f"{file},")
    assert sorted(x.name for x in tmp_path.iterdir()) == ["a.png"]


def test_heat_maps_are_pictures(made, tmp_path):
    save(tmp_path / "in" / "x" / "a.v1.png", TESTS[0])
    np.save(tmp_path / "b.npy", TESTS[:11])
    place = tmp_path / "in" / "maps"
    flags = [f"--workdir={made}", f"--heatmaps={place}", "--out=" + f"{tmp_path}/s.csv"]
    run_score(*flags, tmp_path / "in", tmp_path / "b.npy")
    assert len(list(place.rglob("*.png"))) == 12
    found = jaxgan.score_run(made, TESTS[:1])
    for name in ("x/a.v1.png", "b/00.png"):
        with Image.open(place / name) as picture:
            pixels = np.asarray(picture).astype(int)
        # Three tiles of 8 pixels, enlarged alike.
        height, width, _ = pixels.shape
        scale = (height - 4) // 8
        assert width == 3 * 8 * scale + 4
        tiles = pixels[2 : 2 + 8 * scale : scale, 2 : 2 + 24 * scale : scale]
        np.testing.assert_array_equal(tiles[:, :8, 0], TESTS[0, ..., 0])
        np.testing.assert_array_equal(
            tiles[:, 8:16, 0], found.reconstruction[0, ..., 0]
        )
        # The hottest pixel is the brightest one.
        bright = tiles[:, 16:].sum(-1)
        assert bright.flat[found.heat[0].argmax()] == bright.max()
    # A second call takes no heat maps as inputs, and replaces nothing.
    run_score(*flags, "--overwrite", tmp_path / "in", tmp_path / "b.npy")
    assert len(read(tmp_path / "s.csv")) == 12


def test_pictures_are_resized_and_converted_on_demand(made, tmp_path, capsys):
    large = TESTS[0].repeat(3, 0).repeat(3, 1)
    save(tmp_path / "large.png", large)
    save(tmp_path / "color.png", TESTS[0].repeat(3, -1))
    np.savez(tmp_path / "large.npz", images=large[None])
    for name in ("large.png", "large.npz", "color.png"):
        line = refused(capsys, f"--workdir={made}", tmp_path / name)
        assert "--resize" in line, line
    names = [tmp_path / f"{x}" for x in ("large.png", "large.npz", "color.png")]
    out = tmp_path / "s.csv"
    run_score(f"--workdir={made}", "--resize", f"--out={out}", *names)
    scores = [float(row["score"]) for row in read(out)]
    small = fit_array(Frame((8, 8), "center"), large)
    own = jaxgan.score_run(made, np.stack([small, small, TESTS[0]])).score
    assert scores == pytest.approx(own, rel=1e-4)


# The reference.


def test_the_reference_is_kept_and_renewed(run, tmp_path, monkeypatch, caplog):
    calls = []
    compute = score_reference.compute

    def counted(scorer, dataset, numbers):
        calls.append(dataset)
        return compute(scorer, dataset, numbers)

    monkeypatch.setattr(score_reference, "compute", counted)
    first = jaxgan.score_run(run, TESTS)
    assert len(calls) == 1
    assert len(calls[0].read(np.arange(HELD))["image"]) == calls[0].size == HELD
    # A second call reads the file, not the data.
    with monkeypatch.context() as patch:
        patch.setattr(score_reference, "held_out_normals", None)
        second = jaxgan.score_run(run, TESTS, false_alarms=0.1)
    np.testing.assert_array_equal(first.score, second.score)
    assert len(calls) == 1
    [file] = (run / "anomaly").iterdir()
    content = json.loads(file.read_text())
    # Of other variables, of other data, or damaged: computed again.
    for name, value in (("variables", "0"), ("data", ["0", "spots", 120])):
        changed = {**content, "key": {**content["key"], name: value}}
        file.write_text(json.dumps(changed))
        third = jaxgan.score_run(run, TESTS)
        np.testing.assert_array_equal(first.score, third.score)
    with caplog.at_level(logging.WARNING, "jaxgan"):
        for text in ("{", json.dumps({**content, "peaks": [1.0]})):
            file.write_text(text)
            np.testing.assert_array_equal(
                first.score, jaxgan.score_run(run, TESTS).score
            )
    assert len(calls) == 5
    assert caplog.text.count("is ignored and replaced") == 2
    assert json.loads(file.read_text()) == content


def test_no_test_example_sets_the_threshold(run, monkeypatch):
    """The test split is not even read, and a run that held it out is refused."""
    source = anomaly_toys.source
    splits = []

    def watched(request):
        splits.append(request.split)
        return source(request)

    monkeypatch.setitem(jaxgan.data.SOURCES, "spots", watched)
    jaxgan.score_run(run, TESTS)
    assert splits == ["train"]
    config = json.loads((run / "config.json").read_text())
    for value, word in (
        ("test", "the split test was held out"),
        ("none", "no examples were held out"),
    ):
        shutil.rmtree(run / "anomaly", ignore_errors=True)
        (run / "config.json").write_text(json.dumps({**config, "held_out": value}))
        with pytest.raises(UsageError, match=word):
            jaxgan.score_run(run, TESTS)


def test_data_that_changed_are_refused(run, monkeypatch):
    source = anomaly_toys.source

    def other(request) -> Any:
        data: Any = source(request)
        turned = {name: x[::-1] for name, x in data.arrays.items()}
        return data._replace(
            arrays=turned, read=lambda n: {k: x[n] for k, x in turned.items()}
        )

    monkeypatch.setitem(jaxgan.data.SOURCES, "spots", other)
    with pytest.raises(UsageError, match="has changed since training"):
        jaxgan.score_run(run, TESTS)


def test_too_few_normal_examples_are_said(made, caplog):
    with caplog.at_level(logging.WARNING, "jaxgan"):
        jaxgan.score_run(made, TESTS, false_alarms=1 / 41)
        assert not caplog.messages
        found = jaxgan.score_run(made, TESTS, false_alarms=0.01)
    [line] = caplog.messages
    assert "40 held-out normal examples are too few for --false_alarms=0.01" in line
    assert "needs 99" in line
    _, normal, _ = expected(made, TESTS)
    assert found.threshold == pytest.approx(normal.max(), rel=2e-3)


# Bad input.


def test_a_picture_that_cannot_be_read(made, tmp_path, capsys, caplog):
    save(tmp_path / "in" / "a.png", TESTS[0])
    whole = save(tmp_path / "b.png", TESTS[1]).read_bytes()
    (tmp_path / "in" / "b.png").write_bytes(whole[: len(whole) - 30])
    (tmp_path / "in" / "c.png").write_text("no picture")
    out, flag = tmp_path / "s.csv", f"--workdir={made}"
    run_score(flag, f"--out={out}", tmp_path / "in", code=1)
    assert [row["file"] for row in read(out)] == [f"{tmp_path}/in/a.png"]
    assert "2 of 3 pictures cannot be read" in caplog.text
    line = refused(capsys, flag, tmp_path / "in", "--on_bad_example=stop")
    assert "cannot be read" in line


def test_bad_requests_get_one_line(made, tmp_path, capsys):
    file = save(tmp_path / "a.png", TESTS[0])
    deep = tmp_path / "deep.png"
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(deep)
    np.savez(tmp_path / "color.npz", images=TESTS.repeat(3, -1))
    (tmp_path / "empty").mkdir()
    flag = f"--workdir={made}"
    (tmp_path / "old.csv").write_text("mine")
    save(tmp_path / "maps" / "a.png", TESTS[0])
    for word, *args in (
        ("no picture matches", f"{tmp_path}/*.jpg"),
        ("the folder has no pictures", tmp_path / "empty"),
        ("there is no such file", tmp_path / "none.png"),
        ("16 bits", deep),
        ("color.npz: its images are [8, 8, 3]", tmp_path / "color.npz"),
        ("old.csv exists", file, f"--out={tmp_path}/old.csv"),
        ("maps/a.png exists", file, f"--heatmaps={tmp_path}/maps"),
        (
            "would both be",
            file,
            save(tmp_path / "x/a.png", TESTS[0]),
            f"--heatmaps={tmp_path}/new",
        ),
        ("is not a folder", file, f"--heatmaps={file}"),
        ("no part depth of the score", file, "--weights=depth=1"),
        ("all are 0", file, "--weights=pixels=0,features=0,mean=0"),
        ("--run=1", file, "--run=1"),
        ("checkpoint", file, "--checkpoint=77"),
    ):
        assert word in refused(capsys, flag, *args), word
    assert (tmp_path / "old.csv").read_text() == "mine"
    assert not (tmp_path / "new").exists()
    for images in (TESTS[..., :0], TESTS[:, :4], TESTS.repeat(3, -1), []):
        with pytest.raises(UsageError):
            jaxgan.score_run(made, images)


def test_runs_of_other_tasks_say_what_fits(tmp_path, finished, capsys):
    file = save(tmp_path / "a.png", TESTS[0])
    line = refused(capsys, f"--workdir={finished}", file)
    assert "finds no anomalies" in line
    assert "jaxgan.sample" in line
    assert "--preset=alice" in line


def test_flags_and_pictures_in_any_order():
    args = ["a.png", "--workdir=run", "--weights=pixels=2", "--raw", "b.png"]
    config = parse_args([*args, "--false_alarms=0.05", "--", "-c.png"])
    assert config == ScoreConfig(
        workdir=config.workdir,
        images=("a.png", "b.png", "-c.png"),
        weights={"pixels": 2.0},
        raw=True,
        false_alarms=0.05,
    )
