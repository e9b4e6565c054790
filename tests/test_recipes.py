"""The benchmark of recipes: its judge, its results and its tables."""

import doctest
import functools
import json
import os

import jax
import networks
import numpy as np
import pytest
import recipe_arms
import recipe_judge
import recipe_tables
import recipes

import jaxgan
from jaxgan import evaluate
from jaxgan.metrics.features import Features

TINY = {
    "mine": {"task": "generate(4)", "networks": "mlp((8,), (8,))", "d_terms": ""},
    "ours": {
        "task": "conditional(4)",
        "networks": "mlp((8,), (8,))",
        "generator_wrap": "embed",
        "d_terms": "",
    },
}
"""Arms that are fast to compile."""


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    """A folder with stripes of three classes in place of MNIST."""
    folder = tmp_path_factory.mktemp("recipes")
    rng, arrays = np.random.default_rng(0), {}
    for split, count in (("train", 300), ("test", 120)):
        labels = rng.integers(0, 3, count)
        images = rng.integers(0, 80, (count, 8, 8, 1))
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 3] += 150
        arrays |= {f"{split}_image": images.astype(np.uint8), f"{split}_label": labels}
    np.savez(folder / "mnist.npz", **arrays)
    return folder


@pytest.fixture
def program(npz, tmp_path, monkeypatch):
    """Runs `recipes.py` on tiny arms; trains in this process."""
    trained = []

    def train(folder, flags, minutes=None):
        assert minutes is None
        trained.append((folder, flags))
        small = {"batch_size": 8, "samples": 4, "devices": 1}
        config = jaxgan.make_config(**flags, **small, workdir=folder)
        assert jaxgan.fit(config) == 0

    def run(*flags, n=100):
        usual = ["--sets=mnist", "--steps=9", f"--n={n}", f"--npz={npz}"]
        places = [f"--out={tmp_path}/out.json", f"--folder={tmp_path}/runs"]
        words = [*usual, *places, f"--cache={npz}/jaxgan/classifiers", *flags]
        monkeypatch.setattr("sys.argv", ["recipes.py", *words])
        assert recipes.main() == 0
        return json.loads((tmp_path / "out.json").read_text())

    monkeypatch.setattr(recipes.shared, "train", train)
    monkeypatch.setattr(recipes, "enable_compilation_cache", lambda: None)
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    monkeypatch.setattr(recipe_arms, "ARMS", TINY)
    monkeypatch.setattr(recipe_tables, "ORDER", [*TINY, recipe_tables.TORCH])
    run.trained = trained
    return run


@pytest.fixture(scope="module")
def judge(npz):
    return recipe_judge.open_judge(
        f"npz:{npz}/mnist.npz", 100, npz / "jaxgan/classifiers"
    )


def test_values_are_those_of_evaluate_and_a_second_call_trains_nothing(
    program, monkeypatch, npz
):
    flags = ("--arms=mine", "--seeds=2", "--runs=2", "--curve=mine")
    found = program(*flags)
    (folder, trained), rows = program.trained[0], found["rows"]
    assert (trained["runs"], trained["steps"]) == (2, 9)
    assert [row["seed"] for row in rows] == [0, 1]
    assert "npz:" not in json.dumps(found)
    # The curve ends where the rows are.
    assert [p["step"] for p in found["points"][:5]] == [2, 4, 6, 8, 9]
    assert found["points"][4]["values"]["fd"] == rows[0]["values"]["fd"]

    metrics = "--metrics=fd(classifier)|precision_recall(classifier)"
    monkeypatch.setenv("XDG_CACHE_HOME", str(npz))
    assert evaluate.main([f"--workdir={folder}", metrics, "--n=100"]) == 0
    report = json.loads((folder / "evaluation.json").read_text())
    of_judge = found["sets"]["mnist"]
    digest = report["protocol"]["extractors"]["classifier"]["digest"]
    assert of_judge["protocol"]["classifier"]["digest"] == digest
    for name in ("fd", "precision", "recall"):
        want = report["metrics"][f"{name}_classifier"]
        got = [row["values"][name] for row in rows]
        assert np.mean(got) == pytest.approx(want["value"], rel=1e-4)
        assert of_judge["floor"][name] == pytest.approx(want["floor"], rel=1e-4)

    # Another call of the same flags has nothing to do, and one with more seeds has.
    assert program(*flags) == found
    assert len(program.trained) == 1
    asked = []
    monkeypatch.setattr(recipes.Program, "train", lambda _, task: asked.append(task))
    monkeypatch.setattr(recipes.Program, "score", lambda *_: None)
    program(*flags, "--seeds=3")
    assert asked == [recipes.Task("mine", "mnist", range(2, 3))]
    with pytest.raises(SystemExit, match="use another --out"):
        program(*flags, n=50)


