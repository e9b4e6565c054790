"""Dataclasses whose fields are flags, and the parser of command lines."""

import argparse
import dataclasses
import difflib
import math
import numbers
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from jaxgan.errors import UsageError


def flag(
    default: Any,
    group: str,
    help: str,
    *,
    changes: bool = False,
    kind: Callable[[str], Any] | None = None,
    bare: Any = None,
) -> Any:
    """A field that is a flag.

    `changes` if a resumed run may have another value, `kind` what reads its text,
    `bare` its value where the flag is given without one.
    """
    kind = kind or READERS.get(type(default), type(default))
    metadata = {"group": group, "help": help, "changes": changes, "kind": kind}
    metadata["bare"] = bare
    return dataclasses.field(default=default, metadata=metadata)


def parse_value(text: str) -> float | str:
    """A number, or the text of what gives one, such as `cosine(0, 1, 500)`.

    >>> value("32e3"), value("warmup(1, 500)")
    (32000.0, 'warmup(1, 500)')
    """
    try:
        return parse_float(text)
    except argparse.ArgumentTypeError:
        return text


def parse_int(text: str) -> int:
    """Reads a whole number in ASCII digits; `int` also reads those of other scripts.

    >>> whole("1_000"), whole("-1")
    (1000, -1)
    """
    if not re.fullmatch(r"[+-]?[0-9]+(_[0-9]+)*", text) or len(text) > MOST_DIGITS:
        raise argparse.ArgumentTypeError(f"{format_value(text)} is not a whole number")
    return int(text)


def parse_float(text: str) -> float:
    """Reads a number in ASCII digits, such as `2e-3`.

    >>> number("2e-3"), number("1_000")
    (0.002, 1000.0)
    """
    try:
        if text.isascii():
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{format_value(text)} is not a number")


def format_value(value: Any) -> str:
    """The `repr` of a value for a message, cut where it is long."""
    if isinstance(value, int) and value.bit_length() > 200:
        return "a huge number"
    return shorten(repr(value))


def shorten(text: str) -> str:
    """A text for a message, cut where it is long."""
    return text if len(text) <= 60 else f"{text[:40]}...{text[-10:]}"


MOST_DIGITS = 40
READERS: dict[type, Callable[[str], Any]] = {int: parse_int, float: parse_float}
"""The parsers of flags, by the type of the default."""
SHAPES = {parse_int: "INT", parse_float: "FLOAT", parse_value: "VALUE", str: "STR"}
"""How `--help` shows what a flag takes."""
KINDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


def convert_fields(fields: Any, said: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values for some fields of a dataclass, of the types that they have.

    Numbers of numpy and paths are converted.

    Raises:
      UsageError: for a field that there is not, with the nearest one, or for a value of
        another type.
    """
    known = {field.name: field for field in dataclasses.fields(fields)}
    values = {}
    for name, given in said.items():
        if name not in known:
            raise no_flag(f"--{name}", [f"--{field}" for field in known])
        values[name] = _fitted(known[name], given)
    return values


def _fitted(field: dataclasses.Field, given: Any) -> Any:
    default, reader = field.default, field.metadata["kind"]
    truth = isinstance(given, bool)
    if isinstance(default, bool):
        if truth:
            return given
    elif isinstance(default, int):
        whole_float = isinstance(given, float) and given.is_integer()
        if (isinstance(given, numbers.Integral) or whole_float) and not truth:
            return int(given)
    elif isinstance(default, float):
        if isinstance(given, numbers.Real) and not truth:
            return _as_float(given)
        if reader is parse_value and isinstance(given, str):
            return parse_value(given)
    elif isinstance(given, str | os.PathLike):
        return os.fspath(given)
    kind = KINDS[type(default)] + (" or a schedule" if reader is parse_value else "")
    raise UsageError(
        f"--{field.name}={format_value(given)}: give {kind}, such as "
        f"{field.name}={default!r}"
    )


def _as_float(given: Any) -> float:
    try:
        return float(given)
    except OverflowError:
        return math.inf


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `UsageError`, with the nearest flag named.

    `foreign` has advice for flags of other programs, by their names.
    """

    def __init__(
        self, *args: Any, foreign: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self.foreign = foreign or {}

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing the usage."""
        bare = re.match(r"argument (--\w+): ignored explicit argument", message)
        if bare:
            message = f"{bare[1]} takes no value: write {bare[1]} alone"
        raise UsageError(message)

    def print_help(self, file: Any = None) -> None:
        """Prints the help; an output that cannot be written raises, as any print."""
        print(self.format_help(), end="", file=file)

    def names(self) -> list[str]:
        """All flags there are."""
        return [s for action in self._actions for s in action.option_strings]

    def parse_flags(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """As `parse_args`; a flag that there is not raises with the nearest one."""
        known, rest = self.parse_known_args(argv)
        if rest:
            raise no_flag(rest[0].partition("=")[0], self.names(), self.foreign)
        return known


def no_flag(
    name: str, known: Iterable[str], foreign: Mapping[str, str] | None = None
) -> UsageError:
    """The error for a flag that there is not.

    >>> no_flag("--step", ["--steps", "--seed"])
    UsageError('no flag --step: did you mean --steps?')
    >>> no_flag("--LR", ["--steps"], {"lr": "use --g_optimizer"})
    UsageError('no flag --LR: use --g_optimizer')
    """
    short = shorten(name)
    plain = name.lstrip("-").lower().replace("-", "_")
    if not name.startswith("-"):
        return UsageError(
            f"no flag {short}: flags begin with --, such as --dataset=mnist"
        )
    if f"--{plain}" not in known and plain in (foreign or {}):
        return UsageError(f"no flag {short}: {(foreign or {})[plain]}")
    near = difflib.get_close_matches(name[:60], list(known), 1)
    hint = f"did you mean {near[0]}?" if near else "see --help"
    return UsageError(f"no flag {short}: {hint}")


def add_fields(parser: Parser, fields: Any) -> None:
    """Adds the fields of a dataclass, made by `flag`, to a parser by their groups."""
    groups: dict[str, Any] = {}
    for field in dataclasses.fields(fields):
        group = field.metadata["group"]
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        add = groups[group].add_argument
        shown = "nothing" if field.default == "" else field.default
        text = f"{field.metadata['help']} [{shown}]"
        if isinstance(field.default, bool):
            add(f"--{field.name}", action="store_true", help=text)
        else:
            kind, bare = field.metadata["kind"], field.metadata["bare"]
            more = {} if bare is None else {"nargs": "?", "const": bare}
            read = _with_example(kind, field.default)
            add(f"--{field.name}", type=read, metavar=SHAPES[kind], help=text, **more)


def _with_example(kind: Callable[[str], Any], default: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentTypeError(f"{error}, such as {default}") from None

    return read
