"""The main job from the command line: train, resume, stop, and refuse."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import plain_train
import pytest
from games import same
from PIL import Image
from slow import SLOW, slow

from jaxgan import sample, train
from jaxgan.config.earlier_presets import earlier_flags
from jaxgan.config.resolve import make_config, to_dict
from jaxgan.config.training import ADAM
from jaxgan.evaluation import previews
from jaxgan.experiment import checkpoint
from jaxgan.training import hooks
from jaxgan.types import image_example

TINY = {
    "networks": "small(4)",
    "task": "generate(4)",
    "batch_size": 8,
    "devices": 1,
    "samples": 4,
    "score_samples": 16,
    "log_every": 5,
    "sample_every": 10,
    "save_every": 10,
}


def argv(pictures, workdir, steps, **other):
    given = {**TINY, **other, "dataset": f"npz:{pictures}", "workdir": workdir}
    return [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in {**given, "steps": steps}.items()
    ]


def run(pictures, workdir, steps, **other):
    assert train.main(argv(pictures, workdir, steps, **other)) == 0
    return Path(workdir)


def lines(workdir):
    text = (workdir / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def values(workdir):
    """The rows of metrics without those values that depend on the clock."""
    clock = ("seconds", "per_second", "performance/")
    return [
        {k: v for k, v in line.items() if not any(c in k for c in clock)}
        for line in lines(workdir)
    ]


def state_of(workdir, step):
    """The arrays of a checkpoint, by path."""
    folder = workdir / "checkpoints"
    config = json.loads((workdir / "config.json").read_text())
    data = json.loads((workdir / "data.json").read_text())
    from jaxgan.config.resolve import make_config
    from jaxgan.gan import builder

    game = builder.build_gan(
        make_config(**config), image_example(data["shape"], classes=2)
    )
    template = jax.eval_shape(game.init, jax.random.key(0))
    return jax.device_get(checkpoint.restore(folder, template, which=step)[0])


def test_a_run_leaves_what_it_promises(finished):
    config = json.loads((finished / "config.json").read_text())
    assert (config["batch_size"], config["steps"]) == (8, 20)
    steps = [line["step"] for line in lines(finished) if "generator/loss" in line]
    assert steps == [5, 10, 15, 20]
    assert checkpoint.available(finished / "checkpoints") == [10, 20]
    pictures = sorted(p.name for p in (finished / "samples").glob("*.png"))
    assert len(pictures) == 3  # steps 0, 10, 20
    for name in ("progress.png", "losses.png", *(f"samples/{p}" for p in pictures)):
        with Image.open(finished / name) as picture:
            assert min(picture.size) > 8
    assert list(finished.rglob("events.out.tfevents*"))


def test_resume_is_exact(pictures, finished, tmp_path):
    # 50 // 8 = 6 steps an epoch: both halves cross epochs
    run(pictures, tmp_path / "halves", 10)
    halves = run(pictures, tmp_path / "halves", 20)
    same(state_of(finished, 20), state_of(halves, 20))
    assert values(halves) == values(finished)


def test_a_hook_is_left_out_of_the_speed_where_it_is_compiled(
    pictures, finished, tmp_path, monkeypatch
):
    """At step 0 of a new run, and at the first use in a resumed one."""
    spent: list[str] = []

    def told(owner, method):
        call = getattr(owner, method)

        def recorded(self, *args):
            spent.append(method)
            return call(self, *args)

        monkeypatch.setattr(owner, method, recorded)

    for owner, method in (
        (hooks.Previews, "picture"),
        (hooks.Evaluation, "evaluate"),
        (hooks.Monitor, "measure"),
        (hooks.reporting.MetricWriter, "leave_out"),
    ):
        told(owner, method)
    workdir = run(pictures, tmp_path / "half", 10)
    first = ["picture", "leave_out", "evaluate", "leave_out", "measure", "leave_out"]
    assert spent[:6] == first
    assert spent.count("leave_out") == 3
    spent.clear()
    run(pictures, workdir, 20)
    # Rows of steps 15 and 20, then samples and a checkpoint.
    assert spent == ["measure", "leave_out", "measure", *first[:4]]


def test_the_first_state_is_logged_after_the_first_call(
    pictures, finished, tmp_path, monkeypatch
):
    step_0 = "samples/step_00000000.png"
    made, picture = [], previews.Previews.picture

    def counted(self, variables):
        made.append(1)
        return picture(self, variables)

    monkeypatch.setattr(previews.Previews, "picture", counted)
    # too large to keep a copy: logged before the first call
    with monkeypatch.context() as patch:
        patch.setattr(hooks, "KEPT_BYTES", 0)
        before = run(pictures, tmp_path / "before", 10)
    assert values(before) == [x for x in values(finished) if x["step"] <= 10]
    assert (before / step_0).read_bytes() == (finished / step_0).read_bytes()
    assert len(made) == 2  # at 0 and 10
    # a resumed run draws none before its steps
    run(pictures, before, 15, sample_every=1000)
    assert len(made) == 3


def test_a_hundred_steps_are_fifty_and_fifty(pictures, tmp_path):
    given = {"save_every": 50, "log_every": 10}
    whole = run(pictures, tmp_path / "whole", 100, **given)
    run(pictures, tmp_path / "halves", 50, **given)
    halves = run(pictures, tmp_path / "halves", 100, **given)
    same(state_of(whole, 100), state_of(halves, 100))
    assert values(whole) == values(halves)


def test_resume_between_marks_is_exact(pictures, finished, tmp_path):
    run(pictures, tmp_path / "thirds", 7)
    thirds = run(pictures, tmp_path / "thirds", 20)
    same(state_of(finished, 20), state_of(thirds, 20))


def test_a_run_that_is_stopped_at_once_repeats_no_line(pictures, finished, tmp_path):
    """Stopped before its first step and at a step that was saved, twice each."""
    folder, now = tmp_path / "run", 1e-9
    for _ in range(2):
        assert train.main(argv(pictures, folder, 20, max_minutes=now)) == 75
    run(pictures, folder, 10)
    for _ in range(2):
        assert train.main(argv(pictures, folder, 20, max_minutes=now)) == 75
    run(pictures, folder, 20)
    assert values(folder) == values(finished)


def test_what_was_told_before_the_first_checkpoint_is_told_anew(
    pictures, finished, tmp_path
):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "checkpoints")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 25, "gen')
    run(pictures, folder, 20)
    assert values(folder) == values(finished)


@pytest.mark.parametrize(
    "other", [{"input": "host"}, {"steps_per_call": 3}], ids=["host", "three"]
)
def test_ways_to_run_the_same_steps(pictures, finished, tmp_path, other):
    there = run(pictures, tmp_path / "other", 20, **other)
    a, b = state_of(finished, 20), state_of(there, 20)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-3), a, b)
    assert int(a.step) == int(b.step) == 20


def test_two_devices_train_what_one_trains(pictures, finished, tmp_path):
    other = run(pictures, tmp_path / "two", 20, devices=2)
    a, b = state_of(finished, 20), state_of(other, 20)
    # Adam divides by the root of small second moments: 1e-6 becomes 1e-3
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=5e-3), a, b)


def test_a_finished_run_has_nothing_left_to_do(pictures, finished, capfd):
    before = (finished / "metrics.jsonl").read_text()
    run(pictures, finished, 20)
    assert (finished / "metrics.jsonl").read_text() == before


def test_another_config_in_the_workdir_is_refused(pictures, finished, capsys):
    before = sorted(p.name for p in finished.rglob("*"))
    code = train.main(argv(pictures, finished, 20, seed=1, batch_size=16))
    said = capsys.readouterr().err
    assert code == 2
    assert "seed" in said
    assert "batch_size" in said
    assert "--workdir" in said
    assert sorted(p.name for p in finished.rglob("*")) == before


def test_every_seed_has_keys_of_its_own():
    from jaxgan.experiment.keys import seed_keys

    def data(*given):
        return [tuple(jax.random.key_data(key).tolist()) for key in seed_keys(*given)]

    assert data(3) == data(3)
    every = [*data(0), *data(1), *data(2**31), *data(1, 1)[:2], *data(1, 2)[:2]]
    assert len(set(every)) == len(every)
    assert data(1, 1)[2] == data(1)[2]  # of the previews, also after a rollback


def test_a_run_of_version_0_1_0_goes_on_as_it_began(pictures, tmp_path, capsys, caplog):
    """Its preset's flags are those of its config.json; other differences are none."""
    own = {"preset": "mlp-small", "task": "generate(100)", "workdir": tmp_path}
    begun = {
        "g_latents": "same",
        "networks": "mlp((256,), (256,), d_activation='relu')",
    }

    def ends(steps, **more):
        said = {**TINY, "dataset": f"npz:{pictures}", **own, **more, "steps": steps}
        del said["networks"]  # TINY's
        said |= {"networks": more["networks"]} if "networks" in more else {}
        return train.main([f"--{name}={value}" for name, value in said.items()])

    assert ends(2, **begun) == 0
    config = json.loads((tmp_path / "config.json").read_text())
    assert ends(4) == 0
    assert "as the run was started: --g_latents=same --networks=" in caplog.text
    assert json.loads((tmp_path / "config.json").read_text()) == {**config, "steps": 4}
    assert [line["step"] for line in lines(tmp_path)][-1] == 4
    capsys.readouterr()
    assert ends(5, networks="mlp((8,), (8,))") == 2
    assert "networks is" in capsys.readouterr().err


