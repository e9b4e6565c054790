"""Wrappers of networks: by hand, against numpy, and the same on two devices."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import differs, same

from jaxgan import spec, tasks
from jaxgan.errors import UsageError
from jaxgan.gan import objective, train_step
from jaxgan.losses import REGULARIZERS
from jaxgan.losses.adversarial import LOSSES
from jaxgan.networks import WRAPPERS, dcgan, mlp, small, spectral_norm, wrappers
from jaxgan.optimizers import chain
from jaxgan.terms import stateless
from jaxgan.types import DiscriminatorOutput, Players, image_example

KEY = jax.random.key(0)


def normal(*shape, seed=0):
    """Standard normal numbers, the same for the same seed."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def wrap(net, text, classes=4):
    """A network in all wrappers of a text, the first inside."""
    for around in spec.build(
        text, WRAPPERS, example=image_example((2,), classes=classes)
    ).values():
        net = around(net)
    return net


def made(net, *args) -> Any:
    """A network's fresh variables."""
    return net.init(KEY, *args, train=False)


def out(net, *args, variables=None, **options) -> Any:
    """The output of an initialized network."""
    args = jax.tree.map(jnp.asarray, args)
    variables = made(net, *args) if variables is None else variables
    return net.apply(variables, *args, **{"train": False, **options})


class Linear(nn.Module):
    """Logits are sums with weights 1, 2, 3 ... over an example; features as they come.

    Both are trees if the samples are.
    """

    @nn.compact
    def __call__(self, x, condition=None, *, train: bool) -> DiscriminatorOutput:
        def weigh(leaf):
            rows = leaf.reshape(len(leaf), -1)
            return rows @ jnp.arange(1.0, rows.shape[1] + 1)

        return DiscriminatorOutput(jax.tree.map(weigh, x), features=(x, condition))


class Patches(nn.Module):
    """Logits `[B, 2, 2]` and `[B]`, all 0, and the sample as features."""

    @nn.compact
    def __call__(self, x, condition=None, *, train: bool) -> DiscriminatorOutput:
        zeros = jnp.zeros((len(x), 2, 2))
        return DiscriminatorOutput(
            {"fine": zeros, "coarse": zeros[:, 0, 0]}, features=x
        )


class Blind(nn.Module):
    """No features."""

    @nn.compact
    def __call__(self, x, condition=None, *, train: bool) -> DiscriminatorOutput:
        return DiscriminatorOutput(x[:, 0])


class Echo(nn.Module):
    """A generator of what it is given."""

    @nn.compact
    def __call__(self, z, condition=None, *, train: bool) -> jax.Array:
        return z


# spectral normalisation


@pytest.mark.parametrize("shape", [(5, 4), (3, 3, 2, 4), (1, 1), (2, 6)])
def test_power_iteration_finds_numpys_singular_value(shape):
    kernel = normal(*shape)
    sigma, u = spectral_norm.singular_value(
        jnp.asarray(kernel), jnp.ones(shape[-1]), 200
    )
    wanted = np.linalg.svd(kernel.reshape(-1, shape[-1]))
    np.testing.assert_allclose(sigma, wanted.S[0], rtol=1e-5)
    np.testing.assert_allclose(abs(u @ wanted.Vh[0]), 1, rtol=1e-5)


def test_a_kernel_of_zeros_does_not_end_the_iteration():
    sigma, u = spectral_norm.singular_value(jnp.zeros((2, 3)), jnp.ones(3), 1)
    assert float(sigma) == 0
    np.testing.assert_array_equal(u, np.ones(3))


def trained(net, x, times=200):
    """The variables after some calls that train; parameters stay as they are."""
    variables = made(net, x)
    stats = {k: v for k, v in variables.items() if k != "params"}

    def once(stats, key):
        now = {"params": variables["params"], **stats}
        rngs = {"dropout": key}
        stats = net.apply(now, x, train=True, rngs=rngs, mutable=list(stats))[1]
        return stats, None

    keys = jax.random.split(KEY, times)
    newest = jax.jit(lambda stats: jax.lax.scan(once, stats, keys)[0])(stats)
    return {"params": variables["params"], **newest}


