"""Tiny systems of sounds and texts: devices, one compilation, and resumed runs."""

import json
import logging
import re

import kinds
import numpy as np
import pytest
from games import same
from kind_runs import close, final_state, run, train_flags
from sounds import tone, write

from jaxgan import sample, train
from jaxgan.types import ExampleSpec, Field

pytestmark = pytest.mark.usefixtures("quick_compilation")

SOUND = Field((256, 1), np.dtype(np.int16), "waveform", rate=1_000)
SOUNDS = ExampleSpec(waveform=SOUND, label=kinds.LABEL)
TEXTS = ExampleSpec(tokens=kinds.TOKENS)

SYSTEMS = {
    "wavegan": kinds.Kind("conditional(2)", "wavegan(1)", SOUNDS),
    "specgan": kinds.Kind(
        "spectrogram(2, conditional=True, iterations=1)", "specgan(1)", SOUNDS
    ),
    "language_model": kinds.Kind(
        "text", "text(recurrent_generator(4, 4), no_discriminator())", TEXTS
    ),
    "text_gan": kinds.Kind(
        "text(exponential(1, 0.1, 4))",
        "text(recurrent_generator(4, 4), "
        "text_discriminator(2, 4, (2,), filters=4, hidden=4))",
        TEXTS,
    ),
}
"""By the name of the preset, which is that of the data set too."""


def flags_of(name):
    """Flags beside those of `kinds`: no penalties, which take long to compile."""
    loss = "none" if name == "language_model" else "relativistic"
    return {"preset": name, "d_terms": "", "loss": loss}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The tables with these systems, which other tests do not see."""
    for name, kind in SYSTEMS.items():
        monkeypatch.setitem(kinds.KINDS, name, kind)
        monkeypatch.setitem(kinds.SOURCES, name, kinds.source)


# `test_text_gan` has the same of `text_gan`.
@pytest.mark.parametrize("name", ["wavegan", "specgan", "language_model"])
def test_one_and_two_devices_compile_one_step_each_and_compute_the_same(name):
    # `run` asserts that the step is traced once.
    one, two = (run(name, devices, 2, **flags_of(name)) for devices in (1, 2))
    assert all(np.isfinite(x).all() for x in one[1].values())
    close(one, two)


@pytest.mark.parametrize("name", ["specgan", "language_model", "text_gan"])
def test_a_resumed_run_is_exact(tmp_path, name):
    for folder, steps in (("whole", 4), ("parts", 2), ("parts", 4)):
        flags = train_flags(name, tmp_path / folder, steps, **flags_of(name))
        assert train.main(flags) == 0
    same(*(final_state(tmp_path / folder, 4) for folder in ("whole", "parts")))


def test_a_flat_folder_trains_and_resumes_a_preset_without_labels(
    tmp_path, caplog, capsys
):
    caplog.set_level(logging.INFO, logger="jaxgan")
    for i in range(20):
        write(tmp_path / f"data/{i:02}.wav", tone(100 + i))
    flags = [
        *(f"--dataset=audio:{tmp_path / 'data'}", "--seconds=0.064", "--devices=1"),
        *("--preset=wavegan", "--networks=wavegan(1)", "--d_terms=", "--batch_size=8"),
        *("--samples=4", "--score_samples=8", "--log_every=2", "--save_every=2"),
        # The preset's rates end with the run, and the runs below have other ends.
        *("--g_optimizer=adam(1e-3, b1=0.0)", "--d_optimizer=adam(1e-3, b1=0.0)"),
    ]
    for name, steps in (("whole", 4), ("parts", 2), ("parts", 4)):
        own = [f"--workdir={tmp_path / name}", f"--steps={steps}"]
        assert train.main([*flags, *own]) == 0
        config = json.loads((tmp_path / name / "config.json").read_text())
        assert (config["preset"], config["task"]) == ("wavegan", "generate(64)")
        assert config["generator_wrap"] == config["discriminator_wrap"] == ""
    same(*(final_state(tmp_path / name, 4) for name in ("whole", "parts")))
    said = "no labels: --task='generate(64)' --generator_wrap= --discriminator_wrap="
    assert caplog.text.count(said) == 3
    # The speed is one of sounds.
    assert re.search(r"step 4/4 .* examples/s", caplog.text)
    assert "img/s" not in caplog.text
    asked = [f"--workdir={tmp_path}/whole", "--label=3", f"--out={tmp_path}/x.wav"]
    assert sample.main(asked) == 2
    assert "--preset=wavegan or specgan on sub-folders" in capsys.readouterr().err
