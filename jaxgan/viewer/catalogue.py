"""The runs that may be shown: those below the folders that were named."""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan import workdir
from jaxgan.errors import UsageError, printable
from jaxgan.files import kind

MOST_RUNS, MOST_FOLDERS, DEEPEST = 200, 5_000, 4
"""Maximum number of runs, of folders that are looked at, and of levels below a root."""

INNER = frozenset({"checkpoints", "samples", "profile", "__pycache__"})
"""Folders in which no runs are looked for."""


class Listed(NamedTuple):
    """A run, and the folder below which all of it must be."""

    name: str
    folder: Path
    root: Path

    def path(self, name: str) -> Path | None:
        """Returns a file or folder of the run; None if it is missing or elsewhere.

        Args:
          name: such as `metrics.jsonl`. A link that leads out of the root counts as
            missing.
        """
        path = self.folder / name
        try:
            inside = path.resolve(strict=True).is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):  # missing, or a loop of links
            return None
        return path if inside else None

    def config(self) -> dict[str, Any]:
        """Returns the flags of the run; `{}` if they cannot be read."""
        if self.path("config.json") is None:
            return {}
        try:
            return workdir.read_config(self.folder)
        except UsageError:
            return {}

    def pictures(self) -> list[Path]:
        """Returns the pictures of samples, by step."""
        folder = self.path("samples")
        if folder is None or kind(folder) != "a folder":
            return []
        names = sorted(x.name for x in folder.glob("*.png"))
        return [x for name in names if (x := self.path(f"samples/{name}"))]


def find_runs(roots: Sequence[Path]) -> dict[str, Listed]:
    """Finds runs: the roots themselves, or folders below them.

    Args:
      roots: folders of runs, or of folders of runs.

    Returns:
      The runs by name, newest first. A name is the path below its root.
    """
    found: dict[str, Listed] = {}
    for root in roots:
        for folder in _folders(root):
            name = str(folder.relative_to(root)) if folder != root else root.name
            name = printable(name or str(root))
            while name in found:
                name = f"{root.name}/{name}" if len(name) < 500 else f"{name}'"
            found[name] = Listed(name, folder, root)
            if len(found) >= MOST_RUNS:
                break
    changed = {name: _changed(run) for name, run in found.items()}
    return dict(sorted(found.items(), key=lambda item: -changed[item[0]]))


def _folders(root: Path) -> Iterator[Path]:
    """Yields the folders with a config.json; links are not followed."""
    if (root / "config.json").is_file():
        yield root
        return
    walk = os.walk(root, followlinks=False)
    for place, folders, files in itertools.islice(walk, MOST_FOLDERS):
        path = Path(place)
        if "config.json" in files:
            yield path
            folders.clear()
        depth = len(path.relative_to(root).parts)
        kept = [x for x in sorted(folders) if x not in INNER and not x.startswith(".")]
        folders[:] = kept if depth < DEEPEST else []


def _changed(run: Listed) -> float:
    """Returns when a run was last written to."""
    times = []
    for name in ("config.json", "metrics.jsonl"):
        path = run.path(name)
        if path is not None:
            times.append(path.stat().st_mtime)
    return max(times, default=0.0)


def differences(configs: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Returns the flags in which runs differ, one row per flag.

    Args:
      configs: the flags of each run by its name.

    >>> differences({"a": {"loss": "hinge", "k": 1}, "b": {"loss": "minimax", "k": 1}})
    [['loss', 'hinge', 'minimax']]
    """
    names = dict.fromkeys(name for config in configs.values() for name in config)
    rows = []
    for name in names:
        values = [_shown(config.get(name, "-")) for config in configs.values()]
        if len(set(values)) > 1:
            rows.append([name, *values])
    return rows


def flags_of(config: Mapping[str, Any], usual: Mapping[str, Any]) -> list[list[str]]:
    """Returns the flags of a run that are not the usual ones, one row per flag."""
    return [
        [name, _shown(value)]
        for name, value in config.items()
        if value != usual.get(name) and value != "" and name != "workdir"
    ]


def _shown(value: Any) -> str:
    """Returns the value of a flag for a table."""
    text = str(value)
    return printable(text if len(text) <= 300 else f"{text[:300]}...")
