"""A new run starts from the weights of another one, as far as they fit."""

import json
import logging
import shutil
import tarfile
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
from earlier_workdirs import CASES, TINY, read_ema, write_pictures
from games import same
from jax.tree_util import keystr, tree_flatten_with_path
from slow import slow
from test_multi_seed_train import states_of
from test_processes import ended, start
from test_train import argv, run, state_of, values

from jaxgan import train
from jaxgan.config.resolve import make_config, parse_args
from jaxgan.experiment import init_from
from jaxgan.experiment.init_from import Mismatch, copy_fitting
from jaxgan.experiment.setup import setup
from jaxgan.experiment.state import restore_or_init
from jaxgan.parallel import multi_seed

pytestmark = pytest.mark.usefixtures("quick_compilation")

WEIGHTS = ("params", "stats", "ema")
FAST = {"networks": "mlp((8,),(8,))", "save_every": 2}
EARLIER = Path(__file__).parent / "workdirs-0.1.0"


def begin(pictures, workdir, **flags):
    """The state at the start of a new run, and that without another run's weights."""
    experiment = setup(parse_args(argv(pictures, workdir, 20, **flags)))
    state, history = restore_or_init(experiment, workdir, rollbacks=0)
    assert history == {"seconds": 0.0}
    return state, experiment.init_state()


def by_path(tree):
    """The leaves of a tree by path."""
    leaves = tree_flatten_with_path(tree)[0]
    return {keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def part(state, names=WEIGHTS):
    return {name: getattr(state, name) for name in names}


def table(caplog):
    """The paths in the table that was logged, by kind of the row."""
    rows = [x.getMessage().split("  ") for x in caplog.records]
    rows = [[cell.strip() for cell in row if cell] for row in rows if row[0] == ""]
    assert rows[:1] in ([], [["array", "here", "there"]])
    return {path: (here, there) for path, here, there in rows[1:]}


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "jaxgan")
    return caplog


@pytest.fixture(scope="module")
def three(pictures, tmp_path_factory):
    """Seeds 4, 5, 6 for 2 steps."""
    return run(pictures, tmp_path_factory.mktemp("three") / "run", 2, runs=3, seed=4)


@pytest.fixture(scope="module")
def plain(pictures, tmp_path_factory):
    """A run of 4 steps of networks that compile fast."""
    return run(pictures, tmp_path_factory.mktemp("plain") / "run", 4, **FAST)


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """An npz of 40 pictures of 8x8, with labels of two classes."""
    file = tmp_path_factory.mktemp("data") / "two.npz"
    write_pictures(file)
    return file


def test_leaves_are_copied_by_path_and_shape():
    half = np.array([1, 2], ml_dtypes.bfloat16)
    target = {
        "adam": (optax.ScaleByAdamState(jnp.int32(0), {"w": jnp.zeros(2)}, {}), ()),
        "count": jnp.int32(0),
        "kernel": jnp.zeros((2, 3)),
        "new": jax.ShapeDtypeStruct((4,), jnp.bfloat16),
    }
    source = {
        "adam": [{"count": np.int32(7), "mu": {"w": half}, "nu": {}}, None],
        "count": np.float32(7),
        "kernel": np.zeros((3, 2), np.float32),
        "old": np.zeros(5),
    }
    copied, mismatches = copy_fitting(target, source)
    adam = copied["adam"][0]
    assert adam.count == 7
    assert adam.mu["w"].dtype == np.float32
    assert adam.mu["w"].tolist() == [1, 2]
    assert all(copied[name] is target[name] for name in ("count", "kernel", "new"))
    assert mismatches == [
        Mismatch("count", "int32[]", "float32[]"),
        Mismatch("kernel", "float32[2, 3]", "float32[3, 2]"),
        Mismatch("new", "bfloat16[4]", "missing"),
        Mismatch("old", "missing", "float64[5]"),
    ]


