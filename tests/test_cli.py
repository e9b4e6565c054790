"""The end of programs: exit codes, one-line errors, crash reports."""

import errno
import gc
import logging
import os
import subprocess
import sys
import tempfile

import jax
import pytest
from games import same
from test_train import argv, run, state_of

from jaxgan import cli, plan, sample, train
from jaxgan.environment import (
    RARE,
    SETTINGS,
    cache_folder,
    collect_as_usual,
    start_jax,
)
from jaxgan.errors import TrainingError, UsageError

PROGRAMS = {
    "train": (train.main, ["--dataset=ring8"]),
    "sample": (sample.main, ["--workdir=runs/x"]),
    "plan": (plan.main, ["--topology=local", "--shape=2"]),
}


def failing(error):
    def program():
        raise error

    return program


def child(*command, **environment):
    """Runs Python in a process of its own; returns exit code, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("--steps=0"), 2, "error: --steps=0"),
        (TrainingError("it diverged"), 1, "error: it diverged"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x"),
            2,
            "error: /data/x cannot be written (No space left on device); free some "
            "space",
        ),
        (
            OSError(errno.EFBIG, "File too large", "/data/x"),
            2,
            "error: /data/x cannot be written (File too large); raise the file size "
            "limit (ulimit -f)",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in x"),
            2,
            "error: no temporary folder is writable; free some space, or set the "
            "environment variable TMPDIR to another folder",
        ),
        (UsageError("no a\x1b[31m\nb\u202e"), 2, r"error: no a\x1b[31m\nb\u202e"),
    ],
)
def test_foreseen_errors_are_one_line(capsys, error, code, line):
    assert cli.program(failing(error))() == code
    assert capsys.readouterr().err == f"{line}\n"
    assert cli.foreseen(error)


def test_a_long_message_keeps_its_start_and_its_end(capsys):
    cli.program(failing(UsageError(f"--preset={'a' * 9_000}: choose dcgan")))()
    said = capsys.readouterr().err
    assert said == f"error: --preset={'a' * 60}...: choose dcgan\n"
    cli.program(failing(UsageError(f"--preset={'a ' * 4_500}: choose dcgan")))()
    said = capsys.readouterr().err
    assert len(said) < 2_100
    assert said.startswith("error: --preset=a a a")
    assert said.endswith("a a : choose dcgan\n")


def test_help_passes_through():
    with pytest.raises(SystemExit) as stop:
        train.main(["--help"])
    assert stop.value.code == 0


def test_garbage_is_collected_rarely_until_the_first_step():
    before, seen = gc.get_threshold(), []

    @cli.program
    def start():
        seen.append(gc.get_threshold())
        collect_as_usual()
        seen.append(gc.get_threshold())
        return 0

    assert start() == 0
    assert seen == [(RARE, *before[1:]), before]
    # a program that fails has no first step, and one of a library has no start
    cli.program(failing(UsageError("no")))()
    assert gc.get_threshold() == before
    collect_as_usual()
    assert gc.get_threshold() == before


def test_any_other_error_is_one_line_and_a_report(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XLA_FLAGS_OF_A_TEST", "--x")
    monkeypatch.setattr(sys, "argv", ["train.py", "--seed=5"])
    error = ZeroDivisionError("seven\nby nought")
    assert not cli.foreseen(error)
    assert cli.program(failing(error))() == 70
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith("error: ZeroDivisionError: seven; this is a bug in jaxgan")
    [report] = (tmp_path / "jaxgan" / "crashes").iterdir()
    assert said.endswith(f"the report is in {report}")
    text = report.read_text()
    for words in (
        f"jax {jax.__version__}",
        "'--seed=5'",
        "XLA_FLAGS_OF_A_TEST=--x",
        "in program\n",
        "ZeroDivisionError: seven",
    ):
        assert words in text


def test_old_reports_make_room(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cli, "KEPT_REPORTS", 2)
    for _ in range(4):
        cli.program(failing(ZeroDivisionError()))()
    assert len(list((tmp_path / "jaxgan" / "crashes").iterdir())) == 2


def test_a_report_goes_where_something_can_be_written(tmp_path, monkeypatch, capsys):
    blocked, other = tmp_path / "file", tmp_path / "other"
    blocked.write_text("")
    other.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(tempfile, "tempdir", str(other))
    assert cli.program(failing(ZeroDivisionError()))() == 70
    assert len(list(other.iterdir())) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(blocked))
    capsys.readouterr()
    assert cli.program(failing(ZeroDivisionError()))() == 70
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.splitlines()[-1].endswith("its traceback is above")


def test_several_processes_follow_the_same_rule(tmp_path):
    program = (
        "from jaxgan.distributed.initialize import _exit\n"
        "from jaxgan.distributed.watchdog import Watchdog\n"
        "_exit(ZeroDivisionError('nought'), Watchdog(0))\n"
    )
    code, _, said = child("-c", program, XDG_CACHE_HOME=str(tmp_path))
    assert code == 70
    assert "error: ZeroDivisionError: nought; this is a bug in" in said
    assert "Traceback" not in said
    assert len(list((tmp_path / "jaxgan" / "crashes").iterdir())) == 1


def test_names_in_logs_hold_nothing_a_terminal_acts_on():
    program = (
        "import logging, pathlib\n"
        "from jaxgan.cli import program\n"
        "@program\n"
        "def main():\n"
        "    log = logging.getLogger('jaxgan')\n"
        "    log.info('two\\nlines of %s', 'a\\x1b[31m\\nb')\n"
        "    log.info('%d in %s', 3, pathlib.Path('c\\x07'))\n"
        "    log.info('raw \\x1b]0;title\\x07')\n"
        "    logging.getLogger('other').warning('d\\x9b')\n"
        "    return 0\n"
        "raise SystemExit(main())\n"
    )
    code, _, said = child("-c", program)
    assert code == 0
    assert said.splitlines() == [
        "two",
        r"lines of a\x1b[31m\nb",
        r"3 in c\x07",
        r"raw \x1b]0;title\x07",
        r"d\x9b",
    ]


def test_a_record_stays_as_it_is_for_other_handlers():
    record = logging.makeLogRecord({"msg": "%s", "args": ("a\nb",)})
    assert cli.PrintableFormatter("%(message)s").format(record) == r"a\nb"
    assert record.getMessage() == "a\nb"


def helped(stdout):
    command = [sys.executable, "-m", "jaxgan.train", "--help"]
    done = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60
    )
    return done.returncode, done.stderr


def test_a_reader_that_is_gone_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert helped(writing) == (141, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has /dev/full")
def test_an_output_that_is_full():
    with open("/dev/full", "w") as full:
        code, said = helped(full)
    assert code == 2
    assert said.startswith("error: a disk cannot be written (No space left on device)")
    assert len(said.splitlines()) == 1


def test_without_a_home_nothing_is_cached(monkeypatch, capsys, tmp_path):
    for name in ("HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 5)  # the system knows no such one
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as stop:
        train.main(["--help"])
    assert stop.value.code == 0
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    assert cli.program(failing(ZeroDivisionError()))() == 70
    assert len(list(tmp_path.iterdir())) == 1
    assert train.main(["--dataset=mnist"]) == 2
    assert "--data_dir=/tmp/tensorflow_datasets" in capsys.readouterr().err


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_working_directory_that_is_gone(name, monkeypatch, tmp_path, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    main, flags = PROGRAMS[name]
    assert main(flags) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert "the working directory no longer exists" in said


@pytest.mark.parametrize(
    ("name", "platforms"), [("train", "cuda"), ("sample", "typo"), ("plan", "tpu,x")]
)
def test_a_platform_that_is_not_here(name, platforms, finished, tmp_path):
    flags = {"sample": [f"--workdir={finished}"]}.get(name, PROGRAMS[name][1])
    code, _, said = child(
        *("-m", f"jaxgan.{name}", *flags),
        JAX_PLATFORMS=platforms,
        XDG_CACHE_HOME=str(tmp_path),
    )
    assert code == 2
    last = said.splitlines()[-1]
    assert last.startswith("error: jax cannot start on any device (")
    assert last.endswith(f"JAX_PLATFORMS={platforms}: set it to cpu, or unset it")
    assert "Traceback" not in said


def test_a_variable_that_jax_cannot_read():
    code, _, said = child(
        "-m", "jaxgan.train", "--dataset=ring8", JAX_ENABLE_X64="maybe"
    )
    assert code == 2
    assert said == (
        "error: jax does not start: invalid truth value 'maybe' for environment "
        "'JAX_ENABLE_X64'\n"
    )


def test_without_jax(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(UsageError, match=r"jax cannot be imported .*: pip install"):
        start_jax()


def test_options_of_jax_that_would_change_the_run_are_set_back(
    pictures, finished, tmp_path, caplog
):
    others = {
        "jax_enable_x64": True,
        "jax_disable_jit": True,
        "jax_numpy_rank_promotion": "raise",
        "jax_numpy_dtype_promotion": "strict",
    }
    assert others.keys() == SETTINGS.keys()
    try:
        for name, value in others.items():
            jax.config.update(name, value)
        other = run(pictures, tmp_path / "run", 20)
    finally:
        for name, value in SETTINGS.items():
            jax.config.update(name, value)
    same(state_of(finished, 20), state_of(other, 20))
    assert "JAX_ENABLE_X64 is ignored: jaxgan trains with False" in caplog.text


def test_a_dry_run_prints_nothing_a_terminal_acts_on(pictures, tmp_path, capsys):
    odd = tmp_path / "a\x1b[31m\n.npz"
    odd.write_bytes(pictures.read_bytes())
    assert train.main([*argv(odd, tmp_path / "new", 20), "--dry_run"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert rf"dataset=npz:{tmp_path}/a\x1b[31m\n.npz" in said.splitlines()


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("", "/home/ada/.cache/jaxgan"),
        ("~/cache", "/home/ada/cache/jaxgan"),
        ("relative", "/home/ada/.cache/jaxgan"),
        ("/var/cache", "/var/cache/jaxgan"),
    ],
)
def test_the_cache_is_never_in_the_working_directory(given, folder, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert str(cache_folder()) == folder


def test_a_network_that_does_not_fit_leaves_its_traceback_in_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from jaxgan import networks\n"
        "from jaxgan.networks import mlp\n"
        "def broken(*, example):\n"
        "    pair = mlp.pair((4,), (4,), example=example)\n"
        "    return pair._replace(discriminator=mlp.Discriminator((-4,)))\n"
        "networks.NETWORKS['broken'] = broken\n"
    )
    flags = ("--import=mine", "--dataset=ring8", "--networks=broken")
    code, _, said = child(
        *("-m", "jaxgan.train", *flags, f"--workdir={tmp_path}/run"),
        XDG_CACHE_HOME=str(tmp_path),
        PYTHONPATH=str(tmp_path),
    )
    assert code == 2
    *_, line = said.splitlines()
    assert line.startswith("error: --networks=broken, --task=generate(2)")
    [report] = (tmp_path / "jaxgan" / "crashes").iterdir()
    assert line.endswith(f"its traceback is in {report}")
    assert "Traceback" in report.read_text()
    assert not (tmp_path / "run").exists()
