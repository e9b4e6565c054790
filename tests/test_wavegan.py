"""WaveGAN and SpecGAN: convolutions, phase shuffle, shapes, and a run."""

import csv
import json
import wave
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
from PIL import Image
from sounds import RATE, tone, write_set
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jaxgan import evaluate, sample, sample_run, train
from jaxgan.config.resolve import make_config
from jaxgan.data import from_fields
from jaxgan.errors import FieldError, UsageError
from jaxgan.evaluation import vocoded
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.sounds import Vocoder
from jaxgan.gan import builder
from jaxgan.gan.build_evaluators import default_metrics
from jaxgan.gan.flag_texts import without_labels
from jaxgan.gan.gan import example_batch
from jaxgan.metrics.features import EXTRACTORS, classifier_training
from jaxgan.metrics.pitch import fundamental
from jaxgan.networks import spectrograms, wavegan
from jaxgan.networks.ops import waves
from jaxgan.networks.ops.spectra import MelSettings, log_mel
from jaxgan.tasks import TASKS
from jaxgan.types import ExampleSpec, Field, image_example

KEY = jax.random.key(0)
SOUND = Field((8_192, 1), np.dtype(np.int16), "waveform", rate=8_000)
SHORT = Field((256, 1), np.dtype(np.int16), "waveform", rate=1_000)


@pytest.mark.parametrize(
    ("length", "channels", "features", "k", "stride"),
    [(50, 3, 5, 25, 4), (64, 1, 2, 25, 4), (13, 2, 3, 5, 2), (9, 2, 3, 4, 1)],
)
def test_products_are_the_convolutions(length, channels, features, k, stride):
    x = jax.random.normal(KEY, (2, length, channels))
    kernel = jax.random.normal(jax.random.key(1), (k, channels, features))
    for plain, product in (
        (waves.conv, waves.conv_matmul),
        (waves.conv_transpose, waves.conv_transpose_matmul),
    ):
        np.testing.assert_allclose(
            product(x, kernel, stride), plain(x, kernel, stride), atol=2e-5
        )


def test_a_shuffled_phase_is_a_shift_with_reflection():
    x = jnp.arange(1.0, 9.0)[None, :, None] * jnp.ones((64, 1, 1))
    keys = jax.random.split(KEY, 64)
    got = np.asarray(wavegan.shuffle_phase(x, keys, 2))[..., 0]
    known = {
        (3, 2, 1, 2, 3, 4, 5, 6),
        (2, 1, 2, 3, 4, 5, 6, 7),
        (1, 2, 3, 4, 5, 6, 7, 8),
        (2, 3, 4, 5, 6, 7, 8, 7),
        (3, 4, 5, 6, 7, 8, 7, 6),
    }
    # Each example has its own shift, and all shifts occur.
    assert {tuple(row) for row in got.astype(int).tolist()} == known
    alone = wavegan.shuffle_phase(x[:1], keys[9:10], 2)
    np.testing.assert_array_equal(alone[0, :, 0], got[9])


@pytest.mark.parametrize("samples", [8_192, 16_384, 1_000])
def test_shapes_of_wavegan(samples):
    example = ExampleSpec(waveform=SOUND._replace(shape=(samples, 2)))
    generator, discriminator = wavegan.pair(64, example=example)
    z = jnp.zeros((3, 100))
    make = generator.init_with_output
    x, variables = jax.eval_shape(lambda: make(KEY, z, train=False))
    assert x.shape == (3, samples, 2)
    made = jax.tree.leaves(variables)
    if samples == 16_384:
        # As in the paper's table: 100 to 16 x 1,024, then five layers.
        dense, channels = 101 * 16_384, (1_024, 512, 256, 128, 64, 2)
        layers = [25 * a * b + b for a, b in pairwise(channels)]
        assert sum(leaf.size for leaf in made) == dense + sum(layers)
    out, _ = jax.eval_shape(
        lambda: discriminator.init_with_output(KEY, jnp.zeros(x.shape), train=False)
    )
    assert out.logits.shape == (3,)


