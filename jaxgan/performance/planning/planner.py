"""Plans a run on one slice, or in a table over several."""

import dataclasses
import io
import json
import logging
from pathlib import Path
from typing import Any

from jaxgan import data
from jaxgan.config.planning import PlanConfig
from jaxgan.config.training import Config
from jaxgan.errors import UsageError, printable
from jaxgan.experiment import setup
from jaxgan.experiment.setup import apply_batch_per_device
from jaxgan.files import atomic_write
from jaxgan.gan import builder
from jaxgan.gan.flag_texts import without_labels
from jaxgan.performance.planning import remedies, sweep
from jaxgan.performance.planning.checks import fits
from jaxgan.performance.planning.chips import Slice, find
from jaxgan.performance.planning.compiling import (
    DoesNotFit,
    Step,
    compile_step,
    dataset_of,
    layout_on,
)
from jaxgan.performance.planning.summary import figures, format_step, mib

log = logging.getLogger("jaxgan")


def plan(question: PlanConfig) -> int:
    """Prints the plan and returns the exit code, 1 if the run does not fit."""
    # Check all names before anything is compiled.
    slices = [find(name, question.slices) for name in question.topologies]
    # As in training, which would refuse them too.
    setup.check_runs(question.config)
    setup.check_eval_every(question.config)
    builder.check_texts(question.config)
    dataset = dataset_of(question)
    config = without_labels(question.config, dataset.example)
    builder.check_dataset(config, dataset)
    question = question._replace(config=config)
    if question.sizes:
        return over_slices(question, slices, dataset)
    answer, fit = one(config, slices[0], dataset)
    write_json(answer, question)
    return 0 if fit else 1


def one(
    config: Config, slice_: Slice, dataset: data.Dataset
) -> tuple[dict[str, Any], bool]:
    """Prints the plan for a slice; returns its figures, and True if it fits."""
    answer: dict[str, Any] = {"topology": slice_.name, "slices": slice_.count}
    answer["fits"] = False
    try:
        step = compile_step(config, dataset, slice_)
    except DoesNotFit as error:
        print(f"{slice_.title}: the compiler ran out of memory")
        print(f"memory per device: DOES NOT FIT, {error}")
    else:
        for line in format_step(step, slice_):
            print(printable(line))
        answer = figures(step, slice_)
        if fits(step, slice_):
            return answer, True
    # It does not fit, so search for flags with which it does.
    return answer | {"tried": suggest_remedies(config, slice_, dataset)}, False


def suggest_remedies(
    config: Config, slice_: Slice, dataset: data.Dataset
) -> list[dict[str, Any]]:
    """Tries flags that save memory; prints and returns the results."""
    print("trying flags that save memory:", flush=True)

    def compile_(changed: Config) -> Step:
        return compile_step(changed, dataset, slice_)

    # Only the last one that was tried can fit.
    tried = remedies.search(plan_one_slice(config, slice_), slice_, compile_)
    best = tried[-1] if tried else None
    if best and best.step:
        print(f"it fits with {best.flags}: {mib(best.needed)} of {mib(slice_.limit)}")
    else:
        print("none of these makes it fit: use narrower networks")
    return [
        {"flags": x.flags, "bytes": x.needed, "fits": x.step is not None} for x in tried
    ]


def plan_one_slice(config: Config, slice_: Slice) -> Config:
    """Converts a batch size per device to that of all devices, to make it smaller."""
    whole = apply_batch_per_device(config, layout_on(config, slice_))
    return dataclasses.replace(whole, batch_per_device=0)


def over_slices(
    question: PlanConfig, slices: list[Slice], dataset: data.Dataset
) -> int:
    """Prints the table over slices and batch sizes, and draws its plot."""
    rows = sweep.rows(question.config, slices, question.sizes, dataset)
    if not rows:
        raise UsageError(
            "--sweep: nothing could be compiled; the lines above have the reasons"
        )
    for line in sweep.table(rows):
        print(line)
    if question.out:
        from jaxgan.performance.planning.plot import draw

        # Draw to memory first, as the file is replaced in one step.
        picture = io.BytesIO()
        draw({question.config.preset: rows}, picture)
        _write("out", question.out, picture.getvalue())
        log.info("wrote %s", question.out)
    write_json({"rows": rows}, question)
    return 0


def write_json(answer: dict[str, Any], question: PlanConfig) -> None:
    """Writes the figures and the flags to the file of `--json`, if there is one."""
    if question.json:
        content = {"flags": list(question.flags), **answer}
        text = json.dumps(content, indent=1) + "\n"
        _write("json", question.json, text.encode())


def _write(flag: str, path: Path, content: bytes) -> None:
    """Writes a file; errors name its flag."""
    try:
        atomic_write(path, content)
    except OSError as error:
        raise UsageError(
            f"--{flag}={path} cannot be written ({error.strerror or error})"
        ) from error
