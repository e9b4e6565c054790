"""The files of a run as plain values, for people. jax is not needed to read them."""

import dataclasses
import json
import logging
import shlex
from pathlib import Path
from typing import Any

from jaxgan import storage, workdir
from jaxgan.config.resolve import config_from_json, to_dict
from jaxgan.errors import UsageError, printable
from jaxgan.files import kind
from jaxgan.reporting.metrics_file import read_metrics
from jaxgan.sharing import sessions

log = logging.getLogger("jaxgan")

LARGEST_JSON = 2**24
"""Maximum number of bytes of a JSON file that is read."""

SILENT = ("workdir", "preset", "dataset", "dry_run")
"""Flags that are never listed as changed: those named elsewhere, or without effect."""

HERE = ("data_dir", "coordinator", "num_processes", "process_id", "no_report")
"""Flags of the machine of a run, which another one does not repeat."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """A run on disk, finished or not."""

    folder: Path
    flags: dict[str, Any]
    """All flags, by the names of their fields."""
    usual: dict[str, Any]
    """The flags of the same preset and data set that nothing else was set for."""
    data: dict[str, Any]
    """Facts of the data: `shape`, `dtype`, `classes`, `size`, `fingerprint`, ..."""
    rows: list[dict[str, Any]]
    """The rows of metrics, in the order of their steps."""
    findings: list[dict[str, Any]]
    """Findings of the monitor: `step`, `kind`, `finding`."""
    checkpoints: list[int]
    """Steps of the checkpoints, in order."""
    evaluations: dict[str, dict[str, Any]]
    """The files of `jaxgan.evaluate`, by name."""
    sessions: list[dict[str, Any]]
    """Machines, versions and times, one entry per start of the run."""

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.absolute().name

    @property
    def step(self) -> int:
        """The last step that is known of."""
        return max([0, *self.checkpoints, *(row["step"] for row in self.rows[-1:])])

    @property
    def is_done(self) -> bool:
        """True if all steps are done."""
        return self.step >= self.flags["steps"]

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """Flags that differ from those of the preset: (value, the preset's value)."""
        return {
            name: (value, self.usual[name])
            for name, value in self.flags.items()
            if name not in SILENT and value != self.usual.get(name)
        }

    @property
    def command(self) -> str:
        """The command that trains the same again, in a new folder."""
        flags = {name: self.flags[name] for name in ("dataset", "preset")}
        flags |= {k: x for k, (x, _) in self.changed.items() if k not in HERE}
        return shlex.join(["python", "-m", "jaxgan.train", *map(_flag, flags.items())])

    def last(self, name: str) -> float | None:
        """Returns the last finite value of a metric, None if there is none."""
        values = (row.get(name) for row in reversed(self.rows))
        return next((x for x in values if isinstance(x, int | float)), None)


def _flag(item: tuple[str, Any]) -> str:
    """Returns a flag of a command line.

    >>> _flag(("import_", "mine")), _flag(("remat", True))
    ('--import=mine', '--remat')
    """
    name, value = item
    flag = f"--{name.rstrip('_')}"
    return flag if value is True else f"{flag}={value}"


def read_record(path: str | Path, flag: str = "--workdir") -> Record:
    """Reads the files of a run. Nothing is written.

    Args:
      path: folder of the run.
      flag: the flag that names it, for errors.

    Raises:
      UsageError: if it is not the folder of a run, or if config.json or data.json is
        damaged. Other files that are damaged are left out, and logged.
    """
    folder = storage.run_folder(flag, path)
    try:
        stored = workdir.read_config(folder)
        flags = to_dict(config_from_json(stored, str(folder / "config.json")))
        data = workdir.read_data(folder) if kind(folder / "data.json") else {}
    except UsageError as error:
        raise UsageError(str(error).replace("--workdir=", f"{flag}=")) from error
    same = {name: flags[name] for name in ("dataset", "preset")}
    lines = read_metrics(folder / "metrics.jsonl") if _has_metrics(folder) else []
    return Record(
        folder=folder,
        flags={**flags, "workdir": ""},
        usual=to_dict(config_from_json(same)),
        data=data,
        rows=sorted(
            (x for x in lines if "finding" not in x), key=lambda row: row["step"]
        ),
        findings=[x for x in lines if "finding" in x],
        checkpoints=sessions.checkpoint_steps(folder),
        evaluations=dict(_evaluations(folder)),
        sessions=sessions.read(folder),
    )


def _has_metrics(folder: Path) -> bool:
    """Returns True if there is a file of metrics; anything else is logged."""
    actual = kind(folder / "metrics.jsonl")
    if actual not in ("", "a file"):
        log.warning("metrics.jsonl is %s, and is left out", actual)
    return actual == "a file"


def _evaluations(folder: Path):
    """Yields name and content of each file of an evaluation."""
    for file in sorted(folder.glob("evaluation*.json")):
        content = read_json(file)
        metrics = content.get("metrics")
        if isinstance(metrics, dict) and isinstance(content.get("protocol"), dict):
            yield file.name, content
        else:
            log.warning(
                "%s is not an evaluation, and is left out", printable(file.name)
            )


def sample_files(folder: Path, suffix: str = ".png") -> dict[int, Path]:
    """Returns the files of samples by their steps, in order."""
    found = {}
    for file in (folder / "samples").glob(f"step_*{suffix}"):
        number = file.stem.removeprefix("step_")
        if number.isascii() and number.isdigit() and kind(file) == "a file":
            found[int(number)] = file
    return dict(sorted(found.items()))


def read_json(file: Path) -> dict[str, Any]:
    """Returns the content of a JSON file, {} unless it is an object."""
    try:
        if kind(file) != "a file" or file.stat().st_size > LARGEST_JSON:
            return {}
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
