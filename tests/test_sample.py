"""Drawing from checkpoints."""

import csv
import json

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from test_train import run

from jaxgan import sample
from jaxgan.config.sampling import parse_seeds
from jaxgan.errors import UsageError
from jaxgan.evaluation.latent_paths import interpolate


def draw(workdir, out, *flags):
    return sample.main([f"--workdir={workdir}", f"--out={out}", *flags])


def arrays(path):
    with np.load(path) as file:
        return file[file.files[0]]


def test_arrays_are_images_in_the_datas_own_type(finished, tmp_path):
    assert draw(finished, tmp_path / "a.npz", "--n=5") == 0
    assert arrays(tmp_path / "a.npz").shape == (5, 8, 8, 1)
    assert arrays(tmp_path / "a.npz").dtype == np.uint8


def test_a_seed_is_a_set_of_samples(finished, tmp_path):
    draw(finished, tmp_path / "a.npz", "--n=5")
    draw(finished, tmp_path / "b.npz", "--n=300", "--seed=0-1")
    a, b = (arrays(tmp_path / f"{x}.npz") for x in ("a", "b-seed0"))
    np.testing.assert_array_equal(a, b[:5])
    assert len(b) == 300
    assert (arrays(tmp_path / "b-seed1.npz")[:5] != a).any()


def test_checkpoints_by_step_and_name(finished, tmp_path):
    for name, flag in (
        ("last", "--checkpoint=last"),
        ("twenty", "--step=20"),
        ("ten", "--step=10"),
        ("best", "--checkpoint=best"),
        ("raw", "--raw"),
    ):
        assert draw(finished, tmp_path / f"{name}.npz", "--n=4", flag) == 0
    last = arrays(tmp_path / "last.npz")
    np.testing.assert_array_equal(last, arrays(tmp_path / "twenty.npz"))
    assert (last != arrays(tmp_path / "ten.npz")).any()
    assert (last != arrays(tmp_path / "raw.npz")).any()
    best = arrays(tmp_path / "best.npz")
    either = (last, arrays(tmp_path / "ten.npz"))
    assert any((best == x).all() for x in either)


def test_a_grid_and_an_interpolation(finished, tmp_path):
    draw(finished, tmp_path / "grid.png", "--n=9")
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.width == grid.height
    draw(finished, tmp_path / "walk.npz", "--n=9", "--interpolate")
    draw(finished, tmp_path / "plain.npz", "--n=9")
    walked, plain = (arrays(tmp_path / f"{x}.npz") for x in ("walk", "plain"))
    np.testing.assert_array_equal(walked[[0, 2, 3, 5]], plain[[0, 2, 3, 5]])
    assert (walked[1] != plain[1]).any()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--n=0"], "--n=0: must be from 1 to 65,536, such as --n=64"),
        (["--out=a.jpg"], "--out=a.jpg: must end in .png, .npz, .wav"),
        (["--step=11"], "there is no checkpoint 11"),
        (["--checkpoint=worst"], "--checkpoint=worst: choose last or best"),
        (["--seed=x"], "--seed=x: write seeds as 7 or 0,2,5-8"),
        (["--seed=5-2"], "--seed=5-2: names no seed"),
        (["--workdir=nowhere"], "nowhere"),
        (["--out=no/such/place.png"], "there is no folder"),
    ],
)
def test_bad_requests(finished, tmp_path, capsys, flags, message):
    assert draw(finished, tmp_path / "a.png", *flags) == 2
    said = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert len(said) == 1
    assert message in said[0]


def test_a_walk_starts_and_ends_at_its_latents():
    z = jnp.array([[1.0, 0.0], [9.0, 9.0], [0.0, 2.0], [3.0, 3.0], [5.0, 5.0]])
    got = interpolate(z, columns=3)
    np.testing.assert_allclose(got[0], z[0], atol=1e-6)
    np.testing.assert_allclose(got[2], z[2], atol=1e-6)
    # half way on a right angle: (a + b) sin 45 / sin 90
    np.testing.assert_allclose(got[1], (z[0] + z[2]) * 0.5**0.5, rtol=1e-6)
    np.testing.assert_allclose(got[3], z[3], atol=1e-6)
    np.testing.assert_allclose(interpolate(z[:1], columns=1), z[:1], atol=1e-6)


def test_seeds_in_text():
    assert parse_seeds("3") == (3,)
    with pytest.raises(UsageError):
        parse_seeds("1,,2")


@pytest.fixture(scope="module")
def labelled(pictures, tmp_path_factory):
    """A conditional run of a few steps; five classes, 0 to 4."""
    folder = tmp_path_factory.mktemp("labelled") / "run"
    wraps = {"generator_wrap": "embed", "discriminator_wrap": "projection"}
    return run(pictures, folder, 5, task="conditional(4)", **wraps)


