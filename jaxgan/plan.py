"""Plans a run on a TPU slice: `python -m jaxgan.plan --topology=v5e:4x4`."""

import sys
from collections.abc import Sequence

from jaxgan.planning.flags import parse
from jaxgan.program import guarded


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""

    def answer():
        question = parse(argv)  # before jax is imported, so that --help answers at once
        from jaxgan.planning.settings import settle

        settle(question.topologies)
        from jaxgan.planning.planner import plan

        return plan(question)

    return guarded(answer)


if __name__ == "__main__":
    sys.exit(main())
