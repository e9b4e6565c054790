"""Inversion: latents of pictures."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sharing_runs import GRAY, written
from style_toys import MLP, real_runs_in, runs_in

from jaxgan import invert
from jaxgan.config.inverting import InversionOptions, parse_args
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.evaluation.drawn import sample_run
from jaxgan.evaluation.inversion import Inverter, nearest, relative_error
from jaxgan.evaluation.invert import check_run, invert_run
from jaxgan.evaluation.latent_space import LatentSpace
from jaxgan.evaluation.load_run import load_run
from jaxgan.evaluation.sample_files import to_dtype
from jaxgan.metrics.image_similarity import psnr
from jaxgan.reporting import load_png

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by kind, as in `test_latent_tools`."""
    with runs_in(tmp_path_factory.mktemp("invert")) as found:
        yield found


@pytest.fixture(scope="module")
def real_runs(tmp_path_factory):
    """Runs of narrow published networks, by name."""
    return real_runs_in(tmp_path_factory.mktemp("real"))


def space_of(workdir):
    opened = load_run(workdir)
    return LatentSpace(opened, opened.restore())


def error_of(capsys, *flags):
    assert invert.main(list(flags)) == 2
    [said] = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    return said


def test_pictures_that_the_generator_made_are_recovered(runs, tmp_path, capsys, caplog):
    finished, own = runs["plain"], tmp_path / "own"
    place = space_of(finished)
    given = place.images(place.keys(7, 3), {})
    own.mkdir()
    for number, image in enumerate(to_dtype(given, np.dtype(np.uint8))):
        Image.fromarray(image[..., 0]).save(own / f"{number}.png")
    Image.new("RGB", (20, 10), "red").save(tmp_path / "red.png")
    out, red = tmp_path / "found.png", f"{tmp_path}/red.png"
    flags = [f"--workdir={finished}", str(own), red, f"--out={out}", "--steps=150"]
    said = error_of(capsys, *flags)
    assert "red.png is 10x20, and the run was trained on 8x8: use --resize" in said
    assert not out.exists()
    flags.append("--resize")
    assert invert.main(flags) == 0
    assert caplog.text.count(": PSNR ") == 4
    with np.load(tmp_path / "found.npz") as file:
        found = dict(file)
    assert found["latents"].shape == (4, 4)
    assert str(found["space"]) == "z"
    assert (found["psnr"][:3] > 30).all(), found["psnr"]
    assert found["names"].tolist() == [*(f"{own}/{i}.png" for i in range(3)), red]
    # The latents make these pictures.
    images = place.images(place.keys(0, 3), {}, z=found["latents"][:3])
    wanted = psnr(to_dtype(given, np.dtype(np.uint8)), images)
    np.testing.assert_allclose(wanted, found["psnr"][:3], atol=0.1)
    # Side by side: given, recovered.
    assert load_png(out).columns == ("source", "fake")
    assert error_of(capsys, *flags).endswith("use --overwrite, or another name")
    assert parse_args([*flags, "--overwrite"]).overwrite
    with pytest.raises(UsageError, match="the run was trained on"):
        invert_run(finished, np.zeros((1, 8, 9, 1), np.uint8))


def test_styles_are_recovered_of_a_class(runs):
    with_styles = runs["styled"]
    images = sample_run(with_styles, 2, seed=3, label="2").samples
    found = invert_run(with_styles, images, label="2", steps=150, restarts=2)
    assert found.space == "w"
    assert found.latents.shape == (2, 5)
    assert (found.psnr > 30).all(), found.psnr
    np.testing.assert_allclose(found.images.astype(int), images.astype(int), atol=20)
    with pytest.raises(
        UsageError, match="the class of the pictures, such as --label=0"
    ):
        invert_run(with_styles, images)
    with pytest.raises(UsageError, match="no class '9'"):
        invert_run(with_styles, images, label="9")


@pytest.mark.parametrize("name", ["stylegan2", "biggan"])
def test_a_picture_has_the_same_latents_beside_any_other(real_runs, name):
    run = load_run(real_runs[name])
    _, players = run.restore_players()
    space = LatentSpace(run, players.generator)
    conditions = {"label": np.array([2], np.int32)} if name == "biggan" else {}
    # Six rows, which are not whole groups of 32 or of 4.
    options = InversionOptions(steps=2, restarts=3, pixel_weight=0.0)
    inverter = Inverter(space, players.discriminator, conditions, options)
    images = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 1)).astype(np.float32)
    one, other = (inverter(images[[0, i]])[0] for i in (1, 2))
    np.testing.assert_array_equal(one[0], other[0])
    assert (one[1] != other[1]).any()
    assert np.isfinite(one).all()


def test_a_discriminator_of_packs_has_no_features_of_a_picture(tmp_path):
    packs = make_config(**MLP, task="generate(4)", discriminator_wrap="pack(2)")
    finished = written(GRAY, packs, tmp_path / "packs")
    images = np.zeros((1, 8, 8, 1), np.uint8)
    with pytest.raises(UsageError, match="of several images at once: use --feature"):
        invert_run(finished, images)


def test_pictures_have_attributes(runs):
    opened = load_run(runs["traits"])
    with pytest.raises(UsageError, match=r"such as --attributes=beard=1"):
        check_run(opened, InversionOptions())
    found = check_run(opened, InversionOptions(attributes="hat=1,beard=0"))
    assert {name: x.tolist() for name, x in found.items()} == {"attributes": [[0, 1]]}


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--space=x", "--space=x: choose auto, z or w"),
        ("--space=w", "has no mapping: use --space=z"),
        ("--label=1", "this run is unconditional"),
        ("--steps=0", "--steps=0: must be from 1 to 1,000,000, such as --steps=400"),
        ("--restarts=65", "must be from 1 to 64, such as --restarts=4"),
        ("--learning_rate=0", "must be above 0 and at most 10"),
        ("--pixel_weight=-1", "must be from 0 to 1e+06, such as --pixel_weight=1"),
        ("--feature_weight=nan", "must be from 0 to 1e+06"),
        ("--out=x.jpg", "--out=x.jpg: must end in .png, such as --out=inverted.png"),
        ("--image_size=9", "use --resize, which takes the size of training"),
        ("nothing.png", "PATH=nothing.png: there is no such file or folder"),
    ],
)
def test_bad_flags(runs, pictures, tmp_path, monkeypatch, capsys, flag, message):
    monkeypatch.chdir(tmp_path)
    flags = [f"--workdir={runs['plain']}", str(pictures), flag]
    assert message in error_of(capsys, *flags)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="leave nothing to compare"):
        InversionOptions(pixel_weight=0.0, feature_weight=0.0)


def test_errors_and_starts_are_known():
    own, target = np.array([[1.0, 3.0], [2.0, 0.0]]), np.array([[1.0, 1.0], [2.0, 0.0]])
    np.testing.assert_allclose(
        relative_error(jnp.asarray(own), jnp.asarray(target)), [2, 0], atol=1e-6
    )
    assert nearest(target, own, 1).tolist() == [[1], [1]]