@pytest.mark.parametrize(
    ("text", "path", "which"),
    [
        ("runs/a", "runs/a", "last"),
        ("runs/a:500", "runs/a", 500),
        ("runs/a:best", "runs/a", "best"),
        ("runs/a:b:last", "runs/a:b", "last"),
        ("runs/a:b", "runs/a:b", "last"),
        ("C:/runs/a", "C:/runs/a", "last"),
        (r"C:\runs\a:7", r"C:\runs\a", 7),
        ("a:5:last", "a:5", "last"),
        ("a:²", "a:²", "last"),
        (":5", ":5", "last"),
    ],
)
def test_a_step_follows_the_last_colon(text, path, which):
    assert init_from.source_of(text, True) == (text, Path(path), which, True)


def test_the_home_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert make_config(init_from="~/a:5").init_from == "/home/me/a:5"


def test_equal_networks_take_all(pictures, finished, tmp_path, told):
    state, fresh = begin(pictures, tmp_path / "new", init_from=finished)
    there = state_of(finished, 20)
    same(part(there), part(state))
    count = len(jax.tree.leaves(part(there)))
    assert f"all {count} arrays of {finished} from step 20" in told.messages
    # The rest is new: step, optimizers and the terms' state.
    new = ("step", "opt_state", "term_state")
    same(part(fresh, new), part(state, new))
    assert state.step == 0


@pytest.mark.parametrize("which", ["10", "best"])
def test_optimizers_are_copied_on_request(pictures, finished, tmp_path, which):
    source = {"init_from": f"{finished}:{which}", "init_optimizer": True}
    state, fresh = begin(pictures, tmp_path / "new", seed=3, **source)
    scores = {
        step: json.loads((finished / f"checkpoints/{step}/metrics/metrics").read_text())
        for step in (10, 20)
    }
    best = min(scores, key=lambda step: scores[step]["score"])
    there = state_of(finished, best if which == "best" else 10)
    names = (*WEIGHTS, "opt_state")
    same(part(there, names), part(state, names))
    same(part(fresh, ("step", "term_state")), part(state, ("step", "term_state")))


def test_another_resolution_takes_what_fits(pictures, finished, tmp_path, told):
    source = {"init_from": finished, "image_size": 16}
    state, fresh = begin(pictures, tmp_path / "new", **source)
    there, new, got = (by_path(part(x)) for x in (state_of(finished, 20), fresh, state))
    fitting = {x for x in new if x in there and there[x].shape == new[x].shape}
    assert 0 < len(fitting) < len(new)
    for path, value in got.items():
        np.testing.assert_array_equal(value, (there if path in fitting else new)[path])
    rows = table(told)
    assert rows.keys() == (new.keys() | there.keys()) - fitting
    path = "params/generator/Dense_0/kernel"
    assert rows[path] == ("float32[4, 128]", "float32[4, 64]")
    head = f"{len(fitting)} arrays of {finished} from step 20; these do not fit:"
    assert told.messages.count(head) == 1


def test_other_classes_leave_out_their_embeddings(pictures, larger, tmp_path, told):
    flags = {"preset": "projection", "task": "conditional(4)"}
    source = run(pictures, tmp_path / "old", 2, **flags)
    state, _ = begin(larger, tmp_path / "new", init_from=source, **flags)
    rows = table(told)
    # Five classes there, and two here.
    assert {(here[8], there[8]) for here, there in rows.values()} == {("2", "5")}
    roots = ("ema/params", "params/generator", "params/discriminator")
    assert sorted(rows) == sorted(
        path for path in by_path(part(state)) if "Embed" in path
    )
    assert all(any(x.startswith(root) for x in rows) for root in roots)


def test_an_optimizer_that_fits_in_part_is_new(pictures, finished, tmp_path, told):
    # The wrapper adds a feature to the last layer of the discriminator.
    flags = {"init_optimizer": True, "discriminator_wrap": "pack(2)"}
    state, fresh = begin(pictures, tmp_path / "new", init_from=finished, **flags)
    there = state_of(finished, 20)
    same(there.params.generator, state.params.generator)
    same(there.opt_state.generator, state.opt_state.generator)
    same(fresh.opt_state.discriminator, state.opt_state.discriminator)
    rows = table(told)
    assert any(x.startswith("opt_state/discriminator/") for x in rows)
    assert not any("generator/" in x for x in rows)