def test_classes_are_drawn_in_turn_or_the_one_asked_for(labelled, tmp_path):
    draw(labelled, tmp_path / "all.npz", "--n=12")
    draw(labelled, tmp_path / "two.npz", "--n=12", "--label=2")
    every, two = (arrays(tmp_path / f"{x}.npz") for x in ("all", "two"))
    same = [(a == b).all() for a, b in zip(every, two, strict=True)]
    assert same == [i % 5 == 2 for i in range(12)]


def test_a_row_per_class_has_the_same_latents(labelled, tmp_path):
    draw(labelled, tmp_path / "rows.npz", "--labels=4,1-2", "--n=3", "--seed=9")
    rows = arrays(tmp_path / "rows.npz").reshape(3, 3, 8, 8, 1)
    with np.load(tmp_path / "rows.npz") as file:
        assert file["labels"].tolist() == [4, 4, 4, 1, 1, 1, 2, 2, 2]
    draw(labelled, tmp_path / "two.npz", "--label=2", "--n=3", "--seed=9")
    np.testing.assert_array_equal(rows[2], arrays(tmp_path / "two.npz"))
    assert (rows[0] != rows[1]).any()
    draw(labelled, tmp_path / "rows.png", "--labels=all", "--n=2")
    with Image.open(tmp_path / "rows.png") as picture:
        assert picture.height > 2 * picture.width


def test_conditions_that_a_labelled_run_does_not_have(labelled, tmp_path, capsys):
    place = f"--workdir={labelled}", f"--out={tmp_path / 'a.png'}"
    for flags, message in (
        (["--labels=5"], "--labels: no class '5': choose from 0, 1, 2, 3, 4"),
        (["--label=none"], "was not trained without a condition"),
        (["--labels=1,none"], "was not trained without a condition"),
        (["--sheet=hair"], "conditional on labels: use --label or --labels"),
        (["--labels=1", "--reject=discriminator"], "does not work with --labels=1"),
    ):
        assert message in refused(capsys, *place, *flags)
    assert not list(tmp_path.iterdir())


def test_a_class_that_there_is_not(labelled, finished, tmp_path, capsys):
    assert draw(labelled, tmp_path / "a.npz", "--label=7") == 2
    assert "--label: no class '7': choose from 0, 1, 2, 3, 4" in capsys.readouterr().err


def refused(capsys, *flags):
    """The one line that a bad request gets."""
    assert sample.main(list(flags)) == 2
    [said] = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error:")]
    return said


def test_arrays_of_a_conditional_run_carry_their_labels(labelled, finished, tmp_path):
    draw(labelled, tmp_path / "all.npz", "--n=12")
    draw(labelled, tmp_path / "two.npz", "--n=3", "--label=2")
    draw(finished, tmp_path / "none.npz", "--n=3")
    with np.load(tmp_path / "all.npz") as file:
        assert file.files == ["samples", "labels", "classes"]
        assert file["labels"].dtype == np.int32
        assert file["labels"].tolist() == [i % 5 for i in range(12)]
        assert file["classes"].tolist() == ["0", "1", "2", "3", "4"]
    with np.load(tmp_path / "two.npz") as file:
        assert file["labels"].tolist() == [2, 2, 2]
    with np.load(tmp_path / "none.npz") as file:
        assert file.files == ["samples"]


def test_single_files_with_a_table(labelled, finished, tmp_path):
    draw(labelled, f"{tmp_path}/each/", "--n=6", "--seed=3,4")
    draw(labelled, tmp_path / "same.npz", "--n=6", "--seed=3")
    folder = tmp_path / "each"
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(p.name for p in folder.glob("*.png")) == [x["file"] for x in rows]
    assert [(x["seed"], x["index"], x["label"]) for x in rows] == [
        (str(seed), str(i), str(i % 5)) for seed in (3, 4) for i in range(6)
    ]
    each = []
    for row in rows[:6]:
        with Image.open(folder / row["file"]) as picture:
            each.append(np.asarray(picture)[..., None])
    np.testing.assert_array_equal(np.stack(each), arrays(tmp_path / "same.npz"))
    draw(finished, f"{tmp_path}/deep/er/", "--n=2")
    said = (tmp_path / "deep" / "er" / "labels.csv").read_text().splitlines()
    assert said == [
        "file,seed,index,label",
        "seed0_00000.png,0,0,",
        "seed0_00001.png,0,1,",
    ]