def test_labels_of_conditional_arms(program):
    found = program("--arms=ours", "--seeds=1", "--jobs=2", "--curve=")
    assert found["points"] == []
    assert 0 <= found["rows"][0]["values"]["as_requested"] <= 1


def test_one_arm_that_fails_does_not_stop_the_others(program, monkeypatch, capsys):
    scored, limits = [], []

    def fail_first(folder, flags, minutes):
        limits.append(minutes)
        if flags["seed"] == 0:
            raise SystemExit("exit code 1: no")

    monkeypatch.setattr(recipes.shared, "train", fail_first)
    monkeypatch.setattr(
        recipes.Program, "score", lambda _, task: scored.append(list(task.seeds))
    )
    with pytest.raises(AssertionError, match="assert 1 == 0"):
        program("--arms=mine", "--seeds=2", "--curve=", "--limit=2")
    assert "exit code 1: no" in capsys.readouterr().err
    assert scored == [[1]]
    assert limits == [2, 2]


def test_samples_of_another_program_get_the_same_values(program, tmp_path, npz):
    """Real test images as samples: everything is found."""
    with np.load(npz / "mnist.npz") as arrays:
        images = arrays["test_image"][:100]
    folder = tmp_path / "torch" / "mnist" / "0"
    folder.mkdir(parents=True)
    for step in (5, 10):
        facts = {"step": step, "steps_per_second": 2.0}
        np.savez(folder / f"{step:08}.npz", samples=images, **facts)
    found = program("--arms=none", f"--torch={tmp_path}/torch")
    assert [point["seconds"] for point in found["points"]] == [2.5, 5.0]
    (row,) = found["rows"]
    assert row["arm"] == recipe_tables.TORCH
    assert row["values"]["precision"] > 0.9
    assert row["values"]["confident"] > 0.9
    # A second call adds nothing.
    again = program("--arms=none", f"--torch={tmp_path}/torch")
    assert len(again["rows"]) == 1


def test_values_know_what_is_worse(judge):
    real = judge.real
    perfect = judge.values(real)
    assert perfect["fd"] == pytest.approx(0, abs=1e-6)
    assert (perfect["precision"], perfect["recall"], perfect["classes"]) == (1, 1, 3)
    few = Features(*(np.resize(x[:5], x.shape) for x in real[:2]))
    poor = judge.values(few)
    assert poor["fd"] > 10 * recipe_judge.floor_of(judge)["fd"]
    assert poor["recall"] < 0.3 < poor["precision"]
    right = np.asarray(real.probabilities).argmax(1)
    assert judge.values(real._replace(labels=right))["as_requested"] == 1
    wrong = judge.values(real._replace(labels=(right + 1) % 3))
    assert wrong["as_requested"] == 0


def test_steps_of_a_file_of_rates(tmp_path, monkeypatch):
    rates = iter([recipe_arms.Rate(20.0, 12.0), recipe_arms.Rate(3.0, 6.0)])
    monkeypatch.setattr(recipe_arms, "measure", lambda *_: next(rates))
    monkeypatch.setattr(recipe_arms, "ARMS", TINY)
    out = tmp_path / "steps.json"
    recipe_arms.calibrate(["mine"], "mnist", 1, out)
    recipe_arms.calibrate(["mine", "ours"], "mnist", 1, out)  # measures one more
    machine, found = recipe_arms.read_rates(out)
    assert machine == recipe_arms.machine()
    assert recipe_arms.steps_in(found["mine"], 10) == 20 * (600 - 12) - 10
    assert recipe_arms.steps_in(found["ours"], 1) == 3 * (60 - 6)
    assert recipe_arms.steps_in(found["ours"], 0.01) == 1
    out.write_text(json.dumps({"machine": "another", "rates": {}}))
    with pytest.raises(SystemExit, match="another machine"):
        recipe_arms.calibrate(["mine"], "mnist", 1, out)


