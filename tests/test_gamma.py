"""`auto`, the gamma by the size of images and batches."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from critics import FAKE, REAL, linear_critic, value
from test_train import run, state_of

from jaxgan import losses
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.losses.gamma import format_gamma, gamma_of, uses_auto
from jaxgan.types import DiscriminatorOutput, Players, image_example

SHAPE, BATCH = (32, 48, 3), 16
GAMMA = 32 * 48 / 784 * 3 * 4


def test_gamma_by_hand():
    assert gamma_of((28, 28, 1), 64) == 1
    assert gamma_of((56, 56, 1), 64) == 4
    assert gamma_of((28, 28, 3), 64) == 3
    assert gamma_of((28, 28, 1), 256) == 0.25
    np.testing.assert_allclose(gamma_of(SHAPE, BATCH), GAMMA)


@pytest.mark.parametrize(("scale", "channels"), [(2, 1), (3, 1), (1, 3), (2, 3)])
def test_the_same_judgment_has_the_same_penalty(scale, channels):
    """D(x) of 8 x 8 pixels, and of larger or colored images by their means."""
    weights = np.random.default_rng(0).normal(size=(8, 8))

    def judge(x):
        # D is not linear, so that its gradient depends on the image.
        return DiscriminatorOutput(jnp.sin(jnp.sum(x * weights, (1, 2))))

    def judge_means(x):
        blocks = x.reshape(-1, 8, scale, 8, scale, channels)
        return judge(blocks.mean((2, 4, 5)))

    small = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (4, 8, 8)))
    large = jnp.repeat(jnp.repeat(small, scale, 1), scale, 2)
    large = jnp.repeat(large[..., None], channels, 3)
    plain = losses.r1(gamma_of((8, 8, 1), 4))
    scaled = losses.r1(gamma_of(large.shape[1:], 4))
    expected = value(plain, judge, small, small)
    assert expected > 0
    got = value(scaled, judge_means, large, large)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def penalties(text, example=None):
    """The values at step 0 of the terms of a recipe, with D(x) = 3 x + 4 y."""
    config = make_config(d_terms=text, batch_size=BATCH)
    example = example or image_example(SHAPE)
    terms = builder.build_terms(config, None, Players("", ""), example).discriminator
    return {
        name: float(value(term, linear_critic, REAL, FAKE))
        for name, term in terms.items()
        if name != "loss"
    }


@pytest.mark.parametrize(
    "text",
    [
        "r1(auto)|r2(auto)",
        "r1(gamma=auto)|r2(1)",
        "every(2, r1(auto))",
        "r1(cosine(auto, 0.5, 100))",
        "approximate_r1(auto, 0.1)|approximate_r2(auto)",
    ],
)
def test_auto_is_that_number_in_a_recipe(text):
    expected = penalties(text.replace("auto", repr(gamma_of(SHAPE, BATCH))))
    assert penalties(text) == expected
    assert all(expected.values())
    # Other images have another gamma.
    assert penalties(text, image_example((28, 28, 1))) != expected


@pytest.mark.parametrize(
    "text", ["auto", "lecam(auto)", "r1(1)|approximate_r1(1, auto)", "every(auto, r1)"]
)
def test_auto_is_no_other_number(text):
    with pytest.raises(UsageError, match=r"--d_terms: auto is the gamma of r1, r2"):
        penalties(text)


def test_a_recipe_without_auto():
    assert not uses_auto("r1(1)|every(16, r2(linear(1, 2, 3)))|consistency(by=flip)")
    assert not uses_auto("")


def test_auto_is_1_without_images():
    assert gamma_of((2,), 256) == gamma_of((8_000, 1), 8) == 1
    points = image_example((2,))
    assert penalties("r1(auto)", points) == penalties("r1(1)", points)
    line = "gamma: auto is 1 for samples that are not images"
    assert format_gamma("r1(auto)", (2,), 256) == line


def test_a_run_logs_its_gamma_and_resumes(pictures, tmp_path, caplog):
    gamma = gamma_of((8, 8, 1), 8)
    caplog.set_level(logging.INFO)
    run(pictures, tmp_path / "auto", 2, d_terms="r1(auto)|r2(auto)")
    assert "gamma: auto is 0.6531 for images of 8 x 8 x 1 in batches of 8" in (
        caplog.messages
    )
    auto = run(pictures, tmp_path / "auto", 4, d_terms="r1(auto)|r2(auto)")
    number = run(pictures, tmp_path / "number", 4, d_terms=f"r1({gamma})|r2({gamma})")
    states = (state_of(folder, 4) for folder in (auto, number))
    jax.tree.map(np.testing.assert_array_equal, *states)
