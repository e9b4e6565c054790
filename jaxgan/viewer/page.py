"""The frame of all pages: template, colors and a few elements."""

# Type checkers do not know the constructors of Bokeh's models.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

import functools
import html
import importlib.resources
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bokeh.document import Document
from bokeh.models import Div, InlineStyleSheet, LayoutDOM, Model, UIElement
from bokeh.models.layouts import Column
from bokeh.plotting import figure
from bokeh.themes import Theme
from jinja2 import Template

STYLE = """
:host { --color:var(--ink); --background-color:var(--card); --border-color:var(--line);
  --divider-color:var(--line); --surface-background-color:var(--wash);
  --hover-color:var(--wash); --disabled-background-color:var(--wash);
  --placeholder-color:var(--soft); --active-fg:var(--accent);
  --input-focus-border-color:var(--focus); --icon-color:var(--soft);
  --inactive-bg:var(--wash); --shortcut-color:var(--soft); color:var(--ink); }
.bk-btn, .bk-btn-default { color:var(--ink); background:var(--card);
  border-color:var(--line); }
.bk-btn-default:hover { background:var(--wash); }
.bk-btn-primary { background:#1d4ed8; border-color:#1d4ed8; color:#fff; }
.bk-btn-default.bk-active { background:var(--wash); color:var(--ink);
  border-color:var(--accent); }
.bk-btn:focus-visible, .noUi-handle:focus-visible, input:focus-visible,
select:focus-visible, .bk-tab:focus-visible { outline:2px solid var(--focus);
  outline-offset:1px; }
select.bk-input, input.bk-input, textarea.bk-input { color:var(--ink); }
.noUi-connect { background:var(--soft); opacity:.55; }
.noUi-target { background:var(--wash); border-color:var(--line); box-shadow:none; }
.noUi-handle { background:var(--card); border-color:var(--soft); box-shadow:none; }
.bk-tab { color:var(--soft); } .bk-tab.bk-active { color:var(--ink);
  background:var(--wash); }
.bk-clearfix h2 { font-size:15px; margin:0 0 2px; font-weight:600; }
.bk-clearfix p { margin:2px 0; } .soft { color:var(--soft); }
.bk-clearfix table { border-collapse:collapse; font-size:12.5px; }
.bk-clearfix td, .bk-clearfix th { text-align:left; padding:2px 12px 2px 0;
  vertical-align:top; border-bottom:1px solid var(--line); overflow-wrap:anywhere; }
.say { font-size:15px; line-height:1.45; min-height:88px; }
.bad { color:#d1242f; }
@media (prefers-color-scheme: dark) { .bad { color:#ff7b72; }
  select.bk-input { appearance:auto; background-image:none; } }
"""
"""Colors of widgets: those of the page, also inside of shadow roots."""


class Colors(NamedTuple):
    """Colors of plots."""

    ink: str
    soft: str
    line: str
    card: str
    real: str
    fake: str
    more: tuple[str, ...]


LIGHT = Colors(
    *("#1f2328", "#59636e", "#e3e7ec", "#ffffff", "#1d4ed8", "#d9480f"),
    more=("#1d4ed8", "#d9480f", "#2b8a3e", "#9c36b5", "#0b7285", "#a61e4d"),
)
DARK = Colors(
    *("#e6eaf0", "#9aa4b1", "#2a313b", "#171b22", "#7aa7ff", "#ff922b"),
    more=("#7aa7ff", "#ff922b", "#69db7c", "#da77f2", "#3bc9db", "#f783ac"),
)

PAGES = (("/", "Runs"), ("/latents", "Latents"), ("/lab", "Lab"))


def colors(doc: Document) -> Colors:
    """Returns the colors for the browser's scheme, which its cookie names."""
    context = doc.session_context
    request = getattr(context, "request", None)
    cookies = getattr(request, "cookies", None) or {}
    return DARK if cookies.get("jaxgan_scheme") == "dark" else LIGHT


def argument(doc: Document, name: str) -> str:
    """Returns an argument of the page's address, at most 500 characters of it."""
    request = getattr(doc.session_context, "request", None)
    values = (getattr(request, "arguments", None) or {}).get(name, [])
    return values[0].decode(errors="replace")[:500] if values else ""


