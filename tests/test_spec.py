"""Recipes as text: what is read, and what is said when it cannot be."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from jaxgan import spec
from jaxgan.errors import UsageError

TABLE = {
    "r1": lambda gamma=10.0: ("r1", gamma),
    "l1": lambda weight=100.0: ("l1", weight),
    "net": lambda width=8, *, shape: ("net", width, shape),
}
NESTED = {"linear": lambda start, end, steps: ("linear", start, end, steps)}


class Pair(NamedTuple):
    value: Any


def test_calls_keep_their_order_and_arguments():
    built = spec.build("r1(2)|l1(weight=3.5)", TABLE)
    assert list(built.items()) == [("r1", ("r1", 2)), ("l1", ("l1", 3.5))]


def test_an_empty_text_builds_nothing():
    assert spec.build("", TABLE) == {}
    assert spec.build("  ", TABLE) == {}


def test_a_schedule_stands_as_an_argument():
    built = spec.build_one("r1(linear(1, 0.1, 100))", TABLE, NESTED)
    assert built == ("r1", ("linear", 1, 0.1, 100))


def test_given_keywords_reach_every_factory():
    assert spec.build_one("net(4)", TABLE, shape=(2,)) == ("net", 4, (2,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r3(1)", "no name 'r3': did you mean 'r1'? Choose from l1, net, r1"),
        ("r1(weight=1)", "r1(gamma=10.0): got an unexpected keyword argument 'weight'"),
        ("r1(1, 2)", "r1(gamma=10.0): too many positional arguments"),
        ("r1|r1(2)", "'r1' appears twice in 'r1|r1(2)': use it once"),
        ("r1(", "cannot read 'r1('"),
        ("r1(__import__('os'))", "no name '__import__'"),
        ("1 + 2", "cannot read '1 + 2'"),
        ("r1(**{'gamma': 1})", "cannot read"),
        ("r1.x(1)", "cannot read"),
    ],
)
def test_what_cannot_be_built_is_named(text, message):
    with pytest.raises(UsageError) as error:
        spec.build(text, TABLE, NESTED)
    assert message in str(error.value)


def rate(x: float, name: str = "a", steps: int = 3):
    return x, name, steps


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate('x')", "x must be float, not 'x'"),
        ("rate(1, 2)", "name must be str, not 2"),
        ("rate(1, steps=2.5)", "steps must be int, not 2.5"),
        ("rate([1])", "x must be float, not [1]"),
    ],
)
def test_kinds_are_checked_before_the_call(text, message):
    with pytest.raises(UsageError) as error:
        spec.build(text, {"rate": rate})
    assert message in str(error.value)
    assert spec.build_one("rate(1, 'b', 2)", {"rate": rate}) == (1, "b", 2)


def test_one_means_one():
    with pytest.raises(UsageError, match="choose one of l1, net, r1"):
        spec.build_one("r1|l1", TABLE)


def often(n: int, term: Pair) -> Pair:
    return Pair(n * term.value)


def pair(value: float | Callable[[int], float] = 1.0) -> Pair:
    return Pair(value)


WRAPPERS = {"often": often, "pair": pair, "other": pair}


def test_a_wrapper_has_the_name_of_what_it_wraps():
    text = "often(2, pair(3))|often(2, often(2, other(1)))"
    assert spec.build(text, WRAPPERS, WRAPPERS) == {"pair": (6,), "other": (4,)}
    with pytest.raises(UsageError, match="'pair' appears twice"):
        spec.build("often(2, pair(3))|pair", WRAPPERS, WRAPPERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("often(2, 3)", "term must be Pair, not 3"),
        ("pair(often(2, pair(1)))", "value must be a number or a schedule, not a Pair"),
        ("pair('a')", "value must be a number or a schedule, not 'a'"),
    ],
)
def test_what_is_wrapped_is_checked_too(text, message):
    with pytest.raises(UsageError) as error:
        spec.build(text, WRAPPERS, WRAPPERS)
    assert message in str(error.value)


def test_schedules_and_lists_of_calls_are_arguments():
    nested = {"half": lambda: len, "one": lambda: 1}
    assert spec.build_one("pair(half())", WRAPPERS, nested).value is len
    table = {"all": lambda parts: parts}
    assert spec.build_one("all(one|one())", table, nested) == [1, 1]


def test_given_keywords_pass_by_factories_that_do_not_take_them():
    assert spec.build_one("l1(2)", TABLE, shape=(2,)) == ("l1", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r1|" * 3_000 + "l1", "it has 9002 characters, and the limit is 4000"),
        ("r1|" * 1_300 + "l1", "'r1' appears twice"),
        ("r1(" + "-" * 20_000 + "1)", "characters"),
        ("r1(" + "-" * 3_900 + "1)", "cannot read"),
        ("r1(" + "(" * 1_900 + ")" * 1_900 + ")", "cannot read"),
        ("-" * 3_999, "cannot read"),
        (
            "often(2, " * 6 + "pair" + ")" * 6,
            "calls are nested more than 5 deep",
        ),
        ("r1(gamma=1, gamma=2)", "'gamma' is given twice"),
        ("r1(1) # |l1", "comments are not allowed"),
        ("r1(1)|", "cannot read"),
        ("|r1(1)", "cannot read"),
        ("r1||l1", "cannot read"),
        ("r1('a", "cannot read"),
        ("r1(²)", "cannot read"),
        ("r1(１)", "cannot read"),  # a full-width digit
        ("r1(\0)", "cannot read"),
        ("r1(\udcff)", "cannot read"),
        ("r1(f'{1}')", "cannot read"),
        ("r1((x := 1))", "cannot read"),
        ("r1(lambda: 1)", "cannot read"),
        ("r1(*(1,))", "cannot read"),
        ("r1(1)(2)", "cannot read"),
        ("r1[1]", "cannot read"),
        ("r1(a.b)", "cannot read"),
        ("r1({[]: 1})", "cannot read"),
        ("r1(10**9)", "cannot read"),
        ("r1(1if 1else 2)", "cannot read"),  # Python's parser warns of it
        ("r1('\\d')", "cannot read"),
        ("'r1'", "cannot read"),
        ("r1\n|l1", "cannot read"),
        ("x" * 3_999, "no name 'xxx"),
        ("r1(" + "x" * 3_900 + "=1)", "unexpected keyword argument 'xxx"),
        ("net(shape=(1,))", "unexpected keyword argument 'shape'"),
    ],
)
def test_odd_texts_are_refused_in_one_short_line(text, message):
    with pytest.raises(UsageError) as error:
        spec.build(text, {**WRAPPERS, **TABLE}, WRAPPERS, shape=(2,))
    said = str(error.value)
    assert message in said
    assert said.isprintable()
    assert len(said) < 400


def test_spaces_and_parentheses_do_not_matter():
    assert spec.build("  r1( 2 ) \n", TABLE) == {"r1": ("r1", 2)}
    text = "(r1|(l1|net))"
    assert list(spec.build(text, TABLE, shape=(1,))) == ["r1", "l1", "net"]


def several(widths: Sequence[int], by: Callable[[int, int], int] | None = None):
    return widths, by


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("several(3)", "widths must be a sequence of int, such as (64, 32), not 3"),
        (
            "several('ab')",
            "widths must be a sequence of int, such as (64, 32), not 'ab'",
        ),
        ("several((1, 2.5))", "a sequence of int, such as (64, 32), not (1, 2.5)"),
        ("several((1, True))", "not (1, True)"),
        ("several([1], 1)", "by must be a call, or calls joined by |, not 1"),
        (
            "several([1], one)",
            "by must be a call, or calls joined by |, not a function",
        ),
        ("rate(True)", "x must be float, not True"),
        ("rate(1, steps=False)", "steps must be int, not False"),
        ("rate({})", "x must be float, not {}"),
    ],
)
def test_kinds_of_sequences_functions_and_booleans(text, message):
    table = {"several": several, "rate": rate}
    nested = {"one": lambda: lambda a: a, "two": lambda: lambda a, b: a}
    with pytest.raises(UsageError) as error:
        spec.build(text, table, nested)
    assert message in str(error.value)
    widths, by = spec.build_one("several((1, 2), two)", table, nested)
    assert widths == (1, 2)
    assert by(3, 4) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "draw(shape)",
            "draw: kind is a text: write it in quotes, as in draw(kind='shap",
        ),
        ("draw(kind=center(16, x=2))", "as in draw(kind='center(16, x=2)')"),
        ("draw(also=both)", "draw: also is a text: write it in quotes"),
        (
            "draw('a', size=linear)",
            "draw takes no names, such as 'linear', as arguments",
        ),
    ],
)
def test_texts_without_quotes_are_told_of_them(text, message):
    def draw(kind: str = "a", size: float = 1.0, also: str | None = None):
        return kind, size, also

    with pytest.raises(UsageError) as error:
        spec.build_one(text, {"draw": draw})
    assert message in str(error.value)
    # Names of the other table are calls.
    assert spec.build_one("draw(one)", {"draw": draw}, {"one": lambda: "x"})[0] == "x"
