"""Truncation, paths, walks, principal directions and mixed styles."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import same
from PIL import Image
from sharing_runs import GRAY
from style_toys import real_runs_in, runs_in, styled

from jaxgan import sample
from jaxgan.errors import UsageError
from jaxgan.evaluation import latent_paths, latent_sheets, truncation
from jaxgan.evaluation.drawn import sample_run
from jaxgan.evaluation.latent_directions import principal_directions
from jaxgan.evaluation.latent_paths import interpolate
from jaxgan.evaluation.latent_space import LatentSpace
from jaxgan.evaluation.load_run import load_run
from jaxgan.gan.gan import make_generate, make_play
from jaxgan.gan.objective import example_keys
from jaxgan.reporting import load_png

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by kind: without labels, with embedded labels, and with styles."""
    with runs_in(tmp_path_factory.mktemp("latents")) as found:
        yield found


def draw(workdir, out, *flags):
    assert (
        sample.main([f"--workdir={workdir}", f"--out={out}", "--overwrite", *flags])
        == 0
    )
    if out.suffix != ".npz":
        return {}
    with np.load(out) as file:
        return dict(file)


def test_normal_latents_are_drawn_again_beyond_the_threshold():
    keys = example_keys(jax.random.key(0), 4_000)
    z = jax.vmap(lambda key: jax.random.normal(key, (3,)))(keys)
    cut = np.asarray(truncation.truncate(z, keys, 0.7))
    assert np.abs(cut).max() <= 0.7
    inside = np.abs(z) <= 0.7
    np.testing.assert_array_equal(cut[inside], z[inside])
    # The deviation of a normal number in +-0.7: 1 - 1.4 phi(0.7) / (2 Phi(0.7) - 1).
    assert cut.std() == pytest.approx(np.sqrt(1 - 1.4 * 0.312254 / 0.516073), abs=0.005)
    # A code of categories stays: none of its entries is normal.
    codes = np.concatenate([z, np.eye(4)[np.arange(4_000) % 4]], axis=1)
    assert truncation.normal_entries(codes).tolist() == [True] * 3 + [False] * 4


def test_truncated_samples_are_those_of_truncated_latents(runs):
    plain = load_run(runs["plain"])
    z = []
    cut = truncation.truncated_run(plain, 0.5, {})
    for one in (plain, cut):
        space = LatentSpace(one, plain.restore())
        z.append(space.latents(space.keys(0, 6), {}))
    assert np.abs(z[0]).max() > 0.5 >= np.abs(z[1]).max()
    given = sample_run(runs["plain"], 6, truncation=0.5).samples
    wanted = LatentSpace(plain, plain.restore()).images(space.keys(0, 6), {}, z=z[1])
    np.testing.assert_allclose(given, (wanted + 1) * 127.5, atol=0.51)


def test_styles_are_truncated_towards_the_mean_of_their_class(runs, tmp_path):
    opened = load_run(runs["styled"])
    space = LatentSpace(opened, opened.restore())
    means = np.stack(
        [space.mean_style({"label": np.array([x], np.int32)}) for x in range(3)]
    )
    # At 0, samples are those of the mean; a labeled set is truncated too.
    flags = ("--truncation=0", "--per_class=2")
    every = draw(runs["styled"], tmp_path / "b.npz", *flags)["samples"]
    labels = {"label": np.arange(3, dtype=np.int32)}
    wanted = (space.images(space.keys(0, 3), labels, w=means) + 1) * 127.5
    np.testing.assert_allclose(every, wanted.repeat(2, 0), atol=0.6)
    assert (np.abs(np.diff(wanted, axis=0)).max((1, 2, 3)) > 1).all()
    # Half of the way is half of the distance in w.
    cut = truncation.truncated_run(opened, 0.5, labels)
    z = space.latents(space.keys(0, 3), labels)
    own, half = (
        x.styles(z, space.keys(0, 3), labels)
        for x in (space, LatentSpace(cut, space.variables))
    )
    np.testing.assert_allclose(half, (means + own) / 2, atol=1e-5)


def test_paths_meet_their_points():
    assert latent_paths.rows_between(3, 2) == [
        (0, 1, 0),
        (0, 1, 1),
        (1, 2, 0),
        (1, 2, 1),
    ]
    loop = latent_paths.closed_loop(3, 7)
    assert loop[0] == (0, 1, 0)
    # Equal distances, also from the last place to the first one.
    np.testing.assert_allclose(np.diff([i + t for i, _, t in loop] + [3]), 3 / 7)
    points = np.array([[[1.0, 0.0]], [[0.0, 3.0]]])
    middle = [(0, 1, 0.5)]
    line = latent_paths.interpolate_all(points, middle, "linear")
    np.testing.assert_allclose(line[0, 0], [0.5, 1.5])
    arc = latent_paths.interpolate_all(points, middle, "spherical")
    np.testing.assert_allclose(arc[0, 0], np.array([1, 3]) * 0.5**0.5, rtol=1e-6)
    z = jnp.array([[1.0, 0.0], [9.0, 9.0], [0.0, 3.0]])
    np.testing.assert_allclose(interpolate(z, 3, "linear")[1], [0.5, 1.5])


