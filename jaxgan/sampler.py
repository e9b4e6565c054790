"""Samples from a run that is done or still going on."""

import functools
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import checkpoint, memory, recipe, report, runs, workdir
from jaxgan.config import saved
from jaxgan.core import Batch, Tree
from jaxgan.errors import UsageError
from jaxgan.gallery import AT_ONCE, draw_many
from jaxgan.objective import example_keys
from jaxgan.request import Request
from jaxgan.spec import unknown

log = logging.getLogger("jaxgan")


@memory.explained("use a smaller --n, and several seeds such as --seed=0-9")
def sample(request: Request) -> int:
    """Draws what was asked for and writes it; returns the exit code.

    Raises:
      UsageError: if the workdir or the checkpoint is not there.
    """
    check_place(Path(request.out))
    game, variables, facts = restore(request)
    columns = math.ceil(math.sqrt(request.n))
    change = functools.partial(walk, columns=columns) if request.interpolate else _same
    draw = jax.jit(lambda *given: game.draw(*given, change))
    batch = examples(request, facts)
    at_once = max(AT_ONCE // columns, 1) * columns  # rows are never torn
    for seed in request.seeds:
        keys = example_keys(jax.random.key(seed), request.n)
        samples = draw_many(draw, variables, batch, keys, at_once)
        path = file_of(request.out, seed, request.seeds)
        write(path, samples, np.dtype(facts["dtype"]))
        log.info("%d samples in %s", len(samples), path)
    return 0


def restore(request: Request) -> tuple[recipe.Game, Tree, dict]:
    """The game of a workdir, the generator's variables, and the facts of its data."""
    config = saved(workdir.read_config(request.workdir))
    facts = workdir.read_data(request.workdir)
    if not 0 <= request.run < config.runs:
        raise UsageError(f"--run={request.run}: there are {config.runs}, from --run=0")
    game = recipe.build(config, tuple(facts["shape"]), classes=len(facts["classes"]))
    state = jax.eval_shape(game.init, jax.random.key(0))
    if config.runs > 1:
        state = jax.eval_shape(runs.stack, [state] * config.runs)
    part = {"step": state.step, "ema": state.ema}
    if request.raw:
        part = {"step": state.step, "params": state.params, "stats": state.stats}
    memory.check_sampling(part, request.n, tuple(facts["shape"]))
    folder = Path(request.workdir) / "checkpoints"
    found, _ = checkpoint.restore(folder, part, which=request.which, partial=True)
    log.info("checkpoint of step %d", int(found["step"]))
    variables = found.get("ema")
    if request.raw:
        variables = {"params": found["params"].generator, **found["stats"].generator}
    if config.runs > 1:
        variables = runs.take(variables, 0, request.run)
    return game, variables, facts


def examples(request: Request, facts: dict) -> Batch:
    """What samples are drawn for: the class asked for, or all of them in turn."""
    names = list(facts["classes"])
    turn = max(len(names), 1)
    count = -(-min(request.n, AT_ONCE) // turn) * turn  # whole turns
    batch = recipe.example_batch(tuple(facts["shape"]), count, len(names))
    if not request.label:
        return batch
    if request.label not in names:
        raise UsageError(f"--label: {unknown(request.label, names, 'class')}")
    return {**batch, "label": jnp.full(count, names.index(request.label), jnp.int32)}


def check_place(out: Path) -> None:
    """Samples are written into a folder that is there."""
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out={out}: there is no folder {out.parent}, make it first")


def write(path: Path, samples: np.ndarray, dtype: np.dtype) -> None:
    """A grid as .png, or the samples as .npz, images in the data's own dtype.

    8-bit images are 0 to 255 and 16-bit images 0 to 65535; vectors stay float32.
    """
    if path.suffix == ".png":
        report.save_png(path, report.picture(samples))
        return
    if np.issubdtype(dtype, np.integer):
        top = np.iinfo(dtype).max
        samples = np.round((samples + 1) * (top / 2)).clip(0, top).astype(dtype)
    part = path.with_name(f".{path.name}")
    with part.open("wb") as file:
        np.savez_compressed(file, samples=samples)
    part.replace(path)


def file_of(out: str, seed: int, seeds: Sequence[int]) -> Path:
    """Where the samples of a seed go: `out` itself if there is one seed only.

    >>> file_of("digits.png", 3, (1, 3)).name
    'digits-seed3.png'
    """
    path = Path(out)
    return path if len(seeds) == 1 else path.with_stem(f"{path.stem}-seed{seed}")


def walk(z: jax.Array, columns: int) -> jax.Array:
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
