"""Loading of data sets by name, from all sources."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.data.audio import Listening, audio, check_listening
from jaxgan.data.clauses import kjv_clauses
from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import domains
from jaxgan.data.folder import folder
from jaxgan.data.listing import PREFIXES
from jaxgan.data.names import names
from jaxgan.data.npz import npz, of_mapping
from jaxgan.data.pairs import pairs
from jaxgan.data.record_set import FORMATS, record_set
from jaxgan.data.request import Request, paths_of
from jaxgan.data.resize import Frame, parse_frame
from jaxgan.data.roles import Choice
from jaxgan.data.shakespeare import tiny_shakespeare
from jaxgan.data.stacked_mnist import stacked_mnist
from jaxgan.data.suggestions import ARRAYS, KINDS, check_prefix, suggest
from jaxgan.data.text_set import TextReading, check_reading, text
from jaxgan.data.tfds.reader import tfds_set
from jaxgan.data.toy import grid25, ring8
from jaxgan.data.unpaired import unpaired
from jaxgan.data.words import wamerican
from jaxgan.errors import UsageError, printable
from jaxgan.files import local_path

LOG = logging.getLogger("jaxgan")

TEXTS = ("text", "tiny_shakespeare")
"""Data sets that become examples as users choose, by the part of a name before its
first colon."""


def load(
    name: str | Path | Mapping[str, Any] | Any,
    *,
    split: str = "train",
    data_dir: str | None = None,
    image_size: str | None = None,
    crop: str = "center",
    image_field: str | None = None,
    label_field: str | None = None,
    alpha: str = "auto",
    on_bad_example: str = "stop",
    rate: int = 0,
    seconds: float = 1.024,
    loudness: str = "rms",
    text: TextReading | None = None,
) -> Dataset:
    """Loads a data set, and logs its origin.

    Args:
      name: one of `SOURCES`, such as `ring8`, `npz:PATH` or `pairs:PATH`, or a data set
        of TFDS such as `mnist`; or the Path of a folder or of an `.npz` or `.npy` file;
        or an array of images; or several arrays by name, as in an `.npz` file.
      split: the split, such as `test` or `train[:50%]`.
      data_dir: the folder in which sets of TFDS are prepared; its default if None.
      image_size: the size to which images are resized, `64` or `48x64`.
      crop: the crop before resizing, `center`, `none` or a size such as `108`.
      image_field: the array or feature that holds the images, if that is ambiguous.
      label_field: the array, feature or column of `metadata.csv` that holds the labels;
        `none` for no labels.
      alpha: transparent pixels of `folder:PATH`: `auto`, `keep`, `white` or `black`.
      on_bad_example: `stop`, or `skip` to accept images with damaged headers. Reading
        those raises `BadExample`, unless `skip_bad_examples` replaces them.
      rate: samples per second to which sounds are resampled; 0 for that of the first.
      seconds: length to which sounds are cut or padded.
      loudness: the normalization of sounds: `rms`, `peak` or `none`.
      text: the way in which `text:PATH` becomes examples.

    An empty string means None.

    Raises:
      UsageError: if the data set cannot be loaded.

    >>> load("ring8").shape, load({"images": [[0.0, 1.0]] * 5}).size
    ((2,), 5)
    """
    frame = parse_frame(image_size or None, crop)
    # An empty name means that the field is detected.
    fields = (image_field or "", label_field or "")
    if isinstance(name, str | Path):
        named = _of_path(name) if isinstance(name, Path) else name
        skip_bad = on_bad_example == "skip"
        root = storage.location("--data_dir", data_dir) if data_dir else None
        readings = Listening(rate, seconds, loudness, skip_bad), text or TextReading()
        request = Request(
            *(named, split, root, frame, *fields, alpha, skip_bad, *readings)
        )
        dataset = _opened(request)
    else:
        # Arrays in memory; a single one holds images.
        arrays = name if isinstance(name, Mapping) else {"images": name}
        dataset = of_mapping("arrays", arrays, frame, Choice(split, *fields))
    LOG.info("data: %s", printable(dataset.origin))
    return dataset


def _opened(request: Request) -> Dataset:
    """Returns the data set of a request, whose prefix selects the source."""
    kind = request.name.partition(":")[0]
    if kind not in SOURCES:
        check_prefix(request.name)
    _check_alpha(request.alpha, kind)
    check_listening(request.listening, is_of_sounds(request.name))
    check_reading(request.text, kind in TEXTS)
    # Names without a known prefix are those of TFDS.
    return SOURCES.get(kind, _tfds)(request)


def is_of_sounds(name: str) -> bool:
    """Returns True for a data set that may be read from sound files.

    Besides `audio:PATH`, these are the sources of users.

    >>> is_of_sounds("audio:a"), is_of_sounds("asterisk"), is_of_sounds("ring8")
    (True, False, False)
    """
    kind = name.partition(":")[0]
    return kind == "audio" or (kind in SOURCES and kind not in OWN)


def _check_alpha(alpha: str, kind: str) -> None:
    """Raises UsageError for a background of sources that are not folders."""
    if alpha in ("white", "black") and kind not in (*PREFIXES, *FORMATS):
        raise UsageError(
            f"--alpha={alpha} is only for folder:PATH and other folders "
            f"({', '.join(PREFIXES[1:])}); use --alpha=auto"
        )


def same_place(one: str, other: str) -> bool:
    """Returns True if two names refer to one folder or file.

    >>> same_place("npz:a.npz", "npz:./b/../a.npz"), same_place("mnist", "kmnist")
    (True, False)
    """
    (kind, _, text), (other_kind, _, other_text) = (
        name.partition(":") for name in (one, other)
    )
    # Only paths can be written in several ways.
    if kind != other_kind or kind not in KINDS or not (text and other_text):
        return one == other
    try:
        here, there = ([x.resolve() for x in paths_of(name)] for name in (one, other))
        return here == there
    except (OSError, RuntimeError, ValueError):  # an invalid path
        return False


def _of_path(path: Path) -> str:
    """Returns the name of the data set at a path."""
    if not path.is_dir() and path.suffix not in ARRAYS:
        meant = suggest(str(path))
        raise UsageError(
            f"{path} is neither a folder nor an .npz or .npy file"
            + (f": use the name '{meant}'" if meant else "")
        )
    return f"{'folder' if path.is_dir() else 'npz'}:{path}"


def _npz(request: Request) -> Dataset:
    return npz(request.name, _named_path(request), request.frame, request.choice)


def _folder(request: Request) -> Dataset:
    _no_field(request, "image_field")
    return folder(
        request.name,
        _named_path(request),
        request.reading,
        split=request.split,
        label_field=request.label_field,
    )


def _records(request: Request) -> Dataset:
    pattern = _named_path(request)
    return record_set(request.name, pattern, request.reading, request.choice)


def _pairs(request: Request) -> Dataset:
    _no_field(request, "label_field")
    image = (request.image_field or "B").upper()
    if image not in ("A", "B"):
        raise UsageError(
            f"--image_field={printable(request.image_field)}: pairs are of the images "
            "A and B; use --image_field=B, or A to generate A from B"
        )
    return pairs(
        request.name,
        _named_path(request),
        request.reading,
        split=request.split,
        image=image,
    )


def _unpaired(request: Request) -> Dataset:
    if request.image_field:
        raise UsageError(
            f"--image_field={printable(request.image_field)}: the second of two paths "
            "is generated; leave out --image_field, and swap the paths for the other "
            "direction"
        )
    _no_fields(request)
    first, second = paths_of(request.name)
    return unpaired(request.name, first, second, request.reading, split=request.split)


def _domains(request: Request) -> Dataset:
    _no_fields(request)
    path = _named_path(request)
    return domains(request.name, path, request.reading, split=request.split)


def _audio(request: Request) -> Dataset:
    _no_fields(request)
    _no_frame(request, "sounds")
    path = _named_path(request)
    return audio(request.name, path, request.listening, split=request.split)


def _text(request: Request) -> Dataset:
    _no_fields(request)
    _no_frame(request, "texts")
    path = _named_path(request)
    return text(request.name, path, request.text, split=request.split)


def _shakespeare(request: Request) -> Dataset:
    _no_fields(request)
    _no_frame(request, "texts")
    place = _placed(request).data_dir
    return tiny_shakespeare(request.name, place, request.text, split=request.split)


def _of_package(load: Callable[[str, Path], Dataset]) -> Callable[[Request], Dataset]:
    """Returns the source of texts in a package: load(split, folder of packages)."""

    def source(request: Request) -> Dataset:
        _no_path(request)
        _no_fields(request)
        _no_frame(request, "texts")
        root = _placed(request).data_dir or os.path.expanduser("~/tensorflow_datasets")
        folder = local_path("--data_dir", root)  # packages are downloaded to it
        return load(request.split, folder / "downloads" / "packages")

    return source


def _no_frame(request: Request, kind: str) -> None:
    """Raises UsageError if sounds or texts are to be cropped or resized."""
    if request.frame != Frame():
        raise UsageError(
            f"{request.name} holds {kind}, not pictures; leave out --image_size and "
            "--crop"
        )


def _named_path(request: Request) -> Path:
    """Returns the path of a request, or raises UsageError if it has none."""
    # The path is the text after the first colon.
    if not request.name.partition(":")[2]:
        raise UsageError(
            f"--dataset={request.name} names no path; write it like "
            f"{request.name.rstrip(':')}:some/path"
        )
    return request.path


def _no_path(request: Request) -> None:
    """Raises UsageError if text follows the name of a data set without files."""
    name, colon, _ = request.name.partition(":")
    if colon:
        raise UsageError(
            f"--dataset={request.name}: {name} takes no path; use --dataset={name}"
        )


def _no_fields(request: Request) -> None:
    """Raises UsageError if fields of a data set without names are requested."""
    for flag in ("image_field", "label_field"):
        _no_field(request, flag)


def _no_field(request: Request, flag: str) -> None:
    """Raises UsageError if the user chose a field with a flag."""
    if field := getattr(request, flag):
        raise UsageError(
            f"--{flag}={field}: {request.name} has no named fields, which only .npz "
            f"files and TFDS data sets have; leave out --{flag}"
        )


def _toy(make: Callable[[str], Dataset]) -> Callable[[Request], Dataset]:
    """Returns the source of a toy set, which has splits but neither path nor images."""

    def source(request: Request) -> Dataset:
        _no_path(request)
        _no_fields(request)
        if request.split not in ("train", "test"):
            raise UsageError(
                f"--split={request.split}: {request.name} has the splits train, test"
            )
        if request.frame != Frame():
            raise UsageError(
                f"{request.name} holds points, not pictures; "
                "leave out --image_size and --crop"
            )
        return make(request.split)

    return source


def _stacked(request: Request) -> Dataset:
    _no_fields(request)
    _no_path(request)
    request = _placed(request)
    return stacked_mnist(request.split, request.data_dir, request.frame)


def _tfds(request: Request) -> Dataset:
    request = _placed(request)
    return tfds_set(
        request.name,
        request.choice,
        request.data_dir,
        request.frame,
        skip_bad=request.skip_bad,
    )


def _placed(request: Request) -> Request:
    """Returns the request with the folder of TFDS, None for TFDS's default.

    Raises UsageError if there is no home folder, since TFDS would write to `./~`.
    """
    named = os.environ.get("TFDS_DATA_DIR")  # TFDS does not expand `~` in it
    if named and not request.data_dir:
        return request._replace(data_dir=storage.location("TFDS_DATA_DIR", named))
    # expanduser returns its argument if it finds no home folder.
    if not request.data_dir and os.path.expanduser("~") == "~":
        raise UsageError(
            f"--dataset={request.name}: there is no home folder to keep it in; choose "
            "a folder, such as --data_dir=/tmp/tensorflow_datasets"
        )
    return request


SOURCES: dict[str, Callable[[Request], Dataset]] = {
    "ring8": _toy(ring8),
    "grid25": _toy(grid25),
    "stacked_mnist": _stacked,
    "npz": _npz,
    "folder": _folder,
    **dict.fromkeys(FORMATS, _records),
    "pairs": _pairs,
    "unpaired": _unpaired,
    "domains": _domains,
    "audio": _audio,
    "text": _text,
    "kjv_clauses": _of_package(kjv_clauses),
    "names": _of_package(names),
    "tiny_shakespeare": _shakespeare,
    "wamerican": _of_package(wamerican),
}
"""Loaders by the part of a name before its first colon; TFDS loads all other names."""

WHOLE_NAMES = frozenset(
    {
        *("ring8", "grid25", "stacked_mnist"),
        *("kjv_clauses", "names", "tiny_shakespeare", "wamerican"),
    }
)
"""Sources that no path follows."""

OWN = frozenset(SOURCES)
"""The sources that no user has added."""
