"""Pages that are made from the code: flags of programs, the API, files elsewhere."""

import argparse
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import jaxgan
from jaxgan.config import foreign
from jaxgan.config.programs import PROGRAMS

DOCS = Path(__file__).parent.parent
ROOT = DOCS.parent
SOURCE = "https://github.com/jaxgan/jaxgan/blob/main"

PAGES = {
    "benchmarks/README.md": "figures.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files outside of the documentation, by the names of their pages."""

TABLES = {
    "Losses": ("losses", "LOSSES", "--loss"),
    "Penalties and terms": ("losses", "REGULARIZERS", "--d_terms, --g_terms"),
    "Augmentations": ("augment", "AUGMENTATIONS", "--augment"),
    "Networks": ("networks", "NETWORKS", "--networks"),
    "Wrappers": ("networks", "WRAPPERS", "--discriminator_wrap, --generator_wrap"),
    "Tasks": ("tasks", "TASKS", "--task"),
    "Metrics": ("metrics", "EVALUATORS", "--eval_metrics, --metrics"),
    "Schedules": ("schedules", "SCHEDULES", "any number in a flag"),
}
"""Tables of factories by title: module, name, flags."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the extension."""
    app.connect("builder-inited", lambda _: write_pages(DOCS / "generated"))
    app.connect("source-read", _relink)
    return {"parallel_read_safe": True}


def write_pages(folder: Path) -> None:
    """Writes all pages, and leaves those that have not changed."""
    folder.mkdir(exist_ok=True)
    pages = {name: relink(file) for file, name in PAGES.items()}
    pages |= {"programs.md": programs(), "api.md": api(), "tables.md": tables()}
    pages["other_programs.md"] = other_programs()
    for name, text in pages.items():
        file = folder / name
        if not file.exists() or file.read_text("utf-8") != text:
            file.write_text(text, "utf-8")


def relink(file: str) -> str:
    """Returns a Markdown file of the repository with links that hold in `generated`."""
    here = (ROOT / file).parent

    def target(match: re.Match[str]) -> str:
        path, _, anchor = match[1].partition("#")
        place = (here / path).resolve()
        anchor = f"#{anchor}" if anchor else ""
        name = str(place.relative_to(ROOT))
        if name in PAGES:
            return f"]({PAGES[name]}{anchor})"
        if place.is_relative_to(DOCS):
            return f"](../{place.relative_to(DOCS)}{anchor})"
        return f"]({SOURCE}/{name}{anchor})"

    text = (ROOT / file).read_text("utf-8")
    return re.sub(r"\]\((?!https?:|#)([^)\s]+)\)", target, text)


def _relink(app: Sphinx, page: str, source: list[str]) -> None:
    """Redirects links to files outside of the documentation to their pages."""
    depth = "../" * page.count("/")
    for file, name in PAGES.items():
        pattern = rf"\]\((\.\./)+{re.escape(file)}"
        source[0] = re.sub(pattern, f"]({depth}generated/{name}", source[0])


def programs() -> str:
    """Returns the page of all flags."""
    lines = ["# Programs and flags", ""]
    lines += ["`jaxgan NAME` and `python -m jaxgan.NAME` are the same.", ""]
    for name, program in PROGRAMS.items():
        module = importlib.import_module(f"jaxgan.config.{program.flags}")
        parser = module.make_parser()
        lines += [f"## {name}", "", parser.description or "", ""]
        lines += ["```text", *parser.format_usage().splitlines(), "```", ""]
        for group in parser._action_groups:
            if group._group_actions:
                lines += [f"**{group.title}**", "", *_flags(parser, group), ""]
    return "\n".join(lines)


def _flags(parser: argparse.ArgumentParser, group: argparse._ArgumentGroup) -> list:
    """Returns a definition list of the flags of a group."""
    lines = []
    for action in group._group_actions:
        names = ", ".join(action.option_strings) or action.dest
        value = action.metavar if isinstance(action.metavar, str) else ""
        given = f"{names}={value}" if value and action.nargs != 0 else names
        text = (action.help or "").replace("%%", "%")
        if "%(" in text:
            text = parser._get_formatter()._expand_help(action)
        lines += [f"`{given}`", f": {_plain(text)}", ""]
    return lines


def _plain(text: str) -> str:
    """Escapes what Markdown would read as markup, and links addresses."""
    parts = re.split(r"(https?://[^\s,)]*[^\s,.)])", text)
    # Every second part is an address.
    parts[::2] = [re.sub(r"([*_<>\[\]|$])", r"\\\1", x) for x in parts[::2]]
    parts[1::2] = [f"<{x}>" for x in parts[1::2]]
    return "".join(parts)


def api() -> str:
    """Returns the page of the public API."""
    lines = ["# API", "", "`import jaxgan` imports names when they are first used.", ""]
    for name in jaxgan.__all__:
        value = getattr(jaxgan, name)
        if inspect.ismodule(value) or name == "PRESETS":
            continue
        kind = "autoclass" if inspect.isclass(value) else "autofunction"
        lines += [f"## {name}", "", "```{eval-rst}"]
        lines += [f".. {kind}:: {value.__module__}.{value.__qualname__}", "```", ""]
    return "\n".join(lines)


def tables() -> str:
    """Returns the page of everything that flags can name."""
    lines = ["# Losses, networks, tasks and metrics", ""]
    lines += ["Each is a function of the table that its heading names.", ""]
    for title, (module, name, flags) in TABLES.items():
        table = getattr(importlib.import_module(f"jaxgan.{module}"), name)
        lines += [f"## {title}", ""]
        lines += [f"`jaxgan.{module}.{name}`, for `{flags}`.", ""]
        for key, factory in table.items():
            first = (inspect.getdoc(factory) or "").partition("\n\n")[0]
            signature = _signature(factory)
            lines += [f"`{key}{signature}`", f": {_plain(' '.join(first.split()))}", ""]
    return "\n".join(lines)


def _signature(factory: Any) -> str:
    """Returns the arguments of a factory that a flag can set, with their defaults."""
    shown = []
    for x in inspect.signature(factory).parameters.values():
        if x.kind in (x.VAR_POSITIONAL, x.VAR_KEYWORD) or x.name == "example":
            continue
        empty = x.default is x.empty
        shown.append(x.name if empty else f"{x.name}={x.default!r}")
    return f"({', '.join(shown)})" if shown else ""


def other_programs() -> str:
    """Returns the table of flags of other GAN programs."""
    lines = ["# Flags of other programs", ""]
    lines += [
        "Flags of PyTorch scripts, Keras examples, StudioGAN, StyleGAN and "
        "lightweight-gan, and the equivalents here. `jaxgan.train` says the same if it "
        "is given one of them.",
        "",
        "| other programs | here |",
        "|---|---|",
    ]
    advice: dict[str, list[str]] = {}
    for name, text in foreign.TRAINING.items():
        advice.setdefault(text, []).append(f"`{name}`")
    for text, names in advice.items():
        lines.append(f"| {', '.join(names)} | {_plain(text)} |")
    return "\n".join([*lines, ""])
