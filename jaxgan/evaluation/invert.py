"""Inverts pictures by a run: the program, and the function of the API."""

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxgan import data, reporting, storage
from jaxgan.config.conditions import ConditionFlags
from jaxgan.config.evaluating import checkpoint_of
from jaxgan.config.extensions import import_extensions
from jaxgan.config.inverting import InversionOptions, InvertConfig
from jaxgan.config.sampling import SampleConfig
from jaxgan.config.scoring import ScoreConfig
from jaxgan.data.decode import MODE_OF
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation import score_inputs
from jaxgan.evaluation.inversion import Inverter
from jaxgan.evaluation.latent_space import LatentSpace, check_has_latents
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.sample_files import to_dtype, written
from jaxgan.evaluation.sample_inputs import check_label, inputs_of, names_of
from jaxgan.experiment import memory
from jaxgan.files import atomic_write
from jaxgan.metrics.image_similarity import psnr

log = logging.getLogger("jaxgan")

MOST = 10_000
"""Largest number of pictures of one call."""


class Inverted(NamedTuple):
    """Latents of pictures, and the pictures that the generator makes of them.

    >>> Inverted(np.zeros((1, 4)), "z", np.zeros((1, 8, 8, 1)), np.array([31.5])).space
    'z'
    """

    latents: np.ndarray
    """`[n, dim]` float32."""
    space: str
    """`z`, or `w` of networks that have a mapping."""
    images: np.ndarray
    """`[n, H, W, C]` in the dtype of the data."""
    psnr: np.ndarray
    """Peak signal-to-noise ratio of each picture, in dB, `[n]`."""


@memory.explain_out_of_memory("use fewer --restarts, such as --restarts=1")
def invert(config: InvertConfig) -> int:
    """Inverts pictures, and writes the results. Returns the exit code.

    Raises:
      UsageError: if the run, the checkpoint or the pictures do not fit the flags.
        Nothing is written then.
    """
    import_extensions(config.import_)
    run = load_run(config.workdir, number=config.run)
    conditions = check_run(run, config.options)
    images, names = _read(config, run)
    found = _inverted(
        run, images, conditions, config.options, (config.which, config.raw)
    )
    for name, value in zip(names, found.psnr, strict=True):
        log.info("%s: PSNR %.2f dB", printable(name), value)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        latents=found.latents,
        space=np.array(found.space),
        psnr=found.psnr,
        names=np.array(names),
        label=np.array(config.options.label),
        attributes=np.array(config.options.attributes),
    )
    columns = {"source": _shown(run, images), "fake": found.images}
    with written(config.out):
        atomic_write(config.latents, content.getvalue())
        reporting.save_png(config.out, reporting.picture_of_columns(columns, None))
    log.info(
        "%d picture(s) in %s (given, recovered), latents %s in %s",
        *(len(names), config.out, found.space, config.latents),
    )
    return 0


def invert_run(
    workdir: str | Path,
    pictures: np.ndarray | str | Path | Sequence[str | Path],
    *,
    label: str = "",
    attributes: str = "",
    space: str = "auto",
    steps: int = InversionOptions().steps,
    restarts: int = InversionOptions().restarts,
    learning_rate: float = InversionOptions().learning_rate,
    pixel_weight: float = InversionOptions().pixel_weight,
    feature_weight: float = InversionOptions().feature_weight,
    seed: int = 0,
    resize: bool = False,
    checkpoint: str | int = "last",
    raw: bool = False,
    run: int = 0,
) -> Inverted:
    """Finds latents of pictures, like `python -m jaxgan.invert`, and writes nothing.

    Args:
      workdir: folder of the run.
      pictures: `[n, H, W, C]` or `[H, W, C]` in the dtype of the data, or names of
        files, folders or patterns.
      label: name or number of the class of the pictures, of a run with labels.
      attributes: of the pictures, such as `smiling=1,hair=dark`, of a run with them.
      space: `z`, `w`, or `auto` for w where the network has it.
      steps: steps of Adam.
      restarts: latents to start from for each picture.
      learning_rate: of Adam, in standard deviations of a latent.
      pixel_weight: weight of the squared error of pixels, in [-1, 1].
      feature_weight: weight of the relative squared error of the discriminator's
        features.
      seed: of the latents to start from.
      resize: True to resize and convert files that are not like those of training.
      checkpoint: `last`, `best` or a step.
      raw: True for the newest parameters instead of their moving average.
      run: number of the run, of several.

    Raises:
      UsageError: if the run, the checkpoint or the pictures cannot be used.

    >>> invert_run("no/run", "photo.png")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=no/run is not the folder of a run...
    """
    options = InversionOptions(
        space=space,
        steps=steps,
        restarts=restarts,
        learning_rate=learning_rate,
        pixel_weight=pixel_weight,
        feature_weight=feature_weight,
        label=label,
        attributes=attributes,
        seed=seed,
    )
    which, folder = checkpoint_of(checkpoint), storage.run_folder("--workdir", workdir)
    opened = load_run(folder, number=run)
    conditions = check_run(opened, options)
    if isinstance(pictures, np.ndarray):
        shape = opened.example.shape
        images = pictures[None] if pictures.ndim == len(shape) else pictures
        score_inputs.check_shape("pictures", images.shape[1:], shape)
    else:
        paths = [pictures] if isinstance(pictures, str | Path) else pictures
        config = InvertConfig(
            workdir=folder,
            pictures=tuple(map(str, paths)),
            out=Path(),
            options=options,
            resize=resize,
        )
        images, _ = _read(config, opened)
    return _inverted(opened, images, conditions, options, (which, raw))