def largest(value):
    return np.linalg.norm(value.reshape(-1, value.shape[-1]), 2)


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (mlp.Discriminator((4, 3), dropout=0.2), (2, 5)),
        (small.Discriminator(2), (2, 4, 4, 1)),
        (dcgan.Generator((4, 4, 1), 1), (2, 3)),
    ],
)
def test_every_kernel_of_a_network_is_divided_by_numpys_singular_value(net, shape):
    x = jnp.asarray(normal(*shape))
    wrapped = wrap(net, "spectral_norm")
    variables = trained(wrapped, x)
    divided = jax.tree.map(
        lambda value: value / largest(value) if value.ndim > 1 else value,
        jax.device_get(variables["params"]["net"]),
    )
    assert differs(divided, variables["params"]["net"])
    stats = {k: v["net"] for k, v in variables.items() if k == "batch_stats"}
    wanted = out(net, x, variables={"params": divided, **stats})
    got = out(wrapped, x, variables=variables)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), got, wanted)


def test_a_discriminator_of_linear_layers_has_slope_one_at_most():
    net = wrap(mlp.Discriminator((8, 8)), "spectral_norm")
    variables = trained(net, jnp.asarray(normal(2, 5)))
    a, b = 3 * normal(500, 5, seed=1), 3 * normal(500, 5, seed=2)
    difference = abs(
        out(net, a, variables=variables).logits
        - out(net, b, variables=variables).logits
    )
    distance = np.linalg.norm(a - b, axis=-1)
    assert (difference <= distance * (1 + 1e-5)).all()
    assert (difference > 0.05 * distance).any()


def test_the_slope_of_one_linear_layer_is_one():
    net = wrap(mlp.Discriminator(()), "spectral_norm")
    x = jnp.asarray(normal(3, 5))
    variables = made(net, x)  # one column: exact after one iteration
    slope: Any = jax.grad(lambda x: out(net, x, variables=variables).logits.sum())(x)
    np.testing.assert_allclose(np.linalg.norm(slope, axis=-1), 1, rtol=1e-5)


def test_the_vectors_of_a_power_iteration_are_constants_to_the_gradient():
    # one iteration from anywhere: v^T W u, whose gradient is then v u^T and no more
    kernel, start = normal(5, 3), normal(3, seed=1)
    found = jax.grad(
        lambda k: spectral_norm.singular_value(k, jnp.asarray(start), 1)[0]
    )
    v = kernel @ start / np.linalg.norm(kernel @ start)
    u = v @ kernel / np.linalg.norm(v @ kernel)
    want = np.outer(v, u)
    np.testing.assert_allclose(found(jnp.asarray(kernel)), want, rtol=1e-5, atol=1e-6)


def test_gradients_pass_through_the_singular_value():
    # d/dw of x.w / |w| is (x - (x.w^) w^) / |w|
    net = wrap(mlp.Discriminator(()), "spectral_norm")
    x = jnp.asarray(normal(1, 5))
    variables = made(net, x)

    def logit(params):
        return out(net, x, variables={**variables, "params": params}).logits[0]

    found: Any = jax.grad(logit)(variables["params"])
    w = np.asarray(variables["params"]["net"]["Dense_0"]["kernel"][:, 0])
    unit, row = w / np.linalg.norm(w), np.asarray(x[0])
    wanted = (row - row @ unit * unit) / np.linalg.norm(w)
    got = found["net"]["Dense_0"]["kernel"][:, 0]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_statistics_move_in_training_only():
    net = wrap(mlp.Discriminator((4,)), "spectral_norm")
    x = jnp.asarray(normal(2, 5))
    variables = made(net, x)
    assert jax.tree.map(jnp.shape, variables["spectral"]) == {
        "u": {"Dense_0": {"kernel": (4,)}, "Dense_1": {"kernel": (1,)}}
    }
    _, after = out(net, x, variables=variables, mutable=["spectral"])
    same(after["spectral"], variables["spectral"])
    _, after = out(net, x, variables=variables, mutable=["spectral"], train=True)
    assert differs(after["spectral"], variables["spectral"])
    assert jax.tree.structure(after["spectral"]) == jax.tree.structure(
        variables["spectral"]
    )


