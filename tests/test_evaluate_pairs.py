"""Evaluation of runs that map images to images: their table, beside plain methods."""

import json
import logging
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_evaluators import METRIC_KEY, score_of
from test_image_similarity import images

import jaxgan
from jaxgan import data, evaluate, train
from jaxgan.config.resolve import make_config, to_dict
from jaxgan.data import SOURCES, from_fields
from jaxgan.evaluation.build_metrics import check_metrics, check_pair_metrics
from jaxgan.evaluation.pair_outputs import Outputs
from jaxgan.evaluation.pair_report import default_metrics as default_pair_metrics
from jaxgan.experiment import checkpoint
from jaxgan.experiment.data_facts import data_facts
from jaxgan.gan.build_evaluators import build_evaluators, default_metrics, task_of
from jaxgan.gan.builder import build_gan
from jaxgan.losses import REGULARIZERS
from jaxgan.metrics import pair_comparisons, pair_evaluators
from jaxgan.metrics.features import classifier_training, efficientnet
from jaxgan.metrics.image_similarity import l1, psnr, ssim
from jaxgan.metrics.pair_comparisons import PAIR_COMPARISONS
from jaxgan.metrics.pair_evaluators import has_targets
from jaxgan.metrics.pairs import Pairs
from jaxgan.networks import NETWORKS
from jaxgan.reporting import load_png
from jaxgan.tasks import TASKS
from jaxgan.types import (
    DiscriminatorOutput,
    ExampleSpec,
    Field,
    Players,
    Samples,
    Task,
)

SIZE = 8
COUNT = {"train": 60, "test": 20}


class Turn(nn.Module):
    """Maps each pixel's channels linearly; an untrained one is no identity."""

    scale: int = 1
    channels: int = 3

    @nn.compact
    def __call__(self, inputs, condition=None, *, train):
        x = inputs["source"] if isinstance(inputs, dict) else inputs
        x = x.repeat(self.scale, 1).repeat(self.scale, 2)
        out = nn.Dense(self.channels)(x[..., :3])
        return {"image": out, "source": out} if isinstance(inputs, dict) else out


class Judge(nn.Module):
    """Judges mean colors, of each domain if there are two."""

    @nn.compact
    def __call__(self, inputs, condition=None, *, train):
        def judge(x):
            return nn.Dense(1)(x.mean((1, 2)))[:, 0]

        return DiscriminatorOutput(jax.tree.map(judge, inputs))


def task_with(play, inputs=("source",), **other):
    def transform(generator, batch, keys):
        return generator(batch["source"])

    return Task(play, ("image", *inputs), inputs, transform=transform, **other)


def three(s):
    return {"source": s.condition, "fake": s.fake, "real": s.real}


def swap():
    """Paired translation."""

    def play(generator, batch, keys, step):
        source = batch["source"]
        return Samples(batch["image"], generator(source), condition=source)

    terms = Players("l1_toy", "")
    return task_with(play, preview=three, defaults=terms)


def enlarge():
    """Super-resolution."""

    def play(generator, batch, keys, step):
        source = batch["image"][:, ::2, ::2]
        return Samples(batch["image"], generator(source), condition=source)

    return task_with(play, inputs=(), preview=three)


def repair():
    """Inpainting of boxes, whose places are random."""

    def play(generator, batch, keys, step):
        image = batch["image"]

        def hole(key):
            top = jax.random.randint(key, (), 0, 4)
            rows = jnp.arange(SIZE)[:, None, None]
            inside = (rows >= top) & (rows < top + 3)
            return jnp.broadcast_to(inside, (SIZE, SIZE, 1)).astype(jnp.float32)

        mask = jax.vmap(hole)(keys)
        source = image * (1 - mask)
        fake = jnp.where(mask > 0, generator(source), image)
        return Samples(image, fake, condition={"source": source, "mask": mask})

    def preview(s):
        return {**s.condition, "fake": s.fake, "real": s.real}

    return task_with(play, inputs=(), preview=preview)


