"""The examples in CONTRIBUTING.md, as they stand there."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan import train
from jaxgan.data import SOURCES
from jaxgan.metrics import EVALUATORS
from jaxgan.networks import NETWORKS
from jaxgan.tasks import TASKS

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", TEXT, re.DOTALL)


def test_there_is_one_of_each_kind_and_none_is_long():
    assert [name for name, _ in BLOCKS] == ["disks", "denoise", "filters", "error"]
    assert all(len(code.splitlines()) < 25 for _, code in BLOCKS)


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """The modules, in a folder from which they are imported."""
    for name, code in BLOCKS:
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield ",".join(name for name, _ in BLOCKS)
    for name, _ in BLOCKS:
        sys.modules.pop(name, None)
        for table in (SOURCES, TASKS, NETWORKS, EVALUATORS):
            table.pop(name, None)


def test_their_command_trains(modules, tmp_path):
    [command] = re.findall(r"jaxgan\.train (--import=disks.*?)\n\n", TEXT, re.DOTALL)
    flags = command.replace("\\\n", " ").replace("'", "").split()
    assert flags[0] == f"--import={modules}"
    short = ["--steps=4", "--log_every=2", "--save_every=2", "--batch_size=8"]
    short += ["--samples=3", "--score_samples=16", f"--workdir={tmp_path}/run"]
    assert train.main([*flags, *short, "--devices=1"]) == 0
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    named = {name for row in rows for name in row}
    # the first metric is the score; the second one is logged beside it
    assert {"score", "eval/sliced_wasserstein", "generator/feature_matching"} <= named
    # disks are -1 and 1, and fakes, in (-1, 1), are not them yet
    assert 0.2 < rows[0]["score"] < 1.5
    with Image.open(max((tmp_path / "run/samples").glob("*.png"))) as picture:
        pixels = np.asarray(picture)
    # a tile of source, fake and real is 48 x 16 pixels; three are one above the other
    assert pixels.shape == (2 + 3 * 18, 2 + 50)
    sources, real = pixels[2:18, 2:18], pixels[2:18, 34:50]
    assert set(np.unique(real)) == {0, 255}
    assert abs(sources.astype(int) - real).mean() > 10
