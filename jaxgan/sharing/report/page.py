"""Renders reports: one HTML file without scripts, which loads nothing."""

import time
from collections.abc import Sequence
from typing import Any

import jinja2

import jaxgan
from jaxgan.errors import printable
from jaxgan.sharing.record import Record
from jaxgan.sharing.report import curves, pictures, tables
from jaxgan.sharing.texts import finding_lines

LARGEST = 5 * 2**20
"""Maximum number of bytes of a page."""

SHARES = {"last": 0.12, "progress": 0.2, "neighbors": 0.03, "sounds": 0.14}
"""Shares of `LARGEST` for pictures and sounds, before base64 adds a third to them.

There are up to `NEIGHBORS` pictures of neighbors. A quarter is left for curves.
"""

NEIGHBORS = 4

MARKER = '<meta name="generator" content="jaxgan'
"""In each page, by which a file of ours is known."""


def environment() -> jinja2.Environment:
    """Returns the templates. Every value is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("jaxgan.sharing.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def of_run(record: Record) -> str:
    """Returns the page of a run."""
    folder, flags = record.folder, record.flags
    most = {name: int(share * LARGEST) for name, share in SHARES.items()}
    findings, texts = finding_lines(record.findings), pictures.texts(folder)
    return _render(
        "run.html",
        title=printable(record.name),
        subtitle=[
            flags["dataset"],
            f"preset {flags['preset']}",
            flags["task"],
            flags["networks"],
            tables.seed_text(record),
        ],
        status=tables.status_of(record),
        done=record.is_done,
        tiles=tables.tiles_of(record),
        last=pictures.last_picture(folder, most["last"]),
        sounds=pictures.sounds(folder, most["sounds"]),
        texts=texts,
        findings=findings,
        has_findings=bool(record.findings),
        evaluations=list(tables.evaluations_of(record)),
        drawings=curves.drawings_of(record),
        # Texts of several steps are shown as such.
        progress=[] if texts else pictures.progress(folder, most["progress"]),
        neighbors=list(
            pictures.neighbors(folder, list(record.evaluations), most["neighbors"])
        )[:NEIGHBORS],
        changed=tables.changed_flags(record),
        flags=tables.all_flags(record),
        data=tables.data_facts(record),
        machines=tables.machines(record)[:5],
        command=printable(record.command),
    )


def of_comparison(records: Sequence[Record]) -> str:
    """Returns the page that compares runs."""
    names = labels(records)
    most = int((SHARES["last"] + SHARES["progress"]) * LARGEST / len(records))
    runs = [
        {
            "name": name,
            "color": number % curves.SERIES,
            "picture": pictures.last_picture(record.folder, most),
            "sounds": pictures.sounds(
                record.folder, int(SHARES["sounds"] * LARGEST / len(records))
            ),
            "texts": pictures.texts(record.folder, 1),
            "findings": finding_lines(record.findings),
            "has_findings": bool(record.findings),
            "command": printable(record.command),
        }
        for number, (name, record) in enumerate(zip(names, records, strict=True))
    ]
    return _render(
        "comparison.html",
        title=" · ".join(names),
        runs=runs,
        figures=tables.key_figures(records, names),
        differences=tables.differences(records, names),
        evaluations=tables.evaluations_beside(records, names),
        drawings=curves.overlaid(records, names),
    )


def labels(records: Sequence[Record]) -> list[str]:
    """Returns a different name for each run: as many last parts of paths as it takes.

    >>> labels([])
    []
    """
    parts = [record.folder.absolute().parts for record in records]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(x[-depth:]) for x in parts]
        if len(set(names)) == len(names):
            return [printable(name) for name in names]
    return [f"{x[-1]} ({number})" for number, x in enumerate(parts)]


def _render(template: str, **values: Any) -> str:
    written = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    page = environment().get_template(template)
    return page.render(version=jaxgan.__version__, written=written, **values)
