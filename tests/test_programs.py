"""The command `jaxgan`: its programs, its messages, and completion by shells."""

import importlib
import importlib.metadata
import subprocess

import pytest

import jaxgan
from jaxgan import __main__ as command
from jaxgan.config import programs


def test_every_program_has_a_main_function_and_a_parser():
    for name, program in programs.PROGRAMS.items():
        module = importlib.import_module(f"jaxgan.{program.module or name}")
        assert callable(module.main)
        flags = importlib.import_module(f"jaxgan.config.{program.flags}")
        assert flags.make_parser().prog == f"python -m jaxgan.{name}"


def test_help_and_version(capsys):
    assert command.main([]) == command.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in programs.PROGRAMS)
    assert command.main(["--version"]) == 0
    assert capsys.readouterr().out == f"jaxgan {jaxgan.__version__}\n"
    # The version is written in one place.
    assert importlib.metadata.version("jaxgan") == jaxgan.__version__


def test_a_program_gets_its_flags(capsys, tmp_path):
    assert command.main(["sample", f"--workdir={tmp_path / 'none'}"]) == 2
    assert "--workdir" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["plan", "--help"])
    assert "jaxgan.plan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["evalute"], "there is no program 'evalute': did you mean jaxgan evaluate?"),
        (["--steps=3"], "name a program first, such as jaxgan train --steps=3"),
        (["completion", "cmd"], "'cmd'; choose bash, zsh, fish, tcsh"),
        (["completion"], "the shell is missing; choose bash"),
    ],
)
def test_bad_commands_are_one_line(capsys, argv, message):
    assert command.main(argv) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_bash_completes_programs_and_flags(tmp_path):
    pytest.importorskip("shtab")
    script = tmp_path / "jaxgan.bash"
    script.write_text(programs.complete("bash"))

    def completed(*words):
        ask = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_jaxgan; '
        done = subprocess.run(
            ["bash", "-c", ask + 'printf "%s\\n" "${COMPREPLY[@]}"', script, *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.split()

    assert completed("jaxgan", "eva") == ["evaluate"]
    assert completed("jaxgan", "train", "--batch_si") == ["--batch_size"]
    assert "--topology" in completed("jaxgan", "plan", "--")
