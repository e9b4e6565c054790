"""Two sets of images, statistics in files, and the cache of real features."""

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan import data, evaluate
from jaxgan.config.evaluating import CompareConfig, free_name
from jaxgan.data.dataset import Range
from jaxgan.errors import UsageError
from jaxgan.evaluation import image_sets, statistics_files
from jaxgan.evaluation.build_metrics import check_metrics
from jaxgan.evaluation.extraction import features_of, unique
from jaxgan.evaluation.set_report import choose_images, learned_from, load_sets
from jaxgan.metrics.features import EXTRACTORS, Extractor, Features, feature_cache
from jaxgan.metrics.frechet import frechet_distance, moments


def gray(values, side=4):
    """One image of one color for each value from 0 to 255."""
    return np.broadcast_to(
        np.asarray(values, np.uint8)[:, None, None, None], (len(values), side, side, 1)
    )


def scaled(values):
    return np.asarray(values) / 127.5 - 1


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Registers `pixel`, the first pixel, and returns the sizes of its calls."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sizes = []

    def pixel(digest: str = "0" * 16, *, example):
        def extract(images):
            sizes.append(len(images))
            return Features(np.asarray(images[:, 0, 0, :1]))

        return Extractor("pixel", digest, {"layer": "pixel", "resize": "none"}, extract)

    monkeypatch.setitem(EXTRACTORS, "pixel", pixel)
    return sizes


def fd(real, fake):
    """The distance of normal distributions on a line."""
    a, b = (scaled(x) for x in (real, fake))
    return (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2


def test_the_distance_of_two_sets_is_that_of_their_moments(calls):
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 200, 50), rng.integers(90, 256, 40)
    report = jaxgan.compare(gray(real), gray(fake), "fd(pixel)", n_real=50)
    [found] = report["metrics"].values()
    assert found == {"value": pytest.approx(fd(real, fake), rel=1e-5)}
    facts = report["protocol"]
    assert (facts["n_real"], facts["n_fake"], facts["n_floor"]) == (50, 40, 0)
    assert facts["floor"] == "none, as the real set is small"
    assert facts["extractors"]["pixel"]["digest"] == "0" * 16
    # a set is at no distance from itself, and the order of the images is nothing
    same = jaxgan.compare(gray(real), gray(real[::-1]), "fd(pixel)", n_real=50)
    assert same["metrics"]["fd_pixel"]["value"] == pytest.approx(0, abs=1e-12)


def test_the_floor_is_that_of_other_real_images_if_there_are_enough(calls):
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 200, 260), rng.integers(0, 200, 130)
    report = jaxgan.compare(gray(real), gray(fake), "fd(pixel)")
    config = CompareConfig(real=None, fake=None)
    one, other = (data.from_arrays(gray(x)) for x in (real, fake))
    chosen = choose_images(one, other, config)
    assert not set(chosen.numbers) & set(chosen.others)
    expected = fd(real[chosen.numbers], real[chosen.others])
    assert report["metrics"]["fd_pixel"]["floor"] == pytest.approx(expected, rel=1e-4)
    assert report["protocol"]["floor"] == (
        "130 other examples of the real set against the same"
    )
    # all of the real images: halves, which the report says
    report = jaxgan.compare(gray(real), gray(fake), "fd(pixel)", n_real=260)
    assert report["protocol"]["floor"].startswith(
        "one half of these against the other, 130 each, which is not the floor of 130 "
        "against 260"
    )
    order = np.random.default_rng(0).permutation(260)
    numbers = np.sort(data.epoch_order(0, 0, 260))
    halves = [real[numbers[np.sort(x)]] for x in (order[:130], order[130:])]
    floor = report["metrics"]["fd_pixel"]["floor"]
    assert floor == pytest.approx(fd(*halves), rel=1e-4)


