"""Forms of grouped convolutions on a TPU: the compiler's cycles of a layer and a block.

    python benchmarks/grouped.py --sides=4,8,16,32 --out=benchmarks/results/grouped.json

The layer is that of R3GAN's wide pair in bfloat16: 1,536 channels in groups of 16. The
block is the whole residual block between a 1x1 convolution and a downsampling, with the
gradients of a loss with R1. All forms merge groups into blocks of 128 channels, with
kernels that are zero between groups. Cloud TPU's compiler (`pip install 'jaxgan[tpu]'`)
compiles them for a chip of v5e. Nothing is measured on a TPU.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks import layers, r3gan
from jaxgan.networks.ops import platform
from jaxgan.networks.ops.convolutions import conv_same
from jaxgan.performance.hlo import cost, parser
from jaxgan.performance.hlo.matmuls import is_product
from jaxgan.performance.hlo.trip_counts import called, visits
from jaxgan.performance.planning.chips import find
from jaxgan.performance.planning.settings import set_environment

WIDTH, LANES, GROUP = 768, 128, r3gan.GROUP
Conv = Callable[[jax.Array, jax.Array], jax.Array]


def block_diagonal(kernel: jax.Array) -> jax.Array:
    """Merges the groups of `[k, k, 16, C]` into blocks: `[k, k, 128, C]`."""
    row, column = jnp.arange(LANES)[:, None], jnp.arange(kernel.shape[-1])
    same_group = row // GROUP == column // GROUP % (LANES // GROUP)
    return jnp.where(same_group, jnp.tile(kernel, (1, 1, LANES // GROUP, 1)), 0)


def one(x: jax.Array, blocks: jax.Array) -> jax.Array:
    """A single convolution, whose groups are the blocks."""
    return conv_same(x, blocks, groups=x.shape[-1] // LANES)


def several(x: jax.Array, blocks: jax.Array) -> jax.Array:
    """One convolution for each block."""
    count = x.shape[-1] // LANES
    parts = zip(jnp.split(x, count, -1), jnp.split(blocks, count, -1), strict=True)
    return jnp.concatenate([conv_same(*part) for part in parts], -1)


@jax.custom_vjp
def first(x: jax.Array, blocks: jax.Array) -> jax.Array:
    """Several convolutions, all of whose gradients are those of a single one."""
    return several(x, blocks)


first.defvjp(
    lambda *args: (several(*args), args),
    lambda saved, y: jax.vjp(one, *saved)[1](y),
)


@jax.custom_vjp
def images(x: jax.Array, blocks: jax.Array) -> jax.Array:
    """Several convolutions for images and their gradients, and one for kernels'."""
    return several(x, blocks)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def kernels(shape: tuple[int, ...], x: jax.Array, y: jax.Array) -> jax.Array:
    """The gradient of sum(y * images(x, blocks)) in the blocks, of this shape."""
    blocks = jax.ShapeDtypeStruct(shape, x.dtype)
    return jax.linear_transpose(functools.partial(one, x), blocks)(y)[0]


