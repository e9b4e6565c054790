"""Properties of every augmentation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import augment, spec
from jaxgan.augment import AUGMENTATIONS
from jaxgan.augment.random_apply import integers, random_product
from jaxgan.errors import UsageError

pytestmark = pytest.mark.usefixtures("quick_compilation")

SHAPES = [(8, 8, 1), (5, 7, 3), (6, 4, 4), (1, 1, 2)]
KEYS = jax.random.split(jax.random.key(0), 32)

every = pytest.mark.parametrize("name", AUGMENTATIONS)


def images(shape, count=32, seed=1):
    return jax.random.uniform(
        jax.random.key(seed), (count, *shape), minval=-1.0, maxval=1.0
    )


def over_batch(name):
    return jax.jit(augment.chain_batch([AUGMENTATIONS[name]()]))


@every
def test_shapes_types_and_the_identity_bit_for_bit(name):
    apply = over_batch(name)
    tree = [images(shape).at[:, 0, 0].set(-0.0) for shape in SHAPES]
    tree.append(tree[1].astype(jnp.bfloat16))
    for x, same, changed in zip(
        tree, apply(KEYS, tree, 0.0), apply(KEYS, tree, 1.0), strict=True
    ):
        assert same.dtype == changed.dtype == x.dtype
        assert changed.shape == x.shape
        assert np.asarray(same).tobytes() == np.asarray(x).tobytes()
        assert jnp.isfinite(changed).all()
        if x.shape[1:] != (1, 1, 2):  # whose only pixel may have nowhere to go
            assert (changed != x).any()
    full, half = (np.asarray(apply(KEYS, tree, 1.0)[i], np.float32) for i in (1, 4))
    np.testing.assert_allclose(half, full, atol=0.05, rtol=0.02)


HOW_OFTEN = {
    # three independent choices
    "color()": lambda p: 1 - (1 - p) ** 3,
    # by -1, 0 or 1 along both axes; one in nine stays
    "translation(0.25)": lambda p: p * 8 / 9,
    "cutout()": lambda p: p,
    "flip()": lambda p: p / 2,
    "rotate90()": lambda p: p * 3 / 4,
    # by round(0.5 U(-1, 1)), which is 0
    "geometric(affine=0)": lambda p: 1 - (1 - p / 2) * (1 - p * 3 / 4),
    # scaling, stretching, shifting, and either of two rotations
    "geometric(blit=0)": lambda p: 1 - (1 - p) ** 4,
    "geometric(0, 0.5)": lambda p: 1 - (1 - p / 2) ** 4,
    # four and a luma flip
    "ada_color()": lambda p: 1 - (1 - p) ** 4 * (1 - p / 2),
    "ada_color(0, 0, 0.5, 0, 0)": lambda p: p / 4,
    "noise()": lambda p: p,
}


@pytest.mark.parametrize("text", HOW_OFTEN)
def test_how_often_something_changes(text):
    count = 2000
    apply = jax.jit(augment.chain_batch([spec.build_one(text, AUGMENTATIONS)]))
    x = images((4, 4, 3), 1)
    keys = jax.random.split(jax.random.key(3), count)
    many = jnp.broadcast_to(x, (count, *x.shape[1:]))
    for p in (0.2, 0.7):
        changed = np.any(np.asarray(apply(keys, many, p)) != x, axis=(1, 2, 3))
        want = HOW_OFTEN[text](p)
        # four and a half deviations: one failure in 10^5
        assert abs(changed.mean() - want) < 4.5 * np.sqrt(want * (1 - want) / count)


@every
def test_derivatives_are_those_of_an_affine_map(name):
    # f(x) = A x + b for every draw, so that f(x + v) - f(x) = A v
    apply = augment.chain_batch([AUGMENTATIONS[name]()])
    x, v, w = (images((5, 5, 3), seed=seed) for seed in (1, 2, 3))

    @jax.jit
    def derivatives():
        def f(x):
            return apply(KEYS, x, 0.8)

        y, av = jax.jvp(f, (x,), (v,))
        transposed = jax.vjp(f, x)[1]
        gradient = jax.grad(lambda x: 0.5 * jnp.sum(f(x) ** 2))
        second = jax.grad(lambda x: jnp.vdot(gradient(x), v))(x)
        return f(x + v) - y, av, transposed(w)[0], second, transposed(av)[0]

    difference, av, atw, second, ata_v = derivatives()
    np.testing.assert_allclose(difference, av, atol=2e-5)
    np.testing.assert_allclose(jnp.vdot(w, av), jnp.vdot(atw, v), rtol=1e-4)
    assert np.any(atw != 0, axis=(1, 2, 3)).all()
    # half |f|^2 has the gradient A^T f and the Hessian A^T A: what R1 goes through
    np.testing.assert_allclose(second, ata_v, atol=2e-4)


@every
def test_the_same_keys_change_all_leaves_alike(name):
    x, y = images((4, 4, 3)), images((4, 4, 3), seed=2)
    apply = over_batch(name)
    tree = apply(KEYS, {"real": x, "more": [x, y]}, 0.7)
    np.testing.assert_array_equal(tree["real"], tree["more"][0])
    # each example for itself, whatever else is in its batch
    swapped = apply(KEYS[::-1], {"real": y[::-1], "more": [y, x]}, 0.7)
    np.testing.assert_array_equal(swapped["real"], tree["more"][1][::-1])


@every
@pytest.mark.parametrize(
    ("example", "said"),
    [
        (jnp.zeros(3), r"\[H, W, C\], not examples of shape \(3,\)"),
        (jnp.zeros((2, 4, 4, 3)), r"not examples of shape \(2, 4, 4, 3\)"),
        (jnp.zeros((4, 4, 0)), r"not examples of shape \(4, 4, 0\)"),
        (jnp.zeros((4, 4, 1), jnp.uint8), r"floats in \[-1, 1\], not uint8"),
    ],
)
def test_what_is_no_image(name, example, said):
    with pytest.raises(UsageError, match=said):
        AUGMENTATIONS[name]()(KEYS[0], example, 1.0)


@pytest.mark.parametrize("name", ["color", "ada_color"])
def test_colours_of_too_many_channels(name):
    with pytest.raises(UsageError, match="1 to 4 channels, not 5: use translation"):
        AUGMENTATIONS[name]()(KEYS[0], jnp.zeros((4, 4, 5)), 1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("translation(2)", r"ratio must be in \[0, 1\], not 2: use 0.125"),
        ("cutout(-0.5)", r"ratio must be in \[0, 1\], not -0.5: use 0.5"),
        ("geometric(blit=1.5)", r"blit must be in \[0, 1\], not 1.5: use 1.0"),
        ("geometric(affine=-1)", r"affine must be in \[0, 1\], not -1: use 1.0"),
        ("ada_color(hue=3)", r"hue must be in \[0, 1\], not 3: use 1.0"),
        ("noise(-1)", "sigma must be at least 0, not -1: use 0.1"),
        ("blur", "choose from ada_color, color, cutout, flip, geometric"),
    ],
)
def test_options_out_of_range(text, said):
    with pytest.raises(UsageError, match=said):
        spec.build_one(text, AUGMENTATIONS)


def test_parts_follow_one_another_with_keys_of_their_own():
    parts = [augment.flip(), augment.flip()]
    x = jnp.broadcast_to(images((1, 4, 1), 1), (500, 1, 4, 1))
    keys = jax.random.split(jax.random.key(4), 500)
    got = jax.jit(augment.chain_batch(parts))(keys, x, 1.0)
    # two fair coins: as often mirrored as not, neither always nor never
    mirrored = np.mean(np.any(got != x, axis=(1, 2, 3)))
    assert abs(mirrored - 0.5) < 4.5 * 0.5 / np.sqrt(500)

    def plus(key, image, p):
        return image + 1

    def double(key, image, p):
        return image * 2

    np.testing.assert_array_equal(
        augment.chain_batch([plus, double])(KEYS, jnp.zeros((32, 1, 1, 1)), 1.0), 2.0
    )
    np.testing.assert_array_equal(augment.chain_batch([])(keys, x, 1.0), x)


def test_scales_draw_the_same_share():
    for key in KEYS:
        (fine,), (coarse,) = integers(key, [16]), integers(key, [4])
        assert 0 <= fine < 16
        assert fine // 4 == coarse


def test_a_product_of_matrices_is_in_order():
    def given(matrix):
        return lambda drawn: jnp.array(matrix)

    parts = [given([[1.0, 2.0], [0.0, 1.0]]), given([[1.0, 0.0], [3.0, 1.0]])]
    # [1 2] [1 0]   [7 2]
    # [0 1] [3 1] = [3 1]
    got = random_product(KEYS[0], parts, [1.0, 1.0])
    np.testing.assert_array_equal(got, [[7.0, 2.0], [3.0, 1.0]])
    np.testing.assert_array_equal(
        random_product(KEYS[0], parts, [1.0, 0.0])[1], [0.0, 1.0]
    )
    np.testing.assert_array_equal(random_product(KEYS[0], parts, [0.0, 0.0]), np.eye(2))
