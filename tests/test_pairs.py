"""All pairs with all image sizes, channels and conditions: shapes, steps and dtypes.

Shapes are traced only. Steps are those of narrow networks on images of 8x8 and 8x12,
with one or two of the twelve cases of each pair. `JAXGAN_TEST_SLOW=1` runs all.
`test_plan_presets` compiles the presets of these pairs for a TPU slice.
"""

import functools
import itertools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import differs, images
from slow import slow
from test_precision import operations
from test_resnet_pairs import filled

from jaxgan import parallel
from jaxgan.config.resolve import make_config
from jaxgan.errors import FieldError
from jaxgan.gan import builder
from jaxgan.networks import NETWORKS
from jaxgan.networks.streams import keys_of_examples
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Field, image_example

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
CLASSES, LATENTS, BATCH = 3, 8, 4
CONDITIONS = ("none", "labels", "attributes")

NARROW = {
    "mlp": "mlp((4,), (4,))",
    "dcgan": "dcgan(2)",
    "small": "small(2)",
    "r3gan": "r3gan(8, 1)",
    "resnet": "resnet(2)",
    "sagan": "sagan(2)",
    "biggan": "biggan(2, embedding=4)",
    "stylegan2": "stylegan2(16, 4, 4, 1, group=2)",
}
"""Narrow networks by pair. `residual` is another name of `r3gan`."""

WRAPPED = ("mlp", "dcgan", "small")
"""Pairs that read a condition through wrappers."""


def flags_of(name, kind):
    """The flags of a narrow pair with a condition, or without."""
    if kind == "none":
        return {"networks": NARROW[name], "task": f"generate({LATENTS})"}
    flags = {"networks": NARROW[name], "task": f"conditional({LATENTS})"}
    if name == "r3gan":
        flags["networks"] = "r3gan(8, 1, conditional=True)"
    if name in WRAPPED:
        flags |= {"generator_wrap": "embed", "discriminator_wrap": "projection"}
    return flags


def example_of(shape, kind):
    """The fields of images without conditions, with labels, or with attributes."""
    if kind == "attributes":
        bits = Field((CLASSES,), np.dtype(np.uint8), "attributes", ("a", "b", "c"))
        return ExampleSpec(image=Field(shape), attributes=bits)
    return image_example(shape, classes=CLASSES if kind == "labels" else 0)


# shapes


SIZES = ((16, 16), (16, 24), (64, 96), (256, 128), (256, 256))
CHANNELS = (1, 3, 4)
GIVEN = {
    "none": None,
    "labels": jax.ShapeDtypeStruct((BATCH,), jnp.int32),
    "attributes": jax.ShapeDtypeStruct((BATCH, CLASSES), jnp.float32),
}


def outputs_of(net, x, condition):
    """Returns the shapes of a network's output in training."""

    def call(x, condition):
        keys = jax.random.split(KEY, BATCH)
        rngs = {"params": KEY, "dropout": KEY}
        with keys_of_examples(lambda: keys):
            return net.init_with_output(rngs, x, condition, train=True)

    return jax.eval_shape(call, x, condition)[0]


def check_shapes(name, kind, shape):
    """Checks the shape and dtype of samples and logits."""
    nets = builder.build_networks(
        make_config(**flags_of(name, kind)),
        {"example": example_of(shape, kind), "axis_name": None},
    )
    latents = jax.ShapeDtypeStruct((BATCH, LATENTS), jnp.float32)
    image = outputs_of(nets.generator, latents, GIVEN[kind])
    assert (image.shape, image.dtype) == ((BATCH, *shape), jnp.float32)
    judged: Any = outputs_of(nets.discriminator, image, GIVEN[kind])
    assert isinstance(judged, DiscriminatorOutput)
    assert (judged.logits.shape, judged.logits.dtype) == ((BATCH,), jnp.float32)
    assert judged.features.shape[0] == BATCH


