"""Comparison of augmentations: no test image is trained on, and the table is right."""

import dataclasses
import json
import math

import numpy as np
import pytest

from jaxgan.augment.__main__ import main
from jaxgan.config.augmenting import make_augment_config
from jaxgan.errors import UsageError
from jaxgan.evaluation import augmentation_table as tables
from jaxgan.evaluation import few_shot as shots
from jaxgan.evaluation import rejection
from jaxgan.metrics.features import classifier_training as training
from jaxgan.metrics.features.classifier_training import Labelled
from jaxgan.networks import NETWORKS
from jaxgan.training import augmentation
from jaxgan.training.comparison import Comparison

EACH, TESTED, STEPS = 12, 30, 4
TINY = {
    **{"task": "conditional(4)", "networks": "small(4)", "augment": ""},
    **{"augment_p": 1.0, "batch_size": 8, "samples": 4, "score_samples": 16},
}


def test_real_images_are_few_of_every_class_in_two_parts():
    labels = np.array([0] * 30 + [1] * 20 + [2] * 3)
    fit, validation = shots.few_shot(labels, ("a", "b", "c"), 10, seed=1)
    assert np.bincount(labels[fit]).tolist() == [8, 8, 2]
    assert np.bincount(labels[validation]).tolist() == [2, 2, 1]
    assert len({*fit, *validation}) == len(fit) + len(validation)
    again = shots.few_shot(labels, ("a", "b", "c"), 10, seed=1)
    np.testing.assert_array_equal(fit, again[0])
    assert (fit != shots.few_shot(labels, ("a", "b", "c"), 10, seed=2)[0]).any()
    with pytest.raises(UsageError, match=r"class 'd' has 0 training image\(s\)"):
        shots.few_shot(labels, ("a", "b", "c", "d"), 10, seed=1)


def numbered(first, count):
    """Images `[count, 1]` that are their numbers, and labels."""
    return Labelled(np.arange(first, first + count)[:, None], np.arange(count) % 3)


def test_a_batch_has_its_share_of_generated_images():
    real, fake, steps = numbered(0, 24), numbered(1_000, 96), 6
    draw = shots.mixed(real, fake, 0.75, seed=3, steps=steps)
    batches = [draw(i) for i in range(steps)]
    seen = np.concatenate([x.images[:, 0] for x in batches])
    assert all((x.images >= 1_000).sum() == 48 for x in batches)
    # 6 x 16 real ones are four epochs, and 6 x 48 generated ones are three.
    numbers, counts = np.unique(seen, return_counts=True)
    assert dict(zip(numbers.tolist(), counts.tolist(), strict=True)) == {
        **dict.fromkeys(range(24), 4),
        **dict.fromkeys(range(1_000, 1_096), 3),
    }
    for batch in batches:
        np.testing.assert_array_equal(batch.labels, batch.images[:, 0] % 1_000 % 3)


def test_without_generated_images_batches_are_those_of_the_recipe():
    draw = shots.mixed(numbered(0, 100), None, 0.0, seed=3, steps=4)
    order = training.order(3, 100, 4 * training.BATCH)
    for step in range(4):
        part = order[step * training.BATCH : (step + 1) * training.BATCH]
        np.testing.assert_array_equal(draw(step).images[:, 0], part)


def test_rejection_keeps_classes_balanced():
    images = numbered(0, 30)
    keep = (np.arange(30) < 6) & (images.labels != 2)  # 0, 3 and 1, 4
    got = shots.balanced(images, keep, 4, seed=0)
    assert np.bincount(got.labels).tolist() == [4, 4, 4]
    assert set(got.images[got.labels == 0, 0].tolist()) == {0, 3}
    assert set(got.images[got.labels == 1, 0].tolist()) == {1, 4}
    # No image of class 2 is kept, so that all of them may be used.
    assert got.images[got.labels == 2, 0].tolist() == [2, 5, 8, 11]


def test_rejection_samples_by_the_discriminator_have_the_density_of_the_data():
    # Samples are uniform over four values, and the data have other shares of them.
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    values = np.arange(40_000) % 4
    ratio = np.log(shares / 0.25) - 7  # up to a constant
    p = rejection.acceptance(ratio[values], None)
    np.testing.assert_allclose(p[:4], shares / 0.4, rtol=1e-4)
    kept = values[np.random.default_rng(0).random(40_000) < p]
    # Four standard deviations of a share of 25,000 samples.
    np.testing.assert_allclose(np.bincount(kept) / len(kept), shares, atol=0.013)


