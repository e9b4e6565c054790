"""The folder of a run: its config, facts of its data, and a lock.

config.json has the flags and data.json the facts of the data. Both are written
atomically, so that a run can be resumed after a program is killed at any moment.
"""

import json
import tempfile
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan import storage
from jaxgan.errors import UsageError, printable
from jaxgan.files import (
    atomic_write,
    kind,
    locked,
    reason,
    remedy,
    remedy_if_short,
)

OURS = ("metrics.jsonl", "samples", "checkpoints", "data.json")
"""Outputs of a run besides config.json. A folder with any of them is not new."""

ACCEPTABLE = frozenset(
    {"dataset", "dtype", "classes", "size", "fingerprint", "combinations"}
)
"""Fields of config.json and data.json that may differ with `--data_changed=accept`."""

KINDS = {
    **dict.fromkeys((".lock", "config.json", "data.json", "metrics.jsonl"), "a file"),
    **dict.fromkeys(("progress.png", "losses.png", "translation.gif"), "a file"),
    **dict.fromkeys(("machine.json", "report.html"), "a file"),
    **dict.fromkeys(("samples", "checkpoints", "profile"), "a folder"),
}
"""The kind of each output of a run, as in `files.kind`."""


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

    The folder is locked until the end of the `with` block, or of the program. Fields
    that are allowed to differ are updated in config.json and data.json. A field that
    only one side has is from another version, and does not count as a difference.

    Args:
      path: the folder, which is created if it does not exist, or a URL.
      config: the flags, as JSON values.
      may_change: fields of `config` that may differ when a run is resumed.
      data: facts of the data, as JSON values.
      alike: alike(old config, old data) returns more fields of both that may differ.

    Yields:
      The absolute path of the folder; for a URL, that of a copy that is mirrored.

    Raises:
      UsageError: before anything is written, if the folder cannot be used, is in use,
        or holds a run with a different config or different data.
    """
    with storage.open_folder("--workdir", path) as folder:
        # The folder comes first, as the lock is a file in it.
        _make(folder)
        with _locked(folder):
            with writable(folder):
                if (folder / "config.json").exists():
                    _resume(folder, config, may_change, data, alike)
                else:
                    _start(folder, config, data)
            # Outside of `writable`, which would misreport errors of the caller.
            yield folder


def differences(
    old: dict[str, Any], new: dict[str, Any], may_change: frozenset[str] = frozenset()
) -> dict[str, tuple[Any, Any]]:
    """Returns the fields that prevent resuming `old` with `new`.

    Values are compared as JSON, where a tuple is a list. A field that only one side has
    is left out: it is from another version, which behaved like the field's default.

    Args:
      old: fields of the run.
      new: fields of the program.
      may_change: fields that may differ.

    Returns:
      The old and the new value of each field.

    >>> differences({"loss": "hinge", "steps": 10}, {"loss": "wgan", "steps": 20},
    ...             frozenset({"steps"}))
    {'loss': ('hinge', 'wgan')}
    """
    # A round trip turns tuples into lists, like those read from a file.
    old, new = json.loads(json.dumps(old)), json.loads(json.dumps(new))
    return {
        name: (old[name], new[name])
        for name in old
        if name in new and name not in may_change and old[name] != new[name]
    }


def check_config(
    path: str | Path, config: dict[str, Any], may_change: frozenset[str]
) -> None:
    """Compares the flags of the run in a folder before its data are read.

    `open_workdir` compares again, when all flags and the data are known. It knows when
    the place of the data may differ. Here it is named beside other flags only.

    Args:
      path: the folder of a run.
      config: the flags, as JSON values.
      may_change: fields of `config` that are not compared.

    Raises:
      UsageError: if flags differ, other than `dataset`.
    """
    changed = differences(read_config(path), config, may_change)
    if changed.keys() - {"dataset"}:
        _refuse(Path(path), "a different config", changed)


def read_config(path: str | Path) -> dict[str, Any]:
    """Reads the flags of the run in a folder.

    Raises:
      UsageError: if the file is missing, cannot be read or is not a JSON object.
    """
    return _read(Path(path), "config.json")


def read_data(path: str | Path) -> dict[str, Any]:
    """Reads the facts of the data of the run in a folder.

    Raises:
      UsageError: if the file is missing or cannot be read, or if `shape`, `dtype` or
        `classes` is missing or invalid.
    """
    facts = _read(Path(path), "data.json")
    for name, (is_valid, expected) in FACTS.items():
        # A missing fact is None, which no check accepts.
        if not is_valid(facts.get(name)):
            value = json.dumps(facts[name])[:80] if name in facts else "absent"
            why = f"{name} is {value}, not {expected}"
            raise _damaged(Path(path) / "data.json", why)
    return facts


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turns an OSError in the `with` block into a one-line error with a remedy.

    Args:
      path: the folder that is written to.

    Raises:
      UsageError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"--workdir={printable(str(path))} cannot be written any more "
            f"({reason(error)}); {remedy(error)}, and the same command resumes"
        ) from error


def _make(path: Path) -> None:
    """Creates the folder and checks that it is writable and new, or has a config.

    Raises:
      UsageError: if it is not.
    """
    shown = f"--workdir={printable(str(path))}"
    try:
        # A file at the place of a folder gets a clearer error than that of mkdir.
        for parent in (path, *path.parents):
            if kind(parent) not in ("", "a folder"):
                raise UsageError(
                    f"{shown}: {printable(str(parent))} is {kind(parent)}; use a "
                    "folder, such as runs/1"
                )
        _check_kinds(path)
        path.mkdir(parents=True, exist_ok=True)
        # Write a file, as permission bits say nothing to root or on network drives.
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(
            f"{shown} cannot be written ({reason(error)}); {remedy_if_short(error)}use "
            "a writable folder, such as runs/1"
        ) from None
    # Outputs of a run with unknown flags must not be overwritten.
    if not (path / "config.json").exists():
        outputs = [name for name in OURS if (path / name).exists()]
        if outputs:
            raise UsageError(
                f"{shown} has {', '.join(outputs)} but no config.json, so that the run "
                "cannot be resumed; use a new folder"
            )


def _check_kinds(path: Path) -> None:
    """Raises UsageError if an output of a run exists and is of another kind."""
    for name, expected in KINDS.items():
        actual = kind(path / name)
        # The empty kind means that there is no such file yet.
        if actual not in ("", expected):
            raise UsageError(
                f"--workdir={printable(str(path))}: {name} is {actual}, not "
                f"{expected}; remove or rename it, or use another --workdir"
            )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the lock of a folder; raises UsageError if that is impossible."""
    shown = f"--workdir={printable(str(path))}"
    # With the stack, errors of the caller's block bypass the except clauses.
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path / ".lock", wait=False))
        except BlockingIOError as error:
            raise UsageError(
                f"{shown} is in use by another program; wait until it ends, or use "
                "another --workdir"
            ) from error
        except OSError as error:
            raise UsageError(
                f"{shown} cannot be locked ({reason(error)}); {remedy_if_short(error)}"
                "use a --workdir on another disk"
            ) from error
        yield