def firsts(workdir, seeds, labels=()):
    """The first samples of seeds, of classes in turn, compiled once: `[n, 8, 8, 1]`."""
    opened = load_run(workdir)
    space = LatentSpace(opened, opened.restore())
    keys = jnp.stack([space.keys(seed, 1)[0] for seed in seeds])
    images = space.images(keys, {"label": np.int32(labels)} if labels else {})
    return (images.clip(-1, 1) + 1) * 127.5


def test_rows_between_seeds_end_at_their_samples(runs, tmp_path):
    flags = ("--between=3,17,5", "--n=4")
    for name, key, more in (
        ("plain", "z", ["--interpolate=linear"]),
        ("styled", "w", ["--label=1"]),
    ):
        own = draw(runs[name], tmp_path / f"{name}.npz", *flags, *more)
        assert own["samples"].shape == (2, 4, 8, 8, 1)
        assert str(own["space"]) == key
        ends = firsts(runs[name], (3, 17, 5), [1] * 3 * (key == "w"))
        for place, end in (((0, 0), 0), ((0, 3), 1), ((1, 0), 1), ((1, 3), 2)):
            np.testing.assert_allclose(own["samples"][place], ends[end], atol=1)
        # Both are straight: w by default, z because it is asked for.
        line = own["latents"][0]
        np.testing.assert_allclose(line[1], (2 * line[0] + line[3]) / 3, atol=1e-5)
    assert [latent_sheets.way_of("", x) for x in (True, False)] == [
        "linear",
        "spherical",
    ]


def test_between_labels(runs, tmp_path):
    for name in ("embed", "styled"):
        flags = ("--between_labels=2,0", "--n=3", "--seed=2")
        own = draw(runs[name], tmp_path / f"{name}.npz", *flags)["samples"]
        assert own.shape == (1, 3, 8, 8, 1)
        ends = firsts(runs[name], (2, 2), [2, 0])
        np.testing.assert_allclose(own[0, [0, 2]], ends, atol=1)
        assert (own[0, 1] != own[0, 0]).any()
        assert (own[0, 1] != own[0, 2]).any()


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_a_walk_is_animated_and_closed(runs, tmp_path, suffix):
    out = tmp_path / f"walk.{suffix}"
    draw(runs["plain"], out, "--seed=1-3", "--frames=6", "--n=4")
    with Image.open(out) as walk:
        assert getattr(walk, "n_frames", 1) == 6
        assert walk.info["loop"] == 0
        first = np.asarray(walk.convert("L"), int)
        walk.seek(5)
        last = np.asarray(walk.convert("L"), int)
    assert first.shape == (70, 70)  # 2 x 2 tiles of 32 pixels
    grid = tmp_path / "grid.png"
    draw(runs["plain"], grid, "--seed=1", "--n=4")
    with Image.open(grid) as still:
        error = np.abs(np.asarray(still.convert("L"), int) - first)
    assert error.mean() < 4
    assert (first != last).any()


def test_directions_are_principal_components(runs, tmp_path):
    random = np.random.default_rng(0)
    z = random.standard_normal((5_000, 3)) * (1, 3, 2)
    found = principal_directions(z, z, 2)
    np.testing.assert_allclose(found.ways, [[0, 3, 0], [0, 0, 2]], atol=0.15)
    np.testing.assert_allclose(found.shares, [9 / 14, 4 / 14], atol=0.02)
    for name, key, size in (("plain", "z", 4), ("styled", "w", 5)):
        own = draw(runs[name], tmp_path / "a.npz", "--directions=3", "--seed=4")
        assert own["samples"].shape == (3, 7, 8, 8, 1)
        assert str(own["space"]) == key
        # All rows have the sample itself in the middle, and steps are one deviation.
        assert (own["samples"][:, 3] == own["samples"][0, 3]).all()
        assert (own["latents"][:, 3] == own["latents"][0, 3]).all()
        steps = np.diff(own["latents"], axis=1)
        np.testing.assert_allclose(
            steps, own["directions"][:, None].repeat(6, 1), atol=1e-5
        )
        assert own["directions"].shape == (3, size)
        assert (np.diff(own["shares"]) <= 0).all()


def test_directions_of_published_networks(tmp_path):
    for name, key, size in (("stylegan2", "w", 6), ("biggan", "z", 4)):
        finished = real_runs_in(tmp_path, [name])[name]
        label = ["--label=1"] if name == "biggan" else []
        own = draw(finished, tmp_path / "a.npz", "--directions=2", *label)
        assert own["samples"].shape == (2, 7, 8, 8, 1)
        assert (str(own["space"]), own["directions"].shape) == (key, (2, size))
        assert (own["samples"][:, 3] == own["samples"][0, 3]).all()
        assert (np.diff(own["shares"]) <= 0).all()
        assert np.isfinite(own["latents"]).all()


