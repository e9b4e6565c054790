"""The inputs of samples: checks of a run, conditions, and keys to generate from."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config.conditions import (
    NONE,
    category_of,
    class_number,
    class_numbers,
    parse_attributes,
    sheet_rows,
)
from jaxgan.config.sampling import MAX_IN_GRID, SampleConfig
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.experiment.data_facts import read_combinations
from jaxgan.gan import builder
from jaxgan.gan.objective import example_keys
from jaxgan.networks.conditions import DROPPED
from jaxgan.parallel import multi_seed
from jaxgan.ranges import ceil_div
from jaxgan.types import Batch, ExampleSpec

CONDITIONS = ("label", "attributes")
"""Fields that samples may depend on beside noise."""


class Inputs(NamedTuple):
    """The inputs of all samples."""

    batch: Batch
    """Examples to generate from, repeated if there are fewer than samples."""
    count: int
    """Number of samples."""
    columns: int = 0
    """Samples in a row of one condition, whose keys all rows have; 0 if there is no row
    per condition."""
    field: str = ""
    """The field of the condition, empty if there is none."""

    def keys(self, seed: int) -> jax.Array:
        """Returns the keys of all samples of a seed, `[n]`."""
        keys = example_keys(multi_seed.key_of(seed), self.columns or self.count)
        return keys[jnp.arange(self.count) % self.columns] if self.columns else keys

    @property
    def conditions(self) -> np.ndarray | None:
        """Labels `[n]` int32, or attributes `[n, k]` float32; None without them."""
        if not self.field:
            return None
        # Conditions repeat in the order of the batch, as its examples do.
        own = np.asarray(self.batch[self.field])
        return own[np.arange(self.count) % len(own)]


def check_inputs(gan: builder.GAN, name: str) -> None:
    """Raises UsageError if samples depend on more than noise and a condition."""
    if gan.task.transform is not None:
        raise UsageError(
            f"--task={name} maps its inputs, and draws no samples: use python -m "
            "jaxgan.apply --workdir=RUN IN OUT with files of yours"
        )
    others = [field for field in gan.task.inputs if field not in CONDITIONS]
    if others:
        raise UsageError(
            f"--task={name} needs {', '.join(others)} to sample from, which "
            "this program cannot read: use jaxgan.load_run(...).gan.sample with a batch"
        )


def or_train(example: ExampleSpec, field: str = "label") -> str:
    """Returns the end of an advice: how to train for samples of labels or attributes.

    Args:
      example: the fields of an example, of which the first is generated.
      field: the condition, `label` or `attributes`.

    >>> from jaxgan.types import image_example
    >>> or_train(image_example((8, 8, 1)))
    ', or train with --preset=projection'
    """
    kind = example[example.generated].kind
    if kind == "tokens":
        return "; texts have no labels"
    if kind == "waveform":
        return ", or train with --preset=wavegan or specgan on sub-folders per class"
    train = "--preset=projection" if field == "label" else "--task=conditional"
    return f", or train with {train}"


def check_label(config: SampleConfig, run: Run) -> None:
    """Raises UsageError if a condition is asked for that the run does not read."""
    inputs, asked = run.gan.task.inputs, config.conditions
    # `none` is for both kinds of conditions.
    is_hidden = config.label == NONE and "attributes" in inputs
    for flag, text, field in (
        ("label", "" if is_hidden else config.label, "label"),
        ("labels", asked.labels, "label"),
        ("attributes", asked.attributes, "attributes"),
        ("sheet", asked.sheet, "attributes"),
    ):
        if not text or field in inputs:
            continue
        if not set(CONDITIONS) & set(inputs):
            kinds = "labels" if field == "label" else "attributes"
            raise UsageError(
                f"--{flag}={printable(text)}: this run is unconditional, "
                f"--task={run.config.task} reads no {kinds}: remove --{flag}"
                f"{or_train(run.example, field)}"
            )
        other = "--attributes or --sheet" if field == "label" else "--label or --labels"
        reads = "attributes" if field == "label" else "labels"
        raise UsageError(
            f"--{flag}={printable(text)}: this run is conditional on {reads}: use "
            f"{other}"
        )
    if config.rejection.reject != "none" and (asked.rows or "attributes" in inputs):
        what = asked.rows or f"--task={run.config.task} with attributes"
        raise UsageError(
            f"--reject={config.rejection.reject} does not work with {what}: use "
            "--reject=none"
        )


def inputs_of(config: SampleConfig, run: Run) -> Inputs:
    """Returns the inputs of the samples of a run.

    Args:
      config: has the conditions that are asked for.
      run: a run whose samples depend on noise, and on a label or attributes at most.

    Raises:
      UsageError: for conditions that there are not, or too many samples.
    """
    field = condition_of(run)
    batch, columns, count = conditioning_batch(config, run.example), 0, config.n
    if config.label == NONE or config.conditions.attributes == NONE:
        _check_drops(config, run)
    if field == "attributes":
        batch = {**batch, field: jnp.asarray(_attributes(config, run))}
    if config.conditions.rows:
        rows = _label_rows(config, run) if field == "label" else _sheet(config, run)
        columns, count = config.n, len(rows)
        batch = {**builder.example_batch(run.example, 1), field: jnp.asarray(rows)}
    if count > MAX_IN_GRID and config.out.suffix == ".png":
        raise UsageError(
            f"--n={config.n} with {count // config.n} rows: a picture has at most "
            f"{MAX_IN_GRID:,} samples: use a smaller --n"
        )
    return Inputs(batch, count, columns, field)


def condition_of(run: Run) -> str:
    """Returns the field of the condition of a run's samples, empty without one."""
    return next((x for x in CONDITIONS if x in run.gan.task.inputs), "")