def exchange():
    """Unpaired translation, of which each way is the same network."""

    def play(generator, batch, keys, step):
        real = {"image": batch["image"], "source": batch["source"]}
        fake = generator(real)
        return Samples(real, fake, reconstruction=generator(fake))

    def preview(s):
        return {"source": s.real["source"], "fake": s.fake["image"]}

    return task_with(play, preview=preview)


def l1_toy():
    from jaxgan.terms import leaf_mean, stateless

    def term(s):
        return 10 * leaf_mean(
            lambda a, b: jnp.abs(a - b), s.samples.real, s.samples.fake
        )

    return stateless(term)


def source(request, aligned=True):
    """Colored pictures, and the same ones with their channels swapped."""
    count = COUNT[request.split]
    shown = images((count, SIZE, SIZE, 3), seed=count)
    shown[..., 0] //= 2
    field = Field((SIZE, SIZE, 3))
    dataset = from_fields(
        request.name,
        {"image": shown, "source": shown[..., [2, 0, 1]]},
        example=ExampleSpec(image=field, source=field),
        origin=f"a toy of the tests ({request.split})",
    )
    return dataset._replace(aligned=aligned)


@pytest.fixture(scope="module", autouse=True)
def toys():
    with pytest.MonkeyPatch.context() as patch:
        for task in (swap, enlarge, repair, exchange):
            patch.setitem(TASKS, task.__name__, task)
        patch.setitem(REGULARIZERS, "l1_toy", l1_toy)
        patch.setitem(SOURCES, "toy_pairs", source)
        patch.setitem(SOURCES, "toy_apart", lambda request: source(request, False))
        patch.setitem(NETWORKS, "turn", lambda scale=1: Players(Turn(scale), Judge()))
        yield


FLAGS = {
    **{"batch_size": 8, "score_samples": 16, "samples": 4, "held_out": "none"},
    **{"g_optimizer": "adam(0.05)", "d_optimizer": "sgd(0.01)", "d_terms": ""},
    **{"loss": "non_saturating", "dataset": "toy_pairs", "networks": "turn"},
}


@pytest.fixture(scope="module")
def paired(toys, tmp_path_factory):
    """A run that has learned to swap channels."""
    folder = tmp_path_factory.mktemp("pairs") / "run"
    own = {"task": "swap", "steps": 60, "workdir": folder, "devices": 1}
    flags = [f"--{name}={x}" for name, x in {**FLAGS, **own}.items()]
    assert train.main(flags) == 0
    return folder


def untrained(folder, **flags):
    """The folder of a run before its first step, without the cost of training."""
    config = make_config(**{**FLAGS, **flags})
    dataset = data.load(config.dataset)
    gan = build_gan(config, dataset.example)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(to_dict(config)))
    (folder / "data.json").write_text(json.dumps(data_facts(dataset)))
    with checkpoint.open_checkpoints(folder / "checkpoints", keep=1) as saver:
        state = gan.init(jax.random.key(0))
        checkpoint.save(saver, state, history={}, config=to_dict(config), wait=True)
    return folder


def values(workdir, *flags):
    assert evaluate.main([f"--workdir={workdir}", *flags]) == 0
    return json.loads((workdir / "evaluation.json").read_text())


