"""Spoken digits: recordings of a release, and those that users put into a folder."""

import hashlib
import http.server
import io
import tarfile
import threading

import numpy as np
import pytest
from sounds import tone, write

from jaxgan import data
from jaxgan.config.presets import dataset_preset
from jaxgan.data.tfds.registry import RECIPES, packages
from jaxgan.errors import UsageError

RATE = 8_000
NAMES = ("7_jackson_0.wav", "7_jackson_32.wav", "0_theo_5.wav", "3_lucas_4.wav")


def recordings(folder, names=NAMES):
    """Tones of a tenth of a second, whose pitch is that of the digit."""
    for i, name in enumerate(names):
        hertz = 200 + 100 * int(name[0])
        write(folder / name, tone(hertz, 800, RATE, 0.1 + 0.05 * i), RATE)
    return folder


def archive(path, folder, inside="release/recordings"):
    with tarfile.open(path, "w:gz") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, f"{inside}/{file.name}")
    return path.read_bytes()


@pytest.fixture
def unreachable(monkeypatch):
    monkeypatch.setattr(packages, "GITHUB", "http://127.0.0.1:9")


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_recordings(unreachable, tmp_path, packed):
    place = tmp_path / "downloads/manual/spoken_digit"
    place.mkdir(parents=True)
    if packed:
        archive(place / "recordings.tar.gz", recordings(tmp_path / "made"), "x")
    else:
        recordings(place / "recordings")
        (place / "recordings/notes.wav").write_bytes(b"no recording")
    train, test = (
        data.load("spoken_digit", split=x, data_dir=str(tmp_path))
        for x in ("train", "test")
    )
    assert (train.size, test.size) == (2, 2)
    field = train.example["waveform"]
    assert (field.shape, field.rate) == ((8_192, 1), RATE)
    assert train.classes == tuple("0123456789")
    assert f"from 4 files in {place}" in train.origin
    found = {}
    for split, one in (("train", train), ("test", test)):
        read = one.read(np.arange(2))
        spoken = {"label": read["label"], "speaker": read["speaker"]}
        for digit, speaker, sound in zip(
            *spoken.values(), read["waveform"][..., 0], strict=True
        ):
            found[split, int(digit), int(speaker)] = sound
    # Takes 0 to 4 are the test split; speakers are in the order of their names.
    assert set(found) == {
        ("train", 0, 4),
        ("train", 7, 1),
        ("test", 3, 2),
        ("test", 7, 1),
    }
    for (_, digit, _), sound in found.items():
        spectrum = np.abs(np.fft.rfft(sound[:800]))
        assert spectrum.argmax() * RATE / 800 == 200 + 100 * digit
        assert not sound[800:].any()
        # Loudness is that of the recording, without the zeros after it.
        level = np.sqrt(np.mean((sound[:800] / 2**15) ** 2))
        assert level == pytest.approx(0.1, rel=0.01)
    assert dataset_preset("spoken_digit") == "specgan"


def test_without_server_and_files_the_error_says_what_to_do(unreachable, tmp_path):
    with pytest.raises(UsageError) as found:
        data.load("spoken_digit", data_dir=str(tmp_path))
    said = str(found.value)
    assert "127.0.0.1:9: [Errno 111] Connection refused" in said
    assert f"such as 7_jackson_32.wav, or an archive of them, into {tmp_path}" in said
    assert "\n" not in said
    place = tmp_path / "downloads/manual/spoken_digit"
    for names, message in (
        (NAMES[:1], "no recording has a take of the split train"),
        (["0_someone_1.wav", "0_theo_7.wav"], "the speakers are george, jackson"),
    ):
        recordings(place, names)
        with pytest.raises(UsageError, match=message):
            data.load("spoken_digit", data_dir=str(tmp_path))
    (place / "0_theo_8.wav").write_bytes(b"RIFF and no sound")
    (place / "0_someone_1.wav").unlink()
    with pytest.raises(UsageError, match=r"0_theo_8\.wav is damaged"):
        data.load("spoken_digit", data_dir=str(tmp_path))


def test_the_archive_of_a_release_is_verified_and_kept(tmp_path, monkeypatch):
    content = archive(tmp_path / "a.tar.gz", recordings(tmp_path / "made"))

    class Handler(http.server.BaseHTTPRequestHandler):
        asked: list[str] = []  # noqa: RUF012

        def do_GET(self):
            self.asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    recipe = RECIPES["spoken_digit"]
    own = recipe.packages[0]._replace(sha256=hashlib.sha256(content).hexdigest())
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(
            packages, "GITHUB", f"http://127.0.0.1:{server.server_port}"
        )
        # Other bytes than those that are recorded are not opened.
        with pytest.raises(UsageError, match="does not have the published sha256"):
            data.load("spoken_digit", data_dir=str(tmp_path))
        monkeypatch.setitem(RECIPES, "spoken_digit", recipe._replace(packages=(own,)))
        train = data.load("spoken_digit", data_dir=str(tmp_path))
        server.shutdown()
    assert "GitHub package Jakobovski/free-spoken-digit-dataset 1.0.9" in train.origin
    assert Handler.asked[0].endswith("/archive/v1.0.9.tar.gz")
    kept = tmp_path / "downloads/packages" / packages.archive_name(own)
    assert kept.read_bytes() == content


def test_a_source_archive_of_pypi_is_unpacked_and_never_built(tmp_path, monkeypatch):
    """A program in place of pip, which unpacks, and fails to import setuptools."""
    files = {"names/a.txt": b"1", "names/b.py": b"2"}
    digest = hashlib.sha256(packages.pack({"names/a.txt": b"1"})).hexdigest()
    package = packages.Package(
        "PyPI source", "names", "1.0", "0" * 64, "MIT", r"names/a\.txt", digest
    )
    called = []

    def run(command, folder, *, succeeds, env):
        called.append(command)
        assert not succeeds
        blocked = packages.Path(env["PYTHONPATH"])
        with pytest.raises(ImportError, match="nothing is built"):
            exec((blocked / "setuptools.py").read_text())
        for name, content in files.items():
            place = folder / "pip-download-1/names_2" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    monkeypatch.setattr(packages, "run", run)
    for _ in range(2):
        assert packages.contents(package, tmp_path) == {"names/a.txt": b"1"}
    # The second time they are those that are kept.
    assert len(called) == 1
    assert {"--no-clean", "--no-build-isolation", "--no-binary=:all:"} <= set(called[0])
    with tarfile.open(
        fileobj=io.BytesIO((tmp_path / "names-1.0.tar").read_bytes())
    ) as x:
        assert x.getnames() == ["names/a.txt"]
    files["names/a.txt"] = b"3"
    (tmp_path / "names-1.0.tar").unlink()
    with pytest.raises(packages.Unavailable, match="published sha256"):
        packages.contents(package, tmp_path)
