"""Flags: defaults, presets, and what is said of bad ones."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest

from jaxgan.augment import AUGMENTATIONS, PROBABILITIES
from jaxgan.config import resolve
from jaxgan.config.flags import flag_name
from jaxgan.config.foreign import SAMPLING, TRAINING
from jaxgan.config.presets import PRESETS
from jaxgan.config.training import RESUMABLE, Config
from jaxgan.errors import UsageError
from jaxgan.losses import REGULARIZERS
from jaxgan.losses.adversarial import LOSSES
from jaxgan.networks import NETWORKS, WRAPPERS
from jaxgan.schedules import SCHEDULES
from jaxgan.tasks import TASKS


def test_the_command_line_wins_over_the_preset_over_the_defaults():
    got = resolve.parse_args(["--preset=wgan", "--batch_size=32"])
    assert (got.loss, got.batch_size, got.steps) == ("wasserstein", 32, 12_000)
    assert resolve.parse_args([]) == resolve.make_config()


def test_a_data_set_has_its_preset():
    assert resolve.make_config(dataset="ring8").preset == "toy"
    assert resolve.make_config(dataset="mnist").preset == "default"
    assert resolve.make_config(dataset="ring8", preset="mlp").preset == "mlp"


def test_the_workdir_is_named_after_data_and_preset():
    assert resolve.make_config().workdir == "runs/mnist-default"
    assert (
        resolve.make_config(dataset="folder:my/cats").workdir
        == "runs/folder-my-cats-default"
    )
    assert resolve.make_config(workdir="here").workdir == "here"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_flags(name):
    fields = {f.name for f in dataclasses.fields(Config)}
    assert set(PRESETS[name]) <= fields


def test_flags_round_trip():
    made = resolve.make_config(preset="dcgan", steps=7)
    assert resolve.make_config(**resolve.to_dict(made)) == made


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--stepz=5"], "no flag --stepz: did you mean --steps?"),
        (["--xyzzy"], "no flag --xyzzy: see --help"),
        (
            ["--steps=five"],
            "argument --steps: 'five' is not a whole number, such as 12000",
        ),
        (["--steps=-5"], "--steps=-5: must be at least 1, such as --steps=12000"),
        (["--batch_size=0"], "--batch_size=0: must be at least 1"),
        (["--seed=-1"], "--seed=-1: must be at least 0"),
        (["--ema_half_life=nan"], "--ema_half_life=nan: must be at least 0"),
        (["--preset=dcgen"], "--preset: no preset 'dcgen': did you mean 'dcgan'?"),
        (["--steps"], "argument --steps: expected one argument"),
    ],
)
def test_bad_flags_are_one_line(argv, message):
    with pytest.raises(UsageError) as error:
        resolve.parse_args(argv)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_help_groups_every_flag_with_its_default(capsys):
    with pytest.raises(SystemExit) as stop:
        resolve.parse_args(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(Config):
        assert flag_name(field) in text
    for group in (
        "data:",
        "model:",
        "optimization:",
        "run:",
        "logging:",
        "distributed:",
    ):
        assert group in text
    assert "(default: 12000)" in text


def test_help_names_all_there_is():
    named = {f.name: f.metadata["help"] for f in dataclasses.fields(Config)}
    named["d_terms"] += named["g_terms"]
    named["augment_p"] += named["augment"]
    tables = {
        "loss": LOSSES,
        "networks": NETWORKS,
        "task": TASKS,
        "d_terms": REGULARIZERS,
        "g_optimizer": ["adam", "adamw", "rmsprop", "sgd", "clip_weights", *SCHEDULES],
        "preset": PRESETS,
        "augment_p": {**AUGMENTATIONS, **PROBABILITIES},
        "discriminator_wrap": {k: v for k, v in WRAPPERS.items() if k != "embed"},
        "generator_wrap": ["embed", "spectral_norm"],
    }
    for flag, table in tables.items():
        assert all(name in named[flag] for name in table), flag


def test_only_what_extends_or_reports_a_run_may_change():
    assert "steps" in RESUMABLE
    assert not {"seed", "batch_size", "loss", "networks"} & RESUMABLE


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--steps=1e4"], "'1e4' is not a whole number, such as 12000"),
        (["--steps=\u00b2"], "'²' is not a whole number"),
        (["--seed=\u0663"], "'٣' is not a whole number"),
        (["--steps=" + "9" * 5_000], "is not a whole number"),
        (["--steps=2147483648"], "--steps=2147483648: must be at most 2,147,483,647"),
        (["--batch_size=" + "9" * 30], "must be at most 2,147,483,647"),
        ([f"--seed={2**63}"], "must be at most 9,223,372,036,854,775,807"),
        ([f"--seed={2**63 - 4}", "--runs=5"], "--runs=5: the largest seed is"),
        (["--runs=1000000000000"], "--runs=1000000000000: must be at most 4,096"),
        (["--samples=1000000"], "--samples=1000000: must be at most 65,536"),
        (["--meet_seconds=1e300"], "must be at most 1,000,000.0"),
        (["--num_processes=1000000000000"], "must be at most 65,536"),
        (["--process_id=-5"], "--process_id=-5: must be at least -1"),
        (["--max_minutes=1e400"], "--max_minutes=inf: must be finite"),
        (["--ema_ramp=\u00b2"], "'²' is not a number, such as 0.1"),
        (["--dry_run=yes"], "--dry_run takes no value: write --dry_run alone"),
        (["mnist"], "no flag mnist: flags begin with --, such as --dataset=mnist"),
        (["--" + "a" * 5_000], "...aaaaaaaaaa: see --help"),
        (
            ["--lr=3"],
            "no flag --lr: set learning rates in --g_optimizer and --d_optimizer",
        ),
        (["--learning-rate=3"], "--d_optimizer='adam(2e-4, b1=0.5)'"),
        (["--epochs=3"], "no flag --epochs: use --steps=12000"),
        (["--batch=3"], "no flag --batch: use --batch_size=64"),
        (["--batch-size=3"], "did you mean --batch_size?"),
        (["--gpu=0"], "no flag --gpu: use --devices=1"),
        (["--resume"], "repeat the same command with the same --workdir to resume"),
        (["--workdir=gs://bucket"], "--workdir=gs://bucket: name a folder"),
        (["--data_dir=s3://bucket"], "--data_dir=s3://bucket: name a folder"),
        (["--workdir=" + "a" * 300], "a file name has at most 255 bytes"),
    ],
)
def test_what_no_run_can_have_is_one_line(argv, message):
    with pytest.raises(UsageError) as error:
        resolve.parse_args(argv)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_no_advice_is_for_a_flag_that_there_is():
    flags = {field.name for field in dataclasses.fields(Config)}
    assert not flags & TRAINING.keys()
    for advice in {*TRAINING.values(), *SAMPLING.values()}:
        for name in re.findall(r"--(\w+)", advice):
            assert name in flags | {"out", "n", "label", "checkpoint", "step", "raw"}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"steps": "20"}, "--steps='20': give a whole number, such as steps=12000"),
        ({"steps": 20.5}, "--steps=20.5: give a whole number"),
        ({"steps": math.inf}, "--steps=inf: give a whole number"),
        ({"steps": True}, "--steps=True: give a whole number"),
        ({"steps": None}, "--steps=None: give a whole number"),
        ({"steps": 10**5000}, "--steps=a huge number: must be at most"),
        ({"ema_ramp": "0.1"}, "--ema_ramp='0.1': give a number, such as ema_ramp=0.1"),
        ({"ema_ramp": 10**400}, "--ema_ramp=inf: must be finite"),
        ({"ema_half_life": []}, "--ema_half_life=[]: give a number or a schedule"),
        ({"remat": 1}, "--remat=1: give True or False, such as remat=False"),
        ({"loss": 5}, "--loss=5: give text, such as loss='relativistic'"),
        ({"workdir": b"x"}, "--workdir=b'x': give text"),
        ({"workdir": "a\0b"}, "a path cannot contain a NUL character"),
        ({"preset": 3}, "--preset=3: give text"),
        ({"stepz": 20}, "no flag --stepz: did you mean --steps?"),
    ],
)
def test_make_takes_the_types_of_its_fields(said, message):
    with pytest.raises(UsageError) as error:
        resolve.make_config(**said)
    assert message in str(error.value)


def test_make_converts_what_means_the_same():
    made = resolve.make_config(
        steps=np.int64(20),
        seed=1e4,
        ema_ramp=np.float32(0.5),
        augment_p="0.5",
        workdir=Path("x"),
    )
    assert resolve.to_dict(made) == resolve.to_dict(
        resolve.make_config(
            steps=20, seed=10_000, ema_ramp=0.5, augment_p=0.5, workdir="x"
        )
    )
    assert type(made.steps) is int
    assert type(resolve.make_config(ema_ramp=0).ema_ramp) is float


def test_home_is_expanded_once(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    made = resolve.make_config(workdir="~/run", data_dir="~/sets")
    assert (made.workdir, made.data_dir) == ("/home/ada/run", "/home/ada/sets")
    beside = resolve.make_config(workdir="./~/run").workdir
    assert beside == str(Path.cwd() / "~" / "run")
    assert resolve.make_config(workdir=beside).workdir == beside


def test_a_data_set_of_a_long_name_has_a_workdir_too():
    first, second = (
        resolve.make_config(dataset=f"npz:{'some/place/' * 200}{end}.npz").workdir
        for end in "ab"
    )
    assert first != second
    assert max(len(part) for part in Path(first).parts) < 200


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": None}, "config.json is damaged: --steps=None: give a whole number"),
        ({"loss": ["hinge"]}, "config.json is damaged: --loss=['hinge']: give text"),
    ],
)
def test_a_config_file_of_wrong_types(fields, message):
    with pytest.raises(UsageError) as error:
        resolve.config_from_json(fields)
    assert message in str(error.value)


def test_a_config_file_of_another_time_and_place():
    old = {
        "loss": "hinge",
        "workdir": "gs://x",
        "data_dir": "~nobody-there/x",
        "new": 1,
    }
    assert resolve.config_from_json(old).loss == "hinge"