def test_the_discriminator_keeps_half_of_each_class_and_rather_the_best():
    logits = np.random.default_rng(1).normal(size=4_000)
    labels = np.arange(4_000) % 2
    logits[labels == 1] -= 50  # classes are not compared with each other
    keep = rejection.accepted(logits, labels, seed=0)
    for label in (0, 1):
        own = keep[labels == label]
        assert 0.4 < own.mean() < 0.6
        assert logits[labels == label][own].mean() > logits[labels == label].mean()
    assert (keep == rejection.accepted(logits - 3, labels, seed=0)).all()


def test_shifts_and_flips_move_pixels_and_make_none_up():
    import jax

    images = np.random.default_rng(0).normal(size=(40, 26, 26, 1)).astype(np.float32)
    moved = np.asarray(jax.jit(shots.classic("shift"))(jax.random.key(0), images))
    places = set()
    for one, other in zip(images, moved, strict=True):
        # The middle of an image is somewhere within two pixels in the shifted one.
        found = [
            (y, x)
            for y in range(-2, 3)
            for x in range(-2, 3)
            if (other[5 + y : 20 + y, 5 + x : 20 + x] == one[5:20, 5:20]).all()
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) > 15
    # Beyond the border, its pixels are repeated.
    assert set(moved.ravel().tolist()) <= set(images.ravel().tolist())
    flipped = np.asarray(jax.jit(shots.classic("flip"))(jax.random.key(1), images))
    mirrored = (flipped == images[:, :, ::-1]).all((1, 2, 3))
    assert 8 < mirrored.sum() < 32
    assert (mirrored | (flipped == images).all((1, 2, 3))).all()
    plain = shots.classic("")(jax.random.key(0), jax.numpy.asarray(images))
    np.testing.assert_array_equal(plain, images)


def scores(*accuracies):
    return [{"accuracy": x, "cross_entropy": 2 * x} for x in accuracies]


def facts(both, classic=(0.5, 0.6, 0.7)):
    none = [0.25] * len(both)
    return {
        "dataset": "mnist",
        "per_class_real": 10,
        "classic": "shift",
        "ratio": 0.5,
        "validation": {"0.0": scores(0.5, 0.5), "0.5": scores(0.75, 0.25)},
        "accuracies": {
            "none": none,
            "classic": list(classic),
            "generated": none,
            "both": list(both),
        },
    }


