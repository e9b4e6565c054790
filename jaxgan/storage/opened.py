"""Opens the folder of a run for writing: for a bucket, its lease, copy and mirror."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from jaxgan.errors import UsageError
from jaxgan.files import is_url, local_path, locked, reason
from jaxgan.storage import mirror, places, uploads
from jaxgan.storage.copies import (
    Copy,
    folder_for,
    is_small,
    mark_checkpoints,
    register,
)
from jaxgan.storage.lease import Lease
from jaxgan.storage.remote import Remote
from jaxgan.storage.urls import location

log = logging.getLogger("jaxgan")


@contextmanager
def open_folder(flag: str, text: str | Path) -> Iterator[Path]:
    """Yields the absolute path of a run's folder; for a URL, that of a working copy.

    The copy is made when the lease of the run is held, and mirrored until the end.

    Args:
      flag: the flag to name in errors.
      text: a path or a URL.

    Raises:
      UsageError: if the bucket cannot be used, if another run holds its lease, or at
        the end, if not everything could be uploaded.
    """
    if not is_url(text):
        yield local_path(flag, text).absolute()
        return
    url = location(flag, text)
    remote = Remote(url, f"{flag}={url}")
    copy = Copy(remote, folder_for(url, "work"))
    with ExitStack() as stack:
        _prepare(copy, stack)
        lease = Lease(remote)
        stack.callback(lease.release)
        # Nothing of an earlier run counts, only what is in the bucket.
        shutil.rmtree(copy.folder, ignore_errors=True)
        files = copy.pull(is_small)
        mark_checkpoints(copy.folder, files)
        direct = places.writes_directly(copy)
        if not direct:
            uploads.pull(copy, arrays=True)
        register(copy)
        opened = mirror.Mirror(copy, files, lease, uploads_checkpoints=not direct)
        mirror.activate(opened)
        stack.callback(mirror.deactivate, opened)
        try:
            yield copy.folder
        except BaseException:
            # The first error is raised, whatever comes of the uploads.
            places.tolerate(opened.close, "not all files were uploaded")
            raise
        opened.close()
        shutil.rmtree(copy.folder, ignore_errors=True)


def _prepare(copy: Copy, stack: ExitStack) -> None:
    """Locks the working folder against other programs of this machine."""
    place = copy.folder.parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locked(place / ".lock", wait=False))
    except BlockingIOError as error:
        raise UsageError(
            f"{copy.remote.shown} is in use by another program of this machine; wait "
            "until it ends, or use another --workdir"
        ) from error
    except OSError as error:
        raise UsageError(
            f"{copy.remote.shown}: its copy in {place} cannot be written "
            f"({reason(error)}); set XDG_CACHE_HOME to a folder on another disk"
        ) from error
