"""The viewer without a browser: addresses, tokens, paths, and what is drawn."""

import http.client
import json
import socket
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from jaxgan.config.viewing import parse_args
from jaxgan.errors import UsageError
from jaxgan.evaluation import latent_directions, latent_paths
from jaxgan.reporting import Picture, save_png
from jaxgan.reporting.images import grid, layout
from jaxgan.viewer import catalogue, close_examples, models, run_data

pytest.importorskip("bokeh")

from viewers import served, written_run

from jaxgan.viewer import page, server
from jaxgan.viewer.latents_page import blend_places
from jaxgan.viewer.runs_page import describe

TOKEN = "0123456789abcdef-secret"


def ask(address, path="/", **headers):
    """The answer to a request: its code, headers and text."""
    host = address.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    headers = {name.replace("_", "-"): x for name, x in headers.items()}
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    # A socket that was opened has no end.
    text = "" if answer.status == 101 else answer.read().decode()
    connection.close()
    return SimpleNamespace(code=answer.status, headers=answer.headers, text=text)


def socket_headers(origin):
    return {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec_WebSocket_Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Protocol": "bokeh, token",
        "Origin": origin,
    }


def test_pages_are_served_to_this_machine_and_from_it_alone(tmp_path):
    written_run(tmp_path / "runs" / "<b>bold</b>")
    (tmp_path / "secret.txt").write_text("SECRET")
    with served(f"--workdir={tmp_path}/runs") as address:
        answer = ask(address)
        assert answer.code == 200
        # Scripts and styles come from this server.
        assert "/static/js/bokeh.min.js" in answer.text
        assert "https://" not in answer.text
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        # Other names for this machine belong to other sites.
        assert ask(address, Host="evil.example").code == 403
        port = address.rpartition(":")[2]
        assert ask(address, Host=f"localhost:{port}").code == 200
        # Pages of other sites cannot open the socket.
        assert ask(address, "/ws", **socket_headers("http://evil.example")).code == 403
        assert ask(address, "/ws", **socket_headers(address)).code == 101
        # No address leads to a file.
        for path in ("/../secret.txt", "/static/../../secret.txt", "/secret.txt"):
            assert ask(address, path).code in (403, 404), path
        assert "SECRET" not in ask(address, "/?run=../secret.txt").text


def test_a_token_is_needed_by_all_pages_and_sockets(tmp_path):
    written_run(tmp_path / "run")
    with served(f"--workdir={tmp_path}", f"--token={TOKEN}") as address:
        own = socket_headers(address)
        for path in ("/", "/latents", "/lab", "/?token=", f"/?token={TOKEN}x"):
            assert ask(address, path).code == 403, path
        assert ask(address, "/ws", **own).code == 403
        answer = ask(address, f"/?token={TOKEN}")
        assert answer.code == 200
        cookie = answer.headers["Set-Cookie"].split(";")[0]
        assert "HttpOnly" in answer.headers["Set-Cookie"]
        assert ask(address, Cookie=cookie).code == 200
        assert ask(address, "/ws", Cookie=cookie, **own).code == 101
        assert ask(address, Cookie=cookie + "x").code == 403


def test_a_port_in_use_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = parse_args(["--lab", f"--port={taken.getsockname()[1]}"])
        with pytest.raises(UsageError, match=r"is in use.*--port=0"):
            server.make_server(config)


def test_other_machines_need_a_token():
    with pytest.raises(UsageError, match=r"--token=.*ssh -L"):
        parse_args(["--lab", "--host=0.0.0.0"])
    config = parse_args(["--lab", "--host=0.0.0.0", f"--token={TOKEN}"])
    assert server.address_of(config, 80) == f"http://127.0.0.1:80/lab?token={TOKEN}"
    assert "*" not in "".join(server.origins_of(config, 80))
    with pytest.raises(UsageError, match="--workdir=runs"):
        parse_args([])


