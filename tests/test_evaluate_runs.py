"""Evaluation of runs: labels, pictures, kept features, statistics, processes."""

import json
import os
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from test_evaluate import values
from test_evaluate import workdir as workdir  # a fixture
from test_processes import ended, free_port
from test_train import run as train_run

import jaxgan
from jaxgan import data, evaluate
from jaxgan.evaluation import run_report
from jaxgan.evaluation.image_sets import over_devices
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.metrics.comparisons import COMPARISONS, Comparison
from jaxgan.metrics.features import EXTRACTORS
from jaxgan.reporting import load_png
from jaxgan.types import image_example

FOUR = np.arange(4)
FLAGS = ("--n=30", "--split=20")


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def conditional(pictures, tmp_path_factory):
    """A run of one step that generates each of five classes."""
    flags = {"generator_wrap": "embed", "loss": "hinge", "task": "conditional(4)"}
    flags["networks"] = "mlp((8,), (8,))"
    return train_run(
        pictures, tmp_path_factory.mktemp("conditional") / "run", 1, **flags
    )


@pytest.fixture
def seen(monkeypatch):
    """Registers `look`, a metric of labels, pixels and a picture; returns its sets."""
    all_sets = []

    class Pictured(Comparison):
        """A metric with a picture."""

        @staticmethod
        def picture(sets):
            return {"fake": sets.fake.images[FOUR], "train": sets.train.images[FOUR]}

    def look(extractor, images: bool = False):
        def compare(sets):
            all_sets.append(sets)
            return {f"look_{extractor.name}": 1.0}

        return (Pictured if images else Comparison)(extractor, compare, images=images)

    monkeypatch.setitem(COMPARISONS, "look", look)
    return all_sets


def test_fakes_have_the_labels_that_they_were_generated_for(
    conditional, seen, pictures
):
    values(conditional, "--metrics=look(random(4))", *FLAGS)
    floor, fake = seen
    with np.load(pictures) as file:
        labels = file["labels"]
    assert set(np.unique(floor.real.labels)) <= set(labels)
    assert len(floor.real.labels) == 20
    assert floor.real.labels.dtype == fake.fake.labels.dtype == np.int32
    # those of training examples, in their order
    train, _ = data.hold_out(data.load(f"npz:{pictures}"), "20", "train", data.load)
    order = data.epoch_order(0, 1, train.size)
    wanted = train.read(order[np.arange(30) % train.size])["label"]
    np.testing.assert_array_equal(fake.fake.labels, wanted)
    # no pixels, as no metric needs them
    assert fake.fake.images is fake.real.images is fake.train.images is None


def test_an_unconditional_run_has_no_labels_of_fakes(workdir, seen):
    values(workdir, "--metrics=look(random(4))", *FLAGS)
    floor, fake = seen
    assert fake.fake.labels is None
    assert fake.real.labels is not None
    assert floor.fake.labels is None  # as the samples
    assert floor.train.labels is not None


def test_metrics_of_labels_are_refused_before_anything_is_drawn(
    workdir, conditional, monkeypatch, capsys
):
    class OfLabels(Comparison):
        """A metric that needs labels."""

        labels = True

    def strict(extractor):
        return OfLabels(extractor, lambda sets: {"strict": len(sets.fake.labels)})

    monkeypatch.setitem(COMPARISONS, "strict", strict)
    flags = ("--metrics=strict(random(4))", *FLAGS)
    assert values(conditional, *flags)["metrics"]["strict"]["value"] == 30
    capsys.readouterr()
    assert evaluate.main([f"--workdir={workdir}", *flags]) == 2
    said = capsys.readouterr().err
    assert "this run is unconditional, --task=generate(4): use fd" in said
    assert said.count("\n") == 1
    images = np.zeros((9, 8, 8, 1), np.uint8)
    labelled = {"images": images, "labels": np.arange(9) % 3}
    with pytest.raises(jaxgan.UsageError, match="have not the same classes"):
        jaxgan.compare(labelled, images, "strict(random(4))")
    report = jaxgan.compare(labelled, labelled, "strict(random(4))")
    assert report["metrics"]["strict"]["value"] == 9


