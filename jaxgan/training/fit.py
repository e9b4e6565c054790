"""Trains a GAN from Python, like `python -m jaxgan.train`."""

from jaxgan.config.training import Config
from jaxgan.distributed.initialize import initialize
from jaxgan.environment import start_jax


def fit(config: Config) -> int:
    """Trains a GAN, or resumes the run in the configuration's workdir.

    Connects the processes, prepares the data, trains, logs, draws previews and saves
    checkpoints, exactly like `python -m jaxgan.train`. But the number of CPU devices is
    that of jax, one by default, while the program may ask for several.

    Args:
      config: from `make_config`.

    Returns:
      The exit code: 0 if all steps are done, 128 + the signal's number if a signal
      stopped the run, 75 if its time limit was reached or its machine is about to stop.
      A stopped run was saved and can be resumed.

    Raises:
      UsageError: for flags or data that cannot be used, before anything is compiled or
        written, and later for errors of the disk or memory.
      TrainingError: if the run diverges, or collapses and may not roll back.

    >>> import tempfile
    >>> from jaxgan.config.resolve import make_config
    >>> flags = {"dataset": "ring8", "steps": 2, "batch_size": 8, "score_samples": 8}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit(make_config(**flags, samples=4, workdir=f"{folder}/run"))
    0
    """
    with initialize(config):
        start_jax()
        from jaxgan.training.trainer import train  # imports jax

        return train(config)
