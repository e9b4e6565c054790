"""Files of texts, prompts and previews."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgan import reporting
from jaxgan.config.sampling import parse_args
from jaxgan.data.text import END, UNKNOWN_CHARACTER, tokens_example
from jaxgan.errors import UsageError
from jaxgan.evaluation import sample_files, text_samples
from jaxgan.reporting.metric_writer import open_metric_writer
from jaxgan.types import ExampleSpec, Field, image_example

NAMES = (END, UNKNOWN_CHARACTER, "a", "b", "\n", "\\")
EXAMPLE = tokens_example(4, NAMES)
FIELD = EXAMPLE["tokens"]
SOUND = ExampleSpec(waveform=Field((64, 1), np.dtype(np.int16), "waveform", rate=8_000))
IDS = np.array([[2, 3, 0, 0], [3, 4, 5, 3], [2, 3, 0, 0]], np.int32)


def config(*flags):
    return parse_args(["--workdir=run", *flags])


def test_a_file_has_one_line_per_text(tmp_path):
    chosen = config(f"--out={tmp_path}/x.txt", "--seed=1,3")
    path, note = text_samples.write(chosen, 3, IDS, FIELD)
    assert path == tmp_path / "x-seed3.txt"
    # A line break inside of a text is two characters, as is a backslash.
    assert path.read_text() == "ab\nb\\n\\\\b\nab\n"
    assert note == '2 different ones, "ab" 2 times'


def test_other_files_have_numbers_or_a_picture(tmp_path):
    path, note = text_samples.write(
        config(f"--out={tmp_path}/x.npz"), 0, IDS[:2], FIELD
    )
    with np.load(path) as file:
        assert file["samples"].tolist() == IDS[:2].tolist()
        assert file["samples"].dtype == np.int32
        assert tuple(file["names"]) == NAMES
    assert note == "all different"
    path, _ = text_samples.write(config(f"--out={tmp_path}/x.png"), 0, IDS, FIELD)
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    # The first and the last line are equal, the second is longer.
    lines = [pixels[6 + 16 * i : 22 + 16 * i] for i in range(3)]
    np.testing.assert_array_equal(lines[0], lines[2])
    dark = [np.flatnonzero((line < 128).any(0)).max() for line in lines]
    assert dark[0] < dark[1]


def test_a_prompt_is_the_start_of_all_texts():
    change = text_samples.change_of(config("--prompt=ba", "--temperature=0.5"), FIELD)
    ones = jnp.ones(2)
    inputs = change({"temperature": ones, "relaxation": ones})
    assert inputs["prompt"].tolist() == [[3, 2, -1, -1]] * 2
    assert inputs["temperature"].tolist() == [0.5, 0.5]
    assert inputs["relaxation"].tolist() == [1, 1]
    # Texts whose likelihood is asked are as they are.
    assert change({"tokens": IDS}) == {"tokens": IDS}
    for prompt, message in (
        ("aaaaa", "has 5 characters, and texts of this run have up to 4"),
        ("ax", "'x' is not in the vocabulary"),
    ):
        with pytest.raises(UsageError, match=message):
            text_samples.check(config(f"--prompt={prompt}"), EXAMPLE)
    assert text_samples.check(config("--out=x.txt"), EXAMPLE)
    assert not text_samples.check(config(), image_example((8, 8, 1)))


@pytest.mark.parametrize(
    ("example", "flag", "message"),
    [
        (
            image_example((8, 8, 1)),
            "--out=x.txt",
            "generates images: use --out=samples",
        ),
        (image_example((8, 8, 1)), "--prompt=a", "generates images: leave it out"),
        (SOUND, "--out=x.txt", r"generates waveforms: use --out=samples\.wav"),
        (SOUND, "--temperature=2", "generates waveforms: leave it out"),
    ],
)
def test_flags_for_texts_name_what_fits(example, flag, message):
    with pytest.raises(UsageError, match=message):
        text_samples.check(config(flag), example)


@pytest.mark.parametrize(
    ("example", "out", "message"),
    [
        (EXAMPLE, "new/", r"\[4\] int32 are not pictures; use --out=samples\.txt"),
        (EXAMPLE, "x.wav", r"not sounds of a known rate; use --out=samples\.txt"),
        (image_example((8, 8, 1)), "x.wav", r"use --out=samples\.png"),
        (image_example((8, 8, 3), np.uint16), "new/", r"use --out=samples\.npz"),
        (image_example((2,), np.float32), "new/", r"use --out=samples\.npz"),
        (SOUND, "new/", ""),
        (SOUND, "x.wav", ""),
        (image_example((8, 8, 1), np.uint16), "new/", ""),
    ],
)
def test_files_that_samples_do_not_fit_name_one_that_does(example, out, message):
    field = example[example.generated]
    if not message:
        sample_files.check_form(config(f"--out={out}"), field)
        return
    with pytest.raises(UsageError, match=message):
        sample_files.check_form(config(f"--out={out}"), field)


def test_previews_are_also_lines(tmp_path):
    texts = ("a\nb", "c")
    picture = reporting.Picture(reporting.draw_texts(texts), texts=texts)
    with open_metric_writer(tmp_path, steps=4, batch_size=2, terminal=False) as writer:
        writer.write_images(2, picture)
        writer.write_images(4, picture)
    assert (tmp_path / "samples/step_00000002.txt").read_text() == "a\\nb\nc\n"
    assert (tmp_path / "samples/step_00000002.png").exists()
    # A run that resumes at step 2 writes later ones again.
    with open_metric_writer(
        tmp_path, steps=4, batch_size=2, resume_step=2, terminal=False
    ):
        left = sorted(file.name for file in (tmp_path / "samples").iterdir())
    assert left == ["step_00000002.png", "step_00000002.txt"]
