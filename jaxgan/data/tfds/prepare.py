"""One-time preparation of TFDS data sets on disk, in TFDS's layout."""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jaxgan import storage
from jaxgan.data.tfds import mnist, texts
from jaxgan.data.tfds.download import unreachable
from jaxgan.data.tfds.messages import missing_module, needs_module, quiet_tfds
from jaxgan.data.tfds.registry import RECIPES
from jaxgan.data.tfds.registry import builder as registry
from jaxgan.errors import UsageError, first_line
from jaxgan.files import locked

LOG = logging.getLogger("jaxgan")


def prepare(builder: Any) -> None:
    """Prepares the data set of a TFDS builder, unless it is prepared already.

    Of several processes that prepare one data set, the first does it and the others
    wait. TFDS writes to a temporary folder and renames it at the end, so an interrupted
    preparation does not count.

    Args:
      builder: a TFDS builder.

    Raises:
      UsageError: if the data set cannot be prepared, with a remedy.
    """
    root = str(builder.data_dir_root)
    # The lock and the downloads need a local folder.
    if storage.is_copy(root):
        raise UsageError(
            f"--dataset={builder.name} is not prepared in {storage.as_urls(root)}; "
            "prepare it in a local --data_dir, then copy it"
        )
    LOG.info("preparing %s in %s ...", builder.info.full_name, root)
    try:
        downloads = Path(root) / "downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        with locked(downloads / f"{builder.name}.lock", wait=True):
            # Another process may have prepared it while this one waited.
            if not is_prepared(builder):
                _write_note(builder, _prepare(builder))
    except OSError as error:
        raise UsageError(
            f"--dataset={builder.name} cannot be prepared in {root} "
            f"({first_line(error)}); use another --data_dir"
        ) from error


def is_prepared(builder: Any) -> bool:
    """Returns True if the data set is on disk and complete."""
    return (builder.data_path / "dataset_info.json").exists()


def origin_note(builder: Any) -> str:
    """Returns the recorded origin of the files after a comma, `""` if there is none."""
    try:
        return ", " + _note(builder).read_text().strip()
    except OSError:
        return ""


def _note(builder: Any) -> Path:
    return Path(builder.data_path) / "jaxgan" / "origin.txt"


def _write_note(builder: Any, note: str) -> None:
    _note(builder).parent.mkdir(exist_ok=True)
    _note(builder).write_text(note + "\n")


def _prepare(builder: Any) -> str:
    """Prepares the data set, and returns the origin of its files."""
    if builder.name in mnist.NAMES:
        return mnist.prepare(builder)
    if builder.name in texts.NAMES:
        return texts.prepare(builder)
    if builder.name in RECIPES:
        return registry.prepare(builder)
    _check_online(builder)
    return _prepare_by_tfds(builder)


def _prepare_by_tfds(builder: Any) -> str:
    import tensorflow_datasets as tfds

    # Builds the set here, and asks no bucket for a prepared copy.
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        with quiet_tfds():
            builder.download_and_prepare(
                file_format="array_record", download_config=config
            )
    except Exception as error:  # builders pass on the errors of their libraries
        module = missing_module(error)
        if module is not None:
            raise needs_module(builder.name, module) from error
        raise UsageError(
            f"--dataset={builder.name} cannot be prepared ({first_line(error)}); "
            "use a --data_dir where it is already prepared"
        ) from error
    return "prepared by TFDS"


def _check_online(builder: Any) -> None:
    """Raises UsageError if no server answers, since TFDS would retry for minutes."""
    downloads = Path(builder.data_dir_root) / "downloads"
    here = downloads / builder.name
    if here.is_dir() or (downloads / "manual").is_dir():
        return  # the files may be there
    # One URL per host, and at most three hosts.
    hosts = {urlsplit(url).netloc: url for url in builder.url_infos or {}}
    reasons = []
    # One answer is enough.
    for url in list(hosts.values())[:3]:
        reason = unreachable(url)
        if reason is None:
            return
        reasons.append(reason)
    if reasons:
        raise UsageError(
            f"--dataset={builder.name} is not prepared in {builder.data_dir_root} and "
            f"its server does not answer ({reasons[0]}); use a --data_dir where it is "
            "prepared, or folder:PATH, npz:PATH, ring8 or grid25"
        )
