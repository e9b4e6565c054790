"""Tables of a report: key figures, flags, evaluations and machines."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jaxgan.errors import printable
from jaxgan.reporting.console import format_duration
from jaxgan.sharing.record import Record
from jaxgan.sharing.report.curves import score_name
from jaxgan.sharing.texts import facts_in_words, number, size, summary_of


class Tile(NamedTuple):
    """A key figure."""

    label: str
    value: str
    more: str = ""


class Table(NamedTuple):
    """A table whose first column has names."""

    head: list[str]
    rows: list[list[str]]


class Evaluation(NamedTuple):
    """The values of a file of `jaxgan.evaluate`, with their protocol."""

    name: str
    sentence: str
    table: Table
    facts: list[tuple[str, str]]


class Best(NamedTuple):
    """The best score of a run."""

    metric: str
    value: float
    step: int


def best_score(record: Record) -> Best | None:
    """Returns the lowest score after step 0, None if there is none."""
    scored = [
        (row["score"], row["step"])
        for row in record.rows
        if isinstance(row.get("score"), int | float) and row["step"] > 0
    ]
    if not scored:
        return None
    value, step = min(scored)
    return Best(score_name(record) or "score", value, step)


def tiles_of(record: Record) -> list[Tile]:
    """Returns the key figures of a run."""
    tiles = [Tile("Steps", f"{record.step:,}", f"of {record.flags['steps']:,}")]
    if best := best_score(record):
        more = f"{best.metric}, step {best.step:,}; less is better"
        tiles.append(Tile("Best score", number(best.value), more))
    seconds = record.last("seconds")
    if seconds:
        tiles.append(Tile("Time", format_duration(seconds), "with evaluation"))
    if speed := median_of(record, "steps_per_second"):
        images = median_of(record, "images_per_second")
        examples = speed * record.flags["batch_size"] * record.flags["d_updates"]
        more = f"{number(round(images or examples))} examples/s"
        tiles.append(Tile("Speed", f"{number(speed)} steps/s", more))
    if memory := largest(record, "peak_host"):
        device = largest(record, "peak_device")
        more = f"{size(device)} on a device" if device else "of this process"
        tiles.append(Tile("Peak memory", size(memory), more))
    if isinstance(record.data.get("size"), int):
        shape = " × ".join(map(str, record.data.get("shape", [])))
        tiles.append(Tile("Examples", f"{record.data['size']:,}", shape))
    return tiles


def median_of(record: Record, name: str) -> float | None:
    """Returns the median of a metric, None if there is none."""
    values = sorted(
        x for row in record.rows if isinstance(x := row.get(name), int | float)
    )
    return values[len(values) // 2] if values else None


def largest(record: Record, name: str) -> int:
    """Returns the largest value of a fact of the sessions, 0 if there is none."""
    found = (session.get(name) for session in record.sessions)
    return max((x for x in found if isinstance(x, int)), default=0)


def status_of(record: Record) -> str:
    """Returns the state of a run in a few words."""
    if record.is_done:
        return "finished"
    return f"unfinished: {100 * record.step / record.flags['steps']:.0f} %"


def seed_text(record: Record) -> str:
    """Returns the seeds of a run, in words."""
    seed, runs = record.flags["seed"], record.flags["runs"]
    return f"seeds {seed} to {seed + runs - 1}" if runs > 1 else f"seed {seed}"


def shown(value: Any) -> str:
    """Returns the value of a flag as text.

    >>> shown(""), shown(True), shown(32_000.0), shown("r1(1)")
    ('(empty)', 'yes', '32,000', 'r1(1)')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        # A seed is no quantity, but separators do not harm it.
        return number(value) if math.isfinite(value) else str(value)
    return printable(str(value)) or "(empty)"


def flag_of(name: str) -> str:
    """Returns the flag of a field: `--steps`, or `--import` for `import_`."""
    return f"--{name.rstrip('_')}"


def changed_flags(record: Record) -> Table:
    """Returns the flags that differ from those of the preset."""
    head = ["flag", "this run", f"preset {record.flags['preset']}"]
    rows = [
        [flag_of(name), shown(value), shown(usual)]
        for name, (value, usual) in record.changed.items()
    ]
    return Table(head, rows)


def all_flags(record: Record) -> Table:
    """Returns all flags."""
    rows = [[flag_of(k), shown(x)] for k, x in record.flags.items() if k != "workdir"]
    return Table(["flag", "value"], rows)


def data_facts(record: Record) -> list[tuple[str, str]]:
    """Returns the facts of the data in words."""
    data, facts = record.data, [("data set", shown(record.flags["dataset"]))]
    if "size" in data:
        facts.append(("examples", shown(data["size"])))
    if "shape" in data:
        facts.append(("shape", f"{data['shape']} {data.get('dtype', '')}"))
    classes = data.get("classes") or []
    if classes:
        some = ", ".join(printable(str(x)) for x in classes[:20])
        more = ", …" if len(classes) > 20 else ""
        facts.append((f"{len(classes)} classes", some + more))
    fields = data.get("fields")
    if isinstance(fields, dict):
        named = (
            f"{k} ({x.get('kind')} {x.get('shape')})"
            for k, x in fields.items()
            if isinstance(x, dict)
        )
        facts.append(("fields", printable(", ".join(named))))
    if "fingerprint" in data:
        facts.append(("fingerprint", shown(data["fingerprint"])))
    return facts