def test_the_table_of_a_paired_run(paired, capsys):
    text = "--metrics=l1|psnr|psnr(channel='y', border=1)|ssim|fd(random(4))"
    report = values(paired, text)
    rows, facts = report["rows"], report["protocol"]
    names = ["generated", "identity", "mean_image", "histogram_matching"]
    assert list(rows) == [*names, "training examples"]
    # the held-out split, every example once
    assert facts["n"] == 20
    assert facts["held_out"] == "a toy of the tests (test)"
    # by hand: the generator's outputs
    held_out = data.load("toy_pairs", split="test")
    arrays = held_out.arrays
    assert arrays is not None
    run = jaxgan.load_run(paired)
    keys = jax.random.split(jax.random.key(0), 20)
    batch = data.normalize(arrays, held_out.example)
    fake = np.asarray(run.gan.generate(run.variables, batch, keys))
    for name, images_ in (("generated", fake), ("identity", arrays["source"])):
        expected = {
            "l1": l1(arrays["image"], images_),
            "psnr": psnr(arrays["image"], images_),
            "psnr_y_border1": psnr(arrays["image"], images_, channel="y", border=1),
            "ssim": ssim(arrays["image"], images_),
        }
        for metric, each in expected.items():
            assert rows[name][metric] == pytest.approx(each.mean(), rel=1e-5)
    # a swap of channels is learned
    assert rows["generated"]["l1"] < 0.5 * rows["identity"]["l1"]
    assert rows["generated"]["psnr"] > rows["mean_image"]["psnr"]
    assert rows["generated"]["fd_random"] < rows["identity"]["fd_random"]
    # other real examples have no targets, and are near in features
    assert list(rows["training examples"]) == ["fd_random"]
    assert report["metrics"]["fd_random"]["floor"] < rows["mean_image"]["fd_random"]
    assert report["metrics"]["l1"] == {"value": rows["generated"]["l1"]}
    said = capsys.readouterr().out.splitlines()
    shown = [line.split()[0] for line in said[1:5]]
    assert shown == names
    assert "20 outputs of step 60" in said[6]
    assert "l1: 8-bit values, RGB, whole picture, no border cut off; less is" in said[7]
    assert "psnr_y_border1: dB, Y, whole picture, border 1 cut off; more" in said[9]
    # all methods in one picture
    picture = load_png(paired / "evaluation-pairs.png")
    assert picture.columns == ("source", *names[1:], "fake", "real")
    # the same from the library, of some examples
    again = jaxgan.evaluate_run(paired, "l1", n=7)
    assert again["protocol"]["n"] == 7
    assert set(again["rows"]["identity"]) == {"l1"}


