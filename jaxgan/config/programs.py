"""The programs of the command `jaxgan`, and completion of their flags by shells."""

import argparse
import difflib
import importlib
from typing import NamedTuple

from jaxgan.errors import UsageError, short_repr


class Program(NamedTuple):
    """A program, which is also `python -m jaxgan.NAME`."""

    help: str
    """Its purpose, in one line."""
    flags: str
    """The module in `config` with its parser."""
    module: str = ""
    """The module with its `main`, if it has another name."""


PROGRAMS = {
    "train": Program("train a GAN", "resolve"),
    "sample": Program("write samples of a run", "sampling"),
    "evaluate": Program("compare a run, or any images, with real ones", "evaluating"),
    "apply": Program("map your own pictures or sounds by a run", "applying"),
    "score": Program("score how unusual your own pictures are", "scoring"),
    "invert": Program("find the latents of your own pictures", "inverting"),
    "augment": Program(
        "measure how much generated images help a classifier",
        "augmenting",
        "augment.__main__",
    ),
    "report": Program(
        "write a run, or several beside each other, as a page", "reports"
    ),
    "export": Program("export the generator of a run", "exporting"),
    "plan": Program("compile a run for a TPU slice without one", "planning"),
    "view": Program("show runs and the lab in a browser", "viewing"),
    "doctor": Program("check this installation", "diagnosing"),
}

COMPLETION = "completion"
SHELLS = ("bash", "zsh", "fish", "tcsh")


def describe_programs() -> str:
    """Returns the text of `jaxgan --help`."""
    texts = {name: program.help for name, program in PROGRAMS.items()}
    texts[COMPLETION] = f"print the completion of a shell ({', '.join(SHELLS)})"
    lines = [f"  {name:<11} {text}" for name, text in texts.items()]
    return "\n".join(
        [
            "usage: jaxgan PROGRAM [--FLAG=VALUE ...]",
            "",
            "Train generative adversarial networks with JAX and Flax.",
            "",
            *lines,
            "",
            "jaxgan PROGRAM --help lists the flags of a program.",
            "jaxgan --version prints the version.",
        ]
    )


def find_program(name: str) -> Program:
    """Returns a program by its name.

    Raises:
      UsageError: if there is none, with the nearest name.

    >>> find_program("trian")
    Traceback (most recent call last):
    jaxgan.errors.UsageError: there is no program 'trian': did you mean jaxgan train?
    """
    if program := PROGRAMS.get(name):
        return program
    near = difflib.get_close_matches(name[:60], [*PROGRAMS, COMPLETION], 1)
    if name.startswith("-"):
        hint = f"name a program first, such as jaxgan train {short_repr(name)[1:-1]}"
    else:
        hint = f"did you mean jaxgan {near[0]}?" if near else "see jaxgan --help"
    raise UsageError(f"there is no program {short_repr(name)}: {hint}")


def complete(shell: str) -> str:
    """Returns a script by which a shell completes programs and their flags.

    Args:
      shell: a name in `SHELLS`.

    Raises:
      UsageError: for another shell, or if shtab is not installed.
    """
    if shell not in SHELLS:
        given = short_repr(shell) if shell else "is missing"
        raise UsageError(
            f"jaxgan completion: the shell {given}; choose {', '.join(SHELLS)}, "
            "such as jaxgan completion bash"
        )
    try:
        import shtab
    except ImportError:
        raise UsageError(
            "jaxgan completion needs shtab: pip install 'jaxgan[completion]'"
        ) from None
    top = argparse.ArgumentParser("jaxgan")
    programs = top.add_subparsers()
    for name, program in PROGRAMS.items():
        flags = importlib.import_module(f"jaxgan.config.{program.flags}")
        parents = [flags.make_parser()]
        programs.add_parser(name, help=program.help, parents=parents, add_help=False)
    return shtab.complete(top, shell)