def test_the_rate_is_that_after_compilation(monkeypatch):
    """Fifteen seconds more than asked for; too few steps get twice the time."""
    rows = {
        25: [{"step": 0}, {"step": 10, "steps_per_second": 5.0}],
        50: [{"step": 0}, {"step": 150, "steps_per_second": 5.0}, {"step": 150}],
    }
    asked = []

    def train(wait, flags):
        asked.append(wait)
        return rows[wait]

    monkeypatch.setattr(recipe_arms, "trained_for", train)
    rate = recipe_arms.measure({"dataset": "mnist"}, 10)
    assert asked == [25, 50]
    assert rate == recipe_arms.Rate(5.0, 50 - 150 / 5)


def results():
    """Two seeds of one arm, one of another, at a floor of 2."""
    values = {"confident": 0.9, "classes": 10, "precision": 0.8, "recall": 0.7}
    more = {"dataset": "mnist", "steps": 1200}
    rows = [
        {"arm": "sngan", "seed": 0, "values": {"fd": 6.0, **values}, **more},
        {"arm": "default", "seed": 0, "values": {"fd": 3.0, **values}, **more},
        {"arm": "default", "seed": 1, "values": {"fd": 5.0, **values}, **more},
    ]
    points = [
        {"arm": "default", "seed": s, "seconds": t, "step": t, **more}
        | {"values": {"fd": 60 / t}}
        for s in (0, 1)
        for t in (30, 15)
    ]
    facts = {"n_real": 10, "n_fake": 10, "split": "test"}
    facts["classifier"] = {"digest": "d1", "layer": "last", "accuracy": 0.99}
    facts["classifier"]["tested"] = 10
    sets = {"mnist": {"protocol": facts, "floor": {"fd": 2.0, **values}}}
    budget = {"steps": None, "minutes": 10, "counted_on": "a CPU", "n": 10}
    return {"budget": budget, "sets": sets, "rows": rows, "points": points}


def test_parts_are_joined(tmp_path, monkeypatch):
    """One file for each seed of an arm, twice, gives each row once."""
    whole = results()
    for i, (row, own) in enumerate(zip(whole["rows"], [0, 1, 2], strict=True)):
        part = {**whole, "rows": [row], "points": whole["points"][own : own + 2]}
        (tmp_path / f"{i}.json").write_text(json.dumps(part))
    parts = [f"{tmp_path}/{i}.json" for i in range(3)]
    words = ["recipes.py", f"--out={tmp_path}/out.json", "--merge"]
    monkeypatch.setattr("sys.argv", [*words, *parts])
    for _ in range(2):
        assert recipes.main() == 0
        assert json.loads((tmp_path / "out.json").read_text()) == whole

    other = json.loads(json.dumps(whole))
    other["sets"]["mnist"]["protocol"]["classifier"]["digest"] = "d2"
    (tmp_path / "2.json").write_text(json.dumps(other))
    with pytest.raises(SystemExit, match=r"of the classifier d1 on mnist, and .* d2"):
        recipes.main()
    (tmp_path / "2.json").write_text(json.dumps({**whole, "budget": {"n": 1}}))
    with pytest.raises(SystemExit, match="merge files of one budget"):
        recipes.main()
    monkeypatch.setattr("sys.argv", [*words, f"{tmp_path}/none.json"])
    with pytest.raises(SystemExit, match="there is no file"):
        recipes.main()


def test_one_seed_of_several(program, monkeypatch):
    asked = []
    monkeypatch.setattr(recipes.Program, "train", lambda _, task: asked.append(task))
    monkeypatch.setattr(recipes.Program, "score", lambda *_: None)
    with pytest.raises(FileNotFoundError):  # nothing was scored
        program("--arms=mine", "--first_seed=2", "--seeds=3", "--runs=2")
    assert [list(task.seeds) for task in asked] == [[2, 3], [4]]


def test_the_machine_has_the_precision_of_products():
    plain = recipe_arms.machine()
    assert "precision" not in plain
    with jax.default_matmul_precision("highest"):
        assert recipe_arms.machine() == f"{plain}, products in highest precision"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_the_machine_has_the_cores_of_a_pinned_process():
    usable = os.sched_getaffinity(0)
    if len(usable) == 1:
        pytest.skip("needs two cores")
    os.sched_setaffinity(0, {min(usable)})
    try:
        assert f"1 of {os.cpu_count()} cores" in recipe_arms.machine()
    finally:
        os.sched_setaffinity(0, usable)


