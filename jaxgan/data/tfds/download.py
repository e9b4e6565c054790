"""Search for the files of MNIST-like data sets on disk, on servers, in packages."""

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
"""Timeout of the request that checks if a server answers."""


def find_files(builder: Any, downloads: Path) -> tuple[dict[str, Path], str]:
    """Finds or downloads the files of a TFDS builder, and verifies them.

    Args:
      builder: TFDS's builder of an MNIST-like data set.
      downloads: the folder of downloads.

    Returns:
      Paths by file name, and the origin of the files in a few words.

    Raises:
      UsageError: if no source has the files; names the folder for manual downloads.
    """
    search = search_for(builder, downloads)
    reasons = []
    # Local files first, then the server, then packages.
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
    """Returns the reason why a URL cannot be downloaded, None if it can.

    Requests one byte, with a timeout of `PROBE_SECONDS`.
    """
    request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
    try:
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Strips urllib's wrapper, as in "<urlopen error [Errno 111] Refused>".
        line = first_line(error)
        return re.sub(r"^<urlopen error (\[Errno -?\d+\] )?(.*)>$", r"\2", line)


def _manual(search: Search) -> Path:
    """Returns the folder for manual downloads."""
    return search.downloads / "manual" / search.dataset


def find_on_disk(search: Search) -> str:
    """Finds files from earlier or manual downloads.

    Returns:
      The origin of the files, in a few words.

    Raises:
      Unavailable: if a file is missing or its checksum is wrong.
    """
    missing, wrong = [], []
    for file in search.files:
        # Two folders for files that users put there.
        folders = _manual(search), search.downloads / "manual"
        manual = [x / name for x in folders for name in (file.name, *file.others)]
        # Before them, TFDS's cache and the downloads.
        places = (file.place, search.downloads / file.place.name, *manual)
        contents = (read_verified(file, place) for place in places)
        # Stops reading at the first valid file.
        valid = next((data for data in contents if data is not None), None)
        if valid is None:
            file.place.unlink(missing_ok=True)  # TFDS would trust it
            missing.append(file)
            # The second folder is for all sets.
            wrong += [x for x in manual if x.parent == folders[0] and x.is_file()]
        else:
            put(search, file, valid)
    if wrong:
        raise Unavailable(f"{wrong[0]} does not have the sha256 that TFDS records")
    if missing:
        raise Unavailable("not downloaded yet")
    return f"from files in {search.downloads}"


def from_server(search: Search) -> str:
    """Downloads files from the server that TFDS uses.

    Returns:
      The origin of the files, in a few words.

    Raises:
      Unavailable: if the server does not answer, or if a checksum is wrong.
    """
    import tensorflow_datasets as tfds

    # TFDS itself would retry for minutes.
    reason = unreachable(search.files[0].url)
    if reason is not None:
        raise Unavailable(f"its server does not answer: {reason}")
    # TFDS's downloader alone needs no TensorFlow.
    manager = tfds.download.DownloadManager(
        download_dir=search.downloads,
        dataset_name=search.dataset,
        url_infos={file.url: file.info for file in search.files},
        force_checksums_validation=True,
    )
    try:
        with quiet_tfds():
            manager.download([file.url for file in search.files])
    except Exception as error:  # TFDS passes on errors of requests and promise
        raise Unavailable(f"its server fails: {first_line(error)}") from error
    return "downloaded from its server"
