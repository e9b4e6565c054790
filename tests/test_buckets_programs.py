"""Programs that read runs in a bucket, on an emulator: what they find and change."""

import json
import urllib.request

import anomaly_toys
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from anomaly_toys import HELD
from buckets import NAME, emulated
from games import same
from PIL import Image
from slow import slow
from viewers import served

from jaxgan import (
    apply,
    evaluate,
    export,
    invert,
    plan,
    report,
    sample,
    score,
    train,
)
from jaxgan.errors import UsageError
from jaxgan.evaluation import score_reference
from jaxgan.evaluation.load_run import load_run
from jaxgan.experiment import init_from
from jaxgan.storage import remote
from jaxgan.tasks import TASKS
from jaxgan.tasks.generate import generate
from jaxgan.types import AnomalyParts

pytestmark = pytest.mark.usefixtures("quick_compilation")

URL = f"gs://{NAME}/runs/1"

TINY = [
    *("--batch_size=2", "--steps=2", "--samples=2", "--score_samples=2", "--d_terms="),
    *("--loss=least_squares", "--devices=1", "--eval_metrics=sliced_wasserstein"),
]
TINY += [
    *("--dataset=spots", "--normal=good", "--task=scored", f"--held_out={HELD}"),
    *("--networks=mlp(g=(4,), d=(4,))", "--score_weights=task"),
]

LEASE = ".lease-00000009.json"
"""Of a run on another machine."""


def scored(*, example=None):
    """Generates from noise, and scores by the distance to a sample."""

    def score(generator, critic, inputs, keys):
        x = inputs["image"]
        back = generator(jnp.zeros((len(x), 4)))
        logits = critic(x).logits
        return AnomalyParts(back, jnp.square(x - back).mean(-1), jnp.square(logits), {})

    return generate(4, example=example)._replace(score=score)


def mapping(*, example=None):
    """Maps all images to one sample."""

    def transform(generator, inputs, keys):
        return generator(jnp.zeros((len(inputs["source"]), 4)))

    return generate(4, example=example)._replace(transform=transform)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache folder of this module alone."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def emulator(cache):
    """An emulator with a run, which another machine writes."""
    before = dict(TASKS)
    with emulated() as made, anomaly_toys.registered():
        TASKS["scored"] = scored
        assert train.main([*TINY, f"--workdir={URL}"]) == 0
        owner = json.dumps({"host": "other", "pid": 7}).encode()
        assert remote.Remote(URL).create(LEASE, owner)
        yield made
    TASKS.clear()
    TASKS.update(before)


def changes(emulator, first):
    """The requests from number `first` on that change objects."""
    requests = emulator.requests[first:]
    assert requests
    return [x for x in requests if x.split()[0] not in ("GET", "HEAD")]


def test_readers_write_their_results_alone(emulator, tmp_path, monkeypatch):
    store, out, run = remote.Remote(URL), tmp_path, f"--workdir={URL}"
    before, first = store.files(), len(emulator.requests)
    spot = str(out / "spot.png")
    Image.fromarray(np.uint8(anomaly_toys.TESTS[0, ..., 0])).save(spot)

    assert sample.main([run, "--n=2", f"--out={out}/s.npz"]) == 0
    assert export.main([run, "--format=npz", f"--out={out}/export"]) == 0
    assert invert.main([run, spot, "--steps=1", f"--out={out}/i.png"]) == 0
    with monkeypatch.context() as patch:
        patch.setitem(TASKS, "scored", mapping)
        assert apply.main([run, spot, f"{out}/applied.png"]) == 0
    assert score.main([run, spot, f"--out={out}/1.csv"]) == 0
    # The scores of held-out examples are computed once, and kept in the copy.
    with monkeypatch.context() as patch:
        patch.setattr(score_reference, "compute", None)
        assert score.main([run, spot, f"--out={out}/2.csv"]) == 0
    assert (out / "1.csv").read_text() == (out / "2.csv").read_text()
    with served(run) as address:
        assert urllib.request.urlopen(f"{address}/", timeout=60).read()
    # Another run starts from it, but not itself.
    opened = load_run(URL)
    source = init_from.source_of(f"{URL}:last", False)
    assert source is not None
    init_from.check_source(source, 1)
    with pytest.raises(UsageError, match="is the --workdir of this run"):
        init_from.check_other(source, URL)
    init_from.check_other(source, out / "other")
    shapes = jax.eval_shape(opened.gan.init, jax.random.key(0))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    started = init_from.start_from(zeros, source, 1)
    newest = opened.restore_players(raw=True)[1]
    same(started.params.generator, newest.generator["params"])
    same(started.params.discriminator, newest.discriminator["params"])
    assert not changes(emulator, first)

    # The results that belong to the run are in the bucket, and nothing else changes.
    assert evaluate.main([run, "--autoencoder_steps=0"]) == 0
    assert report.main([run]) == 0
    assert report.main([run, "--compare", URL]) == 0
    results = {"evaluation.json", "evaluation-anomalies.png", "comparison.html"}
    results |= {"report.html"}
    assert len(changes(emulator, first)) == len(results)
    after = store.files()
    assert set(after) == {*before, *results}
    assert LEASE in after
    assert {name: after[name] for name in before} == before
    assert json.loads(store.read("evaluation.json") or b"")["metrics"]
    assert b"evaluation.json" in (store.read("report.html") or b"")


@pytest.mark.parametrize("topology", [slow("local")])
def test_plans_read_a_bucket(emulator, topology):
    store, first = remote.Remote(URL), len(emulator.requests)
    before = store.files()
    flags = ["--dataset=ring8", "--networks=mlp(g=(8,), d=(8,))", "--batch_size=8"]
    flags += [f"--workdir={URL}", f"--topology={topology}"]
    assert plan.main(flags) == 0
    assert store.files() == before
    assert not changes(emulator, first)
