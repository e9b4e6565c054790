"""Checks that tasks and networks fit the data: sources, pairs, sizes and channels."""

import dataclasses
import json

import pytest

from jaxgan import train
from jaxgan.config.resolve import make_config, to_dict
from jaxgan.errors import UsageError
from jaxgan.training.trainer import check_flags

PATCH = "discriminator=patch(2, layers=1, conditional=False)"
SRRESNET = f"image_to_image(generator=srresnet(2, 1), {PATCH})"
UNET = f"image_to_image(generator=unet(2, depth=1), {PATCH})"


def test_another_run_in_the_workdir_is_named_before_its_data_are_read(tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    old = to_dict(make_config(dataset="folder:a", preset="inpaint"))
    (folder / "config.json").write_text(json.dumps({**old, "eval_metrics": "l1"}))
    given = [f"--workdir={folder}", "--dataset=folder:nowhere"]
    assert train.main([*given, "--preset=cyclegan"]) == 2
    said = capsys.readouterr().err
    assert "holds a run with a different config" in said
    assert 'task is "inpainting(\'any\')" in the run and "unpaired" now' in said
    # The place of the data alone may differ: they are looked at first.
    assert train.main([*given, "--preset=inpaint"]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_flags_that_the_run_settles_are_not_compared(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    config = make_config(dataset="ring8", workdir=str(folder), batch_per_device=8)
    check_flags(config)
    settled = {"batch_size": 16, "devices": 2, "eval_metrics": "l1", "steps": 5}
    (folder / "config.json").write_text(json.dumps({**to_dict(config), **settled}))
    check_flags(config)
    with pytest.raises(UsageError, match=r'loss is .* in the run and "wgan" now'):
        check_flags(dataclasses.replace(config, loss="wgan"))
    check_flags(dataclasses.replace(config, loss="wgan", dry_run=True))
