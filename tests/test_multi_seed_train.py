"""Several seeds from the command line: each is its own run, told of together."""

import jax
import numpy as np
import pytest
from games import same
from test_train import argv, lines, run, state_of, values

from jaxgan import sample, train
from jaxgan.config.resolve import make_config
from jaxgan.evaluation.load_run import load_run
from jaxgan.experiment import checkpoint
from jaxgan.gan import builder
from jaxgan.parallel import multi_seed
from jaxgan.types import image_example
from jaxgan.workdir import read_config


@pytest.fixture(scope="module")
def three(pictures, tmp_path_factory):
    """Seeds 4, 5, 6 for 20 steps."""
    folder = tmp_path_factory.mktemp("three") / "run"
    return run(pictures, folder, 20, runs=3, seed=4)


def states_of(workdir, step):
    """The state of all runs in a checkpoint."""
    config = make_config(**read_config(workdir))
    game = builder.build_gan(config, image_example((8, 8, 1), classes=5))
    alone = jax.eval_shape(game.init, jax.random.key(0))
    template = jax.eval_shape(multi_seed.join_states, [alone] * config.runs)
    folder = workdir / "checkpoints"
    return jax.device_get(checkpoint.restore(folder, template, which=step)[0])


def test_each_is_the_run_of_its_seed(pictures, three, tmp_path):
    alone = run(pictures, tmp_path / "alone", 20, seed=5)
    same(multi_seed.split_states(states_of(three, 20), 3)[1], state_of(alone, 20))
    [told] = [x for x in lines(three) if x["step"] == 20 and "generator/loss" in x]
    [own] = [x for x in lines(alone) if x["step"] == 20 and "generator/loss" in x]
    # one seed is told of by plain values, several by their mean, spread and values
    assert not {"std", "runs"} & own.keys()
    assert all(isinstance(value, int | float) for value in own.values())
    assert own.keys() | {"std", "runs"} == told.keys()
    for name in ("generator/loss", "discriminator/r1"):
        assert told["runs"][name][1] == own[name]
        np.testing.assert_allclose(told[name], np.mean(told["runs"][name]))
        want = np.std(told["runs"][name], ddof=1)
        np.testing.assert_allclose(told["std"][name], want)


def test_a_resumed_set_of_runs_is_the_same(pictures, three, tmp_path):
    run(pictures, tmp_path / "halves", 10, runs=3, seed=4)
    halves = run(pictures, tmp_path / "halves", 20, runs=3, seed=4)
    same(states_of(three, 20), states_of(halves, 20))
    assert values(three) == values(halves)


def test_runs_spread_over_devices_and_back(pictures, three, tmp_path):
    # 3 runs on 3 of the 8 devices; the second half on one, from the host
    spread = {"runs": 3, "seed": 4, "devices": 0}
    run(pictures, tmp_path / "spread", 10, **spread)
    other = run(pictures, tmp_path / "spread", 20, **{**spread, "devices": 1})
    a, b = states_of(three, 20), states_of(other, 20)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-3), a, b)
    host = run(pictures, tmp_path / "host", 20, **spread, input="host")
    a, b = states_of(three, 20), states_of(host, 20)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-3), a, b)


def test_samples_are_of_one_of_them(three, tmp_path):
    drawn = []
    for number in (0, 2):
        out = tmp_path / f"{number}.npz"
        assert (
            sample.main([f"--workdir={three}", f"--out={out}", f"--run={number}"]) == 0
        )
        drawn.append(np.load(out)["samples"])
    assert (drawn[0] != drawn[1]).any()


def test_a_run_that_there_is_not(three, tmp_path, capsys):
    out = tmp_path / "a.npz"
    assert sample.main([f"--workdir={three}", f"--out={out}", "--run=3"]) == 2
    assert (
        "--run=3: the run has 3 seed(s), starting at --run=0" in capsys.readouterr().err
    )


def test_a_run_that_diverges_is_told_of_and_the_others_finish(
    pictures,
    tmp_path,
):
    # the rate is 8e28 in the second step: none is finite, none is moved, none saved bad
    flags = {"g_optimizer": "sgd(linear(1e-3, 1e30, 12))", "runs": 2}
    folder = run(pictures, tmp_path / "run", 20, **flags)
    found = [line["finding"] for line in lines(folder) if line.get("kind")]
    assert [text.split(" is not")[0] for text in found] == [
        "seed 0: generator/param_norm",
        "seed 1: generator/param_norm",
    ]
    state = states_of(folder, 20)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.params))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"runs": 3, "devices": 2}, "use --devices=1 or --runs=2"),
        (
            {"runs": 2, "on_collapse": "rollback"},
            "--on_collapse=rollback needs a single run",
        ),
        ({"runs": 0}, "--runs=0: must be at least 1"),
        ({"on_collapse": "pray"}, "--on_collapse=pray: choose warn, stop or rollback"),
    ],
)
def test_what_runs_cannot_do(pictures, tmp_path, capsys, flags, message):
    assert train.main(argv(pictures, tmp_path / "new", 20, **flags)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_run_that_is_read_is_logged(three, pictures, caplog):
    caplog.set_level("INFO", "jaxgan")
    load_run(three, number=1).restore_step()
    load_run(three).restore_players()
    assert caplog.messages == [
        "checkpoint of step 20 of --run=1, one of 3 runs",
        "checkpoint of step 20 of --run=0, one of 3 runs",
    ]
