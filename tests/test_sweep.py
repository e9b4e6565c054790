"""The benchmark of settings: lanes of one program are the runs of the trainer."""

import doctest
import json
from pathlib import Path

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sweep
import sweep_lanes

from jaxgan import data
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.losses import REGULARIZERS
from jaxgan.networks.ops.convolutions import conv_same
from jaxgan.networks.ops.platform import jit_once
from jaxgan.optimizers import OPTIMIZERS
from jaxgan.types import DiscriminatorOutput, LossInputs, Samples, image_example

STEPS, BATCH = 4, 8
EXAMPLE = image_example((8, 8, 1))
IMAGES = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), np.uint8)
FLAGS = {"dataset": "mnist", "networks": "small(2)", "batch_size": BATCH}
OTHER = sweep_lanes.Hyper(
    lr=1e-3, lr_end=1e-4, g_lr=4e-3, b2=0.9, gamma=3.0, gamma_end=0.5
)
TEXTS = {
    "g_optimizer": f"adam(cosine(4e-3, 1e-4, {STEPS}), b1=0.0, b2=0.9)",
    "d_optimizer": f"adam(cosine(1e-3, 1e-4, {STEPS}), b1=0.0, b2=0.9)",
    "d_terms": f"r1(cosine(3, 0.5, {STEPS}))|r2(cosine(3, 0.5, {STEPS}))",
}
"""The numbers of `OTHER` as flags of the trainer."""
FIRST = {
    "g_optimizer": "adam(2e-3, b1=0.0, b2=0.99)",
    "d_optimizer": "adam(2e-3, b1=0.0, b2=0.99)",
    "d_terms": "r1(1)|r2(1)",
}
"""Those of lanes by default, and of the default recipe of version 0.1.0."""


@pytest.fixture(scope="module", autouse=True)
def fast_compilation():
    """Programs that run for a few steps are not worth XLA's optimizations."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def compared(state):
    """Returns parameters and average, without the bias of the logits.

    Its gradient is zero, as the loss compares logits with each other. Adam makes whole
    steps of the rounding of that.
    """
    flat = flax.traverse_util.flatten_dict(state.params.discriminator, sep="/")
    del flat["Dense_0/bias"]
    return state.params.generator, flat, state.ema


def trained_alone(flags, seed, images):
    """Returns the state of a run of the trainer on a lane's batches."""
    gan = builder.build_gan(make_config(**FLAGS, **flags), EXAMPLE, unroll=True)
    state, step = jit_once(gan.init)(jax.random.key(seed)), jax.jit(gan.train_step)
    for i in range(STEPS):
        key, numbers = sweep_lanes.draw(seed, i, BATCH, len(images))
        state, _ = step(state, {"image": images[numbers][None]}, key)
    return state


def trained_as_lanes(hypers, seeds, images):
    """Returns the states of all lanes of one program."""
    with sweep_lanes.installed():
        config = make_config(**FLAGS, **sweep_lanes.flags_of(STEPS, 1.0))
        gan = builder.build_gan(config, EXAMPLE)
        states = sweep_lanes.states_of(gan, seeds, hypers)
        states = sweep_lanes.train(gan, states, seeds, images, batch=BATCH, steps=STEPS)
    return [jax.tree.map(lambda x, i=i: x[i], states) for i in range(len(seeds))]


def test_lanes_are_runs_of_the_trainer():
    """With numbers of the first default, and with others: each lane has its own."""
    hypers, seeds = [sweep_lanes.Hyper(), OTHER], np.array([3, 5])
    lanes = trained_as_lanes(hypers, seeds, IMAGES)
    for lane, seed, flags in zip(lanes, seeds, (FIRST, TEXTS), strict=True):
        alone = trained_alone(flags, seed, IMAGES)
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=1e-5),
            compared(lane),
            compared(alone),
        )
    # What lanes need is in the tables only meanwhile.
    assert "lane_r1" not in REGULARIZERS
    assert "lane_adam" not in OPTIMIZERS


def test_penalties_on_a_part_of_the_batch():
    """Half of the batch: the penalty of a critic with known gradients."""
    x = np.arange(8.0, dtype=np.float32).reshape(8, 1)
    samples = Samples(real=x, fake=x + 1)

    def critic(x):
        return DiscriminatorOutput((x**2).sum(1))

    real, keys = critic(x), jax.random.split(jax.random.key(0), 8)
    for name, term in (("real", "lane_r1"), ("fake", "lane_r2")):
        with sweep_lanes.installed():
            term = REGULARIZERS[term](10, 0.5)
        inputs = LossInputs(samples, real, real, critic, keys, jnp.int32(5))
        # Halfway between gammas of 3 and 1; gradients are 2 x.
        value, _ = term.apply(inputs, jnp.array([3.0, 1.0]))
        part = getattr(samples, name)[:4]
        np.testing.assert_allclose(value, 2 / 2 * np.mean((2 * part) ** 2), rtol=1e-5)