def test_the_second_evaluation_reads_the_features_of_the_first(calls, caplog):
    rng = np.random.default_rng(0)
    real, fake = (gray(rng.integers(0, 256, n)) for n in (3000, 200))
    both: dict[str, Any] = {"n_real": 3000}
    first = jaxgan.compare(real, fake, "fd(pixel)", **both)
    assert sum(calls) == 3200
    calls.clear()
    again = jaxgan.compare(real, fake, "fd(pixel)", **both)
    assert calls == [200]
    assert again == first  # to the last bit
    # other weights, images, numbers or no cache
    for images, metrics, more in (
        (real, f"fd(pixel('{'1' * 16}'))", {}),
        (255 - real, "fd(pixel)", {}),
        (real, "fd(pixel)", {"n_real": 2999}),
        (real, "fd(pixel)", {"cache": False}),
    ):
        calls.clear()
        jaxgan.compare(images, fake, metrics, **{**both, **more})
        assert sum(calls) >= 3199
    # a damaged file is ignored, and written again
    folder = feature_cache.Path(feature_cache.cache_folder() or "", "features")
    for file in folder.iterdir():
        raw = bytearray(file.read_bytes())
        raw[200] ^= 1
        file.write_bytes(raw)
    calls.clear()
    assert jaxgan.compare(real, fake, "fd(pixel)", **both) == first
    assert sum(calls) == 3200
    assert "is ignored, and its features are extracted again" in caplog.text
    calls.clear()
    assert jaxgan.compare(real, fake, "fd(pixel)", **both) == first
    assert calls == [200]


def test_a_crop_is_part_of_the_name_of_the_features(calls, tmp_path):
    rng = np.random.default_rng(0)
    for i in range(12):
        pixels = rng.integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    sets = [
        data.load(f"folder:{tmp_path}", image_size="4", crop=crop)
        for crop in ("none", "4")
    ]
    names = [feature_cache.identity(x, np.arange(12)) for x in sets]
    assert data.fingerprint(sets[0]) == data.fingerprint(sets[1])
    assert names[0] != names[1]
    assert feature_cache.identity(sets[0], np.arange(11)) != names[0]


def test_the_cache_has_a_bound_and_a_full_disk_is_no_error(
    monkeypatch, tmp_path, caplog
):
    rows = Features(np.zeros((1000, 8), np.float32), labels=np.arange(1000))
    size = 1000 * 8 * 4
    monkeypatch.setattr(feature_cache, "TOTAL", 3 * size)
    names = [f"features-{i}.npz" for i in range(4)]
    for i, name in enumerate(names):
        feature_cache.save([tmp_path], name, rows)
        if (tmp_path / name).exists():
            feature_cache.os.utime(tmp_path / name, (i, i))
    left = sorted(x.name for x in tmp_path.iterdir())
    assert names[3] in left
    assert len(left) == 2
    found = feature_cache.load([tmp_path / "none", tmp_path], names[3], 1000)
    assert found is not None
    np.testing.assert_array_equal(found.labels, np.arange(1000))
    assert found.probabilities is None
    assert feature_cache.load([tmp_path], names[3], 999) is None
    assert "its content is not what was written" in caplog.text
    # a folder that cannot be made
    (tmp_path / "file").write_text("")
    feature_cache.save([tmp_path / "file" / "x"], names[0], rows)
    assert "the features are not kept for the next evaluation" in caplog.text
    monkeypatch.setattr(feature_cache, "LARGEST", size - 1)
    feature_cache.save([tmp_path], "features-9.npz", rows)
    assert not (tmp_path / "features-9.npz").exists()


def test_statistics_in_a_file_give_the_same_distance(calls, tmp_path):
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 200, 50), rng.integers(90, 256, 40)
    np.savez(tmp_path / "a.npz", images=gray(real))
    np.savez(tmp_path / "b.npz", images=gray(fake))
    sets = [f"npz:{tmp_path}/{name}.npz" for name in "ab"]
    stats, out = tmp_path / "s.npz", tmp_path / "out.json"
    flags = ["--metrics=fd(pixel)", f"--out={out}"]
    more = ["--n_real=50", f"--save_stats={stats}"]
    assert evaluate.main(["--compare", *sets, *flags, *more]) == 0
    direct = json.loads(out.read_text())
    with np.load(stats) as file:
        np.testing.assert_allclose(file["mean"], [scaled(real).mean()], rtol=1e-6)
        expected = [[scaled(real).var(ddof=1)]]
        np.testing.assert_allclose(file["covariance"], expected, rtol=1e-6)
        assert file["count"] == 50
    against = ["--compare", f"stats:{stats}", sets[1], *flags]
    assert evaluate.main(against) == 0
    report = json.loads(out.read_text())
    value = direct["metrics"]["fd_pixel"]["value"]
    assert report["metrics"]["fd_pixel"] == {"value": pytest.approx(value, rel=1e-12)}
    facts = report["protocol"]
    assert (facts["n_real"], facts["statistics"]) == (50, "s.npz")