def test_pixels_and_pictures_of_metrics_that_want_them(workdir, seen, tmp_path):
    out = tmp_path / "values.json"
    both = "--metrics=look(random(4), images=True)|fd(random(4))"
    report = values(workdir, both, *FLAGS, "--seeds=2")
    assert len(seen) == 3  # floor and two draws
    for sets in seen:
        numbers = np.array([7, 3])
        for x in sets:
            some = x.images[numbers]
            assert some.shape == (2, 8, 8, 1)
            assert some.dtype == np.float32
            # the images of these features
            extractor = EXTRACTORS["random"](4, example=image_example((8, 8, 1)))
            features = extractor.extract(some).features
            np.testing.assert_allclose(features, x.features[numbers], atol=1e-5)
        assert [len(x.images) for x in sets] == [20, 30, 30]
    # two sets of samples, one picture beside the file
    [picture] = workdir.glob("evaluation*.png")
    assert picture.name == "evaluation-look_random.png"
    layout = load_png(picture).layout
    assert layout is not None
    assert layout.count == 4
    picture.unlink()
    # the features are those without pixels, and kept ones get pixels too
    plain = values(workdir, "--metrics=fd(random(4))", *FLAGS, "--seeds=2")
    assert plain["metrics"]["fd_random"] == report["metrics"]["fd_random"]
    seen.clear()
    assert evaluate.main([f"--workdir={workdir}", f"--out={out}", both, *FLAGS]) == 0
    assert len(seen[0].real.images) == 20
    assert (tmp_path / "values-look_random.png").exists()


def test_the_real_features_of_a_run_are_kept(workdir, monkeypatch):
    counts = []

    def counted(*, example):
        inner = EXTRACTORS["random"](4, example=example)

        def extract(images):
            counts.append(len(images))
            return inner.extract(images)

        return inner._replace(name="counted", extract=extract)

    monkeypatch.setitem(EXTRACTORS, "counted", counted)
    flags = ("--metrics=fd(counted)|memorization(counted)", *FLAGS)
    first = values(workdir, *flags)
    assert counts == [20, 380, 30]  # held out, all of training, samples
    counts.clear()
    assert values(workdir, *flags) == first
    assert counts == [30]
    counts.clear()
    assert values(workdir, *flags, "--no_cache") == first
    assert counts == [20, 380, 30]


def test_statistics_in_place_of_held_out_examples(workdir, tmp_path, capsys):
    stats = tmp_path / "s.npz"
    flags = ("--metrics=fd(random(4))", *FLAGS)
    direct = values(workdir, *flags, f"--save_stats={stats}")["metrics"]["fd_random"]
    capsys.readouterr()
    report = values(workdir, *flags, f"--against=stats:{stats}")
    for name in ("value", "floor"):
        found = report["metrics"]["fd_random"][name]
        assert found == pytest.approx(direct[name], rel=1e-9)
    assert report["protocol"]["n_real"] == 20
    assert "against the statistics of 20 of the file" in capsys.readouterr().out
    for more, message in (
        (["--n_real=5"], "leave out --n_real"),
        (["--metrics=kid(random(4))"], "which only fd can be computed from"),
        (["--metrics=fd(random(5))"], "with the digest"),
        (["--against=mnist"], "write it like stats:FILE.npz"),
        (["--compare", "ring8", "ring8"], "use either --workdir=RUN, or --compare"),
    ):
        args = [f"--workdir={workdir}", *flags, f"--against=stats:{stats}", *more]
        assert evaluate.main(args) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1


def test_the_library_returns_the_report(workdir):
    report = values(workdir, "--metrics=fd(random(4))", *FLAGS)
    found = jaxgan.evaluate_run(workdir, "fd(random(4))", n=30, split="20")
    assert json.loads(json.dumps(found)) == report
    with pytest.raises(jaxgan.UsageError, match="--n=1: must be from 2"):
        jaxgan.evaluate_run(workdir, n=1)
    with pytest.raises(jaxgan.UsageError, match="--checkpoint=first: choose last"):
        jaxgan.evaluate_run(workdir, checkpoint="first")


