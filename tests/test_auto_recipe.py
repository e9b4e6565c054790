"""Recipes by the data and by the time."""

import dataclasses
import json

import numpy as np
import pytest
from test_train import argv

from jaxgan import data, train
from jaxgan.config import planning
from jaxgan.config.budgets import parse_time
from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config, parse_args
from jaxgan.data import from_fields
from jaxgan.errors import UsageError
from jaxgan.experiment import auto_recipe, setup
from jaxgan.experiment.auto_recipe import Facts
from jaxgan.training import trainer
from jaxgan.types import ExampleSpec, Field, image_example

pytestmark = pytest.mark.usefixtures("quick_compilation")

FACES = Facts((64, 64, 1), 400, 1_200.0)
"""The Olivetti faces."""
EMOJI = Facts((64, 64, 3), 1_900, 1_200.0)
FASHION = Facts((28, 28, 1), 60_000, 1_200.0)


def chosen(facts, batch_size, step_seconds):
    found = auto_recipe.choose_rest(facts, batch_size, step_seconds)
    return {choice.name: choice.value for choice in found}


def record_timed(monkeypatch):
    """Lists the configurations whose steps are timed, and times none."""
    timed = []

    def time_step(config, example):
        timed.append(config)
        return 0.25

    monkeypatch.setattr(auto_recipe, "time_step", time_step)
    return timed


def test_batch_sizes():
    sizes = [auto_recipe.choose_batch_size(x).value for x in (FACES, EMOJI, FASHION)]
    assert sizes == [32, 32, 64]
    tiny = Facts((8, 8, 1), 100, 60.0)
    assert auto_recipe.choose_batch_size(tiny).value == 8
    wide = Facts((128, 256, 3), 10_000, 60.0)
    assert auto_recipe.choose_batch_size(wide).value == 16


def test_widths_are_the_largest_for_which_there_is_time():
    # 100 epochs, from 100,000 to 768,000 images.
    wanted = [auto_recipe.images_wanted(x) for x in (FACES, EMOJI, FASHION)]
    assert wanted == [100_000, 190_000, 768_000]
    # 960 s of 40 ms steps of 64 are 1,536,000 images at 16; (24 / 16)^1.5 is 1.84.
    assert auto_recipe.images_seen(FASHION, 64, 0.04) == 1_536_000
    for seconds, width in ((0.04, 24), (0.02, 32), (0.1, 8), (1e-4, 64)):
        found = auto_recipe.choose_width(FASHION, 64, seconds)
        assert found.value == f"small({width})", seconds
    # Few examples have narrow networks at any speed.
    for facts, width in ((FACES, 16), (EMOJI, 32)):
        found = auto_recipe.choose_width(facts, 32, 1e-4)
        assert found.value == f"small({width})"
        assert found.reason == f"the widest for {facts.examples:,} examples"
    slow = auto_recipe.choose_width(EMOJI, 32, 10.0)
    assert slow == (
        "networks",
        "small(8)",
        "the narrowest, as there is time for few images",
    )


def test_the_rest_of_a_recipe():
    assert chosen(FASHION, 64, 0.04) == {
        "steps": 24_000,
        "d_terms": "r1(1)|r2(1)",
        "ema_half_life": 32_000.0,
        "augment": "",
    }
    few = chosen(EMOJI, 32, 0.16)
    assert few == {
        "steps": 6_000,
        "d_terms": "r1(31.3)|r2(31.3)",
        "ema_half_life": 8_000.0,
        "augment": "color|translation|cutout",
        "augment_p": "ada(0.6, images=38400, relative=True)",
    }
    # 5,000 examples are enough.
    more = chosen(EMOJI._replace(examples=5_000), 32, 0.16)
    assert more["augment"] == ""


def test_labels_and_rates_that_fall():
    labels = auto_recipe.choose_labels(FASHION._replace(classes=10))
    preset = PRESETS["conditional"]
    assert {x.name: x.value for x in labels} == {
        "task": "conditional(64)",
        "generator_wrap": "embed",
        "discriminator_wrap": "projection",
    }
    # The preset has the same rates for any number of steps. Its loss was measured for
    # small gray images alone.
    rates = auto_recipe.choose_rates(8_000)
    found = {x.name: x.value for x in [*labels, *rates]}
    found |= {"loss": "non_saturating", "steps": 8_000}
    numbers = {
        k: v.replace("steps)", "8000)") if k.endswith("optimizer") else v
        for k, v in preset.items()
    }
    assert found == numbers
    # 50 examples of each class are enough, and one class is none.
    for examples, classes, found in ((500, 10, 3), (499, 10, 0), (500, 1, 0)):
        facts = EMOJI._replace(examples=examples, classes=classes)
        assert len(auto_recipe.choose_labels(facts)) == found


