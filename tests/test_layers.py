"""Imports point down, as CONTRIBUTING.md has it."""

import ast
import pathlib

import jaxgan

LAYERS = [
    ["errors"],
    ["core", "environment", "files", "foreign", "host_memory", "ranges"],
    ["storage_errors"],
    ["arguments"],
    ["spec", "backend", "maintenance", "parsing", "row_numbers"],
    [
        "schedules",
        "presets",
        "data",
        "workdir",
        "monitor",
        "runs",
        "program",
        "digests",
    ],
    ["cli", "losses", "config", "optimizers", "metrics", "checkpoint_reader", "report"],
    ["augment", "checkpoint"],
    ["regularizers", "networks", "tasks", "objective"],
    ["step"],
    ["recipe", "parallel", "request"],
    ["sample_files"],
    ["prepare", "agreement", "memory"],
    ["gallery", "probe", "feeds"],
    ["watch", "planning", "memory_check"],
    ["profiling"],
    ["clerk"],
    ["processes"],
    ["sample", "train", "plan"],
    ["trainer", "sampler"],
]
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}
LATE = {("train", "trainer"), ("sample", "sampler")}  # inside main, after the flags


def imported(file):
    """Names of our modules that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            path = node.module.split(".")
            if path == ["jaxgan"]:
                yield from (alias.name for alias in node.names)
            elif path[0] == "jaxgan":
                yield path[1]


def test_imports_point_down():
    root = pathlib.Path(jaxgan.__file__).parent
    seen = set()
    for file in root.rglob("*.py"):
        here = file.relative_to(root).with_suffix("").parts[0]
        if here == "__init__":
            continue
        seen.add(here)
        for name in imported(file):
            below = RANKS[name] < RANKS[here] or name == here
            assert below or (here, name) in LATE, f"{here} imports {name}"
    assert seen == set(RANKS)
