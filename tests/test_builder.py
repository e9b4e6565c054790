"""From flags to a game: every preset runs, and what does not fit names its flag."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from critics import FAKE, REAL, linear_critic, value
from games import images
from narrow_presets import TEXTS, example_of, flags_of

from jaxgan.config.network_presets import NETWORK_PRESETS
from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config
from jaxgan.config.style_presets import STYLE_PRESETS
from jaxgan.errors import UsageError
from jaxgan.evaluation.load_run import load_run
from jaxgan.gan import builder
from jaxgan.networks import mlp
from jaxgan.networks.ops.platform import jit_once
from jaxgan.types import Players, image_example

KEY = jax.random.key(0)


# `style`, `esrgan` and those of R3GAN differ from others in arguments alone, and take
# long to compile. `test_text_gan`, `test_resnet_pairs` and `test_stylegan2` have the
# other presets. `conditional` is `projection` with other rates and another loss.
LEFT_OUT = {"style", "esrgan", "conditional", *TEXTS, *NETWORK_PRESETS, *STYLE_PRESETS}


@pytest.mark.parametrize("name", [x for x in PRESETS if x not in LEFT_OUT])
def test_every_preset_takes_finite_steps(name):
    tiny = {"networks": "residual(8, 1)"} if name == "residual" else flags_of(name)
    if make_config(preset=name, **tiny).d_updates > 2:
        tiny = {**tiny, "d_updates": 2}  # each is traced
    chosen = make_config(preset=name, batch_size=8, **tiny)
    example = example_of(name)
    built = builder.build_gan(chosen, example, unroll=True)
    state, step = jit_once(built.init)(KEY), jax.jit(built.train_step)
    k = chosen.d_updates
    for i in range(2):
        batch = {"label": jnp.arange(8 * k).reshape(k, 8) % 10}
        for number, (key, field) in enumerate(example.items()):
            if field.shape:
                pictures = images(8 * k, seed=i + 9 * number, shape=field.shape)
                batch[key] = jnp.asarray(pictures.reshape(k, 8, *field.shape))
        state, metrics = step(state, batch, KEY)
        assert np.isfinite(list(metrics.values())).all(), metrics
    terms = {f"discriminator/{term}" for term in built.terms.discriminator}
    assert terms <= set(metrics)


def test_the_default_recipe_is_r3gans():
    # D(x) = 3 x + 4 y on x = (1, 1) and 0: softplus(-7); R1 = R2 = 25 / 2
    terms = builder.build_terms(
        make_config(), None, Players("", ""), image_example((28, 28, 1))
    )
    assert list(terms.discriminator) == ["loss", "r1", "r2"]
    assert list(terms.generator) == ["loss"]
    values = [value(t, linear_critic, REAL, FAKE) for t in terms.discriminator.values()]
    np.testing.assert_allclose(values, [np.log1p(np.exp(-7)), 12.5, 12.5], rtol=1e-5)
    moved = terms.generator["loss"]
    np.testing.assert_allclose(
        value(moved, linear_critic, REAL, FAKE), np.log1p(np.exp(7)), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"networks": "dcgan"}, "--networks: dcgan needs images, not vectors"),
        ({"networks": "mlp((-4,))"}, "g must be in [1, 1048576], not (-4,)"),
        ({"task": "generate(0)"}, "dim must be in [1, 1048576], not 0: use 100"),
        (
            {"ema_half_life": "linear(9, -1, 5)"},
            "--ema_half_life: the half-life must be",
        ),
        ({"task": "generate(4, latents='cauchy')"}, "--task: latents='cauchy'"),
        ({"loss": "hinge|minimax"}, "--loss: choose one of"),
        ({"loss": ""}, "--loss: choose one of"),
        ({"g_optimizer": "clip_weights(1)"}, "--g_optimizer"),
        ({"d_terms": "r1(gamma='a')"}, "--d_terms"),
        (
            {"d_terms": "r1(r2(1))"},
            "--d_terms: r1(gamma=10.0, batch_shrink=1): gamma must be a number or",
        ),
        ({"d_terms": "every(0, r1(1))"}, "--d_terms: every"),
        ({"discriminator_wrap": "pack(3)"}, "has 256: use --batch_size=258"),
        ({"discriminator_wrap": "projection"}, "projection"),
        ({"generator_wrap": "embedd"}, "--generator_wrap: no name 'embedd'"),
        ({"task": "conditional(4)"}, "--task=conditional(4) needs 'label' with each"),
        ({"g_terms": "auxiliary_classifier"}, "auxiliary_classifier"),
        ({"d_terms": "consistency"}, "consistency"),
        ({"augment": "cutout"}, "augmentations need images [H, W, C], not"),
        ({"augment": "flip|flip"}, "--augment: 'flip' appears twice"),
        ({"augment": "flip", "augment_p": 1.5}, "--augment_p"),
        ({"augment": "flip", "augment_p": "adda(0.6)"}, "--augment_p: no name 'adda'"),
        (
            {"d_terms": "every(2, approximate_r1(1))", "precision": "mixed"},
            "--precision=mixed: approximate_r1 and approximate_r2 are differences",
        ),
        ({"ema_half_life": "cosine(1)"}, "--ema_half_life: cosine(start, end, steps)"),
    ],
)
def test_what_does_not_fit_names_its_flag(flags, message):
    with pytest.raises(UsageError) as error:
        builder.build_gan(
            make_config(**{"preset": "toy", "task": "generate(64)", **flags}),
            image_example((2,)),
        )
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_task_without_its_labels_is_told_before_anything_compiles():
    config = make_config(dataset="folder:plain", task="conditional(4)")
    with pytest.raises(UsageError, match=r"needs 'label' with each example, which"):
        builder.build_task(config, image_example((2,)))


@pytest.mark.parametrize("error", [KeyError("label"), AttributeError, NameError])
def test_an_error_inside_a_network_is_not_taken_for_a_fault_of_the_data(error):
    def init(key):
        raise error

    examples = builder.example_batch(image_example((2,)), 4)
    with pytest.raises(error if isinstance(error, type) else KeyError):
        builder.check_step(make_config(), init, init, examples)


def test_labels_are_in_the_example_only_where_there_are_some():
    assert set(builder.example_batch(image_example((2,)), 3)) == {"image"}
    batch = builder.example_batch(image_example((4, 4, 1), classes=2), 3)
    assert batch["image"].shape == (3, 4, 4, 1)
    assert batch["label"].dtype == jnp.int32
    assert batch["label"].tolist() == [0, 1, 0]


def test_sampling_may_change_the_latents():
    built = builder.build_gan(
        make_config(preset="toy", batch_size=4), image_example((2,))
    )
    state = jit_once(built.init)(KEY)
    keys = jax.random.split(KEY, 4)
    batch = {"image": jnp.zeros((4, 2))}
    same = built.generate(state.ema, batch, keys, lambda z: jnp.zeros_like(z))
    np.testing.assert_array_equal(same[0], same[3])
    assert (built.generate(state.ema, batch, keys)[0] != same[0]).any()


def test_networks_that_cannot_be_traced_name_their_flags(monkeypatch):
    def pair(*, example):
        plain = mlp.pair((4,), (4,), example=example)
        return plain._replace(discriminator=mlp.Discriminator((-4,)))

    monkeypatch.setitem(builder.NETWORKS, "strange", pair)
    with pytest.raises(UsageError, match="--networks=strange, "):
        builder.build_gan(
            make_config(preset="toy", networks="strange", task="generate(64)"),
            image_example((2,)),
        )


def test_texts_are_checked_without_data():
    builder.check_texts(make_config(task="conditional(4)", generator_wrap="embed"))
    for flags in (
        {"loss": "hing"},
        {"g_optimizer": "adam(-1)"},
        {"networks": "small(0)"},
    ):
        [name] = flags
        with pytest.raises(UsageError, match=f"--{name}: "):
            builder.check_texts(make_config(**flags))


def test_a_run_is_opened_without_a_trace_of_its_step(finished, monkeypatch):
    def refuse(*_):
        raise AssertionError("the step is traced")

    monkeypatch.setattr(builder, "check_step", refuse)
    run = load_run(finished)
    assert run.restore_step()[0] == 20
    # Shapes that do not fit are found all the same.

    def misfit(*_):
        raise ValueError("3 and 4")

    monkeypatch.setattr(builder, "init_state", misfit)
    with pytest.raises(UsageError, match="do not fit the data: 3 and 4"):
        load_run(finished)
