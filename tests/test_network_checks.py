"""Networks and terms of another task are named before the step is traced."""

import re

import numpy as np
import pytest

from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config
from jaxgan.data import from_fields
from jaxgan.errors import BuildError, FieldError, UsageError
from jaxgan.gan import builder, data_checks
from jaxgan.gan.data_checks import NETWORKS_OF, check_networks, term_names
from jaxgan.gan.flag_texts import name_of, preset_for, with_preset
from jaxgan.networks import GENERATORS, NETWORKS
from jaxgan.tasks import TASKS
from jaxgan.types import ExampleSpec, Field, image_example

IMAGES = image_example((32, 32, 3), classes=3)
SOUNDS = ExampleSpec(
    waveform=Field((2_048, 1), np.dtype(np.int16), "waveform", rate=8_000)
)
PAIRS = ExampleSpec(image=Field((32, 32, 3)), source=Field((32, 32, 3)))
POINTS = image_example((2,), np.float32)
TEXTS = ExampleSpec(tokens=Field((8,), np.dtype(np.int32), "tokens", ("a", "b")))


def build(example, **flags):
    given = {"batch_size": 2, "d_terms": "", "task": "generate(4)", **flags}
    builder.build_gan(make_config(**given), example)


def test_all_networks_and_tasks_are_known():
    assert set(NETWORKS_OF) == set(TASKS)
    assert {name for names in NETWORKS_OF.values() for name in names} == set(NETWORKS)


def test_presets_have_networks_for_their_tasks():
    for name in PRESETS:
        config = make_config(preset=name)
        check_networks(config, IMAGES)
        # The advice is a preset whose networks are not refused.
        chosen = PRESETS[preset_for(config, IMAGES)].get("networks", "small")
        assert name_of(chosen) in NETWORKS_OF[name_of(config.task)]


@pytest.mark.parametrize(
    ("example", "task", "networks", "preset"),
    [
        (IMAGES, "inpainting", "small(2)", "inpaint"),
        (IMAGES, "super_resolution", "mlp((4,), (4,))", "srgan"),
        (IMAGES, "anomaly", "small(2)", "alice"),
        (IMAGES, "domains", "resnet(2)", "stargan"),
        (IMAGES, "generate(4)", "image_to_image(unet(2))", "default"),
        (IMAGES, "conditional(4)", "encoder_small(2)", "conditional"),
        (IMAGES, "codes(4)", "encoder_small(2)", "infogan"),
        (PAIRS, "paired", "small(2)", "pix2pix"),
        (PAIRS, "unpaired", "encoder_small(2)", "cyclegan"),
        (POINTS, "anomaly", "mlp((4,), (4,))", "alice"),
        (POINTS, "generate(4)", "encoder_mlp((4,), (4,), (4,))", "toy"),
        (SOUNDS, "generate(4)", "specgan(2)", "wavegan"),
        (SOUNDS, "generate(4)", "griffin_lim", "wavegan"),
        (SOUNDS, "vocoder", "wavegan(2)", "vocoder"),
        (SOUNDS, "vocoder", "specgan(2)", "vocoder"),
        (SOUNDS, "spectrogram(4)", "wavegan(2)", "specgan"),
        (SOUNDS, "spectrogram(4)", "griffin_lim", "specgan"),
        (SOUNDS, "spectrogram(4)", "image_to_image(unet(2))", "specgan"),
    ],
)
def test_networks_of_another_task_are_told_its_preset(example, task, networks, preset):
    with pytest.raises(UsageError) as error:
        build(example, task=task, networks=networks)
    assert not isinstance(error.value, BuildError)
    said = str(error.value)
    assert said.startswith(f"--networks={networks} has a generator for --task=")
    assert said.endswith(
        f"not for --task={task}: use --preset={preset}, which has networks for it"
    )


def test_networks_of_users_are_not_known(monkeypatch):
    monkeypatch.setitem(NETWORKS, "mine", NETWORKS["small"])
    with pytest.raises(BuildError, match="; --preset=inpaint has networks for this"):
        build(IMAGES, networks="mine(2)", task="inpainting")
    # Networks of the task itself fit, and are told no preset.
    own = {"networks": PRESETS["inpaint"]["networks"], "task": "inpainting"}
    assert not with_preset(make_config(**own))


