"""Every number of every factory has a range, and texts outside it are refused."""

import inspect
import math
import typing
from collections.abc import Callable, Sequence

import pytest

from jaxgan import spec
from jaxgan.augment import AUGMENTATIONS, PROBABILITIES
from jaxgan.config.presets import PRESETS
from jaxgan.data.toy import ring8
from jaxgan.errors import UsageError
from jaxgan.losses import REGULARIZERS
from jaxgan.losses.adversarial import LOSSES
from jaxgan.metrics import EVALUATORS
from jaxgan.metrics.comparisons import COMPARISONS
from jaxgan.metrics.features import EXTRACTORS, Extractor, Features
from jaxgan.metrics.pair_comparisons import PAIR_COMPARISONS
from jaxgan.metrics.text_comparisons import TEXT_COMPARISONS
from jaxgan.networks import DISCRIMINATORS, GENERATORS, NETWORKS, WRAPPERS
from jaxgan.optimizers import OPTIMIZERS, RANGES, from_optax
from jaxgan.ranges import ANY, LARGEST, Range, range_of
from jaxgan.schedules import SCHEDULES
from jaxgan.tasks import TASKS
from jaxgan.types import image_example

TABLES = {
    "loss": LOSSES,
    "terms": REGULARIZERS,
    "augment": AUGMENTATIONS,
    "strength": PROBABILITIES,
    "networks": NETWORKS,
    "generator": GENERATORS,
    "discriminator": DISCRIMINATORS,
    "wrap": WRAPPERS,
    "task": TASKS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "evaluator": EVALUATORS,
    "comparison": COMPARISONS,
    "pair_comparison": PAIR_COMPARISONS,
    "text_comparison": TEXT_COMPARISONS,
    # A classifier would be trained.
    "extractor": {
        k: x for k, x in EXTRACTORS.items() if k not in ("classifier", "channels")
    },
}
NESTED = {**SCHEDULES, **REGULARIZERS, **AUGMENTATIONS}
GIVEN = {"example": image_example((8, 8, 1), classes=2), "modes": ring8("test").modes}
GIVEN |= {"axis_name": None, "remat": False, "train": None, "held_out": None}
GIVEN |= {"task": None, "aligned": True, "inception_weights": ""}
GIVEN |= {"cache": None, "extractor": Extractor("none", "", {}, Features)}
NEEDED = {"term": "r1", "start": "0", "end": "1", "steps": "9", "n": "2"}
"""Arguments without a default; any other is in (0, 1)."""


def parameters():
    """(table, factory, parameter) for all that text can say."""
    for kind, table in TABLES.items():
        for name, factory in table.items():
            for parameter in inspect.signature(factory).parameters.values():
                if parameter.name not in GIVEN:
                    yield kind, name, parameter


def is_number(kind):
    """True if a parameter takes numbers, schedules or sequences of numbers."""
    kinds = {kind, *typing.get_args(kind)}
    return not kinds.isdisjoint({int, float}) and kind is not bool


NUMBERS = [
    pytest.param(kind, name, parameter, id=f"{kind}-{name}-{parameter.name}")
    for kind, name, parameter in parameters()
    if is_number(range_of(parameter.annotation)[0])
]


def build(kind, name, parameter, value):
    """Builds a factory from text with an argument and those that it requires."""
    arguments = {
        p.name: NEEDED.get(p.name, "0.5")
        for p in inspect.signature(TABLES[kind][name]).parameters.values()
        if p.default is p.empty and p.name not in GIVEN
    }
    arguments[parameter.name] = value
    said = ", ".join(f"{key}={text}" for key, text in arguments.items())
    return spec.build_one(f"{name}({said})", TABLES[kind], NESTED, **GIVEN)


def edges(kind, within):
    """(first value inside, last outside) at both ends of a range."""
    for edge, end, away in (
        (within.low, within.ends[0], -math.inf),
        (within.high, within.ends[1], math.inf),
    ):
        if kind is int or typing.get_origin(kind) is Sequence:
            yield int(edge), int(edge + math.copysign(1, away))
        elif end in "[]":
            outside = math.nextafter(edge, away)
            yield edge, 1e39 if edge == LARGEST else outside
        else:
            yield math.nextafter(edge, -away), edge