def test_the_table_by_hand():
    # Gains of 1, 2 and 3 points: 2 +- 4.303 x 1 / sqrt(3).
    got = tables.table(facts([0.51, 0.62, 0.73]))
    assert "| + classic augmentation | 60.00 +- 24.84 |  |" in got
    assert "| + both | 62.00 +- 27.33 | +2.00 +- 2.48 |" in got
    assert "0%: 1.0000 (50.00 %), 50%: 1.0000 (50.00 %)." in got
    assert "make no difference that these seeds can tell from chance on mnist" in got
    # Gains of 10, 11 and 12 points exclude zero: 11 +- 2.48.
    got = tables.sentence(facts([0.6, 0.71, 0.82]))
    assert got.startswith(
        "Generated images help on mnist with 10 real images per class"
    )
    assert "71.00 % with them" in got
    assert "60.00 % with classic augmentation alone, +11.00 +- 2.48 points" in got
    assert "at 50% generated images" in got
    assert "do harm" in tables.sentence(facts([0.4, 0.51, 0.62]))
    assert "one seed cannot tell" in tables.sentence(facts([0.9], [0.5]))
    assert math.isinf(tables.estimate([0.5]).half)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison of a few steps: its folder, images, and drawn batches."""
    folder = tmp_path_factory.mktemp("augment")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (150, 8, 8), np.uint8)
    np.savez(folder / "data.npz", images=images, labels=np.arange(150) % 5)
    drawn, tested = [], []
    with pytest.MonkeyPatch.context() as patch:
        gan = augmentation._gan_flags
        make, measure = training.make_trainer, Comparison.score

        def spy(*args, **kwargs):
            def train(draw, seed):
                drawn.extend(draw(i) for i in range(STEPS))
                return trained(draw, seed)

            trained = make(*args, **kwargs)
            return train

        def plain(*args):
            # The programs of test_sample.py, which are compiled once.
            return dataclasses.replace(gan(*args), **TINY)

        def spied(self, weights, examples):
            tested.append(examples)
            return measure(self, weights, examples)

        patch.setattr(augmentation, "_gan_flags", plain)
        patch.setattr(training, "make_trainer", spy)
        patch.setattr(Comparison, "score", spied)
        assert main(flags(folder)) == 0
    return folder, images[..., None], drawn, tested


def flags(folder, *more):
    return [
        f"--dataset=npz:{folder}/data.npz",
        f"--held_out={TESTED}",
        f"--per_class_real={EACH}",
        f"--classifier_steps={STEPS}",
        "--classic=shift",
        *("--seeds=1", "--ratios=0.25,0.5", "--steps=1", "--generated=8"),
        f"--workdir={folder}/run",
        *more,
    ]


def keys(images):
    return {np.ascontiguousarray(x).tobytes() for x in images}


def test_no_test_image_is_trained_on(compared):
    folder, images, drawn, tested = compared
    test = next(x for x in tested if len(x.labels) == TESTED)
    test, every = keys(test.images), keys(images)
    assert len(test) == TESTED
    assert test <= every
    with np.load(folder / "run" / "seed0" / "real.npz") as file:
        fit = keys(file["images"])
        assert np.bincount(file["labels"]).tolist() == [10] * 5
    validation = keys(min(tested, key=lambda x: len(x.labels)).images)
    assert len(validation) == 10
    # The GAN sees the images to fit only, the classifiers these and validation.
    assert fit < every - test
    assert not fit & validation
    assert not validation & test
    generated = keys(np.load(folder / "run/seed0/generated.npz")["samples"])
    trained = [keys(batch.images) - generated for batch in drawn]
    assert set().union(*trained) == fit | validation
    # Before the test, no classifier is trained on validation images: the first three.
    assert set().union(*trained[: 3 * STEPS]) == fit
    counts = [sum(x.tobytes() in generated for x in b.images) for b in drawn[::STEPS]]
    assert counts[:5] == [0, 16, 32, 0, 0]
    assert set(counts[5:]) <= {16, 32}


def test_the_result_is_complete_and_a_second_command_trains_nothing(
    compared, capsys, monkeypatch
):
    folder = compared[0]
    file = folder / "run" / "augmentation.json"
    result = json.loads(file.read_text())
    assert list(result["accuracies"]) == list(tables.ARMS)
    assert result["real_images"] == [5 * EACH]
    assert result["test_images"] == TESTED
    assert result["test_images_equal_to_real_ones"] == [0]
    assert result["answer"] == tables.sentence(result)
    monkeypatch.setattr(training, "make_trainer", None)
    monkeypatch.setattr(augmentation, "fit", None)
    assert main(flags(folder)) == 0
    assert capsys.readouterr().out == tables.table(result) + "\n"
    assert json.loads(file.read_text()) == result


def test_a_comparison_keeps_its_flags(compared, capsys):
    folder = compared[0]
    assert main(flags(folder, "--ratios=0.25")) == 2
    assert "has a comparison with another --ratios, 0.25,0.5" in capsys.readouterr().err


def test_interruption_of_a_gan_is_the_exit_code(compared, tmp_path, monkeypatch):
    monkeypatch.setattr(augmentation, "fit", lambda config: 143)
    assert main(flags(compared[0], f"--workdir={tmp_path}/new")) == 143


def test_modules_of_the_user_are_imported_first(compared, tmp_path, monkeypatch):
    text = (
        "from jaxgan import networks as n\nn.NETWORKS['mine'] = n.NETWORKS['small']\n"
    )
    (tmp_path / "my_networks.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    # Whatever the module registers is removed at the end.
    monkeypatch.setitem(NETWORKS, "mine", None)
    trained = []
    monkeypatch.setattr(augmentation, "fit", lambda config: trained.append(config) or 1)
    more = ("--import=my_networks", "--networks=mine(8)", f"--workdir={tmp_path}/new")
    assert main(flags(compared[0], *more)) == 1
    # The run of the GAN records the module.
    assert trained[0].import_ == "my_networks"
    # The command that resumes may name other modules.
    assert main(flags(compared[0], *more[1:])) == 1


def test_the_default_holds_the_test_split_out(tmp_path):
    images = np.zeros((6, 8, 8), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(6) % 2)
    config = make_augment_config(dataset=f"npz:{tmp_path}/a.npz")
    assert config.held_out == "auto"
    # A file has no split of its own for tests.
    with pytest.raises(UsageError, match="--held_out=auto leaves no test images"):
        augmentation.compare_augmentations(config)


def test_defaults_are_valid():
    config = make_augment_config(dataset="folder:a/b")
    assert config.workdir == "runs/augment-folder-a-b-50"
    with pytest.raises(UsageError, match="--per_class_real=1: must be at least 2"):
        make_augment_config(per_class_real=1)
