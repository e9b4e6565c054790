"""Workdirs of finished runs with a file damaged, replaced or gone."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Damage = Callable[[Path], Any]
"""Changes something in a workdir."""


def write(name: str, content: bytes) -> Damage:
    """Another content of a file."""
    return lambda run: (run / name).write_bytes(content)


def fields(name: str, **changed: Any) -> Damage:
    """Other fields in a JSON file; those that are `...` are left out."""

    def damage(run: Path) -> None:
        content = {**json.loads((run / name).read_text()), **changed}
        kept = {key: value for key, value in content.items() if value is not ...}
        (run / name).write_text(json.dumps(kept))

    return damage


def instead(name: str, make: Damage) -> Damage:
    """Something else of that name."""

    def damage(run: Path) -> None:
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        make(path)

    return damage


def gone(_: Path) -> None:
    """Nothing."""


Row = tuple[str, str, Damage, str]
"""A name, the program, the damage, a word of the error (or "" if it is none)."""

DEEP = b"[" * 100_000
NOT_JSON = (b"", b"{", b"hello", b"[]", b"3", b'"x"', b"null", b"\xff\xfe", b"\0" * 99)

WORKDIRS: list[Row] = [
    *(
        (f"{name} is {text[:9]!r}", "sample", write(name, text), name)
        for name in ("config.json", "data.json")
        for text in NOT_JSON
    ),
    ("no config.json", "sample", instead("config.json", gone), "config.json"),
    ("no data.json", "sample", instead("data.json", gone), "data.json"),
    (
        "a folder config.json",
        "sample",
        instead("config.json", Path.mkdir),
        "config.json",
    ),
    ("a FIFO config.json", "sample", instead("config.json", os.mkfifo), "config.json"),
    ("a FIFO data.json", "sample", instead("data.json", os.mkfifo), "data.json"),
    ("a preset that is not", "sample", fields("config.json", preset="x"), "preset"),
    ("no checkpoints", "sample", instead("checkpoints", gone), "checkpoint"),
    ("empty checkpoints", "sample", instead("checkpoints", Path.mkdir), "checkpoint"),
    ("a flag of later", "sample", fields("config.json", later=1), ""),
    ("a fact of later", "sample", fields("data.json", later=1), ""),
    ("config.json is null", "train", write("config.json", b"null"), "config.json"),
    ("another seed", "train", fields("config.json", seed=7), "seed"),
    ("another shape", "train", fields("data.json", shape=[9, 9, 1]), "shape"),
    (
        "a file checkpoints",
        "sample",
        instead("checkpoints", Path.touch),
        "checkpoints",
    ),
    ("no text in metrics", "train", write("metrics.jsonl", b"\xff\xfe\n" * 9), ""),
    ("half a line", "train", write("metrics.jsonl", b'{"step": 5, "gen'), ""),
    (
        "a null batch",
        "sample",
        fields("config.json", batch_size=None),
        "batch_size",
    ),
    (
        "a batch of text",
        "sample",
        fields("config.json", batch_size="x"),
        "batch_size",
    ),
    ("a null loss", "sample", fields("config.json", loss=None), "loss"),
    (
        "a number of networks",
        "sample",
        fields("config.json", networks=3),
        "networks",
    ),
    ("a list of steps", "sample", fields("config.json", steps=[1]), "steps"),
    ("a null preset", "sample", fields("config.json", preset=None), "preset"),
    ("no shape", "sample", fields("data.json", shape=...), "data.json"),
    ("a null shape", "sample", fields("data.json", shape=None), "data.json"),
    (
        "a shape of text",
        "sample",
        fields("data.json", shape="8x8"),
        "data.json",
    ),
    (
        "a negative shape",
        "sample",
        fields("data.json", shape=[-8, 8, 1]),
        "data.json",
    ),
    ("a shape of one", "sample", fields("data.json", shape=[]), "data.json"),
    ("no classes", "sample", fields("data.json", classes=...), "data.json"),
    ("null classes", "sample", fields("data.json", classes=None), "data.json"),
    ("no type", "sample", fields("data.json", dtype=...), "data.json"),
    ("an unknown type", "sample", fields("data.json", dtype="x"), "data.json"),
    ("deep config.json", "sample", write("config.json", DEEP), "config.json"),
    ("deep data.json", "sample", write("data.json", DEEP), "data.json"),
    ("a folder .lock", "train", instead(".lock", Path.mkdir), ".lock"),
    ("a FIFO .lock", "train", instead(".lock", os.mkfifo), ".lock"),
    ("a file samples", "train", instead("samples", Path.touch), "samples"),
    (
        "a folder of metrics",
        "train",
        instead("metrics.jsonl", Path.mkdir),
        "metrics.jsonl",
    ),
    (
        "a FIFO of metrics",
        "train",
        instead("metrics.jsonl", os.mkfifo),
        "metrics.jsonl",
    ),
]