@pytest.mark.parametrize(("name", "kind"), [*itertools.product(NARROW, CONDITIONS)])
def test_shapes_from_16_to_256_pixels(name, kind):
    """Over the three conditions, each size has each number of channels."""
    for number, size in enumerate(SIZES):
        turn = number + CONDITIONS.index(kind)
        check_shapes(name, kind, (*size, CHANNELS[turn % 3]))


@pytest.mark.parametrize(
    ("name", "kind"), [slow(*x) for x in itertools.product(NARROW, CONDITIONS)]
)
def test_shapes_of_all_channels_at_all_sizes(name, kind):
    for size, channels in itertools.product(SIZES, CHANNELS):
        check_shapes(name, kind, (*size, channels))


def test_the_earlier_name_of_r3gan_is_the_same_pair():
    assert NETWORKS["residual"] is NETWORKS["r3gan"]


@pytest.mark.parametrize("name", NARROW)
def test_a_condition_that_examples_do_not_have_is_refused(name):
    flags = flags_of(name, "labels")
    message = "needs labels or attributes|needs 'label' with each example"
    with pytest.raises(FieldError, match=message):
        builder.build_gan(make_config(**flags), example_of((8, 8, 1), "none"))


# steps


SIDES = {"square": (8, 8), "wide": (8, 12)}


def game(name, kind, side, channels, devices=1, **other):
    """Returns a narrow GAN, its layout, a random first state, and a batch."""
    shape = (*SIDES[side], channels)
    example = example_of(shape, kind)
    config = make_config(
        **flags_of(name, kind),
        # The gradient of this loss does not vanish.
        loss="wasserstein",
        d_terms="",
        batch_size=BATCH,
        # The momentum of the first step is its gradient.
        g_optimizer="sgd(1e-3, momentum=0.5)",
        d_optimizer="sgd(1e-3, momentum=0.5)",
        **other,
    )
    layout = parallel.layout_of(parallel.choose_devices(devices))
    built = builder.build_gan(
        config,
        example,
        axis=layout.axis,
        devices=layout.parts,
        unroll=True,
        wrap_gradient=layout.strategy.wrap_gradient(layout),
    )
    shapes = jax.eval_shape(built.init, KEY)
    state = jax.tree_util.tree_map_with_path(filled, shapes)
    batch: dict[str, Any] = {"image": images(BATCH, shape=shape)[None]}
    if kind == "labels":
        batch["label"] = np.arange(BATCH, dtype=np.int32)[None] % CLASSES
    if kind == "attributes":
        rows = [[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]]
        batch["attributes"] = np.array([rows], np.uint8)
    return built, layout, state, batch


def endless(batch):
    while True:
        yield batch


HASTY = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""Options of XLA for CPU with which compilations take half of the time or less."""


@functools.cache
def trained(case, devices=1):
    """Returns the first state, those after each of two steps, and their metrics."""
    built, layout, first, batch = game(*case, devices=devices)
    chex.clear_trace_counter()
    step = chex.assert_max_traces(built.train_step, n=1)
    feed = parallel.streamed(endless(batch), layout=layout)
    program = layout.strategy.jit(step, feed, layout, 1, first)
    # A copy, as the calls use the memory of the states.
    first = jax.tree.map(np.array, first)
    state = parallel.place(first, layout)
    compiled = program.lower(state, feed.at(0, 1), KEY).compile(HASTY)
    types = jax.tree.map(jax.typeof, state)
    states, metrics = [first], []
    for number in range(2):
        # A compiled program raises TypeError for other types.
        state, values = compiled(state, feed.at(number, 1), KEY)
        assert jax.tree.map(jax.typeof, state) == types
        states.append(jax.tree.map(np.array, state))
        metrics.append(jax.device_get(values))
    feed.close()
    return states, metrics


CASES = [*itertools.product(NARROW, CONDITIONS, SIDES, (1, 3))]
QUICK = [
    ("mlp", "labels", "wide", 3),
    ("mlp", "attributes", "square", 1),
    ("dcgan", "attributes", "wide", 3),
    ("small", "labels", "wide", 1),
    ("small", "attributes", "square", 3),
    ("r3gan", "attributes", "wide", 3),
    ("resnet", "labels", "wide", 3),
    ("sagan", "attributes", "square", 3),
    ("biggan", "attributes", "wide", 3),
    ("stylegan2", "labels", "wide", 3),
]
"""Compiled cases, chosen to differ from those of other modules.

