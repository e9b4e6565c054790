"""Finds the four files of an MNIST-like data set: on disk, its server, a package."""

import http.client
import re
import urllib.request
from pathlib import Path
from typing import Any

from jaxgan.data.tfds.files import Search, Unavailable, put, read_verified, search_for
from jaxgan.data.tfds.messages import quiet_tfds
from jaxgan.data.tfds.mirrors import MIRRORS
from jaxgan.errors import UsageError, first_line

PROBE_SECONDS = 4.0


def find_files(builder: Any, downloads: Path) -> tuple[dict[str, Path], str]:
    """The verified files by name, and where they came from.

    Raises UsageError if no route leads to them, with the place to put them by hand.
    """
    search = search_for(builder, downloads)
    reasons = []
    for route in (find_on_disk, from_server, *MIRRORS.get(search.dataset, ())):
        try:
            origin = route(search)
            return {file.name: file.place for file in search.files}, origin
        except Unavailable as reason:
            reasons.append(str(reason))
    names = " ".join(file.name for file in search.files)
    raise UsageError(
        f"--dataset={search.dataset} cannot be fetched ({'; '.join(reasons)}): "
        f"put {names} into {_manual(search)} and start again"
    )


def unreachable(url: str) -> str | None:
    """Why the server of a URL does not hand it out, None if it does."""
    request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
    try:
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = first_line(error)
        return re.sub(r"^<urlopen error (\[Errno -?\d+\] )?(.*)>$", r"\2", said)


def _manual(search: Search) -> Path:
    return search.downloads / "manual" / search.dataset


def find_on_disk(search: Search) -> str:
    """Files from an earlier download, or put there by hand."""
    missing = []
    for file in search.files:
        places = (
            file.place,
            search.downloads / file.place.name,
            _manual(search) / file.name,
            search.downloads / "manual" / file.name,
        )
        found = (read_verified(file, place) for place in places)
        right = next((data for data in found if data is not None), None)
        if right is None:
            file.place.unlink(missing_ok=True)  # TFDS would trust it
            missing.append(file)
        else:
            put(search, file, right)
    if missing:
        raise Unavailable("not downloaded yet")
    return f"from files in {search.downloads}"


def from_server(search: Search) -> str:
    """Files from where TFDS gets them."""
    import tensorflow_datasets as tfds

    reason = unreachable(search.files[0].url)
    if reason is not None:
        raise Unavailable(f"its server does not answer: {reason}")
    manager = tfds.download.DownloadManager(
        download_dir=search.downloads,
        dataset_name=search.dataset,
        url_infos={file.url: file.info for file in search.files},
        force_checksums_validation=True,
    )
    try:
        with quiet_tfds():
            manager.download([file.url for file in search.files])
    except Exception as error:  # TFDS passes on what requests and promise raise
        raise Unavailable(f"its server fails: {first_line(error)}") from error
    return "downloaded from its server"