def test_a_network_that_is_normalised_already_stays_as_it_is():
    x = jnp.asarray(normal(2, 5))
    once = wrap(mlp.Discriminator((4, 3)), "spectral_norm")
    twice = wrap(once, "spectral_norm")
    variables = trained(twice, x)
    params = variables["params"]["net"]
    inner = {"params": params, "spectral": variables["spectral"]["net"]}
    got = out(twice, x, variables=variables).logits
    np.testing.assert_allclose(got, out(once, x, variables=inner).logits, atol=1e-5)


# packs


def test_a_pack_joins_channels_by_hand():
    # rows (0, 1, 2, 3) and (4, 5, 6, 7) with weights 1, 2, 3, 4
    critique = out(wrap(Linear(), "pack(2)"), np.arange(8.0).reshape(4, 2))
    np.testing.assert_array_equal(critique.logits, [20, 60])


def test_trees_and_conditions_are_packed():
    image = np.arange(48.0).reshape(4, 2, 3, 2)
    x = {"image": image, "vector": np.arange(8.0).reshape(4, 2)}
    label = np.array([3, 1, 0, 2])
    critique = out(wrap(Linear(), "pack(2)"), x, label)
    seen, told = critique.features
    assert seen["image"].shape == (2, 2, 3, 4)
    for one in range(2):
        pair = np.concatenate([image[2 * one], image[2 * one + 1]], axis=-1)
        np.testing.assert_array_equal(seen["image"][one], pair)
        logit = pair.ravel() @ np.arange(1, 25)
        np.testing.assert_array_equal(critique.logits["image"][one], logit)
    np.testing.assert_array_equal(told, [[3, 1], [0, 2]])
    np.testing.assert_array_equal(critique.logits["vector"], [20, 60])


def test_a_pack_of_one_is_the_network():
    x = normal(3, 4)
    same(out(wrap(Linear(), "pack(1)"), x).logits, out(Linear(), x).logits)


# heads on the features


