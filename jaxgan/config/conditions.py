"""The flags of conditions to draw: classes and attributes, with a row for each."""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from jaxgan.config.flags import Parser, shorten
from jaxgan.errors import UsageError, printable
from jaxgan.spec import unknown

NONE = "none"
"""The text of a hidden condition."""
DROPPED = -1
"""The number of the class of a hidden condition."""
ALL = "all"
USUAL_COLUMNS = 8
"""The default of `--n` if there is a row per condition."""
TRUE = {"1": 1, "yes": 1, "true": 1, "0": 0, "no": 0, "false": 0}
"""Values of attributes by text."""


class ConditionFlags(NamedTuple):
    """Conditions as texts; a label that all samples share is not among them.

    >>> ConditionFlags(labels="0-9").rows
    '--labels=0-9'
    """

    labels: str = ""
    """Classes by name or number, of which each has a row."""
    attributes: str = ""
    """Attributes by name, such as `smiling=1,hair=dark`."""
    sheet: str = ""
    """The attribute whose values have a row each."""

    @property
    def rows(self) -> str:
        """The flag that asks for rows, empty if there is none."""
        if self.labels:
            return f"--labels={shorten(self.labels)}"
        return f"--sheet={shorten(self.sheet)}" if self.sheet else ""


def add_conditions(parser: Parser) -> None:
    """Adds the flags of conditions."""
    add = parser.add_argument
    add(
        "--label",
        default="",
        help="name or number of the class to draw; none for samples without a class, "
        "if the task drops labels (default: all in turn)",
    )
    add(
        "--labels",
        default="",
        help="classes by name or number, such as 0-9 or cat,dog or all: a row of --n "
        f"samples for each, of the same latents in each row (default of --n: "
        f"{USUAL_COLUMNS})",
    )
    add(
        "--attributes",
        default="",
        help="attributes by name, such as smiling=1,hair=dark; the others are those of "
        "real examples (default: all are); none to hide them, if the task drops them",
    )
    add(
        "--sheet",
        default="",
        help="an attribute, such as smiling or hair: a row of --n samples for each of "
        "its values, of the same latents and other attributes in each row",
    )


def conditions_of(args: argparse.Namespace) -> ConditionFlags:
    """Returns the conditions of parsed arguments.

    Raises:
      UsageError: for flags that exclude each other.
    """
    found = ConditionFlags(args.labels, args.attributes, args.sheet)
    if args.labels and args.sheet:
        raise UsageError(f"{found.rows} and --sheet both ask for rows: use one of them")
    if args.label and args.labels:
        raise UsageError(
            f"--label={shorten(args.label)} and {found.rows} both name classes: use "
            "one of them"
        )
    for name, other in (("label", args.label), ("labels", args.labels)):
        if other and (args.attributes or args.sheet):
            raise UsageError(
                f"--{name} is for runs with classes, --attributes and --sheet for runs "
                "with attributes: use one of them"
            )
    if found.rows and args.interpolate:
        raise UsageError(f"{found.rows} and --interpolate both ask for rows: use one")
    return found


def class_number(text: str, names: Sequence[str], flag: str = "label") -> int:
    """Returns the number of the class with a name, or else with a number.

    Args:
      text: a name or a number. A text that is both is the name.
      names: those of all classes.
      flag: its name, for messages.

    Raises:
      UsageError: if there is no such class.

    >>> class_number("1", ["1", "0"]), class_number("1", ["cat", "dog"])
    (0, 1)
    """
    found = _class(text, names)
    if found is None:
        raise UsageError(f"--{flag}: {unknown(text, names, 'class')}")
    return found


def _class(text: str, names: Sequence[str]) -> int | None:
    if text in names:
        return names.index(text)
    # 18 digits fit int64.
    is_number = text.isascii() and text.isdigit() and len(text) <= 18
    return int(text) if is_number and int(text) < len(names) else None