def _start(path: Path, config: dict[str, Any], data: dict[str, Any]) -> None:
    """Writes the files of a new run."""
    # config.json first: a folder with only data.json cannot be resumed.
    _write(path / "config.json", config)
    _write(path / "data.json", data)


def _resume(
    path: Path,
    config: dict[str, Any],
    may_change: frozenset[str],
    data: dict[str, Any],
    alike: Callable[[dict[str, Any], dict[str, Any]], frozenset[str]] | None,
) -> None:
    """Checks that a run may be resumed, and updates its files."""
    old, old_data = read_config(path), {}
    if (path / "data.json").exists():  # otherwise killed between the two files
        old_data = read_data(path)
    # The caller may know of more fields whose difference does not matter.
    if alike is not None:
        may_change |= alike(old, old_data)
    # Both files are checked before either is written.
    _refuse(path, "a different config", differences(old, config, may_change))
    _refuse(path, "different data", differences(old_data, data, may_change))
    # Fields of other versions are kept.
    if differences(old_data, data) or data.keys() - old_data.keys():
        _write(path / "data.json", {**old_data, **data})
    if differences(old, config):
        _write(path / "config.json", {**old, **config})


def format_differences(found: dict[str, tuple[Any, Any]]) -> str:
    """Formats differences as text, with long values shortened.

    >>> format_differences({"size": (50, 51)})
    'size is 50 in the run and 51 now'
    >>> a, b = ({"x": {"kind": "tokens", "names": [*names]}} for names in ("abc", "de"))
    >>> format_differences({"fields": (a, b)})
    'another vocabulary: 3 tokens in the run and 2 now'
    """
    found = dict(found)
    if len(found) > 1:
        found.pop("fingerprint", None)  # it differs because of the others
    texts = []
    for name, (old, new) in found.items():
        if name == "fields" and _are_facts(old) and _are_facts(new):
            texts += _field_differences(old, new, found)
        else:
            texts.append(_difference(name, old, new))
    return ", ".join(texts)


