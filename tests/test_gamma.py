"""`auto`, the gamma by the size of images."""

import json
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from critics import FAKE, REAL, linear_critic, value
from test_train import argv, run, state_of

from jaxgan import losses, train
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.losses.gamma import format_gamma, gamma_of, unclipped_gamma, uses_auto
from jaxgan.types import DiscriminatorOutput, Players, image_example

SHAPE, BATCH = (32, 48, 3), 16


def test_gamma_by_hand():
    assert gamma_of((28, 28, 1)) == 1
    assert gamma_of((56, 56, 1)) == 2
    assert gamma_of((28, 28, 4)) == 2
    assert gamma_of(SHAPE) == round((32 * 48 * 3) ** 0.5 / 28, 3)


def test_unclipped_gamma_by_hand():
    assert unclipped_gamma((28, 28, 1), 64) == 1
    assert unclipped_gamma((56, 56, 1), 64) == 4
    assert unclipped_gamma((28, 28, 3), 64) == 3
    assert unclipped_gamma((28, 28, 1), 256) == 0.25
    np.testing.assert_allclose(
        unclipped_gamma(SHAPE, BATCH), 32 * 48 / 784 * 3 * 64 / 16
    )


@pytest.mark.parametrize(("scale", "channels"), [(2, 1), (3, 1), (1, 3), (2, 3)])
def test_gamma_is_between_two_judgments(scale, channels):
    """D(x) of 8 x 8 pixels, and of larger or colored images by means or single ones.

    By means `unclipped_gamma` has the same penalty, by single pixels a constant gamma.
    """
    weights = np.random.default_rng(0).normal(size=(8, 8))

    def judge(x):
        # D is not linear, so that its gradient depends on the image.
        return DiscriminatorOutput(jnp.sin(jnp.sum(x * weights, (1, 2))))

    def blocks(x):
        return x.reshape(-1, 8, scale, 8, scale, channels)

    small = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (4, 8, 8)))
    large = jnp.repeat(jnp.repeat(small, scale, 1), scale, 2)
    large = jnp.repeat(large[..., None], channels, 3)

    def penalty(gamma, judge, x):
        return float(value(losses.r1(gamma), judge, x, x))

    def by_means(gamma):
        return penalty(gamma, lambda x: judge(blocks(x).mean((2, 4, 5))), large)

    def by_pixels(gamma):
        return penalty(gamma, lambda x: judge(blocks(x)[:, :, 0, :, 0, 0]), large)

    start, end = (8, 8, 1), large.shape[1:]
    expected = penalty(1.0, judge, small)
    assert expected > 0
    ratio = unclipped_gamma(end, 4) / unclipped_gamma(start, 4)
    np.testing.assert_allclose(by_means(ratio), expected, rtol=1e-5)
    np.testing.assert_allclose(by_pixels(1.0), expected, rtol=1e-5)
    # The rule is the geometric mean of both, rounded.
    ratio = gamma_of(end) / gamma_of(start)
    both = by_means(ratio) * by_pixels(ratio)
    np.testing.assert_allclose(both, expected**2, rtol=1e-3)


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
    expected = penalties(text.replace("auto", repr(gamma_of(SHAPE))))
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
    assert gamma_of((2,)) == gamma_of((8_000, 1)) == unclipped_gamma((2,), 256) == 1
    points = image_example((2,))
    assert penalties("r1(auto)", points) == penalties("r1(1)", points)
    line = "gamma: auto is 1 for samples that are not images"
    assert format_gamma(1.0, (2,)) == line


BOTH = "r1(auto)|r2(auto)"


def recorded(folder):
    return json.loads((folder / "config.json").read_text())["d_terms"]


def test_a_run_logs_and_records_its_gamma(pictures, tmp_path, caplog):
    gamma = gamma_of((8, 8, 1))
    number = f"r1({gamma})|r2({gamma})"
    caplog.set_level(logging.INFO)
    auto = tmp_path / "auto"
    run(pictures, auto, 2, d_terms=BOTH)
    assert "gamma: auto is 0.2857 for images of 8 x 8 x 1" in caplog.messages
    assert recorded(auto) == number
    # The default is the same, and resumes with the number.
    caplog.clear()
    run(pictures, auto, 4)
    said = [x for x in caplog.messages if x.startswith("gamma:")]
    assert said == ["gamma: auto is 0.2857, as the run was started"]
    other = run(pictures, tmp_path / "number", 4, d_terms=number)
    states = (state_of(folder, 4) for folder in (auto, other))
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert train.main(argv(pictures, auto, 4, d_terms=f"{BOTH}|lecam")) == 2


def test_a_run_with_the_earlier_rule_keeps_it(pictures, tmp_path):
    """Runs recorded `auto`, which was H W C / 784 times 64 / batch_size."""
    gamma = 8 * 8 / 784 * 64 / 8
    number = f"r1({gamma})|r2({gamma})"
    states = []
    for name in ("auto", "number"):
        folder = run(pictures, tmp_path / name, 2, d_terms=number)
        if name == "auto":
            file = folder / "config.json"
            flags = json.loads(file.read_text()) | {"d_terms": BOTH}
            file.write_text(json.dumps(flags))
        run(pictures, folder, 4, d_terms=BOTH)
        assert recorded(folder) == number
        run(pictures, folder, 6)
        states.append(state_of(folder, 6))
    jax.tree.map(np.testing.assert_array_equal, *states)


def test_a_run_with_a_gamma_of_1_keeps_it(pictures, tmp_path):
    """It was the default."""
    folder = run(pictures, tmp_path / "run", 2, d_terms="r1(1)|r2(1)")
    run(pictures, folder, 4)
    assert recorded(folder) == "r1(1)|r2(1)"
