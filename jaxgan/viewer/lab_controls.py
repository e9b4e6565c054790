"""The rules of a game as widgets."""

# Type checkers do not know the constructors of Bokeh's models.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

import dataclasses
from collections.abc import Callable
from typing import Any

from bokeh.models import CategoricalSlider, Row, Select, Slider, TextInput
from bokeh.models.layouts import Column

from jaxgan.viewer import page
from jaxgan.viewer.lab_settings import Settings

LOSSES = (
    *("minimax", "non_saturating", "least_squares", "wasserstein", "hinge"),
    *("relativistic", "relativistic_average"),
)

TERMS = (
    ("", "none"),
    ("r1(0.1)|r2(0.1)", "R1 and R2 (0.1)"),
    ("r1(0.02)|r2(0.02)", "R1 and R2 (0.02)"),
    ("r1(0.1)", "R1 (0.1)"),
    ("gradient_penalty(10)", "gradient penalty (10)"),
    ("dragan(10)", "DRAGAN (10)"),
    ("lecam(0.3)", "LeCam (0.3)"),
)
"""Terms of D by recipe, with their names."""

OWN = "own"
"""The choice of terms that are typed."""

OPTIMIZERS = ("adam", "sgd", "rmsprop")
BETAS = ("0", "0.5", "0.9")
WIDTHS = ("16", "32", "64", "128", "256")
DEPTHS = ("1", "2", "3", "4")
ACTIVATIONS = ("swish", "relu", "leaky_relu", "tanh", "elu")
RATES = (*(f"{n}e-{power}" for power in (5, 4, 3, 2) for n in (1, 2, 5)), "1e-1")
LONGEST = 200
"""Maximum number of characters of typed terms."""


class Controls:
    """Widgets for the rules of a game.

    Args:
      settings: the first rules.
      changed: called with new rules.
      name: of the game, for titles that screen readers tell apart.
    """

    def __init__(
        self, settings: Settings, changed: Callable[[Settings], None], name: str
    ) -> None:
        self.settings, self._changed = settings, changed
        self._quiet = False
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        self.loss = Select(title="Loss", options=list(LOSSES), **wide)
        self.terms = Select(
            title="Terms of D", options=[*TERMS, (OWN, "typed below")], **wide
        )
        self.own = TextInput(title="Typed terms, as --d_terms", **wide)
        self.k = Slider(title="k, steps of D", start=1, end=10, step=1)
        self.g_rate = _rate_slider("Rate of G", f"g_rate_{name}")
        self.d_rate = _rate_slider("Rate of D", f"d_rate_{name}")
        self.optimizer = Select(title="Optimizer", options=list(OPTIMIZERS), **wide)
        self.b1 = Select(title="Adam's b1", options=list(BETAS), **wide)
        self.width = Select(title="Width", options=list(WIDTHS), **wide)
        self.depth = Select(title="Layers", options=list(DEPTHS), **wide)
        self.activation = Select(title="D's units", options=list(ACTIVATIONS), **wide)
        self.k.update(**wide)
        self.show(settings)
        page.watch(self.k, "value_throttled", self._read)
        for widget in (
            *(self.g_rate, self.d_rate),
            *(self.loss, self.terms, self.own, self.optimizer, self.b1),
            *(self.width, self.depth, self.activation),
        ):
            page.watch(widget, "value", self._read)
        rows = [
            Row(self.loss, self.terms, **wide),
            self.own,
            Row(self.g_rate, self.d_rate, self.k, **wide),
            Row(self.optimizer, self.b1, self.width, self.depth, **wide),
            self.activation,
        ]
        self.layout = Column(*rows, name=f"rules_{name}", **wide)

    def show(self, settings: Settings) -> None:
        """Sets the widgets to given rules."""
        self._quiet, self.settings = True, settings
        known = settings.d_terms in dict(TERMS)
        self.loss.value = settings.loss
        self.terms.value = settings.d_terms if known else OWN
        self.own.value = settings.d_terms
        self.own.visible = not known
        self.k.value = settings.d_updates
        for slider, rate in (
            (self.g_rate, settings.g_rate),
            (self.d_rate, settings.d_rate),
        ):
            slider.value = min(
                RATES, key=lambda text, rate=rate: abs(float(text) - rate)
            )
        self.optimizer.value = settings.optimizer
        self.b1.value = f"{settings.b1:g}"
        self.width.value, self.depth.value = str(settings.width), str(settings.depth)
        self.activation.value = settings.activation
        self._quiet = False

    def _read(self) -> None:
        """Reads the widgets, and calls `changed`."""
        if self._quiet:
            return
        typed = self.terms.value == OWN
        self.own.visible = typed
        self.b1.disabled = self.optimizer.value != "adam"
        new = read(
            self.settings,
            loss=self.loss.value,
            d_terms=self.own.value if typed else self.terms.value,
            d_updates=self.k.value,
            g_rate=self.g_rate.value,
            d_rate=self.d_rate.value,
            optimizer=self.optimizer.value,
            b1=self.b1.value,
            width=self.width.value,
            depth=self.depth.value,
            activation=self.activation.value,
        )
        if new != self.settings:
            self.settings = new
            self._changed(new)


def _rate_slider(title: str, name: str) -> CategoricalSlider:
    """Returns a slider over rates."""
    return CategoricalSlider(
        title=title,
        name=name,
        categories=list(RATES),
        value="1e-3",
        sizing_mode="stretch_width",
    )


def read(settings: Settings, **values: Any) -> Settings:
    """Returns rules with the values of widgets, which a browser may send as it likes.

    Values that are not among the choices are ignored, and numbers are limited.

    >>> read(Settings(), width="99999999", g_rate="1e9").width
    64
    """
    choices = {
        "loss": LOSSES,
        "optimizer": OPTIMIZERS,
        "b1": BETAS,
        "width": WIDTHS,
        "depth": DEPTHS,
        "activation": ACTIVATIONS,
        "g_rate": RATES,
        "d_rate": RATES,
    }
    numbers = dict.fromkeys(("b1", "g_rate", "d_rate"), float)
    kinds = {**numbers, "width": int, "depth": int}
    new: dict[str, Any] = {}
    for name, value in values.items():
        if name in choices and value in choices[name]:
            new[name] = kinds.get(name, str)(value)
    if isinstance(values.get("d_terms"), str):
        new["d_terms"] = values["d_terms"][:LONGEST]
    if "d_updates" in values:
        new["d_updates"] = int(min(max(values["d_updates"], 1), 10))
    return dataclasses.replace(settings, **new)
