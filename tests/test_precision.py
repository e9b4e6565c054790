"""Mixed precision and rematerialisation: the types, and the same numbers."""

import collections
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import SHAPE, differs, images, same
from slow import slow

from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.networks import NETWORKS, layers
from jaxgan.networks.ops.platform import jit_once
from jaxgan.networks.precision import MixedPrecision, with_precision
from jaxgan.networks.spectral_norm import SpectralNorm
from jaxgan.types import DiscriminatorOutput, image_example

KEY = jax.random.key(0)
GAMES = {
    "default": "small(4)",
    "dcgan": "dcgan(4)",
    "mlp": "mlp((16,), (16,), dropout=0.3)",
    "sngan": "small(4)",
    "wgan-gp": "small(4)",
    "projection": "small(4)",
    "acgan": "small(4)",
    "residual": "residual(8, 1)",
}
FLOAT32 = {"sngan": "SpectralNorm", "acgan": ")/Dense_0"}
"""Products in float32 under mixed precision: power iterations, heads on features."""


CASES = [slow(x) if x in ("residual", "wgan-gp") else x for x in GAMES]


def game(preset, **other):
    """A tiny game of a preset, its first state and one step's examples."""
    said = {"batch_size": 8, "networks": GAMES[preset], "augment": "", **other}
    chosen = make_config(preset=preset, **said)
    built = builder.build_gan(chosen, image_example(SHAPE, classes=3), unroll=True)
    k = chosen.d_updates
    pictures = jnp.asarray(images(8 * k).reshape(k, 8, *SHAPE))
    batch = {"image": pictures, "label": jnp.arange(8 * k).reshape(k, 8) % 3}
    return built, jit_once(built.init)(KEY), batch


@functools.cache
def traced(preset, precision):
    """All operations of a preset's step, and the types of what it returns."""
    built, state, batch = game(preset, precision=precision)
    traced, out = jax.make_jaxpr(built.train_step, return_shape=True)(state, batch, KEY)
    return list(operations(traced.jaxpr)), out