def written(kind, value):
    return f"({value},)" if typing.get_origin(kind) is Sequence else f"{value!r}"


def test_a_parameter_is_a_number_or_of_another_known_kind():
    others = [
        range_of(parameter.annotation)[0]
        for _, _, parameter in parameters()
        if not is_number(range_of(parameter.annotation)[0])
    ]
    assert inspect.Parameter.empty not in others
    assert {kind for kind in others if kind in (bool, str)} == {bool, str}
    assert len(NUMBERS) > 120


@pytest.mark.parametrize(("table", "name", "parameter"), NUMBERS)
def test_a_number_has_a_range(table, name, parameter):
    kind, within = range_of(parameter.annotation)
    assert within, f"{name} declares no range of {parameter.name}"
    if parameter.default not in (parameter.empty, None):
        assert within.holds(parameter.default)
    for inside, outside in edges(kind, within):
        with pytest.raises(UsageError) as error:
            build(table, name, parameter, written(kind, outside))
        assert f"{parameter.name} must be {within}, not " in str(error.value)
        said = ""
        try:  # a width may be inside, and yet not a multiple of 8
            build(table, name, parameter, written(kind, inside))
        except UsageError as error:
            said = str(error)
        assert f"{parameter.name} must be " not in said
        assert "argument" not in said  # else nothing was built


@pytest.mark.parametrize(("table", "name", "parameter"), NUMBERS)
def test_a_schedule_stays_in_the_range(table, name, parameter):
    kind, within = range_of(parameter.annotation)
    if not any(typing.get_origin(x) is Callable for x in typing.get_args(kind)):
        with pytest.raises(
            UsageError, match=f"{parameter.name} must be .*not a schedule"
        ):
            build(table, name, parameter, "linear(0, 0.5, 9)")
        return
    build(table, name, parameter, "linear(0, 0.5, 9)")
    for text in ("linear(0.5, -0.1, 9)", "cosine(-0.1, 0.5, 9)", "warmup(-0.1, 9)"):
        with pytest.raises(UsageError) as error:
            build(table, name, parameter, text)
        assert f"{parameter.name} must be {within}, not a schedule from" in str(
            error.value
        )


@pytest.mark.parametrize("value", ["1e400", "-1e400", "1e39", "9" * 400, "True", "1j"])
@pytest.mark.parametrize(
    "text",
    ["r1({})", "r1(linear(1, {}, 9))", "l({})", "every({}, r1)", "lecam(decay={})"],
)
def test_what_is_no_finite_number(text, value):
    table = {**REGULARIZERS, "l": LOSSES["least_squares"]}
    with pytest.raises(UsageError) as error:
        spec.build(text.format(value), table, NESTED)
    assert len(str(error.value)) < 300


def test_optaxs_parameters_are_all_known():
    """A number that a newer optax adds is any finite one, until it is listed here."""
    for name in OPTIMIZERS:
        for parameter in inspect.signature(OPTIMIZERS[name]).parameters.values():
            kind, within = range_of(parameter.annotation)
            assert within != ANY or kind is bool, f"{name}({parameter.name})"
    keys = {key.rpartition(".")[2] for key in RANGES}
    named = {p for f in OPTIMIZERS.values() for p in inspect.signature(f).parameters}
    assert keys <= named
    for key in ("radam.threshold", "clip_by_block_rms.threshold"):
        name, _, parameter = key.partition(".")
        within = range_of(
            inspect.signature(from_optax(name)).parameters[parameter].annotation
        )[1]
        assert within == (Range(4) if name == "radam" else RANGES["threshold"])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_inside(name):
    from jaxgan.config.resolve import make_config
    from jaxgan.gan.builder import check_texts

    check_texts(make_config(preset=name))
