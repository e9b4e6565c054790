"""Every preset compiles for slices of 4 and of 64 chips, and is as it should be.

A compile takes seconds: so each preset is under pmap on one of the slices and under
`shard_map` on the other, in turns, and only `mlp-small` has all four. Those of `QUICK`
are compiled here, once each: one of every kind of networks, losses and terms. Those of
`SHAPES`, for images and sounds, have many convolutions, and the compiler spends half a
second on each: two of them are compiled here. All but `default` and `mlp-small` are
compiled with less effort. All others, and those again with the usual effort:

    JAXGAN_TEST_SLOW=1 python -m pytest tests/test_plan_presets.py
"""

import functools

import jax
import pytest
from narrow_presets import SHAPES, TEXTS, flags_of
from slow import SLOW, slow

from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config
from jaxgan.performance.planning import settings

settings.set_environment(("v5e:2x2",))
from jaxgan.config import planning  # noqa: E402
from jaxgan.performance.planning import checks, chips, compiling  # noqa: E402

SLICES, WAYS = ("v5e:2x2", "v5e:8x8"), ("pmap", "mesh")
QUICK = (
    *("default", "dcgan", "wgan-gp", "toy", "mlp-small"),
    *("alice", "text_gan"),
)
QUICK_IMAGES, SLOW_IMAGES = (
    ("pix2pix", "specgan"),
    (
        *("inpaint", "cyclegan", "style", "stargan", "srgan", "esrgan"),
        *("wavegan", "vocoder"),
    ),
)


def cases():
    """Preset, slice and way of each compilation, marked unless it is a quick one."""
    for number, preset in enumerate(x for x in PRESETS if x not in SHAPES):
        four = [(slice_, way) for slice_ in SLICES for way in WAYS]
        # pmap on one slice and shard_map on the other, in turns.
        two = [four[0], four[3]] if number % 2 == 0 else [four[1], four[2]]
        quick = [two[number // 2 % 2]] if preset in QUICK else []
        if preset == "mlp-small":
            quick, two = [four[0], four[3]], four
        for one in [*quick, *(x for x in two if x not in quick)]:
            yield (preset, *one) if one in quick else slow(preset, *one)


@functools.cache
def step_of(preset, name, way, precision="float32"):
    pytest.importorskip("libtpu", reason="takes pip install 'jaxgan[tpu]'")
    shape = (2,) if preset.startswith("toy") else (28, 28, 1)
    fields = {**SHAPES, **TEXTS}.get(preset, {"image": shape})
    said = {"preset": preset, "parallel": way, "batch_per_device": 2}
    config = make_config(**said, precision=precision, **flags_of(preset))
    question = planning.PlanConfig(config, (name,), fields)
    slice_ = chips.find(name)
    return compiling.compile_step(
        config, compiling.dataset_of(question), slice_
    ), slice_


@pytest.fixture
def hasty():
    """Makes XLA compile faster programs less eagerly."""
    jax.config.update("jax_exec_time_optimization_effort", -1.0)
    yield
    jax.config.update("jax_exec_time_optimization_effort", 0.0)


@pytest.mark.parametrize(("preset", "name", "way"), [*cases()])
def test_a_preset_on_a_slice(preset, name, way, request):
    if not SLOW and preset not in ("default", "mlp-small"):
        request.getfixturevalue("hasty")
    check(*step_of(preset, name, way), way)


@pytest.mark.parametrize("preset", [*QUICK_IMAGES, *map(slow, SLOW_IMAGES)])
def test_a_preset_of_image_to_image_on_a_slice(preset, hasty):
    number = [*QUICK_IMAGES, *SLOW_IMAGES].index(preset)
    way = WAYS[number % 2]
    check(*step_of(preset, SLICES[number % 2], way), way)


def test_every_preset_of_images_is_in_a_list():
    assert {*QUICK_IMAGES, *SLOW_IMAGES} == set(SHAPES)


def check(step, slice_, way):
    """Compares a compiled step with what any preset must be like."""
    assert step.layout.strategy.name == way
    assert checks.fits(step, slice_)
    assert checks.donation(step) == ""
    assert checks.host(step) == ""
    assert step.work.unknown == 0
    # all gradients are averaged, D's as often as it is updated
    g, d = step.parameters
    nbytes = 4 * (g + step.config.d_updates * d)
    assert step.work.messages["all-reduce"].nbytes >= nbytes


@pytest.mark.parametrize("preset", ["default", slow("mlp"), slow("dcgan")])
def test_mixed_precision_leaves_no_product_in_float32(preset, request):
    if not SLOW:
        request.getfixturevalue("hasty")
    step, _ = step_of(preset, "v5e:2x2", "pmap", "mixed")
    assert checks.precision(step) == {}