def operations(jaxpr):
    """Those of a program and of all programs in it."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.tree.leaves(list(eqn.params.values())):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from operations(inner)


def products(preset, precision):
    """Counts convolutions and matrix products by dtype; locates those in float32."""
    found = collections.Counter()
    for eqn in traced(preset, precision)[0]:
        if eqn.primitive.name in ("conv_general_dilated", "dot_general"):
            types = {x.aval.dtype.name for x in eqn.invars[:2]}
            where = str(eqn.source_info.name_stack)
            found["+".join(sorted(types)), "float32" in types and where] += 1
    return found


@pytest.mark.parametrize("preset", CASES)
def test_all_products_are_bfloat16_under_mixed_and_none_else(preset):
    assert {types for types, _ in products(preset, "float32")} == {"float32"}
    mixed = products(preset, "mixed")
    assert {types for types, _ in mixed} <= {"bfloat16", "float32"}
    assert mixed["bfloat16", False] > 20
    wide = {where for types, where in mixed if types == "float32"}
    assert bool(wide) == (preset in FLOAT32)
    assert all(FLOAT32[preset] in where for where in wide), wide


@pytest.mark.parametrize("preset", CASES)
def test_long_sums_are_float32_under_mixed(preset):
    """A sum of ones in bfloat16 stays at 256, and gradients of biases are such sums."""
    for eqn in traced(preset, "mixed")[0]:
        if eqn.primitive.name == "reduce_sum":
            whole, summed = eqn.invars[0].aval, eqn.outvars[0].aval
            assert whole.size == summed.size or whole.dtype != jnp.bfloat16, eqn


@pytest.mark.parametrize("preset", CASES)
def test_state_and_metrics_stay_float32(preset):
    for leaf in jax.tree.leaves(traced(preset, "mixed")[1]):
        narrow = jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype != jnp.float32
        assert not narrow, leaf
    assert traced(preset, "mixed")[1] == traced(preset, "float32")[1]


@pytest.mark.parametrize(
    "preset", ["default", "dcgan", slow("sngan"), slow("residual")]
)
def test_a_mixed_step_is_near_the_float32_one(preset):
    """bfloat16 has 8 bits: 0.4 % a rounding, and a few dozen of them one after another.

    So losses and norms agree to 5 %; updates of Adam have the size of the rate.
    """
    (plain, state, batch), (mixed, again, _) = (
        game(preset, precision=p) for p in ("float32", "mixed")
    )
    same(state, again)
    _, want = jax.jit(plain.train_step)(state, batch, KEY)
    after, got = jax.jit(mixed.train_step)(state, batch, KEY)
    assert differs(after.params.generator, state.params.generator)
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=0.05, atol=0.02, err_msg=name)


@pytest.mark.parametrize("preset", ["default", "dcgan", "mlp", "residual"])
def test_the_variables_are_those_of_the_network(preset):
    nets = builder.build_networks(
        make_config(networks=GAMES[preset]), {"example": image_example(SHAPE)}
    )
    for net, shape in zip(nets, ((5,), SHAPE), strict=True):
        x = jnp.ones((2, *shape))
        plain = net.init(KEY, x, train=False)
        same(plain, MixedPrecision(net, jnp.bfloat16, True).init(KEY, x, train=False))


def test_gradients_of_a_bias_are_exact():
    # d/db of the sum of x + b is the number of pixels: 2 * 64 * 64
    class Called(nn.Module):
        net: nn.Module

        @nn.compact
        def __call__(self, x, *, train):
            return self.net(x)

    net = with_precision(Called(layers.Dense(3)), jnp.bfloat16)
    x = jnp.ones((2, 64, 64, 2))
    start: Any = net.init(KEY, x, train=True)
    ones = jnp.ones((2, 64, 64, 3))
    value = jax.jit(jax.grad(lambda v, w: jnp.sum(w * net.apply(v, x, train=True))))
    grads = value(start, ones)["params"]["net"]
    assert grads["bias"].dtype == jnp.float32
    np.testing.assert_array_equal(grads["bias"], [8192.0] * 3)


class Normed(nn.Module):
    """One layer of batch normalisation, which tells the type it returned."""

    @nn.compact
    def __call__(self, x, *, train):
        y = layers.BatchNorm()(x, train=train)
        assert self.is_initializing() or y.dtype == x.dtype == jnp.bfloat16
        return y


def test_batch_statistics_are_float32_ones_of_bfloat16_inputs():
    x = 3 + jax.random.normal(KEY, (4096, 2))
    net = with_precision(Normed(), jnp.bfloat16)
    start = net.init(KEY, x, train=True)
    start = jax.tree.map(jnp.zeros_like, start)
    out: Any = net.apply(start, x, train=True, mutable=["batch_stats"])
    norm = out[1]["batch_stats"]["BatchNorm_0"]
    rounded = np.asarray(x.astype(jnp.bfloat16).astype(jnp.float32))
    assert out[0].dtype == norm["mean"].dtype == norm["var"].dtype == jnp.float32
    # momentum 0.99, from zero on; bfloat16 sums would be off by a half
    np.testing.assert_allclose(norm["mean"], 0.01 * rounded.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm["var"], 0.01 * rounded.var(0), rtol=1e-4)


def test_dropout_keeps_the_type():
    x = jnp.ones((4, 9), jnp.bfloat16)
    y: Any = layers.Dropout(0.3).apply({}, x, train=True, rngs={"dropout": KEY})
    assert y.dtype == jnp.bfloat16


def test_spectral_norms_are_those_of_the_float32_kernels():
    net = NETWORKS["mlp"]((4,), (16,), example=image_example((8,))).discriminator
    x = jax.random.normal(KEY, (4, 8))
    plain, mixed = (
        SpectralNorm(n, 1) for n in (net, with_precision(net, jnp.bfloat16, True))
    )
    start: Any = plain.init(KEY, x, train=True)
    same(start, mixed.init(KEY, x, train=True))
    (want, spectral), (got, again) = (
        n.apply(start, x, train=True, mutable=["spectral"]) for n in (plain, mixed)
    )
    same(spectral, again)
    assert got.logits.dtype == got.features.dtype == jnp.float32
    np.testing.assert_allclose(got.logits, want.logits, atol=0.02)
    assert differs(got.logits, want.logits)


class Told(nn.Module):
    """The arguments as a network receives them."""

    @nn.compact
    def __call__(self, x, condition, *, train):
        assert x["a"].dtype == jnp.bfloat16
        assert condition.dtype == jnp.int32
        return DiscriminatorOutput((x["a"], x["a"]), features=condition)


def test_trees_are_cast_and_integers_are_not():
    net: Any = with_precision(Told(), jnp.bfloat16)
    critique = net.apply({}, {"a": jnp.ones(2)}, jnp.arange(2), train=True)
    assert [x.dtype for x in critique.logits] == [jnp.float32] * 2
    assert critique.features.dtype == jnp.int32


@pytest.mark.parametrize(
    "preset", ["default", "mlp", slow("dcgan"), slow("sngan"), "residual"]
)
def test_a_rematerialised_step_has_the_same_numbers(preset):
    (plain, state, batch), (remat, again, _) = (
        game(preset, remat=r) for r in (False, True)
    )
    same(state, again)
    want, got = (jax.jit(g.train_step)(state, batch, KEY)[1] for g in (plain, remat))
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=2e-4, atol=1e-5, err_msg=name)


def kept(net, x):
    """Bytes of activations that a network keeps for its gradient."""
    params = net.init(KEY, x, train=True)
    _, pull = jax.eval_shape(
        lambda p: jax.vjp(lambda p: net.apply(p, x, train=True).logits, p), params
    )
    sizes = [leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(pull)]
    return sum(sizes) - sum(leaf.nbytes for leaf in jax.tree.leaves(params))


def test_less_is_kept_of_a_deep_network():
    """The traced step recomputes; XLA for CPU keeps activations nevertheless."""
    x = jnp.ones((64, 32, 32, 3))
    plain, again = (residual_pair(remat).discriminator for remat in (False, True))
    # a block's input instead of six arrays of one or two times its channels
    assert kept(again, x) < kept(plain, x) / 4
    mlp = NETWORKS["mlp"]((8,), (64,) * 8, example=image_example((8,))).discriminator
    z = jnp.ones((1024, 8))
    assert kept(with_precision(mlp, remat=True), z) < kept(mlp, z) / 8


def residual_pair(remat):
    return NETWORKS["residual"](16, 2, example=image_example((32, 32, 3)), remat=remat)


def test_a_network_that_sees_to_it_itself_is_not_wrapped_again():
    net = residual_pair(True).discriminator
    assert with_precision(net, remat=True) is net
    assert with_precision(net) is net
    flags = {"networks": "residual(8, 1)", "remat": True, "batch_size": 8}
    nets = builder.build_networks(
        make_config(**flags), {"example": image_example(SHAPE)}
    )
    assert all(getattr(player, "remat", False) for player in nets)


def test_an_unknown_precision_names_what_there_is():
    with pytest.raises(UsageError, match="--precision=half: choose float32 or mixed"):
        make_config(precision="half")
