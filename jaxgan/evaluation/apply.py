"""Maps pictures of users with a run: the program, and the function of the API."""

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.config.applying import (
    ApplyConfig,
    MapOptions,
    parse_attributes,
    parse_overlap,
    parse_tile,
)
from jaxgan.config.evaluating import check_range, checkpoint_of
from jaxgan.config.extensions import import_extensions
from jaxgan.config.sampling import MAX_SEED
from jaxgan.data.decode import MODE_OF, TOO_MANY_PIXELS, any_number_of_pixels
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation import apply_files, apply_limits, apply_sounds, picture_files
from jaxgan.evaluation.apply_files import Job
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.mapping import Mapper
from jaxgan.evaluation.picture_facts import (
    NO_PICTURES,
    check_maps_pictures,
    kind_of_data,
)
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.evaluation.sound_arrays import restore_all
from jaxgan.experiment import memory
from jaxgan.experiment.checkpoint import Which
from jaxgan.files import reason

log = logging.getLogger("jaxgan")


@any_number_of_pixels()  # those of pictures are checked by their headers
@memory.explain_out_of_memory("use a smaller --tile, such as --tile=256")
def apply(config: ApplyConfig) -> int:
    """Maps pictures or sounds and writes the results. Returns the exit code.

    Returns:
      0, or 1 if a picture could not be mapped, which is logged.

    Raises:
      UsageError: if the run, the checkpoint, the pictures or the outputs do not fit the
        flags. Nothing is written then.
    """
    # All flags and headers are checked before the checkpoint is read.
    import_extensions(config.import_)
    kind = kind_of_data(config.workdir)
    if kind == "waveform":
        return apply_sounds.apply(config)
    if kind in NO_PICTURES:  # whose files, such as texts, are none either
        check_maps_pictures(load_run(config.workdir, number=config.run))
    jobs, failed = apply_files.find_jobs(config)
    run = load_run(config.workdir, number=config.run)
    mapper = Mapper(run, config)
    _check_pictures(mapper, has_masks=config.mask is not None)
    _check_results(jobs, run, mapper, config)
    apply_files.log_conversions(jobs, mapper.facts.channels)
    mapper.restore(config.which, raw=config.raw)
    total, background = len(jobs) + failed, background_of(run)
    with Progress("pictures", len(jobs)) as progress:
        for job in jobs:
            try:
                content = _mapped(mapper, job, background)
            except UsageError as error:
                if config.on_bad_example == "stop":
                    raise
                log.error("%s", error)
                failed += 1
            else:
                picture_files.write(job.target, content)
            progress.advance(1)
    where = jobs[0].target if total == 1 else config.out
    if total > failed:
        log.info("%d picture(s) in %s", total - failed, printable(str(where)))
    if failed:
        log.error("%d of %d pictures could not be mapped", failed, total)
    return 1 if failed else 0


def background_of(run: Run) -> str:
    """Returns the color behind transparent pixels in the training of a run."""
    return "black" if run.config.alpha == "black" else "white"


def _check_pictures(mapper: Mapper, *, has_masks: bool) -> None:
    """Raises UsageError if picture files, or masks, do not fit the network."""
    channels, reads_mask = mapper.facts.channels, "mask" in mapper.facts.reads
    if channels not in MODE_OF:
        raise UsageError(
            f"the network maps images of {channels} channels, which picture files do "
            "not have: use jaxgan.apply_run with arrays"
        )
    if has_masks and not reads_mask:
        raise UsageError("--mask: this run fills no holes; leave it out")
    if reads_mask and not has_masks:
        raise UsageError(
            "this run fills holes: use --mask=PATH, a picture that is white in them, "
            "or a folder with a mask for each picture"
        )


def _check_results(
    jobs: list[Job], run: Run, mapper: Mapper, config: ApplyConfig
) -> None:
    """Raises UsageError if results do not fit into their files, or into memory."""
    facts, variables = mapper.facts, run.part(raw=config.raw)
    apply_limits.check_formats(jobs, facts.scale)
    memory.check_sampling(variables, 0, run.example.shape)
    channels = _channels(run, mapper, reverse=config.reverse)
    apply_limits.check_memory(jobs, variables, channels, facts.scale)


