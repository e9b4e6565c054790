"""Compares two files of texts, line by line, beside plain methods."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.config.evaluating import AUTO, METRICS, CompareConfig
from jaxgan.data.text import (
    END,
    UNKNOWN_CHARACTER,
    encode,
    split_tokens,
    tokens_example,
)
from jaxgan.data.text_files import read_texts
from jaxgan.distributed.consensus import all_succeed, run_on_main
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation import example_counts
from jaxgan.evaluation.build_metrics import (
    Metrics,
    build_text_metrics,
    check_text_metrics,
)
from jaxgan.evaluation.example_counts import Side
from jaxgan.evaluation.extraction import unique
from jaxgan.evaluation.protocol import environment, extractor_facts
from jaxgan.evaluation.scores import Values, summary
from jaxgan.evaluation.text_methods import make_judge, plain_methods
from jaxgan.evaluation.text_report import HELD_OUT, USUAL_N, default_metrics
from jaxgan.files import local_path
from jaxgan.metrics.text_comparisons import unit_of

PREFIX = "text:"
"""The prefix of a file or folder of texts."""

JUDGED = "judged"
"""The row of the texts to judge."""

SPECIAL = {"characters": (UNKNOWN_CHARACTER,), "words": ()}
"""Tokens that mark a vocabulary of characters."""

Lines = list[str]


def is_text(config: CompareConfig) -> bool:
    """Returns True if one of the sets is `text:PATH`."""
    both = (config.real, config.fake)
    return any(isinstance(x, str) and x.startswith(PREFIX) for x in both)


def report_of(config: CompareConfig) -> dict[str, Any]:
    """Compares the lines of two files. All processes call it.

    The n-gram models learn from those real lines that are not references. `copies`
    counts lines that are equal to any real one.

    Returns:
      `metrics` of the texts to judge, `rows` with the values of all methods, `draws`
      and `protocol`, as they are written to a file.

    Raises:
      UsageError: if a set or a metric cannot be used.
    """
    real, fake = all_succeed(lambda: _read(config))
    unit = unit_of(real)
    # Spaces beside marks do not matter, which n-gram models do not write.
    between = " " if unit == "words" else ""
    real, fake = (
        [between.join(split_tokens(x, unit)) for x in lines] for lines in (real, fake)
    )
    names = (END, *SPECIAL[unit])
    text, missing = config.metrics, ""
    if text in (AUTO, METRICS):
        text, missing = default_metrics(names)
    planned = all_succeed(lambda: check_text_metrics(text))
    all_succeed(lambda: _check_counts(config, planned, real, fake))
    metrics = build_text_metrics(text, None, None, example=tokens_example(1, names))
    rows = run_on_main(lambda: _measure(metrics, real, fake, config, unit))
    draws = [rows[JUDGED]]
    return {
        "metrics": summary(draws, rows.get(HELD_OUT, {})),
        "rows": rows,
        "draws": draws,
        "protocol": {
            "fake": f"lines of {printable(str(config.fake))}",
            "real": f"{_count_real(config, real, fake):,} of {len(real):,} lines of "
            f"{printable(str(config.real))}",
            "n_fake": _count(config, fake),
            "n_real": _count_real(config, real, fake),
            "unit": unit,
            "std_over": [],
            "metrics": {x.name: x.protocol for x in metrics.texts},
            "missing": missing,
            "extractors": extractor_facts(unique(x.extractor for x in metrics.sets)),
            **environment(),
        },
    }


def _read(config: CompareConfig) -> tuple[Lines, Lines]:
    """Reads the lines of both files, in a random order, the same one each time.

    Raises:
      UsageError: if one is no text or has fewer than 2 lines, or a flag is of images.
    """
    for flag in ("image_size", "save_stats", "data_dir"):
        if getattr(config, flag):
            raise UsageError(f"--{flag} is for images, not for text:PATH: leave it out")
    found = []
    for which, flag, count in (
        (config.real, "n_real", config.n_real),
        (config.fake, "n", config.n),
    ):
        if not isinstance(which, str) or not which.startswith(PREFIX):
            raise UsageError(
                f"--compare: {printable(str(which))} is no text:PATH like the other "
                "set: name two files of text"
            )
        path = local_path("--compare", which.removeprefix(PREFIX), prefix=PREFIX)
        lines = _lines(which, path)
        if len(lines) < max(count, 2):
            raise UsageError(
                f"--compare: {printable(which)} has {len(lines)} lines: use --{flag}="
                f"{len(lines)}, or a longer text"
                if len(lines) > 1
                else f"--compare: {printable(which)} has {len(lines)} lines: use two "
                "or more"
            )
        order = np.random.default_rng(0).permutation(len(lines))
        found.append([lines[i] for i in order])
    return found[0], found[1]


def _lines(name: str, path: Path) -> Lines:
    """Returns the lines of a file or folder that are not empty."""
    texts = read_texts(name, path).values()
    lines = (line.strip() for text in texts for line in text.split("\n"))
    return [line for line in lines if line]


def _count(config: CompareConfig, fake: Lines) -> int:
    """Returns the number of lines to judge."""
    return config.n or min(USUAL_N, len(fake))


def _count_real(config: CompareConfig, real: Lines, fake: Lines) -> int:
    """Returns the number of references; others show how good values can be."""
    return config.n_real or max(min(_count(config, fake), len(real) // 2), 2)


def _check_counts(
    config: CompareConfig, planned: Metrics, real: Lines, fake: Lines
) -> None:
    """Raises UsageError if there are too few lines for a metric of features."""
    flag = example_counts.real_flag(config)
    of_real = Side("real lines", flag, _count_real(config, real, fake), len(real))
    of_fake = Side("lines to judge", "n", _count(config, fake), len(fake))
    example_counts.check(planned.sets, of_real, of_fake)


def _measure(
    metrics: Metrics, real: Lines, fake: Lines, config: CompareConfig, unit: str
) -> dict[str, Values]:
    """Returns the values of all methods."""
    count, n_real = _count(config, fake), _count_real(config, real, fake)
    judge = make_judge(metrics, real[:n_real], real, unit)
    rows, others = {JUDGED: fake[:count]}, real[n_real:]
    if len(others) >= count:
        rows[HELD_OUT] = others[:count]
    if others:
        tokens = [split_tokens(x, unit) for x in others]
        names = (END, *SPECIAL[unit], *sorted({x for text in tokens for x in text}))
        ids = encode(tokens, names, max(map(len, tokens)))
        rows |= plain_methods(ids, names, count)
    return {name: judge.values(texts, name) for name, texts in rows.items()}
