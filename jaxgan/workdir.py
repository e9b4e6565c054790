"""A run's folder: what it was started with, and that only one program writes there.

config.json holds the flags, data.json facts of the data; both are written whole or
not at all, so that a program killed at any moment leaves a folder that can go on.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.errors import UsageError, printable
from jaxgan.files import (
    atomic_write,
    kind,
    local_path,
    locked,
    reason,
    remedy,
    remedy_if_short,
)

OURS = ("metrics.jsonl", "samples", "checkpoints", "data.json")
"""What a run writes besides config.json: such a folder is not a new one."""

ACCEPTABLE = frozenset({"dataset", "dtype", "classes", "size", "fingerprint"})
"""Fields of config.json and data.json that `--data_changed=accept` lets differ."""

KINDS = {
    **dict.fromkeys((".lock", "config.json", "data.json", "metrics.jsonl"), "a file"),
    **dict.fromkeys(("progress.png", "losses.png"), "a file"),
    **dict.fromkeys(("samples", "checkpoints", "profile"), "a folder"),
}
"""Kinds of what a run writes."""


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
    path = local_path("--workdir", path).absolute()
    _make(path)
    with _locked(path):
        with writable(path):
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
    """The facts of the data that the run in the folder `path` was trained on.

    Raises `UsageError` where `shape`, `dtype` or `classes` are not there, or a fact is
    not of its kind.
    """
    facts = _read(Path(path), "data.json")
    for name, (is_right, wanted) in FACTS.items():
        if not is_right(facts.get(name)):
            value = json.dumps(facts[name])[:80] if name in facts else "absent"
            raise _damaged(Path(path) / "data.json", f"{name} is {value}, not {wanted}")
    return facts


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Says in one line that the folder `path` did not take a file, why, and what helps.

    Raises `UsageError` in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"--workdir={printable(str(path))} cannot be written any more "
            f"({reason(error)}); {remedy(error)}, and the same command resumes"
        ) from error


def _make(path: Path) -> None:
    """Makes the folder and proves that one can write there; root may, by its bits."""
    shown = f"--workdir={printable(str(path))}"
    try:
        for parent in (path, *path.parents):
            if kind(parent) not in ("", "a folder"):
                raise UsageError(
                    f"{shown}: {printable(str(parent))} is {kind(parent)}; use a "
                    "folder, such as runs/1"
                )
        _check_kinds(path)
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(
            f"{shown} cannot be written ({reason(error)}); {remedy_if_short(error)}use "
            "a folder of yours, such as runs/1"
        ) from None
    if not (path / "config.json").exists():
        found = [name for name in OURS if (path / name).exists()]
        if found:
            raise UsageError(
                f"{shown} has {', '.join(found)} but no config.json, so it is no run "
                "that can go on; use a new folder"
            )


def _check_kinds(path: Path) -> None:
    """Refuses what is no file where a run writes a file, and no folder likewise."""
    for name, wanted in KINDS.items():
        found = kind(path / name)
        if found not in ("", wanted):
            raise UsageError(
                f"--workdir={printable(str(path))}: {name} is {found}, not {wanted}; "
                "remove or rename it, or use another --workdir"
            )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    shown = f"--workdir={printable(str(path))}"
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path / ".lock", wait=False))
        except BlockingIOError as error:
            raise UsageError(
                f"{shown} is in use by another program; wait for its end, or use "
                "another --workdir"
            ) from error
        except OSError as error:
            raise UsageError(
                f"{shown} cannot be locked ({reason(error)}); {remedy_if_short(error)}"
                "use a --workdir on another disk"
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


def format_differences(found: dict[str, tuple[Any, Any]]) -> str:
    """Differences in words, each value in short.

    >>> shown({"size": (50, 51)})
    'size is 50 there and 51 here'
    """
    texts = {
        name: [_short(json.dumps(x)) for x in pair] for name, pair in found.items()
    }
    if len(texts) > 1:
        texts.pop("fingerprint", None)  # it differs because the others do
    return ", ".join(
        f"{name} is {old} there and {new} here" for name, (old, new) in texts.items()
    )


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:30]} ... {text[-45:]}"


def _refuse(path: Path, what: str, found: dict[str, tuple[Any, Any]]) -> None:
    if not found:
        return
    remedy = "use another --workdir or the same flags"
    if found.keys() <= ACCEPTABLE:
        remedy += ", or go on with other data by --data_changed=accept"
    raise UsageError(
        f"--workdir={printable(str(path))} is a run of another {what}: "
        f"{format_differences(found)}; {remedy}"
    )


def _read(path: Path, name: str) -> dict[str, Any]:
    shown = f"--workdir={printable(str(path))}"
    try:
        found = kind(path / name)
        text = (path / name).read_bytes() if found == "a file" else b""
    except OSError as error:
        raise UsageError(
            f"{shown}: {name} cannot be read ({reason(error)}); allow yourself to read "
            "it, or use another --workdir"
        ) from error
    if found != "a file":
        raise UsageError(
            f"{shown} is no run's folder: "
            + (f"{name} is {found}" if found else f"it has no {name}")
            + "; use the folder of a run"
        )
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise _damaged(path / name, "it is not JSON")
    return content


def _damaged(file: Path, why: str) -> UsageError:
    return UsageError(
        f"{printable(str(file))} is damaged: {why}; put its backup there, or use "
        "another --workdir"
    )


def _write(file: Path, content: dict[str, Any]) -> None:
    atomic_write(file, (json.dumps(content, indent=2) + "\n").encode())


def _is_shape(value: Any) -> bool:
    sides = isinstance(value, list) and all(type(x) is int and x > 0 for x in value)
    return sides and 1 <= len(value) <= 3


def _is_dtype(value: Any) -> bool:
    try:
        return isinstance(value, str) and np.dtype(value).kind in "biuf"
    except (TypeError, ValueError, SyntaxError):
        return False


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


FACTS = {
    "shape": (_is_shape, "a list of sizes"),
    "dtype": (_is_dtype, "the name of a number's type"),
    "classes": (_are_names, "a list of names"),
}
"""Facts of the data that sampling needs: what each must be."""