@pytest.mark.parametrize("preset", ["conditional", "specgan"])
def test_a_run_of_an_earlier_preset_goes_on_as_it_began(preset):
    rates = "2e-3" if preset == "conditional" else "1e-3"
    optimizer = f"adam(cosine({rates}, 1e-5, 12000), b1=0.0, b2=0.99)"
    changed = {"g_optimizer": optimizer, "d_optimizer": optimizer, "steps": 12_000}
    if preset == "conditional":
        changed["loss"] = "relativistic"
    now = to_dict(make_config(preset=preset))
    begun = {**now, **changed}
    assert earlier_flags(now, begun) == changed
    # The steps of a run may be changed, and those of the user stay.
    longer = earlier_flags({**now, "steps": 20_000}, begun)
    assert longer == {k: v for k, v in changed.items() if k != "steps"}
    assert not earlier_flags(now, now)
    assert not earlier_flags(now, {**now, "steps": 12_000})
    # So do all other flags that the user sets, now or when the run was begun.
    own = {"g_optimizer": "sgd(1)"}
    others = {k: v for k, v in changed.items() if k not in own}
    assert earlier_flags({**now, **own}, begun) == others
    assert earlier_flags({**now, **own}, {**begun, **own}) == others


@pytest.mark.parametrize(
    ("preset", "begun"),
    [
        *[
            (preset, {flag: "adam(2e-3, b1=0.0, b2=0.99)"})
            for preset in ("default", "acgan", "infogan")
            for flag in ("g_optimizer", "d_optimizer")
        ],
        ("projection", {"g_optimizer": ADAM}),
        ("projection", {"d_optimizer": ADAM}),
        *[
            (preset, {flag: f"adam(cosine({rates}, {steps}), {more})"})
            for flag in ("g_optimizer", "d_optimizer")
            for preset, rates, steps, more in [
                ("toy", "2e-3, 1e-5", 8000, "b1=0.0, b2=0.99"),
                ("toy-grid", "2e-3, 1e-5", 8000, "b1=0.0, b2=0.99"),
                ("stacked", "2e-3, 1e-5", 12000, "b1=0.0, b2=0.99"),
                ("conditional", "2e-3, 1e-5", 8000, "b1=0.0, b2=0.99"),
                ("wavegan", "1e-3, 1e-5", 12000, "b1=0.0, b2=0.99"),
                (
                    *("attributes", "2e-3, 1e-5", 12000),
                    "b1=0.0, b2=0.99, clipping_threshold=1",
                ),
                (
                    *("specgan", "1e-3, 1e-5", 1800),
                    "b1=0.0, b2=0.99, clipping_threshold=1",
                ),
            ]
        ],
        (
            "vocoder",
            {"d_optimizer": "adam(cosine(5e-4, 1e-4, 1500), b1=0.8, b2=0.99)"},
        ),
        ("alice", {"g_optimizer": "adam(cosine(1e-3, 1e-5, 600), b1=0.5, b2=0.99)"}),
        ("language_model", {"g_optimizer": "adam(cosine(3e-3, 1e-4, 4000))"}),
    ],
)
def test_each_flag_of_an_earlier_preset_stays_that_of_its_runs(preset, begun):
    """Other updates were clipped, and rates fell in so many steps."""
    now = to_dict(make_config(preset=preset))
    ((flag, value),) = begun.items()
    today = re.sub(r", \d+\)", ", steps)", value)
    if value == "adam(2e-3, b1=0.0, b2=0.99)":
        today = ADAM
    elif value == ADAM:
        today = "adam(2e-3, b1=0.0, b2=0.99)"
    assert now[flag] == today
    assert earlier_flags(now, {**now, **begun}) == begun
    # Of a run with other networks and steps too, but not if the user says otherwise.
    own = {"networks": "small(8)", "steps": 9}
    assert earlier_flags({**now, **own}, {**now, **begun, **own}) == begun
    assert not earlier_flags({**now, flag: "another(3)"}, {**now, **begun})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"batch_size": 51}, "--batch_size"),
        ({"loss": "hingee"}, "--loss: no name 'hingee': did you mean 'hinge'"),
        ({"networks": "small(width=-1)"}, "--networks"),
        ({"task": "generat(4)"}, "--task"),
        ({"d_terms": "r1(1)|r3(1)"}, "--d_terms: no name 'r3'"),
        ({"d_optimizer": "adamm(1)"}, "--d_optimizer: no name 'adamm'"),
        ({"devices": 3}, "--batch_size=8 does not divide over 3 devices"),
        ({"devices": 99}, "--devices=99: there are 8"),
        ({"input": "disk"}, "--input=disk: choose auto, device or host"),
        ({"steps_per_call": 7}, "--steps_per_call=7 is more than the 6 steps"),
        ({"log_every": 0}, "--log_every=0"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    pictures, tmp_path, capsys, other, message
):
    code = train.main(argv(pictures, tmp_path / "new", 20, **other))
    said = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert code == 2
    assert len(said) == 1
    assert message in said[0]
    assert not (tmp_path / "new").exists()