@pytest.mark.parametrize("name", ["unet(2)", "resnet_generator(2, 1)"])
def test_networks_that_do_not_enlarge(name):
    networks = f"image_to_image({name}, patch(2))"
    with pytest.raises(FieldError) as error:
        build(IMAGES, task="super_resolution(2)", networks=networks)
    assert str(error.value) == (
        f"--networks={networks} does not map sources of 16x16 to images of 32x32: use "
        "--preset=srgan --task='super_resolution(2)', or networks that enlarge"
    )


@pytest.mark.parametrize(
    ("task", "example", "message"),
    [
        (
            "super_resolution(2)",
            POINTS,
            "needs images, not vector of shape [2]: use a ",
        ),
        ("super_resolution(2)", TEXTS, "not texts: use --preset=language_model"),
        ("domains", SOUNDS, "domains needs images, not sounds: use --preset=wavegan"),
        (
            "domains",
            POINTS,
            "domains needs images, not vector of shape [2]: use a data",
        ),
        ("domains", PAIRS, "use a data set that has them, such as domains:PATH"),
        ("paired", IMAGES, "; use a data set of pairs, such as --dataset=pairs:PATH"),
        ("unpaired", IMAGES, "of two domains, such as --dataset=unpaired:PATH,PATH"),
        ("text", IMAGES, "; use a data set of texts, such as --dataset=text:PATH"),
        ("paired", SOUNDS, "; use a data set of images, such as --dataset=mnist or "),
        ("conditional", PAIRS, "with a folder per class, or --task=generate"),
    ],
)
def test_examples_of_another_task_are_told_a_data_set(task, example, message):
    with pytest.raises(FieldError) as error:
        builder.build_task(make_config(task=task), example)
    assert message in str(error.value)


@pytest.mark.parametrize("wrap", ["projection", "classifier"])
def test_wrappers_of_conditions_name_what_needs_none(wrap):
    with pytest.raises(FieldError) as error:
        build(PAIRS, task="generate", discriminator_wrap=wrap)
    assert str(error.value) == (
        f"--discriminator_wrap: {wrap} needs labels or attributes: use a data set with "
        "labels, such as --dataset=folder:PATH with a folder per class, or "
        "--preset=default"
    )


def test_two_domains_of_images_without_a_second():
    with pytest.raises(FieldError, match=r"^--networks: two_domains needs .* unp"):
        build(IMAGES, task="unpaired", networks="two_domains")


