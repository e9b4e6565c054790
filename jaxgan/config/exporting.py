"""The flags of `python -m jaxgan.export`."""

import dataclasses
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.config.evaluating import checkpoint_of
from jaxgan.config.flags import Parser, add_run_flags, shorten
from jaxgan.config.foreign import EXPORTING
from jaxgan.errors import UsageError, printable
from jaxgan.files import kind, local_path
from jaxgan.spec import unknown

FORMATS = ("stablehlo", "safetensors", "npz")
PARTS = {
    "discriminator": ("safetensors", "npz"),
    "training_state": ("safetensors",),
}
"""Optional parts of an export, and the formats that have them."""

UNKNOWN = "unknown"
"""The hub's name of a license that is not known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """A checkpoint, and the form and the folder of its export."""

    workdir: Path
    out: Path
    format: str
    """One of `FORMATS`."""
    which: Any = "last"
    """`last`, `best` or a step."""
    parts: frozenset[str] = frozenset()
    """Of `PARTS`."""
    license: str = UNKNOWN
    """Of the weights, as the Hugging Face hub names it."""
    raw: bool = False
    run: int = 0
    overwrite: bool = False
    import_: str = ""


def parse_args(argv: Sequence[str] | None = None) -> ExportConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    args = vars(make_parser().parse_flags(argv))
    parts = [x.strip() for x in args.pop("with").split(",") if x.strip()]
    args["import_"] = args.pop("import")
    return make_export_config(**args, parts=parts)


def make_export_config(
    *,
    workdir: str | Path,
    out: str | Path,
    format: str,
    checkpoint: str | int = "last",
    parts: Collection[str] = (),
    license: str = UNKNOWN,
    raw: bool = False,
    run: int = 0,
    overwrite: bool = False,
    import_: str = "",
) -> ExportConfig:
    """Returns a checked configuration. The arguments are those of `export_run`.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    if format == "onnx":
        raise UsageError(
            "--format=onnx needs packages that clash with those of jaxgan: use "
            "--format=safetensors, and scripts/to_onnx.py in an environment of its own"
        )
    if format not in FORMATS:
        raise UsageError(f"--format={shorten(format)}: choose {_listed(FORMATS)}")
    for part in parts:
        if part not in PARTS:
            raise UsageError(f"--with: {unknown(part, PARTS, 'part')}")
        if format not in PARTS[part]:
            raise UsageError(
                f"--with={part}: --format={format} has no such part: leave it out, or "
                f"use --format={PARTS[part][0]}"
            )
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,63}", license):
        raise UsageError(
            f"--license={shorten(license)}: write it as the Hugging Face hub does, "
            "such as --license=apache-2.0"
        )
    return ExportConfig(
        workdir=storage.run_folder("--workdir", workdir),
        out=_folder(out, overwrite=overwrite),
        format=format,
        which=checkpoint_of(checkpoint),
        parts=frozenset(parts),
        license=license,
        raw=raw,
        run=run,
        overwrite=overwrite,
        import_=import_,
    )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _folder(text: str | Path, *, overwrite: bool) -> Path:
    """Returns the folder for the files; raises UsageError if it is in use."""
    if not str(text):
        raise UsageError("--out is empty: name a folder, such as --out=exported")
    path = local_path("--out", text)
    shown = f"--out={printable(str(path))}"
    try:
        actual = kind(path)
        content = next(path.iterdir(), None) if actual == "a folder" else None
    except OSError as error:
        raise UsageError(
            f"{shown} cannot be read ({error.strerror}); use another folder"
        ) from error
    if actual not in ("", "a folder"):
        raise UsageError(f"{shown} is {actual}; use a new folder")
    if content is not None and (path / "checkpoints").exists():
        raise UsageError(f"{shown} is the folder of a run; use a new folder")
    if content is not None and not overwrite:
        raise UsageError(
            f"{shown} is not an empty folder: use --overwrite, or another name"
        )
    return path


def make_parser() -> Parser:
    """Returns the parser of the program."""
    parser = Parser(
        "python -m jaxgan.export",
        usage="%(prog)s --workdir=RUN --format=FORMAT --out=FOLDER [--FLAG=VALUE ...]",
        description="Export the generator of a run for other programs and people.",
        allow_abbrev=False,
        foreign=EXPORTING,
    )
    add = parser.add_argument
    add("--workdir", required=True, help="folder of the run")
    add(
        "--format",
        required=True,
        help="stablehlo (a program for cpu, cuda and tpu that needs jax alone), "
        "safetensors (the folder of a repository on the Hugging Face hub) or npz",
    )
    add("--out", required=True, help="folder for the files")
    add(
        "--checkpoint",
        default="last",
        help="checkpoint: last, best or a step (default: last)",
    )
    add(
        "--with",
        default="",
        help="what to add, separated by commas: discriminator (of safetensors and npz),"
        " training_state (of safetensors; --init_from=hf:FOLDER continues from it)",
    )
    add(
        "--license",
        default=UNKNOWN,
        help="license of the weights for the model card, as the hub names it, such as "
        f"apache-2.0 (default: {UNKNOWN})",
    )
    add_run_flags(parser, 0, "0")
    add("--overwrite", action="store_true", help="replace the files of an export")
    add("--import", default="", help="modules that register networks or tasks")
    return parser
