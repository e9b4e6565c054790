"""Exports a run: the program, and the function of the API."""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from jaxgan.config.exporting import ExportConfig, make_export_config
from jaxgan.config.extensions import import_extensions
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.experiment import memory
from jaxgan.files import SHORT, reason, remedy
from jaxgan.sharing.export import stablehlo, weights
from jaxgan.sharing.export.bundle import Bundle

log = logging.getLogger("jaxgan")


class Format(NamedTuple):
    """A format of exports."""

    write: Callable[[Path, Bundle], list[str]]
    """Writes into an empty folder, and returns the names of the files."""
    check: Callable[[Bundle], object]
    """Raises UsageError, before anything is written, if that is impossible."""


def _check_program(bundle: Bundle) -> None:
    stablehlo.check_library()
    _ = bundle.generator  # raises for texts


FORMATS = {
    "stablehlo": Format(stablehlo.write, _check_program),
    "safetensors": Format(weights.write_safetensors, lambda _: weights.check_library()),
    "npz": Format(weights.write_npz, lambda _: None),
}
"""Formats by the values of `--format`."""


@memory.explain_out_of_memory("export on a machine with more memory")
def export(config: ExportConfig) -> int:
    """Writes the files of a format. Returns the exit code.

    Raises:
      UsageError: if the run, the checkpoint or the folder cannot be used, or if the
        run cannot be exported in this format. Nothing is written then.
    """
    import_extensions(config.import_)
    run = load_run(config.workdir, number=config.run)
    form = FORMATS[config.format]
    # All that can be checked without the weights comes first.
    empty = Bundle(run, 0, None, config.raw, config.parts, config.license)  # type: ignore[arg-type]
    form.check(empty)
    check_parts(run, config)
    step, variables = run.restore_players(config.which, raw=config.raw)
    bundle = Bundle(run, step, variables, config.raw, config.parts, config.license)
    names = _write(config.out, form, bundle, overwrite=config.overwrite)
    log.info("step %d in %s: %s", step, printable(str(config.out)), ", ".join(names))
    return 0


def check_parts(run: Run, config: ExportConfig) -> None:
    """Raises UsageError if one of several runs has no checkpoint of its own."""
    if weights.TRAINING_STATE in config.parts and run.config.runs > 1:
        raise UsageError(
            f"--with=training_state: this run has {run.config.runs} seeds in one "
            "checkpoint; leave it out, and copy the workdir to continue all of them"
        )


def _write(out: Path, form: Format, bundle: Bundle, *, overwrite: bool) -> list[str]:
    """Writes to a new folder, which then replaces `out`: completely or not at all."""
    try:
        parent = out.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".export-", dir=parent))
        try:
            names = form.write(place, bundle)
            os.chmod(place, 0o755)  # only the owner may read a folder of mkdtemp
            _move(place, out, names, overwrite=overwrite)
        finally:
            with suppress(OSError):
                shutil.rmtree(place)
        return names
    except OSError as error:
        advice = remedy(error) if error.errno in SHORT else "use a writable folder"
        raise UsageError(
            f"--out={printable(str(out))} cannot be written ({reason(error)}); {advice}"
        ) from error


def _move(place: Path, out: Path, names: Collection[str], *, overwrite: bool) -> None:
    """Moves the files of a finished export to their place."""
    if not out.exists():
        os.rename(place, out)
        return
    # Files of others in that folder stay.
    for name in names:
        target = out / name
        if overwrite and target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        os.replace(place / name, target)


def export_run(
    workdir: str | Path,
    out: str | Path,
    format: str = "safetensors",
    *,
    checkpoint: str | int = "last",
    parts: Collection[str] = (),
    license: str = "unknown",
    raw: bool = False,
    run: int = 0,
    overwrite: bool = False,
) -> Path:
    """Exports the generator of a run, like `python -m jaxgan.export`.

    Args:
      workdir: folder of the run.
      out: folder for the files, which does not exist yet or is empty.
      format: `stablehlo` (a program that needs jax alone), `safetensors` (the layout of
        the Hugging Face hub) or `npz`.
      checkpoint: `last`, `best` or a step.
      parts: what is added: `discriminator`, and `training_state` of `safetensors`.
      license: of the weights, as the hub names it.
      raw: True for the newest parameters instead of their moving average.
      run: number of the run, of several that were trained side by side.
      overwrite: True to replace an earlier export.

    Returns:
      The folder.

    Raises:
      UsageError: if the run cannot be exported in this way, or the folder is in use.

    >>> export_run("nothing", "new")
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=nothing is not the folder of a run: it has no \
config.json; use the folder of a run
    """
    config = make_export_config(
        workdir=workdir,
        out=out,
        format=format,
        checkpoint=checkpoint,
        parts=parts,
        license=license,
        raw=raw,
        run=run,
        overwrite=overwrite,
    )
    export(config)
    return config.out