def check(task, example, **flags):
    """Checks a new run on these examples."""
    arrays = {name: np.zeros((8, *x.shape), x.dtype) for name, x in example.items()}
    dataset = from_fields("x", arrays, example=example, origin="made-up examples")
    builder.check_dataset(make_config(task=task, **flags), dataset)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"d_terms": "r1(1)|l1(1)"}, "--d_terms: l1 does not .*: use --g_terms"),
        ({"d_terms": "every(4, path_length(2))"}, "--d_terms: path_length does not"),
        ({"g_terms": "r1(1)"}, "--g_terms: r1 does not depend .*: use --d_terms"),
        ({"g_terms": "l2(1)"}, "--g_terms: l2 compares .*--task=generate belong to"),
    ],
)
def test_terms_that_teach_nothing(flags, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        check("generate", IMAGES, **flags)


def test_terms_that_have_an_effect():
    check("generate", IMAGES, d_terms="r1(1)|lecam", g_terms="r2(1)|total_variation")
    check("paired", PAIRS, g_terms="l1(1)|every(4, l2(1))")
    # The encoder maps real examples to latents, which the discriminator sees.
    check("anomaly", IMAGES, g_terms="r1(1)")
    for flags in PRESETS.values():
        config = make_config(**{k: flags[k] for k in flags if k.endswith("_terms")})
        assert "l1" not in term_names(config, "d_terms")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"g_terms": "cycle"}, "--g_terms: cycle: this task maps no sample back"),
        ({"d_terms": "mutual_information"}, "--d_terms: mutual_information: there is"),
    ],
)
def test_errors_of_terms_name_their_flag(flags, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        build(IMAGES, networks="small(2)", loss="hinge", **flags)


def test_path_lengths_of_a_generator_with_an_encoder():
    with pytest.raises(UsageError, match=r"--g_terms: path_length needs latents: use"):
        build(
            image_example((8, 8, 1)),
            task="anomaly(4)",
            networks="encoder_mlp((4,), (4,), (4,))",
            g_terms="path_length",
        )


@pytest.mark.parametrize(
    ("wrap", "other"), [("embed", "--preset=default"), ("", "--task=generate")]
)
def test_examples_without_labels_are_told_what_needs_none(wrap, other):
    config = make_config(task="conditional", generator_wrap=wrap)
    with pytest.raises(FieldError, match=rf"a folder per class, or {other}$"):
        builder.build_task(config, PAIRS)


@pytest.mark.parametrize("example", [POINTS, SOUNDS])
def test_augmentations_name_their_flag(example):
    networks = "wavegan(2)" if example is SOUNDS else "mlp((4,), (4,))"
    with pytest.raises(UsageError, match=r"^--augment: .*: leave them out"):
        build(example, networks=networks, augment="flip")


def test_packs_of_sounds_draw_noise_and_packs_of_texts_are_refused():
    build(SOUNDS, networks="wavegan(2)", discriminator_wrap="pack")
    networks = "text(recurrent_generator(4), text_discriminator(4))"
    with pytest.raises(UsageError, match="judges single texts: leave out pack"):
        build(TEXTS, task="text", networks=networks, discriminator_wrap="pack")


@pytest.mark.parametrize(
    ("task", "networks", "message"),
    [
        ("inpainting", "srresnet", "srresnet is no .*=inpainting: write .*=gated_unet"),
        ("inpainting", "unet(8)", r"unet is one .*: write .*e\(generator=unet\)$"),
        ("unpaired", "rrdb", r"two are needed: write two_domains\(generator=rrdb\)$"),
        ("paired", "patch", r"write image_to_image\(discriminator=patch\)$"),
        ("text", "no_discriminator", r"write text\(discriminator=no_discriminator\)$"),
        (
            "text",
            "unet",
            r"unet is no .*: write text\(generator=recurrent",
        ),
        ("generate(4)", "unet", "unet is one .*: use --preset=default, which has"),
        ("anomaly", "patch(8)", "patch is one .*: use --preset=alice, which has"),
    ],
)
def test_one_network_in_place_of_two(task, networks, message):
    config = make_config(task=task, networks=networks)
    with pytest.raises(UsageError, match=f"^--networks: .*{message}"):
        builder.build_networks(config, {"example": IMAGES, "axis_name": None})
    # What fits the kind of the data is said when they are read.
    if "--preset" in message:
        builder.check_texts(config)
    # Without a pair of that name, the usual error.
    with pytest.raises(UsageError, match="no name 'unett'"):
        build(IMAGES, networks="unett")


@pytest.mark.parametrize(
    ("task", "networks", "fits"),
    [
        ("inpainting", "image_to_image(srresnet(4), patch(4))", "gated_unet or part"),
        ("inpainting", "image_to_image(generator=rrdb)", "gated_unet or partial_"),
        # It would take the last color for a mask.
        ("paired", "image_to_image(partial_unet(4))", "unet or resnet_generator or"),
        ("super_resolution", "image_to_image(unet)", "srresnet or rrdb in image_to_i"),
        ("domains", "image_to_image(gated_unet)", "resnet_generator in image_to_image"),
    ],
)
def test_generators_of_other_tasks(task, networks, fits):
    name = re.search(r"\((?:generator=)?(\w+)", networks)
    assert name
    message = f"^--networks: {name[1]} is no generator for --task={task}: use {fits}"
    example = ExampleSpec({**PAIRS, "label": IMAGES["label"]})
    with pytest.raises(UsageError, match=message):
        check(task, example, networks=networks)


def test_generators_of_presets_fit():
    for name in PRESETS:
        data_checks.check_generator(make_config(preset=name))
    assert {x for names in data_checks.GENERATORS_OF.values() for x in names} == set(
        GENERATORS
    )
