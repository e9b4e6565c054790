"""Rows that go wrong in a known way, and rows in which nothing does."""

import json
import math

import pytest

from jaxgan.monitoring.detectors import Detectors, Finding, not_finite, summary


def run(rows, look=None):
    """All findings of rows, which are a hundred steps apart."""
    look = look or Detectors().check
    return [found for step, row in numbered(rows) for found in look(step, row)]


def numbered(rows):
    return [(100 * i, row) for i, row in enumerate(rows)]


def diversity(*values):
    return [{"probe/diversity": value} for value in values]


def scores(*values):
    return [{"score": value} for value in values]


def norms(*values, player="generator", logits=(None, None)):
    real, fake = logits
    same = {"discriminator/real": real, "discriminator/fake": fake}
    return [{f"{player}/grad_norm": value, **same} for value in values]


def probe(train, held_out, fake, spread=0.1):
    names = ("train", "held_out", "fake", "spread")
    values = (train, held_out, fake, spread)
    return {f"probe/{name}": x for name, x in zip(names, values, strict=True)}


def told(findings):
    return [(found.kind, found.step) for found in findings]


# Healthy runs

RING = (0.42, 1.09, 1.15, 1.33, 1.29, 1.24, 1.18, 1.21, 1.06, 1.2, 1.04)
PERCEPTRON = (1.07, 0.009, 0.016, 0.037, 0.021, 0.02, 0.023, 0.022, 0.017, 0.026)
LSGAN = (0.04, 0.012, 0.009, 0.007, 0.007, 0.014, 0.018, 0.023, 0.043, 0.051, 0.071)
MINIMAX = (0.66, 0.28, 0.31, 0.32, 0.42, 0.28, 0.48, 0.43, 0.2, 0.28, 0.4)


@pytest.mark.parametrize("values", [RING, PERCEPTRON, LSGAN, MINIMAX])
def test_diversity_as_healthy_runs_had_it(values):
    assert run(diversity(*values) * 3) == []


def test_a_whole_healthy_run():
    rows = [
        {
            "score": 0.7 / (1 + i) + 0.06 if i % 10 == 0 else None,
            "discriminator/real": 1.5,
            "discriminator/fake": 0.9,
            "discriminator/grad_norm": 1.8 + 0.2 * math.sin(i),
            "generator/grad_norm": 4.0 / (1 + i) + 0.5,
            **probe(1.4, 1.38 + 0.03 * math.sin(i), 0.9, 0.03),
            "probe/diversity": 1.0 + 0.05 * math.cos(i),
        }
        for i in range(60)
    ]
    assert run(rows) == []


# Collapse


def test_a_collapse():
    found = run(diversity(0.3, 0.9, 1.4, 1.2, 1.1, 0.15, 0.12, 0.1, 0.08))
    assert told(found) == [("collapsed", 700)]
    assert found[0].fatal
    assert found[0].text.startswith(
        "generator collapsed: sample diversity fell to 10 % of its peak at step 700; "
        "try --d_terms="
    )


def test_a_collapse_is_three_rows_long():
    assert run(diversity(0.3, 1.0, 1.0, 1.0, 0.1, 0.1, 0.9, 0.1, 0.1, 0.9)) == []


def test_the_noise_of_an_untrained_generator_is_no_peak():
    assert run(diversity(*[1.0] * 30, *[0.1] * 30)) == []


def test_what_the_score_says_was_learned_is_a_peak():
    rows = diversity(*[1.0] * 30, *[0.1] * 3)
    rows[0]["score"], rows[20]["score"] = 0.7, 0.06
    assert told(run(rows)) == [("collapsed", 3200)]
    rows[20]["score"] = 0.6
    assert run(rows) == []


def test_one_high_row_is_no_peak():
    assert run(diversity(0.1, 0.1, 3.0, 0.1, 0.1, 0.05, 0.04, 0.03)) == []


def test_hardly_any_distinct_samples_for_long():
    rows = diversity(0.5, *[0.01] * 40)
    found = run(rows)
    assert told(found) == [("few_distinct", 2100)]
    assert not found[0].fatal
    want = "diversity is 1 % of the data's at step 2,100, and as low since step 100"
    assert want in found[0].text
    assert run([*rows[:20], *diversity(0.03), *rows[:20]]) == []


def test_data_without_variety():
    rows = [{"probe/distinct": 1.0}] * 9
    found = run(rows)
    assert told(found) == [("no_variety", 0)]
    assert not found[0].fatal
    assert found[0].text.startswith("the data have no variety: 1.00 distinct examples")


# Over-fitting


