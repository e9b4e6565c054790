"""Drawing from checkpoints."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from test_train import run

from jaxgan import sample
from jaxgan.core import UsageError
from jaxgan.request import seeds_of
from jaxgan.sampler import walk


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
        (["--out=a.jpg"], "--out=a.jpg: must end in .png or .npz"),
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
    got = walk(z, columns=3)
    np.testing.assert_allclose(got[0], z[0], atol=1e-6)
    np.testing.assert_allclose(got[2], z[2], atol=1e-6)
    # half way on a right angle: (a + b) sin 45 / sin 90
    np.testing.assert_allclose(got[1], (z[0] + z[2]) * 0.5**0.5, rtol=1e-6)
    np.testing.assert_allclose(got[3], z[3], atol=1e-6)
    np.testing.assert_allclose(walk(z[:1], columns=1), z[:1], atol=1e-6)


def test_seeds_in_text():
    assert seeds_of("3") == (3,)
    with pytest.raises(UsageError):
        seeds_of("1,,2")


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


def test_a_class_that_there_is_not(labelled, finished, tmp_path, capsys):
    assert draw(labelled, tmp_path / "a.npz", "--label=7") == 2
    assert "--label: no class '7': There is: 0, 1, 2, 3, 4" in capsys.readouterr().err
