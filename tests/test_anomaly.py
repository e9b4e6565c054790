"""The task `anomaly`: its terms, stages and scores."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
from games import same
from kind_runs import KEY, close, final_state, run, train_flags

from jaxgan import losses, train
from jaxgan.errors import UsageError
from jaxgan.gan import builder, objective
from jaxgan.networks import NETWORKS
from jaxgan.optimizers import chain
from jaxgan.tasks import TASKS, anomaly
from jaxgan.tasks.anomaly import FAINT, pixel_distance, smoothed
from jaxgan.types import DiscriminatorOutput, LossInputs, Samples, image_example

pytestmark = pytest.mark.usefixtures("quick_compilation")

BIGAN = {"task": "anomaly(2, noise=0)", "networks": "encoder_mlp((8,), (8,), (8,))"}
ALICE = {**BIGAN, "task": "anomaly(2, noise=0.5)", "g_terms": "cycle_l2(10)"}
F_ANOGAN = {
    **BIGAN,
    "networks": "encoder_mlp((8,), (8,), (8,), joint=False)",
    "g_terms": "encoder(2, 1)",
    # With momentum, which would go on without a gradient.
    "g_optimizer": "adam(0.05, b1=0.5)|freeze(4, part='decoder')",
    "d_optimizer": "adam(0.05, b1=0.5)|freeze(4)",
}
FORMS: dict[str, dict[str, Any]] = {"alice": ALICE, "f-anogan": F_ANOGAN}


@pytest.fixture(autouse=True)
def registered():
    """The tables with the data set `encoder`, which other tests do not see."""
    before = [dict(table) for table in kinds.TABLES]
    kinds.register()
    yield
    for table, own in zip(kinds.TABLES, before, strict=True):
        table.clear()
        table.update(own)


@pytest.mark.parametrize("form", FORMS)
def test_one_finite_step_is_compiled_once_and_is_that_of_two_devices(form):
    # `run` asserts that the step is traced once
    one = run("encoder", **FORMS[form])
    assert all(np.isfinite(x).all() for x in one[1].values())
    close(one, run("encoder", 2, **FORMS[form]))


def test_a_resumed_run_is_exact_in_both_stages(tmp_path):
    def go(folder, steps):
        flags = train_flags("encoder", tmp_path / folder, steps, **F_ANOGAN)
        assert train.main(flags) == 0
        return final_state(tmp_path / folder, steps)

    whole = go("whole", 8)
    go("parts", 2)  # the GAN learns
    go("parts", 6)  # its end, and the encoder alone
    same(whole, go("parts", 8))


def test_the_second_stage_moves_the_encoder_only():
    gan = builder.build_gan(
        kinds.config("encoder", **F_ANOGAN), kinds.KINDS["encoder"].example
    )
    step, state, states = jax.jit(gan.train_step), jax.jit(gan.init)(KEY), []
    batch = {k: jnp.asarray(x)[None, :8] for k, x in kinds.examples("encoder").items()}
    for _ in range(7):
        state, _ = step(state, batch, KEY)
        states.append(state.params)
    first, last_of_gan, last = states[0], states[3], states[-1]
    same(last_of_gan.discriminator, last.discriminator)
    same(last_of_gan.generator["decoder"], last.generator["decoder"])

    def moved(one, other):
        return jax.tree.leaves(jax.tree.map(lambda a, b: (a != b).any(), one, other))

    assert all(moved(first, last_of_gan))
    encoder = [x.generator["EncoderMLP_0"] for x in (last_of_gan, last)]
    assert all(moved(*encoder))


def test_a_part_that_is_not_there_cannot_be_frozen():
    optimizer = chain("sgd(1)|freeze(1, part='decodr')")
    with pytest.raises(UsageError, match="the network has no part 'decodr'"):
        optimizer.init({"decoder": jnp.ones(2)})


def test_frozen_parts_stay_from_an_update_on():
    optimizer = chain("sgd(1, momentum=0.9)|freeze(1, part='a')")
    params = {"a": jnp.zeros(2), "b": jnp.zeros(2)}
    state = optimizer.init(params)
    seen = []
    for _ in range(3):
        updates: Any
        updates, state = optimizer.update({"a": jnp.ones(2), "b": jnp.ones(2)}, state)
        seen.append([float(updates[name][0]) for name in "ab"])
    np.testing.assert_allclose(seen, [[-1, -1], [0, -1.9], [0, -2.71]], rtol=1e-6)


def linear_generator():
    """A GAN whose generator is linear and frozen, and examples that it made."""
    flags = {
        "task": "anomaly(2, noise=0)",
        "networks": "encoder_mlp((), (), (4,))",
        "g_terms": "encoder(1, features=0)",
        "g_optimizer": "adam(0.05)|freeze(0, part='decoder')",
        "batch_size": 32,
    }
    gan = builder.build_gan(
        kinds.config("encoder", **flags), image_example((4,), np.float32)
    )
    state = jax.jit(gan.init)(KEY)
    # An example is a linear map of two numbers.
    kernel = state.params.generator["decoder"]["Dense_0"]["kernel"]
    return gan, state, jax.random.normal(KEY, (32, 2)) @ kernel


def test_the_encoder_inverts_a_linear_generator():
    gan, state, examples = linear_generator()
    step = jax.jit(gan.train_step)
    for _ in range(150):
        state, _ = step(state, {"image": examples[None]}, KEY)
    # A new example.
    kernel = state.params.generator["decoder"]["Dense_0"]["kernel"]
    z = jnp.array([[0.3, -1.2]])
    encoder = state.params.generator["EncoderMLP_0"]["Generator_0"]["Dense_0"]
    found = z @ kernel @ encoder["kernel"] + encoder["bias"]
    np.testing.assert_allclose(found, z, atol=0.02)


def test_the_gradient_of_the_encoder_is_that_of_reconstruction_alone():
    decoder, encoder = jnp.array([[2.0, 1.0]]), jnp.array([[0.5], [0.25]])
    x, z = jnp.array([[1.0, 3.0], [-1.0, 2.0]]), jnp.zeros((2, 1))

    def generator_of(decoder, encoder):
        return lambda x: {"image": x["z"] @ decoder, "z": x["image"] @ encoder}

    def critic(x):
        return DiscriminatorOutput(x["z"][:, 0], features=3 * x["image"])

    def value(params):
        generator = generator_of(*params)
        made = generator({"image": x, "z": z})
        samples = Samples(
            real={"image": x, "z": made["z"]}, fake={"image": made["image"], "z": z}
        )
        inputs = LossInputs(
            samples, critic(x=samples.real), critic(samples.fake), critic,
            keys=KEY, step=jnp.int32(0), generator=generator,
        )  # fmt: skip
        return losses.REGULARIZERS["encoder"](2.0, 0.5).apply(inputs, ())[0]

    compute = jax.jit(jax.value_and_grad(value))
    got, (of_decoder, of_encoder) = compute((decoder, encoder))
    # 2 E r^2 + 0.5 E (3 r)^2, means over four entries.
    residual = x @ encoder @ decoder - x
    np.testing.assert_allclose(got, 6.5 * np.mean(residual**2), rtol=1e-6)
    np.testing.assert_array_equal(of_decoder, 0)
    by_hand = 6.5 * 2 / 4 * x.T @ (residual @ decoder.T)
    np.testing.assert_allclose(of_encoder, by_hand, rtol=1e-6)


def test_an_encoder_needs_a_task_that_has_one():
    samples = Samples(real=jnp.ones((2, 3)), fake=jnp.zeros((2, 3)))
    inputs = LossInputs(samples, *[None] * 5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no encoder: use the task anomaly"):
        losses.REGULARIZERS["encoder"]().apply(inputs, ())


def test_the_parts_of_a_score_by_hand():
    task = anomaly(1, blur=0.0, contrast=0.0, example=image_example((1, 2, 1)))
    assert task.score is not None

    def generator(x):
        # A code is the mean, and a picture has it in every pixel.
        return {
            "image": jnp.broadcast_to(x["z"][:, :, None, None], (len(x["z"]), 1, 2, 1)),
            "z": x["image"].mean((1, 2)),
        }

    def critic(x):
        return DiscriminatorOutput(x["z"], features=[x["image"], 2 * x["z"]])

    image = jnp.array([[0.5, -0.5], [1.0, 0.0]]).reshape(2, 1, 2, 1)
    parts = task.score(generator, critic, {"image": image}, jax.random.split(KEY, 2))
    np.testing.assert_allclose(parts.reconstruction[:, 0, :, 0], [[0, 0], [0.5, 0.5]])
    # (1/2)^2 at each of two pixels, whose sum is the mean
    np.testing.assert_allclose(parts.pixels, np.full((2, 1, 2), 0.125))
    # the mean over two layers, of which the second, of the latent, is the same
    np.testing.assert_allclose(parts.features, [0.125, 0.125])
    assert parts.more == {}
    assert task.weights == {"features": 0.1}


def test_distances_are_smoothed_and_relative_to_the_contrast():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.uniform(-1, 1, (2, 9, 7, 3)), jnp.float32)
    back = jnp.zeros_like(x).at[:, 4, 3].set(x[:, 4, 3] + 1) + x * 0
    gap = np.asarray(x - back, np.float64)
    scipy = pytest.importorskip("scipy.ndimage")
    smooth = scipy.gaussian_filter(gap, (0, 0.8, 0.8, 0), mode="constant", truncate=3.2)
    np.testing.assert_allclose(smoothed(x - back, 0.8), smooth, atol=1e-6)
    got = pixel_distance(x, back, 0.8, 0.5)
    variance = np.asarray(x).reshape(2, -1).var(1) + FAINT
    by_hand = (smooth**2).mean((1, 2, 3)) / variance**0.5
    np.testing.assert_allclose(got.sum((1, 2)), by_hand, rtol=1e-5)
    # A blank picture has a finite score.
    assert np.isfinite(pixel_distance(0 * x, back, 0.8, 1.0)).all()


@pytest.mark.parametrize(
    "networks", ["encoder_mlp((8,), (8,), (8,))", "encoder_small(4)"]
)
def test_scores_of_pictures_do_not_depend_on_the_others(networks):
    flags = {"task": "anomaly(3)", "networks": networks, "d_terms": ""}
    example = image_example((8, 8, 1))
    gan = builder.build_gan(kinds.config("encoder", **flags), example)
    state = jax.jit(gan.init)(KEY)
    keys = objective.example_keys(KEY, 4)

    @jax.jit
    def score(images):
        g, _ = objective.bind(gan.networks.generator, state.ema, keys)
        own = objective.variables(state, "discriminator")
        d, _ = objective.bind(gan.networks.discriminator, own, keys)
        assert gan.task.score is not None
        return gan.task.score(g, d, {"image": images}, keys)

    images = jax.random.uniform(KEY, (4, 8, 8, 1), minval=-1)
    parts = score(images)
    assert parts.reconstruction.shape == images.shape
    assert parts.pixels.shape == (4, 8, 8)
    assert parts.features.shape == (4,)
    assert (np.asarray(parts.pixels) >= 0).all()
    assert (np.asarray(parts.features) > 0).all()
    turned = score(images[::-1])
    np.testing.assert_allclose(turned.features[::-1], parts.features, rtol=2e-5)
    # samples start from noise alone
    assert gan.sample(state.ema, KEY, 3)["image"].shape == (3, 8, 8, 1)


def test_noise_is_added_to_what_the_encoder_reads_and_to_nothing_else():
    task = TASKS["anomaly"](2, noise=0.5, example=image_example((4,), np.float32))
    assert task.augment is not None
    batch, keys = {"image": jnp.ones((500, 4))}, objective.example_keys(KEY, 500)
    noisy = task.augment(batch, keys)
    difference = np.asarray(noisy["noisy"] - batch["image"])
    np.testing.assert_allclose(difference.std(), 0.5, rtol=0.05)
    read = []

    def generator(x):
        read.append(x["image"])
        return {"image": x["image"], "z": x["z"]}

    samples = task.play(generator, noisy, keys, 0)
    np.testing.assert_array_equal(read[0], noisy["noisy"])
    np.testing.assert_array_equal(samples.real["image"], 1)
    # and none in evaluation
    np.testing.assert_array_equal(
        task.play(generator, batch, keys, 0).real["image"], read[2]
    )
    assert TASKS["anomaly"](2, noise=0).augment is None


def test_networks_read_latents_only_if_they_are_joint():
    example = image_example((8, 8, 1))
    x = {"image": jnp.ones((2, 8, 8, 1)), "z": jnp.array([[1.0, 2.0], [3.0, -4.0]])}
    for name in ("encoder_mlp", "encoder_small"):
        for joint in (True, False):
            net = NETWORKS[name](joint=joint, example=example).discriminator
            init = jax.jit(functools.partial(net.init_with_output, train=False))
            logits = init(KEY, x)[0].logits
            assert bool(logits[0] != logits[1]) == joint
