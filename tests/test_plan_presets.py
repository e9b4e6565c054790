"""Every preset compiles for slices of 4 and of 64 chips, and is as it should be.

A compile takes seconds: so each preset is under pmap on one of the slices and under
`shard_map` on the other, in turns, and only the two of `BOTH` have all four. Those of
`SHAPES`, for images, take minutes each and are left to `python -m jaxgan.plan`.
"""

import functools

import pytest
from narrow_presets import SHAPES, flags_of

from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config
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
]


@functools.cache
def step_of(preset, name, way, precision="float32"):
    pytest.importorskip("libtpu", reason="takes pip install 'jaxgan[tpu]'")
    shape = (2,) if preset.startswith("toy") else (28, 28, 1)
    said = {"preset": preset, "parallel": way, "batch_per_device": 2}
    config = make_config(**said, precision=precision, **flags_of(preset))
    question = planning.PlanConfig(config, (name,), {"image": shape})
    slice_ = chips.find(name)
    return compiling.compile_step(
        config, compiling.dataset_of(question), slice_
    ), slice_


@pytest.mark.parametrize(("preset", "name", "way"), CASES)
def test_a_preset_on_a_slice(preset, name, way):
    step, slice_ = step_of(preset, name, way)
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