def class_numbers(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """Returns the classes of `--labels`, in the order of the text.

    Args:
      text: names, numbers and ranges of both, joined by commas; `all` for all classes,
        and `none` for samples without a class.
      names: those of all classes.

    Raises:
      UsageError: if there is no such class.

    >>> class_numbers("0,2-3", ["a", "b", "c", "d"]), class_numbers("b-c", ["b", "c"])
    ((0, 2, 3), (0, 1))
    >>> class_numbers("T-shirt,none", ["T-shirt", "T"])
    (0, -1)
    """
    if text == ALL and ALL not in names:
        return tuple(range(len(names)))
    # A name may have a comma.
    parts = [text] if text in names else [x.strip() for x in text.split(",")]
    found: dict[int, None] = {}
    for part in filter(None, parts):
        found.update(dict.fromkeys(_range(part, names)))
    if not found:
        raise UsageError(
            f"--labels={shorten(text)} names no class: use --labels={ALL}, or "
            f"--labels={printable(names[0])}"
        )
    return tuple(found)


def _range(part: str, names: Sequence[str]) -> Sequence[int]:
    """Returns the classes of a name, a number, or a range."""
    if part == NONE and NONE not in names:
        return (DROPPED,)
    if (alone := _class(part, names)) is not None:
        return (alone,)
    # Names may have dashes, so that each may be that of the range.
    dashes = [i for i, c in enumerate(part) if c == "-"]
    for i in dashes[:64]:
        first, last = (_class(x.strip(), names) for x in (part[:i], part[i + 1 :]))
        if first is not None and last is not None and first <= last:
            return range(first, last + 1)
    return (class_number(part, names, "labels"),)


def group_of(name: str, names: Sequence[str]) -> list[int]:
    """Returns the numbers of the attributes of a categorical column, in order.

    >>> group_of("hair", ["hair=dark", "smiling", "hair=blond"])
    [0, 2]
    """
    return [i for i, x in enumerate(names) if x.startswith(f"{name}=")]


def parse_attributes(text: str, names: Sequence[str]) -> dict[int, int]:
    """Returns the values of attributes by number, 0 or 1.

    Args:
      text: such as `smiling=1,hair=dark`. One value of a category excludes the others.
      names: those of all attributes, such as `smiling`, `hair=dark` and `hair=blond`.

    Raises:
      UsageError: for unknown names or values.

    >>> parse_attributes("hair=red,smiling=no", ["smiling", "hair=dark", "hair=red"])
    {1: 0, 2: 1, 0: 0}
    """
    found: dict[int, int] = {}
    for part in filter(None, (x.strip() for x in text.split(","))):
        key, equals, value = (x.strip() for x in part.rpartition("="))
        if part in names:  # such as smiling, or hair=dark
            key, value = part, "1"
        elif not equals or (key not in names and not group_of(key, names)):
            raise _unknown_attribute(key or part, names)
        elif key not in names:
            values = [names[i].partition("=")[2] for i in group_of(key, names)]
            raise UsageError(
                f"--attributes={shorten(text)}: "
                f"{unknown(value, values, f'value of {printable(key)}')}"
            )
        if value.lower() not in TRUE:
            raise UsageError(
                f"--attributes={shorten(text)}: {printable(key)} is 0 or 1: use "
                f"--attributes='{printable(key)}=1'"
            )
        present = TRUE[value.lower()]
        if present:
            found |= dict.fromkeys(category_of(key, names), 0)
        found[names.index(key)] = present
    if not found:
        raise UsageError(
            f"--attributes={shorten(text)} names no attribute: use "
            f"--attributes='{printable(names[0])}'"
        )
    return found


def category_of(name: str, names: Sequence[str]) -> list[int]:
    """Returns the numbers of all values of the category of an attribute.

    >>> category_of("hair=dark", ["hair=dark", "smiling", "hair=blond"])
    [0, 2]
    >>> category_of("smiling", ["hair=dark", "smiling", "hair=blond"])
    []
    """
    column, equals, _ = name.partition("=")
    return group_of(column, names) if equals else []


def sheet_rows(name: str, names: Sequence[str]) -> list[dict[int, int]]:
    """Returns the attributes of each row of a sheet, by number.

    Args:
      name: a category, with a row for each of its values, or a binary attribute, with a
        row without and a row with it.
      names: those of all attributes.

    Raises:
      UsageError: if there is no such attribute.

    >>> sheet_rows("smiling", ["smiling"]), sheet_rows("a", ["a=x", "a=y"])
    ([{0: 0}, {0: 1}], [{0: 1, 1: 0}, {0: 0, 1: 1}])
    """
    if name in names:
        return [{names.index(name): value} for value in (0, 1)]
    group = group_of(name, names)
    if not group:
        raise _unknown_attribute(name, names, "sheet")
    return [{i: int(i == one) for i in group} for one in group]


def _unknown_attribute(
    name: str, names: Sequence[str], flag: str = "attributes"
) -> UsageError:
    """Returns the error for an attribute that there is not."""
    columns = [x.partition("=")[0] if category_of(x, names) else x for x in names]
    return UsageError(f"--{flag}: {unknown(name, dict.fromkeys(columns), 'attribute')}")