def labeled(examples, classes):
    arrays = {
        "image": np.zeros((examples, 8, 8, 1), np.uint8),
        "label": np.arange(examples, dtype=np.int32) % classes,
    }
    names = tuple(map(str, range(classes)))
    return from_fields("made-up", arrays, classes=names, origin="made-up")


def test_a_labeled_set_has_a_conditional_recipe(monkeypatch, caplog):
    caplog.set_level("INFO")
    timed = record_timed(monkeypatch)
    given = make_config(dataset="folder:x", budget="100s")
    config = auto_recipe.choose_recipe(given, labeled(300, 3))
    rates = "adam(cosine(2e-3, 1e-5, 320), b1=0.0, b2=0.99)"
    assert (config.task, config.steps) == ("conditional(64)", 320)
    assert config.g_optimizer == config.d_optimizer == rates
    # The steps that are timed have labels.
    assert {x.task for x in timed} == {"conditional(64)"}
    assert "--task=conditional(64): as examples have labels of 3 classes" in caplog.text
    assert "not used" not in caplog.text
    auto_recipe.choose_recipe(given, labeled(149, 3))
    assert "labels are not used: there are fewer than 50 of each" in caplog.text
    # A network, a task or a wrapper of the user's may use labels in another way.
    for flags in (
        {"networks": "mlp((8,), (8,))"},
        {"task": "generate(8)"},
        {"discriminator_wrap": "spectral_norm"},
    ):
        kept = dataclasses.replace(given, **flags)
        config = auto_recipe.choose_recipe(kept, labeled(300, 3))
        assert config.g_optimizer == config.d_optimizer == rates, flags
        for name in auto_recipe.CONDITIONAL:
            assert getattr(config, name) == getattr(kept, name), flags


def test_attributes_are_left_to_their_preset(monkeypatch, caplog):
    caplog.set_level("INFO")
    record_timed(monkeypatch)
    arrays = {
        "image": np.zeros((300, 8, 8, 1), np.uint8),
        "attributes": np.arange(600).reshape(300, 2) % 3 > 0,
    }
    attributes = Field((2,), np.dtype(bool), "attributes", ("bright", "third"))
    example = ExampleSpec(image=Field((8, 8, 1)), attributes=attributes)
    dataset = from_fields("made-up", arrays, example=example, origin="made-up")
    given = make_config(dataset="folder:x", budget="100s")
    config = auto_recipe.choose_recipe(given, dataset)
    assert (config.task, config.d_terms) == (given.task, "r1(0.163)|r2(0.163)")
    assert "attributes are not used: --preset=attributes uses them" in caplog.text
    # The hint for runs without a time, whose preset is refused beside one, is not said.
    caplog.clear()
    setup.log_hints(config, dataset)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("flags", "classes", "said"),
    [
        ({}, 3, ["labels", "few"]),
        ({}, 0, ["few"]),
        ({"augment": "flip"}, 3, ["labels"]),
        ({"augment": "flip"}, 0, []),
        ({"task": "conditional(8)"}, 3, ["few"]),
        ({"preset": "conditional"}, 3, ["few"]),
        ({"preset": "dcgan"}, 3, []),
    ],
)
def test_flags_that_suit_the_data_are_named(tmp_path, caplog, flags, classes, said):
    caplog.set_level("INFO")
    lines = {
        "labels": "the labels of folder:x are not used; --preset=conditional uses them",
        "few": "a discriminator learns 9 examples by heart: "
        "--augment='color|translation|cutout' delays it",
    }
    images = {"image": np.zeros((9, 8, 8, 1), np.uint8)}
    dataset = labeled(9, classes) if classes else from_fields("x", images, origin="x")
    config = make_config(dataset="folder:x", workdir=str(tmp_path / "run"), **flags)
    setup.log_hints(config, dataset)
    assert caplog.messages == [lines[name] for name in said]
    # Of 5,000 examples there are enough.
    caplog.clear()
    setup.log_hints(config, dataset._replace(size=5_000))
    assert caplog.messages == [lines[name] for name in said if name != "few"]


