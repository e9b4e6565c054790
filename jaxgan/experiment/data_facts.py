"""The facts of a run's data in data.json, for sampling and for resumed runs."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxgan import data, workdir
from jaxgan.data.shuffle import evenly
from jaxgan.errors import UsageError, printable
from jaxgan.networks.conditions import condition_field
from jaxgan.types import ExampleSpec, Field, image_example

KEY = "combinations"
"""The name of the attributes of some examples."""
COMBINATIONS = 256
"""Largest number of examples whose attributes are kept."""


def data_facts(dataset: data.Dataset) -> dict[str, Any]:
    """Returns the content of data.json, which sampling and a resumed run read."""
    return {
        **example_to_json(dataset.example),
        "size": dataset.size,
        "fingerprint": data.fingerprint(dataset),
        **_attributes(dataset),
    }


def _attributes(dataset: data.Dataset) -> dict[str, list[str]]:
    """Returns the attributes of some examples, as texts of 0 and 1, if there are any.

    They are the combinations that samples are drawn for.
    """
    field = condition_field(dataset.example)
    if field is None or dataset.example[field].kind != "attributes":
        return {}
    # In a random order, as data are often sorted.
    order = np.random.default_rng(0).permutation(min(dataset.size, COMBINATIONS))
    numbers = evenly(dataset.size, COMBINATIONS)[order]
    read = dataset.attributes or (lambda some: dataset.read(some)[field])
    values = np.asarray(read(numbers)) > 0.5
    return {KEY: ["".join("01"[x] for x in row) for row in values.astype(int)]}


def read_combinations(folder: Path, count: int) -> np.ndarray:
    """Reads the attributes of some examples from data.json.

    Args:
      folder: of the run.
      count: number of attributes.

    Returns:
      `[m, count]` float32 of 0 and 1; no rows of a run of an earlier version.

    Raises:
      UsageError: if the file is missing or damaged.
    """
    rows = workdir.read_data(folder).get(KEY, [])
    whole = isinstance(rows, list) and all(
        isinstance(x, str) and len(x) == count and set(x) <= {"0", "1"} for x in rows
    )
    if not whole:
        raise UsageError(
            f"{printable(str(folder / 'data.json'))} is damaged: {KEY} are not texts "
            f"of {count} times 0 or 1; restore its backup"
        )
    table = np.array([list(row) for row in rows], np.float32)
    return table.reshape(len(rows), count)


def example_to_json(example: ExampleSpec) -> dict[str, Any]:
    """Returns the fields of an example as JSON values.

    `shape` and `dtype` are those of the first field, `classes` those of the label.
    `fields` has all fields unless these facts are enough.
    """
    facts: dict[str, Any] = {
        "shape": list(example.shape),
        "dtype": str(example.dtype),
        "classes": list(example.classes),
    }
    if example != image_example(example.shape, example.dtype, example.classes):
        facts["fields"] = {
            name: {**field._asdict(), "dtype": str(field.dtype)}
            for name, field in example.items()
        }
    return facts


def read_example(folder: Path) -> ExampleSpec:
    """Reads the fields of an example from data.json.

    Raises:
      UsageError: if the file is missing or damaged.
    """
    return example_from_json(workdir.read_data(folder), folder / "data.json")


def example_from_json(facts: dict[str, Any], file: Path) -> ExampleSpec:
    """Returns the fields of an example from their JSON values.

    Args:
      facts: as by `example_to_json`.
      file: their place, for errors.

    Raises:
      UsageError: naming `file`, if a fact is missing or invalid.
    """
    try:
        example = image_example(facts["shape"], facts["dtype"], facts["classes"])
        if "fields" in facts:
            fields = facts["fields"].items()
            example = ExampleSpec({name: _field(x) for name, x in fields})
        return _known(example)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{printable(str(file))} is damaged: {error}; restore its backup"
        ) from error


def _field(facts: dict[str, Any]) -> Field:
    """Returns a field from its JSON values."""
    return Field(
        tuple(map(int, facts["shape"])),
        np.dtype(facts["dtype"]),
        facts["kind"],
        tuple(map(str, facts["names"])),
        int(facts["rate"]),
    )


def _known(example: ExampleSpec) -> ExampleSpec:
    """Returns the example; raises ValueError for kinds and dtypes that do not exist."""
    if not example:
        raise ValueError("there are no fields")
    for name, field in example.items():
        if field.kind not in data.KINDS:
            raise ValueError(f"{name} has the kind {field.kind!r}")
        known = data.KINDS[field.kind].dtypes
        if str(field.dtype) not in known:
            raise ValueError(f"dtype is {field.dtype}, not one of {', '.join(known)}")
    return example
