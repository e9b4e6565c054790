"""Imports point down, as CONTRIBUTING.md draws the layers."""

import ast
import functools
import pathlib
import re

import jaxgan

FLOORS = (
    ("__main__",),
    (
        *("train", "sample", "apply", "score", "evaluate", "plan", "augment/__main__"),
        *("doctor", "export", "report", "view", "invert"),
    ),
    ("training", "diagnostics", "viewer"),
    ("sharing",),
    ("evaluation", "monitoring", "performance/planning"),
    ("experiment", "distributed"),
    ("parallel",),
    ("gan",),
    (
        *("losses", "augment", "terms", "tasks", "optimizers", "metrics", "networks"),
        *("config", "performance/profiling"),
    ),
    ("reporting", "cli", "data", "workdir", "storage", "spec", "arguments", "types"),
    (
        *("schedules", "environment", "files", "host_memory", "errors"),
        *("performance/hlo", "ranges"),
    ),
)
"""From the top down; on a floor, imports go to the right."""

ORDER = [room for floor in FLOORS for room in floor]
ROOT = pathlib.Path(jaxgan.__file__).parent


def room_of(module):
    """The room of a module below `jaxgan`: a folder, a file, or a part of one."""
    top, *rest = module.split(".")
    if rest == ["__main__"]:  # a package that is a program too
        return f"{top}/__main__"
    return f"{top}/{rest[0]}" if top == "performance" and rest else top


@functools.cache
def modules():
    """Every module below `jaxgan` with its syntax tree."""
    found = []
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if name not in ("__init__", "performance"):
            found.append((name, ast.parse(file.read_text())))
    return found


def imported(tree):
    """Names of our modules that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            path = node.module.split(".")
            if path == ["jaxgan"]:
                yield from (alias.name for alias in node.names)
            elif path == ["jaxgan", "performance"]:
                yield from (f"performance.{alias.name}" for alias in node.names)
            elif path[0] == "jaxgan":
                yield ".".join(path[1:])


def test_imports_point_down():
    seen = set()
    for name, tree in modules():
        here = room_of(name)
        seen.add(here)
        for module in imported(tree):
            there = room_of(module)
            down = ORDER.index(here) < ORDER.index(there)
            assert down or here == there, f"{name} imports {module}"
    assert seen == set(ORDER)


def test_only_its_program_imports_planning():
    for name, tree in modules():
        if room_of(name) not in ("performance/planning", "plan"):
            planning = [x for x in imported(tree) if "performance.planning" in x]
            assert not planning, name


BUILDERS = {
    *("gan.builder", "gan.build_evaluators", "gan.flag_texts", "gan.data_checks")
}
"""Modules of `gan` that build from the texts of flags, or check what is built."""

READS_CONFIG = {
    *BUILDERS,
    *("experiment", "training.fit"),
    *("training.trainer", "distributed.initialize", "evaluation.load_run"),
    *("performance.planning", "config"),
}
"""Modules, and rooms, that may know the flags of training."""

NAMES_FLAGS = {
    *(
        "__main__",
        "diagnostics",
        "train",
        "sample",
        "apply",
        "score",
        "invert",
        "evaluate",
        "plan",
        "view",
        "viewer",
        "augment/__main__",
        "export",
        "report",
        "training",
        "sharing",
        "evaluation",
        "monitoring",
        "experiment",
    ),
    *("performance/planning", "distributed", "config", "data", "cli", "workdir"),
    *("environment", "files", "storage"),
}
"""Rooms whose messages may name flags: above the builder, or fed by flags."""


def test_only_some_modules_know_the_config():
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names}
                if node.module == "jaxgan.config.training" and "Config" in names:
                    known = any(name.startswith(x) for x in READS_CONFIG)
                    assert known, f"{name} imports Config"


def test_no_flag_is_named_below_the_builder():
    for name, tree in modules():
        if room_of(name) in NAMES_FLAGS or name in BUILDERS:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = re.search(r"(?<![\w-])--[a-z]\w+", node.value)
                allowed = found and found[0] in ("--logdir", "--xla", "--help")
                assert not found or allowed, f"{name}: {found and found[0]}"


def test_errors_come_from_one_module():
    """`UsageError` is imported from `jaxgan.errors` alone."""
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module != "jaxgan.errors":
                names = {alias.name for alias in node.names}
                assert not {"UsageError", "TrainingError"} & names, name
