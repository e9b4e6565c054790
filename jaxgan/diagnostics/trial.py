"""A short training on made-up images."""

import math
import time

import jax
import numpy as np

from jaxgan import data
from jaxgan.config.resolve import make_config
from jaxgan.diagnostics.finding import FAIL, OK, Finding
from jaxgan.experiment.input_pipeline import batches
from jaxgan.gan.builder import build
from jaxgan.types import ExampleSpec, Field

SIZE = 28
COUNT = 512


def disks() -> data.Dataset:
    """Returns images of disks of random size, `[512, 28, 28, 1]` uint8."""
    radius = np.random.default_rng(0).uniform(4, 12, COUNT)
    place = np.arange(SIZE) - (SIZE - 1) / 2
    inside = place[:, None] ** 2 + place**2 < radius[:, None, None] ** 2
    example = ExampleSpec(image=Field((SIZE, SIZE, 1), np.dtype(np.uint8), "image"))
    arrays = {"image": (255 * inside[..., None]).astype(np.uint8)}
    return data.from_fields("disks", arrays, example=example, origin="made-up disks")


def find_training(seconds: float, **flags: object) -> Finding:
    """Trains the default preset on made-up images of 28 x 28 pixels.

    Args:
      seconds: the time after the first step, which is compiled.
      **flags: fields of `Config` to replace, such as `networks`.

    Returns:
      The time of the first step, the speed of the others, and the last losses.
    """
    dataset = disks()
    config = make_config(dataset="mnist", **flags)
    gan = build(config, dataset)
    start = time.monotonic()
    state = gan.init(jax.random.key(0))
    metrics: dict = {}
    steps, begin = 0, start
    for batch in batches(dataset, config):
        state, metrics = gan.train_step(state, batch, jax.random.key(1))
        jax.block_until_ready(metrics)
        now = time.monotonic()
        if not steps:
            begin = now
        elif now - begin >= seconds:
            break
        steps += 1
    losses = {k: float(v) for k, v in sorted(metrics.items()) if k.endswith("loss")}
    shown = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
    finite = bool(losses) and all(map(math.isfinite, losses.values()))
    speed = steps / max(now - begin, 1e-9)
    text = (
        f"first step {begin - start:.1f} s, then {speed:.1f} steps/s of "
        f"{config.batch_size} images (default preset, 28 x 28); {shown}"
    )
    return Finding(OK if finite else FAIL, "training", text)
