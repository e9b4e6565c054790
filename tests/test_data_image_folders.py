"""Runs on pairs, unpaired domains and several domains: resumed, streamed, exchanged."""

import numpy as np
import pytest
from games import same
from PIL import Image
from test_data_changed import opened, refusal
from test_kinds import final_state
from test_train import argv

from jaxgan import train, workdir

RANDOM = np.random.default_rng(0)
KINDS = {
    "pairs": "pairs:{root}",
    "unpaired": "unpaired:{root}/A,{root}/B",
    "domains": "domains:{root}",
}


def save(file) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, (8, 8)).astype(np.uint8)).save(file)


def fill(root, kind) -> str:
    """16 pictures in each of A and B; returns the name of the data set."""
    for side in "AB":
        for i in range(16):
            save(root / side / f"{i:02}.png")
    return KINDS[kind].format(root=root)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", "AB")
def test_an_exchanged_picture_is_refused_or_accepted(tmp_path, kind, side):
    name, folder = fill(tmp_path / "set", kind), tmp_path / "run"
    before = opened(folder, name)
    assert opened(folder, name) == before
    fields = workdir.read_data(folder).get("fields", {})
    assert list(fields) == ([] if kind == "domains" else ["image", "source"])
    save(tmp_path / "set" / side / "07.png")
    said = refusal(folder, name)
    assert f'fingerprint is "{before["fingerprint"]}" in the run' in said
    assert "--data_changed=accept" in said
    after = opened(folder, name, data_changed="accept")
    assert after["fingerprint"] != before["fingerprint"]
    # The same examples in another place are the same data.
    (tmp_path / "set").rename(tmp_path / "moved")
    assert opened(folder, KINDS[kind].format(root=tmp_path / "moved")) == after


def trained(root, dataset, kind, **flags):
    """The last state of two steps."""
    folder = root / f"run-{kind}"
    flags = argv(
        root, folder, 2, input=kind, held_out="none", preset="default", **flags
    )
    assert train.main([*flags, f"--dataset={dataset}"]) == 0
    return final_state(folder, 2)


def test_streamed_pictures_are_those_on_the_device(tmp_path):
    dataset = fill(tmp_path / "set", "unpaired")
    flags = {"on_bad_example": "skip"}
    # One that cannot be read, and is replaced alike.
    whole = (tmp_path / "set/A/03.png").read_bytes()
    (tmp_path / "set/A/03.png").write_bytes(whole[:60])
    one, other = (trained(tmp_path, dataset, x, **flags) for x in ("device", "host"))
    same(one, other)