def refused(args, message, capsys):
    assert evaluate.main(args) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_statistics_of_other_features_are_refused(calls, tmp_path, capsys):
    some = moments(np.random.default_rng(0).normal(size=(9, 1)))
    facts: dict[str, Any] = {"layer": "pixel", "resize": "none"}
    mine = Extractor("pixel", "0" * 16, facts, lambda x: Features(x))
    np.savez(tmp_path / "b.npz", images=gray(np.arange(9)))
    file = tmp_path / "s.npz"
    args = ["--compare", f"stats:{file}", f"npz:{tmp_path}/b.npz"]
    for other, message in (
        (mine._replace(digest="1" * 16), "features of pixel with the digest 11111"),
        (mine._replace(name="pixels"), "features of pixels with the name pixels"),
        (mine._replace(protocol={**facts, "resize": "4"}), "with the resize 4, and"),
    ):
        statistics_files.save(file, some, other, "nothing")
        refused([*args, "--metrics=fd(pixel)"], message, capsys)
    statistics_files.save(file, some, mine, "nothing")
    refused([*args, "--metrics=kid(pixel)"], "which only fd can be computed", capsys)
    refused([*args, "--metrics=fd(classifier)"], "is trained on real images", capsys)
    refused([*args, "--metrics=fd(pixel)", "--n_real=5"], "leave out --n_real", capsys)
    np.savez(file, mu=np.zeros(1), sigma=np.eye(1))
    refused([*args, "--metrics=fd(pixel)"], "as pytorch-fid saves those of", capsys)
    wrong: list[dict[str, Any]] = [
        {"mean": np.zeros(1)},
        {"mu": np.zeros(2), "sigma": np.eye(3)},
        {"mu": np.array([np.nan]), "sigma": np.eye(1)},
        {"mu": np.zeros(2), "sigma": np.array([[1.0, 5.0], [-5.0, 1.0]])},
        {"mu": np.zeros(1), "sigma": -np.eye(1)},
        {"mu": np.array(["x"]), "sigma": np.eye(1)},
    ]
    for arrays in wrong:
        np.savez(file, **arrays)
        refused([*args, "--metrics=fd(pixel)"], "has no valid statistics", capsys)
    file.write_bytes(b"PK" * 40)
    refused([*args, "--metrics=fd(pixel)"], "is not an .npz file of", capsys)


def test_a_file_of_pytorch_fid_is_that_of_inception(monkeypatch, tmp_path, caplog):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(statistics_files, "FID_FEATURES", 24)
    weights = rng.normal(size=(16, 24)).astype(np.float32)

    def inception(*, example):
        return Extractor(
            "inception", "2" * 16, {}, lambda x: Features(x.reshape(-1, 16) @ weights)
        )

    monkeypatch.setitem(EXTRACTORS, "inception", inception)
    real, fake = (rng.integers(0, 256, (n, 4, 4, 1), np.uint8) for n in (60, 40))
    features = [scaled(x).reshape(-1, 16) @ weights for x in (real, fake)]
    # as pytorch-fid writes it
    np.savez(
        tmp_path / "fid.npz",
        mu=features[0].mean(0),
        sigma=np.cov(features[0], rowvar=False),
    )
    report = jaxgan.compare(f"stats:{tmp_path}/fid.npz", fake, "fd(inception)")
    expected = frechet_distance(*map(moments, features))
    assert report["metrics"]["fid"]["value"] == pytest.approx(expected, rel=1e-4)
    assert report["protocol"]["n_real"] is None
    assert "pytorch-fid resizes without anti-aliasing" in caplog.text
    assert "40 samples for 24 dimensions bias the Frechet distance" in caplog.text


MINE = '''
"""A user's module."""

import numpy as np

from jaxgan.data import SOURCES, from_arrays
from jaxgan.metrics.features import EXTRACTORS, Extractor, Features


def plain(request):
    shade = int(request.name.partition(":")[2])
    images = np.full((5, 4, 4, 1), shade, np.uint8)
    images[:2] += 1
    return from_arrays(images, name=request.name)


def bright(*, example):
    return Extractor("bright", "0" * 16, {}, lambda x: Features(x.mean((1, 2))))


SOURCES["plain"] = plain
EXTRACTORS["bright"] = bright
'''


