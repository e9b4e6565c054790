"""What goes wrong with a run, in plain words, from the rows of its log."""

import math
from bisect import insort
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxgan.monitoring.row_numbers import Row, median, number, surge

Detector = Callable[[int, Row], str | None]
"""(step, row) to what is wrong, "" if nothing is, None if the row does not tell."""

PLAYERS = ("generator", "discriminator")
PENALTIES = "--d_terms='r1(1)|r2(1)'"
CALMER = f"try {PENALTIES} or a lower learning rate"
QUIET = 5
"""Rows without fault after which a fault has ended, and may be told again."""


class Finding(NamedTuple):
    """Something that went wrong."""

    step: int
    kind: str
    text: str
    fatal: bool
    """Whether going on is of no use."""
    since: int | None = None
    """The first step where it was seen, if that is before `step`."""


def open_detectors() -> Callable[[int, Row], list[Finding]]:
    """Returns look(step, row), which is called once per row and tells what is new.

    What it tells depends on the sequence of rows alone, so a resumed run feeds it the
    rows of before. Each kind is told once when it begins, and again only after it
    ended. What the rows are measured from is said by `jaxgan.monitoring.probe`.
    """
    watchers = [
        run_detectors("collapsed", collapsed(), rows=3, fatal=True),
        run_detectors("few_distinct", few_distinct_samples(), rows=1),
        run_detectors("overfits", overfits(), rows=3),
        run_detectors("vanished", vanished(), rows=3),
        run_detectors("exploding", exploding(), rows=3),
        run_detectors("drifted", drifted(), rows=2),
        run_detectors("no_variety", no_variety(), rows=1),
    ]

    def look(step, row):
        return [found for watch in watchers if (found := watch(step, row))]

    return look


def run_detectors(
    kind: str, judge: Detector, *, rows: int, fatal: bool = False
) -> Callable[[int, Row], Finding | None]:
    """Tells once of a fault that `rows` rows in a row have; others are passed over."""
    bad = good = since = 0
    told = False

    def watch(step, row):
        nonlocal bad, good, told, since
        text = judge(step, row)
        if text is None:
            return None
        since = since if text and bad else step
        bad, good = (bad + 1, 0) if text else (0, good + 1)
        told = told and good < QUIET
        if told or bad < rows:
            return None
        told = True
        return Finding(step, kind, text or "", fatal, since)

    return watch


def not_finite(step: int, name: str) -> Finding:
    """The finding that a metric is NaN or infinite.

    >>> not_finite(1200, "generator/loss").text.split(";")[0]
    'generator/loss is not finite at step 1,200'
    """
    text = (
        f"{name} is not finite at step {step:,}; try a lower learning rate, such as "
        "--d_optimizer='adam(1e-4)'"
    )
    return Finding(step, "not_finite", text, True)


def summary(findings: Sequence[Finding]) -> list[str]:
    """A line per kind for the end of a run: what was told first, and how often.

    >>> summary([])
    ['nothing found wrong']
    """
    lines = []
    for kind in dict.fromkeys(finding.kind for finding in findings):
        those = [finding for finding in findings if finding.kind == kind]
        again = f" ({len(those)} times, last at step {those[-1].step:,})"
        lines.append(those[0].text + (again if len(those) > 1 else ""))
    return lines or ["nothing found wrong"]


def collapsed() -> Detector:
    """Diversity below a fifth of what it was, once samples were diverse.

    An untrained generator draws noise, which is diverse too, and falls from there:
    what counts is diversity that was learned. It was if diversity has risen, or the
    score has halved. The peak is of medians of three rows, and 1 at most.
    """
    learned, lowest, first, peak = False, math.inf, None, 0.0
    last: list[float] = []

    def judge(step, row):
        nonlocal learned, lowest, first, peak
        diversity, score = number(row, "probe/diversity"), number(row, "score")
        if score is not None:
            first = score if first is None else first
            learned = learned or score <= first / 2
        if diversity is None:
            return None
        lowest = min(lowest, diversity)
        learned = learned or diversity >= 1.5 * lowest
        last[:] = [*last[-2:], diversity] if learned else []
        peak = max(peak, min(median(sorted(last)), 1.0)) if len(last) == 3 else peak
        if peak < 0.3 or diversity >= 0.2 * peak:
            return ""
        return (
            "generator collapsed: sample diversity fell to "
            f"{100 * diversity / peak:.2g} % of its peak at step {step:,}; {CALMER}"
        )

    return judge


