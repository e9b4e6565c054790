"""The table of a comparison of augmentations, and its answer in one sentence."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95

ARMS = {
    "none": "real images only",
    "classic": "+ classic augmentation",
    "generated": "+ generated images",
    "both": "+ both",
}
"""The compared training sets by name, with their rows of the table."""


class Estimate(NamedTuple):
    """A mean over seeds, and half of its 95 % confidence interval."""

    mean: float
    half: float
    """Infinite for a single seed."""

    @property
    def is_clear(self) -> bool:
        """True if the interval excludes zero."""
        return abs(self.mean) > self.half


def estimate(values: Sequence[float]) -> Estimate:
    """Returns the mean, and Student's interval around it.

    Args:
      values: one per seed.

    >>> mean, half = estimate([1.0, 2.0, 3.0])  # 4.303 x 1 / sqrt(3)
    >>> round(mean, 3), round(half, 3)
    (2.0, 2.484)
    """
    n = len(values)
    if n == 1:
        return Estimate(float(values[0]), math.inf)
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    half = quantile * np.std(values, ddof=1) / math.sqrt(n)
    return Estimate(float(np.mean(values)), float(half))


def differences(
    accuracies: Mapping[str, Sequence[float]], arm: str, base: str
) -> Estimate:
    """Returns the gain of an arm over another one, paired by seed.

    >>> gain = differences({"a": [0.5, 0.75], "b": [0.25, 0.5]}, "a", "b")
    >>> gain.mean, gain.half
    (0.25, 0.0)
    """
    pairs = zip(accuracies[arm], accuracies[base], strict=True)
    return estimate([one - other for one, other in pairs])


def choose(scores: Mapping[Any, Sequence[Mapping[str, float]]]) -> Any:
    """Returns the key with the least mean cross-entropy; the first of equal ones.

    Args:
      scores: one per seed, by key.

    >>> losses = {"shift": [0.5, 0.75], "flip": [1.0, 0.5], "shift|flip": [0.75, 0.5]}
    >>> choose({k: [{"cross_entropy": x} for x in y] for k, y in losses.items()})
    'shift'
    """
    return min(scores, key=lambda k: round(mean_of(scores[k], "cross_entropy"), 9))


def mean_of(scores: Sequence[Mapping[str, float]], name: str) -> float:
    """Returns the mean of a score over seeds."""
    return float(np.mean([score[name] for score in scores]))


def sentence(facts: Mapping[str, Any]) -> str:
    """Returns the answer: whether generated images help, by how much, at what ratio.

    Args:
      facts: `dataset`, `per_class_real`, `ratio`, `classic` and `accuracies` by arm.
    """
    accuracies = facts["accuracies"]
    gain = differences(accuracies, "both", "classic")
    both, classic = (estimate(accuracies[x]).mean for x in ("both", "classic"))
    seeds = len(accuracies["both"])
    if seeds == 1:
        verdict = "have an effect that one seed cannot tell from chance"
    elif not gain.is_clear:
        verdict = "make no difference that these seeds can tell from chance"
    else:
        verdict = "help" if gain.mean > 0 else "do harm"
    return (
        f"Generated images {verdict} on {facts['dataset']} with "
        f"{facts['per_class_real']} real images per class: {percent(both)} % with them "
        f"and classic augmentation ({facts['classic']}), {percent(classic)} % with "
        f"classic augmentation alone, {points(gain)} points, at {facts['ratio']:.0%} "
        f"generated images in a batch (the best of the ratios on validation images)."
    )


def percent(share: float) -> str:
    """Returns a share in percent.

    >>> percent(0.98765)
    '98.77'
    """
    return f"{100 * share:.2f}"


def points(gain: Estimate) -> str:
    """Returns a gain in percentage points.

    >>> points(Estimate(0.0123, 0.004)), points(Estimate(-0.01, math.inf))
    ('+1.23 +- 0.40', '-1.00')
    """
    text = f"{100 * gain.mean:+.2f}"
    return text if math.isinf(gain.half) else f"{text} +- {100 * gain.half:.2f}"


def rows(facts: Mapping[str, Any]) -> list[list[str]]:
    """Returns the head and the rows of the table, as texts."""
    accuracies = facts["accuracies"]
    table = [["training set", "test accuracy %", "gain over classic"]]
    for arm, shown in ARMS.items():
        gain = (
            "" if arm == "classic" else points(differences(accuracies, arm, "classic"))
        )
        mean = estimate(accuracies[arm])
        value = points(mean).removeprefix("+")
        table.append([shown, value, gain])
    return table


def table(facts: Mapping[str, Any]) -> str:
    """Returns the table in Markdown, with the answer below it."""
    head, *body = rows(facts)
    lines = [head, ["---"] * len(head), *body]
    grid = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    seeds = len(facts["accuracies"]["both"])
    note = f"Mean over {seeds} seed(s)"
    if seeds > 1:
        note += " with its 95 % confidence interval; gains are paired by seed"
    chosen = ", ".join(
        f"{float(ratio):.0%}: {mean_of(x, 'cross_entropy'):.4f} "
        f"({percent(mean_of(x, 'accuracy'))} %)"
        for ratio, x in facts["validation"].items()
    )
    return (
        f"{grid}\n\n{note}. Cross-entropy (accuracy) on validation "
        f"images by the share of generated ones: "
        f"{chosen}.\n\n{sentence(facts)}"
    )