def same_runs(state, numbers, there):
    """Asserts that run i has the weights of run `numbers[i]` of `there`."""
    for i, number in enumerate(numbers):
        source = (
            there
            if number is None
            else multi_seed.take_run(there, multi_seed.AXES, number)
        )
        same(part(source), part(multi_seed.take_run(state, multi_seed.AXES, i)))


def test_one_run_is_copied_to_each_seed(pictures, finished, tmp_path):
    state, _ = begin(pictures, tmp_path / "new", init_from=finished, runs=3)
    same_runs(state, [None] * 3, state_of(finished, 20))


def test_as_many_runs_are_copied_one_to_one(pictures, three, tmp_path):
    flags = {"init_from": three, "runs": 3, "devices": 0, "init_optimizer": True}
    state, _ = begin(pictures, tmp_path / "new", **flags)
    there = states_of(three, 2)
    same_runs(state, [0, 1, 2], there)
    same(there.opt_state, state.opt_state)
    assert len(jax.tree.leaves(state.params)[0].sharding.device_set) == 3


@pytest.mark.parametrize("flags", [slow({"parallel": "pmap"}), {"shard_state": True}])
def test_devices_do_not_matter(pictures, finished, tmp_path, flags):
    there = {"init_from": finished, "init_optimizer": True}
    state, fresh = begin(pictures, tmp_path / "a", devices=2, **there, **flags)
    names = (*WEIGHTS, "opt_state")
    same(part(state_of(finished, 20), names), part(state, names))
    for new, old in zip(*map(jax.tree.leaves, (state, fresh)), strict=True):
        assert new.sharding == old.sharding
    # Training goes on from there alike.
    whole = run(pictures, tmp_path / "b", 4, **there)
    other = run(pictures, tmp_path / "c", 4, devices=2, **there, **flags)
    a, b = state_of(whole, 4), state_of(other, 4)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-4), a, b)


def test_two_processes_start_as_one(pictures, plain, tmp_path):
    flags = {**FAST, "init_from": f"{plain}:2", "init_optimizer": True}
    sharded = {"shard_state": True, "parallel": "mesh"}
    codes, said = ended(start(pictures, tmp_path / "two", 2, 2, **flags, **sharded))
    assert codes == [0, 0], said
    assert f"arrays of {plain} from step 2" in said[0]
    assert not said[1]
    alone = run(pictures, tmp_path / "one", 2, **flags)
    a, b = state_of(alone, 2), state_of(tmp_path / "two", 2)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-4), a, b)


