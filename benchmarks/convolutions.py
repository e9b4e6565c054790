"""CPU time of single convolutions of the image presets, by jaxgan and by PyTorch.

    python benchmarks/convolutions.py --out=benchmarks/results/convolutions.json

Each convolution is computed forward and backward, with gradients of the image and of
the kernel, in float32 on one thread: by XLA as it is, in the form that jaxgan chooses,
and by PyTorch in both memory formats, in turns. Times are medians of CPU time, which
other programs affect little. It needs torch.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import recipe_arms

from jaxgan.networks.ops.convolutions import conv_same, conv_transpose_same
from jaxgan.networks.ops.cpu_convolutions import conv_cpu, conv_transpose_cpu


class Layer(NamedTuple):
    """A convolution with SAME padding of a batch of square images."""

    where: str
    batch: int
    side: int
    channels: int
    features: int
    size: int
    stride: int = 1
    transposed: bool = False

    @property
    def gflop(self) -> float:
        """Forward and backward, without products with zeros."""
        side = self.side if self.transposed else self.side // self.stride
        products = self.batch * side**2 * self.size**2 * self.channels * self.features
        return 3 * 2 * products / 1e9


LAYERS = (
    Layer("unet, first", 8, 64, 3, 32, 4, 2),
    Layer("unet, second", 8, 32, 32, 64, 4, 2),
    Layer("unet, fifth", 8, 4, 256, 256, 4, 2),
    Layer("unet, innermost", 8, 2, 256, 256, 4, 2),
    Layer("unet, innermost up", 8, 1, 256, 256, 4, 2, True),
    Layer("unet, second up", 8, 2, 512, 256, 4, 2, True),
    Layer("unet, fifth up", 8, 16, 128, 32, 4, 2, True),
    Layer("unet, last", 8, 32, 64, 3, 4, 2, True),
    Layer("resnet_generator, first", 4, 64, 3, 16, 7),
    Layer("resnet_generator, block", 4, 16, 64, 64, 3),
    Layer("resnet_generator, last", 4, 64, 16, 3, 7),
    Layer("srresnet, block", 8, 16, 32, 32, 3),
    Layer("srresnet, enlarging", 8, 32, 32, 128, 3),
    Layer("srresnet, last", 8, 64, 32, 3, 3),
    Layer("patch, second", 8, 32, 32, 64, 4, 2),
    Layer("patch, fourth", 8, 8, 128, 256, 4),
)


def by_jax(layer: Layer, convolve: Callable[..., jax.Array]) -> Callable[[], Any]:
    """Returns a function that computes a layer and its gradients."""
    rng = np.random.default_rng(0)
    shape = (layer.batch, layer.side, layer.side, layer.channels)
    x = jnp.asarray(rng.normal(size=shape), jnp.float32)
    shape = (layer.size, layer.size, layer.channels, layer.features)
    kernel = jnp.asarray(rng.normal(size=shape), jnp.float32)

    @jax.jit
    def both(x, kernel):
        y, backward = jax.vjp(lambda *z: convolve(*z, layer.stride), x, kernel)
        return y, backward(y)

    return lambda: jax.block_until_ready(both(x, kernel))


def by_torch(layer: Layer, memory_format: str) -> Callable[[], Any]:
    """Returns a function that computes a layer and its gradients."""
    import torch  # pyright: ignore[reportMissingImports]

    order = getattr(torch, memory_format)
    x = torch.randn(layer.batch, layer.channels, layer.side, layer.side)
    x = x.to(memory_format=order).requires_grad_()
    ends = (layer.channels, layer.features)
    ends = ends if layer.transposed else ends[::-1]
    kernel = torch.randn(*ends, layer.size, layer.size)
    kernel = kernel.to(memory_format=order).requires_grad_()
    functions = torch.nn.functional
    convolve = functions.conv_transpose2d if layer.transposed else functions.conv2d
    # Even kernels with stride 1 need one more zero on one side: left out here.
    pad = (
        (layer.size - 1) // 2 if layer.stride == 1 else (layer.size - layer.stride) // 2
    )

    def both():
        y = convolve(x, kernel, stride=layer.stride, padding=pad)
        return torch.autograd.grad(y, (x, kernel), y.detach())

    return both


def measure(layer: Layer, rounds: int) -> dict[str, float]:
    """Returns milliseconds of CPU time by contestant."""
    own = (conv_transpose_same, conv_transpose_cpu)
    plain, chosen = own if layer.transposed else (conv_same, conv_cpu)
    contestants = {
        "XLA": by_jax(layer, plain),
        "jaxgan": by_jax(layer, chosen),
        "PyTorch": by_torch(layer, "contiguous_format"),
        "PyTorch, channels last": by_torch(layer, "channels_last"),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 2):
        for name, run in contestants.items():
            start = time.process_time()
            run()
            if number > 1:  # after compilation and warm-up
                times[name].append(1e3 * (time.process_time() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def table_of(found: dict[str, Any]) -> Iterable[str]:
    """Returns the lines of the table in Markdown."""
    names = list(next(iter(found["milliseconds"].values())))
    head = ["layer", "shape", "GFLOP", *names, "jaxgan, GFLOP/s", "best PyTorch"]
    lines = [head, ["---"] * len(head)]
    for layer in LAYERS:
        taken = found["milliseconds"].get(layer.where)
        if taken is None:
            continue
        kind = "transposed " if layer.transposed else ""
        shape = f"{kind}{layer.size}x{layer.size}/{layer.stride}, "
        shape += f"{layer.channels} to {layer.features} at {layer.side}"
        best = min(taken[name] for name in names if name.startswith("PyTorch"))
        rates = [layer.gflop / taken["jaxgan"] * 1e3, layer.gflop / best * 1e3]
        values = [f"{taken[name]:.1f}" for name in names]
        rest = [f"{rate:.0f}" for rate in rates]
        lines.append([layer.where, shape, f"{layer.gflop:.2f}", *values, *rest])
    return [f"| {' | '.join(line)} |" for line in lines]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="number of measurements")
    parser.add_argument("--out", default="convolutions.json", help="JSON file")
    args = parser.parse_args()
    # One thread, set before the libraries count them.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found: dict[str, Any] = {"machine": recipe_arms.machine(), "milliseconds": {}}
    for layer in LAYERS:
        found["milliseconds"][layer.where] = measure(layer, args.rounds)
        print(layer.where, found["milliseconds"][layer.where], flush=True)
    Path(args.out).write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(table_of(found)))


if __name__ == "__main__":
    main()
