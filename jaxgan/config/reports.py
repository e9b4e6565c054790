"""The flags of `python -m jaxgan.report`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from jaxgan import storage
from jaxgan.config.flags import Parser
from jaxgan.config.foreign import REPORTING
from jaxgan.errors import UsageError, printable
from jaxgan.files import check_writable, kind, local_path

REPORT, COMPARISON = "report.html", "comparison.html"
"""Names of the files, unless `--out` names another one."""

MOST = 8
"""Maximum number of runs that are compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """The runs of a report, and its file."""

    workdirs: tuple[Path, ...]
    """One run, or several to compare."""
    out: Path
    is_usual: bool = False
    """True if the file is where reports of the run are, not one that the user named."""
    overwrite: bool = False


def parse_args(argv: Sequence[str] | None = None) -> ReportConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    return make_report_config(**vars(make_parser().parse_flags(argv)))


def make_report_config(
    *,
    workdir: str | Path | None,
    out: str | Path | None = None,
    compare: Sequence[str | Path] = (),
    overwrite: bool = False,
) -> ReportConfig:
    """Returns a checked configuration. The arguments are those of `write_report`.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    first = [] if workdir is None else [storage.run_folder("--workdir", workdir)]
    folders = [*first, *(storage.run_folder("--compare", x) for x in compare)]
    if not folders:
        raise UsageError("name a run: --workdir=runs/1, or --compare runs/1 runs/2")
    if compare and not 2 <= len(folders) <= MOST:
        raise UsageError(
            f"--compare of {len(folders)} run(s): name 2 to {MOST}, such as --compare "
            "runs/1 runs/2"
        )
    for folder in folders:
        if kind(folder) != "a folder":
            flag = "--workdir" if folder in first else "--compare"
            raise UsageError(
                f"{flag}={printable(str(folder))} is not a folder; use the folder of a "
                "run"
            )
    if out is None:
        name = COMPARISON if compare else REPORT
        # A comparison belongs to no single run, unless one comes first.
        file = first[0] / name if first else Path(name)
    else:
        file = local_path("--out", out)
    if file.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"--out={printable(str(file))}: must end in .html, such as --out={REPORT}"
        )
    check_writable("--out", file)
    return ReportConfig(
        workdirs=tuple(folders),
        out=file,
        is_usual=out is None and bool(first),
        overwrite=overwrite,
    )


def make_parser() -> Parser:
    """Returns the parser of the program."""
    parser = Parser(
        "python -m jaxgan.report",
        usage="%(prog)s --workdir=RUN [--compare RUN ...] [--out=FILE.html]",
        description="Write the report of a run as one HTML file, or compare runs. A "
        "run in progress may be read.",
        allow_abbrev=False,
        foreign=REPORTING,
    )
    add = parser.add_argument
    add("--workdir", help="folder of the run")
    add(
        "--compare",
        nargs="+",
        default=(),
        metavar="RUN",
        help=f"folders of runs to show side by side, with --workdir if that is given, "
        f"{MOST} at most",
    )
    add(
        "--out",
        help=f"the file (default: {REPORT} in the folder of the run, or {COMPARISON})",
    )
    add("--overwrite", action="store_true", help="replace a file that exists")
    return parser