def machines(record: Record) -> list[list[tuple[str, str]]]:
    """Returns the facts of each start of a run, the newest first."""
    names = {
        "started": "started",
        "devices": "devices",
        "backend": "backend",
        "cpu": "processor",
        "cpus": "cores",
        "processes": "processes",
        "system": "system",
        "python": "Python",
    }
    found = []
    for session in reversed(record.sessions):
        facts = [(x, shown(session[k])) for k, x in names.items() if session.get(k)]
        if isinstance(session.get("memory"), int):
            facts.append(("memory", size(session["memory"])))
        for key, label in (("peak_host", "used"), ("peak_device", "used of a device")):
            if isinstance(session.get(key), int):
                facts.append((label, size(session[key])))
        if isinstance(session.get("seconds"), int | float):
            facts.append(("time", format_duration(session["seconds"])))
        versions = session.get("versions")
        if isinstance(versions, dict):
            facts.append(
                ("versions", ", ".join(f"{k} {x}" for k, x in versions.items()))
            )
        if session.get("command"):
            facts.append(("command", shown(session["command"])))
        found.append(facts)
    return found


def evaluations_of(record: Record) -> Iterator[Evaluation]:
    """Yields the evaluations of a run."""
    for name, content in record.evaluations.items():
        protocol = content["protocol"]
        rows = content.get("rows")
        has_methods = isinstance(rows, dict) and rows
        table = _of_methods(content) if has_methods else _of_metrics(content)
        facts = list(facts_in_words(protocol))
        yield Evaluation(name, summary_of(protocol), table, facts)


def _of_metrics(content: dict[str, Any]) -> Table:
    """Returns a table of a row per metric."""
    metrics = content["metrics"].items()
    rows = [
        [name, _with_spread(x), number(x.get("floor"))]
        for name, x in metrics
        if isinstance(x, dict)
    ]
    return Table(["metric", "value", "floor"], rows)


def _with_spread(x: dict[str, Any]) -> str:
    spread = f" ± {number(x['std'])}" if "std" in x else ""
    return number(x.get("value")) + spread


def _with_floor(x: dict[str, Any]) -> str:
    floor = f" (floor {number(x['floor'])})" if "floor" in x else ""
    return _with_spread(x) + floor


def _of_methods(content: dict[str, Any]) -> Table:
    """Returns a table of a row per method: the generator, and plain ones."""
    names = list(content["metrics"])
    rows = []
    for position, (method, values) in enumerate(content["rows"].items()):
        if not isinstance(values, dict):
            continue
        # The spread is that of the generator, the first method.
        cells = [
            _with_spread({**content["metrics"][k], "value": values.get(k)})
            if position == 0 and isinstance(content["metrics"][k], dict)
            else number(values.get(k))
            for k in names
        ]
        rows.append([method, *cells])
    return Table(["method", *names], rows)


def differences(records: Sequence[Record], names: Sequence[str]) -> Table:
    """Returns the flags that differ between runs, a column per run."""
    rows = []
    for flag in records[0].flags:
        values = [shown(record.flags.get(flag)) for record in records]
        if flag not in ("workdir", "no_report") and len(set(values)) > 1:
            rows.append([flag_of(flag), *values])
    return Table(["flag", *names], rows)


def key_figures(records: Sequence[Record], names: Sequence[str]) -> Table:
    """Returns the key figures of runs, a column per run."""
    columns = [{x.label: x for x in tiles_of(record)} for record in records]
    labels = list(dict.fromkeys(label for column in columns for label in column))
    rows = [["Status", *(status_of(record) for record in records)]]
    for label in labels:
        found = [column.get(label, Tile(label, "-")) for column in columns]
        rows.append(
            [label, *(f"{x.value} ({x.more})" if x.more else x.value for x in found)]
        )
    return Table(["", *names], rows)


def evaluations_beside(records: Sequence[Record], names: Sequence[str]) -> list[Table]:
    """Returns a table per file of evaluations, a row per metric, a column per run."""
    files = list(dict.fromkeys(x for record in records for x in record.evaluations))
    tables = []
    for file in files:
        contents = [record.evaluations.get(file, {}) for record in records]
        found = [x.get("metrics", {}) for x in contents]
        metrics = list(dict.fromkeys(name for x in found for name in x))
        rows = [
            [name, *(_with_floor(x.get(name, {})) for x in found)] for name in metrics
        ]
        against = [summary_of(x["protocol"]) if x else "-" for x in contents]
        tables.append(Table([file, *names], [*rows, ["compared", *against]]))
    return tables