def _difference(name: str, old: Any, new: Any) -> str:
    """Returns the text of one difference, with values as JSON, like in the files."""
    old, new = (_short(json.dumps(x)) for x in (old, new))
    return f"{name} is {old} in the run and {new} now"


def _field_differences(
    old: dict[str, Any], new: dict[str, Any], known: Container[str]
) -> list[str]:
    """Returns the differences of the fields of an example, without those in `known`.

    Args:
      old: facts of each field of the run, by its name.
      new: those of the program.
      known: facts of the first field, and `classes`, that are named as different.
    """
    if list(old) != list(new):
        return [_difference("fields", ", ".join(old), ", ".join(new))]
    first, texts = next(iter(new)), []
    # Facts that data.json has outside of the fields too.
    twice = {(first, fact): fact for fact in ("shape", "dtype")}
    twice["label", "names"] = "classes"
    for name in new:
        for fact, (was, now) in differences(old[name], new[name]).items():
            if fact == "names" and new[name].get("kind") == "tokens":
                texts.append(_vocabulary(len(was), len(now)))
            elif twice.get((name, fact), "") not in known:
                texts.append(_difference(f"{fact} of {name}", was, now))
    return texts


def _vocabulary(old: int, new: int) -> str:
    """Returns the text of a difference of vocabularies, by their sizes."""
    if old == new:
        return f"another vocabulary of {old} tokens"
    return f"another vocabulary: {old} tokens in the run and {new} now"


def _short(text: str) -> str:
    """Cuts the middle of a long text."""
    return text if len(text) <= 80 else f"{text[:30]} ... {text[-45:]}"


def _refuse(path: Path, what: str, changed: dict[str, tuple[Any, Any]]) -> None:
    """Raises UsageError if there are differences."""
    if not changed:
        return
    remedy = "use another --workdir or the same flags"
    # Only differences of the data can be accepted.
    if changed.keys() <= ACCEPTABLE:
        remedy += ", or accept the new data with --data_changed=accept"
    raise UsageError(
        f"--workdir={printable(str(path))} holds a run with {what}: "
        f"{format_differences(changed)}; {remedy}"
    )


def _read(path: Path, name: str) -> dict[str, Any]:
    """Reads a JSON file of a run; raises UsageError if that is impossible."""
    shown = f"--workdir={printable(str(path))}"
    try:
        actual = kind(path / name)
        # Reading anything else, such as a pipe, could wait forever.
        text = (path / name).read_bytes() if actual == "a file" else b""
    except OSError as error:
        raise UsageError(
            f"{shown}: {name} cannot be read ({reason(error)}); get read permission, "
            "or use another --workdir"
        ) from error
    if actual != "a file":
        raise UsageError(
            f"{shown} is not the folder of a run: "
            + (f"{name} is {actual}" if actual else f"it has no {name}")
            + "; use the folder of a run"
        )
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # invalid, or nested too deeply
        content = None
    # Valid JSON of another type, such as a list, is damage too.
    if not isinstance(content, dict):
        raise _damaged(path / name, "it is not JSON")
    return content


def _damaged(file: Path, why: str) -> UsageError:
    """Returns the error for a damaged file of a run."""
    return UsageError(
        f"{printable(str(file))} is damaged: {why}; restore its backup, or use another "
        "--workdir"
    )


def _write(file: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file atomically."""
    atomic_write(file, (json.dumps(content, indent=2) + "\n").encode())


def _is_shape(value: Any) -> bool:
    """Returns True for a list of 1 to 3 positive integers."""
    # The exact type, since a bool is an int too.
    sides = isinstance(value, list) and all(type(x) is int and x > 0 for x in value)
    return sides and 1 <= len(value) <= 3


def _is_dtype(value: Any) -> bool:
    """Returns True for the name of a boolean, integer or floating-point dtype."""
    try:
        # Boolean, signed, unsigned and floating-point kinds.
        return isinstance(value, str) and np.dtype(value).kind in "biuf"
    except (TypeError, ValueError, SyntaxError):
        return False


def _are_facts(value: Any) -> bool:
    """Returns True for facts of fields by name, such as `{"image": {"shape": ...}}`."""
    facts = value.values() if isinstance(value, dict) and value else [None]
    return all(isinstance(x, dict) and _are_names(x.get("names")) for x in facts)


def _are_names(value: Any) -> bool:
    """Returns True for a list of strings."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


FACTS = {
    "shape": (_is_shape, "a list of sizes"),
    "dtype": (_is_dtype, "the name of a numeric dtype"),
    "classes": (_are_names, "a list of names"),
}
"""Facts of the data that sampling needs: a check, and the expected value in words."""
