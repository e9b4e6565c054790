"""Every preset compiles for slices of 4 and of 64 chips, and is as it should be.

A compile takes seconds: so each preset is under pmap on one of the slices and under
`shard_map` on the other, in turns, and only the two of `BOTH` have all four. Those of
`SHAPES`, for images and sounds, have many convolutions, and the compiler spends half a
second on each: two are compiled here, with less effort. `SLOW` has the others, and
`residual`, R3GAN's and StyleGAN2's take half a minute:

    JAXGAN_TEST_SLOW=1 python -m pytest tests/test_plan_presets.py
"""

import functools
import os

import jax
import pytest
from narrow_presets import SHAPES, TEXTS, flags_of

from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config
from jaxgan.config.style_presets import STYLE_PRESETS
from jaxgan.performance.planning import settings

settings.set_environment(("v5e:2x2",))
from jaxgan.config import planning  # noqa: E402
from jaxgan.performance.planning import checks, chips, compiling  # noqa: E402

SLICES, WAYS, BOTH = ("v5e:2x2", "v5e:8x8"), ("pmap", "mesh"), ("mlp-small", "toy")
CASES = [
    (preset, slice_, way)
    for number, preset in enumerate(x for x in PRESETS if x not in SHAPES)
    for i, slice_ in enumerate(SLICES)
    for j, way in enumerate(WAYS)
    if preset in BOTH or (i + j + number) % 2 == 0
    if preset not in ("residual", *STYLE_PRESETS) or os.environ.get("JAXGAN_TEST_SLOW")
]
QUICK, SLOW = (
    ("pix2pix", "specgan"),
    (
        *("inpaint", "cyclegan", "style", "stargan", "srgan", "esrgan"),
        *("wavegan", "vocoder"),
    ),
)
IMAGE_CASES = [*QUICK, *(SLOW if os.environ.get("JAXGAN_TEST_SLOW") else ())]


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


@pytest.mark.parametrize(("preset", "name", "way"), CASES)
def test_a_preset_on_a_slice(preset, name, way):
    check(*step_of(preset, name, way), way)


@pytest.fixture
def hasty():
    """Makes XLA compile faster programs less eagerly."""
    jax.config.update("jax_exec_time_optimization_effort", -1.0)
    yield
    jax.config.update("jax_exec_time_optimization_effort", 0.0)


@pytest.mark.parametrize("preset", IMAGE_CASES)
def test_a_preset_of_image_to_image_on_a_slice(preset, hasty):
    number = [*QUICK, *SLOW].index(preset)
    way = WAYS[number % 2]
    check(*step_of(preset, SLICES[number % 2], way), way)


def test_every_preset_of_images_is_in_a_list():
    assert {*QUICK, *SLOW} == set(SHAPES)


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


@pytest.mark.parametrize("preset", ["default", "mlp", "dcgan"])
def test_mixed_precision_leaves_no_product_in_float32(preset):
    step, _ = step_of(preset, "v5e:2x2", "pmap", "mixed")
    assert checks.precision(step) == {}
