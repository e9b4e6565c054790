"""Vocoders: their task, networks, terms and runs."""

import json
import re
from typing import Any

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
from critics import inputs, value
from games import same
from kind_runs import close, final_state, run, train_flags
from scipy.io import wavfile

from jaxgan import apply, apply_run, evaluate_run, load_run, losses, train
from jaxgan.config.resolve import make_config
from jaxgan.errors import FieldError, UsageError
from jaxgan.evaluation import sounds as sounds_of
from jaxgan.evaluation import vocoder_report
from jaxgan.evaluation.spectrogram_files import read_spectrogram
from jaxgan.gan import builder
from jaxgan.metrics.spectral import stft_distance
from jaxgan.networks import griffin_lim, hifigan
from jaxgan.networks.griffin_lim import fit_gains
from jaxgan.networks.ops.spectra import (
    MelSettings,
    invert_log_mel,
    log_mel,
    mel_filters,
)
from jaxgan.networks.ops.waves import conv_transpose_blocks
from jaxgan.tasks import vocoder
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Field, Samples, image_example

EXAMPLE = ExampleSpec(
    waveform=Field((64, 1), np.dtype(np.int16), "waveform", rate=8_000)
)
TINY = kinds.Kind(
    "vocoder(32, 8, 5)",
    "hifigan(4, 2, (8,), (3,), (1,), (3,), 0)",
    EXAMPLE,
)
FLAGS: dict[str, Any] = {
    "loss": "least_squares",
    "d_terms": "",
    "g_terms": "mel_l1(15)|feature_matching(5, of='examples')",
    "g_latents": "same",
    "g_optimizer": "sgd(1e-4)",
    "d_optimizer": "sgd(1e-4)",
}


def make_small(patch):
    """Adds a data set `sounds` of noise, and makes discriminators quick to compile."""
    patch.setitem(kinds.KINDS, "sounds", TINY)
    patch.setitem(kinds.SOURCES, "sounds", kinds.source)
    patch.setattr(hifigan, "PERIOD_LAYERS", ((5, 3), (5, 1)))


@pytest.fixture
def small(monkeypatch):
    make_small(monkeypatch)


