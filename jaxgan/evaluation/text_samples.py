"""Samples of texts: the temperature, the prompt, and files of lines."""

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxgan import data, reporting
from jaxgan.config.sampling import SampleConfig, seed_path
from jaxgan.data.text import is_characters, split_tokens
from jaxgan.errors import UsageError, short_repr
from jaxgan.evaluation.sample_files import usual_file, written
from jaxgan.files import atomic_write
from jaxgan.types import ExampleSpec, Field, Tree

LEAVE_OUT = "leave it out"


def check(config: SampleConfig, example: ExampleSpec) -> bool:
    """Returns True if samples are texts, and checks the flags for them.

    Raises:
      UsageError: naming the flag, if samples are no texts and the flag is for these, or
        if the prompt does not fit.
    """
    field = example[example.generated]
    if field.kind == "tokens":
        prompt_ids(config.prompt, field)
        return True
    usual = f"use --out={usual_file(field)}"
    wrong = {
        f"--temperature={config.temperature:g}": (config.temperature != 1, LEAVE_OUT),
        f"--prompt={short_repr(config.prompt)}": (bool(config.prompt), LEAVE_OUT),
        f"--out={config.out}": (config.out.suffix == ".txt", usual),
    }
    for flag, (is_given, remedy) in wrong.items():
        if is_given:
            raise UsageError(
                f"{flag} is for runs that write texts, and this one generates "
                f"{field.kind}s: {remedy}"
            )
    return False


def prompt_ids(prompt: str, field: Field) -> np.ndarray:
    """Returns the numbers of a prompt's tokens, and -1 after them, `[length]` int32.

    Raises:
      UsageError: if it is too long, or has a token that the vocabulary lacks.
    """
    kind = "characters" if is_characters(field.names) else "words"
    tokens, length = split_tokens(prompt, kind), field.shape[0]
    if len(tokens) > length:
        raise UsageError(
            f"--prompt has {len(tokens)} {kind}, and texts of this run have up to "
            f"{length}: use a shorter one"
        )
    for token in tokens:
        if token not in field.names:
            raise UsageError(
                f"--prompt: {short_repr(token)} is not in the vocabulary of this run: "
                f"use other {kind}"
            )
    ids = np.full(length, -1, np.int32)
    ids[: len(tokens)] = [field.names.index(token) for token in tokens]
    return ids


def change_of(config: SampleConfig, field: Field) -> Callable[[Tree], Tree]:
    """Returns a function that adds temperature and prompt to a generator's inputs."""
    ids = jnp.asarray(prompt_ids(config.prompt, field))

    def change(inputs):
        # The same generator is also called with texts, for their likelihood.
        if not isinstance(inputs, dict) or "temperature" not in inputs:
            return inputs
        heat = inputs["temperature"]
        prompt = jnp.broadcast_to(ids, (len(heat), *ids.shape))
        return {**inputs, "temperature": heat * config.temperature, "prompt": prompt}

    return change


def write(
    config: SampleConfig, seed: int, ids: np.ndarray, field: Field
) -> tuple[Path, str]:
    """Writes the texts of a seed: one a line, as a picture, or their numbers.

    Args:
      config: the output path. An .npz holds `samples`, the numbers of tokens `[n,
        length]` int32 (or rows), and `names`, the vocabulary.
      seed: of the samples.
      ids: numbers of tokens, `[n, length]`.
      field: with the vocabulary.

    Returns:
      The path, and what to say about the texts.

    Raises:
      UsageError: if the file cannot be written.
    """
    path, texts = (
        seed_path(config.out, seed, config.seeds),
        data.decode(ids, field.names),
    )
    with written(path):
        if path.suffix == ".png":
            reporting.save_png(path, reporting.draw_texts(texts))
        elif path.suffix == ".txt":
            lines = "".join(f"{reporting.as_line(text)}\n" for text in texts)
            atomic_write(path, lines.encode())
        else:
            content = io.BytesIO()
            names = np.array(field.names)
            np.savez_compressed(content, samples=ids, names=names)
            atomic_write(path, content.getvalue())
    return path, repetition(texts)


def repetition(texts: list[str]) -> str:
    """Returns how many of some texts are different, in words.

    >>> repetition(["a", "b", "a", "a"]), repetition(["a", "b"])
    ('2 different ones, "a" 3 times', 'all different')
    """
    counts = Counter(texts)
    if len(counts) == len(texts):
        return "all different"
    text, most = counts.most_common(1)[0]
    shown = reporting.as_line(text)
    shown = shown if len(shown) <= 40 else f"{shown[:40]}..."
    return f'{len(counts):,} different ones, "{shown}" {most:,} times'
