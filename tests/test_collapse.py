"""Runs that are made to fail are named, stopped or sent back; healthy ones are not."""

import jax
import numpy as np
import pytest
from data_fixtures import mnist_dir  # noqa: F401
from games import differs, same
from slow import slow
from test_train import lines, run, state_of

from jaxgan import train
from jaxgan.config.resolve import parse_args
from jaxgan.experiment import checkpoint, state
from jaxgan.experiment.keys import seed_keys
from jaxgan.experiment.setup import setup
from jaxgan.monitoring.detectors import Finding
from jaxgan.training import trainer
from jaxgan.training.hooks import Collapse

FEW = {"samples": 16, "score_samples": 64, "log_every": 10, "devices": 1}
COLLAPSE = {
    "dataset": "ring8",
    "loss": "hinge",
    "d_terms": "",
    "networks": "mlp((128, 128), (128, 128))",
    "batch_size": 64,
    "ema_half_life": 0,
    "g_optimizer": "adam(1e-2)",
    "d_optimizer": "adam(2e-3)",
    "steps": 300,
    "save_every": 100,
}
OVERFIT = {
    "networks": "mlp((128, 128), (128, 128), d_activation='swish')",
    "d_terms": "r1(0.1)|r2(0.1)",
    "held_out": 64,
    "steps": 250,
}


def told(workdir):
    """(kind, finding) of a run."""
    return [(x["kind"], x["finding"]) for x in lines(workdir) if "finding" in x]


def command(workdir, **flags):
    given = {**FEW, **flags, "workdir": workdir}
    return train.main([f"--{name}={value}" for name, value in given.items()])


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """128 pictures without anything in common."""
    path = tmp_path_factory.mktemp("noise") / "noise.npz"
    raw = np.random.default_rng(0).integers(0, 256, (128, 8, 8), np.uint8)
    np.savez(path, images=raw)
    return f"npz:{path}"


def test_a_collapse_is_named_and_stops_the_run(tmp_path, capsys):
    code = command(tmp_path / "run", **COLLAPSE, on_collapse="stop")
    said = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert code == 1
    assert len(said) == 1
    assert "generator collapsed: sample diversity fell to" in said[0]
    assert "of its peak at step" in said[0]
    kinds = [kind for kind, _ in told(tmp_path / "run")]
    assert "collapsed" in kinds


def test_a_warning_lets_the_run_go_on_and_is_said_again_at_its_end(tmp_path, caplog):
    caplog.set_level("INFO", "jaxgan")
    assert command(tmp_path / "run", **COLLAPSE) == 0
    assert checkpoint.available(tmp_path / "run" / "checkpoints")[-1] == 300
    said = [text for text in caplog.messages if "generator collapsed" in text]
    assert len(said) == 2


def test_a_resumed_run_remembers_what_was_told(tmp_path):
    assert command(tmp_path / "whole", **COLLAPSE) == 0
    for steps in (150, 300):
        assert command(tmp_path / "halves", **{**COLLAPSE, "steps": steps}) == 0
    assert told(tmp_path / "halves") == told(tmp_path / "whole")


def test_of_several_runs_each_is_watched(tmp_path):
    assert command(tmp_path / "run", **{**COLLAPSE, "runs": 2}) == 0
    texts = [text for kind, text in told(tmp_path / "run") if kind == "collapsed"]
    assert {text.split(": ")[0] for text in texts} == {"seed 0", "seed 1"}


def test_a_discriminator_that_learns_by_heart_is_named(noise, tmp_path):
    assert command(tmp_path / "run", dataset=noise, **OVERFIT) == 0
    texts = dict(told(tmp_path / "run"))
    assert "discriminator over-fits: held-out gap" in texts["overfits"]
    assert "collapsed" not in texts


