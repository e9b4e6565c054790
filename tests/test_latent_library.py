"""Rows of samples as a library: `sheet_run`."""

import re
from pathlib import Path

import numpy as np
import pytest
from style_toys import runs_in

import jaxgan
from jaxgan import sample
from jaxgan.errors import UsageError

pytestmark = pytest.mark.usefixtures("quick_compilation")

GUIDE = Path(__file__).parent.parent / "docs/guides/latents.md"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by kind: without labels, with labels or attributes, and with styles."""
    with runs_in(tmp_path_factory.mktemp("library")) as found:
        yield found


PROGRAM = [
    ("plain", {"between": (3, 17), "interpolate": "linear", "n": 3}),
    ("plain", {"interpolate": "spherical", "n": 9, "seed": 2}),
    ("plain", {"directions": 2, "seed": 4, "truncation": 0.7}),
    ("embed", {"labels": "2,0", "n": 3, "truncation": 0.5}),
    ("embed", {"between_labels": ("2", "0"), "n": 3}),
    ("traits", {"sheet": "hat", "n": 2, "attributes": "beard=1"}),
    ("styled", {"style_mixing": 1, "n": 2, "label": "1"}),
]
"""Runs and arguments."""


@pytest.mark.parametrize(("name", "given"), PROGRAM)
def test_rows_are_those_of_the_program(runs, tmp_path, name, given):
    out = tmp_path / "a.npz"
    texts = {
        k: ",".join(map(str, x)) if isinstance(x, tuple) else x
        for k, x in given.items()
    }
    flags = [f"--{k}={x}" for k, x in texts.items()]
    assert sample.main([f"--workdir={runs[name]}", f"--out={out}", *flags]) == 0
    found = jaxgan.sheet_run(runs[name], **given)
    assert found.samples.dtype == np.uint8
    # The first row of mixed styles, which are mixed, is only in pictures.
    samples = found.samples["style_mixing" in given :]
    with np.load(out) as file:
        stored = dict(file)
    wanted = stored.pop("samples")
    np.testing.assert_array_equal(samples.reshape(wanted.shape), wanted)
    for key in ("classes", "attribute_names"):
        stored.pop(key, None)
    assert str(stored.pop("space", "")) == found.space
    own = dict(found.arrays)
    if found.latents is not None:
        own["latents"] = found.latents
    assert set(own) == set(stored)
    for key, value in own.items():
        assert value.reshape(stored[key].shape).tolist() == stored[key].tolist(), key


def test_rows_have_captions(runs):
    assert jaxgan.sheet_run(runs["embed"], labels=[0, 2], n=2).captions == ("0", "2")
    found = jaxgan.sheet_run(runs["traits"], sheet="hat", n=3)
    assert found.captions == ("hat=0", "hat=1")
    assert found.samples.shape == (2, 3, 8, 8, 1)
    assert found.arrays["attributes"][:, :, 1].tolist() == [[0] * 3, [1] * 3]
    found = jaxgan.sheet_run(runs["plain"], between="1-3", n=2)
    assert found.captions == ("1 to 2", "2 to 3")
    assert found.latents is not None
    assert found.latents.shape == (2, 2, 4)


def test_a_walk_has_frames(runs):
    found = jaxgan.sheet_run(runs["plain"], frames=10, n=2)
    assert found.samples.shape == (10, 2, 8, 8, 1)
    assert found.captions == ()
    # Two frames for each of the seeds 0 to 4, whose own samples are every other one.
    still = jaxgan.sample_run(runs["plain"], 2, seed=3).samples.astype(int)
    np.testing.assert_allclose(found.samples[6], still, atol=1)
    found = jaxgan.sheet_run(runs["plain"], between=(3, 1), frames=4, n=2)
    np.testing.assert_allclose(found.samples[0], still, atol=1)


REFUSED = [
    ({}, "nothing to show in rows: name it, such as labels='all'"),
    ({"labels": "all"}, "this run is unconditional"),
    ({"between": (3,)}, "--between=3: name from 2 to 64 seeds"),
    ({"between": (3, 4), "directions": 2}, "no use for --directions: leave it out"),
    ({"between": (3, 4), "seed": 1}, "--between has no use for --seed"),
    ({"between": (3, 4), "n": 1}, "--n=1: --between needs from 2 to 256"),
    ({"directions": 2, "frames": 4}, "is one picture: leave out --frames"),
    ({"frames": 1}, "--frames=1: must be from 2 to 2,000"),
    ({"frames": 9, "n": 0}, "--n=0: --frames needs from 1 to 256"),
    ({"frames": 9, "seed": 1}, "--seed=1: a walk goes through several seeds"),
    ({"interpolate": "curved", "n": 9}, "choose spherical or linear"),
    ({"interpolate": "linear", "n": 10}, "rows of 4 samples are not full: use --n=12"),
    ({"style_mixing": 1}, "has no styles"),
    ({"directions": 2, "truncation": -1.0}, "--truncation=-1: must be from 0 to 10"),
    ({"directions": 2, "checkpoint": "first"}, "choose last, best or a step"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_arguments_that_do_not_fit(runs, given, message):
    with pytest.raises(UsageError) as error:
        jaxgan.sheet_run(runs["plain"], **given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_example_of_the_guide(runs, capsys):
    text = GUIDE.read_text()
    [code] = re.findall(r"## As a library.*?```python\n(.*?)```", text, re.DOTALL)
    code = code.replace("runs/mnist-conditional", str(runs["embed"]))
    exec(compile(code.replace('"7"', '"1"'), str(GUIDE), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "(3, 8, 8, 8, 1) ('0', '1', '2')"
    assert lines[1] == "(2, 8, 4) z"
    assert lines[2].startswith("(4, 4) [")
    assert lines[3] == "(30, 4, 8, 8, 1)"