def test_compiling_leaves_less_time_for_steps(monkeypatch):
    now = [0.0]

    def time_step(config, example):
        now[0] += 20.0
        return 0.1

    monkeypatch.setattr(auto_recipe, "time_step", time_step)
    monkeypatch.setattr(auto_recipe.time, "monotonic", lambda: now[0])
    steps = {}
    for budget in ("20m", "100s", "30s"):
        given = make_config(dataset="folder:x", budget=budget)
        steps[budget] = auto_recipe.choose_recipe(given, labeled(300, 3)).steps
    # 16 is chosen in 20 minutes, and others are compiled too: 8 in less time. Those of
    # the run are compiled again. A tenth of 30 seconds is left.
    assert steps == {"20m": 9_200, "100s": 320, "30s": 24}


def test_a_preset_for_attributes_is_named(tmp_path, caplog):
    images = np.zeros((5_000, 4, 4, 1), np.uint8)
    attributes = np.arange(10_000).reshape(-1, 2) % 3 == 0
    np.savez(tmp_path / "x.npz", images=images, attributes=attributes)
    name = f"npz:{tmp_path / 'x.npz'}"
    dataset = data.load(name)
    caplog.set_level("INFO")
    caplog.clear()
    given = {"dataset": name, "workdir": str(tmp_path / "run")}
    for preset in ("attributes", "acgan", "default"):
        setup.log_hints(make_config(**given, preset=preset), dataset)
    assert caplog.messages == [
        f"the attributes of {name} are not used; --preset=attributes uses them"
    ]


def test_times_in_text():
    assert [parse_time("--budget", x) for x in ("90s", "2h", "1d")] == [90, 7200, 86400]
    for text in ("20", "m", "x2m", "0s", "101d", "nanm", "20 minutes"):
        with pytest.raises(UsageError, match=r"^--budget=.*--budget=20m"):
            make_config(budget=text)
    with pytest.raises(UsageError, match="leave out one of them"):
        make_config(budget="2h", preset="dcgan")
    with pytest.raises(UsageError, match="--budget=2h times steps of training"):
        planning.parse_args(["--topology=local", "--budget=2h"])


def test_flags_of_the_user_are_kept_and_other_data_refused(monkeypatch, caplog):
    caplog.set_level("INFO")
    timed = record_timed(monkeypatch)
    arrays = {"image": np.zeros((300, 8, 8, 1), np.uint8)}
    example = image_example((8, 8, 1))
    dataset = from_fields("made-up", arrays, example=example, origin="made-up")
    given = make_config(dataset="folder:x", budget="100s", d_terms="r1(2)")
    config = auto_recipe.choose_recipe(given, dataset)
    assert (config.d_terms, config.batch_size, config.steps) == ("r1(2)", 32, 320)
    # The width that was chosen is timed too.
    networks = [x.networks for x in timed]
    assert networks == ["small(16)", config.networks] == ["small(16)", "small(8)"]
    assert config.augment == "color|translation|cutout"
    assert "--d_terms=r1(2): as given" in caplog.text
    assert "--batch_size=32: for 300 examples" in caplog.text
    # Named values are not chosen again, and nothing is timed.
    timed.clear()
    assert auto_recipe.choose_recipe(config, dataset) == config
    assert not timed
    plain = make_config(dataset="folder:x")
    assert auto_recipe.choose_recipe(plain, dataset) == plain
    pairs = dataclasses.replace(given, preset="pix2pix")
    with pytest.raises(UsageError, match="without a preset of their own"):
        auto_recipe.choose_recipe(pairs, dataset)


def test_a_run_has_its_recipe_and_keeps_it(pictures, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    flags = {"budget": "2s", "networks": "mlp((8,), (8,))", "batch_size": 8}
    given = [
        x for x in argv(pictures, tmp_path / "run", 0, **flags) if "steps" not in x
    ]
    # Training itself is that of the flags.
    monkeypatch.setattr(trainer, "run_once", lambda *args: 0)
    assert train.main(given) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["budget"] == "2s"
    assert config["steps"] >= 1
    assert config["networks"] == "mlp((8,), (8,))"
    assert config["augment_p"].startswith("ada(0.6, images=10000")
    assert f"--steps={config['steps']}: at " in caplog.text
    # The same command has the recorded recipe, without timing anything.
    again = trainer.with_recorded_flags(parse_args(given))
    assert [getattr(again, x) for x in auto_recipe.CHOSEN] == [
        config[x] for x in auto_recipe.CHOSEN
    ]
    # With another time, it is chosen anew.
    other = trainer.with_recorded_flags(parse_args([*given, "--budget=3s"]))
    assert other.steps == make_config().steps
