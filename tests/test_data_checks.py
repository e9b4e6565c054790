"""Checks that tasks and networks fit the data: sources, pairs, sizes and channels."""

import dataclasses
import json
import logging

import jax
import numpy as np
import pytest

from jaxgan import train
from jaxgan.config.resolve import make_config, to_dict
from jaxgan.data import from_fields
from jaxgan.data.suggestions import check_prefix
from jaxgan.errors import FieldError, UsageError
from jaxgan.experiment import setup
from jaxgan.gan import builder, data_checks
from jaxgan.networks.images import deeper_size
from jaxgan.networks.unet import depth_in
from jaxgan.training.trainer import check_flags
from jaxgan.types import ExampleSpec, Field, image_example

PATCH = "discriminator=patch(2, layers=1, conditional=False)"
SRRESNET = f"image_to_image(generator=srresnet(2, 1), {PATCH})"
UNET = f"image_to_image(generator=unet(2, depth=1), {PATCH})"


def pair(source, image=(32, 32, 3)):
    return ExampleSpec(image=Field(image), source=Field(source))


def pairs(source, image=(32, 32, 3)):
    """Eight examples of zeros."""
    example = pair(source, image)
    arrays = {
        name: np.zeros((8, *field.shape), np.uint8) for name, field in example.items()
    }
    return from_fields("pairs", arrays, example=example, origin="made-up pairs")


def configured(task, networks=SRRESNET, **flags):
    given = {"dataset": "pairs:x", "batch_size": 2, "d_terms": "", "g_terms": "l1(1)"}
    return make_config(**{**given, "task": task, "networks": networks, **flags})