@pytest.fixture(autouse=True, scope="module")
def hasty():
    """Makes XLA compile faster programs less eagerly."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


KEYS = jax.random.split(jax.random.key(0), 2)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


def test_columns_of_a_period_are_that_far_apart():
    x = jnp.arange(14.0).reshape(2, 7, 1)
    folded = hifigan.fold(x, 3)
    assert folded.shape == (2, 3, 3, 1)
    # 7 samples are reflected to 9: 5 and 4 follow 6.
    assert folded[0, :, :, 0].tolist() == [[0, 3, 6], [1, 4, 5], [2, 5, 4]]
    assert folded[1, 0, :, 0].tolist() == [7, 10, 13]


@pytest.mark.parametrize("stride", [2, 3])
def test_transposed_convolutions_spread_inputs(stride):
    x, kernel = noise(2, 5, 3), noise(2 * stride, 3, 4, seed=1)
    expected = np.zeros((2, 5 * stride, 4))
    for i in range(5):
        for tap in range(2 * stride):
            t = stride * i + tap - stride // 2
            if 0 <= t < 5 * stride:
                expected[:, t] += x[:, i] @ kernel[tap]
    got = conv_transpose_blocks(jnp.asarray(x), jnp.asarray(kernel))
    np.testing.assert_allclose(got, expected, atol=1e-5)


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
    shapes = jax.eval_shape(judge.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes)

    def logit(x):
        logits = judge.apply(variables, x)[0]
        return logits[0, logits.shape[1] // 2]

    (seen,) = np.nonzero(jax.jit(jax.grad(logit))(np.ones_like(x))[0, :, 0])
    assert seen[-1] - seen[0] + 1 == field


def test_the_pair_has_shapes_of_the_paper():
    nets = hifigan.pair(16, 2, example=EXAMPLE)
    g, d = nets
    mel, key = noise(2, 5, 80), jax.random.key(0)
    made, variables = jax.eval_shape(
        lambda x: g.init_with_output(key, x, train=True), mel
    )
    assert made.shape == (2, 4 * 256, 1)
    # The first convolution, three transposed ones, and two in each of three blocks.
    assert len(jax.tree.leaves(variables)) == 2 * (1 + 3 + 3 * 3 * 2 + 1)
    output, _ = jax.eval_shape(lambda x: d.init_with_output(key, x, train=True), made)
    periods = {f"period_{p}" for p in (2, 3, 5, 7, 11)}
    assert set(output.logits) == periods | {f"scale_{i}" for i in range(3)}
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
    frames = np.array([x[i : i + s.size] * window for i in starts])
    filters = mel_filters(s.rate, s.size, s.mels, s.low, s.high)
    return np.log(np.maximum(np.abs(np.fft.rfft(frames)) @ filters, s.floor))


def test_the_term_is_the_distance_of_spectrograms():
    x, y = noise(2, 64, 1), noise(2, 64, 1, seed=1)
    task = vocoder(32, 8, 5, example=EXAMPLE)
    seen = []

    def generator(mel):
        seen.append(mel)
        return jnp.asarray(y)

    samples = task.play(generator, {"waveform": jnp.asarray(x)}, KEYS, 0)
    settings = MelSettings(8_000, 32, 8, 5)
    real, fake = (
        np.array([numpy_log_mel(one[:, 0], settings) for one in z]) for z in (x, y)
    )
    np.testing.assert_allclose(seen[0], real, atol=2e-4)
    assert samples.condition is seen[0]
    given = inputs(lambda x: None, samples.real, samples.fake, samples=samples)
    got, _ = losses.mel_l1(3.0).apply(given, ())
    np.testing.assert_allclose(got, 3 * np.abs(real - fake).mean(), rtol=1e-4)
    with pytest.raises(UsageError, match="use the task vocoder"):
        losses.mel_l1().apply(given._replace(samples=Samples(x, y)), ())


def test_features_of_examples_by_hand():
    real = jnp.array([[1.0, 0.0], [3.0, 0.0]])
    fake = jnp.array([[0.0, 2.0], [0.0, 0.0]])

    def critic(x):
        return DiscriminatorOutput(x[:, 0], features={"a": x, "b": jnp.ones((2, 3))})

    # |1| + |-2| + |3| over 4 entries, and 0 of the other leaf.
    term = losses.feature_matching(2.0, of="examples")
    assert value(term, critic, real, fake) == 2.0 * (6 / 4 + 0) / 2
    with pytest.raises(UsageError, match="choose of from means, examples"):
        losses.feature_matching(of="pairs")


def test_twice_as_loud_has_a_known_distance():
    # The spectral convergence is 1, and logarithms differ by log 2.
    x = noise(2, 2_048, 1)
    distance = jax.jit(stft_distance)
    np.testing.assert_allclose(distance(x, 2 * x), 1 + np.log(2), rtol=1e-4)
    np.testing.assert_allclose(distance(x, x), 0, atol=1e-6)
    # Silence is no division by 0.
    assert np.isfinite(jax.grad(lambda y: distance(0 * x, y).sum())(0 * x)).all()
    term = losses.stft(0.5)
    samples = Samples(x, 2 * x)
    by_half = term.apply(inputs(lambda x: None, x, 2 * x, samples=samples), ())[0]
    np.testing.assert_allclose(by_half, (1 + np.log(2)) / 2, rtol=1e-4)


def test_what_does_not_fit_is_one_line(small):
    def fails(error, match, *args, example=EXAMPLE):
        with pytest.raises(error, match=match):
            vocoder(*args, example=example)

    fails(UsageError, "needs an even size, and a hop of at most half", 33, 8)
    fails(UsageError, "needs an even size, and a hop of at most half", 32, 17)
    fails(UsageError, "low must be below high", 32, 8, 5, 4_000)
    fails(FieldError, "a multiple of 10 samples", 32, 10)
    fails(FieldError, "more than 64, not 64", 128, 8)
    fails(FieldError, "frequencies up to 4000 Hz", 32, 8, 5, 0, 5_000)
    pictures = image_example((8, 8, 3))
    fails(FieldError, "waveforms of one channel, not image of", 32, 8, example=pictures)
    with pytest.raises(FieldError, match="hifigan needs waveforms, not image of"):
        hifigan.pair(example=pictures)
    with pytest.raises(UsageError, match="must be odd"):
        hifigan.pair(kernels=(3, 4), example=EXAMPLE)
    with pytest.raises(UsageError, match="leave no discriminator"):
        hifigan.pair(periods=(), scales=0, example=EXAMPLE)
    config = make_config(
        **(kinds.flags("sounds", **FLAGS) | {"task": "vocoder(32, 4)"})
    )
    with pytest.raises(
        UsageError, match=r"makes 8 samples per frame: use vocoder\(hop=8"
    ):
        builder.build_gan(config, EXAMPLE)


@pytest.mark.parametrize(
    ("samples", "rate", "advice"),
    [
        (45_158, 44_100, "use --seconds=1.02168, or hop=337 in --task and --networks"),
        (22_579, 22_050, "use --seconds=1.0217, or hop=337 in --task and --networks"),
        (45_161, 44_100, "use --seconds=1.02168"),
        (441, 44_100, "use --seconds=0.01741"),
    ],
)
def test_a_length_that_fits_the_rate_is_named(samples, rate, advice):
    field = EXAMPLE["waveform"]._replace(shape=(samples, 1), rate=rate)
    config = make_config(preset="vocoder")
    with pytest.raises(FieldError) as found:
        builder.build_gan(config, ExampleSpec(waveform=field))
    said = str(found.value)
    assert said.endswith(f"more than 512, not {samples}: {advice}")
    # The length that `audio:PATH` reads then.
    length = round(float(re.findall(r"seconds=([0-9.]+\d)", said)[0]) * rate)
    assert vocoder(example=ExampleSpec(waveform=field._replace(shape=(length, 1))))


def test_a_generator_of_other_settings_is_refused(small):
    networks = "griffin_lim(4, 2, 1, 1, 2, 32, 8, 6, 50, 3000, 1e-4, (3,), 0)"
    flags = kinds.flags("sounds", **FLAGS) | {"networks": networks}
    with pytest.raises(UsageError, match="use the same settings in both") as found:
        builder.build_gan(make_config(**flags), EXAMPLE)
    # Names and values of all that differ, of the network and of the task.
    assert "has mels=6, low=50, high=3000, floor=0.0001, and" in str(found.value)
    assert "mels=5, low=0, high=0, floor=1e-05: use" in str(found.value)


def test_mixed_precision_transforms_in_float32(small):
    # The whole step, with both players.
    networks = "griffin_lim(4, 2, 1, 1, 2, 32, 8, 5, periods=(3,), scales=0)"
    flags = kinds.flags("sounds", **FLAGS) | {"networks": networks}
    config = make_config(**flags, precision="mixed")
    net: Any = builder.build_gan(config, EXAMPLE).networks.generator
    wave = jnp.sin(0.3 * jnp.arange(64.0)).reshape(1, 64)
    mel = log_mel(wave, MelSettings(8_000, 32, 8, 5))
    variables = net.init(KEYS[0], mel, train=False)
    moved = jax.tree.map(lambda x: x + 0.05, variables)
    exact = net.inside.apply(moved, mel, train=False)
    mixed = net.apply(moved, mel, train=False)
    assert exact.dtype == mixed.dtype == jnp.float32
    scale = float(jnp.abs(exact).max())
    np.testing.assert_allclose(mixed / scale, exact / scale, atol=0.05)
    assert not np.array_equal(mixed, exact)


def test_one_and_two_devices_compute_the_same(small):
    one, two = run("sounds", steps=2, **FLAGS), run("sounds", 2, steps=2, **FLAGS)
    assert all(np.isfinite(x).all() for x in one[1].values())
    assert {"generator/mel_l1", "generator/feature_matching"} <= set(one[1])
    close(one, two, atol=2e-4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run of four steps, and of one that was resumed after two."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        folder = tmp_path_factory.mktemp("runs")
        for name, steps in (("whole", 4), ("parts", 2), ("parts", 4)):
            flags = train_flags("sounds", folder / name, steps, **FLAGS)
            assert train.main(flags) == 0
    return folder


def test_a_resumed_run_is_exact_and_is_scored_by_spectrograms(trained, small):
    same(final_state(trained / "whole", 4), final_state(trained / "parts", 4))
    rows = (trained / "whole/metrics.jsonl").read_text()
    assert '"score"' in rows
    facts = json.loads((trained / "whole/config.json").read_text())
    assert facts["eval_metrics"] == "mel_l1"


def write_wav(path, samples, rate):
    path.parent.mkdir(exist_ok=True, parents=True)
    wavfile.write(path, rate, samples)
    return path


def test_sounds_of_any_length_and_rate_are_restored(
    trained, small, tmp_path, caplog, capsys
):
    loud = (20_000 * noise(3_001, 2)).astype(np.int16)
    write_wav(tmp_path / "in/same.wav", loud, 8_000)
    write_wav(tmp_path / "in/below/other.wav", loud[:, 0], 11_025)
    command = [f"--workdir={trained / 'whole'}", str(tmp_path / "in")]
    assert apply.main([*command, f"{tmp_path / 'out'}/"]) == 0
    for name, rate, shape in (
        ("same.wav", 8_000, (3_001, 2)),
        ("below/other.wav", 11_025, (3_001,)),
    ):
        read, samples = wavfile.read(tmp_path / "out" / name)
        assert (read, samples.shape, samples.dtype) == (rate, shape, np.int16)
        assert np.abs(samples).max() > 0
    assert "resampled from 11025 to 8000 Hz" in caplog.text
    assert "5 bands of 0 to 4000 Hz, window 32, hop 8, 8000 Hz" in caplog.text
    assert apply.main([*command, f"{tmp_path / 'out'}/"]) == 2
    assert "exists: use --overwrite" in capsys.readouterr().err


def test_the_time_is_told_apart_from_compilation(trained, small, tmp_path, caplog):
    write_wav(tmp_path / "a.wav", (20_000 * noise(3_001)).astype(np.int16), 8_000)
    command = [f"--workdir={trained / 'whole'}", str(tmp_path / "a.wav")]
    assert apply.main([*command, str(tmp_path / "b.wav")]) == 0
    found = re.search(
        r"in .*b\.wav: ([\d.]+) s per second of sound, beside ([\d.]+) s of comp",
        caplog.text,
    )
    assert found
    # 0.4 s of sound; the program compiles for longer than it runs.
    assert 0 < 0.375 * float(found[1]) < float(found[2])


def test_waveforms_by_the_api(trained, small, tmp_path):
    run, mono = trained / "whole", noise(1_000)
    one = apply_run(run, mono)
    assert (one.shape, one.dtype) == ((1_000,), np.float32)
    assert 0 < np.abs(one).max() <= 1
    file = write_wav(tmp_path / "a.wav", np.stack([mono, -mono], 1), 8_000)
    both, again, halved = apply_run(
        run, [np.stack([mono, -mono], 1), file, mono.astype(np.float64)[:, None]]
    )
    assert both.shape == (1_000, 2)
    np.testing.assert_allclose(both[:, 0], one, atol=1e-6)
    np.testing.assert_allclose(again, both, atol=1e-6)
    np.testing.assert_allclose(halved[:, 0], one, atol=1e-6)
    # The result has the rate of the run.
    assert apply_run(run, mono, rate=16_000).shape == (500,)
    refused: list[tuple[Any, dict[str, Any], str]] = [
        ((32_000 * mono).astype(np.int16), {}, r"\[1000\] int16: give \[n\] or"),
        (30_000 * mono, {}, "divide it by its full scale"),
        (mono[None], {}, r"\[1, 1000\], with more channels than samples"),
        (0 * mono, {}, "a sound is silent"),
        (mono[:0], {}, r"a sound is \[0\] float32: give"),
        (mono, {"rate": 10}, "a sound has a rate of 10 Hz; convert it"),
        (mono, {"rate": 8000.5}, "rate=8000.5: give a whole number"),
        (file, {"rate": 8_000}, "rate=8000: a sound file has its own"),
        (tmp_path / "no.wav", {}, "no.wav cannot be read"),
        (mono, {"tile": 64}, "--tile: this run restores sounds; leave it out"),
        (mono, {"mask": mono}, "--mask: this run restores sounds"),
    ]
    for bad, options, message in refused:
        with pytest.raises(UsageError, match=message):
            apply_run(run, bad, **options)


def test_spectrograms_travel_with_their_settings(trained, small, tmp_path, capsys):
    sound, mel, back = (tmp_path / x for x in ("a.wav", "a.npz", "b.wav"))
    samples = (20_000 * noise(640)).astype(np.int16)
    write_wav(sound, samples, 8_000)

    def call(*files):
        code = apply.main([f"--workdir={trained / 'whole'}", *map(str, files)])
        return code, capsys.readouterr().err

    assert call(sound, mel)[0] == call(mel, back)[0] == 0
    with np.load(mel) as file:
        found = dict(file)
    settings = MelSettings(8_000, 32, 8, 5)
    expected = numpy_log_mel(samples / 2**15, settings)
    np.testing.assert_allclose(found["mel"], expected, atol=1e-3)
    # The same as from the sound itself, but for the last frames, where silence follows.
    direct = tmp_path / "c.wav"
    assert call(sound, direct)[0] == 0
    (rate, one), (_, other) = (wavfile.read(x) for x in (back, direct))
    assert (rate, len(one)) == (8_000, 640)
    np.testing.assert_allclose(one[:320], other[:320], atol=2)
    for change, message in (
        ({"rate": 16_000}, "rate=16000, and this run rate=8000: make it with"),
        ({"size": 64, "hop": 4}, "size=64, hop=4, and this run size=32, hop=8"),
        ({"low": 50.0, "high": 3_000.0}, "low=50, high=3000, and this run low=0, "),
        ({"floor": 1e-3}, "floor=0.001, and this run floor=1e-05"),
        ({"mel": found["mel"][:, :4]}, "mels=4, and this run mels=5"),
    ):
        np.savez(tmp_path / "x.npz", **(found | change))  # type: ignore[arg-type]
        code, said = call(tmp_path / "x.npz", tmp_path / "x.wav")
        assert code == 2, message
        assert message in said
        assert said.count("\n") == 1
    assert "is a spectrogram: its result" in call(mel, tmp_path / "y.npz")[1]
    for change, message in (
        ({"mel": found["mel"][0]}, "save [frames, mels] floats"),
        ({"mel": found["mel"] * np.nan}, "NaN or infinite"),
        ({"mel": found["mel"][:1]}, "has 1 frames: use 2 to"),
    ):
        np.savez(tmp_path / "x.npz", **(found | change))  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=re.escape(message)):
            read_spectrogram(tmp_path / "x.npz", settings)
    np.savez(tmp_path / "x.npz", mel=found["mel"], rate=8_000)
    with pytest.raises(UsageError, match="lacks size, hop, low, high, floor: save"):
        read_spectrogram(tmp_path / "x.npz", settings)
    (tmp_path / "x.npz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match=r"x\.npz cannot be read"):
        read_spectrogram(tmp_path / "x.npz", settings)
    assert not (tmp_path / "x.wav").exists()


def test_chunks_equal_the_whole(trained, small, monkeypatch):
    vocoder = sounds_of.Vocoder(load_run(trained / "whole"))
    vocoder.restore()
    sound = noise(1_333, 1)
    whole = vocoder(sound)
    assert whole.shape == sound.shape
    monkeypatch.setattr(sounds_of, "CHUNK", 96)
    assert len(vocoder.cuts(sound)) == 6
    np.testing.assert_allclose(vocoder(sound), whole, atol=1e-6)


def test_a_run_is_compared_with_griffin_lim(trained, small, monkeypatch):
    monkeypatch.setattr(vocoder_report, "BASELINES", {"griffin_lim(8)": (8, 0.0, 1)})
    monkeypatch.setattr(vocoder_report, "stft_distance", lambda x, y: x.mean((1, 2)))
    report = evaluate_run(trained / "whole")
    # `auto` stands for those that were split off, all of which are restored.
    assert report["protocol"]["split"] == str(report["protocol"]["n"])
    assert list(report["rows"]) == ["generated", "griffin_lim(8)"]
    assert report["metrics"].keys() == {"mel_l1", "stft", "real_time"}
    # Phases that were searched for are better than four steps of training.
    rows = report["rows"]
    assert 0 < rows["griffin_lim(8)"]["mel_l1"] < rows["generated"]["mel_l1"]
    with pytest.raises(UsageError, match="--n_real has no effect"):
        evaluate_run(trained / "whole", n_real=5)


def test_gains_fit_the_spectrogram_and_are_where_the_network_starts():
    settings = MelSettings(16_000, 64, 16, 8)
    real = jnp.asarray(noise(2, 320))
    mel = log_mel(real, settings)
    other = invert_log_mel(mel, settings, 320, 4)

    def error(rounds):
        fitted = fit_gains(other, mel, settings, rounds)
        return float(abs(log_mel(fitted, settings) - mel).mean())

    errors = [error(rounds) for rounds in (0, 1, 4)]
    assert errors[0] > 1.1 * errors[1] > 1.1 * errors[2]
    # A tone of half the level has the gain 2 in all bands that hold it.
    tone = jnp.cos(2 * jnp.pi * jnp.arange(321) / 8)[None]
    twice = fit_gains(0.5 * tone, log_mel(tone, settings), settings, 1)
    np.testing.assert_allclose(twice, tone, atol=1e-3)
    example = ExampleSpec(waveform=Field((320, 1), np.dtype(np.int16), "waveform"))
    nets = griffin_lim.pair(8, 2, 1, 4, 4, 64, 16, 8, example=example)
    made, variables = jax.jit(
        lambda x: nets.generator.init_with_output(jax.random.key(0), x, train=True)
    )(mel)
    expected = fit_gains(other, mel, settings, 4)
    np.testing.assert_allclose(made[..., 0], expected, atol=1e-4)
    assert len(jax.tree.leaves(variables)) == 4 * 8
    with pytest.raises(UsageError, match="have 9 bands: use mels=9"):
        nets.generator.init(jax.random.key(0), jnp.zeros((1, 5, 9)), train=True)
