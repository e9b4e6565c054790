"""A run's folder: what it was started with, and that only one program writes there.

config.json holds the flags, data.json facts of the data; both are written whole or
not at all, so that a program killed at any moment leaves a folder that can go on.
"""

import fcntl
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxgan.errors import UsageError
from jaxgan.files import atomic_write

OURS = ("metrics.jsonl", "samples", "checkpoints", "data.json")
"""What a run writes besides config.json: such a folder is not a new one."""

ACCEPTABLE = frozenset({"dataset", "dtype", "classes", "size", "fingerprint"})
"""Fields of config.json and data.json that `--data_changed=accept` lets differ."""

ABSENT = "(absent)"
"""In `differences`: the field is unknown to that side, which is of another version."""


@contextmanager
def open_workdir(
    path: str | Path,
    config: dict[str, Any],
    *,
    may_change: frozenset[str] = frozenset(),
    data: dict[str, Any],
    alike: Callable[[dict[str, Any], dict[str, Any]], frozenset[str]] | None = None,
) -> Iterator[Path]:
    """Starts a run in a new folder, or resumes the run of the same `config`.

    The folder is this program's own until the end of the `with`, or of the program.
    Fields in `may_change` may differ; config.json then takes the new values. A field
    that only one side knows is from another version, and no difference. Of a run that
    resumes, `alike(config, data)` names more fields of both that may differ; data.json
    then takes the new values too.

    Raises `UsageError`, before anything is written, where the folder cannot be used,
    belongs to a run of another config or other data, or is in use.
    """
    path = Path(path).expanduser().absolute()
    _make(path)
    with _locked(path):
        if (path / "config.json").exists():
            _resume(path, config, may_change, data, alike)
        else:
            _start(path, config, data)
        yield path


def differences(
    old: dict[str, Any], new: dict[str, Any], may_change: frozenset[str] = frozenset()
) -> dict[str, tuple[Any, Any]]:
    """The fields that keep `new` from going on where `old` left off.

    >>> differences({"loss": "hinge", "steps": 10}, {"loss": "wgan", "steps": 20},
    ...             frozenset({"steps"}))
    {'loss': ('hinge', 'wgan')}

    Compared as JSON, where a tuple is a list. A field that only one side knows is left
    out: it is from another version, which did what the field's default does now.
    """
    old, new = json.loads(json.dumps(old)), json.loads(json.dumps(new))
    return {
        name: (old[name], new[name])
        for name in old
        if name in new and name not in may_change and old[name] != new[name]
    }


def read_config(path: str | Path) -> dict[str, Any]:
    """The flags of the run in the folder `path`."""
    return _read(Path(path), "config.json")


def read_data(path: str | Path) -> dict[str, Any]:
    """The facts of the data that the run in the folder `path` was trained on."""
    return _read(Path(path), "data.json")


def truncate_metrics(path: str | Path, step: int) -> None:
    """Drops the lines of metrics.jsonl after `step`, and what is not a whole line.

    A run that resumes at `step` then writes each line once.
    """
    file = Path(path) / "metrics.jsonl"
    if not file.exists():
        return
    lines = file.read_bytes().splitlines(keepends=True)
    kept = b"".join(line for line in lines if _is_until(line, step))
    if kept != b"".join(lines):
        atomic_write(file, kept)


def _is_until(line: bytes, step: int) -> bool:
    try:
        return line.endswith(b"\n") and json.loads(line)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False


def _make(path: Path) -> None:
    """Makes the folder and proves that one can write there; root may, by its bits."""
    for parent in (path, *path.parents):
        if parent.exists() and not parent.is_dir():
            raise UsageError(
                f"--workdir={path}: {parent} is a file; use a folder, such as runs/1"
            )
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(
            f"--workdir={path} cannot be written ({error.strerror}); use a folder of "
            "yours, such as runs/1"
        ) from None
    if not (path / "config.json").exists():
        found = [name for name in OURS if (path / name).exists()]
        if found:
            raise UsageError(
                f"--workdir={path} has {', '.join(found)} but no config.json, so it is "
                "no run that can go on; use a new folder"
            )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The kernel drops the lock with the program, even one killed by SIGKILL."""
    with open(path / ".lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"--workdir={path} is in use by another program; wait for its end, or "
                "use another --workdir"
            ) from error
        yield


def _start(path: Path, config: dict[str, Any], data: dict[str, Any]) -> None:
    _write(path / "config.json", config)
    _write(path / "data.json", data)


def _resume(
    path: Path,
    config: dict[str, Any],
    may_change: frozenset[str],
    data: dict[str, Any],
    alike: Callable[[dict[str, Any], dict[str, Any]], frozenset[str]] | None,
) -> None:
    old, old_data = read_config(path), {}
    if (path / "data.json").exists():  # else killed between the two files
        old_data = read_data(path)
    if alike is not None:
        may_change |= alike(old, old_data)
    _refuse(path, "config", differences(old, config, may_change))
    _refuse(path, "data", differences(old_data, data, may_change))
    if differences(old_data, data) or data.keys() - old_data.keys():
        _write(path / "data.json", {**old_data, **data})
    if differences(old, config):
        _write(path / "config.json", {**old, **config})


def shown(found: dict[str, tuple[Any, Any]]) -> str:
    """Differences in words, each value in short.

    >>> shown({"size": (50, 51)})
    'size is 50 there and 51 here'
    """
    texts = {
        name: [x if len(x) < 80 else f"{x[:76]} ..." for x in map(json.dumps, pair)]
        for name, pair in found.items()
    }
    if len(texts) > 1:
        texts.pop("fingerprint", None)  # it differs because the others do
    return ", ".join(
        f"{name} is {old} there and {new} here" for name, (old, new) in texts.items()
    )


def _refuse(path: Path, what: str, found: dict[str, tuple[Any, Any]]) -> None:
    if not found:
        return
    remedy = "use another --workdir or the same flags"
    if found.keys() <= ACCEPTABLE:
        remedy += ", or go on with other data by --data_changed=accept"
    raise UsageError(
        f"--workdir={path} is a run of another {what}: {shown(found)}; {remedy}"
    )


def _read(path: Path, name: str) -> dict[str, Any]:
    if not (path / name).is_file():
        raise UsageError(
            f"--workdir={path} is no run's folder: it has no {name}; use the folder of "
            "a run"
        )
    try:
        content = json.loads((path / name).read_text())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UsageError(
            f"{path / name} is damaged: it is not JSON; put its backup there, or use "
            "another --workdir"
        )
    return content


def _write(file: Path, content: dict[str, Any]) -> None:
    atomic_write(file, (json.dumps(content, indent=2) + "\n").encode())