def test_styles_are_mixed_by_layers(runs, tmp_path):
    flags = ("--style_mixing=1", "--n=2", "--label=1")
    own = draw(runs["styled"], tmp_path / "a.npz", *flags)
    assert own["samples"].shape == (2, 3, 8, 8, 1)
    assert own["latents"].shape == (2, 2, 3, 5)
    w = own["sources"]
    same(own["latents"][1, 0, 0], w[1])
    same(own["latents"][1, 0, 1:], np.stack([w[2], w[2]]))
    opened = load_run(runs["styled"])
    space = LatentSpace(opened, opened.restore())
    label = {"label": np.ones(1, np.int32)}
    # A mixture is what the network itself makes of its styles.
    net = styled(example=GRAY).generator
    mixed = {"train": False, "method": "synthesis"}
    direct = net.apply(space.variables, own["latents"][1], **mixed)
    wanted = (np.asarray(direct) + 1) * 127.5
    np.testing.assert_allclose(own["samples"][1, 1:], wanted, atol=0.6)
    # Equal styles in all layers mix nothing.
    equal = space.images(space.keys(0, 2), label, w=np.stack([w[:2]] * 3, axis=1))
    np.testing.assert_allclose((equal + 1) * 127.5, own["samples"][:, 0], atol=0.6)
    np.testing.assert_allclose(equal, space.images(space.keys(0, 2), label), atol=1e-5)
    draw(runs["styled"], tmp_path / "a.png", *flags)
    picture = load_png(tmp_path / "a.png")
    assert tuple(picture.layout or ())[3:] == (3, 9)
    assert (picture.pixels[:34, :34] == 255).all()


REFUSED = {
    "--truncation=-1": "must be from 0 to 10, such as --truncation=0.7",
    "--truncation=nan": "must be from 0 to 10",
    "--truncation=0": "must be above 0, such as --truncation=0.5",
    "--interpolate=curved": "choose spherical or linear",
    "--between=3": "name from 2 to 64 seeds, such as --between=3,17",
    "--between=x": "--between=x: write seeds as 7",
    "--between=1,2 --seed=3": "--between has no use for --seed: leave it out",
    "--between=1,2 --directions=2": "no use for --directions: leave it out",
    "--between=1,2 --n=1": "--n=1: --between needs from 2 to 256, such as --n=8",
    "--between_labels=1,2": "this run is unconditional",
    "--between_labels=1": "name from 2 to 64 classes",
    "--directions=0": "must be from 1 to 64, such as --directions=8",
    "--directions=5": "latents of this run have 4 numbers: use --directions=4",
    "--directions=2 --n=3": "--directions has no use for --n",
    "--directions=2 --out=a.gif": "is one picture: use --out=sheet.png",
    "--directions=2 --out=a/": "writes one file: use --out=sheet.png or sheet.npz",
    "--directions=2 --reject=discriminator": "no use for --reject",
    "--directions=2 --per_class=2": "no use for --per_class",
    "--style_mixing=1": "has no styles: use --between=3,17",
    "--frames=9": "is for walks: add --out=walk.gif",
    "--frames=1 --out=a.gif": "--frames=1: must be from 2 to 2,000",
    "--seed=3 --out=a.gif": "a walk needs from 2 to 64 seeds, such as --seed=0-4",
}


@pytest.mark.parametrize("flags", REFUSED)
def test_flags_that_do_not_fit(runs, tmp_path, capsys, monkeypatch, flags):
    monkeypatch.chdir(tmp_path)
    assert sample.main([f"--workdir={runs['plain']}", *flags.split()]) == 2
    [said] = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert REFUSED[flags] in said
    assert not list(tmp_path.iterdir())


def test_runs_that_do_not_fit(runs, tmp_path, capsys):
    out = f"--out={tmp_path}/a.npz"
    for name, flag, message in (
        ("styled", "--style_mixing=3", "the generator has 3 layers"),
        ("styled", "--between_labels=1,9", "--between_labels: no class '9'"),
    ):
        assert sample.main([f"--workdir={runs[name]}", out, flag]) == 2
        assert message in capsys.readouterr().err
    plain = load_run(runs["plain"])
    task, networks = plain.gan.task, plain.gan.networks

    def play(generator, batch, keys, step):
        return task.play(lambda z: generator(jnp.tanh(z)), batch, keys, step)

    bounded = task._replace(play=play)
    gan = plain.gan._replace(
        task=bounded,
        generate=make_generate(bounded, networks),
        play=make_play(bounded, networks),
    )
    with pytest.raises(UsageError, match="are not: leave it out"):
        truncation.truncated_run(dataclasses.replace(plain, gan=gan), 0.5, {})
