"""Detectors of failures of GAN training, such as collapse, in the rows of its log."""

import math
from bisect import insort
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxgan.metrics.neighbors import NeighborRatio, is_copier
from jaxgan.monitoring.row_numbers import Row, Surge, median, number

Detector = Callable[[int, Row], str | None]
"""Maps (step, row) to a message, "" for no fault, or None if the row lacks data."""

PLAYERS = ("generator", "discriminator")
PENALTIES = "--d_terms='r1(auto)|r2(auto)'"
CALMER = f"try {PENALTIES} or a lower learning rate"
RECOVERY_ROWS = 5
"""Consecutive good rows after which a fault has ended and may be reported again."""


class Finding(NamedTuple):
    """A fault of a run."""

    step: int
    kind: str
    text: str
    fatal: bool
    """True if training cannot recover."""
    since: int | None = None
    """The first step with the fault, if it is before `step`."""


class Detectors:
    """All detectors of a run. Call `check` once per row.

    The findings depend on the sequence of rows only, so a resumed run first checks the
    rows of its log. A fault is reported once when it begins, and again only after it
    ended. `jaxgan.monitoring.probe` documents the measures in the rows.
    """

    def __init__(self) -> None:
        self._detectors = [
            Persistent("collapsed", Collapsed(), rows=3, fatal=True),
            Persistent("few_distinct", FewDistinctSamples(), rows=1),
            Persistent("overfits", overfits, rows=3),
            Persistent("vanished", VanishedGradient(), rows=3),
            Persistent("exploding", ExplodingGradients(), rows=3),
            Persistent("drifted", Drifted(), rows=2),
            Persistent("stalled", Stalled(), rows=1),
            Persistent("copies", copies, rows=2),
            Persistent("no_variety", no_variety, rows=1),
        ]

    def check(self, step: int, row: Row) -> list[Finding]:
        """Returns the new findings of a row."""
        findings = (detector.check(step, row) for detector in self._detectors)
        return [finding for finding in findings if finding]


class Persistent:
    """Reports a fault once it lasts for a number of rows.

    Args:
      kind: name of the fault.
      detector: finds it in a row. Rows without data are ignored.
      rows: consecutive rows with the fault.
      fatal: True if training cannot recover.
    """

    def __init__(
        self, kind: str, detector: Detector, *, rows: int, fatal: bool = False
    ) -> None:
        self._kind, self._detector = kind, detector
        self._rows, self._fatal = rows, fatal
        # Consecutive rows with and without the fault, and the step where it began.
        self._bad = self._good = self._since = 0
        self._reported = False

    def check(self, step: int, row: Row) -> Finding | None:
        """Returns the finding if the fault is reported at this row, else None."""
        text = self._detector(step, row)
        if text is None:
            return None
        # The fault begins at this row, unless it was there before.
        if not (text and self._bad):
            self._since = step
        # Count consecutive rows with and without the fault.
        self._bad, self._good = (self._bad + 1, 0) if text else (0, self._good + 1)
        # After enough good rows the fault has ended.
        self._reported = self._reported and self._good < RECOVERY_ROWS
        if self._reported or self._bad < self._rows:
            return None
        self._reported = True
        return Finding(step, self._kind, text or "", self._fatal, self._since)


def not_finite(step: int, name: str) -> Finding:
    """Returns the finding that a metric is NaN or infinite.

    >>> not_finite(1200, "generator/loss").text.split(";")[0]
    'generator/loss is not finite at step 1,200'
    """
    text = (
        f"{name} is not finite at step {step:,}; try a lower learning rate, such as "
        "--d_optimizer='adam(1e-4)'"
    )
    return Finding(step, "not_finite", text, True)


def summary(findings: Sequence[Finding]) -> list[str]:
    """Returns a line per kind of finding: the first one, and the number of them.

    >>> summary([])
    ['nothing found wrong']
    """
    lines = []
    # Kinds in the order of their first findings.
    for kind in dict.fromkeys(finding.kind for finding in findings):
        same = [finding for finding in findings if finding.kind == kind]
        again = f" ({len(same)} times, last at step {same[-1].step:,})"
        lines.append(same[0].text + (again if len(same) > 1 else ""))
    return lines or ["nothing found wrong"]


