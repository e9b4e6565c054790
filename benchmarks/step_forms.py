"""Forms of a step on a TPU: one or two calls of the discriminator, and its messages.

    python benchmarks/step_forms.py --out=benchmarks/results/step_forms.json

compiles whole steps for a slice (`pip install 'jaxgan[tpu]'`) with the discriminator
called for real examples and for samples, as they are, and with one call of a doubled
batch. Each row has the compiler's cycles and all messages between chips in the order of
its schedule. Nothing is measured on a TPU.
"""

import argparse
import json
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp

from jaxgan.config.planning import PlanConfig
from jaxgan.config.resolve import make_config
from jaxgan.gan import objective
from jaxgan.performance.hlo import parser
from jaxgan.performance.hlo.trip_counts import visits
from jaxgan.performance.planning import compiling
from jaxgan.performance.planning.chips import find
from jaxgan.performance.planning.settings import set_environment

CASES = "dcgan:28x28x1:16,dcgan:28x28x1:128,default:28x28x1:16,default:28x28x1:128"


def joined(d: Any, see: Any, samples: Any, condition: Any) -> tuple[Any, Any]:
    """Calls the discriminator once for real examples and samples."""
    both = jax.tree.map(
        lambda *x: jnp.concatenate(x),
        (see(samples.real), condition),
        (see(samples.fake), condition),
    )
    output = d(*both)
    half = len(jax.tree.leaves(output)[0]) // 2
    parts = (slice(None, half), slice(half, None))
    real, fake = (jax.tree.map(lambda x, p=p: x[p], output) for p in parts)
    return real, fake


FORMS = {"two calls": objective.judge, "one call": joined}


def messages(text: str) -> list[dict[str, Any]]:
    """Returns the all-reduces of a program in the order of its schedule.

    An operation is `all-reduce-start` or `all-reduce-done` if it may overlap.
    """
    lines = (visit.instruction for visit in visits(parser.parse(text)))
    return [
        {
            "operation": line.opcode,
            "arrays": len(line.shapes),
            "bytes": sum(shape.nbytes for shape in line.shapes),
        }
        for line in lines
        if line.opcode.startswith("all-reduce")
    ]


def row_of(case: str, form: str, topology: str) -> dict[str, Any]:
    """Compiles a step and returns its figures."""
    preset, shape, batch = case.split(":")
    flags = {"preset": preset, "batch_per_device": int(batch), "precision": "mixed"}
    config = make_config(**flags)
    shapes = {"image": tuple(map(int, shape.split("x")))}
    dataset = compiling.dataset_of(PlanConfig(config, (topology,), shapes))
    slice_ = find(topology)
    with mock.patch.object(objective, "judge", FORMS[form]):
        step = compiling.compile_step(config, dataset, slice_)
    assert slice_.chip is not None
    return {
        "preset": preset,
        "shape": shape,
        "batch": int(batch),
        "topology": topology,
        "form": form,
        "cycles_us": 1e6 * step.work.cycles / slice_.chip.clock,
        "hbm_bytes": step.work.hbm,
        "messages": messages(step.text),
    }


def main() -> None:
    """Compiles all cases in all forms, and writes the file after each."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--cases", default=CASES, help="preset:shape:batch per chip")
    flags.add_argument("--topology", default="v5e:2x2")
    flags.add_argument("--out", required=True)
    args = flags.parse_args()
    set_environment((args.topology,))
    rows = []
    for case in args.cases.split(","):
        for form in FORMS:
            rows.append(row_of(case, form, args.topology))
            Path(args.out).write_text(json.dumps(rows, indent=1) + "\n")
            shown = {k: x for k, x in rows[-1].items() if k != "messages"}
            print(shown, len(rows[-1]["messages"]), flush=True)


if __name__ == "__main__":
    main()
