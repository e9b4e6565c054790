"""All checks in their order."""

from collections.abc import Callable, Iterator

from jaxgan.config.diagnosing import DoctorConfig
from jaxgan.diagnostics.finding import FAIL, OK, WARN, Finding
from jaxgan.diagnostics.machine import find_data, find_devices, find_folders
from jaxgan.diagnostics.trial import find_training
from jaxgan.diagnostics.versions import find_versions
from jaxgan.errors import first_line


def check(config: DoctorConfig) -> int:
    """Prints the results of all checks, each as soon as it is known.

    Returns:
      The exit code: 0, or 1 if a check failed.
    """
    counts = {OK: 0, WARN: 0, FAIL: 0}
    for finding in run_checks(config):
        counts[finding.status] += 1
        print(finding, flush=True)
    warned, failed = counts[WARN], counts[FAIL]
    print(f"{warned} {'warning' if warned == 1 else 'warnings'}, {failed} failed")
    return 1 if failed else 0


def run_checks(config: DoctorConfig) -> Iterator[Finding]:
    """Yields the results of all checks. An error of a check is a result too."""
    checks: dict[str, Callable[[], list[Finding]]] = {
        "versions": find_versions,
        "devices": find_devices,
        "folders": lambda: find_folders(config.data_dir),
        "data": lambda: find_data(config.data_dir, offline=config.offline),
    }
    if config.seconds:
        checks["training"] = lambda: [find_training(config.seconds)]
    for name, find in checks.items():
        try:
            yield from find()
        except Exception as error:  # the other checks still help
            text = f"{type(error).__name__}: {first_line(error)}"
            yield Finding(FAIL, name, text)
