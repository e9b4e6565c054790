"""Checks of an installation, each with a fault that it must find."""

import email
import socket

import pytest

from jaxgan import doctor
from jaxgan.data.tfds import files
from jaxgan.diagnostics import checks, machine, trial, versions
from jaxgan.diagnostics.finding import FAIL, OK, WARN, Finding


def test_a_short_training_has_its_speed_and_losses():
    found = trial.find_training(0.1, networks="mlp((8,),(8,))", batch_size=8)
    assert found.status == OK
    assert "steps/s of 8 images" in found.text
    assert "generator/loss" in found.text
    # The learning rate of a diverging run.
    worse = trial.find_training(
        0.1, networks="mlp((8,),(8,))", batch_size=8, d_optimizer="sgd(1e38)"
    )
    assert worse.status == FAIL


def test_the_checks_print_a_line_each_and_count(capsys, tmp_path, monkeypatch):
    argv = [f"--data_dir={tmp_path}", "--seconds=0", "--offline"]
    assert doctor.main(argv) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert all(line.startswith((OK, WARN)) for line in lines)
    assert {"jaxgan", "devices", "temporary"} <= {line.split()[1] for line in lines}
    assert last.endswith(" 0 failed")

    def broken():
        raise OSError("no such driver")

    monkeypatch.setattr(checks, "find_devices", broken)
    assert doctor.main(argv) == 1
    said = capsys.readouterr().out
    assert "FAIL  devices       OSError: no such driver" in said
    assert "temporary" in said  # the other checks are made


@pytest.mark.parametrize("seconds", ["nan", "-1", "601"])
def test_a_time_out_of_range_is_one_line(capsys, seconds):
    assert doctor.main([f"--seconds={seconds}"]) == 2
    assert "such as --seconds=10" in capsys.readouterr().err


def test_a_file_in_place_of_a_folder_fails(tmp_path, monkeypatch):
    file = tmp_path / "data"
    file.write_text("")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(file))
    found = {x.subject: x for x in machine.find_folders(str(file))}
    assert found["data folder"].status == FAIL
    assert "--data_dir" in found["data folder"].text
    # Programs run without a cache.
    assert found["compile cache"].status == WARN
    new = {x.subject: x for x in machine.find_folders(str(tmp_path / "a/b"))}
    assert new["data folder"].status == OK
    assert "created when" in new["data folder"].text
    assert not (tmp_path / "a").exists()


def test_devices_that_are_not_used_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "")
    monkeypatch.setattr(machine, "unused_accelerator", lambda platform: None)
    assert machine.missed_device("cpu", str(tmp_path)) is None
    (tmp_path / "nvidia0").touch()
    assert "jaxgan[cuda]" in (machine.missed_device("cpu", str(tmp_path)) or "")
    assert machine.missed_device("gpu", str(tmp_path)) is None
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert "JAX_PLATFORMS=cpu" in (machine.missed_device("cpu", str(tmp_path)) or "")


def test_servers_that_are_silent_are_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "SERVED", ("mnist",))
    monkeypatch.setattr(machine, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        real = files.search_for

        def local(builder, folder):
            search = real(builder, folder)
            return search._replace(files=[f._replace(url=url) for f in search.files])

        monkeypatch.setattr(files, "search_for", local)
        (found,) = machine.find_data(str(tmp_path), offline=False)
    assert found.status == WARN
    assert "does not answer (no answer in" in found.text
    assert "packages have it too" in found.text
    assert machine.find_data(str(tmp_path), offline=True) == []


def test_an_extra_counts_if_what_it_needs_is_installed(monkeypatch):
    requires = {
        "jaxgan": ["jax>=0.10", 'jax[tpu]>=0.10; extra == "tpu"', "absent>=1"],
        "jax": ['libtpu==0.0.1; extra == "tpu"', "numpy>=2"],
        "libtpu": [],
    }
    metadata = email.message_from_string("Provides-Extra: tpu")
    monkeypatch.setattr(versions.importlib.metadata, "requires", requires.get)
    monkeypatch.setattr(versions.importlib.metadata, "metadata", lambda _: metadata)
    installed = {"jaxgan": "1", "jax": "0.10"}
    monkeypatch.setattr(versions, "version_of", installed.get)
    missing, extras = versions._requirements()
    hint = "not installed: absent; pip install jaxgan"
    assert missing == Finding(FAIL, "packages", hint)
    assert extras.text == "installed: none; not installed: tpu"
    installed["libtpu"] = "0.0.1"
    assert versions._requirements()[1].text == "installed: tpu; not installed: none"