def deviation(x, group):
    """Numpy's, of rows in groups, averaged over features, one number for each row."""
    groups = x.reshape(len(x) // group, group, -1)
    return np.repeat(groups.std(1).mean(-1), group)


@pytest.mark.parametrize("group", [2, 4, 9])
def test_minibatch_deviation_is_numpys(group):
    x = normal(8, 3, 2)
    net = wrap(Patches(), f"minibatch_std({group})")
    variables = {"params": {"Dense_0": {"kernel": jnp.array([[2.0]])}}}
    assert jax.tree.map(jnp.shape, made(net, x)) == jax.tree.map(jnp.shape, variables)
    logits = out(net, x, variables=variables).logits
    # A batch that is smaller than a group is one.
    wanted = 2 * deviation(x, min(group, 8))
    np.testing.assert_allclose(logits["coarse"], wanted, rtol=1e-5)
    fine = np.broadcast_to(wanted[:, None, None], (8, 2, 2))
    np.testing.assert_allclose(logits["fine"], fine, rtol=1e-5)


def test_a_group_of_equals_has_a_finite_gradient():
    net = wrap(Patches(), "minibatch_std(2)")
    x = jnp.ones((4, 3))
    variables = made(net, x)
    slope: Any = jax.grad(
        lambda x: out(net, x, variables=variables).logits["coarse"].sum()
    )(x)
    assert np.isfinite(slope).all()


def test_projection_by_hand():
    x, label = normal(3, 2), np.array([2, 0, 2])
    net = wrap(Patches(), "projection")
    table = jnp.arange(8.0).reshape(4, 2)
    variables = {"params": {"Embed_0": {"embedding": table}}}
    same(
        jax.tree.map(jnp.shape, made(net, x, label)), jax.tree.map(jnp.shape, variables)
    )
    logits = out(net, x, label, variables=variables).logits
    wanted = np.array([[4, 5], [0, 1], [4, 5]]) * x
    np.testing.assert_allclose(logits["coarse"], wanted.sum(-1), rtol=1e-5)
    np.testing.assert_allclose(logits["fine"][:, 1, 0], wanted.sum(-1), rtol=1e-5)


@pytest.mark.parametrize(("text", "outputs"), [("classifier", 4), ("classifier(6)", 6)])
def test_a_classifier_by_hand(text, outputs):
    x = normal(3, 2)
    net = wrap(Patches(), text)
    kernel, bias = normal(2, outputs, seed=1), normal(outputs, seed=2)
    variables = {"params": {"Dense_0": {"kernel": kernel, "bias": bias}}}
    same(jax.tree.map(jnp.shape, made(net, x)), jax.tree.map(jnp.shape, variables))
    critique = out(net, x, variables=variables)
    np.testing.assert_allclose(critique.class_logits, x @ kernel + bias, rtol=1e-4)
    assert not differs(critique.logits, out(Patches(), x).logits)


def test_heads_read_all_features():
    x = {"a": normal(2, 3), "b": normal(2, 2, 2)}
    critique = out(wrap(Linear(), "classifier(5)"), x)
    assert critique.class_logits.shape == (2, 5)
    kernel = made(wrap(Linear(), "classifier(5)"), x)["params"]["Dense_0"]["kernel"]
    assert kernel.shape == (3 + 4, 5)


@pytest.mark.parametrize(("text", "dim"), [("embed", 3), ("embed(2)", 2)])
def test_an_embedding_follows_the_latent(text, dim):
    z, label = normal(3, 3), np.array([2, 0, 2])
    net = wrap(Echo(), text)
    table = normal(4, dim, seed=1)
    variables = {"params": {"Embed_0": {"embedding": table}}}
    same(
        jax.tree.map(jnp.shape, made(net, z, label)), jax.tree.map(jnp.shape, variables)
    )
    got = out(net, z, label, variables=variables)
    np.testing.assert_array_equal(got, np.concatenate([z, table[label]], axis=-1))


# what the user can mend

LABEL = np.zeros(4, np.int32)


@pytest.mark.parametrize(
    ("net", "text", "args", "message"),
    [
        (Linear(), "pack(2)", (normal(5, 2),), "batch size .* of 2, such as 6"),
        (Linear(), "minibatch_std", (normal(6, 2),), "batch size .* of 4, such as 8"),
        (Patches(), "projection|pack(2)", (normal(4, 2), LABEL), "no pack"),
        (Patches(), "pack(2)|projection", (normal(4, 2), LABEL), "no pack"),
        (Patches(), "classifier|pack(2)", (normal(4, 2),), "leave out pack"),
        (Patches(), "pack(2)|classifier", (normal(4, 2),), "leave out pack"),
        (Patches(), "projection", (normal(4, 2),), "task conditional"),
        (Patches(), "projection", (normal(4, 2), normal(4, 2)), "task conditional"),
        (Patches(), "projection", (normal(4, 2), {"a": LABEL}), "task conditional"),
        (Echo(), "embed", (normal(4, 2),), "task conditional"),
        (Linear(), "embed", (normal(4, 2), LABEL), "wrap the generator in embed"),
        (Linear(), "embed", (normal(4, 2, 2, 1), LABEL), "wrap the generator in embed"),
        (Echo(), "minibatch_std", (normal(4, 2),), "wrap the discriminator in mini"),
        (Echo(), "pack", (normal(4, 2),), "wrap the discriminator in pack"),
        (Blind(), "minibatch_std", (normal(4, 2),), "returns none: use networks that"),
        (Blind(), "projection", (normal(4, 2), LABEL), "returns none"),
        (Blind(), "classifier", (normal(4, 2),), "returns none"),
    ],
)
def test_what_does_not_fit_is_named(net, text, args, message):
    with pytest.raises(UsageError, match=message):
        out(wrap(net, text), *args)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spectral_norm(0)", r"steps must be in \[1, 100\], not 0: use 1"),
        ("pack(0)", r"size must be in \[1, 1048576\], not 0: use 2"),
        ("pack(2.5)", "size must be int, not 2.5"),
        ("minibatch_std(1)", r"group must be in \[2, 1048576\], not 1: use 4"),
        ("classifier(-1)", r"outputs must be in \[0, 1048576\], not -1"),
        ("embed(-1)", r"dim must be in \[0, 1048576\], not -1"),
        ("embed", "embed needs labels or attributes: use a dataset"),
        ("projection", "projection needs labels or attributes: use a dataset"),
        ("projection(4)", "too many positional arguments"),
        ("classifier", "classifier needs labels or attributes: use a dataset"),
    ],
)
def test_what_no_wrapper_takes(text, message):
    with pytest.raises(UsageError, match=message):
        wrap(Linear(), text, classes=0)