@pytest.mark.parametrize(
    ("task", "source", "message"),
    [
        (
            "super_resolution(4)",
            (16, 16, 3),
            "images of 32x32 are not 4 times as large as their sources of 16x16: use "
            "super_resolution(2), or use super_resolution(4, source=False) to shrink",
        ),
        (
            "super_resolution(2)",
            (16, 16, 1),
            "shape [16, 16, 1] and images [32, 32, 3]: convert sources to 3 channel(s)",
        ),
        ("super_resolution(4)", (32, 32, 3), "of 32x32: use paired, or use super"),
        ("super_resolution(4)", (12, 16, 3), "of 12x16: resize sources to 8x8, or"),
    ],
)
def test_sources_that_would_not_be_used_are_refused(task, source, message):
    dataset, config = pairs(source), configured(task)
    with pytest.raises(FieldError) as error:
        builder.check_dataset(config, dataset)
    assert str(error.value).startswith(f"--task={task}: ")
    assert message in str(error.value)
    # A run of an earlier version opens, with a generator of its factor.
    gan = builder.build_gan(config, dataset.example, trains=False)
    assert gan.task.inputs == ("image",)
    factor = int(task[-2])
    assert gan.networks.generator.factor == factor
    # Images are made smaller if this is asked for.
    chosen = configured(task.replace(")", ", source=False)"))
    builder.check_dataset(chosen, dataset)
    assert builder.build_task(chosen, dataset.example).source == Field(
        (32 // factor, 32 // factor, 3)
    )
    assert builder.build_task(chosen, dataset.example).inputs == ("image",)


def test_sources_that_fit_are_used():
    config, dataset = configured("super_resolution(2)"), pairs((16, 16, 3))
    builder.check_dataset(config, dataset)
    assert builder.build_task(config, dataset.example).inputs == ("source",)


def test_only_new_runs_are_checked(tmp_path, monkeypatch):
    file = tmp_path / "x.npz"
    images, sources = (np.zeros((8, n, n, 3), np.uint8) for n in (32, 16))
    np.savez(file, images=images, sources=sources)
    config = configured("super_resolution(4)", dataset=f"npz:{file}", held_out="none")
    config = dataclasses.replace(config, devices=1, workdir=str(tmp_path / "run"))
    with pytest.raises(FieldError, match=r"use super_resolution\(2\)"):
        setup.setup(config)
    monkeypatch.setattr(setup, "is_resumed", lambda config: True)
    assert setup.setup(config).gan.task.inputs == ("image",)


@pytest.mark.parametrize("task", ["paired", "super_resolution(2)"])
def test_pairs_that_do_not_belong_together_are_refused(task):
    dataset = pairs((32, 32, 3) if task == "paired" else (16, 16, 3))
    config = configured(task, dataset="unpaired:a,b")
    builder.check_dataset(config, dataset)
    with pytest.raises(FieldError) as error:
        builder.check_dataset(config, dataset._replace(aligned=False))
    assert str(error.value) == (
        f"--task={task} learns from pairs, and the images of an example in "
        "--dataset=unpaired:a,b do not belong together: use --preset=cyclegan, or a "
        "set of pairs, such as --dataset=pairs:PATH"
    )
    loose = dataset._replace(aligned=False)
    builder.check_dataset(configured("unpaired"), loose)
    # Sources that are not read may be any.
    builder.check_dataset(configured("super_resolution(2, source=False)"), loose)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("name", ["srresnet(2, 1", "rrdb(2, 2, 1"])
def test_generators_enlarge_by_the_factor_of_the_task(name, factor):
    """Parameters are those of the same factor as an argument."""

    def params(networks, task):
        config = configured(task, networks, g_terms="l1(1)")
        gan = builder.build_gan(config, image_example((24, 24, 3)), trains=False)
        return jax.eval_shape(gan.init, jax.random.key(0)).params.generator

    task = f"super_resolution({factor})"
    text = f"image_to_image(generator={name}{{}}), {PATCH})"
    chosen = params(text.format(f", factor={factor}"), task)
    assert params(text.format(""), task) == chosen


def test_a_step_of_twice_the_size_fits():
    config = configured("super_resolution(2)")
    gan = builder.build_gan(config, image_example((16, 16, 3)))
    assert gan.networks.generator.factor == 2
    # Also by sources of the data, whose ratio counts.
    config = configured("paired")
    gan = builder.build_gan(config, pair((16, 16, 3), (32, 32, 3)))
    assert gan.networks.generator.factor == 2


def test_factors_that_there_are_not():
    config = configured("super_resolution(16)")
    with pytest.raises(FieldError, match=r"^--networks: srresnet enlarges .* not 2x2 "):
        builder.build_gan(config, image_example((32, 32, 3)))


@pytest.mark.parametrize(
    ("source", "image", "advice"),
    [
        (
            (16, 16, 3),
            (32, 32, 3),
            "sources of 16x16 to images of 32x32: use --preset=srgan --task="
            "'super_resolution(2)', or --preset=pix2pix --image_size=32, which",
        ),
        # It cannot even be halved.
        ((15, 15, 3), (32, 32, 3), "of 32x32: use --preset=pix2pix --image_size=32,"),
        ((32, 64, 3), (16, 32, 3), "use --preset=pix2pix --image_size=16x32, which"),
    ],
)
def test_networks_map_sources_to_the_size_of_their_targets(source, image, advice):
    with pytest.raises(FieldError) as error:
        builder.build_gan(configured("paired", UNET), pair(source, image))
    said = str(error.value)
    assert said.startswith(f"--networks={UNET} does not map sources of ")
    assert advice in said


def test_colors_that_a_classifier_does_not_know():
    flags = {"g_terms": "l1(1)|perceptual(1)"}
    config = configured("super_resolution(2)", **flags)
    with pytest.raises(FieldError) as error:
        builder.build_gan(config, image_example((32, 32, 4)))
    assert str(error.value) == (
        "--g_terms: perceptual compares images of 1 or 3 channels, not 4: leave it "
        "out, or put pictures on white with --alpha=white"
    )
    with pytest.raises(FieldError, match=r"not 2: leave it out$"):
        builder.build_gan(config, image_example((32, 32, 2)))


@pytest.mark.parametrize(
    ("size", "deeper"),
    [
        ((28, 28), None),
        ((30, 30), (32, 32)),
        ((36, 36), (32, 32)),
        ((48, 64), None),
        ((64, 64), None),
        ((90, 90), (96, 96)),
        ((100, 100), (96, 96)),
        ((150, 150), (160, 160)),
        ((224, 224), None),
        ((250, 500), (256, 512)),
        ((256, 30), (256, 32)),
        ((4096, 4096), None),  # eight halvings are the most
    ],
)
def test_sizes_that_can_be_halved_often(size, deeper):
    assert deeper_size(size) == deeper
    if deeper:
        assert deeper_size(deeper) is None


def generator(text, size, **flags):
    """A generator for images of a size."""
    networks = f"image_to_image(generator={text}, {PATCH})"
    if flags.pop("two", False):
        networks = networks.replace("image_to_image", "two_domains")
    facts = {"example": pair((*size, 3), (*size, 3)), "axis_name": None}
    config = configured("paired", networks, **flags)
    return builder.build_networks(config, facts).generator


def test_a_unet_that_is_almost_flat_is_warned_of(caplog):
    shape = (250, 250, 3)
    flat = generator("unet(2)", shape[:2])
    data_checks.log_halvings(flat, shape)
    assert caplog.messages == [
        "images of 250x250 can be halved 1 time(s) only, so that the generator sees "
        "small parts of them: --image_size=256 allows 7 halvings"
    ]
    for text, flags in (
        ("gated_unet(2)", {}),
        ("partial_unet(2)", {"generator_wrap": "spectral_norm"}),
        ("unet(2)", {"two": True}),
    ):
        caplog.clear()
        data_checks.log_halvings(generator(text, (60, 100), **flags), (60, 100, 3))
        assert "halved 2 time(s)" in caplog.text
        assert "--image_size=64x96 allows 5 halvings" in caplog.text
    caplog.clear()
    # Other networks, sizes that will do, and a depth that was chosen.
    resnet = generator("resnet_generator(2)", (100, 100))
    assert depth_in(resnet) == 0
    data_checks.log_halvings(resnet, (100, 100, 3))
    data_checks.log_halvings(generator("unet(2)", (64, 64)), (64, 64, 3))
    data_checks.log_halvings(generator("unet(2, depth=1)", (100, 100)), (100, 100, 3))
    assert not caplog.messages


def test_another_run_in_the_workdir_is_named_before_its_data_are_read(tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    old = to_dict(make_config(dataset="folder:a", preset="inpaint"))
    (folder / "config.json").write_text(json.dumps({**old, "eval_metrics": "l1"}))
    given = [f"--workdir={folder}", "--dataset=folder:nowhere"]
    assert train.main([*given, "--preset=cyclegan"]) == 2
    said = capsys.readouterr().err
    assert "holds a run with a different config" in said
    assert 'task is "inpainting(\'any\')" in the run and "unpaired" now' in said
    # The place of the data alone may differ: they are looked at first.
    assert train.main([*given, "--preset=inpaint"]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_flags_that_the_run_settles_are_not_compared(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    config = make_config(dataset="ring8", workdir=str(folder), batch_per_device=8)
    check_flags(config)
    settled = {"batch_size": 16, "devices": 2, "eval_metrics": "l1", "steps": 5}
    (folder / "config.json").write_text(json.dumps({**to_dict(config), **settled}))
    check_flags(config)
    with pytest.raises(UsageError, match=r'loss is .* in the run and "wgan" now'):
        check_flags(dataclasses.replace(config, loss="wgan"))
    check_flags(dataclasses.replace(config, loss="wgan", dry_run=True))


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (
            Field((2,), kind="vector"),
            "not vector of shape \\[2\\]: use a data",
        ),
        (Field((8,), kind="tokens"), "not texts: use --preset=language"),
        (Field((256, 1), kind="waveform"), "not sounds: use --preset=wavegan"),
    ],
)
def test_inpainting_needs_images(field, message):
    with pytest.raises(FieldError, match=f"--task: inpainting needs images, {message}"):
        builder.build_task(make_config(task="inpainting"), ExampleSpec(image=field))


def test_an_error_comes_without_hints_that_another_run_would_need(
    tmp_path, monkeypatch, capsys, caplog
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.txt").write_text("a line of text\n" * 40)
    given = ["--dataset=text:lines.txt", "--preset=default", "--held_out=none"]
    with caplog.at_level(logging.INFO, "jaxgan"):
        assert train.main([*given, "--batch_size=4", "--devices=1"]) == 2
    assert "small needs images, not texts: use" in capsys.readouterr().err
    assert "--augment" not in caplog.text


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["a.wav", "sub/b.FLAC", "notes.txt"], "audio"),
        (["a.txt", "b.txt", "c.png"], "text"),
        (["a.png", "b/c.jpg", "d.wav"], "folder"),
        ([], "folder"),
    ],
)
def test_a_folder_without_its_kind_is_named_by_its_files(files, kind, tmp_path):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=rf"did you mean {kind}:{tmp_path}\?"):
        check_prefix(f"{tmp_path}")