def few_distinct_samples() -> Detector:
    """Diversity below 1.5 % of the data's for 2,000 steps and 20 rows.

    Perceptrons may begin so for a thousand steps and get over it.
    """
    steps: list[int] = []

    def judge(step, row):
        diversity = number(row, "probe/diversity")
        if diversity is None:
            return None
        if diversity >= 0.015:
            steps.clear()
            return ""
        steps.append(step)
        if len(steps) < 20 or step - steps[0] < 2000:
            return ""
        return (
            f"samples hardly differ: diversity is {100 * diversity:.2g} % of the "
            f"data's at step {step:,}, as low as from step {steps[0]:,} on; {CALMER}"
        )

    return judge


def overfits() -> Detector:
    """D tells its training examples from others like it tells them from samples.

    That is E[D(train) - D(held out)] / E[D(train) - D(fake)] > 1/2, as r_v in
    https://arxiv.org/abs/2006.06676, equation 1, and more than four standard errors.
    """

    def judge(step, row):
        names = ("train", "held_out", "fake", "spread")
        values = [number(row, f"probe/{name}") for name in names]
        train, held_out, fake, spread = values
        if train is None or held_out is None or fake is None or spread is None:
            return None
        gap, whole = train - held_out, train - fake
        if gap <= 4 * spread or gap <= whole / 2:
            return ""
        return (
            f"discriminator over-fits: held-out gap {gap:.2g} at step {step:,} (how "
            "far it puts training examples above others), gap to samples "
            f"{whole:.2g}; try more data, --augment='color|translation|cutout' or "
            "--d_terms='r1(10)'"
        )

    return judge


def vanished() -> Detector:
    """G's gradient is a thousandth of the usual while D tells samples apart; or none.

    Where D cannot tell them apart, a small gradient is what was wanted.
    """
    usual: list[float] = []

    def judge(step, row):
        norm = number(row, "generator/grad_norm")
        if norm is None:
            return None
        real, fake = (number(row, f"discriminator/{x}") for x in ("real", "fake"))
        apart = real is None or fake is None or real - fake > 0.5
        if norm > 1e-7 and not (apart and norm < 1e-3 * median(usual)):
            insort(usual, norm)
            return ""
        before = f" after {median(usual):.2g}" if usual else ""
        return (
            f"the generator gets no gradient: its norm is {norm:.2g}{before} at step "
            f"{step:,}; try --loss=non_saturating, {PENALTIES} or a lower learning "
            "rate of the discriminator"
        )

    return judge


def exploding() -> Detector:
    """A player's gradient is a hundred times the usual."""
    usual = {player: surge() for player in PLAYERS}

    def judge(step, row):
        norms = {player: number(row, f"{player}/grad_norm") for player in PLAYERS}
        known = {player: norm for player, norm in norms.items() if norm is not None}
        times = {player: usual[player](norm) for player, norm in known.items()}
        if not known:
            return None
        wrong = [
            f"the {player}'s norm is {norm:.2g}, {times[player]:,.0f} times the usual"
            for player, norm in known.items()
            if times[player]
        ]
        if not wrong:
            return ""
        return (
            f"gradients explode: at step {step:,} {', '.join(wrong)}; try a lower "
            "learning rate, or 'clip_by_global_norm(1)|' before the optimizer"
        )

    return judge


def drifted() -> Detector:
    """The score is three times its best, and worse than the first."""
    first, best, when = math.nan, math.inf, 0

    def judge(step, row):
        nonlocal first, best, when
        score = number(row, "score")
        if score is None:
            return None
        first = score if math.isnan(first) else first
        if score < best:
            best, when = score, step
        if score <= max(3 * best, first):
            return ""
        return (
            f"samples drift away from the data: distance {score:.2g} at step {step:,} "
            f"is {score / best:.2g} times the best one (step {when:,}); {CALMER}"
        )

    return judge


def no_variety() -> Detector:
    """The data have hardly more than one distinct example, so says the probe."""

    def judge(step, row):
        distinct = number(row, "probe/distinct")
        if distinct is None:
            return None
        return (
            f"the data have no variety: {distinct:.2f} distinct examples at step "
            f"{step:,}, so the diversity of samples says nothing; look at --dataset"
        )

    return judge