@pytest.mark.parametrize("case", ["default", "acgan", "runs", "shards"])
def test_runs_of_version_0_1_0_are_sources(case, larger, tmp_path):
    with tarfile.open(EARLIER / f"{case}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    flags = {**TINY, **CASES[case], "init_from": tmp_path / case}
    flags = {k: True if v is None else v for k, v in flags.items()}
    state, _ = begin(larger, tmp_path / "new", **flags)
    got = by_path(state.ema)
    there = read_ema(tmp_path / case, 4)
    assert got.keys() == there.keys()
    for path, value in got.items():
        np.testing.assert_array_equal(value, there[path])


def test_a_resumed_run_ignores_its_source(pictures, plain, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(plain, source)
    flags = {**FAST, "init_from": source, "init_optimizer": True}
    whole = run(pictures, tmp_path / "whole", 10, **flags)
    run(pictures, tmp_path / "halves", 5, **flags)
    shutil.rmtree(source)
    # The source is gone, another one is named, or none.
    again = dict(flags)
    for steps, again["init_from"] in ((7, source), (8, plain), (10, "")):
        again["init_optimizer"] = bool(again["init_from"])
        again = {name: value for name, value in again.items() if value}
        halves = run(pictures, tmp_path / "halves", steps, **again)
        config = json.loads((halves / "config.json").read_text())
        assert config["init_from"] == str(source)
        assert config["init_optimizer"] is True
    same(state_of(whole, 10), state_of(halves, 10))
    assert values(whole)[-1] == values(halves)[-1]


def test_a_rollback_to_the_start_begins_with_the_source(pictures, plain, tmp_path):
    run(pictures, tmp_path / "run", 2, **FAST, init_from=plain)
    # There is no earlier checkpoint than that of step 2, and no flag.
    experiment = setup(parse_args(argv(pictures, tmp_path / "run", 9, **FAST)))
    where = {"rollbacks": 1, "before": 1, "which": "best"}
    state, _ = restore_or_init(experiment, tmp_path / "run", **where)
    same(part(state_of(plain, 4)), part(state))


def test_a_dry_run_shows_the_table_and_writes_nothing(
    pictures, plain, tmp_path, told, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    flags = {**FAST, "init_from": plain, "image_size": 16, "dry_run": True}
    run(pictures, "new", 20, **flags)
    assert table(told)["params/discriminator/Dense_0/kernel"] == (
        "float32[256, 8]",
        "float32[64, 8]",
    )
    assert not list(tmp_path.iterdir())


def flip(file, place):
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.fixture
def damaged(finished, tmp_path):
    """The finished run, with flipped bits in the arrays of its last checkpoint."""
    source = tmp_path / "source"
    shutil.copytree(finished, source)
    for file in (source / "checkpoints" / "20" / "state").rglob("d/*"):
        flip(file, file.stat().st_size // 2)
    return source


def test_an_intact_checkpoint_is_taken_for_a_damaged_one(
    pictures, finished, damaged, tmp_path, told
):
    state, _ = begin(pictures, tmp_path / "new", init_from=damaged)
    same(part(state_of(finished, 10)), part(state))
    assert any("checkpoint 20 is damaged" in x for x in told.messages)
    assert any(x.endswith("from step 10") for x in told.messages)


def refused(pictures, workdir, message, capsys, **flags):
    """Asserts one line and no trace, in a dry run too."""
    for more in ({}, {"dry_run": True}):
        assert train.main(argv(pictures, workdir, 20, **flags, **more)) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith(f"error: --init_from={flags['init_from']}")
        assert message in line
        assert not workdir.exists()


def test_a_damaged_step_is_refused(pictures, damaged, tmp_path, capsys):
    message = f"checkpoint 20 is damaged; {damaged}/checkpoints also has [10]"
    source = f"{damaged}:20"
    refused(pictures, tmp_path / "new", message, capsys, init_from=source)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {"init_from": "none/here"},
            "is not the folder of a run: it has no config.json",
        ),
        ({"init_from": "{finished}:7"}, "there is no checkpoint 7 in "),
        ({"init_from": "{finished}:7"}, "choose from [10, 20]"),
        ({"init_from": "{finished}:first"}, "it has no config.json"),
        ({"init_from": "{three}", "runs": 2}, "has 3 runs, and --runs=2: use --runs=3"),
        ({"init_from": "{three}"}, "has 3 runs, and --runs=1: use --runs=3"),
        (
            {"init_from": "{finished}", "networks": "mlp((8,),(8,))"},
            "no array of step 20 fits these networks; use that run's "
            "--networks='small(4)'",
        ),
    ],
)
def test_what_is_no_source(flags, message, pictures, finished, three, tmp_path, capsys):
    places = {"finished": finished, "three": three}
    flags = {**flags, "init_from": flags["init_from"].format(**places)}
    refused(pictures, tmp_path / "new", message, capsys, **flags)


@pytest.mark.parametrize("source", ["{0}", "{0}:10", "{1}"])
def test_a_run_is_not_its_own_source(source, pictures, finished, tmp_path, capsys):
    link = tmp_path / "link"
    link.symlink_to(finished)
    flags = {"init_from": source.format(finished, link)}
    before = (finished / "config.json").read_bytes()
    assert train.main(argv(pictures, finished, 30, **flags)) == 2
    assert "is the --workdir of this run" in capsys.readouterr().err
    assert (finished / "config.json").read_bytes() == before
