"""Exports a generator as a StableHLO program, which needs jax alone."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxgan.errors import UsageError
from jaxgan.networks.ops.platform import ANY, compiling_for
from jaxgan.sharing.export.bundle import Bundle
from jaxgan.sharing.export.generator import Generator
from jaxgan.types import Tree

PLATFORMS = ("cpu", "cuda", "tpu")
"""Platforms of an exported program."""

PROGRAM, LATENTS, RUNNER = "generator.stablehlo", "latents.stablehlo", "run.py"
"""Names of the files."""

EXAMPLES = 4
"""Examples whose inputs and samples are kept, to compare with."""


def write(folder: Path, bundle: Bundle) -> list[str]:
    """Writes the programs, a script that runs them, and examples.

    Args:
      folder: for the files.
      bundle: the run and its weights.

    Returns:
      Names of the files.

    Raises:
      UsageError: if the generator is no function of arrays.
    """
    generator = bundle.generator
    files = {
        PROGRAM: program(generator, bundle.variables.generator),
        RUNNER: runner(generator).encode(),
        "example.npz": examples(generator, bundle.variables.generator),
    }
    if generator.latents is not None:
        files[LATENTS] = program_of_latents(generator)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return sorted(files)


def check_library() -> None:
    """Raises UsageError unless jax can write programs."""
    try:
        import flatbuffers  # noqa: F401
    except ImportError:
        raise UsageError(
            "--format=stablehlo needs the library flatbuffers: pip install "
            "'jaxgan[export]'"
        ) from None


def program(generator: Generator, variables: Tree) -> bytes:
    """Returns a program of the inputs `[B, ...]`, with the weights in it.

    It has a symbolic batch, and for each platform the fastest form of each layer.
    """

    def generate(*inputs):
        return generator.batched(variables, *inputs)

    return _serialized(generate, generator.inputs.values())


def program_of_latents(generator: Generator) -> bytes:
    """Returns a program of (seed `[]` uint32, numbers `[B]` int32) to latents."""
    draw = generator.latents
    assert draw is not None
    many = jax.vmap(draw, (None, 0))
    (batch,) = export.symbolic_shape("b")
    shapes = (_struct((), jnp.uint32), _struct((batch,), jnp.int32))
    return _exported(many, shapes)


def _serialized(function: Any, inputs: Any) -> bytes:
    """Returns the program of a function of inputs, whose shapes are of one example."""
    (batch,) = export.symbolic_shape("b")
    return _exported(function, [_struct((batch, *x.shape), x.dtype) for x in inputs])


def _exported(function: Any, shapes: Sequence[jax.ShapeDtypeStruct]) -> bytes:
    with compiling_for(ANY):
        made = export.export(jax.jit(function), platforms=PLATFORMS)(*shapes)
    return bytes(made.serialize())


def _struct(shape: tuple[Any, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def examples(generator: Generator, variables: Tree) -> bytes:
    """Returns an .npz of a few inputs and the `samples` made of them."""
    inputs = example_inputs(generator, EXAMPLES)
    samples = jax.jit(generator.batched)(variables, *inputs.values())
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **inputs, samples=np.asarray(samples))
    return file.getvalue()


def example_inputs(generator: Generator, count: int) -> dict[str, np.ndarray]:
    """Returns inputs `[count, ...]`: the latents of seed 0, and others at random."""
    rng = np.random.default_rng(0)
    inputs: dict[str, np.ndarray] = {}
    for name, x in generator.inputs.items():
        if name == "latents" and generator.latents is not None:
            numbers = jnp.arange(count, dtype=jnp.int32)
            draw = jax.jit(jax.vmap(generator.latents, (None, 0)))
            inputs[name] = np.asarray(draw(jnp.uint32(0), numbers))
        elif jnp.issubdtype(x.dtype, jnp.integer):  # labels
            inputs[name] = np.zeros((count, *x.shape), x.dtype)
        elif name in ("mask", "attributes"):
            drawn = rng.uniform(size=(count, *x.shape)) < 0.5
            inputs[name] = drawn.astype(np.float32)
        else:
            drawn = rng.uniform(-1, 1, (count, *x.shape))
            inputs[name] = drawn.astype(np.float32)
    return inputs


_HEAD = '''\
"""{purpose}

    pip install jax flatbuffers numpy
    {usage}

Written by jaxgan, which is not needed here. {output}
"""

import sys
from pathlib import Path

import numpy as np
from jax import export

here = Path(__file__).parent
'''

_FROM_LATENTS = """\
seed = int(sys.argv[1]) if sys.argv[1:] else 0
numbers = np.arange(16, dtype=np.int32)
latents = export.deserialize(bytearray((here / "latents.stablehlo").read_bytes()))
z = latents.call(np.uint32(seed), numbers)
generator = export.deserialize(bytearray((here / "generator.stablehlo").read_bytes()))
samples = np.asarray(generator.call(z{more}))
np.save("samples.npy", samples)
print(f"{{samples.shape}} {{samples.dtype}} in samples.npy")
"""

_FROM_INPUTS = """\
inputs = np.load(sys.argv[1] if sys.argv[1:] else here / "example.npz")
generator = export.deserialize(bytearray((here / "generator.stablehlo").read_bytes()))
outputs = np.asarray(generator.call({names}))
np.save("outputs.npy", outputs)
print(f"{{outputs.shape}} {{outputs.dtype}} in outputs.npy")
"""


def runner(generator: Generator) -> str:
    """Returns a script that runs the programs with jax and NumPy alone."""
    if generator.latents is None:
        shapes = described(generator.inputs)
        return _HEAD.format(
            purpose="Maps the arrays of an .npz file.",
            usage="python run.py INPUTS.npz",
            output=textwrap.fill(f"INPUTS.npz has {shapes}.", 84).strip(),
        ) + _FROM_INPUTS.format(
            names=", ".join(f'inputs["{name}"]' for name in generator.inputs)
        )
    more = ""
    for name, x in generator.inputs.items():
        if name == "label":
            more += ", np.zeros(16, np.int32)"
        elif name != "latents":
            more += f", np.zeros((16, *{x.shape}), np.{x.dtype})"
    return _HEAD.format(
        purpose="Draws 16 samples: those of `python -m jaxgan.sample --seed=SEED`.",
        usage="python run.py SEED",
        output="Images are in [-1, 1].",
    ) + _FROM_LATENTS.format(more=more)


def described(inputs: Mapping[str, jax.ShapeDtypeStruct]) -> str:
    """Returns inputs in words.

    >>> described({"label": jax.ShapeDtypeStruct((), jnp.int32)})
    '`label` [B] int32'
    """
    parts = []
    for name, x in inputs.items():
        shape = ", ".join(map(str, ("B", *x.shape)))
        parts.append(f"`{name}` [{shape}] {x.dtype}")
    return ", ".join(parts)
