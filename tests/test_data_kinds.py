"""Kinds of fields: what networks see of them, and what does not fit."""

import json

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data.kinds import check_fields
from jaxgan.errors import FieldError, UsageError
from jaxgan.experiment.data_facts import data_facts, example_to_json, read_example
from jaxgan.types import ExampleSpec, Field, image_example

F32, U8, I32 = (np.dtype(x) for x in (np.float32, np.uint8, np.int32))

ALL = ExampleSpec(
    picture=Field((1, 1, 2), U8, "image"),
    deep=Field((1, 1, 1), np.dtype(np.uint16), "image"),
    mask=Field((1, 1, 1), U8, "mask"),
    hole=Field((1, 1, 1), np.dtype(bool), "mask"),
    point=Field((2,), F32, "vector"),
    sound=Field((3, 1), np.dtype(np.int16), "waveform", rate=16_000),
    label=Field((), I32, "label", ("a", "b")),
    traits=Field((2,), U8, "attributes", ("smiles", "bald")),
    words=Field((2,), I32, "tokens", ("x", "y", "z")),
)
RAW = {
    "picture": np.array([[[[0, 255]]]], np.uint8),
    "deep": np.array([[[[65535]]]], np.uint16),
    "mask": np.array([[[[51]]]], np.uint8),
    "hole": np.array([[[[True]]]]),
    "point": np.array([[300.0, -2.0]], np.float32),
    "sound": np.array([[[-32768], [0], [16384]]], np.int16),
    "label": np.array([1], np.int32),
    "traits": np.array([[1, 0]], np.uint8),
    "words": np.array([[2, 0]], np.int32),
}
SEEN = {
    "picture": [-1, 1],
    "deep": [1],
    "mask": [0.2],
    "hole": [1],
    "point": [300, -2],
    "sound": [-1, 0, 0.5],
    "label": [1],
    "traits": [1, 0],
    "words": [2, 0],
}


def test_what_networks_see_of_each_kind():
    seen = data.normalize(RAW, ALL)
    assert list(seen) == list(ALL)
    for name, values in SEEN.items():
        np.testing.assert_allclose(seen[name].ravel(), values, rtol=1e-6)
        integers = name in ("label", "words")
        assert seen[name].dtype == (np.int32 if integers else np.float32), name
    # once more changes nothing
    again = data.normalize(seen, ALL)
    assert all(np.array_equal(again[name], seen[name]) for name in ALL)


def test_without_fields_only_the_image_is_scaled():
    batch = {"image": RAW["picture"], "mask": RAW["mask"]}
    seen = data.normalize(batch)
    assert seen["image"].ravel().tolist() == [-1, 1]
    assert seen["mask"] is RAW["mask"]


def test_the_first_field_is_generated():
    assert (ALL.generated, ALL.shape, ALL.classes) == ("picture", (1, 1, 2), ("a", "b"))
    with pytest.raises(FieldError, match="no field 'source' in the examples, but pic"):
        ALL["source"]


def test_a_set_of_all_kinds():
    dataset = data.from_fields("all", RAW, example=ALL, origin="here")
    # 2 + 2 + 1 + 1 + 8 + 6 + 2 + 8 bytes, without the label
    assert (dataset.size, dataset.nbytes) == (1, 30)
    line = data.format_values(dataset, data.measure_values(dataset))
    assert line.startswith("1 examples of 1x1x2 uint8, values from 0 to 255, mean 12")
    assert "; sound: 3x1 int16, values from -32768 to 16384" in line
    assert "; words: 2 int32" in line
    assert "label" not in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": np.zeros(1)}, "the fields are picture, .* but the arrays are"),
        ({"mask": np.zeros((2, 1, 1, 1), np.uint8)}, "mask has 2 examples and picture"),
        (
            {"mask": np.zeros((1, 2, 1, 1), np.uint8)},
            r"mask is promised as \[1, 1",
        ),
        ({"label": np.zeros(1, np.int64)}, r"label is promised as \[\] int32, but is"),
        (
            {"label": np.full(1, 2, np.int32)},
            "label has values from 2 to 2, and 2",
        ),
        (
            {"words": np.full((1, 2), -1, np.int32)},
            "words has values from -1 to -1",
        ),
    ],
)
def test_arrays_that_are_not_as_promised(change, message):
    with pytest.raises(UsageError, match=message):
        check_fields("all", ALL, RAW | change)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (
            Field((2,), U8, "picture"),
            "has the kind 'picture': choose from image, ",
        ),
        (
            Field((2,), U8, "image"),
            r"shape \[2\], and a field of kind image has the",
        ),
        (Field((2,), F32, "tokens"), "is float32, and a field of kind tokens is"),
    ],
)
def test_fields_that_no_kind_has(field, message):
    array = np.zeros((3, *field.shape), field.dtype)
    with pytest.raises(UsageError, match=message):
        check_fields("one", ExampleSpec(x=field), {"x": array})


def test_fields_survive_data_json(tmp_path):
    for example in (
        ALL,
        image_example((8, 8, 1), np.uint8, 3),
        image_example((2,), F32),
    ):
        facts = example_to_json(example)
        (tmp_path / "data.json").write_text(json.dumps({**facts, "size": 1}))
        again = read_example(tmp_path)
        assert again == example
        assert list(again) == list(example)
    # images and vectors have the facts that they always had
    assert list(facts) == ["shape", "dtype", "classes"]


@pytest.mark.parametrize(
    "change", [{"kind": "smell"}, {"dtype": "int64"}, {"shape": 3}]
)
def test_damaged_fields_in_data_json(tmp_path, change):
    facts = example_to_json(ALL)
    facts["fields"]["mask"] |= change
    (tmp_path / "data.json").write_text(json.dumps(facts))
    with pytest.raises(UsageError, match=r"data\.json is damaged: "):
        read_example(tmp_path)


def test_the_fingerprint_reads_all_fields():
    def of(**change):
        arrays = RAW | change
        return data_facts(data.from_fields("all", arrays, example=ALL, origin=""))

    assert of() == of()
    for name, array in RAW.items():
        # other values that have names
        other = np.zeros_like(array) if array.any() else array + 1
        assert of(**{name: other})["fingerprint"] != of()["fingerprint"], name
