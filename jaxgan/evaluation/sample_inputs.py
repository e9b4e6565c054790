"""The inputs of samples: checks of a run, and labels and examples to generate from."""

import jax.numpy as jnp
import numpy as np

from jaxgan.config.sampling import SampleConfig
from jaxgan.errors import UsageError
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.gan import builder
from jaxgan.ranges import ceil_div
from jaxgan.spec import unknown
from jaxgan.types import Batch, ExampleSpec


def check_label(config: SampleConfig, run: Run) -> None:
    """Raises UsageError if a class is asked for of an unconditional run."""
    if config.label and "label" not in run.gan.task.inputs:
        raise UsageError(
            f"--label={config.label}: this run is unconditional, "
            f"--task={run.config.task} reads no labels: remove --label, or train with "
            "--preset=projection"
        )


def labels_of(config: SampleConfig, run: Run) -> np.ndarray | None:
    """Returns the labels of samples, `[n]`, or None of an unconditional run.

    Raises:
      UsageError: if there is no class of the name that is asked for.
    """
    if "label" not in run.gan.task.inputs:
        return None
    # Labels repeat in the order of the batch, as its examples do.
    batch = conditioning_batch(config, run.example)
    return np.resize(np.asarray(batch["label"]), config.n)


def check_inputs(gan: builder.GAN, name: str) -> None:
    """Raises UsageError if samples depend on more than noise and labels."""
    if gan.task.transform is not None:
        raise UsageError(
            f"--task={name} maps its inputs, and draws no samples: use python -m "
            "jaxgan.apply --workdir=RUN IN OUT with files of yours"
        )
    others = [field for field in gan.task.inputs if field != "label"]
    if others:
        raise UsageError(
            f"--task={name} needs {', '.join(others)} to sample from, which "
            "this program cannot read: use jaxgan.load_run(...).gan.sample with a batch"
        )


def conditioning_batch(config: SampleConfig, example: ExampleSpec) -> Batch:
    """Returns the examples to generate from: one class, or all of them in turn.

    Raises:
      UsageError: if there is no class of that name.
    """
    names = list(example.classes)
    turn = max(len(names), 1)
    count = ceil_div(min(config.n, AT_ONCE), turn) * turn  # each class equally often
    batch = builder.example_batch(example, count)
    if not config.label:
        return batch
    if config.label not in names:
        raise UsageError(f"--label: {unknown(config.label, names, 'class')}")
    return {**batch, "label": jnp.full(count, names.index(config.label), jnp.int32)}