def test_overfitting():
    good, bad = probe(2.0, 1.9, 0.5), probe(2.0, 1.0, 0.5)
    found = run([good, good, bad, bad, bad, bad, bad])
    assert told(found) == [("overfits", 400)]
    assert not found[0].fatal
    assert "held-out gap 1 at step 400" in found[0].text
    assert "gap to samples 1.5" in found[0].text
    assert run([bad, bad, good, bad, bad]) == []


def test_a_gap_within_its_errors_is_none():
    assert run([probe(2.0, 1.0, 0.5, 0.3)] * 9) == []


def test_a_gap_that_is_small_to_that_of_samples_is_none():
    assert run([probe(2.0, 1.0, -5.0)] * 9) == []


def test_a_gap_where_samples_pass_for_real_is_overfitting():
    assert told(run([probe(2.0, 1.0, 2.5)] * 9)) == [("overfits", 200)]


# Gradients


def test_a_vanished_gradient():
    found = run(norms(0.5, 0.6, 0.4, 1e-4, 1e-4, 1e-4, 1e-4, logits=(9.0, -19.0)))
    assert told(found) == [("vanished", 500)]
    assert "its norm is 0.0001 after 0.5 at step 500" in found[0].text


def test_a_gradient_that_was_wanted_to_be_small():
    assert run(norms(0.5, 0.6, 0.4, *[1e-4] * 9, logits=(0.3, 0.29))) == []


def test_no_gradient_at_all():
    found = run(norms(0.0, 0.0, 0.0, 0.0, logits=(0.3, 0.3)))
    assert told(found) == [("vanished", 200)]


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_explosion(player):
    values = (1.0, 2.0, 1.5, 1.0, 1.2, 1.3, 500.0, 600.0, 720.0, 800.0)
    found = run(norms(*values, player=player))
    assert told(found) == [("exploding", 800)]
    assert f"the {player}'s norm is 7.2e+02, 554 times the usual" in found[0].text


def test_an_explosion_step_by_step():
    # a thousand times the first rows, though thirty times the median
    slow = [*[1.0] * 5, *[50.0] * 20]
    assert run(norms(*slow, 900.0, 900.0, 900.0)) == []
    found = run(norms(*slow, 1500.0, 1500.0, 1500.0))
    assert told(found) == [("exploding", 2700)]
    assert "150 times the usual" in found[0].text


def test_both_players_explode_once():
    rows = [{"generator/grad_norm": x, "discriminator/grad_norm": x} for x in [1.0] * 9]
    rows += [{name: 1e4 for name in rows[0]}] * 4
    found = run(rows)
    assert told(found) == [("exploding", 1100)]
    assert "the generator's" in found[0].text
    assert "the discriminator's" in found[0].text


def test_one_high_gradient_is_no_explosion():
    assert run(norms(*[1.0] * 9, 1e6, 1e6, 1.0, 1e6)) == []


# The score


def test_a_drift():
    found = run(scores(0.4, 0.3, 0.125, 0.2, 0.5, 0.5, 0.6))
    assert told(found) == [("drifted", 500)]
    assert not found[0].fatal
    want = "distance 0.5 at step 500 is 4 times the best one (step 200)"
    assert want in found[0].text


def test_a_score_no_worse_than_the_first_is_no_drift():
    assert run(scores(0.7, 0.06, 0.65, 0.65, 0.65)) == []
    assert run(scores(0.2, 0.1, 0.25, 0.25, 0.25)) == []


def test_scores_that_are_no_distances():
    """The best may be exactly 0, and ratios of negative scores mean nothing."""
    [found] = run(scores(3.0, 0.0, 4.0, 4.0))
    assert "is inf times the best one (step 100)" in found.text
    assert run(scores(-4.0, -9.0, -2.0, -1.0)) == []


def test_a_score_that_does_not_improve_any_more():
    # the eighth evaluation after that of step 300, which is a quarter of all steps
    found = run(scores(0.9, 0.5, 0.3, 0.1, *[0.101, 0.0985] * 9))
    assert told(found) == [("stalled", 1100)]
    assert not found[0].fatal
    want = "stopped improving since step 300: none of the 8 scores since then is 2 %"
    assert want in found[0].text
    # eight are a smaller part of a longer run
    slow = [0.9 * 0.9**i for i in range(40)]
    assert run(scores(*slow, *[slow[-1]] * 12)) == []
    found = run(scores(*slow, *[slow[-1]] * 13))
    assert told(found) == [("stalled", 5200)]
    assert run(scores(0.9, 0.1, *[0.1] * 7)) == []


def test_scores_that_improve_in_small_steps_or_cannot_improve():
    assert run(scores(*[0.99**i for i in range(60)])) == []
    assert run(scores(9.0, 0.0, *[0.0] * 30)) == []
    assert run(scores(*[-1.0] * 30)) == []
    assert run(scores(*[None] * 30)) == []


