"""Conditions of networks: labels and attributes, hidden ones, and samples by them."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from test_sample import draw, refused
from test_train import run
from test_wrappers import Echo, Patches, made, normal, out

from jaxgan import tasks
from jaxgan.config.conditions import class_numbers
from jaxgan.config.sampling import parse_args
from jaxgan.errors import UsageError
from jaxgan.evaluation import drawn
from jaxgan.evaluation.load_run import load_run
from jaxgan.evaluation.sample_inputs import attributes_in_turn, inputs_of
from jaxgan.gan.gan import example_batch
from jaxgan.losses import REGULARIZERS
from jaxgan.metrics import attribute_comparisons
from jaxgan.metrics.comparison import Sets
from jaxgan.metrics.comparisons import COMPARISONS
from jaxgan.metrics.features import Features
from jaxgan.networks import WRAPPERS
from jaxgan.networks.conditions import DROPPED, condition_field, condition_size
from jaxgan.sharing.export.generator import generator_of
from jaxgan.types import (
    DiscriminatorOutput,
    ExampleSpec,
    Field,
    LossInputs,
    Samples,
    image_example,
)
from jaxgan.viewer.models import conditions_of

pytestmark = pytest.mark.usefixtures("quick_compilation")

NAMES = ("bright", "hair=dark", "hair=red")
TRAITS = Field((3,), np.dtype(bool), "attributes", NAMES)
EXAMPLE = ExampleSpec(image=Field((4, 4, 1)), attributes=TRAITS)
LABELED = image_example((4, 4, 1), classes=4)
FACTS = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], np.float32)


def test_a_label_comes_before_attributes():
    both = ExampleSpec({**LABELED, "attributes": TRAITS})
    assert [condition_field(x) for x in (both, EXAMPLE)] == ["label", "attributes"]
    assert [condition_size(x) for x in (both, EXAMPLE)] == [4, 3]
    assert tasks.conditional(2, example=both).inputs == ("label",)
    assert tasks.conditional(2, example=EXAMPLE).inputs == ("attributes",)
    assert tasks.conditional(2).requires == ("image", "label")


def test_embeddings_of_attributes_add_up():
    table = normal(3, 2, seed=1)
    variables = {"params": {"Embed_0": {"embedding": table}}}
    z, x = normal(3, 2), normal(3, 2, seed=2)
    embed = WRAPPERS["embed"](example=EXAMPLE)(Echo())
    projection = WRAPPERS["projection"](example=EXAMPLE)(Patches())
    for net, first in ((embed, z), (projection, x)):
        found = jax.tree.map(jnp.shape, made(net, first, FACTS))
        assert found == jax.tree.map(jnp.shape, variables)
    got = out(embed, z, FACTS, variables=variables)
    np.testing.assert_allclose(got, np.concatenate([z, FACTS @ table], 1), rtol=1e-5)
    logits = out(projection, x, FACTS, variables=variables).logits["coarse"]
    np.testing.assert_allclose(logits, (FACTS @ table * x).sum(1), rtol=1e-4, atol=1e-6)
    assert (got[1, 2:] == 0).all()  # no attribute
    classes = WRAPPERS["classifier"](example=EXAMPLE)(Patches())
    assert out(classes, x).class_logits.shape == (3, 3)
    for wrong in (np.zeros(2, np.int32), np.zeros((3, 2)), None):
        with pytest.raises(UsageError, match=r"embed needs .*use the task conditional"):
            out(embed, z, wrong)


def test_the_embedding_of_a_hidden_label_is_zero_and_learns_nothing():
    table, z = normal(4, 2, seed=1), normal(3, 2)
    net = WRAPPERS["embed"](example=LABELED)(Echo())
    label = np.array([3, DROPPED, 0])

    def total(table):
        variables = {"params": {"Embed_0": {"embedding": table}}}
        got = out(net, z, label, variables=variables)
        return got.sum(), got

    slope, got = jax.grad(total, has_aux=True)(jnp.asarray(table))
    np.testing.assert_array_equal(got[:, 2:], [table[3], [0, 0], table[0]])
    np.testing.assert_array_equal(slope, [[1, 1], [0, 0], [0, 0], [1, 1]])


def loss_of(logits, condition):
    output = DiscriminatorOutput(0.0, class_logits=jnp.asarray(logits))
    samples = Samples(0, 0, condition=condition)
    inputs: Any = LossInputs(samples, output, output, lambda x: output, KEYS, STEP)
    return float(REGULARIZERS["auxiliary_classifier"](2.0, 0).apply(inputs, ())[0])


KEYS, STEP = jax.random.split(jax.random.key(0), 3), jnp.int32(0)


def test_auxiliary_classification_by_hand():
    logits = normal(3, 3)
    p = 1 / (1 + np.exp(-np.float64(logits)))
    right = np.where(FACTS > 0, p, 1 - p)
    wanted = -2 * np.log(right).sum(1).mean()
    np.testing.assert_allclose(loss_of(logits, jnp.asarray(FACTS)), wanted, rtol=1e-5)
    soft = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    # a hidden label counts as 0 in the mean over three
    wanted = -2 * np.log(soft[[0, 2], [2, 1]]).sum() / 3
    found = loss_of(logits, jnp.array([2, DROPPED, 1]))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    with pytest.raises(UsageError, match=r"auxiliary_classifier: 3 attributes, but 2 "):
        loss_of(logits[:, :2], jnp.asarray(FACTS))
    with pytest.raises(UsageError, match="there are no labels or attributes"):
        loss_of(logits, None)


def test_conditions_are_hidden_in_training_only():
    keys = jax.random.split(jax.random.key(1), 2_000)
    for example, field in ((LABELED, "label"), (EXAMPLE, "attributes")):
        task = tasks.conditional(2, drop=0.25, example=example)
        batch = {**example_batch(example, 2_000)}
        batch[field] = batch[field] + 1  # no zeros
        assert task.augment is not None
        hidden = np.asarray(task.augment(batch, keys)[field])
        rows = hidden == (DROPPED if field == "label" else 0)
        rows = rows if rows.ndim == 1 else rows.all(1)
        assert abs(rows.mean() - 0.25) < 0.04
        np.testing.assert_array_equal(hidden[~rows], batch[field][~rows])
        # sampling plays the batch as it is
        seen = task.play(lambda z, c: c, batch, keys, 0)
        np.testing.assert_array_equal(seen.condition, batch[field])
        assert tasks.conditional(2, example=example).augment is None


@pytest.fixture(scope="module")
def traits(tmp_path_factory):
    """An npz of pictures with three attributes, of which each has one hair."""
    rng = np.random.default_rng(0)
    bright, hair = rng.integers(0, 2, 40), rng.integers(0, 2, 40)
    bright[hair == 1] = 0  # red hair is never bright
    attributes = np.stack([bright, 1 - hair, hair], 1)
    path = tmp_path_factory.mktemp("traits") / "traits.npz"
    image = np.uint8(
        rng.integers(0, 99, (40, 8, 8, 1)) + 150 * bright[:, None, None, None]
    )
    names = np.array(NAMES)
    np.savez(path, image=image, attributes=attributes, attribute_names=names)
    return path


@pytest.fixture(scope="module")
def conditioned(traits, tmp_path_factory):
    """A run of a few steps, conditional on attributes that are sometimes hidden."""
    return run(
        traits,
        tmp_path_factory.mktemp("conditioned") / "run",
        4,
        networks="mlp((8,), (8,))",
        task="conditional(4, drop=0.2)",
        generator_wrap="embed",
        discriminator_wrap="projection|classifier",
        g_terms="auxiliary_classifier(real=0)",
        d_terms="r1(1)|auxiliary_classifier",
        sample_every=4,
        held_out="8",
    )


def load_npz(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def test_samples_have_the_attributes_of_real_examples(conditioned, tmp_path):
    assert draw(conditioned, tmp_path / "a.npz", "--n=20") == 0
    found = load_npz(tmp_path / "a.npz")
    assert list(found) == ["samples", "attributes", "attribute_names"]
    assert tuple(found["attribute_names"]) == NAMES
    # bright and red are never together, and hair has one color
    assert (found["attributes"][:, 1] ^ found["attributes"][:, 2]).all()
    assert not (found["attributes"][:, 0] & found["attributes"][:, 2]).any()
    assert len(np.unique(found["attributes"], axis=0)) == 3
    kept = json.loads((conditioned / "data.json").read_text())["combinations"]
    assert (len(kept), set(kept)) == (32, {"110", "010", "001"})


def inputs(folder, *flags):
    """The inputs of samples of a command line."""
    config = parse_args([f"--workdir={folder}", "--out=new.npz", *flags])
    return inputs_of(config, load_run(folder))


@pytest.mark.parametrize(
    ("flag", "wanted"),
    [
        ("--attributes=hair=red", {(0, 0, 1)}),
        ("--attributes=bright=1", {(1, 1, 0)}),  # all bright examples are dark
        ("--attributes=hair=dark=yes", {(0, 1, 0), (1, 1, 0)}),
        ("--attributes=bright=yes, hair=red", {(1, 0, 1)}),  # unseen together
        ("--attributes=none", {(0, 0, 0)}),
        ("--label=none", {(0, 0, 0)}),
    ],
)
def test_attributes_that_are_asked_for(conditioned, flag, wanted):
    found = inputs(conditioned, "--n=30", flag).conditions
    assert found is not None
    assert (found.shape, {tuple(row) for row in found.tolist()}) == ((30, 3), wanted)


def test_a_sheet_changes_one_attribute_alone(conditioned, tmp_path):
    rows = inputs(conditioned, "--n=3", "--sheet=hair").conditions
    assert rows is not None
    rows = rows.reshape(2, 3, 3)
    np.testing.assert_array_equal(rows[:, :, 1:], [[[1, 0]] * 3, [[0, 1]] * 3])
    np.testing.assert_array_equal(rows[0, :, 0], rows[1, :, 0])
    # each column has the latents of samples of the same number
    flags = ["--n=3", "--seed=5", "--attributes=hair=red,bright=0"]
    plain = drawn.sample_run(conditioned, 3, seed=5, attributes="hair=red,bright=0")
    assert draw(conditioned, f"{tmp_path}/each/", *flags, "--sheet=bright") == 0
    pictures = [
        np.asarray(Image.open(tmp_path / "each" / f"seed5_{i:05}.png"))[..., None]
        for i in range(6)
    ]
    np.testing.assert_array_equal(pictures[:3], plain.samples)
    assert (np.stack(pictures[3:]) != plain.samples).any()
    table = (tmp_path / "each" / "labels.csv").read_text().splitlines()
    assert table[3:5] == [
        "seed5_00002.png,5,2,hair=red",
        'seed5_00003.png,5,3,"bright,hair=red"',
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--sheet=har"],
            "--sheet: no attribute 'har': did you mean 'hair'? Choose fr",
        ),
        (["--attributes=brigt=1"], "no attribute 'brigt': did you mean 'bright'?"),
        (["--attributes=hair=rd"], "no value of hair 'rd': did you mean 'red'?"),
        (["--attributes=bright=3"], "bright is 0 or 1: use --attributes='bright=1'"),
        (["--attributes=,"], "names no attribute: use --attributes='bright'"),
        (["--label=1"], "this run is conditional on attributes: use --attributes or"),
        (["--labels=0-1"], "this run is conditional on attributes: use --attributes"),
        (["--labels=1", "--sheet=hair"], "both ask for rows: use one of them"),
        (["--label=1", "--labels=1"], "both name classes: use one of them"),
        (["--label=1", "--attributes=x"], "--label is for runs with classes"),
        (["--sheet=hair", "--interpolate"], "--sheet=hair and --interpolate both ask"),
        (["--per_class=2"], "is conditional on attributes, and has no classes"),
        (["--sheet=hair", "--n=65536"], "a picture has at most 65,536 samples"),
        (["--reject=discriminator"], "--reject=discriminator does not work with"),
    ],
)
def test_conditions_that_are_refused(conditioned, tmp_path, capsys, flags, message):
    place = f"{tmp_path}/new/" if "per_class" in flags[0] else f"{tmp_path}/new.png"
    assert message in refused(
        capsys, f"--workdir={conditioned}", f"--out={place}", *flags
    )
    assert not list(tmp_path.iterdir())


def test_programs_read_runs_of_attributes(conditioned):
    opened = load_run(conditioned)
    names, rows = conditions_of(opened)
    assert names == ("bright, hair=dark", "hair=dark", "hair=red")
    assert rows.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert list(generator_of(opened).inputs) == ["latents", "attributes"]
    assert list((conditioned / "samples").glob("*.png"))
    # a run of an earlier version kept no examples
    facts = json.loads((conditioned / "data.json").read_text())
    combinations = facts.pop("combinations")
    try:
        (conditioned / "data.json").write_text(json.dumps(facts))
        assert attributes_in_turn(opened).tolist() == [[0, 1, 0]]
        damaged = {**facts, "combinations": ["01"]}
        (conditioned / "data.json").write_text(json.dumps(damaged))
        with pytest.raises(UsageError, match=r"data.json is damaged: combinations are"):
            attributes_in_turn(opened)
    finally:
        whole = {**facts, "combinations": combinations}
        (conditioned / "data.json").write_text(json.dumps(whole))


def test_shares_of_attributes_by_hand(monkeypatch):
    # "read" as the bits of a pixel, by a classifier that was trained once
    trained = []

    def train(images, attributes, seed):
        trained.append((len(images), attributes.tolist(), seed))
        return None, None

    def read(net, weights, images):
        return np.asarray(images)[:, 0, 0, :2] > 0

    monkeypatch.setattr(attribute_comparisons, "_train", train)
    monkeypatch.setattr(attribute_comparisons, "_read", read)

    def features(seen, asked):
        images = np.array(seen, np.float32)[:, None, None, :]
        rows = np.zeros((len(seen), 0), np.float32)
        return Features(rows, images=images, attributes=np.array(asked, bool))

    perfect = features([[1, 0], [0, 1]], [[1, 0], [0, 1]])
    # the first is always read, the second is right in one of four, which is alone
    fake = features([[1, 1], [1, 1], [1, 1], [1, 1]], [[1, 1], [1, 0], [1, 0], [0, 0]])
    metric = COMPARISONS["attributes_as_asked"](seed=3)
    assert (metric.attributes, metric.images, metric.whole_train) == (True, True, True)
    for _ in range(2):
        assert metric.compare(Sets(perfect, fake, perfect)) == {
            "attributes_as_asked": 0.5,
            "attributes_as_asked_worst": 0.5,
            "attributes_as_asked_real": 1.0,
        }
    assert trained == [(2, [[True, False], [False, True]], 3)]
    with pytest.raises(UsageError, match="needs attributes of all images"):
        metric.compare(Sets(perfect, fake._replace(attributes=None), perfect))


@pytest.mark.parametrize(
    ("text", "names", "wanted"),
    [
        ("all", "abc", (0, 1, 2)),
        ("2,a", "abc", (2, 0)),
        ("a-b,c,0", "abc", (0, 1, 2)),
        ("1-0", "10", (0, 1)),  # names come before numbers
        ("x-y", ["x", "x-y", "y"], (1,)),
        ("x-y-z", ["x-y", "b", "z"], (0, 1, 2)),
        ("none", ["none", "b"], (0,)),
        ("none,b", ["a", "b"], (-1, 1)),
    ],
)
def test_classes_in_text(text, names, wanted):
    assert class_numbers(text, list(names)) == wanted


@pytest.mark.parametrize("text", ["3", "c-a", "a-", "-", "d", "9" * 30, ",", "1-9"])
def test_classes_that_there_are_not(text):
    with pytest.raises(
        UsageError, match=r"--labels.*([cC]hoose from|use --labels=all)"
    ):
        class_numbers(text, ["a", "b", "c"])
