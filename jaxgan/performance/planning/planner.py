"""Answers what a run would take: one slice, or a table over several."""

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
from jaxgan.files import atomic_write
from jaxgan.gan import builder
from jaxgan.performance.planning import remedies, sweep
from jaxgan.performance.planning.checks import fits
from jaxgan.performance.planning.chips import Slice, find
from jaxgan.performance.planning.compiling import (
    DoesNotFit,
    Step,
    compile_step,
    dataset_of,
)
from jaxgan.performance.planning.summary import figures, format_step, mib

log = logging.getLogger("jaxgan")


def plan(question: PlanConfig) -> int:
    """Prints the answer; returns the exit code, 1 if the run does not fit."""
    slices = [find(name) for name in question.topologies]
    builder.check_texts(question.config)
    dataset = dataset_of(question)
    if question.sizes:
        return over_slices(question, slices, dataset)
    answer, fit = one(question.config, slices[0], dataset)
    write_json(answer, question)
    return 0 if fit else 1


def one(
    config: Config, slice_: Slice, dataset: data.Dataset
) -> tuple[dict[str, Any], bool]:
    """The plan for a slice, printed; as figures; and whether it fits."""
    answer: dict[str, Any] = {"topology": slice_.name, "fits": False}
    try:
        step = compile_step(config, dataset, slice_)
    except DoesNotFit as error:
        print(f"{slice_.name}: the compiler gives up")
        print(f"memory per device: DOES NOT FIT, {error}")
    else:
        for line in format_step(step, slice_):
            print(printable(line))
        answer = figures(step, slice_)
        if fits(step, slice_):
            return answer, True
    return answer | {"tried": suggest_remedies(config, slice_, dataset)}, False


def suggest_remedies(
    config: Config, slice_: Slice, dataset: data.Dataset
) -> list[dict[str, Any]]:
    """Tries what would make a run fit, and says what does."""
    print("looking for what would help:", flush=True)

    def compile_(changed: Config) -> Step:
        return compile_step(changed, dataset, slice_)

    tried = remedies.search(plan_one_slice(config, slice_), slice_, compile_)
    best = tried[-1] if tried else None
    if best and best.step:
        print(f"it fits with {best.flags}: {mib(best.needed)} of {mib(slice_.limit)}")
    else:
        print("nothing that was tried makes it fit: take narrower networks")
    return [
        {"flags": x.flags, "bytes": x.needed, "fits": x.step is not None} for x in tried
    ]


def plan_one_slice(config: Config, slice_: Slice) -> Config:
    """The config with the batch over all devices, so that it can be made smaller."""
    if not config.batch_per_device or config.runs > 1:
        return config
    count = config.devices or len(slice_.devices)
    size = config.batch_per_device * count
    return dataclasses.replace(config, batch_size=size, batch_per_device=0)


def over_slices(
    question: PlanConfig, slices: list[Slice], dataset: data.Dataset
) -> int:
    """The table over slices and batch sizes, and its plot."""
    rows = sweep.rows(question.config, slices, question.sizes, dataset)
    if not rows:
        raise UsageError("--sweep: nothing of it could be compiled")
    for line in sweep.table(rows):
        print(line)
    if question.out:
        from jaxgan.performance.planning.plot import draw

        picture = io.BytesIO()
        draw({question.config.preset: rows}, picture)
        _write("out", question.out, picture.getvalue())
        log.info("drawn: %s", question.out)
    write_json({"rows": rows}, question)
    return 0


def write_json(answer: dict[str, Any], question: PlanConfig) -> None:
    """Writes the figures, if that was asked for."""
    if question.json:
        said = {"flags": list(question.said)}
        text = json.dumps(said | answer, indent=1) + "\n"
        _write("json", question.json, text.encode())


def _write(flag: str, path: Path, content: bytes) -> None:
    try:
        atomic_write(path, content)
    except OSError as error:
        raise UsageError(
            f"--{flag}={path} cannot be written ({error.strerror or error})"
        ) from error