`test_builder`, `test_resnet_pairs` and `test_stylegan2` have steps of gray squares,
with labels for `biggan`, and without conditions for others. The layers of `sagan` are
those of `resnet` and `biggan`.
"""


@pytest.mark.parametrize("case", [x if x in QUICK else slow(x) for x in CASES], ids=str)
def test_two_finite_steps_in_one_program(case):
    """Each layer of both players has a gradient, and both players change."""
    states, metrics = trained(case)
    for old, new, values in zip(states, states[1:], metrics, strict=False):
        assert np.isfinite([*values.values()]).all(), values
        chex.assert_trees_all_equal_shapes_and_dtypes(old, new)
        chex.assert_tree_all_finite(new)
        assert new.step == old.step + 1
        for before, after in zip(old.params, new.params, strict=True):
            assert differs(before, after)
    for own in states[1].opt_state:
        gradients = by_module(own)
        still = [x for x, leaves in gradients.items() if not any(map(np.any, leaves))]
        assert len(gradients) > 1
        assert not still, still


def by_module(tree):
    """Groups leaves by module, as biases before a normalization have no gradient."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        found.setdefault(jax.tree_util.keystr(path[:-1]), []).append(leaf)
    return found


# devices


SHARED = [*QUICK[:1], *QUICK[5:7], *QUICK[8:]]
"""Cases on two devices.

`test_parallel` has `dcgan` and `small`. The layers of `sagan` are those of others.
"""


@pytest.mark.parametrize(
    "case", [x if x in SHARED else slow(x) for x in CASES], ids=str
)
def test_two_devices_train_like_one(case):
    """Statistics and gradients are those of the whole batch; only sums differ."""
    (_, one, _), (values, _) = trained(case)
    (_, two, _), (others, _) = trained(case, devices=2)
    # The second step would amplify the rounding of the first one.
    jax.tree.map(close, (one, values), (two, others))


def close(a, b):
    """Compares arrays, with a tolerance relative to the largest entry."""
    scale = max(np.abs(a).max(), 1)
    np.testing.assert_allclose(a / scale, b / scale, atol=2e-5)


# types


TESTED = ("dcgan", "biggan", "stylegan2")
"""Pairs in `test_precision`, `test_resnet_pairs` and `test_stylegan2`."""


@pytest.mark.parametrize("name", [slow(x) if x in TESTED else x for x in NARROW])
def test_mixed_precision_keeps_float32_masters(name):
    """Products are bfloat16; variables, metrics and long sums are float32."""
    case = (name, "labels", "square", 3)
    built, _, state, batch = game(*case, precision="mixed")
    program, (after, metrics) = jax.make_jaxpr(built.train_step, return_shape=True)(
        state, batch, KEY
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    for leaf in jax.tree.leaves((after, metrics)):
        assert leaf.dtype in (jnp.float32, jnp.int32), leaf
    assert {x.dtype.name for x in metrics.values()} == {"float32"}
    products = 0
    for eqn in operations(program.jaxpr):
        types = {x.aval.dtype.name for x in eqn.invars[:2] if hasattr(x, "aval")}
        if eqn.primitive.name in ("conv_general_dilated", "dot_general"):
            assert types == {"bfloat16"}, eqn
            products += 1
        if eqn.primitive.name == "reduce_sum" and types == {"bfloat16"}:
            assert eqn.invars[0].aval.size == eqn.outvars[0].aval.size, eqn
    assert products >= 20, products
