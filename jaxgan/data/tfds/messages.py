"""Output and errors of TFDS: silenced, or turned into one line."""

import contextlib
import io
import logging
from collections.abc import Iterator

from jaxgan.errors import UsageError


@contextlib.contextmanager
def quiet_tfds() -> Iterator[None]:
    """Suppresses TFDS's output, progress bars and log within a `with` block."""
    from absl import logging as absl_logging
    from tensorflow_datasets.core.utils import tqdm_utils

    # TFDS prints, logs by absl, and draws progress bars.
    log = absl_logging.get_absl_logger()
    level = log.level
    tqdm_utils.disable_progress_bar()
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        log.setLevel(level)
        tqdm_utils.enable_progress_bar()


def missing_module(error: BaseException | None) -> str | None:
    """Returns the missing module that caused an error, None if no module is missing."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name.split(".")[0]
        # TFDS reports TensorFlow's absence in errors of other types.
        if "No module named 'tensorflow'" in str(error):
            return "tensorflow"
        # Follow the chain of errors to its origin.
        error = error.__cause__ or error.__context__
    return None


def needs_module(name: str, module: str) -> UsageError:
    """Returns the error for a data set whose preparation needs `module`."""
    what = "'jaxgan[tf]'" if module == "tensorflow" else module
    return UsageError(
        f"--dataset={name} is prepared by TFDS with {module}, which is not installed: "
        f"pip install {what}, or use a --data_dir where the set is already prepared"
    )