def test_patches_are_the_convolution():
    rng = np.random.default_rng(0)
    x = jnp.array(rng.standard_normal((2, 5, 6, 3)))
    kernel = jnp.array(rng.standard_normal((3, 3, 3, 4)))
    got = sweep_lanes.convolve_patches(x, kernel)
    np.testing.assert_allclose(got, conv_same(x, kernel), atol=1e-4)
    with pytest.raises(UsageError, match="stride 1"):
        sweep_lanes.convolve_patches(x, kernel, 2)


class Judge:
    """Scores images by their mean, in place of the classifier's judge."""

    def __init__(self, source, n, cache):
        self.train, self.n = data.load(source, split="train"), n
        self.protocol = {"classifier": {"digest": "0"}, "cache": str(cache)}

    def of_images(self, images):
        assert images.shape == (self.n, 8, 8, 1)
        assert images.dtype == np.uint8
        return images

    def values(self, images):
        names = ("fd", "confident", "precision", "recall")
        return dict.fromkeys(names, float(images.mean()))


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Runs `sweep.py` with tiny groups and data."""
    np.savez(tmp_path / "mnist.npz", train_image=IMAGES, test_image=IMAGES)

    def run(groups, *flags):
        file, out = tmp_path / "groups.json", tmp_path / "out.json"
        file.write_text(json.dumps(groups))
        words = [f"--npz={tmp_path}", "--n=30", f"--groups={file}", f"--out={out}"]
        monkeypatch.setattr("sys.argv", ["sweep.py", *words, *flags])
        sweep.main()
        return json.loads(out.read_text())

    monkeypatch.setattr(sweep, "enable_compilation_cache", lambda: None)
    monkeypatch.setattr(sweep.recipe_judge, "open_judge", Judge)
    monkeypatch.setattr(sweep.recipe_judge, "floor_of", lambda x: x.values(IMAGES))
    monkeypatch.setattr(sweep.recipe_judge, "AT_ONCE", 20)
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return run


def test_a_sweep_and_its_resumption(program, monkeypatch):
    flags = {"networks": "small(2)", "batch_size": BATCH}
    lanes = {"base": {}, "fast": {"lr": 1.0}}
    # The program of the first test.
    group = {"steps": STEPS, "flags": flags, "fraction": 1.0, "lanes": lanes}
    found = program({"tiny": group}, "--seeds=1")
    base, fast = (row["values"] for row in found["rows"])
    assert base["fd"] != fast["fd"]
    assert [row["arm"] for row in found["rows"]] == ["tiny: base", "tiny: fast"]
    _, _, floor, first, second = sweep.table_of(found)
    assert floor.startswith("| *training images* |")
    start = "| small(2) | batch_size=8, penalties on 100 % of the batch"
    assert first.startswith(f"{start} | 4 | 1 | {base['fd']:.2f} |")
    assert second.startswith(f"{start}, fast | 4 | 1 | {fast['fd']:.2f} |")

    monkeypatch.setattr(sweep.Program, "judge", lambda _: pytest.fail("opened"))
    assert program({"tiny": group}, "--seeds=1") == found
    with pytest.raises(SystemExit, match="another group tiny"):
        program({"tiny": {**group, "steps": 5}}, "--seeds=1")
    with pytest.raises(SystemExit):
        program({"tiny": {**group, "lanes": {"fast": {"learning": 1.0}}}})
    with pytest.raises(SystemExit):
        program({"tiny": group}, "--only=tini")


def test_published_rows_are_of_these_groups():
    file = Path(sweep.__file__).parent / "results" / "sweep.json"
    found = json.loads(file.read_text())
    for name, group in sweep.GROUPS.items():
        assert sweep.Group(**found["groups"][name]) == group
        arms = {row["arm"] for row in found["rows"]}
        assert {sweep.arm(name, lane) for lane in group.lanes} <= arms


def test_every_group_is_a_valid_run():
    with sweep_lanes.installed():
        for group in sweep.GROUPS.values():
            own = sweep_lanes.flags_of(group.steps, group.fraction)
            make_config(dataset="mnist", **group.flags, **own)
            assert all(hyper.lr_end is not None for hyper in group.hypers())


@pytest.mark.parametrize("module", [sweep, sweep_lanes])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
