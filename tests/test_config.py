"""Flags: defaults, presets, and what is said of bad ones."""

import dataclasses

import pytest

from jaxgan import config
from jaxgan.augment import AUGMENTATIONS, STRENGTHS
from jaxgan.core import UsageError
from jaxgan.losses import LOSSES
from jaxgan.networks import NETWORKS, WRAPPERS
from jaxgan.presets import PRESETS
from jaxgan.regularizers import REGULARIZERS
from jaxgan.schedules import SCHEDULES
from jaxgan.tasks import TASKS


def test_the_command_line_wins_over_the_preset_over_the_defaults():
    got = config.parse(["--preset=wgan", "--batch_size=32"])
    assert (got.loss, got.batch_size, got.steps) == ("wasserstein", 32, 12_000)
    assert config.parse([]) == config.make()


def test_a_data_set_has_its_preset():
    assert config.make(dataset="ring8").preset == "toy"
    assert config.make(dataset="mnist").preset == "default"
    assert config.make(dataset="ring8", preset="mlp").preset == "mlp"


def test_the_workdir_is_named_after_data_and_preset():
    assert config.make().workdir == "runs/mnist-default"
    assert (
        config.make(dataset="folder:my/cats").workdir == "runs/folder-my-cats-default"
    )
    assert config.make(workdir="here").workdir == "here"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_flags(name):
    fields = {f.name for f in dataclasses.fields(config.Config)}
    assert set(PRESETS[name]) <= fields


def test_flags_round_trip():
    made = config.make(preset="dcgan", steps=7)
    assert config.make(**config.flags(made)) == made


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
        config.parse(argv)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_help_groups_every_flag_with_its_default(capsys):
    with pytest.raises(SystemExit) as stop:
        config.parse(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(config.Config):
        assert f"--{field.name}" in text
    for group in ("data:", "game:", "optimisation:", "run:", "reports:", "machine:"):
        assert group in text
    assert "[12000]" in text


def test_help_names_all_there_is():
    named = {f.name: f.metadata["help"] for f in dataclasses.fields(config.Config)}
    named["d_terms"] += named["g_terms"]
    named["augment_p"] += named["augment"]
    tables = {
        "loss": LOSSES,
        "networks": NETWORKS,
        "task": TASKS,
        "d_terms": REGULARIZERS,
        "g_optimizer": ["adam", "adamw", "rmsprop", "sgd", "clip_weights", *SCHEDULES],
        "preset": PRESETS,
        "augment_p": {**AUGMENTATIONS, **STRENGTHS},
        "discriminator_wrap": {k: v for k, v in WRAPPERS.items() if k != "embed"},
        "generator_wrap": ["embed", "spectral_norm"],
    }
    for flag, table in tables.items():
        assert all(name in named[flag] for name in table), flag


def test_only_what_extends_or_reports_a_run_may_change():
    assert "steps" in config.MAY_CHANGE
    assert not {"seed", "batch_size", "loss", "networks"} & config.MAY_CHANGE