def test_a_module_of_the_user_adds_sets_and_extractors(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "my_extractor.py").write_text(MINE)
    args = ["--compare", "plain:51", "plain:102", "--import=my_extractor"]
    out = tmp_path / "x.json"
    try:
        assert evaluate.main([*args, "--metrics=fd(bright)", f"--out={out}"]) == 0
    finally:
        data.SOURCES.pop("plain", None)
        EXTRACTORS.pop("bright", None)
    # 51 of 255 is a fifth of the range from -1 to 1
    value = json.loads(out.read_text())["metrics"]["fd_bright"]["value"]
    assert value == pytest.approx(0.4**2, rel=1e-5)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Folders and files of images that cannot be compared."""
    folder = tmp_path_factory.mktemp("sets")
    images = gray(np.arange(40), 8)
    np.savez(folder / "a.npz", images=images)
    np.savez(folder / "large.npz", images=gray(np.arange(40), 16))
    np.savez(folder / "color.npz", images=images.repeat(3, 3))
    for name in ("empty", "one", "mixed"):
        (folder / name).mkdir()
    for name, side in (("one/0", 8), ("mixed/0", 8), ("mixed/1", 9)):
        Image.fromarray(gray([7], side)[0, ..., 0]).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize(
    ("real", "fake", "flags", "message"),
    [
        ("npz:{}/a.npz", "npz:{}/large.npz", [], "resize both with --image_size=8x8"),
        ("npz:{}/a.npz", "npz:{}/color.npz", [], "with the same channels"),
        ("npz:{}/a.npz", "folder:{}/mixed", [], "pictures differ in size"),
        ("npz:{}/a.npz", "folder:{}/empty", [], "holds no pictures"),
        ("folder:{}/one", "npz:{}/a.npz", [], "has 1 image, which has no spread"),
        ("npz:{}/a.npz", "folder:{}/none", [], "there is no folder"),
        ("npz:{}/a.npz", "./pics", [], "--compare ./pics is a path"),
        ("npz:{}/a.npz", "npz:{}/a.npz", ["--n=41"], "has 40 images; use --n=40"),
        ("npz:{}/a.npz", "npz:{}/a.npz", ["--n_real=41"], "use --n_real=40"),
        ("npz:{}/a.npz", "npz:{}/a.npz", ["--n=0"], "--n=0: must be from 2"),
        ("npz:{}/a.npz", "npz:{}/a.npz", ["--raw"], "--raw is only for --workdir"),
        ("npz:{}/a.npz", "npz:{}/a.npz", ["--workdir=x"], "use either --workdir=RUN"),
        (
            "npz:{}/a.npz",
            "npz:{}/a.npz",
            ["--metrics=memorization(random)"],
            "which --compare does not have",
        ),
        (
            "npz:{}/a.npz",
            "npz:{}/a.npz",
            ["--metrics=fd(classifier)"],
            "classifier needs labels",
        ),
        (
            "npz:{}/a.npz",
            "npz:{}/a.npz",
            ["--metrics=fd(inception)"],
            "pt_inception-2015-12-05-6726825d.pth (SHA-256 6726825d0af5f729",
        ),
        (
            "npz:{}/a.npz",
            "npz:{}/a.npz",
            ["--metrics=fd(random(8))|kid(random(9))"],
            "random with two settings",
        ),
        (
            "npz:{}/a.npz",
            "npz:{}/a.npz",
            ["--metrics=precision_recall(random, 3)|precision_recall(random, 5)"],
            "precision_random twice",
        ),
        (
            "npz:{}/a.npz",
            "npz:{}/a.npz",
            ["--metrics=fd(random)|fd(random(8))", "--save_stats=s.npz"],
            "statistics are those of one extractor",
        ),
    ],
)
def test_sets_that_cannot_be_compared(
    places, monkeypatch, tmp_path, capsys, real, fake, flags, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sets = [x.format(places) for x in (real, fake)]
    refused(["--compare", *sets, "--metrics=fd(random)", *flags], message, capsys)
    assert not list(tmp_path.glob("*.json"))


def test_features_that_are_not_numbers_are_refused(
    monkeypatch, tmp_path, places, capsys
):
    monkeypatch.chdir(tmp_path)

    def broken(*, example):
        return Extractor("broken", "0" * 16, {}, lambda x: Features(x[:, 0, 0] / 0))

    def short(*, example):
        return Extractor("short", "0" * 16, {}, lambda x: Features(x[1:, 0, 0]))

    monkeypatch.setitem(EXTRACTORS, "broken", broken)
    monkeypatch.setitem(EXTRACTORS, "short", short)
    sets = ["--compare", *[f"npz:{places}/a.npz"] * 2, "--no_cache"]
    with np.errstate(divide="ignore", invalid="ignore"):
        text = "broken has NaN or infinity in features of 40 real images, first in"
        refused([*sets, "--metrics=fd(broken)"], text, capsys)
    refused([*sets, "--metrics=fd(short)"], "return one row for each image", capsys)


def test_an_earlier_file_is_not_overwritten(monkeypatch, tmp_path, places):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sets = ["--compare", *[f"npz:{places}/a.npz"] * 2, "--metrics=fd(random(4))"]
    for _ in range(2):
        assert evaluate.main(sets) == 0
    assert sorted(x.name for x in tmp_path.glob("*.json")) == [
        "evaluation-2.json",
        "evaluation.json",
    ]
    assert free_name().name == "evaluation-3.json"


def test_labels_of_classes_with_other_names_are_left_out(monkeypatch, calls):
    from jaxgan.metrics.comparisons import COMPARISONS, Comparison

    seen = []

    def look(extractor):
        def compare(sets):
            seen.append(sets)
            return {"look": 0.0}

        return Comparison(extractor, compare, images=True)

    monkeypatch.setitem(COMPARISONS, "look", look)
    images, labels = gray(np.arange(10)), np.arange(10) % 2
    real = {"images": images, "labels": labels}
    jaxgan.compare(real, real, "look(pixel)")
    np.testing.assert_array_equal(seen[-1].fake.labels, labels)
    assert seen[-1].fake.labels.dtype == np.int32
    pixels = seen[-1].real.images[np.arange(10)]
    np.testing.assert_allclose(pixels, scaled(images), atol=1e-6)
    other = {**real, "labels": np.arange(10) % 3}
    jaxgan.compare(real, other, "look(pixel)")
    np.testing.assert_array_equal(seen[-1].real.labels, labels)
    assert seen[-1].fake.labels is None
    # kept features have labels too
    jaxgan.compare(real, real, "look(pixel)")
    np.testing.assert_array_equal(seen[-1].real.labels, labels)


def test_features_larger_than_memory_are_refused(monkeypatch, calls):
    from jaxgan.evaluation import extraction

    monkeypatch.setattr(extraction, "host_bytes", lambda: 100.0)
    some = image_sets.of_dataset(
        "images", data.from_arrays(gray(np.arange(40))), np.arange(40)
    )
    extractors = unique([EXTRACTORS["pixel"](example=None)])
    with pytest.raises(UsageError, match=r"0.00 GiB are free: use --n=6"):
        features_of(some, extractors, cache=False)


def test_a_classifier_of_two_sets_is_trained_on_the_training_split(monkeypatch):
    """`mnist:test` has the classifier of runs of mnist, which test examples judge."""
    splits = {"train": (0, 60), "test": (60, 80), "train[:50%]": (0, 30)}
    calls = []

    def load(name, *, split, **others):
        assert name == "mnist"
        if split not in splits:
            raise UsageError(f"--split={split}: no such split")
        calls.append(split)
        start, stop = splits[split]
        labels = np.arange(stop - start) % 2
        images = {"images": gray(np.arange(start, stop)), "labels": labels}
        stored = Range("mnist", start, stop)
        return real_load(images)._replace(name=split, ranges=(stored,))

    real_load = data.load

    def either(which, **others):
        own = load if isinstance(which, str) else real_load
        return own(which, **others)

    monkeypatch.setattr(data, "load", either)

    def learned(split, metrics):
        config = CompareConfig(
            real=f"mnist:{split}", fake=gray(np.arange(4)), metrics=metrics
        )
        real, _ = load_sets(config)
        found = learned_from(real, config, check_metrics(metrics))
        return [x and x.name for x in found]

    assert learned("test", "fd(classifier)") == ["train", "test"]
    assert learned("train", "fd(classifier)") == ["train", None]
    # These are among the training examples, so that they cannot test it.
    assert learned("train[:50%]", "fd(classifier)") == ["train[:50%]", None]
    calls.clear()
    assert learned("test", "fd(random)|ms_ssim") == ["test", None]
    assert calls == ["test"]  # nothing is loaded that is not needed
    del splits["train"]
    assert learned("test", "fd(classifier)") == ["test", None]