def transposed(blocks: jax.Array) -> jax.Array:
    """Returns the kernel of the transposed convolution."""
    k, channels = len(blocks), blocks.shape[-1]
    parts = blocks[::-1, ::-1].reshape(k, k, LANES, channels // LANES, LANES)
    return parts.swapaxes(2, 4).reshape(blocks.shape)


images.defvjp(
    lambda *args: (images(*args), args),
    lambda saved, y: (
        images(y, transposed(saved[1])),
        kernels(saved[1].shape, saved[0], y),
    ),
)
kernels.defvjp(
    lambda shape, *args: (kernels(shape, *args), args),
    lambda shape, saved, blocks: (
        images(saved[1], transposed(blocks)),
        images(saved[0], blocks),
    ),
)

FORMS: dict[str, Conv] = {
    "several": lambda x, kernel: several(x, block_diagonal(kernel)),
    "one": lambda x, kernel: one(x, block_diagonal(kernel)),
    "several, gradients by one": lambda x, kernel: first(x, block_diagonal(kernel)),
    "several, kernels' gradients by one": lambda x, kernel: images(
        x, block_diagonal(kernel)
    ),
}
"""`grouped_conv_tpu` chooses between the first two."""


def layer_programs(form: Conv, side: int, batch: int) -> Iterator[tuple]:
    """Yields the layer's output and its gradients: (name, function, shapes)."""
    x = jax.ShapeDtypeStruct((batch, side, side, 2 * WIDTH), jnp.bfloat16)
    kernel = jax.ShapeDtypeStruct((3, 3, GROUP, 2 * WIDTH), jnp.bfloat16)

    def gradient(x, kernel, y, i):
        return jax.vjp(form, x, kernel)[1](y)[i]

    yield "layer: output", form, (x, kernel)
    image = functools.partial(gradient, i=0)
    yield "layer: image's gradient", image, (x, kernel, x)
    yield "layer: kernel's gradient", functools.partial(gradient, i=1), (x, kernel, x)


class Critic(nn.Module):
    """Images `[B, H, W, 3]` to logits `[B]` by one block."""

    remat: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        block = nn.remat(r3gan.Block) if self.remat else r3gan.Block
        x = block(8)(layers.Dense(WIDTH)(x))
        return layers.Dense(1)(r3gan.downsample(x).mean((1, 2)))[:, 0]


def block_program(side: int, batch: int, remat: bool) -> Iterator[tuple]:
    """Yields the gradients of a block's loss with R1: (name, function, shapes)."""
    critic = Critic(remat)
    x = jax.ShapeDtypeStruct((batch, side, side, 3), jnp.float32)
    params = jax.eval_shape(critic.init, jax.random.key(0), x)
    leaves, tree = jax.tree.flatten(params)

    def loss(leaves, x):
        params = jax.tree.unflatten(tree, [a.astype(jnp.bfloat16) for a in leaves])

        def total(x):
            logits: Any = critic.apply(params, x.astype(jnp.bfloat16))
            return logits.astype(jnp.float32).sum(), logits.astype(jnp.float32)

        slopes, logits = jax.grad(total, has_aux=True)(x)
        return jax.nn.softplus(logits).mean() + 5 * jnp.sum(slopes**2) / batch

    def program(x, *leaves):
        return jax.grad(loss)(leaves, x)

    name = "block, remat" if remat else "block"
    yield f"{name}: loss with R1", program, (x, *leaves)


def figures(program: Callable, shapes: tuple) -> dict[str, float]:
    """Compiles a program for one chip; returns microseconds, and seconds of CPU."""
    chip = find("v5e:2x2")
    there = jax.sharding.SingleDeviceSharding(chip.devices[0])
    args = [jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=there) for x in shapes]
    started = time.process_time()
    text: Any = jax.jit(program).lower(*args).compile().as_text()
    seconds = time.process_time() - started
    module, peaks = parser.parse(text), chip.chip
    assert peaks is not None
    work = cost.work_of(module, 1, 1)
    return {
        "cycles_us": 1e6 * work.cycles / peaks.clock,
        "products_us": 1e6 * product_cycles(module) / peaks.clock,
        "compute_us": 1e6 * work.flops / peaks.flops,
        "memory_us": 1e6 * work.hbm / peaks.bandwidth,
        "compile_cpu_seconds": seconds,
    }


def product_cycles(module: parser.Module) -> int:
    """Returns the cycles of convolutions, and of fusions that contain one."""
    holds = {
        name
        for name, computation in module.computations.items()
        if any(map(is_product, computation.instructions.values()))
    }
    return sum(
        visit.times * cost.cycles(visit.instruction)
        for visit in visits(module)
        if is_product(visit.instruction) or holds & set(called(visit.instruction))
    )


def main() -> None:
    """Compiles all programs in all forms and rewrites the file after each."""
    parser_ = argparse.ArgumentParser(description=__doc__)
    parser_.add_argument("--sides", default="32", help="pixels, separated by commas")
    parser_.add_argument("--batch", type=int, default=16)
    parser_.add_argument("--forms", default="|".join(FORMS), help="separated by |")
    parser_.add_argument(
        "--programs", default="layer|block", help="of layer, block, remat"
    )
    parser_.add_argument("--out", required=True)
    args = parser_.parse_args()
    set_environment(("v5e:2x2",))
    # JAX cannot read cached programs of another machine.
    jax.config.update("jax_enable_compilation_cache", False)
    out = Path(args.out)
    rows = json.loads(out.read_text()) if out.exists() else []
    for side in map(int, args.sides.split(",")):
        for form in args.forms.split("|"):
            for row in compiled(form, side, args.batch, args.programs):
                # A row replaces that of an earlier call.
                rows = [old for old in rows if not same(old, row)] + [row]
                out.write_text(json.dumps(rows, indent=1) + "\n")
                print(row, flush=True)


def compiled(form: str, side: int, batch: int, programs: str) -> Iterator[dict]:
    """Yields one row for each program of a form."""
    with platform.compiling_for("tpu"):
        layers.grouped_conv_tpu = FORMS[form]
        if "layer" in programs:
            for program in layer_programs(FORMS[form], side, batch):
                yield row_of(form, side, batch, *program)
        for name in {"block", "remat"} & set(programs.split("|")):
            for program in block_program(side, batch, remat=name == "remat"):
                yield row_of(form, side, batch, *program)


def row_of(
    form: str, side: int, batch: int, name: str, program: Callable, shapes: tuple
) -> dict[str, Any]:
    """Returns one row: the program, the form, the shape and the figures."""
    shape = {"program": name, "form": form, "side": side, "batch": batch}
    return shape | figures(program, shapes)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Returns True for rows of the same program."""
    return all(a[key] == b[key] for key in ("program", "form", "side", "batch"))


if __name__ == "__main__":
    main()