def test_a_head_of_its_own_size_needs_no_labels():
    assert out(
        wrap(Patches(), "classifier(3)", classes=0), normal(2, 2)
    ).class_logits.shape == (2, 3)


# games


class Case(NamedTuple):
    """Flags of wrapped players."""

    generator: str
    discriminator: str
    task: Any = tasks.generate(3)


CASES = {
    "all": Case(
        "embed(2)|spectral_norm",
        "spectral_norm|minibatch_std(2)|projection|classifier",
        tasks.conditional(3),
    ),
    "packs": Case("", "spectral_norm(2)|minibatch_std(2)|pack(2)"),
    "codes": Case("spectral_norm", "classifier(6)", tasks.codes(3, 4, 2)),
}


def spoken(inputs):
    """Something that is a function of a second head, if there is one."""
    heads = jax.tree.leaves([inputs.fake.class_logits, inputs.real.class_logits])
    return jnp.stack([jnp.zeros(()), *(jnp.mean((h - 1) ** 2) for h in heads)]).sum()


def play(case, devices=1, steps=2):
    """The first and the last state, and the newest metrics."""
    axis = "devices" if devices > 1 else None
    pair = mlp.pair(
        (4,), (6,), dropout=0.2, example=image_example((3,)), axis_name=axis
    )
    nets = Players(*map(wrap, pair, case[:2]))
    loss = LOSSES["non_saturating"]()
    terms = Players(
        generator={"loss": loss.generator, "spoken": stateless(spoken)},
        discriminator={
            "loss": loss.discriminator,
            "r1": REGULARIZERS["r1"](1.0),
            "spoken": stateless(spoken),
        },
    )
    optimizers = Players(chain("sgd(0.1)"), chain("sgd(0.1)"))
    batch = {"image": jnp.asarray(normal(8, 3)), "label": jnp.arange(8) % 4}
    first: Any = jax.jit(
        lambda key: train_step.init_state(
            key, case.task, nets, terms, optimizers, batch
        )
    )(KEY)
    made_step = train_step.make_step(
        objective.make_loss(case.task, nets, terms, axis=axis),
        optimizers,
        decay=lambda step: 0.5,
        axis=axis,
        unroll=True,
    )
    state, metrics = first, {}
    batches = jax.tree.map(lambda x: x.reshape(1, *x.shape), batch)
    if devices == 1:
        program = jax.jit(made_step)
    else:
        batches = jax.tree.map(
            lambda x: x.reshape(1, devices, -1, *x.shape[2:]), batches
        )
        program = jax.pmap(made_step, axis, in_axes=(None, 1, None))
    for _ in range(steps):
        state, metrics = program(state, batches, KEY)
        if devices > 1:
            state, metrics = jax.tree.map(lambda x: x[0], (state, metrics))
    return nets, first, state, metrics


@pytest.mark.parametrize("name", CASES)
def test_wrapped_players_train_alike_on_one_device_and_on_two(name):
    case = CASES[name]
    nets, first, state, metrics = play(case)
    assert jax.tree.structure(first) == jax.tree.structure(state)
    for before, after in zip(*map(jax.tree.leaves, (first, state)), strict=True):
        assert before.shape == after.shape
        assert before.dtype == after.dtype
        assert np.isfinite(after).all()
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), first.params, state.params)
    assert all(jax.tree.leaves(moved)), moved
    _, _, other, seen = play(case, devices=2)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5),
        (state, metrics),
        (other, seen),
    )
    sampled(case, nets, state)


def sampled(case, nets, state):
    """Drawing twice from the averaged generator gives the same."""
    generator, stats = objective.bind(nets.generator, state.ema, KEY[None])
    before = stats()
    batch = {"image": jnp.zeros((4, 3)), "label": jnp.arange(4)}
    keys = objective.example_keys(KEY, 4)
    one, two = (case.task.play(generator, batch, keys, 0).fake for _ in range(2))
    assert one.shape == (4, 3)
    same(one, two)
    same(stats(), before)


def test_joined_examples_are_neighbours():
    np.testing.assert_array_equal(
        wrappers.join(jnp.arange(12.0).reshape(4, 3), 2),
        [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]],
    )