def test_a_label_that_would_not_be_read_is_refused(finished, tmp_path, capsys):
    out = tmp_path / "a.png"
    said = refused(capsys, f"--workdir={finished}", "--label=1", f"--out={out}")
    assert "--label=1: this run is unconditional" in said
    assert "--task=generate(4) reads no labels" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("full/", "full/ is not an empty folder; use a new one"),
        ("full", "full/ is not an empty folder"),
        ("folder.png", "folder.png is a folder; write "),
        ("file.npz/", "file.npz/ is not an empty folder"),
        ("file.npz/x.png", "there is no folder"),
        ("/proc/x.png", "--out=/proc/x.png cannot be written"),
        ("/proc/x/", "--out=/proc/x cannot be written"),
        ("a" * 300 + ".png", "a file name has at most 255 bytes"),
        ("a" * 248 + ".png", "a file name has at most 255 bytes"),
        ("gs://bucket/x.png", "--out=gs://bucket/x.png: only local paths"),
        ("~nobody-of-that-name/x.png", "there is no such home folder"),
        ("x", "--out=x: must end in .png, .npz, .wav (for sounds) or .txt (for texts)"),
        ("/dev/null", "must end in .png, .npz, .wav"),
    ],
)
def test_places_that_take_no_samples(
    finished, tmp_path, capsys, monkeypatch, out, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.npz").write_text("")
    before = sorted(tmp_path.rglob("*"))
    flags = ["--n=2", "--seed=0-1"]
    said = refused(capsys, f"--workdir={finished}", f"--out={out}", *flags)
    assert message in said
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--n=\u00b2"], "'²' is not a whole number"),
        (["--n=1000000000000"], "--n=1000000000000: must be from 1 to 65,536"),
        (["--n=2147483647", "--out=a.npz"], "takes 1,024.00 GiB of memory"),
        (["--seed=\u00b2"], "--seed=²: write seeds as 7 or 0,2,5-8"),
        (["--seed=-1"], "--seed=-1: write seeds as 7 or 0,2,5-8"),
        (["--seed=0-1000000000000"], "at most 10,000 seeds at once"),
        ([f"--seed={2**63}"], "seeds must be from 0 to 9223372036854775807"),
        (["--seed=" + "9" * 5_000], "write seeds as 7 or 0,2,5-8"),
        (["--seed=" + "1," * 5_000], "write seeds as 7 or 0,2,5-8"),
        (["--step=\u00b2"], "'²' is not a whole number"),
        (["--step=-1"], "there is no checkpoint -1"),
        (["--step=20", "--checkpoint=last"], "name two checkpoints: use one of them"),
        (["--checkpoint="], "--checkpoint=: choose last or best"),
        (["--run=1"], "--run=1: the run has 1 seed(s), starting at --run=0"),
        (["--interpolate=3"], "--interpolate=3: choose spherical or linear"),
        (["--interpolate", "--n=4"], "--interpolate with --n=4: needs at least 5"),
        (["--num_samples=3"], "no flag --num_samples: use --n=64"),
        (["--outdir=x"], "no flag --outdir: use --out=samples.png"),
        (["--workdir=gs://x"], "--workdir=gs://x: name a folder"),
        (["--workdir=" + "a" * 5_000], "a file name has at most 255 bytes"),
    ],
)
def test_more_bad_requests(finished, tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, f"--workdir={finished}", *flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("data.json", {"shape": None}, "data.json is damaged: shape is null"),
        (
            "data.json",
            {"shape": [8, -8, 1]},
            "data.json is damaged: shape is [8, -8, 1]",
        ),
        ("data.json", {"shape": [8, 8.0, 1]}, "data.json is damaged: shape is [8, 8.0"),
        ("data.json", {"dtype": "int7"}, 'data.json is damaged: dtype is "int7"'),
        ("data.json", {"classes": [0, 1]}, "data.json is damaged: classes is [0, 1]"),
        ("data.json", "shape", "data.json is damaged: shape is absent"),
        ("config.json", {"steps": None}, "config.json is damaged: --steps=None"),
        ("config.json", {"networks": 3}, "config.json is damaged: --networks=3"),
    ],
)
def test_a_damaged_run_is_one_line(finished, tmp_path, capsys, name, change, message):
    for file in ("config.json", "data.json"):
        content = json.loads((finished / file).read_text())
        if file == name and isinstance(change, str):
            del content[change]
        elif file == name:
            content |= change
        (tmp_path / file).write_text(json.dumps(content))
    out = tmp_path / "a.png"
    said = refused(capsys, f"--workdir={tmp_path}", f"--out={out}")
    assert f"{tmp_path}/{message}" in said
    assert not out.exists()


def test_seeds_above_32_bits_draw_their_own(finished, tmp_path):
    for name, seed in (("low", 5), ("high", 2**32 + 5)):
        draw(finished, tmp_path / f"{name}.npz", "--n=4", f"--seed={seed}")
    low, high = (arrays(tmp_path / f"{x}.npz") for x in ("low", "high"))
    assert (low != high).any()
