"""Images of several domains, and folders on the wrong level."""

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.errors import UsageError


def fill(root, *names: str) -> None:
    """A picture at each place, each of its own gray."""
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(root / name)


def layout(text: str) -> list[str]:
    """Two pictures in each folder of a list."""
    return [f"{folder}/{i}.png" for folder in text.split() for i in (1, 2)]


def load(path, **options) -> data.Dataset:
    return data.load(f"domains:{path}", **options)


def refused(path, match: str, **options) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)


def test_folders_are_domains(tmp_path):
    fill(tmp_path, *layout("photos paintings drawings/deep"))
    dataset = load(tmp_path)
    assert dataset.classes == ("drawings", "paintings", "photos")
    assert list(dataset.example) == ["image", "label"]
    out = data.read_all(dataset)
    assert out["label"].tolist() == [0, 0, 1, 1, 2, 2]
    assert out["image"][:, 0, 0, 0].tolist() == [4, 5, 2, 3, 0, 1]


def test_splits_are_above_domains(tmp_path):
    fill(tmp_path, *layout("train/a train/b train/c"), "test/b/1.png")
    assert load(tmp_path).size == 6
    test = load(tmp_path, split="test")
    assert (test.size, test.classes) == (1, ("a", "b", "c"))
    assert test.read(np.arange(1))["label"].tolist() == [1]
    _, held = data.hold_out(
        load(tmp_path), "auto", "train", lambda split: load(tmp_path, split=split)
    )
    assert held
    assert held.size == 1


@pytest.mark.parametrize(
    ("names", "match"),
    [
        # One level up.
        ("set/a set/b", r"set/ holds the folders a/, b/: .* use domains:.*/set$"),
        # One level up, with several sets.
        ("x/a x/b y/a y/b", r"x/ and the others each hold .* a/, b/: .*domains:.*/x$"),
        # Splits below domains.
        ("a/train a/test b/train b/test", "move a/test/ to test/a/, and the others"),
        ("a/train b/train", "splits belong above the domains"),
        ("a/train b/train b/val", "splits belong above the domains"),
        # Splits without domains.
        ("train test", r"train holds pictures, .* \(test/, train/ are splits, not"),
        # Splits as domains.
        ("train photos", "train/ is named like a split, and stands beside photos/"),
        ("trainA trainB testA testB", "testA/, trainA/ look like splits of one domain"),
        ("train_x val_x y", r"train_x/, val_x/ look like .* train/x and test/x"),
        # Too little.
        ("a", "there is one domain, a/, and at least 2"),
        ("train/a test/a", "there is one domain, a/"),
    ],
)
def test_wrong_levels(tmp_path, names, match):
    fill(tmp_path, *layout(names))
    refused(tmp_path, match)


@pytest.mark.parametrize(
    "names", ["a/images b/images", "a/x a/y b/x b/z", "a/x a/y b", "trainA trainB"]
)
def test_levels_that_are_fine(tmp_path, names):
    fill(tmp_path, *layout(names))
    assert len(load(tmp_path).classes) == 2


def test_the_named_folder_is_a_domain(tmp_path):
    fill(tmp_path, *layout("a b"))
    refused(tmp_path / "a", "no folder for each domain; .* or use the folder above")
    fill(tmp_path, "loose.png")
    refused(tmp_path, "beside .loose.png. and inside")


def test_domains_that_are_too_small(tmp_path):
    fill(tmp_path, *layout("a b"), "c/1.png")
    refused(tmp_path, "c/ holds one picture, and a domain needs at least 2")
    refused(tmp_path / "none", "there is no folder")


def test_flags_and_names(tmp_path):
    fill(tmp_path, *layout("a b"))
    refused(tmp_path, "--label_field=a", label_field="a")
    assert load(tmp_path, image_size="2").shape == (2, 2, 1)
    assert data.same_place(f"domains:{tmp_path}", f"domains:{tmp_path}/a/..")
    for name in ("domain", "Domains"):
        with pytest.raises(UsageError, match="did you mean domains:"):
            data.load(f"{name}:{tmp_path}")


def test_a_changed_or_damaged_file(tmp_path):
    fill(tmp_path, *layout("a b"))
    before = data.fingerprint(load(tmp_path))
    fill(tmp_path, "b/2.png")
    assert data.fingerprint(load(tmp_path)) != before
    (tmp_path / "b/2.png").write_bytes(b"")
    refused(tmp_path, r"b/2\.png cannot be read as a picture")