@pytest.mark.parametrize("mels", [64, 128])
def test_a_picture_is_inverted(mels):
    field = SOUND._replace(shape=(4_096, 1))
    time = np.arange(4_096) / 8_000
    x = 0.3 * np.sin(2 * np.pi * 900 * time)[None, :, None].astype(np.float32)
    picture = spectrograms.to_pictures(jnp.asarray(x), field, mels)
    shape = spectrograms.picture_shape(field, mels)
    assert picture.shape == (1, *shape) == (1, 32, mels, 1)
    assert -1 == picture.min() < picture.max() <= 1
    back = spectrograms.to_waveforms(picture, field, 16)
    assert back.shape == x.shape
    # The same frequency, about as loud.
    spectrum = np.abs(np.fft.rfft(back[0, :, 0]))
    assert abs(np.fft.rfftfreq(4_096, 1 / 8_000)[spectrum.argmax()] - 900) < 20
    assert 0.7 < np.std(back) / np.std(x) < 1.4


def test_spectrograms_are_compared_and_waveforms_are_finished():
    example = ExampleSpec(waveform=SHORT, label=kinds.LABEL)
    task = TASKS["spectrogram"](4, conditional=True, iterations=2, example=example)
    assert (task.requires, task.inputs) == (("waveform", "label"), ("label",))
    assert task.augment
    assert task.finish
    batch = task.augment(example_batch(example, 3), jax.random.split(KEY, 3))
    shape = (3, *spectrograms.picture_shape(SHORT))
    assert batch["waveform"].shape == shape
    keys = jax.random.split(KEY, 3)
    played = task.play(lambda z, label: jnp.zeros(shape), batch, keys, 0)
    np.testing.assert_array_equal(played.real, -1)  # silence
    assert task.finish(played).fake.shape == (3, *SHORT.shape)


@pytest.mark.parametrize("networks", ["specgan(2)", "small(2)"])
def test_networks_make_the_spectrograms_of_the_task(networks):
    example = ExampleSpec(waveform=SHORT)
    task = "spectrogram(4, iterations=1, mels=32)"
    flags = {"task": task, "networks": networks, "d_terms": "r1(auto)"}
    # Traces the step, so that fakes have the shape of real spectrograms. The gamma is
    # that of spectrograms, too.
    gan = builder.build_gan(make_config(batch_size=4, **flags), example)
    batch = example_batch(example, 3)

    def draw(key):
        return gan.generate(gan.init(key).ema, batch, jax.random.split(key, 3))

    assert jax.eval_shape(draw, KEY).shape == (3, *SHORT.shape)


@pytest.mark.parametrize(
    ("example", "words"),
    [
        (image_example((8, 8, 1)), "needs waveforms, not image"),
        (ExampleSpec(x=SHORT._replace(rate=0)), "0 Hz: use a longer"),
        (ExampleSpec(x=SHORT._replace(shape=(9, 1))), "9 samples at 1000 Hz"),
    ],
)
def test_data_that_do_not_fit(example, words):
    for make in (spectrograms.pair, TASKS["spectrogram"]):
        with pytest.raises(FieldError, match=words):
            make(example=example)