@pytest.mark.parametrize(
    "flags",
    [
        slow({"dataset": "ring8", "steps": 200}),
        slow({"dataset": "grid25", "steps": 300, "loss": "non_saturating"}),
        {
            **{"preset": "default", "networks": "small(4)", "split": "train[:10%]"},
            **{"batch_size": 32, "steps": 120},
        },
    ],
    ids=["ring8", "grid25", "digits"],
)
def test_healthy_runs_are_silent(tmp_path, flags, mnist_dir):  # noqa: F811
    given = {"save_every": 100, "data_dir": mnist_dir, **flags}
    # a classifier of digits would be trained first
    given["eval_metrics"] = "sliced_wasserstein"
    assert command(tmp_path / "run", **given) == 0
    assert told(tmp_path / "run") == []


def test_what_is_not_finite_goes_back_as_often_as_it_may(
    pictures,
    tmp_path,
    capsys,
):
    # the rate is 8e28 in the second step, whatever the noise is
    flags = {"g_optimizer": "sgd(linear(1e-3, 1e30, 12))", "networks": "small(4)"}
    flags |= {"dataset": f"npz:{pictures}", "batch_size": 8, "save_every": 1}
    code = command(
        tmp_path / "run", **flags, on_collapse="rollback", rollbacks=2, steps=20
    )
    [said] = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert code == 1
    assert "generator/param_norm is not finite at step 2" in said
    assert "it rolled back 2 times" in said
    backs = [text for kind, text in told(tmp_path / "run") if kind == "rollback"]
    assert len(backs) == 2
    assert all("back to step 1 with other noise" in text for text in backs)


def test_going_back_is_to_the_best_checkpoint_with_other_noise(pictures, tmp_path):
    given = {"task": "generate(4)"}
    ten = run(pictures, tmp_path / "a", 10, **given, save_every=5)
    plain = run(pictures, tmp_path / "b", 20, **given, save_every=5)
    scores = {x["step"]: x["score"] for x in lines(ten) if "score" in x and x["step"]}
    best = min(scores, key=scores.__getitem__)
    flags = [f"--{k}={v}" for k, v in read_flags(pictures, ten, 20).items()]
    plan = setup(parse_args(flags))
    collapse = Collapse(Finding(12, "collapsed", "it was made up", True, 11))
    assert trainer.run_once(plan, ten, collapse) == 0
    [(kind, text)] = told(ten)
    assert kind == "rollback"
    assert text == f"back to step {best} with other noise, after: it was made up"
    assert differs(state_of(ten, 20).params, state_of(plain, 20).params)
    again = run(pictures, ten, 20, **given, save_every=5)  # nothing left to do
    assert trainer.count_rollbacks(again) == 1


@pytest.mark.parametrize(("since", "step"), [(10, 5), (5, 0)])
def test_what_was_saved_after_the_first_sign_is_not_gone_back_to(
    pictures,
    tmp_path,
    since,
    step,
):
    ten = run(pictures, tmp_path / "a", 10, task="generate(4)", save_every=5)
    flags = [f"--{k}={v}" for k, v in read_flags(pictures, ten, 10).items()]
    collapse = Collapse(Finding(12, "collapsed", "it was made up", True, since))
    restored, _ = state.restore_or_init(
        setup(parse_args(flags)), ten, rollbacks=1, before=collapse.since, which="best"
    )
    assert int(restored.step) == step


def read_flags(pictures, workdir, steps):
    """The flags of `test_train.run`, for a plan of our own."""
    from test_train import TINY

    more = {"task": "generate(4)", "save_every": 5, "steps": steps}
    return {**TINY, **more, "dataset": f"npz:{pictures}", "workdir": workdir}


def test_other_noise_is_other_noise():
    keys = [seed_keys(0, rollbacks) for rollbacks in range(3)]
    data = [[jax.random.key_data(key).tolist() for key in each] for each in keys]
    assert len({str(each[0]) for each in data}) == 3
    assert len({str(each[1]) for each in data}) == 3
    assert len({str(each[2]) for each in data}) == 1  # the pictures stay comparable
    same(jax.random.key_data(seed_keys(0).run), data[0][1])
