# pyright: reportMissingImports=false
"""Ceilings of this machine: products of large matrices, and copies.

Variants name a framework and an operation: `jax float32`, `jax tf32`, `jax bfloat16`,
`jax copy` (reads and writes an array of 256 MiB in place), `torch float32`,
`torch tf32` and `torch bfloat16`. A step is one product, or one copy.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from peers import protocol
from peers.protocol import Contestant

SIDES = {"cpu": 2_048, "gpu": 8_192}
"""Side length of the matrices by device."""

COPIED = 2**28
"""Size of the copied array in bytes."""


class Lab(NamedTuple):
    """The operation of one framework."""

    call: Callable[[], Any]
    """Starts one step; it may still run when the call returns."""
    wait: Callable[[Any], Any]
    device: str
    """`cpu` or `gpu`."""


def of_jax(what: str) -> Lab:
    """Returns the operation in JAX.

    Raises:
      ValueError: for TF32 on a CPU.
    """
    import jax
    import jax.numpy as jnp

    device = jax.default_backend()
    if what == "tf32" and device == "cpu":
        raise ValueError("a CPU has no TF32")
    side = SIDES.get(device, SIDES["gpu"])
    if what == "copy":
        return Lab(_in_place(), jax.block_until_ready, device)
    kind = jnp.bfloat16 if what == "bfloat16" else jnp.float32
    precision = "highest" if what == "float32" else "default"
    x, y = (jax.random.normal(jax.random.key(i), (side, side), kind) for i in range(2))
    product = jax.jit(lambda x, y: jnp.matmul(x, y, precision=precision))
    return Lab(lambda: product(x, y), jax.block_until_ready, device)


def _in_place() -> Callable[[], Any]:
    """Returns a function that adds to an array in place, without new pages."""
    import jax
    import jax.numpy as jnp

    kept = [jnp.zeros(COPIED // 4)]
    more = jax.jit(lambda x: x + 1.0, donate_argnums=0)

    def call():
        kept[0] = more(kept[0])
        return kept[0]

    return call


def of_torch(what: str) -> Lab:
    """Returns the operation in PyTorch.

    Raises:
      ValueError: for TF32 on a CPU.
    """
    import torch

    cuda = torch.cuda.is_available()
    if what == "tf32" and not cuda:
        raise ValueError("a CPU has no TF32")
    device = "gpu" if cuda else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = what == "tf32"
    kind = torch.bfloat16 if what == "bfloat16" else torch.float32
    size, where = (SIDES[device], SIDES[device]), "cuda" if cuda else "cpu"
    x, y = (torch.randn(size, device=where).to(kind) for _ in range(2))
    out = torch.empty_like(x)

    def wait(_):
        if cuda:
            torch.cuda.synchronize()

    return Lab(lambda: torch.mm(x, y, out=out), wait, device)


LABS = {"jax": of_jax, "torch": of_torch}


def build(job: dict[str, Any]) -> Contestant:
    """Builds the products or copies of a variant."""
    framework, _, what = job["variant"].partition(" ")
    lab = LABS[framework](what)

    def run(steps):
        last = None
        for _ in range(steps):
            last = lab.call()
        lab.wait(last)
        return steps

    side = SIDES.get(lab.device, SIDES["gpu"])
    copies = what == "copy"
    work = {"bytes_per_step": 2 * COPIED} if copies else {"flops_per_step": 2 * side**3}
    facts = {"arithmetic": what, "device": lab.device, "side": side, **work}
    return Contestant(run, protocol.peak_rss, facts)


if __name__ == "__main__":
    protocol.serve(build)