def check_run(run: Run, options: InversionOptions) -> dict[str, np.ndarray]:
    """Returns the condition of all pictures, one row by field.

    Raises:
      UsageError: if samples are no pictures, or the label does not fit the run.
    """
    field = run.example[run.example.generated]
    if field.kind != "image" or field.shape[-1] not in MODE_OF:
        raise UsageError(
            f"--workdir={run.folder}: samples of this run are {list(field.shape)} of "
            f"kind {field.kind}, not pictures: use the folder of another run"
        )
    check_has_latents(run)
    given = SampleConfig(
        *(run.folder, Path(), 1, (options.seed,), "last", "", False),
        label=options.label,
        conditions=ConditionFlags(attributes=options.attributes),
    )
    check_label(given, run)
    inputs = inputs_of(given, run)
    if inputs.conditions is None:
        return {}
    if not options.label and not options.attributes:
        name = printable(names_of(run.example, inputs.field)[0])
        if inputs.field == "label":
            raise UsageError(
                "this run has labels: name the class of the pictures, such as "
                f"--label={name}"
            )
        raise UsageError(
            "this run has attributes: describe the pictures, such as "
            f"--attributes={name if '=' in name else f'{name}=1'}"
        )
    return {inputs.field: inputs.conditions[:1]}


def _read(config: InvertConfig, run: Run) -> tuple[np.ndarray, list[str]]:
    """Returns all pictures in the form of the data, `[n, H, W, C]`, and their names."""
    given = ScoreConfig(
        workdir=config.workdir,
        images=config.pictures,
        out=config.out,
        resize=config.resize,
        on_bad_example="stop",
    )
    sources, _ = score_inputs.sources_of(given, run)
    names = [name for source in sources for name in source.names]
    if len(names) > MOST:
        raise UsageError(
            f"PICTURE: {len(names):,} pictures are too many, use at most {MOST:,}"
        )
    memory.check_sampling(run.part(raw=True), 2 * len(names), run.example.shape)
    blocks = [
        block.images
        for source in sources
        for block, _ in score_inputs.blocks_of(source, MOST, stop=True)
    ]
    return np.concatenate(blocks), names


def _inverted(
    run: Run,
    images: np.ndarray,
    conditions: dict[str, np.ndarray],
    options: InversionOptions,
    checkpoint: tuple[Any, bool],
) -> Inverted:
    which, raw = checkpoint
    memory.check_sampling(run.part() | run.part(raw=True), 0, run.example.shape)
    _, players = run.restore_players(which, raw=raw)
    space = LatentSpace(run, players.generator)
    inverter = Inverter(space, players.discriminator, conditions, options)
    targets = _normalized(run, images)
    latents, recovered = inverter(targets)
    values = psnr(targets, recovered.clip(-1, 1))
    made = to_dtype(recovered, run.example.dtype)
    return Inverted(latents, "zw"[inverter.is_w], made, values)


def _normalized(run: Run, images: np.ndarray) -> np.ndarray:
    """Returns images as float32 in [-1, 1]."""
    kind = run.example[run.example.generated].kind
    return np.asarray(data.KINDS[kind].normalize(jnp.asarray(images)), np.float32)


def _shown(run: Run, images: np.ndarray) -> np.ndarray:
    """Returns given images in the dtype of samples."""
    return to_dtype(_normalized(run, images), run.example.dtype)
