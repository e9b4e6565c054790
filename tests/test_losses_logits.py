"""Penalties on what the discriminator says, tells and remembers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from critics import FAKE, REAL, inputs, linear_critic, square_critic, value

from jaxgan import losses
from jaxgan.errors import UsageError
from jaxgan.terms import running_mean
from jaxgan.types import DiscriminatorOutput, Samples, Term

LN2 = 0.6931471805599453


def first(x):
    """D(x) is the first entry."""
    return DiscriminatorOutput(x[:, 0])


def test_lecam_and_its_memory_by_hand():
    # real 1, 3 and fake 0, -2, decay 3/4
    # first, from 0: 2 (mean(1, 9) + mean(0, 4)) = 14; then means 0.5 and -0.25
    # second: mean((1.25)^2, (3.25)^2) + mean((-0.5)^2, (-2.5)^2) = 6.0625 + 3.25
    given = inputs(first, jnp.array([[1.0], [3.0]]), jnp.array([[0.0], [-2.0]]))
    term = losses.lecam(2.0, decay=0.75)
    got, memory = term.apply(given, term.init())
    assert got == 14.0
    assert memory == {"real": 0.5, "fake": -0.25}
    got, memory = term.apply(given, memory)
    assert got == 18.625
    assert memory == {"real": 0.875, "fake": -0.4375}


def test_lecam_rests_where_each_kind_says_what_the_other_said():
    # the gradient is zero where D(x) = a_fake and D(G(z)) = a_real
    def loss(logit):
        given = inputs(lambda x: DiscriminatorOutput(logit * x[:, 0]), REAL, 2 * REAL)
        memory = {"real": jnp.asarray(6.0), "fake": jnp.asarray(3.0)}
        return losses.lecam().apply(given, memory)[0]

    assert jax.grad(loss)(3.0) == 0.0
    assert jax.grad(loss)(4.0) > 0.0


@pytest.mark.parametrize("term", [losses.lecam, losses.path_length])
def test_a_decay_that_is_no_share_is_refused(term):
    with pytest.raises(UsageError, match=r"0\.99"):
        term(decay=99.0)


def test_a_running_mean_without_decay_is_the_newest():
    assert running_mean(0.0)(jnp.asarray(3.0), jnp.asarray(5.0)) == 5.0


def add_one(key, x, p):
    return x + p


def double(key, x, p):
    return 2 * x


def noise(key, x, p):
    return x + jax.random.normal(key, x.shape)


def test_consistency_by_hand():
    # D(x) = (3, 4) . x changes by 7 if one is added to both entries: 7^2;
    # in order, 2 (x + 1) - x = x + 2: 3 * 3 + 4 * 3 = 21 at (1, 1), 14 at (0, 0)
    one, two = (losses.consistency(0.5, by=by) for by in (add_one, [add_one]))
    assert value(one, linear_critic, REAL, FAKE) == 0.5 * 49
    assert value(two, linear_critic, REAL, FAKE) == 0.5 * 49
    both = losses.consistency(1.0, 2.0, by=[add_one, double])
    assert value(both, linear_critic, REAL, FAKE) == 21**2 + 2 * 14**2


def test_consistency_is_a_mean_over_examples_with_a_key_each():
    # D(T(x)) - D(x) is the noise e of an example: mean e^2
    x = jnp.zeros((3000, 1))
    got = value(losses.consistency(1.0, by=noise), first, x, x)
    np.testing.assert_allclose(got, 1.0, atol=0.1)


def test_consistency_changes_the_leaves_of_an_example_alike():
    x = {"a": jnp.ones((4, 2)), "b": jnp.zeros((4, 2))}

    def critic(x):  # noise that both leaves share does not count
        return DiscriminatorOutput(x["a"][:, 0] - x["b"][:, 0])

    assert value(losses.consistency(1.0, by=noise), critic, x, x) < 1e-10


def test_consistency_of_images_flips_and_shifts_them():
    # a dot in the centre stays within, so its sum does; one pixel does not
    image = jnp.zeros((16, 16, 16, 1)).at[:, 8, 7].set(1.0)
    term = losses.consistency()
    assert (
        value(term, lambda x: DiscriminatorOutput(x.sum((1, 2, 3))), image, image)
        == 0.0
    )
    assert value(term, lambda x: DiscriminatorOutput(x[:, 8, 7, 0]), image, image) > 1.0


def test_consistency_of_vectors_wants_an_augmentation():
    with pytest.raises(UsageError, match="by="):
        value(losses.consistency(), linear_critic, REAL, FAKE)


def test_feature_matching_by_hand():
    # means (2, 0) and (0, 1): |(2, -1)|^2 = 5; of a leaf that does not differ 0
    real = jnp.array([[1.0, 0.0], [3.0, 0.0]])
    fake = jnp.array([[0.0, 2.0], [0.0, 0.0]])
    term = losses.feature_matching(2.0)
    one, two = (
        lambda x: DiscriminatorOutput(x[:, 0], features=x),
        lambda x: DiscriminatorOutput(
            x[:, 0], features={"a": x, "b": jnp.ones((2, 3, 3))}
        ),
    )
    assert value(term, one, real, fake) == 10.0
    assert value(term, two, real, fake) == 5.0


def test_feature_matching_wants_features():
    with pytest.raises(UsageError, match="returns no features: use networks that"):
        value(losses.feature_matching(), linear_critic, REAL, FAKE)


def told(real, fake, **samples):
    """Inputs with class logits."""
    none = jnp.zeros((2, 1))
    given = inputs(first, none, none)
    return given._replace(
        samples=Samples(none, none, **samples),
        real=DiscriminatorOutput(none, class_logits=real),
        fake=DiscriminatorOutput(none, class_logits=fake),
    )


def test_classification_by_hand():
    # real: probabilities 1/2; fake: 3/4 and 1/4 for the labels 0 and 1
    fake = jnp.array([[np.log(3.0), 0.0]] * 2)
    given = told(jnp.zeros((2, 2)), fake, condition=jnp.array([0, 1]))
    of_real, of_fake = LN2, -(np.log(0.75) + np.log(0.25)) / 2
    for weights in ((1.0, 1.0), (2.0, 0.5), (0.0, 3.0), (3.0, 0.0), (0.0, 0.0)):
        got, _ = losses.auxiliary_classifier(*weights).apply(given, ())
        want = weights[0] * of_real + weights[1] * of_fake
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_weight_zero_leaves_out_a_half_that_cannot_be_had():
    given = told(None, jnp.zeros((2, 2)), condition=jnp.array([0, 1]))
    got, _ = losses.auxiliary_classifier(real=0.0).apply(given, ())
    np.testing.assert_allclose(got, LN2, rtol=1e-6)


def test_classification_wants_labels_and_class_logits():
    term, logits = losses.auxiliary_classifier(), jnp.zeros((2, 2))
    with pytest.raises(UsageError, match="labels"):
        term.apply(told(logits, logits), ())
    with pytest.raises(UsageError, match="class logits"):
        term.apply(told(None, None, condition=jnp.array([0, 1])), ())


def test_mutual_information_by_hand():
    # 4 categories at logits 0: log 4; mu = (1, 2) against c = (0, 0): (1 + 4) / 2
    category, continuous = jnp.eye(4)[:2], jnp.zeros((2, 2))
    fake = jnp.concatenate([jnp.zeros((2, 4)), jnp.array([[1.0, 2.0]] * 2)], 1)
    term = losses.mutual_information(2.0)

    def of(fake, **code):
        return float(term.apply(told(None, fake, reconstruction=code), ())[0])

    both = of(fake, category=category, continuous=continuous)
    np.testing.assert_allclose(both, 2 * (2 * LN2 + 2.5), rtol=1e-6)
    np.testing.assert_allclose(of(fake[:, :4], category=category), 4 * LN2, rtol=1e-6)
    assert of(fake[:, 4:], continuous=continuous) == 5.0


@pytest.mark.parametrize(
    ("logits", "code", "says"),
    [
        (jnp.zeros((2, 3)), None, "no code"),
        (jnp.zeros((2, 3)), {"other": jnp.zeros((2, 3))}, "no code"),
        (None, {"category": jnp.eye(2)}, "no class logits"),
        (jnp.zeros((2, 3)), {"category": jnp.eye(2)}, r"classifier\(2\)"),
    ],
)
def test_mutual_information_wants_a_code_and_a_logit_for_each_entry(logits, code, says):
    given = told(None, logits, reconstruction=code)
    with pytest.raises(UsageError, match=says):
        losses.mutual_information().apply(given, ())


def counting(dtype=jnp.float32):
    """A term of value D(1) and a memory that counts its evaluations."""

    def apply(s, memory):
        return s.fake.logits.mean().astype(dtype), memory + 1

    return Term(lambda: jnp.zeros((), jnp.int32), apply)


@pytest.mark.parametrize("way", ["cpu", "default"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_every_third_step_three_times_as_strong(dtype, way, monkeypatch):
    def chosen(*x, **ways):
        return ways[way](*x)

    monkeypatch.setattr(jax.lax, "platform_dependent", chosen)
    term = losses.every(3, counting(dtype))

    @jax.jit
    def run(slope, step, memory):
        def loss(slope):
            given = inputs(
                lambda x: DiscriminatorOutput(slope * x[:, 0]), FAKE, REAL, step
            )
            return term.apply(given, memory)

        return jax.value_and_grad(loss, has_aux=True)(slope)

    memory, seen = term.init(), []
    for step in range(7):
        (got, memory), grad = run(1.5, step, memory)
        assert got.dtype == jnp.float32
        seen.append((float(got), float(grad), int(memory)))
    on = (4.5, 3.0)
    assert seen == [
        (*on, 1),
        (0.0, 0.0, 1),
        (0.0, 0.0, 1),
        (*on, 2),
        (0.0, 0.0, 2),
        (0.0, 0.0, 2),
        (*on, 3),
    ]


def test_every_branches_except_on_a_cpu():
    term = losses.every(3, counting())

    def of(step):
        given = inputs(lambda x: DiscriminatorOutput(x[:, 0]), FAKE, REAL, step)
        return term.apply(given, term.init())

    traced = jax.jit(of).trace(0)
    cases = {
        platform: traced.lower(lowering_platforms=(platform,)).as_text().count(".case")
        for platform in ("cpu", "cuda", "tpu")
    }
    assert cases["cuda"] == cases["tpu"] == cases["cpu"] + 1
    assert "conditional" not in str(traced.lower().compile().as_text())


def test_every_step_is_the_term_itself_and_no_step_is_refused():
    term = losses.r1(1.0)
    assert losses.every(1, term) is term
    with pytest.raises(UsageError, match="at least 1"):
        losses.every(0, term)


def test_every_holds_second_derivatives():
    # 4 * 2/2 |a (1, 1)|^2 = 8 a^2, with derivative 16 a
    term = losses.every(4, losses.r1(2.0))

    def loss(a):
        def critic(x):
            return DiscriminatorOutput(a * square_critic(x).logits)

        return term.apply(inputs(critic, REAL, FAKE, 8), ())[0]

    value, grad = jax.value_and_grad(loss)(3.0)
    np.testing.assert_allclose((value, grad), (72.0, 48.0), rtol=1e-6)
