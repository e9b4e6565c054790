"""All programs in one command: `jaxgan train` is `python -m jaxgan.train`."""

import importlib
import sys
from collections.abc import Sequence

import jaxgan
from jaxgan.cli import program
from jaxgan.config import programs


@program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help", "help"):
        print(programs.describe_programs())
    elif name in ("-V", "--version"):
        print(f"jaxgan {jaxgan.__version__}")
    elif name == programs.COMPLETION:
        print(programs.complete(" ".join(rest)))
    else:
        module = programs.find_program(name).module or name
        # Each program has its own exit codes and messages.
        return importlib.import_module(f"jaxgan.{module}").main(rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
