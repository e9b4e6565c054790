"""The place and the format of a labeled set, of `python -m jaxgan.sample`."""

from pathlib import Path

from jaxgan.config.flags import shorten
from jaxgan.errors import UsageError
from jaxgan.files import check_writable, local_path

FORMATS = ("folder", "npz", "tfds")
"""Forms of a labeled set: a folder per class, one file, or a prepared TFDS set."""


def set_path(text: str, form: str) -> tuple[Path, str]:
    """Returns the path and the format of a labeled set.

    Args:
      text: of `--out`.
      form: of `--format`, or empty for the one that the path suggests.

    Raises:
      UsageError: naming the flag and a value that works.

    >>> set_path("digits/", "tfds"), set_path("digits/", "")
    ((PosixPath('digits'), 'tfds'), (PosixPath('digits'), 'folder'))
    >>> set_path("digits.npz", ""), set_path("digits/", "npz")[0].as_posix()
    ((PosixPath('digits.npz'), 'npz'), 'digits/samples.npz')
    """
    if form and form not in FORMATS:
        raise UsageError(f"--format={shorten(form)}: choose folder, npz or tfds")
    is_file = text.endswith(".npz")
    if not text or not (text.endswith("/") or is_file or Path(text).is_dir()):
        raise UsageError(
            f"--out={shorten(text)}: name the folder of the labeled set, such as "
            "--out=generated/, or a file such as --out=generated.npz"
        )
    out = local_path("--out", text)
    if is_file:
        check_writable("--out", out)
    form = form or ("npz" if is_file else "folder")
    if is_file and form != "npz":
        raise UsageError(
            f"--out={shorten(text)} is a file, and --format={form} makes a folder: use "
            "--out=generated/"
        )
    return (out if is_file or form != "npz" else out / "samples.npz"), form