def theme(colors: Colors) -> Theme:
    """Returns the theme of plots."""
    text = {"text_color": colors.ink}
    axis = {
        "axis_label_text_color": colors.soft,
        "major_label_text_color": colors.soft,
        "axis_line_color": colors.line,
        "major_tick_line_color": colors.line,
        "minor_tick_line_color": None,
        "axis_label_text_font_style": "normal",
        "axis_label_text_font_size": "12px",
        "major_label_text_font_size": "11px",
    }
    legend = {
        "background_fill_color": colors.card,
        "background_fill_alpha": 0.8,
        "border_line_color": None,
        "label_text_color": colors.ink,
        "label_text_font_size": "11px",
        "spacing": 0,
        "padding": 4,
        "glyph_height": 14,
    }
    return Theme(
        json={
            "attrs": {
                "Plot": {
                    "background_fill_color": colors.card,
                    "border_fill_color": colors.card,
                    "outline_line_color": colors.line,
                },
                "Axis": axis,
                "Grid": {"grid_line_color": colors.line},
                "Title": {**text, "text_font_size": "13px", "text_font_style": "bold"},
                "Legend": legend,
                "BaseColorBar": {
                    "background_fill_color": colors.card,
                    "major_label_text_color": colors.soft,
                    "title_text_color": colors.soft,
                },
            }
        }
    )


@functools.cache
def template() -> Template:
    """Returns the template of all pages."""
    file = importlib.resources.files("jaxgan.viewer") / "page.html"
    return Template(file.read_text(encoding="utf-8"))


def finish(
    doc: Document, kind: str, title: str, roots: Sequence[LayoutDOM], foot: str
) -> None:
    """Adds the parts of a page to its document.

    Args:
      doc: the document.
      kind: `runs`, `latents` or `lab`.
      title: of the browser's window.
      roots: the parts, with names.
      foot: a line at the page's foot.
    """
    doc.title = f"{title} - jaxgan"
    doc.theme = theme(colors(doc))
    doc.template = template()
    path = {"runs": "/", "latents": "/latents", "lab": "/lab"}[kind]
    links = [
        {"href": href, "text": text, "current": href == path} for href, text in PAGES
    ]
    doc.template_variables.update(links=links, kind=kind, foot=foot)
    sheet = InlineStyleSheet(css=STYLE)  # a document has its own
    for root in roots:
        for model in root.references():
            if isinstance(model, UIElement):
                model.stylesheets = [*model.stylesheets, sheet]
        doc.add_root(root)


def card(*children: Any, name: str | None = None, **options: Any) -> Column:
    """Returns a framed column."""
    frame = {
        "background": "var(--card)",
        "border": "1px solid var(--line)",
        "border-radius": "8px",
        "padding": "12px 14px",
    }
    options = {"sizing_mode": "stretch_width", "styles": frame, **options}
    return Column(children=list(children), name=name, **options)


def words(text: str, *, tag: str = "p", kind: str = "", live: bool = False) -> str:
    """Returns HTML of a text, which is escaped.

    >>> words("a<b")
    '<p>a&lt;b</p>'
    """
    more = f' class="{kind}"' if kind else ""
    more += ' role="status" aria-live="polite"' if live else ""
    return f"<{tag}{more}>{html.escape(text)}</{tag}>"


def watch(model: Model, name: str, action: Callable[[], None]) -> None:
    """Calls a function whenever a property of a model changes."""
    model.on_change(name, lambda attr, old, new: action())


def note(text: str = "", **options: Any) -> Div:
    """Returns a paragraph in a soft color."""
    return Div(
        text=words(text, kind="soft"), **{"sizing_mode": "stretch_width", **options}
    )


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Returns HTML of a table of texts, which are escaped.

    >>> table([["a", "<b>"]])
    '<table><tr><td>a</td><td>&lt;b&gt;</td></tr></table>'
    """

    def row(cells, tag):
        made = "".join(f"<{tag}>{html.escape(str(x))}</{tag}>" for x in cells)
        return f"<tr>{made}</tr>"

    top = row(head, "th") if head else ""
    return f"<table>{top}{''.join(row(cells, 'td') for cells in rows)}</table>"


def plot(title: str = "", tools: str = "", **options: Any) -> Any:
    """Returns an empty plot without a logo, whose toolbar is hidden until needed."""
    options = {"toolbar_location": "right" if tools else None, **options}
    made = figure(title=title or None, tools=tools, **options)
    made.toolbar.logo = None
    made.toolbar.autohide = True
    return made


def mix(start: str, end: str, share: float) -> str:
    """Returns the color between two, `#rrggbb`.

    >>> mix("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = zip(*(re.findall("[0-9a-f]{2}", x) for x in (start, end)), strict=True)
    parts = (int(a, 16) * (1 - share) + int(b, 16) * share for a, b in pairs)
    return "#" + "".join(f"{round(x):02x}" for x in parts)


def diverging(colors: Colors, count: int = 64) -> list[str]:
    """Returns colors from that of fake over that of the card to that of real."""
    # At most two thirds of the way, so that points stay visible.
    ends = [mix(colors.card, x, 0.66) for x in (colors.fake, colors.real)]
    half = count // 2
    low = [mix(ends[0], colors.card, i / half) for i in range(half)]
    return low + [mix(colors.card, ends[1], (i + 1) / half) for i in range(half)]
