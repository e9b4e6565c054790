"""Writes reports: the program, the function of the API, and the end of training."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jaxgan import storage
from jaxgan.config.reports import ReportConfig, make_report_config
from jaxgan.errors import UsageError, printable
from jaxgan.files import SHORT, atomic_write, kind, reason, remedy
from jaxgan.sharing.record import read_record
from jaxgan.sharing.sessions import Session

log = logging.getLogger("jaxgan")


def report(config: ReportConfig) -> int:
    """Writes a report. Returns the exit code.

    Raises:
      UsageError: if a run or the file cannot be used. Nothing is written then.
    """
    path = _write(config)
    log.info("the report is in %s", path)
    return 0


def _write(config: ReportConfig) -> Path:
    """Writes a report and returns its path."""
    from jaxgan.sharing.report import page

    _check_ours(config, page.MARKER)
    flag = "--workdir" if len(config.workdirs) == 1 else "--compare"
    records = [read_record(folder, flag) for folder in config.workdirs]
    make = page.of_comparison if len(records) > 1 else lambda x: page.of_run(x[0])
    # Lone surrogates, of names of files that are not UTF-8, cannot be encoded.
    content = make(records).encode("utf-8", "replace")
    if len(content) > page.LARGEST:
        log.warning("the report has %d bytes, more than usual", len(content))
    try:
        atomic_write(config.out, content, sync=False)
        storage.push(config.out)
    except OSError as error:
        advice = remedy(error) if error.errno in SHORT else "use a writable folder"
        raise UsageError(
            f"--out={printable(str(config.out))} cannot be written ({reason(error)}); "
            f"{advice}"
        ) from error
    return config.out


def _check_ours(config: ReportConfig, marker: str) -> None:
    """Raises UsageError if the file exists, and is no earlier report in a workdir."""
    if config.overwrite or not kind(config.out):
        return
    # A report in the folder of its run is replaced, as it shows an earlier state.
    if config.is_usual:
        with config.out.open("rb") as file:
            if marker.encode() in file.read(4_096):
                return
    shown = printable(str(config.out))
    raise UsageError(f"--out={shown} exists: use --overwrite, or another name")


def write_report(
    workdir: str | Path,
    out: str | Path | None = None,
    *,
    compare: Sequence[str | Path] = (),
    overwrite: bool = False,
) -> Path:
    """Writes the report of a run as one HTML file, like `python -m jaxgan.report`.

    Args:
      workdir: folder of the run, which may be in progress.
      out: the file; None for `report.html` in the folder of the run, where it replaces
        an earlier one.
      compare: folders of other runs to show side by side with this one.
      overwrite: True to replace a file that exists.

    Returns:
      The path of the file.

    Raises:
      UsageError: if a folder is not that of a run or is damaged, or the file cannot be
        written.

    >>> write_report("nothing")
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=nothing is not a folder; use the folder of a run
    """
    return _write(
        make_report_config(
            workdir=workdir, out=out, compare=compare, overwrite=overwrite
        )
    )


@contextmanager
def recorded(folder: Path, *, steps: int, report: bool) -> Iterator[None]:
    """Records the machine of a run, and writes its report at the end.

    Nothing is recorded of a run that is done already. Problems are logged, and never
    end a run.

    Args:
      folder: of the run.
      steps: of the whole run.
      report: False to write no report.
    """
    session = Session(folder)
    if session.first_step >= steps:
        yield
        return
    _try(session.begin)
    try:
        yield
    finally:
        _try(session.end)
        if report:
            write_safely(folder)


def _try(write: Callable[[], None]) -> None:
    """Writes the record of a machine, and logs an error."""
    try:
        write()
    except Exception as error:  # must not end the run
        log.warning("machine.json could not be written: %s", reason(error))


def write_safely(folder: Path) -> None:
    """Writes the report of a run, and logs an error."""
    try:
        log.info("report in %s", write_report(folder, overwrite=True))
    except Exception as error:  # the run itself is saved
        log.warning("the report could not be written: %s", reason(error))