def names_of(example: ExampleSpec, field: str) -> tuple[str, ...]:
    """Returns the names of classes or of attributes, () without a condition."""
    return example[field].names if field else ()


def labels_of(config: SampleConfig, run: Run) -> np.ndarray | None:
    """Returns the conditions of samples, see `Inputs.conditions`.

    Raises:
      UsageError: for conditions that there are not.
    """
    return inputs_of(config, run).conditions


def conditioning_batch(config: SampleConfig, example: ExampleSpec) -> Batch:
    """Returns the examples to generate from: one class, or all of them in turn.

    Raises:
      UsageError: if there is no class of that name or number.
    """
    names = list(example.classes)
    turn = max(len(names), 1)
    count = ceil_div(min(config.n, AT_ONCE), turn) * turn  # each class equally often
    batch = builder.example_batch(example, count)
    if not config.label or not names:
        return batch
    is_hidden = config.label == NONE and NONE not in names
    number = DROPPED if is_hidden else class_number(config.label, names)
    return {**batch, "label": jnp.full(count, number, jnp.int32)}


def attributes_in_turn(run: Run) -> np.ndarray:
    """Returns attributes of real examples, `[m, k]` float32.

    Of a run of an earlier version, which did not keep any, it is a single row of the
    first value of each category, and of no other attribute.
    """
    names = run.example["attributes"].names
    known = read_combinations(run.folder, len(names))
    if len(known):
        return known
    first = {category_of(x, names)[0] for x in names if category_of(x, names)}
    return np.array([[float(i in first) for i in range(len(names))]], np.float32)


def _attributes(config: SampleConfig, run: Run) -> np.ndarray:
    """Returns the attributes to generate from, `[m, k]` float32.

    Attributes that are not asked for are those of real examples that have the others,
    or of all examples if none has.
    """
    names, known = run.example["attributes"].names, attributes_in_turn(run)
    text = config.conditions.attributes or config.label
    if not text:
        return known
    if text == NONE:
        return np.zeros_like(known[:1])
    return _changed(known, parse_attributes(text, names))


def _changed(known: np.ndarray, asked: dict[int, int]) -> np.ndarray:
    """Returns the rows with given attributes; all rows, changed, if none has them."""
    places = list(asked)
    values = np.array([asked[i] for i in places], np.float32)
    fitting = known[(known[:, places] == values).all(1)]
    changed = (fitting if len(fitting) else known).copy()
    changed[:, places] = values
    return changed


def _sheet(config: SampleConfig, run: Run) -> np.ndarray:
    """Returns the attributes of all rows of a sheet, one after the other, `[n, k]`."""
    names, base = run.example["attributes"].names, _attributes(config, run)
    # The same other attributes in each row.
    base = base[np.arange(config.n) % len(base)]
    parts = []
    for changes in sheet_rows(config.conditions.sheet, names):
        part = base.copy()
        part[:, list(changes)] = list(changes.values())
        parts.append(part)
    return np.concatenate(parts)


def _label_rows(config: SampleConfig, run: Run) -> np.ndarray:
    """Returns the labels of all rows, one after the other, `[n]` int32."""
    rows = np.array(class_numbers(config.conditions.labels, run.example.classes))
    if DROPPED in rows:
        _check_drops(config, run)
    return np.repeat(rows, config.n).astype(np.int32)


def _check_drops(config: SampleConfig, run: Run) -> None:
    """Raises UsageError if a run has not learned to draw without a condition."""
    if config.label in run.example.classes or run.gan.task.augment is not None:
        return
    raise UsageError(
        "this run was not trained without a condition: leave out none, or train with "
        "--task='conditional(100, drop=0.1)'"
    )