def test_after_an_improvement_it_may_stop_again():
    values = (0.9, *[0.5] * 9, 0.4, *[0.4] * 12)
    assert told(run(scores(*values))) == [("stalled", 900), ("stalled", 1800)]


# Copies of the training set


def memorized(ratio, share, name="classifier"):
    name = f"eval/memorization_{name}"
    return {name: ratio, f"{name}_close": share}


def test_copies_of_the_training_set():
    fresh, other = memorized(0.97, 0.02), {"generator/loss": 1.0}
    found = run([fresh, other, memorized(0.4, 0.05), other, memorized(0.2, 0.6)])
    assert told(found) == [("copies", 400)]
    assert not found[0].fatal
    want = (
        "a sample is 0.2 times as far away as that of a held-out example, at step 400"
    )
    assert want in found[0].text
    assert "60% of the samples are closer than 99 %" in found[0].text
    # a tenth of copies is enough, in any features
    assert told(run([memorized(0.9, 0.1, "inception")] * 2)) == [("copies", 100)]


def test_samples_that_are_no_copies():
    assert run([memorized(0.9, 0.09)] * 9) == []
    assert run([memorized(0.6, 0.03)] * 9) == []
    # once may be chance, as few held-out examples are as close
    once = [memorized(0.9, 0.2), memorized(0.9, 0.02)]
    assert run(once * 5) == []
    assert run([memorized(None, 0.5), memorized(0.1, None)] * 5) == []
    assert run([{"eval/memorization_classifier": 0.1}] * 5) == []


# When it is told


def test_a_fault_is_told_again_once_it_had_ended():
    good, bad = probe(2.0, 2.0, 0.5), probe(2.0, 0.6, 0.5)
    rows = [*[bad] * 9, *[good] * 4, *[bad] * 9]
    assert told(run(rows)) == [("overfits", 200)]
    rows = [*[bad] * 9, *[good] * 5, *[bad] * 9]
    assert told(run(rows)) == [("overfits", 200), ("overfits", 1600)]


def test_rows_that_do_not_tell_are_passed_over():
    bad, score, none = (
        probe(2.0, 0.6, 0.5),
        {"score": 0.3},
        dict.fromkeys(probe(0, 0, 0)),
    )
    nan = {**bad, "probe/train": math.nan}
    found = run([bad, score, {}, bad, none, nan, {**bad, "probe/fake": None}, bad])
    assert told(found) == [("overfits", 700)]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "1", [1.0], {}])
def test_values_that_are_none(value):
    names = ("score", "generator/grad_norm", "discriminator/grad_norm")
    names += ("discriminator/real", "discriminator/fake", "probe/diversity")
    rows = [{**dict.fromkeys(names, value), **probe(value, value, value, value)}] * 8
    assert run(rows) == []


def test_a_resumed_run_tells_what_the_whole_would_have_told():
    rows = numbered(
        [
            {**d, **s, **g, **probe(2.0, 2.0 - i % 13 / 8, 0.5)}
            for i, (d, s, g) in enumerate(
                zip(
                    diversity(*RING, *[0.1] * 9, *RING, *[0.05] * 9),
                    scores(*[0.4, 0.1, None, 0.2] * 5, *[0.9] * 20),
                    norms(*[1.0] * 15, *[400.0] * 5, *[1.0] * 15, *[1e-9] * 5),
                    strict=True,
                )
            )
        ]
    )
    look = Detectors().check
    whole = [look(*row) for row in rows]
    assert {found.kind for news in whole for found in news} == {
        "collapsed", "overfits", "vanished", "exploding", "drifted", "stalled"
    }  # fmt: skip
    for cut in range(len(rows)):
        look = Detectors().check
        for step, row in rows[:cut]:
            look(step, json.loads(json.dumps(row)))
        assert [look(*row) for row in rows[cut:]] == whole[cut:]


def test_two_monitors_know_nothing_of_each_other():
    one, other = Detectors().check, Detectors().check
    bad = probe(2.0, 0.6, 0.5)
    assert run([bad, bad], one) == run([bad, bad], other) == []
    assert told(run([bad], one)) == [("overfits", 0)]


# What is said at the end


def test_not_finite():
    found = not_finite(1234, "discriminator/r1")
    assert (found.step, found.kind, found.fatal) == (1234, "not_finite", True)
    assert found.text.startswith("discriminator/r1 is not finite at step 1,234; try ")


def test_the_summary():
    assert summary([]) == ["nothing found wrong"]
    findings = [
        Finding(100, "overfits", "it over-fits", False),
        Finding(300, "collapsed", "it collapsed", True),
        Finding(2000, "overfits", "it over-fits more", False),
    ]
    want = ["it over-fits (2 times, last at step 2,000)", "it collapsed"]
    assert summary(findings) == want