def test_the_default_metrics(paired, tmp_path, monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    assert list(values(paired)["metrics"]) == ["l1", "psnr", "ssim"]
    apart = untrained(tmp_path / "apart", dataset="toy_apart", task="exchange")
    report = values(apart)
    assert list(report["metrics"]) == ["cycle_l1"]
    assert list(report["rows"]) == ["generated", "identity", "histogram_matching"]
    # a cycle is one of the generator
    assert report["metrics"]["cycle_l1"]["value"] > 0
    assert report["rows"]["identity"] == {}
    assert evaluate.main([f"--workdir={apart}", "--metrics=psnr"]) == 2


def test_the_default_with_the_weights_of_efficientnet(monkeypatch, caplog):
    def default(columns, side=32, aligned=True, channels=(3, 3)):
        source, shape = ((side, side, count) for count in channels)
        has = columns.__contains__
        outputs = SimpleNamespace(has=has, shape=shape, source_shape=source)
        return default_pair_metrics(outputs, aligned)  # type: ignore[arg-type]

    monkeypatch.setattr(efficientnet, "PACKAGE", "numpy")  # is installed
    usual = "l1|psnr|ssim|perceptual|fd(efficientnet)"
    assert default(["real"]) == usual
    assert default(["real"], side=31) == "l1|psnr|ssim|fd(efficientnet)"
    holes = "|l1(region='holes')|psnr(region='holes')|"
    assert default(["real", "mask"]) == usual.replace("|perc", f"{holes}perc")
    assert default(["cycle"], aligned=False) == "cycle_l1|content|fd(efficientnet)"
    assert default(["real"], side=6) == "l1|psnr|fd(efficientnet)"
    # what the network cannot read, and what cannot be compared, is left out
    with caplog.at_level(logging.INFO, "jaxgan"):
        assert default(["real"], channels=(4, 4)) == "l1|psnr|ssim"
        assert default(["real"], channels=(4, 1)) == usual
        assert default([], aligned=False, channels=(1, 3)) == "fd(efficientnet)"
        assert default([], aligned=False, channels=(3, 4)) == (
            "sliced_wasserstein(random)"
        )
    assert [record.message for record in caplog.records][:2] == [
        "without perceptual and fd(efficientnet), as outputs have 4 channels, and "
        "efficientnet reads 1 or 3",
        "without content, which needs inputs ([32, 32, 1]) and outputs ([32, 32, 3]) "
        "of one shape",
    ]
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    assert default([], aligned=False) == "sliced_wasserstein(random)"
    # all of them can be built
    check_pair_metrics(default(["real", "mask"]))


def test_perceptual_distances_are_those_of_the_right_pairs(monkeypatch):
    def gap(a, b):
        assert a.dtype == b.dtype == np.float32
        return (b - a).mean((1, 2, 3))

    monkeypatch.setattr(pair_comparisons, "paired_distances", gap)
    shades = {"source": 0, "real": 51, "fake": 255}
    pairs = Pairs(**{k: np.full((2, 4, 4, 3), x, np.uint8) for k, x in shades.items()})
    for name, expected in (("perceptual", 1.6), ("content", 2.0)):
        got = PAIR_COMPARISONS[name]().measure(pairs)
        np.testing.assert_allclose(got, [expected] * 2, rtol=1e-6)
    small = pairs._replace(source=np.zeros((2, 2, 2, 3), np.uint8))
    with pytest.raises(jaxgan.UsageError, match="need images of one shape"):
        PAIR_COMPARISONS["content"]().measure(small)


def channels_of(source, image):
    """A data set of random pictures with these numbers of channels."""

    def load(request):
        count = COUNT[request.split]
        shown = {"image": image, "source": source}
        fields = {name: Field((SIZE, SIZE, c)) for name, c in shown.items()}
        arrays = {
            name: images((count, *field.shape), seed=count + field.shape[-1])
            for name, field in fields.items()
        }
        example = ExampleSpec(**fields)
        return from_fields("toy_channels", arrays, example=example, origin="a toy")

    return load


@pytest.mark.parametrize(("channels", "label"), [((4, 4), "RGBA"), ((3, 1), "gray")])
def test_values_have_the_name_of_their_channels(
    tmp_path, monkeypatch, capsys, channels, label
):
    monkeypatch.setitem(SOURCES, "toy_channels", channels_of(*channels))
    monkeypatch.setitem(
        NETWORKS, "turn", lambda: Players(Turn(channels=channels[1]), Judge())
    )
    monkeypatch.setattr(efficientnet, "PACKAGE", "numpy")  # is installed
    monkeypatch.setattr(efficientnet, "LEAST_SIZE", 4)
    monkeypatch.setattr(efficientnet, "CHANNELS", ())
    workdir = untrained(tmp_path / "run", dataset="toy_channels", task="swap")
    report = values(workdir)
    assert list(report["metrics"]) == ["l1", "psnr", "ssim"]
    said = capsys.readouterr().out
    assert f"l1: 8-bit values, {label}, whole picture" in said
    assert f"psnr: dB, {label}, whole picture" in said
    code = evaluate.main([f"--workdir={workdir}", "--metrics=psnr(channel='y')"])
    if channels[1] == 1:
        assert f"psnr_y: dB, {label}, whole picture" in capsys.readouterr().out
        return
    assert code == 2
    line = "--metrics: images of 4 channels have no luma: compare all of them"
    assert line in capsys.readouterr().err


def test_metrics_that_do_not_fit_are_refused_before_outputs_are_drawn(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(efficientnet, "load", lambda: None)
    monkeypatch.setattr(Outputs, "draw", None)
    transparent = ["psnr(channel='y')", "ssim(channel='y')", "perceptual"]
    for channels, metrics, messages in (
        (4, transparent, ["have no luma", "have no luma", "1 or 3 channels, not 4"]),
        (
            3,
            ["psnr(border=4)", "content"],
            ["border=4: images of 8 x 8", "have [8, 8, 1] and [8, 8, 3]: leave it out"],
        ),
    ):
        monkeypatch.setitem(SOURCES, "toy_channels", channels_of(1, channels))
        network = Players(Turn(channels=channels), Judge())
        monkeypatch.setitem(NETWORKS, "turn", lambda network=network: network)
        folder = tmp_path / str(channels)
        workdir = untrained(folder, dataset="toy_channels", task="swap")
        for metric, message in zip(metrics, messages, strict=True):
            assert evaluate.main([f"--workdir={workdir}", f"--metrics={metric}"]) == 2
            said = capsys.readouterr().err
            assert message in said
            assert said.count("\n") == 1


def test_super_resolution_and_holes_have_their_own_baselines(tmp_path, capsys):
    workdir = untrained(tmp_path / "large", task="enlarge", networks="turn(2)")
    report = values(workdir, "--metrics=psnr(channel='y')")
    assert list(report["rows"]) == ["generated", "nearest", "bicubic", "lanczos"]
    assert report["rows"]["bicubic"]["psnr_y"] > report["rows"]["nearest"]["psnr_y"]
    workdir = untrained(tmp_path / "holes", task="repair")
    text = "--metrics=l1|l1(region='holes')|psnr(region='holes')"
    report = values(workdir, text, "--seeds=2")
    assert report["rows"].keys() >= {"generated", "mean_fill"}
    for row in report["rows"].values():
        # three of eight rows are holes, and all else is known
        assert row["l1"] == pytest.approx(3 / 8 * row["l1_holes"], rel=1e-4)
    # other seeds have other holes
    assert report["metrics"]["psnr_holes"]["std"] > 0
    out = capsys.readouterr().out
    assert "standard deviation over 2 sets of outputs" in out
    assert "psnr_holes: dB, RGB, holes only" in out
    [picture] = workdir.glob("*-pairs.png")
    assert load_png(picture).columns[:2] == ("source", "mask")


def test_a_baseline_that_is_not_installed_has_a_line(paired, monkeypatch, capsys):
    from jaxgan.metrics.baselines import BASELINES

    missing = BASELINES["mean_image"]._replace(module="no_such_module")
    monkeypatch.setitem(BASELINES, "mean_image", missing)
    report = values(paired, "--metrics=l1")
    assert "mean_image" not in report["rows"]
    assert report["protocol"]["missing_baselines"] == ["mean_image"]
    line = "mean_image           is not installed: pip install 'jaxgan[inpainting]'"
    assert line in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--metrics="], "name one or more of accuracy_as_asked(classifier), at"),
        (["--metrics=psnr(channel='Y')"], "choose channel from rgb, y"),
        (["--metrics=psnr(border=-1)"], "border must be in [0, 1024], not -1: use 0"),
        (["--metrics=l1(region='hole')"], "choose region from whole, holes"),
        (["--metrics=l1(region='holes')"], "l1_holes needs the column 'mask'"),
        (["--metrics=cycle_l1"], "cycle_l1 needs the column 'cycle'"),
        (["--metrics=ssim(window='gaussian')"], "smaller than the gaussian window"),
        (["--metrics=l1|l1"], "--metrics has l1 twice"),
        (["--metrics=accuracy_as_asked(random)"], "--task=swap maps images to images"),
        (["--n=21"], "--n=21: there are 20 held-out examples"),
        (["--n_real=9"], "--n_real has no effect for --task=swap"),
        (["--split=none"], "has no examples that were held out"),
    ],
)
def test_bad_command_lines(paired, capsys, flags, message):
    usual = [f"--workdir={paired}", "--metrics=l1"]
    assert evaluate.main([*usual, *flags]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_runs_from_noise_and_sets_have_no_targets():
    with pytest.raises(jaxgan.UsageError, match="l1 compares images with their targ"):
        check_metrics("fd(random)|l1|psnr")  # of a run from noise
    some = np.zeros((4, 8, 8, 1), np.uint8)
    with pytest.raises(jaxgan.UsageError, match="psnr compares images with their"):
        jaxgan.compare(some, some, "psnr")


# During training


def built(text, dataset, task="swap"):
    return build_evaluators(make_config(eval_metrics=text, task=task), dataset)


def values_of(evaluator, real, fake):
    """The values of an evaluator for outputs that are known."""
    state = evaluator.init(None, {"image": real}, METRIC_KEY)

    def sample_fn(count, first=0):
        return jax.tree.map(lambda x: x[:count], Samples(real, fake, condition=real))

    return evaluator.run(state, sample_fn)


def test_evaluators_of_pairs():
    dataset = data.load("toy_pairs")
    arrays = dataset.arrays
    assert arrays is not None
    real, fake = arrays["image"][:9], arrays["source"][:9]
    for text, expected in (
        ("l1", l1(real, fake).mean()),
        ("psnr", psnr(real, fake).mean()),
        ("psnr('y', 1)", psnr(real, fake, channel="y", border=1).mean()),
        ("ssim", ssim(real, fake).mean()),
    ):
        [evaluator] = built(text, dataset).values()
        scaled = [x.astype(np.float32) / 127.5 - 1 for x in (real, fake)]
        got = values_of(evaluator, *scaled)
        assert list(got.values()) == [pytest.approx(expected, rel=1e-6)]
        # less is better, and never negative
        better = [scaled[0], 0.9 * scaled[0] + 0.1 * scaled[1]]
        scores = [score_of(evaluator, x) for x in (got, values_of(evaluator, *better))]
        assert 0 <= scores[1] < scores[0]
        if text == "psnr":
            assert scores[0] == pytest.approx(255 / 10 ** (expected / 20))
        # a collapsed run goes on
        broken = values_of(evaluator, scaled[0], np.nan * scaled[1])
        assert np.isnan(list(broken.values())).all()


def test_the_default_evaluator_is_l1_where_there_are_targets():
    chosen = {
        (name, task): default_metrics(
            data.load(name), task_of(make_config(task=task), data.load(name))
        )
        for name in ("toy_pairs", "toy_apart")
        for task in ("swap", "generate")
    }
    assert chosen["toy_pairs", "swap"] == "l1"
    assert set(chosen.values()) == {"l1", "sliced_wasserstein"}
    assert list(chosen.values()).count("l1") == 1
    assert list(built("auto", data.load("toy_pairs"))) == ["l1"]
    # a task that edits an image has a target only if the data have one
    edit = swap()._replace(requires=("image", "attributes"))
    example = data.load("toy_pairs").example
    assert not has_targets(edit, example)
    assert has_targets(edit, ExampleSpec(**example, target=example["image"]))
    assert has_targets(swap(), example)
    with pytest.raises(jaxgan.UsageError, match="--eval_metrics: psnr compares images"):
        built("psnr", data.load("toy_apart"))
    with pytest.raises(jaxgan.UsageError, match="and this task maps no images"):
        built("l1", data.load("toy_pairs"), "generate")


def test_a_run_logs_its_score(paired):
    rows = [json.loads(x) for x in (paired / "metrics.jsonl").read_text().splitlines()]
    scores = [row["score"] for row in rows if "score" in row]
    assert scores[-1] < 0.5 * scores[0]
    assert json.loads((paired / "config.json").read_text())["eval_metrics"] == "l1"


# Attributes


def edit():
    """Negates the first attribute, by a generator that is told the channels."""

    def play(generator, batch, keys, step):
        image, own = batch["image"], batch["attributes"]
        target = own.at[:, 0].set(1 - own[:, 0])
        bright = jnp.where(target[:, 0] > 0.5, 0.5, -0.7)[:, None, None]
        # Attributes are channels: the first follows the target, the second stays.
        fake = image.at[..., 0].set(bright) + 0 * generator(image)
        condition = {"attributes": own, "target": target}
        return Samples(image, fake, condition)

    def preview(s):
        return {"source": s.real, "fake": s.fake}

    return task_with(play, inputs=("attributes",), preview=preview)


def channels(request):
    """Images whose first two channels are bright where an attribute is 1."""
    count = 4 * COUNT[request.split]
    rng = np.random.default_rng(count)
    attributes = rng.integers(0, 2, (count, 2), np.uint8)
    shown = rng.integers(0, 90, (count, SIZE, SIZE, 3), np.uint8)
    shown[..., :2] += 150 * attributes[:, None, None]
    example = ExampleSpec(
        image=Field((SIZE, SIZE, 3)),
        attributes=Field((2,), np.dtype(np.uint8), "attributes", ("red", "green")),
    )
    arrays = {"image": shown, "attributes": attributes}
    return from_fields("channels", arrays, example=example, origin="bright channels")


def test_attributes_are_read_back(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(SOURCES, "toy_channels", channels)
    monkeypatch.setitem(TASKS, "edit", edit)
    workdir = untrained(tmp_path / "run", dataset="toy_channels", task="edit")
    rows = values(workdir, "--metrics=attribute_accuracy")["rows"]
    name = "attribute_accuracy"
    # the generator edits as it is asked to, and the unedited picture does not
    assert rows["generated"] == {f"{name}{x}": 1.0 for x in ("", "_worst", "_edited")}
    unedited = {name: 0.5, f"{name}_worst": 0.0, f"{name}_edited": 0.0}
    assert rows["identity"] == unedited
    assert "accuracy on held-out 1.0, worst attribute 1.0" in capsys.readouterr().out
    # it is trained once
    [file] = (tmp_path / "cache").rglob("attributes-*.npz")
    before = file.stat().st_mtime_ns
    again = values(workdir, "--metrics=attribute_accuracy")["rows"]
    assert again == rows
    assert file.stat().st_mtime_ns == before
    # the default has it, and no distance to a target
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    assert next(iter(values(workdir)["metrics"])) == name
    assert evaluate.main([f"--workdir={workdir}", "--metrics=l1"]) == 2
    assert "which are not known for this task and data" in capsys.readouterr().err


# Domains


def move():
    """Makes the channel of the other domain bright."""

    def play(generator, batch, keys, step):
        image, own = batch["image"], batch["label"]
        target = 1 - own
        bright = jax.nn.one_hot(target, 3)[:, None, None]
        fake = 0 * generator(image) + 1.2 * bright - 0.7
        condition = {"label": own, "target": target}
        return Samples(image, fake, condition)

    def preview(s):
        return {"source": s.real, "fake": s.fake}

    return task_with(play, inputs=("label",), preview=preview)


def blind():
    """The same, with the same output for both domains."""

    def play(generator, batch, keys, step):
        samples = move().play(generator, batch, keys, step)
        first = jax.nn.one_hot(0, 3) - 0.5
        return samples._replace(fake=0 * samples.fake + first)

    return move()._replace(play=play)


def two_domains(request):
    """Images whose first or second channel is bright: the domains."""
    count = 4 * COUNT[request.split]
    rng = np.random.default_rng(count)
    label = (np.arange(count) % 2).astype(np.int32)
    shown = rng.integers(0, 90, (count, SIZE, SIZE, 3), np.uint8)
    shown[..., :2] += np.array([[150, 0], [0, 150]], np.uint8)[label][:, None, None]
    example = ExampleSpec(
        image=Field((SIZE, SIZE, 3)),
        label=Field((), np.dtype(np.int32), "label", ("red", "green")),
    )
    arrays = {"image": shown, "label": label}
    return from_fields("domains", arrays, example=example, origin="two colors")


def test_domains_are_read_back(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(classifier_training, "LEAST", 60)
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    monkeypatch.setitem(SOURCES, "toy_domains", two_domains)
    rows = {}
    for task in (move, blind):
        monkeypatch.setitem(TASKS, task.__name__, task)
        workdir = untrained(
            tmp_path / task.__name__, dataset="toy_domains", task=task.__name__
        )
        # of the default metrics, the only one
        rows[task.__name__] = values(workdir)["rows"]
    name = "domain_accuracy"
    assert rows["move"]["generated"] == {name: 1.0, f"{name}_worst": 1.0}
    assert rows["move"]["identity"] == {name: 0.0, f"{name}_worst": 0.0}
    assert rows["blind"]["generated"] == {name: 0.5, f"{name}_worst": 0.0}
    assert rows["blind"]["identity"] == rows["move"]["identity"]
    assert "accuracy on held-out 1.0; more is better" in capsys.readouterr().out
    assert evaluate.main([f"--workdir={workdir}", "--metrics=attribute_accuracy"]) == 2
    assert "needs the column 'asked'" in capsys.readouterr().err


def test_a_preview_without_the_source_cannot_be_judged():
    """The default of `Task.preview` shows the fakes alone."""

    def play(generator, batch, keys, step):
        return Samples(batch["image"], generator(batch["source"]))

    pixels = images((4, 16, 16, 3))
    task, samples = task_with(play), Samples(pixels, pixels)
    evaluator = pair_evaluators.l1(4, task=task)
    state = evaluator.init(data.from_arrays(pixels), {"image": pixels}, METRIC_KEY)
    with pytest.raises(
        jaxgan.UsageError, match=r"columns source, fake and real .*has fake: "
    ):
        evaluator.run(state, lambda count, first=0: samples)