@pytest.mark.parametrize(
    ("count", "metric"),
    [(999, "sliced_wasserstein"), (1_000, "fd(classifier, 512)")],
)
def test_enough_sounds_with_labels_have_the_classifier(count, metric):
    example = ExampleSpec(waveform=SHORT, label=kinds.LABEL)
    arrays = {
        "waveform": np.zeros((count, *SHORT.shape), np.int16),
        "label": np.arange(count, dtype=np.int32) % 3,
    }
    dataset = from_fields("sounds", arrays, example=example, origin="zeros")
    assert default_metrics(dataset) == metric


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two steps on tones of two classes, notes that are in tune."""
    folder = tmp_path_factory.mktemp("sounds")
    hertz = (146.83, 493.88)
    tones = write_set(folder / "data", names=("D3", "B4"), hertz=hertz, spread=0.02)
    flags = {
        "dataset": f"audio:{tones}",
        "seconds": 0.256,
        "preset": "specgan",
        "networks": "specgan(2)",
        "task": "spectrogram(4, conditional=True, iterations=2)",
        "batch_size": 8,
        "steps": 2,
        "samples": 4,
        "score_samples": 16,
        "devices": 1,
        "workdir": folder / "run",
    }
    assert train.main([f"--{name}={value}" for name, value in flags.items()]) == 0
    return folder / "run"


@pytest.mark.parametrize(
    ("preset", "task"), [("wavegan", "generate(64)"), ("specgan", "spectrogram(64)")]
)
def test_a_preset_of_sounds_reads_labels_only_if_there_are_some(preset, task):
    config, labels = make_config(preset=preset), {"label": kinds.LABEL}
    assert without_labels(config, ExampleSpec(waveform=SHORT, **labels)) == config
    alone = ExampleSpec(waveform=SHORT)
    plain = without_labels(config, alone)
    flags = (plain.task, plain.generator_wrap, plain.discriminator_wrap)
    assert flags == (task, "", "")
    assert without_labels(plain, alone) == plain
    # Flags of the user are kept, and so are those of other presets.
    given = make_config(preset=preset, task="generate(8)", discriminator_wrap="pack(2)")
    found = without_labels(given, alone)
    flags = (found.task, found.generator_wrap, found.discriminator_wrap)
    assert flags == ("generate(8)", "", "pack(2)")
    other = make_config(preset="projection")
    assert without_labels(other, alone) == other


def test_previews_are_spectrograms_and_sounds(finished):
    with Image.open(finished / "samples/step_00000002.png") as picture:
        # Two rows of two tiles of 64 mels and 16 frames.
        assert picture.size == (4 * 16 + 5 * 2, 64 + 2 * 2)
    with wave.open(str(finished / "samples/step_00000002.wav")) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
        # Four sounds with a quarter of a second between them.
        assert file.getnframes() == 4 * 512 + 3 * 500
    events = EventAccumulator(str(finished), {"audio": 0})
    events.Reload()
    heard = events.Audio("samples")
    assert [event.step for event in heard] == [0, 2]
    assert heard[-1].sample_rate == RATE


def test_samples_are_wav_files_and_a_sheet(finished, tmp_path):
    one, folder = tmp_path / "x.wav", tmp_path / "many"
    flags = [f"--workdir={finished}", "--n=4"]
    assert sample.main([*flags, f"--out={one}"]) == 0
    assert sample.main([*flags, f"--out={folder}/"]) == 0
    assert sample.main([*flags, f"--out={tmp_path}/x.png"]) == 0
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["B4", "D3"] * 2
    parts = []
    for row in rows:
        with wave.open(str(folder / row["file"])) as file:
            parts.append(file.readframes(512))
    with wave.open(str(one)) as file:
        joined = file.readframes(file.getnframes())
    assert joined == bytes(1_000).join(parts)
    sheets = [
        np.asarray(Image.open(path))
        for path in (folder / "spectrograms.png", tmp_path / "x.png")
    ]
    np.testing.assert_array_equal(sheets[0], sheets[1])


def test_a_classifier_of_spectrograms_is_the_judge(
    finished, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(classifier_training, "LEAST", 30)
    monkeypatch.setattr(classifier_training, "BATCH", 16)
    metrics = "fd(classifier)|accuracy_as_asked(classifier)|memorization(classifier)"
    flags = [f"--workdir={finished}", f"--metrics={metrics}", "--n=16"]
    assert evaluate.main(flags) == 0
    text = capsys.readouterr().out
    # Tones of two pitches are easy to tell apart.
    assert "accuracy 1.0" in text
    for name in ("fd_classifier", "accuracy_as_asked_classifier", "memorization"):
        assert name in text


def test_the_pitch_of_notes_is_judged(finished, tmp_path):
    file = tmp_path / "x.json"
    flags = [f"--workdir={finished}", "--n=16", f"--out={file}", "--no_cache"]
    assert evaluate.main([*flags, "--metrics=pitch_as_asked"]) == 0
    report = json.loads(file.read_text())
    found = report["metrics"]["pitch_as_asked"]
    # Recordings are 35 cents out of tune at most; two steps make no notes yet.
    assert report["metrics"]["pitch_as_asked_real"]["value"] == found["floor"] == 1.0
    assert 0 <= found["value"] < 1
    assert report["protocol"]["extractors"]["pitch"]["layer"] == "fundamental"


def test_statistics_of_mel_bands_need_no_labels(finished, tmp_path):
    field = Field((4_096, 2), np.dtype(np.int16), "waveform", rate=8_000)
    tones = [tone(hertz, 4_096, 8_000) for hertz in (200, 400, 1_600)]
    both = np.stack([[tone, 0.1 * tone] for tone in tones]).astype(np.float32)
    waveforms = np.concatenate([np.moveaxis(both, 1, 2), np.zeros((1, 4_096, 2))])
    extractor = EXTRACTORS["mel"](example=ExampleSpec(waveform=field))
    features = extractor.extract(waveforms.astype(np.float32)).features
    means, deviations = features.reshape(4, 2, 64, 2).swapaxes(0, 1)
    pictures = spectrograms.to_pictures(jnp.asarray(waveforms, jnp.float32), field)
    np.testing.assert_allclose(means, pictures.mean(1), atol=1e-6)
    np.testing.assert_allclose(deviations, pictures.std(1), atol=1e-6)
    # Silence is the floor, and does not vary.
    assert (means[3] == -1).all()
    assert (deviations[3] == 0).all()
    loudest = means[:3, :, 0].argmax(1)
    assert (np.diff(loudest) >= 5).all()
    assert (means[:3, :, 1].max(1) < means[:3, :, 0].max(1)).all()
    for wrong, message in (
        (image_example((8, 8, 1)), "mel needs waveforms, not image"),
        (ExampleSpec(waveform=field._replace(rate=500)), "4096 samples at 500 Hz"),
    ):
        with pytest.raises(UsageError, match=message):
            EXTRACTORS["mel"](example=wrong)
    file = tmp_path / "x.json"
    flags = [f"--workdir={finished}", "--n=16", f"--out={file}", "--no_cache"]
    assert evaluate.main([*flags, "--metrics=fd(mel)|precision_recall(mel)"]) == 0
    report = json.loads(file.read_text())["metrics"]
    # Noise is far from notes.
    assert report["fd_mel"]["value"] > 10 * report["fd_mel"]["floor"] > 0
    assert report["recall_mel"]["floor"] > report["recall_mel"]["value"]


SHOWN = (RATE, 128, 32, 64, 0.0, 0.0, 2e-3)
SETTINGS = "size=128, hop=32, mels=64, floor=0.002"
SMALL = "width=4, d_width=2, blocks=1, rounds=2, iterations=16, periods=(3,), scales=0"


class Untrained(Run):
    """A run at step 0."""

    def restore_step(self, which="last", *, raw=False):
        return 0, self.gan.init(KEY).ema


def vocoder_of(settings, rate=RATE):
    """A vocoder as it starts, which inverts by Griffin-Lim and gains for each band."""
    wave = Field((1_024, 1), np.dtype(np.int16), "waveform", rate=rate)
    network, task = f"griffin_lim({settings}, {SMALL})", f"vocoder({settings})"
    config = make_config(preset="vocoder", networks=network, task=task, dataset="notes")
    example = ExampleSpec(waveform=wave)
    gan = builder.build_gan(config, example, trains=False)
    return Untrained(Path("voice"), config, example, gan)


@pytest.fixture
def open_vocoder(monkeypatch):
    """A function that makes a run the one that `--vocoder` opens."""
    return lambda run: monkeypatch.setattr(vocoded, "load_run", lambda folder: run)


def test_samples_are_sounds_of_a_vocoder(finished, open_vocoder, tmp_path, monkeypatch):
    seen, invert = [], vocoded.sounds_of

    def recorded(vocoder, mels, field):
        seen.append(mels)
        return invert(vocoder, mels, field)

    monkeypatch.setattr(vocoded, "sounds_of", recorded)
    open_vocoder(vocoder_of(SETTINGS))
    flags = [f"--workdir={finished}", "--n=4", f"--out={tmp_path}/x.npz"]
    assert sample.main([*flags, "--vocoder=voice"]) == 0
    with np.load(tmp_path / "x.npz") as file:
        found, labels = file["samples"], file["labels"]
    assert (found.shape, found.dtype) == ((4, 512, 1), np.int16)
    assert labels.tolist() == [0, 1, 0, 1]
    same = sample_run(finished, 4, vocoder="voice").samples
    np.testing.assert_array_equal(found, same)
    plain = sample_run(finished, 4).samples
    [asked, _] = seen
    assert asked.shape == (4, 1, 17, 64)

    def error(samples):
        sound = jnp.asarray(samples[..., 0] / 2**15, jnp.float32)
        return float(abs(log_mel(sound, MelSettings(*SHOWN)) - asked[:, 0]).mean())

    # Gains bring them nearer to the spectrograms than the phases of Griffin-Lim are.
    assert error(found) < 0.9 * error(plain)


def test_a_vocoder_inverts_the_spectrogram_of_a_tone(open_vocoder):
    field = Field((1_000, 1), np.dtype(np.int16), "waveform", rate=RATE)
    tone = 0.3 * np.sin(2 * np.pi * 300 * np.arange(1_000) / RATE)
    picture = spectrograms.to_pictures(jnp.asarray(tone[None, :, None]), field)
    mels = np.asarray(spectrograms.to_log_mel(picture, field))
    assert mels.shape == (1, 1, 32, 64)
    vocoder = Vocoder(vocoder_of(SETTINGS))
    vocoder.restore()
    [sound] = vocoded.sounds_of(vocoder, mels, field)
    # 31 hops of 32 samples, and zeros.
    assert sound.shape == (1_000, 1)
    assert np.abs(sound[960:992]).max() > 0 == np.abs(sound[992:]).max()
    assert abs(fundamental(sound[None, :960], RATE)[0] / 300 - 1) < 0.01
    assert 0.8 < np.std(sound[100:900]) / np.std(tone) < 1.2


@pytest.mark.parametrize(
    ("settings", "rate", "message"),
    [
        (
            "size=128, hop=64, mels=80",
            RATE,
            "--vocoder=voice has hop=64, mels=80, floor=1e-05, and the spectrograms of "
            "this run hop=32, mels=64, floor=0.002: train one on sounds of 2000 Hz "
            f"with --preset=vocoder --task='vocoder({SETTINGS})' "
            f"--networks='griffin_lim({SETTINGS})'",
        ),
        (SETTINGS, 4_000, "has rate=4000, and the spectrograms of this run rate=2000:"),
    ],
)
def test_a_vocoder_of_other_settings_is_refused(
    finished, open_vocoder, tmp_path, capsys, settings, rate, message
):
    open_vocoder(vocoder_of(settings, rate))
    flags = [f"--workdir={finished}", f"--out={tmp_path}/x.wav", "--vocoder=voice"]
    assert sample.main(flags) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_no_vocoder_is_refused(finished, tmp_path):
    with pytest.raises(UsageError, match="restores no sounds; use the folder of a run"):
        sample_run(finished, 4, vocoder=finished)
    with pytest.raises(UsageError, match=r"--vocoder=.*/no is not the folder of a run"):
        sample_run(finished, 4, vocoder=tmp_path / "no")
    with pytest.raises(UsageError, match="--vocoder does not work with reject"):
        sample_run(finished, 4, vocoder="voice", reject="classifier")
