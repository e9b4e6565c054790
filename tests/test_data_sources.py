"""Names of data sets, and what is said of those that are none."""

from pathlib import Path

import numpy as np
import pytest

from jaxgan import data
from jaxgan.config.evaluating import split_name
from jaxgan.data import sources
from jaxgan.errors import UsageError


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./pics", "--dataset=./pics is a path: did you mean folder:./pics?"),
        ("pics/", "did you mean folder:pics/?"),
        ("/data/pics", "did you mean folder:/data/pics?"),
        ("~/pics", "did you mean folder:~/pics?"),
        ("C:\\pics", "did you mean folder:C:\\pics?"),
        ("x.npz", "did you mean npz:x.npz?"),
        ("~/x.NPZ", "did you mean npz:~/x.NPZ?"),
        ("here", "did you mean folder:here?"),
        ("x.txt", "--dataset=x.txt is a path: did you mean text:x.txt?"),
        ("./x.TXT", "did you mean text:./x.TXT?"),
        ("a b.txt", "did you mean text:a b.txt?"),
        ("takes/7.wav", "--dataset=takes/7.wav is a path: did you mean audio:takes?"),
        ("x.flac", "did you mean audio:.?"),
        ("~/takes/x.Mp3", "did you mean audio:~/takes?"),
        ("notes.md", "--dataset=notes.md is a file of another form: save the pictures"),
        ("./clip.mp4", "is a file of another form: save the pictures in a folder"),
        ("fodler:pics", "did you mean folder:pics?"),
        ("Folder:pics", "did you mean folder:pics?"),
        ("imagefolder:pics", "did you mean folder:pics?"),
        ("NPZ:x.npz", "did you mean npz:x.npz?"),
        ("gs://bucket/x", "--dataset=gs://bucket/x: only local paths"),
        ("npz:gs://b/x.npz", "npz:gs://b/x.npz: only local paths are supported; use "),
        ("folder:s3://b/x", "use one such as folder:some/path"),
        ("npz:" + "a" * 5_000, "a file name has at most 255 bytes"),
        ("a" * 5_000, "TFDS has no such set"),
        ("npz:~nobody-of-that-name/x", "there is no such home folder"),
        ("ring8:4", "--dataset=ring8:4: ring8 takes no path; use --dataset=ring8"),
        ("stacked_mnist:x", "takes no path; use --dataset=stacked_mnist"),
    ],
)
def test_names_that_are_none(name, message, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "notes.md").touch()
    (tmp_path / "clip.mp4").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        data.load(name)
    assert message in str(error.value)
    assert sorted(x.name for x in tmp_path.iterdir()) == [
        "clip.mp4",
        "here",
        "notes.md",
    ]


@pytest.mark.parametrize("name", sorted(data.WHOLE_NAMES - {"tiny_shakespeare"}))
def test_whole_names_take_no_path(name):
    with pytest.raises(UsageError, match=f"{name} takes no path"):
        data.load(f"{name}:4")


@pytest.mark.parametrize("name", ["names", "ring8"])
def test_a_split_follows_a_whole_name(name):
    paths = set(data.SOURCES) - data.WHOLE_NAMES
    assert split_name(f"{name}:test", paths) == (name, "test")


@pytest.mark.parametrize(
    ("path", "meant"),
    [("x.txt", "text:x.txt"), ("a/x.wav", "audio:a"), ("x.wav", "audio:.")],
)
def test_the_path_of_a_text_or_sound_names_the_set(path, meant):
    with pytest.raises(UsageError) as error:
        data.load(Path(path))
    assert str(error.value).endswith(f"or .npy file: use the name '{meant}'")


def test_home_is_expanded_in_every_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "x.npz", images=np.zeros((3, 8, 8), np.uint8))
    assert data.load("npz:~/x.npz").size == 3
    with pytest.raises(UsageError, match=f"there is no folder {tmp_path}/pics"):
        data.load("folder:~/pics")
    asked = []
    monkeypatch.setitem(sources.SOURCES, "probe", lambda x: asked.append(x.data_dir))
    with pytest.raises(AttributeError):  # the probe gives no data
        data.load("probe", data_dir="~/sets")
    assert asked == [str(Path(tmp_path, "sets"))]
    for place, words in (
        ("~nobody-of-that-name/x", "TFDS_DATA_DIR=~nobody-of-that-name/x: there is no"),
        ("gs://bucket", "TFDS_DATA_DIR=gs://bucket: name a folder"),
    ):
        monkeypatch.setenv("TFDS_DATA_DIR", place)
        for name in ("mnist", "stacked_mnist"):
            with pytest.raises(UsageError, match=words):
                data.load(name)
    monkeypatch.setenv("TFDS_DATA_DIR", "~/sets")
    request = sources.Request("mnist", "train", None, sources.Frame())
    assert sources._placed(request).data_dir == str(Path(tmp_path, "sets"))


@pytest.mark.parametrize("size", ["\u00b2", "\u0663", "8x\u0663", "9" * 50])
def test_sizes_in_other_digits(pictures, size):
    with pytest.raises(UsageError, match="is not a size: use 64, or 48x64"):
        data.load(f"npz:{pictures}", image_size=size)
