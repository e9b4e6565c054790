"""Recipes as text: what is read, and what is said when it cannot be."""

import pytest

from jaxgan import spec
from jaxgan.core import UsageError

TABLE = {
    "r1": lambda gamma=10.0: ("r1", gamma),
    "l1": lambda weight=100.0: ("l1", weight),
    "net": lambda width=8, *, shape: ("net", width, shape),
}
NESTED = {"linear": lambda start, end, steps: ("linear", start, end, steps)}


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
        ("r3(1)", "no name 'r3': did you mean 'r1'? There is: l1, net, r1"),
        ("r1(weight=1)", "r1(gamma=10.0): got an unexpected keyword argument 'weight'"),
        ("r1(1, 2)", "r1(gamma=10.0): too many positional arguments"),
        ("r1|r1(2)", "'r1' comes twice in 'r1|r1(2)': say it once"),
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
        ("rate('x')", "x is float, not 'x'"),
        ("rate(1, 2)", "name is str, not 2"),
        ("rate(1, steps=2.5)", "steps is int, not 2.5"),
        ("rate([1])", "x is float, not [1]"),
    ],
)
def test_kinds_are_checked_before_the_call(text, message):
    with pytest.raises(UsageError) as error:
        spec.build(text, {"rate": rate})
    assert message in str(error.value)
    assert spec.build_one("rate(1, 'b', 2)", {"rate": rate}) == (1, "b", 2)


def test_one_means_one():
    with pytest.raises(UsageError, match="wants one of: l1, net, r1"):
        spec.build_one("r1|l1", TABLE)