def test_seeds_of_a_pair_of_networks_are_joined():
    facts = {"budget": {"n": 10}, "protocol": {"classifier": "d1"}, "floor": {"fd": 1}}

    def part(pair, fd):
        row = {"pair": pair, "parameters": [7, 8], "values": [{"fd": fd}]}
        return {**facts, "rows": [row]}

    parts = [part("sagan", 4.0), part("mlp", 5.0), part("sagan", 6.0)]
    found = functools.reduce(networks.joined, parts, {})
    pairs = {row["pair"]: [x["fd"] for x in row["values"]] for row in found["rows"]}
    assert list(pairs.items()) == [("mlp", [5.0]), ("sagan", [4.0, 6.0])]
    assert found["floor"] == {"fd": 1}
    with pytest.raises(SystemExit, match="--merge: results of"):
        networks.joined(found, {**parts[0], "budget": {"n": 20}})
    flags = networks.flags_of("small", "mnist", 3_200, 1, seed=2)
    assert (flags["seed"], flags["steps"]) == (2, 100)


def test_table_of_known_results():
    _, _, floor, default, sngan = recipe_tables.table_of(results(), "mnist")
    assert floor.startswith("| *training images* |  | 2.00 |  | 1.00 x | 90.0 | 10 |")
    assert default.startswith(
        "| default | 1,200 | 4.00 ± 1.41 | 3.00, 5.00 | 2.00 x | 90.0 ± 0.0 | 10 | "
        "0.800 ± 0.000 | 0.700 ± 0.000 |"
    )
    assert sngan.startswith("| sngan | 1,200 | 6.00 |  | 3.00 x | 90.0 | 10 |")
    both = results()
    both["sets"]["mnist"]["floor"]["fd_efficientnet"] = 30.0
    for row, value in zip(both["rows"], (70.0, 40.0, 50.0), strict=True):
        row["values"] = {**row["values"], "fd_efficientnet": value}
    head, _, *rows = recipe_tables.table_of(both, "mnist")
    assert head.endswith(" | as asked % | Frechet, EfficientNet |")
    assert [row.split(" | ")[-1] for row in rows] == [
        "30.0 |",
        "45.0 ± 7.1 |",
        "70.0 |",
    ]
    (text,) = recipe_tables.protocol_of(results(), "mnist")
    assert "the steps of 10 minutes on a CPU" in text


def test_pictures(tmp_path):
    found = results()
    (first, _) = recipe_tables.seeds_of(found, "mnist", "default")
    assert [point["seconds"] for point in first] == [15, 30]
    recipe_tables.draw_arms(tmp_path / "arms.png", found)
    recipe_tables.draw_curves(tmp_path / "curves.png", found)
    for name in ("arms.png", "curves.png"):
        assert 2_000 < (tmp_path / name).stat().st_size < 40_000


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--arms=mlp,mpl"], "there is no mpl"),
        (["--runs=3"], "use --steps_file"),
        (["--add=wide networks=small(24)"], "write 'name: flag=value"),
        (["--add=dcgan: networks=dcgan(8)"], "there is an arm dcgan already"),
    ],
)
def test_wrong_flags(monkeypatch, capsys, flags, message):
    monkeypatch.setattr("sys.argv", ["recipes.py", *flags])
    with pytest.raises(SystemExit) as error:
        recipes.main()
    assert message in capsys.readouterr().err + str(error.value)


def test_an_arm_of_ones_own(monkeypatch):
    monkeypatch.setattr(recipe_arms, "ABLATIONS", {})
    words = ["--arms=dcgan", "--add=wide: networks='small(24)' d_terms='r1(2)|r2(2)'"]
    monkeypatch.setattr("sys.argv", ["recipes.py", *words])
    assert recipes.parse().arms == "dcgan,wide"
    monkeypatch.setattr(recipe_arms, "ABLATIONS", {"plain": {"loss": "hinge"}})
    monkeypatch.setattr("sys.argv", ["recipes.py", "--ablations", *words])
    assert recipes.parse().arms == "dcgan,plain,wide"
    flags = recipe_arms.flags_of("wide")
    assert flags == {"networks": "small(24)", "d_terms": "r1(2)|r2(2)"}
    found = results()
    found["rows"] = [{"arm": name} for name in ("wide", "sngan", "wide", "default")]
    assert recipe_tables.names_of(found) == ["default", "sngan", "wide"]


@pytest.mark.parametrize("module", [recipes, recipe_arms, recipe_tables])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def test_every_arm_is_a_valid_run():
    for arm in (*recipe_arms.ARMS, *recipe_arms.ABLATIONS):
        jaxgan.make_config(dataset="mnist", **recipe_arms.flags_of(arm))
