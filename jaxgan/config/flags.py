"""Dataclasses whose fields are command-line flags, and the parser that reads them."""

import argparse
import dataclasses
import difflib
import functools
import math
import numbers
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from jaxgan.errors import UsageError

MAX_DIGITS = 40
MAX_INT = 2**31 - 1
"""The largest integer unless a flag has a maximum: steps are int32 on devices."""

HELP_COLUMNS = 100


def flag(
    default: Any,
    group: str,
    help: str,
    *,
    resumable: bool = False,
    kind: Callable[[str], Any] | None = None,
    bare: Any = None,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """Returns a dataclass field that is a command-line flag.

    Args:
      default: the default value; its type is that of the flag.
      group: heading of the flag in `--help`.
      help: one sentence without a full stop.
      resumable: True if a resumed run may change the flag.
      kind: the function that parses the text; by default the one for the type.
      bare: the value of the flag without a value, as in `--profile`.
      choices: the allowed texts, if there are few.
      minimum: the smallest allowed number.
      maximum: the largest allowed number.
    """
    metadata = {
        "group": group,
        "help": help,
        "resumable": resumable,
        "kind": kind or READERS.get(type(default), type(default)),
        "bare": bare,
        "choices": choices,
        "minimum": minimum,
        "maximum": maximum,
    }
    return dataclasses.field(default=default, metadata=metadata)


def flag_name(field: dataclasses.Field) -> str:
    """Returns the flag of a field: `--steps`, or `--import` for `import_`."""
    return f"--{field.name.rstrip('_')}"


def parse_value(text: str) -> float | str:
    """Returns a number, or the text itself if it is none, such as `cosine(0, 1, 500)`.

    >>> parse_value("32e3"), parse_value("warmup(1, 500)")
    (32000.0, 'warmup(1, 500)')
    """
    try:
        return parse_float(text)
    except argparse.ArgumentTypeError:
        return text


def parse_int(text: str) -> int:
    """Parses an integer of ASCII digits; `int` also accepts those of other scripts.

    Raises:
      argparse.ArgumentTypeError: if the text is no integer.

    >>> parse_int("1_000"), parse_int("-1")
    (1000, -1)
    """
    if not re.fullmatch(r"[+-]?[0-9]+(_[0-9]+)*", text) or len(text) > MAX_DIGITS:
        raise argparse.ArgumentTypeError(f"{format_value(text)} is not a whole number")
    return int(text)


def parse_float(text: str) -> float:
    """Parses a number of ASCII digits, such as `2e-3`.

    Raises:
      argparse.ArgumentTypeError: if the text is no number.

    >>> parse_float("2e-3"), parse_float("1_000")
    (0.002, 1000.0)
    """
    try:
        # float also accepts digits of other scripts.
        if text.isascii():
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{format_value(text)} is not a number")


def parse_numbers(name: str, text: str, most: float, example: str) -> dict[str, float]:
    """Returns numbers by name, such as `glasses=1,beard=0`.

    Args:
      name: of the flag.
      text: its text.
      most: the largest number; the smallest is 0.
      example: a text that works.

    Raises:
      UsageError: for another form, or a number out of range.
    """
    values: dict[str, float] = {}
    for part in filter(None, (x.strip() for x in text.split(","))):
        key, _, value = part.partition("=")
        try:
            values[key.strip()] = parse_float(value.strip())
        except argparse.ArgumentTypeError:
            key = ""
        if not key.strip() or not 0 <= values[key.strip()] <= most:
            upper = f"from 0 to {most:g}" if math.isfinite(most) else "of at least 0"
            raise UsageError(
                f"--{name}={shorten(text)}: write names with values {upper}, "
                f"such as --{name}={example}"
            )
    return values


def format_value(value: Any) -> str:
    """Returns the `repr` of a value for a message, shortened if it is long."""
    # Python refuses to print integers of thousands of digits.
    if isinstance(value, int) and value.bit_length() > 200:
        return "a huge number"
    return shorten(repr(value))


def shorten(text: str) -> str:
    """Returns a text for a message, with its middle left out if it is long."""
    return text if len(text) <= 60 else f"{text[:40]}...{text[-10:]}"


READERS: dict[type, Callable[[str], Any]] = {int: parse_int, float: parse_float}
"""Parsers of flags, by the type of the default."""
METAVARS = {parse_int: "INT", parse_float: "FLOAT", parse_value: "VALUE", str: "STR"}
"""Placeholders of values in `--help`."""
KINDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


def convert_fields(fields: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Converts values for fields of a dataclass to the types of the fields.

    NumPy numbers and paths are accepted.

    Raises:
      UsageError: for an unknown field, naming the nearest one, or a value of another
        type.
    """
    known = {field.name: field for field in dataclasses.fields(fields)}
    for name in values:
        if name not in known:
            raise no_flag(f"--{name}", [flag_name(x) for x in known.values()])
    return {name: _convert(known[name], value) for name, value in values.items()}


def _convert(field: dataclasses.Field, value: Any) -> Any:
    default, reader = field.default, field.metadata["kind"]
    is_bool = isinstance(value, bool)
    # First, since a bool is an int too.
    if isinstance(default, bool):
        if is_bool:
            return value
    elif isinstance(default, int):
        # 1e3 is a float, but a whole number.
        whole_float = isinstance(value, float) and value.is_integer()
        if (isinstance(value, numbers.Integral) or whole_float) and not is_bool:
            return int(value)
    elif isinstance(default, float):
        if isinstance(value, numbers.Real) and not is_bool:
            return _as_float(value)
        # A schedule, or a number in quotes.
        if reader is parse_value and isinstance(value, str):
            return parse_value(value)
    elif isinstance(value, str | os.PathLike):
        return os.fspath(value)
    kind = KINDS[type(default)] + (" or a schedule" if reader is parse_value else "")
    raise UsageError(
        f"{flag_name(field)}={format_value(value)}: give {kind}, such as "
        f"{field.name}={default!r}"
    )


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def check_field(field: dataclasses.Field, value: Any) -> None:
    """Checks a value against the choices and the range of its flag.

    Raises:
      UsageError: naming the flag, the allowed values and one that works.
    """
    name, choices = field.name, field.metadata["choices"]
    if choices and value not in choices:
        # As text, such as "warn, stop or rollback".
        listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise UsageError(f"--{name}={value}: choose {listed}")
    low, high = field.metadata["minimum"], field.metadata["maximum"]
    if low is None or isinstance(value, str):  # a text is a schedule
        return
    example = f"such as --{name}={max(field.default, low)}"
    if value == math.inf:
        raise UsageError(f"--{name}={value}: must be finite, {example}")
    if not low <= value:  # NaN too
        raise UsageError(
            f"--{name}={format_value(value)}: must be at least {low}, {example}"
        )
    # Without a maximum, integers are limited to int32, and floats are not.
    if high is None:
        high = MAX_INT if isinstance(value, int) else value
    if value > high:
        raise UsageError(
            f"--{name}={format_value(value)}: must be at most {high:,}, {example}"
        )


class Parser(argparse.ArgumentParser):
    """A parser that raises `UsageError` and suggests the nearest flag.

    Args:
      foreign: advice for flags of other programs, by their names.
    """

    def __init__(
        self, *args: Any, foreign: Mapping[str, str] | None = None, **kwargs: Any
    ) -> None:
        formatter = functools.partial(
            argparse.HelpFormatter, max_help_position=26, width=HELP_COLUMNS - 2
        )
        kwargs.setdefault("usage", "%(prog)s [--FLAG=VALUE ...]")
        super().__init__(*args, formatter_class=formatter, **kwargs)
        self.foreign = foreign or {}

    def error(self, message: str) -> NoReturn:
        """Raises `UsageError` instead of printing the usage."""
        # argparse's message about --flag=value for a flag without a value.
        bare = re.match(r"argument (--\w+): ignored explicit argument", message)
        if bare:
            message = f"{bare[1]} takes no value: write {bare[1]} alone"
        raise UsageError(message)

    def print_help(self, file: Any = None) -> None:
        """Prints the help, and raises OSError if the output cannot be written."""
        print(self.format_help(), end="", file=file)

    def names(self) -> list[str]:
        """Returns the names of all flags."""
        return [s for action in self._actions for s in action.option_strings]

    def parse_flags(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Parses like `parse_args`, with a suggestion for an unknown flag."""
        known, rest = self.parse_known_args(argv)
        if rest:
            # Only the first unknown flag is named.
            raise no_flag(rest[0].partition("=")[0], self.names(), self.foreign)
        return known


def parse_names(
    parser: Parser,
    argv: Sequence[str] | None,
    *,
    least: int,
    what: str,
    example: str,
) -> tuple[argparse.Namespace, list[str]]:
    """Returns the values of flags, and the arguments that are no flags.

    Names are not positional arguments, which argparse cannot mix with flags.

    Args:
      parser: the parser.
      argv: arguments; those of the program if None.
      least: minimum number of names.
      what: the names in words.
      example: a command line that works.

    Raises:
      UsageError: for an unknown flag, an empty name, or too few names.
    """
    args, rest = parser.parse_known_args(argv)
    flags, names = rest, []
    if "--" in rest:  # what follows are names
        place = rest.index("--")
        flags, names = rest[:place], rest[place + 1 :]
    for text in flags:
        if text.startswith("-") and text != "-":
            raise no_flag(text.partition("=")[0], parser.names(), parser.foreign)
    names = [*flags, *names]
    if len(names) < least or not all(names):
        given = " ".join(map(repr, names)) or "nothing"
        raise UsageError(f"name {what}, not {given}: {example}")
    return args, names


def no_flag(
    name: str, known: Iterable[str], foreign: Mapping[str, str] | None = None
) -> UsageError:
    """Returns the error for an unknown flag.

    >>> no_flag("--step", ["--steps", "--seed"])
    UsageError('no flag --step: did you mean --steps?')
    >>> no_flag("--LR", ["--steps"], {"lr": "use --g_optimizer"})
    UsageError('no flag --LR: use --g_optimizer')
    """
    short = shorten(name)
    # Other programs write --learning-rate, --LR or -lr.
    plain = name.lstrip("-").lower().replace("-", "_")
    if not name.startswith("-"):
        return UsageError(
            f"no flag {short}: flags begin with --, such as --dataset=mnist"
        )
    # Another spelling of an existing flag gets that as a suggestion, below.
    if f"--{plain}" not in known and plain in (foreign or {}):
        return UsageError(f"no flag {short}: {(foreign or {})[plain]}")
    # Cut, as matching long texts is slow.
    near = difflib.get_close_matches(name[:60], list(known), 1)
    hint = f"did you mean {near[0]}?" if near else "see --help"
    return UsageError(f"no flag {short}: {hint}")


def add_run_flags(parser: Parser, run: int | None, shown: str) -> None:
    """Adds the flags that choose the parameters of a checkpoint: `--raw` and `--run`.

    Args:
      parser: the parser.
      run: the default number of the run, of several.
      shown: the same in words.
    """
    parser.add_argument(
        "--raw",
        action="store_true",
        help="use the newest parameters instead of their moving average",
    )
    parser.add_argument(
        "--run",
        type=parse_int,
        default=run,
        help=f"number of the run if several were trained (default: {shown})",
    )


def add_fields(parser: Parser, fields: Any) -> None:
    """Adds the fields of a dataclass, made by `flag`, to a parser by their groups."""
    groups: dict[str, Any] = {}
    for field in dataclasses.fields(fields):
        group = field.metadata["group"]
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        add, text = groups[group].add_argument, field.metadata["help"]
        name = flag_name(field)
        # Booleans are switches without a value.
        if isinstance(field.default, bool):
            add(name, action="store_true", help=text)
            continue
        # An empty default has a meaning of its own, which the help states.
        if field.default != "":
            text = f"{text} (default: {field.default})"
        kind, bare = field.metadata["kind"], field.metadata["bare"]
        # With `bare`, the value may be left out, as in --profile.
        more = {} if bare is None else {"nargs": "?", "const": bare}
        read = _with_example(kind, field.default)
        more |= {"type": read, "metavar": METAVARS[kind], "help": text}
        add(name, dest=field.name, **more)


def _with_example(kind: Callable[[str], Any], default: Any) -> Callable[[str], Any]:
    """Adds an example to the errors of a parser of values."""

    def read(text: str) -> Any:
        try:
            return kind(text)
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentTypeError(f"{error}, such as {default}") from None

    return read