def test_a_run_that_diverges_names_step_term_and_checkpoint(pictures, tmp_path, capsys):
    # the rate is 1e-3 in the first step and 8e28 in the second
    flags = {"g_optimizer": "sgd(linear(1e-3, 1e30, 12))", "save_every": 1}
    code = train.main(argv(pictures, tmp_path / "run", 20, **flags))
    [said] = [x for x in capsys.readouterr().err.splitlines() if "error" in x]
    assert code == 1
    assert "generator/param_norm is not finite at step 2" in said
    assert "the last good checkpoint is 1, in" in said
    assert checkpoint.available(tmp_path / "run" / "checkpoints") == [1]


def start(pictures, workdir, steps, **other):
    """The program in a process of its own."""
    return subprocess.Popen(
        [
            sys.executable,
            plain_train.__file__,
            *argv(pictures, workdir, steps, **other),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def wait_for_step(workdir, step, process):
    """Until the metrics reach a step."""
    for _ in range(600):
        path = Path(workdir, "metrics.jsonl")
        if path.exists() and any(
            json.loads(x)["step"] >= step for x in path.read_text().splitlines()[:-1]
        ):
            return
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    raise AssertionError("no such step in a minute")


def wait_for_save(workdir, step, process):
    """Until there is a checkpoint of a later step."""
    for _ in range(600):
        if max(checkpoint.available(workdir / "checkpoints"), default=0) > step:
            return
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    raise AssertionError("no later checkpoint in a minute")


@pytest.mark.parametrize("number", [slow(signal.SIGTERM), signal.SIGINT])
def test_a_signal_saves_and_the_same_command_resumes(pictures, tmp_path, number):
    process = start(pictures, tmp_path / "run", 1_000_000, save_every=1_000_000)
    wait_for_step(tmp_path / "run", 10, process)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert "the same command resumes" in said
    assert "Traceback" not in said
    [step] = checkpoint.available(tmp_path / "run" / "checkpoints")
    assert step >= 10
    again = run(pictures, tmp_path / "run", step + 5)
    whole = run(pictures, tmp_path / "whole", step + 5)
    same(state_of(again, step + 5), state_of(whole, step + 5))


def test_minutes_that_are_over_save_and_ask_to_be_started_again(pictures, tmp_path):
    flags = argv(pictures, tmp_path / "run", 1_000_000, max_minutes=0.05)
    assert train.main(flags) == 75
    step = max(checkpoint.available(tmp_path / "run" / "checkpoints"))
    again = run(pictures, tmp_path / "run", step + 5)
    whole = run(pictures, tmp_path / "whole", step + 5)
    same(state_of(again, step + 5), state_of(whole, step + 5))


def test_a_batch_per_device_is_so_many_times_larger_in_all(pictures, tmp_path, capsys):
    given = {"devices": 4, "parallel": "mesh"}
    each = run(pictures, tmp_path / "each", 6, **given, batch_per_device=2)
    whole = run(pictures, tmp_path / "whole", 6, **given, batch_size=8)
    same(state_of(each, 6), state_of(whole, 6))
    assert train.main(argv(pictures, tmp_path / "x", 6, batch_per_device=-1)) == 2
    assert "--batch_per_device=-1: must be at least 0" in capsys.readouterr().err
    assert train.main(argv(pictures, each, 9, **given, batch_per_device=4)) == 2
    assert "batch_size is 8 in the run and 16 now" in capsys.readouterr().err


def test_kills_lose_nothing_that_was_saved(pictures, tmp_path):
    rng, workdir, saved = random.Random(0), tmp_path / "run", 0
    kills = 10 if SLOW else 4
    for i in range(kills):
        process = start(pictures, workdir, 1_000_000, save_every=5, log_every=1)
        if i % 2:  # between two saves, on however slow a machine
            wait_for_save(workdir, saved, process)
            time.sleep(rng.uniform(0.0, 1.0))
        else:  # while starting too
            time.sleep(rng.uniform(1.0, 8.0 if SLOW else 4.0))
        process.kill()
        said, _ = process.communicate(timeout=60)
        assert "error" not in said.lower(), said
        steps = checkpoint.available(workdir / "checkpoints")
        newest = max(steps, default=0)
        assert newest >= saved
        saved = newest
    assert saved >= kills // 2 * 5
    end = saved + 3
    run(pictures, workdir, end, save_every=5, log_every=1)
    whole = run(pictures, tmp_path / "whole", end, save_every=5, log_every=1)
    same(state_of(workdir, end), state_of(whole, end))
    assert values(workdir) == values(whole)


@pytest.mark.parametrize("devices", [1, 2])
def test_a_dry_run_tells_what_would_run_and_writes_nothing(
    pictures, tmp_path, capsys, devices
):
    flags = argv(pictures, tmp_path / "new", 20, devices=devices)
    assert train.main([*flags, "--dry_run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"devices={devices}" in said
    for start in ("generator: ", "discriminator: ", "memory, total", "compute: "):
        [line] = [x for x in said if x.startswith(start)]
        assert float(line.split()[-2 if "compute" not in start else 1].replace(",", ""))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("dataset", ["ring8", "npz"])
def test_vectors_train_too(tmp_path, dataset):
    path = tmp_path / "points.npz"
    np.savez(path, x=np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32))
    given = {
        "dataset": "ring8" if dataset == "ring8" else f"npz:{path}",
        "preset": "toy",
        "networks": "mlp((8,), (8,))",
        "workdir": tmp_path / "run",
        "steps": 4,
        "batch_size": 16,
        "devices": 1,
        "samples": 8,
    }
    assert train.main([f"--{k}={v}" for k, v in given.items()]) == 0
    assert (tmp_path / "run" / "progress.png").exists()


def test_a_folder_of_wide_colour_pictures_trains(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 256, (12, 20, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / label / f"{i}.png")
    given = {**TINY, "dataset": f"folder:{tmp_path / 'pets'}", "steps": 2}
    given |= {"workdir": tmp_path / "run", "input": "host", "image_size": "10x16"}
    assert train.main([f"--{k}={v}" for k, v in given.items()]) == 0
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert (data["shape"], data["classes"]) == ([10, 16, 3], ["cat", "dog"])


def test_home_is_one_place_for_training_and_sampling(pictures, tmp_path, monkeypatch):
    home, here, there = (tmp_path / name for name in ("home", "here", "there"))
    for folder in (home, here, there):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    assert train.main(argv(pictures, "~/run", 3)) == 0
    monkeypatch.chdir(there)
    assert train.main(argv(pictures, "~/run", 5)) == 0
    assert sample.main(["--workdir=~/run", "--out=~/x.png", "--n=2"]) == 0
    assert not [*here.iterdir(), *there.iterdir()]
    assert {x.name for x in home.iterdir()} == {"run", "x.png"}
    assert checkpoint.available(home / "run" / "checkpoints") == [3, 5]
    assert {"config.json", "metrics.jsonl", "progress.png"} <= {
        x.name for x in (home / "run").iterdir()
    }
    steps = [line["step"] for line in lines(home / "run") if "generator/loss" in line]
    assert steps == [3, 5]


def test_a_relative_workdir_stays_where_it_was(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train.main(argv(pictures, "./~/run", 2)) == 0
    assert checkpoint.available(tmp_path / "~" / "run" / "checkpoints") == [2]
    (tmp_path / "~" / "run" / "samples" / "step_\u00b2.png").write_text("")
    assert train.main(argv(pictures, "./~/run", 4)) == 0
    assert checkpoint.available(tmp_path / "~" / "run" / "checkpoints") == [2, 4]