def _channels(run: Run, mapper: Mapper, *, reverse: bool) -> tuple[int, int]:
    """Returns the channels of the network's pictures, and of its results."""
    result = "source" if reverse else run.example.generated
    return mapper.facts.channels, run.example[result].shape[-1]


def _mapped(mapper: Mapper, job: Job, background: str) -> bytes:
    """Reads and maps a picture. Returns the content of the result's file.

    Raises:
      UsageError: if the picture cannot be read, or its result not be encoded.
    """
    channels, suffix = mapper.facts.channels, job.target.suffix.lower()
    with _explained(f"{printable(str(job.source))} cannot be read as a picture"):
        picture = picture_files.read_picture(job.source, channels, background)
        mask = None if job.mask is None else picture_files.read_mask(job.mask)
    result = mapper(picture.pixels, mask)
    # Results that have no alpha channel yet get that of the picture.
    if picture.alpha is not None and result.shape[-1] < 4:
        result = picture_files.with_alpha(result, picture.alpha, background)
        if mask is not None:
            # Known pixels keep the colors that they have below their alpha.
            own = np.concatenate([picture.colors, picture.alpha[..., None]], axis=-1)
            result = np.where(mask[..., None], result, own)
    with _explained(f"{printable(str(job.target))} cannot be written as {suffix}"):
        return picture_files.encode(result, suffix, picture.profile, background)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turns an error of the `with` block into a UsageError with its reason.

    Pillow's decoders raise many types. Errors about memory pass unchanged.
    """
    try:
        yield
    except Exception as error:
        if memory.is_out_of_memory(error):
            raise
        raise UsageError(f"{what} ({reason(error)})") from error


@memory.explain_out_of_memory("give fewer at a time, or a smaller tile such as 256")
def apply_run(
    workdir: str | Path,
    pictures: str | Path | np.ndarray | Sequence[Any],
    *,
    mask: np.ndarray | Sequence[np.ndarray] | None = None,
    label: str = "",
    attributes: Mapping[str, float] | str = "",
    reverse: bool = False,
    tile: int | str = "auto",
    overlap: int | str = "auto",
    checkpoint: str | int = "last",
    raw: bool = False,
    run: int = 0,
    seed: int = 0,
    rate: int | None = None,
) -> Any:
    """Maps pictures with a run that maps images to images, or sounds with a vocoder.

    Args:
      workdir: folder of the run.
      pictures: one picture or a sequence of them: arrays `[H, W, C]` or `[H, W]` uint8,
        or paths of files. Their sizes may differ. For a vocoder, one sound or a
        sequence of them: arrays `[n, channels]` or `[n]` of floats in [-1, 1], or paths
        of files. Each channel is restored by itself.
      mask: for a run that fills holes: `[H, W]`, True or 255 in holes, or a sequence of
        them.
      label: name of the domain to map to.
      attributes: values in [0, 1] of all attributes, or text like `glasses=1,beard=0`.
      reverse: True for the other direction, of a run that learned both.
      tile: side of the tiles that larger pictures are mapped in, or `auto`.
      overlap: pixels that neighboring tiles share, or `auto`.
      checkpoint: `last`, `best` or a step.
      raw: True for the newest parameters instead of their moving average.
      run: number of the run, of several that were trained side by side.
      seed: of networks with noise.
      rate: samples per second of arrays of sounds, None for the rate of the run, to
        which others are resampled.

    Returns:
      The result of one picture, `[H, W, C]` uint8, or a list of results. Of a sound, a
      waveform at the rate of the run, float32 in [-1, 1] with the axes of the sound.

    Raises:
      UsageError: if the run maps neither, or an argument does not fit it.

    >>> apply_run("nothing", np.zeros((8, 8, 3), np.uint8))
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=nothing is not the folder of a run: it has no \
config.json; use the folder of a run
    """
    if isinstance(attributes, str):
        attributes = parse_attributes(attributes)
    check_range("seed", seed, 0, MAX_SEED, 0)
    options = MapOptions(
        tile=parse_tile(tile),
        overlap=parse_overlap(overlap),
        label=label,
        attributes=dict(attributes),
        reverse=reverse,
        seed=seed,
    )
    opened, which = load_run(workdir, number=run), checkpoint_of(checkpoint)
    if opened.example[opened.example.generated].kind == "waveform":
        return restore_all(
            *(opened, pictures, rate, options, mask), which=which, raw=raw
        )
    mapper = Mapper(opened, options)
    if rate is not None:
        raise UsageError(f"rate={rate}: this run maps pictures; leave it out")
    restore = functools.partial(
        *(_restore, opened, mapper, which), raw=raw, reverse=reverse
    )
    return _map_all(mapper, pictures, mask, background_of(opened), restore)


def _restore(
    run: Run,
    mapper: Mapper,
    which: Which,
    arrays: Sequence[np.ndarray],
    *,
    raw: bool,
    reverse: bool,
) -> None:
    """Restores the parameters of a run, if the results of arrays fit into memory."""
    variables = run.part(raw=raw)
    memory.check_sampling(variables, 0, run.example.shape)
    channels = _channels(run, mapper, reverse=reverse)
    apply_limits.check_arrays(arrays, variables, channels, mapper.facts.scale)
    mapper.restore(which, raw=raw)


def _map_all(
    mapper: Mapper,
    pictures: Any,
    mask: Any,
    background: str,
    restore: Callable[[Sequence[np.ndarray]], None],
) -> Any:
    """Maps one picture or several; all are checked before `restore` gets them."""
    is_one = _is_one(pictures)
    several = [pictures] if is_one else pictures
    arrays = [_array(x, mapper.facts.channels, background) for x in several]
    masks = [mask] if is_one else [None] * len(arrays) if mask is None else list(mask)
    if len(masks) != len(arrays):
        raise UsageError(
            f"mask: {len(masks)} mask(s) for {len(arrays)} pictures: give one for each"
        )
    found = [
        _mask_array(x, y, reads="mask" in mapper.facts.reads)
        for x, y in zip(masks, arrays, strict=True)
    ]
    restore(arrays)
    results = [mapper(x, y) for x, y in zip(arrays, found, strict=True)]
    return results[0] if is_one else results


def _is_one(pictures: Any) -> bool:
    """Returns True for a path or an array of one picture, False for several."""
    return isinstance(pictures, str | Path) or getattr(pictures, "ndim", 4) < 4


def _array(picture: Any, channels: int, background: str) -> np.ndarray:
    """Returns a picture as `[H, W, C]` uint8; raises UsageError if it is none."""
    if isinstance(picture, str | Path):
        with _explained(f"{printable(str(picture))} cannot be read as a picture"):
            file = Path(picture)
            try:
                return picture_files.read_picture(file, channels, background).pixels
            except TOO_MANY_PIXELS:
                raise ValueError("too many pixels: give them as an array") from None
    array = np.asarray(picture)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.dtype != np.uint8 or not array.size:
        raise UsageError(
            f"a picture is {list(array.shape)} {array.dtype}: give [H, W, C] uint8"
        )
    if array.shape[-1] != channels:
        raise UsageError(
            f"a picture has {array.shape[-1]} channels, and the network maps "
            f"{channels}: convert it"
        )
    return array


def _mask_array(mask: Any, picture: np.ndarray, *, reads: bool) -> np.ndarray | None:
    """Returns a mask as `[H, W]` bool; raises UsageError unless it fits."""
    if (mask is not None) != reads:
        need = "needs a mask for each picture" if reads else "reads no mask"
        raise UsageError(f"mask: this run {need}")
    if mask is None:
        return None
    array = np.asarray(mask)
    array = array[..., 0] if array.ndim == 3 else array
    if array.shape != picture.shape[:2]:
        raise UsageError(
            f"mask: {list(array.shape)}, and the picture is "
            f"{list(picture.shape[:2])}: make them equal"
        )
    return array if array.dtype == bool else array >= 128
