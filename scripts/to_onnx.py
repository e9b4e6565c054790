"""Writes the generator of an export as an ONNX file, and compares it with jaxgan.

    python -m jaxgan.export --workdir=runs/1 --format=npz --out=exported
    python scripts/to_onnx.py exported generator.onnx

jax2onnx needs an older Orbax than jaxgan, which this script never calls. It runs in an
environment of its own, with jaxgan from this checkout and without its dependencies:

    python -m venv onnx
    onnx/bin/pip install jax2onnx==0.17.1 onnxruntime scipy pillow psutil matplotlib
    PYTHONPATH=. onnx/bin/python scripts/to_onnx.py exported generator.onnx

The inputs are those of the format `stablehlo`: `latents` and perhaps `label`, or the
picture that is mapped. Their first axis is a batch of any size.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import partial_eval

from jaxgan.config.resolve import config_from_json
from jaxgan.evaluation.load_run import Run
from jaxgan.networks.ops.platform import compiling_for
from jaxgan.sharing.export.generator import Generator, generator_of
from jaxgan.sharing.export.loading import load_exported
from jaxgan.sharing.export.stablehlo import example_inputs

MOST = 1e-5
"""Maximum difference to jaxgan of a sample in [-1, 1]."""

KEY = jax.random.key(0)
CHECKED = (3, 5)
"""Sizes of the batches that are compared."""


def convert(folder: Path, out: Path) -> tuple[Generator, Any]:
    """Writes the file, and returns the generator and its weights."""
    from jax2onnx import to_onnx

    model = load_exported(folder)
    config = config_from_json(model.facts["flags"])
    generator = generator_of(Run(folder, config, model.example, model.gan))
    variables = jax.tree.map(jnp.asarray, model.variables.generator)

    def generate(*inputs: jax.Array) -> jax.Array:
        return without_keys(
            lambda *x: generator.apply(variables, jax.random.split(KEY, 1), *x), inputs
        )

    shapes = [
        jax.ShapeDtypeStruct(("B", *x.shape), x.dtype)
        for x in generator.inputs.values()
    ]
    # Plain convolutions, which ONNX has.
    with compiling_for("onnx"):
        to_onnx(
            generate,
            shapes,
            input_names=list(generator.inputs),
            output_names=["samples"],
            return_mode="file",
            output_path=str(out),
        )
    return generator, variables


def without_keys(function: Callable[..., jax.Array], inputs: Sequence[Any]) -> Any:
    """Calls a function without what its result does not depend on, as unused latents.

    ONNX has no PRNG keys, and jax2onnx converts unused operations too.
    """
    traced = jax.make_jaxpr(function)(*inputs)
    needed, _ = partial_eval.dce_jaxpr(traced.jaxpr, [True], instantiate=True)
    used = {id(x) for x in needed.constvars}
    pairs = zip(traced.jaxpr.constvars, traced.consts, strict=True)
    constants = [value for variable, value in pairs if id(variable) in used]
    [samples] = jax.core.eval_jaxpr(needed, constants, *inputs)
    return samples


def difference(generator: Generator, variables: Any, file: Path) -> float:
    """Returns the largest difference of the file's samples to those of jaxgan."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file))
    found = []
    for count in CHECKED:
        inputs = example_inputs(generator, count)
        expected = jax.jit(generator.batched)(variables, *inputs.values())
        [samples] = session.run(None, inputs)
        found.append(np.abs(np.asarray(expected) - samples).max())
    return float(max(found))


def main(argv: Sequence[str]) -> int:
    """Converts an export. Returns the exit code: 1 if the samples differ."""
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder, out = map(Path, argv)
    if out.exists():
        print(f"error: {out} exists: use another name", file=sys.stderr)
        return 2
    generator, variables = convert(folder, out)
    largest = difference(generator, variables, out)
    print(f"{out}: {out.stat().st_size:,} bytes, largest difference {largest:.2g}")
    return int(largest > MOST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
