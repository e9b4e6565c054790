"""Vocoders: their task, networks, terms and runs."""

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
from critics import value
from games import same
from kind_runs import close, final_state, run, train_flags

from jaxgan import losses, train
from jaxgan.config.resolve import make_config
from jaxgan.errors import FieldError, UsageError
from jaxgan.gan import builder
from jaxgan.metrics.spectral import stft_distance
from jaxgan.networks import hifigan
from jaxgan.networks.layers_1d import conv_transpose_1d
from jaxgan.networks.ops.spectra import MelSettings, log_mel, mel_filters
from jaxgan.tasks import vocoder
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Field, Samples, image_example

EXAMPLE = ExampleSpec(
    waveform=Field((64, 1), np.dtype(np.int16), "waveform", rate=8_000)
)
TINY = kinds.Kind(
    "vocoder(32, 8, 5)",
    "hifigan(8, 2, (4, 2), (3,), (1, 2), (2, 3), 2)",
    EXAMPLE,
)
FLAGS = {
    "loss": "least_squares",
    "d_terms": "",
    "g_terms": "mel_l1(15)|feature_matching(5, of='examples')",
    "g_latents": "same",
}


@pytest.fixture(autouse=True)
def sounds(monkeypatch):
    """A data set `sounds` of noise, and tiny networks for it."""
    monkeypatch.setitem(kinds.KINDS, "sounds", TINY)
    monkeypatch.setitem(kinds.SOURCES, "sounds", kinds.source)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


def test_columns_of_a_period_are_that_far_apart():
    x = jnp.arange(14.0).reshape(2, 7, 1)
    folded = hifigan.fold(x, 3)
    assert folded.shape == (2, 3, 3, 1)
    # 7 samples are reflected to 9: 5 and 4 follow 6.
    assert folded[0, :, :, 0].tolist() == [[0, 3, 6], [1, 4, 5], [2, 5, 4]]
    assert folded[1, 0, :, 0].tolist() == [7, 10, 13]


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_transposed_convolutions_spread_inputs(stride):
    x, kernel = noise(2, 5, 3), noise(2 * stride, 3, 4, seed=1)
    expected = np.zeros((2, 5 * stride, 4))
    for i in range(5):
        for tap in range(2 * stride):
            t = stride * i + tap - stride // 2
            if 0 <= t < 5 * stride:
                expected[:, t] += x[:, i] @ kernel[tap]
    np.testing.assert_allclose(conv_transpose_1d(x, kernel), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        # From the last layer back: 3, 7, 3 * 6 + 5 = 23, 71, 215, 647.
        (hifigan.PERIOD_LAYERS, 647),
        # 3, 7, 4 * 6 + 11 = 35, 147, 595, 594 + 15 = 609.
        (hifigan.SCALE_LAYERS, 609),
    ],
)
def test_the_receptive_field_of_a_logit(layers, field):
    assert hifigan.receptive_field([*layers, hifigan.LAST]) == field
    judge = hifigan.Judge(1, layers)
    x = noise(1, 1_600, 1)
    variables = jax.tree.map(jnp.ones_like, judge.init(jax.random.key(0), x))

    def logit(x):
        logits = judge.apply(variables, x)[0]
        return logits[0, logits.shape[1] // 2]

    (seen,) = jnp.nonzero(jax.grad(logit)(jnp.ones_like(x))[0, :, 0])
    assert seen[-1] - seen[0] + 1 == field


def test_the_pair_has_shapes_of_the_paper():
    nets = hifigan.hifigan(16, 2, example=EXAMPLE)
    g, d = nets
    mel, key = noise(2, 5, 80), jax.random.key(0)
    made, variables = g.init_with_output(key, mel, train=True)
    assert made.shape == (2, 4 * 256, 1)
    # The first convolution, three transposed ones, and two in each of three blocks.
    assert len(jax.tree.leaves(variables)) == 2 * (1 + 3 + 3 * 3 * 2 + 1)
    output, _ = jax.eval_shape(lambda x: d.init_with_output(key, x, train=True), made)
    assert list(output.logits) == [
        *(f"period_{p}" for p in (2, 3, 5, 7, 11)),
        *(f"scale_{i}" for i in range(3)),
    ]
    # ceil(1024 / 11) = 94 samples of a column: 32, 11, 4, 2 after strides of 3.
    assert output.logits["period_11"].shape == (2, 11 * 2)
    assert output.features["period_11"][0].shape == (2, 11 * 32, 2)
    # Half of the samples, then a fourth three times.
    assert output.logits["scale_1"].shape == (2, 512 // 64)
    assert len(output.features["scale_1"]) == 5
    assert output.features["scale_1"][3].shape == (2, 8, 16)


def numpy_log_mel(x, s):
    """Log-mel spectrograms, frame by frame."""
    x = np.pad(x, s.size // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(s.size) / s.size)
    starts = range(0, len(x) - s.size + 1, s.hop)
    spectra = np.array([np.abs(np.fft.rfft(x[i : i + s.size] * window)) for i in starts])
    filters = mel_filters(s.rate, s.size, s.mels, s.low, s.high)
    return np.log(np.maximum(spectra @ filters, s.floor))


def test_the_term_is_the_distance_of_spectrograms():
    x, y = noise(2, 64, 1), noise(2, 64, 1, seed=1)
    task = vocoder(32, 8, 5, example=EXAMPLE)
    seen = []

    def generator(mel):
        seen.append(mel)
        return jnp.asarray(y)

    samples = task.play(generator, {"waveform": jnp.asarray(x)}, None, 0)
    settings = MelSettings(8_000, 32, 8, 5)
    real, fake = (
        np.array([numpy_log_mel(one[:, 0], settings) for one in z]) for z in (x, y)
    )
    np.testing.assert_allclose(seen[0], real, atol=2e-4)
    assert samples.condition is seen[0]
    got = value(losses.mel_l1(3.0), critic, samples.real, samples.fake, samples=samples)
    np.testing.assert_allclose(got, 3 * np.abs(real - fake).mean(), rtol=1e-4)


def critic(x):
    return DiscriminatorOutput(x[:, 0, 0], features={"a": (x, 2 * x)})