def test_a_run_without_checkpoints_is_refused(workdir, tmp_path, capsys):
    for name in ("config.json", "data.json"):
        (tmp_path / name).write_bytes((workdir / name).read_bytes())
    assert evaluate.main([f"--workdir={tmp_path}", "--metrics=fd(random)"]) == 2
    said = capsys.readouterr().err
    assert "checkpoint" in said
    assert said.count("\n") == 1


def test_progress_is_a_line_every_half_minute(caplog, monkeypatch):
    caplog.set_level("INFO", "jaxgan")
    seconds = iter([0.0, 10.0, 30.0, 45.0, 60.0, 90.0])
    with Progress("samples", 5_000, clock=lambda: next(seconds)) as progress:
        for _ in range(5):
            progress.advance(1_000)
    assert [x.message for x in caplog.records] == [
        "samples: 2,000 of 5,000, ETA 0:45",
        "samples: 4,000 of 5,000, ETA 0:15",
    ]
    with Progress("samples", 5, shown=False, clock=lambda: 0.0) as progress:
        progress.advance(5)


def test_progress_is_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("real images", 2_000) as progress:
        time.sleep(0.11)  # tqdm draws ten times a second at most
        progress.advance(1_000)
    shown = capsys.readouterr().err
    assert "real images:  50%" in shown
    assert "1000/2000" in shown
    # The bar is removed at the end.
    assert not shown.split("\r")[-1].strip()


def test_samples_are_the_same_on_any_number_of_devices(conditional):
    run = jaxgan.load_run(conditional)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.normal(size=(16, 8, 8, 1)).astype(np.float32),
        "label": (np.arange(16) % 5).astype(np.int32),
    }
    keys = jax.random.split(jax.random.key(0), 16)
    one, three, four = (
        over_devices(run.gan.generate, run.variables, jax.local_devices()[:n])(
            batch, keys
        )
        for n in (1, 3, 4)
    )
    assert len(four.sharding.device_set) == 4
    np.testing.assert_allclose(one, four, atol=1e-6)
    np.testing.assert_allclose(one, three, atol=1e-6)  # do not divide 16


def test_two_processes_find_what_one_finds(workdir, tmp_path):
    # 31 samples and 21 held-out examples do not divide by two
    flags = [f"--workdir={workdir}", "--n=31", "--split=21", "--seeds=2"]
    flags += ["--metrics=fd(classifier)|score(classifier)|memorization(random)"]
    address = f"127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
    }

    def start(number):
        more = [f"--coordinator={address}", "--num_processes=2"]
        more += [f"--process_id={number}", f"--out={tmp_path}/two.json", "--no_cache"]
        command = [sys.executable, "-m", "jaxgan.evaluate", *flags, *more]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )

    codes, said = ended([start(number) for number in range(2)])
    assert codes == [0, 0], said
    assert not said[1]  # process 0 prints all
    assert said[0].count("training the classifier") == 1
    assert "floor: 31 training examples against the same" in said[0]
    two = json.loads((tmp_path / "two.json").read_text())
    assert two["protocol"]["processes"] == 2
    assert evaluate.main([*flags, f"--out={tmp_path}/one.json"]) == 0
    one = json.loads((tmp_path / "one.json").read_text())
    # the weights that process 0 has trained
    assert one["protocol"]["extractors"] == two["protocol"]["extractors"]
    for name, found in one["metrics"].items():
        for key, value in found.items():
            assert two["metrics"][name][key] == pytest.approx(value, rel=1e-6), name


def test_few_examples_are_found_before_anything_is_drawn(
    workdir, conditional, monkeypatch, capsys
):
    monkeypatch.setattr(run_report, "features_of", lambda *_: pytest.fail("extracted"))
    for folder, metric, n, message in (
        (workdir, "precision_recall(random(4))", 3, "there are 3: use --n=4"),
        (conditional, "per_class_fd(random(4))", 5, "of each class, and there are"),
    ):
        flags = (f"--metrics={metric}", f"--n={n}", "--split=20")
        assert evaluate.main([f"--workdir={folder}", *flags]) == 2
        assert message in capsys.readouterr().err


def test_a_warning_is_logged_once_for_all_sets_of_samples(workdir, caplog):
    values(workdir, "--metrics=fd(random(16))", "--n=20", "--split=20", "--seeds=3")
    assert caplog.text.count("20 examples for 16 dimensions bias the Frechet") == 1
