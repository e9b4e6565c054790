"""Groups whose deviation a discriminator reads: sizes, parts, and rows alone."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import config
from narrow_presets import example_of, flags_of

from jaxgan import parallel
from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config
from jaxgan.errors import BatchSizeError, UsageError
from jaxgan.evaluation.rejection import scored_play
from jaxgan.experiment import setup
from jaxgan.gan import builder
from jaxgan.gan.gan import example_batch
from jaxgan.gan.judging import in_whole_groups, judge_alone
from jaxgan.gan.objective import bind
from jaxgan.monitoring import probe
from jaxgan.networks import stylegan2, wrappers
from jaxgan.networks.precision import MixedPrecision
from jaxgan.types import (
    DiscriminatorOutput,
    Players,
    Samples,
    Task,
    TrainState,
    image_example,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEYS = jax.random.split(jax.random.key(0), 12)
DEVIATION = {"params": {"Dense_0": {"kernel": jnp.ones((1, 1))}}}
"""The variables of `deviations`, with which a logit is the deviation."""


class Rows(nn.Module):
    """Logits of 0, with the inputs as features."""

    @nn.compact
    def __call__(self, x, condition=None, *, train):
        return DiscriminatorOutput(jnp.zeros(len(x)), features=x)


def deviations(group):
    return wrappers.minibatch_std(group)(Rows())


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_a_smaller_batch_is_one_group():
    x = jnp.asarray(numbers(8, 4, 4, 2))
    for count in (1, 3, 8):
        wide, own = (stylegan2.with_deviation(x[:count], n) for n in (32, count))
        np.testing.assert_array_equal(wide, own)
        wanted = x[:count].std(0).mean()
        np.testing.assert_allclose(wide[..., 2], wanted, rtol=1e-4, atol=2e-4)
    with pytest.raises(BatchSizeError, match="multiple of 4, such as 8 on one device"):
        stylegan2.with_deviation(x[:6], 4)
    # A pair has the group of its flags, inside of any wrappers.
    example = image_example((8, 8, 1))
    net = stylegan2.pair(8, 4, group=6, example=example).discriminator
    assert wrappers.group_of(MixedPrecision(net, jnp.bfloat16, False)) == 6
    assert wrappers.group_of(wrappers.pack(2)(wrappers.minibatch_std(8)(net))) == 8
    assert wrappers.group_of(Rows()) == 0


@pytest.mark.parametrize("preset", [x for x in PRESETS if x.startswith("stylegan2")])
def test_narrow_presets_have_the_groups_of_the_published_ones(preset):
    facts = {"example": example_of(preset), "axis_name": None}
    whole, narrow = (
        builder.build_networks(make_config(preset=preset, **flags), facts).discriminator
        for flags in ({}, flags_of(preset))
    )
    group = wrappers.group_of(whole)
    assert group == wrappers.group_of(narrow) > 2
    # As on a chip in `test_plan_presets`.
    x = jnp.zeros((2, 28, 28, 1))
    init = narrow.init_with_output
    output, _ = jax.eval_shape(lambda: init(jax.random.key(0), x, train=False))
    assert output.logits.shape == (2,)


def flags(**more):
    mlp = "mlp((4,), (4,))"
    wrap = "minibatch_std(4)"
    return {"networks": mlp, "discriminator_wrap": wrap, "d_terms": "", **more}


@pytest.mark.parametrize(
    ("more", "advice"),
    [
        ({"batch_size": 24}, "batch_size=32"),
        ({"batch_size": 24, "batch_per_device": 6}, "batch_per_device=8"),
        ({"batch_size": 48, "accumulate": 2}, "batch_size=64"),
        ({"batch_size": 48, "d_terms": "r1(1, batch_shrink=2)"}, "batch_size=64"),
    ],
)
def test_an_error_names_a_batch_of_all_devices_that_works(more, advice):
    def build(**more):
        chosen = config("small", **flags(**more))
        example = image_example((4, 4, 1))
        return builder.build_gan(chosen, example, axis="devices", devices=4)

    said = "minibatch_std(4) takes 4 examples at a time, and a device has 6: use --"
    with pytest.raises(UsageError) as error:
        build(**more)
    assert str(error.value) == said + advice
    name, _, size = advice.partition("=")
    build(**{**more, "batch_size": 4 * int(size) if "per" in name else int(size)})
    # Parts that are smaller than a group.
    build(**{**more, "batch_size": 8 * more.get("accumulate", 1)})


def test_one_device_opens_a_run_whose_groups_are_whole_on_several():
    chosen = config("small", **flags(batch_size=6))
    example = image_example((4, 4, 1))
    gan = builder.build_gan(chosen, example, trains=False)
    state = jax.jit(gan.init)(jax.random.key(0))
    # The discriminator judges any number of its samples.
    play = scored_play(gan, example)
    critic = {"params": state.params.discriminator}
    batch = example_batch(example, 6)
    samples, logits = play(Players(state.ema, critic), batch, KEYS[:6])
    assert samples.shape == (6, 4, 4, 1)
    assert logits.shape == (6,)


@pytest.mark.parametrize(("batch", "logged"), [(16, True), (64, False)])
def test_a_group_that_is_smaller_than_its_flag_is_logged(caplog, batch, logged):
    layout = parallel.layout_of(jax.devices()[:2])
    chosen = make_config(batch_size=batch, accumulate=2)
    with caplog.at_level("INFO", "jaxgan"):
        setup.log_group(chosen, layout, deviations(8))
    said = "a device has 4 example(s) at a time: the discriminator reads their "
    assert caplog.messages == [f"{said}deviation, not that of groups of 8"] * logged


def test_examples_that_are_judged_alone_do_not_affect_each_other():
    example = image_example((8, 8, 1), classes=3)
    net = stylegan2.pair(8, 4, 4, 1, group=4, example=example).discriminator
    x, label = numbers(6, 8, 8, 1), jnp.arange(6) % 3
    made = jax.eval_shape(lambda: net.init(KEYS[0], x[:1], label[:1], train=False))
    variables = jax.tree.map(lambda x: jnp.asarray(numbers(*x.shape)), made)

    @jax.jit
    def judge(x):
        critic, _ = bind(net, variables, KEYS[:1])
        return judge_alone(net, variables, x, label, KEYS[:6]), critic(x[:1], label[:1])

    output, first = judge(x)
    assert output.logits.shape == (6,)
    np.testing.assert_allclose(output.features[:1], first.features, rtol=1e-5)
    changed, _ = judge(np.concatenate([x[:1], 3 * x[1:]]))
    np.testing.assert_array_equal(output.features[0], changed.features[0])
    assert np.abs(output.features[1:] - changed.features[1:]).max(1).min() > 1e-3
    with pytest.raises(BatchSizeError, match=r"pack\(2\) takes 2"):
        judge_alone(wrappers.pack(2)(Rows()), {"params": {}}, x, label, KEYS[:6])


def test_a_group_that_is_not_whole_is_filled_with_the_first_examples():
    critic, _ = bind(deviations(4), DEVIATION, KEYS[:8])
    x = numbers(8, 3)
    for rows in (np.arange(6), np.arange(8), np.arange(3)):
        filled = np.resize(x[rows], (8, 3)) if len(rows) == 6 else x[rows]
        wanted = critic(filled).logits[: len(rows)]
        np.testing.assert_array_equal(in_whole_groups(critic)(x[rows]).logits, wanted)


def test_the_probe_judges_the_parts_of_a_batch_as_training_does():
    def play(generator, batch, keys, step):
        return Samples(batch["image"], generator(2 * batch["image"]))

    class Same(nn.Module):
        @nn.compact
        def __call__(self, z, condition=None, *, train):
            return z

    nets: Players[nn.Module] = Players(Same(), deviations(4))
    params: Players = Players({}, DEVIATION["params"])
    none = Players({}, {})
    state = TrainState(jnp.zeros((), int), params, none, none, none, {})
    # Two batches of six, each of two groups of three.
    x = numbers(12, 2)
    measure = probe.make_measure(Task(play), nets, 12, 12, parts=2)
    batches = [{"image": part} for part in np.split(x, 2)]
    found = measure(state, batches, None, KEYS.reshape(2, 6))
    wanted = x.reshape(4, 3, 2).std(1).mean()
    np.testing.assert_allclose(found["train"], wanted, rtol=1e-5)
    np.testing.assert_allclose(found["fake"], 2 * wanted, rtol=1e-5)