def test_runs_are_found_below_the_root_alone(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    for name in ("a", "deep/b", ".hidden/c", "a/samples/d"):
        written_run(root / name)
    written_run(other)
    (root / "link").symlink_to(other)
    found = catalogue.find_runs([root])
    assert set(found) == {"a", "deep/b"}
    run = found["a"]
    assert run.config() == {"steps": 10}
    # Links out of the root, and names with dots, lead nowhere.
    (root / "a" / "metrics.jsonl").unlink()
    (root / "a" / "metrics.jsonl").symlink_to(other / "metrics.jsonl")
    (root / "a" / "checkpoints").symlink_to(other)
    assert run.path("metrics.jsonl") is None
    assert run.path("../../other/config.json") is None
    assert run_data.read_run(run).curves == {}
    assert models.newest_step(run) == -1
    # A run that is named, and one of the same name elsewhere.
    two = catalogue.find_runs([root / "a", root])
    assert len(two) == 3


def test_a_run_imports_nothing_unasked(tmp_path):
    written_run(tmp_path / "run", json.dumps({"import_": "antigravity"}))
    (listed,) = catalogue.find_runs([tmp_path]).values()
    with pytest.raises(UsageError, match="--import=antigravity"):
        models.open_run(listed, 1)


def test_curves_and_findings_are_read(tmp_path):
    name = "discriminator/loss"
    rows: list[dict] = [{"step": i, name: i / 4, "score": None} for i in range(1000)]
    rows += [{"step": 5, "kind": "collapse", "finding": "<i>all equal</i>"}]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"step": 9, "torn'
    written_run(tmp_path / "run", rows=text)
    (listed,) = catalogue.find_runs([tmp_path]).values()
    read = run_data.read_run(listed)
    assert [x["finding"] for x in read.findings] == ["<i>all equal</i>"]
    pale, line = run_data.thinned(read.curves[name])
    assert len(pale.steps) == len(line.steps) == run_data.POINTS
    assert (pale.steps[-1], pale.values[-1]) == (999, 999 / 4)
    (panel,) = run_data.panels_of([read])
    assert panel.names == {name: "discriminator"}
    assert "finished" in run_data.state_of(listed, read, 999)
    assert "training" in run_data.state_of(listed, read, 2000)


def test_tiles_are_cut_where_they_are_clicked(tmp_path):
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * 40
    images = np.broadcast_to(images, (6, 28, 20, 3)) + np.array([0, 1, 2], np.uint8)
    place, tiles = tmp_path / "step_00000300.png", layout(images.shape)
    save_png(place, Picture(grid(images), tiles, 300, ("fake", "real")))
    made = run_data.load_picture(place)
    assert made
    assert run_data.step_of(place) == 300
    for number in range(6):
        top, left = run_data.corner(tiles, number)
        assert run_data.tile_at(tiles, left, top) == number
        assert run_data.tile_at(tiles, left - 1, top) is None
        cut = run_data.tile(made, number)
        assert cut is not None
        # Small images are enlarged in pictures, and small again as examples.
        np.testing.assert_array_equal(
            run_data.as_example(cut, (28, 20, 3)), images[number]
        )
    assert run_data.tile(made, 6) is run_data.tile_at(tiles, 1e6, 1e6) is None
    half = run_data.fake_part(np.zeros((4, 8)), made.columns)
    assert half.shape == (4, 4)
    assert len(run_data.history([place, tmp_path / "step_1.png"], 2)) == 1


def test_latents_are_those_of_the_sampler_and_directions_are_known(finished):
    (listed,) = catalogue.find_runs([finished]).values()
    opened = models.open_run(listed, models.newest_step(listed))
    explorer = opened.explorer
    # `jaxgan.sample --seed=3` draws the same first sample.
    from jaxgan.gan.objective import example_keys
    from jaxgan.parallel import multi_seed

    z = explorer.latents([3, 1, 2])
    images = explorer.images(z)
    keys = example_keys(multi_seed.key_of(3), 1)
    generate, generator = jax.jit(opened.run.gan.generate), opened.players.generator
    np.testing.assert_allclose(
        images[:1], generate(generator, {"image": keys}, keys), atol=1e-5
    )
    # Truncation to the mean of the first layer leaves one sample.
    same = explorer.images(z, truncation=0.0)
    np.testing.assert_allclose(same[1:], same[:-1], atol=1e-6)
    assert np.abs(np.diff(images, axis=0)).max() > 1e-3
    # No more directions than numbers in a latent.
    assert explorer.directions.shape == (4, 4)
    # Latents that D and G never see have no effect: PCA of features of two of them.
    random = np.random.default_rng(0)
    latents = random.standard_normal((600, 5))
    features = latents[:, [3, 1]] * (3.0, 1.0) @ random.standard_normal((2, 2))
    ways, shares = latent_directions.principal_directions(latents, features)
    assert shares.sum() == pytest.approx(1)
    assert ways.shape == (2, 5)
    np.testing.assert_allclose(ways[:, [0, 2, 4]], 0, atol=0.15)
    # A wide layer gives the same directions as a narrow one.
    wide = np.concatenate([features, np.zeros((600, 700))], axis=1)
    np.testing.assert_allclose(
        latent_directions.principal_directions(latents, wide).ways, ways, atol=1e-3
    )
    # Neighbors: a training example is its own nearest one, at distance 0.
    examples = close_examples.examples_of(opened)
    for space in close_examples.SPACES:
        close = close_examples.nearest(opened, examples.images[7], space)
        assert close.numbers[0] == examples.numbers[7]
        assert close.distances[0] == pytest.approx(0, abs=1e-5)
        assert (np.diff(close.distances) >= 0).all()
    said = close_examples.judge(opened, examples.images[7])
    assert np.isfinite(said.logit)
    assert "step 20" in describe(said, 10)


def test_blends_pass_through_their_corners():
    corners = np.eye(4) * 2
    for place, number in (((0, 0), 0), ((1, 0), 1), ((0, 1), 2), ((1, 1), 3)):
        np.testing.assert_allclose(
            latent_paths.blend_corners(corners, *place), corners[number], atol=1e-6
        )
    # Spherical: all points between have the corners' length.
    middle = latent_paths.blend_corners(corners, 0.3, 0.8)
    assert np.linalg.norm(middle) == pytest.approx(2)
    assert len(blend_places(2)) == len(blend_places(4)) == models.SHOWN
    ways = np.eye(4)[:2]
    np.testing.assert_allclose(
        latent_directions.moved(corners[:1], {1: 3.0, 5: 1.0}, ways), [[2, 3, 0, 0]]
    )


def test_texts_from_files_are_escaped_and_configs_compared():
    hostile = "<img src=x onerror=alert(1)>"
    for made in (page.words(hostile), page.table([[hostile]], [hostile])):
        assert "<img" not in made
    configs = {"a": {"loss": "hinge", "seed": 1}, "b": {"loss": "hinge", "seed": 2}}
    assert catalogue.differences(configs) == [["seed", "1", "2"]]
    assert catalogue.flags_of({"k": 2, "workdir": "x"}, {"k": 1}) == [["k", "2"]]
    assert Path(page.__file__).with_name("page.html").is_file()
