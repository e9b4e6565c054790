"""Rows and tables of measured windows: medians, ratios and shares of the ceiling."""

import statistics
from collections.abc import Iterable
from typing import Any

OURS = "jaxgan "
HEAD = [
    *("contestant", "ms/step (quartiles)", "images/s", "GFLOP/s", "of the ceiling"),
    *("memory MiB", "compile s", "jaxgan is so many times as fast"),
]

Row = dict[str, Any]

QUIET = 0.2
"""Number of cores that other programs may use."""
DISTURBED = (
    " **Not quiet: measure again.** Threads that spin while they wait, such as "
    "PyTorch's, lose far more than their share on a busy machine."
)


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Returns the lower quartile, the median and the upper quartile.

    >>> quartiles([4.0, 1.0, 2.0, 3.0, 5.0])
    (2.0, 3.0, 4.0)
    """
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, method="inclusive")
    return low, middle, high


def rows_of(measured: dict[str, Any]) -> list[Row]:
    """Returns a row for each contestant of one preset, shape and batch size."""
    best, asked = ceilings(measured["ceilings"]), measured["asked"]
    contestants, work = measured["contestants"], measured["flops_per_step"]
    names = ("preset", "shape", "batch_size", "d_updates")
    rows = []
    for name, found in contestants.items():
        row = {key: asked[key] for key in names} | {"contestant": name}
        row["latents"] = asked.get("flags", {}).get("g_latents", "")
        if "error" in found or not found.get("windows"):
            rows.append(row | {"error": found.get("error", "no window")})
            continue
        low, middle, high = quartiles(found["windows"])
        speed = work / middle if work else None
        top = best.get(found["arithmetic"])
        against = rival(name, contestants)
        row |= {
            "ms_per_step": 1e3 * middle,
            "quartiles": [1e3 * low, 1e3 * high],
            "images_per_second": row["batch_size"] * row["d_updates"] / middle,
            "gflop_per_step": work / 1e9 if work else None,
            "gflop_per_second": speed / 1e9 if speed else None,
            "arithmetic": found["arithmetic"],
            "share_of_ceiling": speed / top if speed and top else None,
            "peak_bytes": found.get("bytes"),
            "compile_seconds": found["compile_seconds"],
            "first_step_seconds": found["first_step_seconds"],
        }
        if against and against != name:
            row["against"] = against
            row["ours_times_as_fast"] = ratio(found, contestants[against])
        rows.append(row)
    return rows


def ceilings(found: dict[str, Any]) -> dict[str, float]:
    """Returns the highest FLOP/s by arithmetic; for `copy` bytes/s."""
    best: dict[str, float] = {}
    for one in found.values():
        if one.get("windows"):
            work = one.get("flops_per_step") or one["bytes_per_step"]
            rate = work / statistics.median(one["windows"])
            best[one["arithmetic"]] = max(rate, best.get(one["arithmetic"], 0.0))
    return best


def rival(name: str, contestants: dict[str, Any]) -> str | None:
    """Returns our contestant to compare with, if possible with equal settings."""

    def similarity(other: str) -> tuple[bool, bool]:
        same = contestants[other]["arithmetic"] == contestants[name]["arithmetic"]
        return same, ("huge" in other) == ("huge" in name)

    ours = [n for n, f in contestants.items() if n.startswith(OURS) and "windows" in f]
    return max(ours, key=similarity, default=None)


def ratio(peer: dict[str, Any], ours: dict[str, Any]) -> float | None:
    """Returns the median speedup of ours over the rounds that both finished."""
    pairs = list(zip(peer["windows"], ours["windows"], strict=False))
    return statistics.median(p / o for p, o in pairs) if pairs else None


OVERVIEW = [
    *("preset", "shape", "batch x updates", "jaxgan ms/step", "of the ceiling"),
    *("x PyTorch eager", "x best PyTorch", "x Keras", "x Keras, XLA"),
]


def overview(measured: Iterable[dict[str, Any]]) -> list[str]:
    """Returns a table of our float32 steps beside those of the peers."""
    lines = []
    for one in measured:
        rows = [row for row in rows_of(one) if row.get("arithmetic") != "bfloat16"]
        ours = next((r for r in rows if r["contestant"].startswith(OURS)), None)
        if ours and "error" not in ours:
            lines.append([named(one["asked"]), *overview_cells(ours, rows)])
    return table(OVERVIEW, lines)


def overview_cells(ours: Row, rows: list[Row]) -> list[str]:
    """Returns the cells of one row; the best peer is named in brackets."""
    faster = {
        row["contestant"]: row["ours_times_as_fast"]
        for row in rows
        if row.get("ours_times_as_fast") and not row["contestant"].startswith(OURS)
    }
    torch = {k.partition(" ")[2]: v for k, v in faster.items() if "pytorch" in k}
    best = min(torch, key=torch.__getitem__, default="")
    share = ours["share_of_ceiling"]
    return [
        "x".join(map(str, ours["shape"])),
        f"{ours['batch_size']} x {ours['d_updates']}",
        short(ours["ms_per_step"]),
        _text(share and 100 * share, ".0f", " %"),
        _text(torch.get("eager"), ".2f"),
        _text(torch.get(best), ".2f", f" ({best})"),
        _text(faster.get("keras function"), ".2f"),
        _text(faster.get("keras function_jit"), ".2f"),
    ]


def markdown(measured: Iterable[dict[str, Any]]) -> list[str]:
    """Returns an overview and a table for each preset, shape and batch size."""
    measured = list(measured)
    lines = [*overview(measured), ""]
    for one in measured:
        asked = one["asked"]
        shape = "x".join(map(str, asked["shape"]))
        lines += [
            f"**{named(asked)}**, {shape}, batch {asked['batch_size']} x "
            f"{asked['d_updates']}, {flop_text(one['flops_per_step'])} a step"
        ]
        lines += ["", *table(HEAD, map(cells, rows_of(one))), "", summary(one), ""]
    return lines


def named(asked: dict[str, Any]) -> str:
    """Returns the preset, with networks and latents that differ from its defaults.

    >>> named({"preset": "mlp", "flags": {"g_latents": "same"}})
    'mlp:same'
    """
    flags = asked.get("flags", {})
    latents = f":{flags['g_latents']}" if "g_latents" in flags else ""
    networks = f" {flags['networks']}" if "networks" in flags else ""
    return f"{asked['preset']}{latents}{networks}"


def flop_text(work: float | None) -> str:
    """Formats a number of FLOP.

    >>> flop_text(3.17e9), flop_text(1.7e13)
    ('3.17 GFLOP', '17,000 GFLOP')
    """
    return f"{short(work / 1e9)} GFLOP" if work else "unknown FLOP"


def cells(row: Row) -> list[str]:
    """Returns the cells of a row, or the reason why there are no times."""
    if "error" in row:
        return [row["contestant"], f"none: {row['error'].replace('|', '/')}", *6 * [""]]
    low, high = row["quartiles"]
    faster, share = row.get("ours_times_as_fast"), row["share_of_ceiling"]
    return [
        row["contestant"],
        f"{short(row['ms_per_step'])} ({short(low)}-{short(high)})",
        f"{row['images_per_second']:,.0f}",
        _text(row["gflop_per_second"], ",.0f"),
        _text(share and 100 * share, ".0f", " %"),
        _text(row["peak_bytes"] and row["peak_bytes"] / 2**20, ",.0f"),
        f"{row['compile_seconds']:.1f}",
        _text(faster, ".2f", f" ({row.get('against', '').removeprefix(OURS)})"),
    ]


def short(value: float) -> str:
    """Formats a number with three digits, or all digits before the point.

    >>> short(1234.5), short(12.345), short(0.12345)
    ('1,234', '12.3', '0.123')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _text(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def summary(measured: dict[str, Any]) -> str:
    """Returns a line with the ceilings and the load by other programs."""
    parts = []
    for name, one in measured["ceilings"].items():
        if one.get("windows"):
            work = one.get("flops_per_step") or one["bytes_per_step"]
            unit = "GFLOP/s" if "flops_per_step" in one else "GB/s"
            rate = work / statistics.median(one["windows"]) / 1e9
            parts.append(f"{name.removeprefix('ceiling ')} {rate:,.0f} {unit}")
    others = measured["others_cores"]
    return (
        f"Ceilings: {', '.join(parts)}. Cores used by waiting contestants: "
        f"{measured['idle_cores']:.2f}, by other programs: {others:.2f}."
        + (DISTURBED if others > QUIET else "")
    )


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Returns a Markdown table as lines."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(row)} |" for row in lines]
