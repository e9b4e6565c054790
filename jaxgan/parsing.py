"""Dataclasses whose fields are flags, and the parser of command lines."""

import argparse
import dataclasses
import difflib
from collections.abc import Callable, Iterable, Sequence
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
    kind = kind or type(default)
    metadata = {"group": group, "help": help, "changes": changes, "kind": kind}
    metadata["bare"] = bare
    return dataclasses.field(default=default, metadata=metadata)


def value(text: str) -> float | str:
    """A number, or the text of what gives one, such as `cosine(0, 1, 500)`.

    >>> value("32e3"), value("warmup(1, 500)")
    (32000.0, 'warmup(1, 500)')
    """
    try:
        return float(text)
    except ValueError:
        return text


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `UsageError`, with the nearest flag named."""

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing the usage."""
        raise UsageError(message)

    def names(self) -> list[str]:
        """All flags there are."""
        return [s for action in self._actions for s in action.option_strings]

    def parse_flags(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """As `parse_args`; a flag that there is not raises with the nearest one."""
        known, rest = self.parse_known_args(argv)
        if rest:
            raise no_flag(rest[0].partition("=")[0], self.names())
        return known


def no_flag(name: str, known: Iterable[str]) -> UsageError:
    """The error for a flag that there is not.

    >>> no_flag("--step", ["--steps", "--seed"])
    UsageError('no flag --step: did you mean --steps?')
    """
    near = difflib.get_close_matches(name, list(known), 1)
    hint = f"did you mean {near[0]}?" if near else "see --help"
    return UsageError(f"no flag {name}: {hint}")


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
            shape = kind.__name__.upper()
            add(f"--{field.name}", type=kind, metavar=shape, help=text, **more)