class Collapsed:
    """Detects diversity below a fifth of its peak, once samples were diverse.

    An untrained generator draws noise, whose diversity is high and falls. Only learned
    diversity counts: it has risen, or the score has halved. The peak is over medians of
    three rows, and at most 1.
    """

    def __init__(self) -> None:
        # True once the generator has learned something.
        self._learned = False
        self._lowest, self._peak = math.inf, 0.0
        self._first_score: float | None = None
        self._last: list[float] = []

    def __call__(self, step: int, row: Row) -> str | None:
        """Returns a message if samples have collapsed."""
        diversity, score = number(row, "probe/diversity"), distance(row)
        if score is not None:
            if self._first_score is None:
                self._first_score = score
            # The score has halved.
            self._learned = self._learned or score <= self._first_score / 2
        if diversity is None:
            return None
        self._lowest = min(self._lowest, diversity)
        # The diversity has risen by half.
        self._learned = self._learned or diversity >= 1.5 * self._lowest
        # The median of three rows ignores single outliers.
        self._last = [*self._last[-2:], diversity] if self._learned else []
        if len(self._last) == 3:
            self._peak = max(self._peak, min(median(sorted(self._last)), 1.0))
        # Too little was ever learned, or enough diversity is left.
        if self._peak < 0.3 or diversity >= 0.2 * self._peak:
            return ""
        return (
            "generator collapsed: sample diversity fell to "
            f"{100 * diversity / self._peak:.2g} % of its peak at step {step:,}; "
            f"{CALMER}"
        )


class FewDistinctSamples:
    """Detects diversity below 1.5 % of that of the data for 2,000 steps and 20 rows.

    Fully connected networks may start like this and recover within a thousand steps.
    """

    def __init__(self) -> None:
        self._steps: list[int] = []

    def __call__(self, step: int, row: Row) -> str | None:
        """Returns a message if samples hardly differ."""
        diversity = number(row, "probe/diversity")
        if diversity is None:
            return None
        # A diverse row starts the count anew.
        if diversity >= 0.015:
            self._steps.clear()
            return ""
        self._steps.append(step)
        first = self._steps[0]
        if len(self._steps) < 20 or step - first < 2000:
            return ""
        return (
            f"samples hardly differ: diversity is {100 * diversity:.2g} % of the "
            f"data's at step {step:,}, and as low since step {first:,}; {CALMER}"
        )


def overfits(step: int, row: Row) -> str | None:
    """Detects a discriminator that separates training from held-out examples.

    It compares r_v = E[D(train) - D(held out)] / E[D(train) - D(fake)] of
    https://arxiv.org/abs/2006.06676, equation 1, with 1/2. The numerator must also
    exceed four standard errors.
    """
    names = ("train", "held_out", "fake", "spread")
    train, held_out, fake, spread = (number(row, f"probe/{name}") for name in names)
    if train is None or held_out is None or fake is None or spread is None:
        return None
    # Numerator and denominator of r_v.
    gap, whole = train - held_out, train - fake
    # The gap is not significant, or r_v is at most 1/2.
    if gap <= 4 * spread or gap <= whole / 2:
        return ""
    return (
        f"discriminator over-fits: held-out gap {gap:.2g} at step {step:,} (D(train) - "
        f"D(held-out)), gap to samples {whole:.2g}; try more data, "
        "--augment='color|translation|cutout' or --d_terms='r1(10)'"
    )


class VanishedGradient:
    """Detects a generator gradient of zero, or a thousandth of its usual norm.

    The latter counts only while the discriminator separates real from fake. If it does
    not, a small gradient is a sign of success.
    """

    def __init__(self) -> None:
        self._norms: list[float] = []  # in order

    def __call__(self, step: int, row: Row) -> str | None:
        """Returns a message if the generator gets no gradient."""
        norm, norms = number(row, "generator/grad_norm"), self._norms
        if norm is None:
            return None
        real, fake = (number(row, f"discriminator/{x}") for x in ("real", "fake"))
        # D separates real from fake, or its logits are unknown.
        apart = real is None or fake is None or real - fake > 0.5
        # Only other norms are added to the usual ones.
        if norm > 1e-7 and not (apart and norm < 1e-3 * median(norms)):
            insort(norms, norm)
            return ""
        before = f" after {median(norms):.2g}" if norms else ""
        return (
            f"the generator gets no gradient: its norm is {norm:.2g}{before} at step "
            f"{step:,}; try --loss=non_saturating, {PENALTIES} or a lower learning "
            "rate of the discriminator"
        )


