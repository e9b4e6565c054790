"""Samples from a run that is done or still going on."""

import functools
import logging
import math
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import workdir
from jaxgan.config.sampling import SampleConfig
from jaxgan.config.training import config_from_json
from jaxgan.errors import UsageError
from jaxgan.evaluation import sample_files
from jaxgan.evaluation.previews import AT_ONCE, generate_in_batches
from jaxgan.experiment import checkpoint, memory
from jaxgan.gan import builder
from jaxgan.gan.objective import example_keys
from jaxgan.parallel import multi_seed
from jaxgan.spec import unknown
from jaxgan.types import Batch, Tree

log = logging.getLogger("jaxgan")

DTYPES = (np.uint8, np.uint16, np.float32)
"""Of data, as `data.Dataset` has them."""


@memory.explain_out_of_memory("use a smaller --n, and several seeds such as --seed=0-9")
def sample(request: SampleConfig) -> int:
    """Draws what was asked for and writes it; returns the exit code.

    Raises:
      UsageError: if the workdir or the checkpoint is not there.
    """
    sample_files.check_place(request)
    game, variables, facts = restore(request)
    sample_files.open_folder(request, facts.shape, facts.dtype)
    columns = math.ceil(math.sqrt(request.n))
    change = (
        functools.partial(interpolate, columns=columns)
        if request.interpolate
        else _same
    )
    draw = jax.jit(lambda *given: game.draw(*given, change))
    batch = conditioning_batch(request, facts)
    labels = None
    if reads_labels(game, facts.shape):
        labels = np.resize(np.asarray(batch["label"]), request.n)
    at_once = max(AT_ONCE // columns, 1) * columns  # rows are never torn
    for seed in request.seeds:
        keys = example_keys(multi_seed.key_of(seed), request.n)
        samples = generate_in_batches(draw, variables, batch, keys, at_once)
        own = (samples, facts.dtype, labels, facts.classes)
        path = sample_files.write(request, seed, *own)
        log.info("%d samples in %s", len(samples), path)
    return 0


class Facts(NamedTuple):
    """The facts of a run's data that sampling needs."""

    shape: tuple[int, ...]
    dtype: np.dtype
    classes: tuple[str, ...]


def read_facts(folder: Path) -> Facts:
    """The facts in data.json.

    Raises:
      UsageError: if they are not what training writes.
    """
    found = workdir.read_data(folder)
    dtype = np.dtype(found["dtype"])
    if dtype not in DTYPES:
        raise UsageError(
            f"{folder / 'data.json'} is damaged: dtype is {dtype}, not one of "
            "uint8, uint16 and float32; put its backup there"
        )
    return Facts(tuple(found["shape"]), dtype, tuple(found["classes"]))


def restore(request: SampleConfig) -> tuple[builder.GAN, Tree, Facts]:
    """The game of a workdir, the generator's variables, and the facts of its data."""
    file = request.workdir / "config.json"
    config = config_from_json(workdir.read_config(request.workdir), str(file))
    facts = read_facts(request.workdir)
    if not 0 <= request.run < config.runs:
        raise UsageError(f"--run={request.run}: there are {config.runs}, from --run=0")
    game = builder.build(config, facts.shape, classes=len(facts.classes))
    if request.label and not reads_labels(game, facts.shape):
        raise UsageError(
            f"--label={request.label}: this run is unconditional, --task={config.task} "
            "reads no labels: leave out --label, or train with --preset=projection"
        )
    state = jax.eval_shape(game.init, jax.random.key(0))
    if config.runs > 1:
        state = jax.eval_shape(multi_seed.stack_runs, [state] * config.runs)
    part = {"step": state.step, "ema": state.ema}
    if request.raw:
        part = {"step": state.step, "params": state.params, "stats": state.stats}
    memory.check_sampling(part, request.n, facts.shape)
    folder = request.workdir / "checkpoints"
    found, _ = checkpoint.restore(folder, part, which=request.which, partial=True)
    log.info("checkpoint of step %d", int(found["step"]))
    variables = found.get("ema")
    if request.raw:
        variables = {"params": found["params"].generator, **found["stats"].generator}
    if config.runs > 1:
        variables = multi_seed.take_run(variables, 0, request.run)
    return game, variables, facts


def reads_labels(game: builder.GAN, shape: tuple[int, ...]) -> bool:
    """Returns whether the samples of a game have classes: its task reads `label`."""
    batch = _OnlyImages(builder.example_batch(shape, 1, classes=0))

    def task(key):
        return game.task(lambda z, *_: z, batch, key[None])

    try:
        jax.eval_shape(task, jax.random.key(0))
    except _Missing:
        return True
    return False


class _Missing(Exception):
    """A task asked for something that is not in a batch."""


class _OnlyImages(dict):
    def __missing__(self, name: str) -> None:
        raise _Missing(name)


def conditioning_batch(request: SampleConfig, facts: Facts) -> Batch:
    """What samples are drawn for: the class asked for, or all of them in turn."""
    names = list(facts.classes)
    turn = max(len(names), 1)
    count = -(-min(request.n, AT_ONCE) // turn) * turn  # whole turns
    batch = builder.example_batch(facts.shape, count, len(names))
    if not request.label:
        return batch
    if request.label not in names:
        raise UsageError(f"--label: {unknown(request.label, names, 'class')}")
    return {**batch, "label": jnp.full(count, names.index(request.label), jnp.int32)}


def interpolate(z: jax.Array, columns: int) -> jax.Array:
    """Latents row by row, each row from its first to its last on a great circle.

    Spherical interpolation, https://arxiv.org/abs/1609.04468.

    Args:
      z: `[n, d]`, taken as rows of `columns`; what is missing in the last is repeated.
      columns: latents in a row.

    >>> row = walk(jnp.array([[1.0, 0.0], [5.0, 5.0], [0.0, 1.0]]), columns=3)
    >>> [round(float(x), 4) for x in row[1]]
    [0.7071, 0.7071]
    """
    place = jnp.arange(len(z))
    first = place // columns * columns
    a, b = z[first], z[jnp.minimum(first + columns - 1, len(z) - 1)]
    t = ((place - first) / max(columns - 1, 1))[:, None]
    lengths = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    cosine = jnp.clip(jnp.sum(a * b, -1) / jnp.maximum(lengths, 1e-8), -1, 1)
    angle = jnp.maximum(jnp.arccos(cosine), 1e-4)[:, None]
    return (jnp.sin((1 - t) * angle) * a + jnp.sin(t * angle) * b) / jnp.sin(angle)


def _same(z: Tree) -> Tree:
    return z