class ExplodingGradients:
    """Detects a gradient norm that is a hundred times the usual."""

    def __init__(self) -> None:
        self._surges = {player: Surge() for player in PLAYERS}

    def __call__(self, step: int, row: Row) -> str | None:
        """Returns a message if a player's gradient explodes."""
        norms = {player: number(row, f"{player}/grad_norm") for player in PLAYERS}
        known = {player: norm for player, norm in norms.items() if norm is not None}
        # How far the norms exceed the usual size if they explode, else 0.
        factors = {p: self._surges[p].factor(norm) for p, norm in known.items()}
        if not known:
            return None
        wrong = [
            f"the {player}'s norm is {norm:.2g}, {factors[player]:,.0f} times the usual"
            for player, norm in known.items()
            if factors[player]
        ]
        if not wrong:
            return ""
        return (
            f"gradients explode: at step {step:,} {', '.join(wrong)}; try a lower "
            "learning rate, or clipping_threshold=1 in adam(...) of both players"
        )


class Drifted:
    """Detects a score that is three times the best, and worse than the first."""

    def __init__(self) -> None:
        self._first, self._best, self._best_step = math.nan, math.inf, 0

    def __call__(self, step: int, row: Row) -> str | None:
        """Returns a message if samples drift away from the data."""
        score = distance(row)
        if score is None:
            return None
        if math.isnan(self._first):
            self._first = score
        if score < self._best:
            self._best, self._best_step = score, step
        if score <= max(3 * self._best, self._first):
            return ""
        # Some scores can be exactly 0.
        times = score / self._best if self._best else math.inf
        return (
            f"samples drift away from the data: distance {score:.2g} at step {step:,} "
            f"is {times:.2g} times the best one (step {self._best_step:,}); {CALMER}"
        )


class Stalled:
    """Detects a score that has not improved for long.

    That is for 8 evaluations and a quarter of all steps. Only an improvement of 2 % or
    more counts, or several smaller ones that add up to it, as scores have noise.
    """

    def __init__(self) -> None:
        self._best, self._best_step, self._evaluations = math.inf, 0, 0

    def __call__(self, step: int, row: Row) -> str | None:
        """Returns a message if samples have stopped improving."""
        score = distance(row)
        if score is None:
            return None
        if score < 0.98 * self._best:
            self._best, self._best_step, self._evaluations = score, step, 0
            return ""
        self._evaluations += 1
        recent = self._evaluations < 8 or 4 * (step - self._best_step) < step
        # A score of 0 cannot improve.
        if recent or self._best == 0:
            return ""
        return (
            f"samples have stopped improving since step {self._best_step:,}: none of "
            f"the {self._evaluations} scores since then is 2 % better than "
            f"{self._best:.3g}, at step {step:,}; stop here and use --checkpoint=best, "
            "or start a run with learning rates that fall or with larger --networks"
        )


def copies(step: int, row: Row) -> str | None:
    """Detects samples that are copies of training examples.

    It reads the values of the metric `memorization`, and decides like
    `metrics.neighbors.is_copier`.
    """
    prefix, close = "eval/memorization_", "_close"
    names = [x for x in row if x.startswith(prefix) and not x.endswith(close)]
    if not names:
        return None
    # Several extractors are rare; the first one decides.
    ratio, share = number(row, names[0]), number(row, f"{names[0]}{close}")
    if ratio is None or share is None:
        return None
    if not is_copier(NeighborRatio(ratio, ratio, share)):
        return ""
    return (
        "the generator copies the training set: the nearest training example of a "
        f"sample is {ratio:.2g} times as far away as that of a held-out example, at "
        f"step {step:,}, and {share:.0%} of the samples are closer than 99 % of the "
        "held-out examples; try more data, --augment='color|translation|cutout' or an "
        "earlier checkpoint"
    )


def distance(row: Row) -> float | None:
    """Returns the score, or None if it is no distance: unknown or negative.

    >>> distance({"score": 0.5}), distance({"score": -30.0}), distance({})
    (0.5, None, None)
    """
    score = number(row, "score")
    return score if score is not None and score >= 0 else None


def no_variety(step: int, row: Row) -> str | None:
    """Detects data with hardly more than one distinct example."""
    distinct = number(row, "probe/distinct")
    if distinct is None:
        return None
    return (
        f"the data have no variety: {distinct:.2f} distinct examples at step "
        f"{step:,}, so the diversity of samples means nothing; check --dataset"
    )
