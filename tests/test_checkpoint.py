"""Checkpoints come back bit for bit, whatever happened to the program or the disk."""

import asyncio
import errno
import gc
import os
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from games import same
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from slow import slow
from test_train import argv, run, state_of, values

from jaxgan import train
from jaxgan.errors import UsageError
from jaxgan.experiment import checkpoint, digests
from jaxgan.experiment.checkpoint import available, open_checkpoints, restore, save
from jaxgan.experiment.checkpoint_reader import read
from jaxgan.experiment.storage_errors import raise_unless_damage
from jaxgan.types import Players, TrainState


@flax.struct.dataclass
class Counted:
    count: jax.Array
    mean: dict


def make_state(step: int, size: int = 1000) -> TrainState:
    """A state of all our types whose every value is known from its step."""
    kernel = jnp.arange(size, dtype=jnp.float32) * 0.1 + step
    generator = {"dense": {"kernel": kernel, "scale": kernel[:3].astype(jnp.bfloat16)}}
    bits = jnp.arange(5, dtype=jnp.uint32) + np.uint32(2**31) + jnp.uint32(step)
    discriminator = {"bits": bits}
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    return TrainState(
        step=jnp.int32(step),
        params=Players(generator, discriminator),
        stats=Players({"batch_stats": {"mean": kernel - 1}}, {}),
        opt_state=Players(tx.init(generator), optax.sgd(1.0).init(discriminator)),
        term_state=Players((), (Counted(jnp.int32(7), {"m": kernel * 2}), ())),
        ema=jax.tree.map(jnp.copy, generator),
    )


def assert_same(got, want):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert a.dtype == b.dtype
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def write(folder, steps, keep=10, scores=None, size=1000):
    with open_checkpoints(folder, keep=keep) as checkpoints:
        for step in steps:
            save(
                checkpoints,
                make_state(step, size),
                history={"best": step},
                config={"loss": "hinge"},
                score=(scores or {}).get(step),
            )


def test_the_state_comes_back_in_its_classes_bit_for_bit(tmp_path):
    write(tmp_path, [3])
    state, history = restore(tmp_path, jax.eval_shape(make_state, 0))
    assert_same(state, make_state(3))
    assert isinstance(state, TrainState)
    assert isinstance(state.params, Players)
    assert isinstance(state.term_state.discriminator[0], Counted)
    assert type(state.opt_state.generator[1][0]).__name__ == "ScaleByAdamState"
    assert history == {"best": 3}


def test_floats_that_are_not_numbers_come_back(tmp_path):
    odd = replace(
        make_state(1, 4),
        ema={"x": jnp.array([jnp.nan, jnp.inf, -0.0, 1e-42], jnp.float32)},
    )
    with open_checkpoints(tmp_path, keep=1) as checkpoints:
        save(checkpoints, odd, history={}, config={})
    assert_same(restore(tmp_path, odd)[0], odd)


@pytest.mark.parametrize("devices", [1, 2])
def test_the_caller_may_donate_the_state_at_once(tmp_path, devices):
    """On a CPU an array and its NumPy view are the same memory: no view may be kept."""

    @partial(jax.jit, donate_argnums=0)
    def step(state):
        return jax.tree.map(lambda x: x + jnp.ones((), x.dtype), state)

    mesh = jax.make_mesh(
        (devices,),
        ("data",),
        axis_types=(AxisType.Auto,),
        devices=jax.devices()[:devices],
    )
    state = jax.device_put(make_state(1, 500_000), NamedSharding(mesh, P()))
    want = jax.tree.map(lambda x: np.array(x, copy=True), state)
    with open_checkpoints(tmp_path, keep=1) as checkpoints:
        save(checkpoints, state, history={}, config={})
        for _ in range(30):
            state = step(state)
        jax.block_until_ready(state)
    assert_same(restore(tmp_path, want)[0], want)


def replicated(count: int) -> NamedSharding:
    devices = jax.devices()[:count]
    mesh = jax.make_mesh(
        (count,), ("data",), axis_types=(AxisType.Auto,), devices=devices
    )
    return NamedSharding(mesh, P())


@pytest.mark.parametrize("saved_on", [1, 2, 8])
def test_a_state_of_any_devices_comes_back_to_the_host(tmp_path, saved_on):
    state = jax.device_put(make_state(5), replicated(saved_on))
    with open_checkpoints(tmp_path, keep=1) as checkpoints:
        save(checkpoints, state, history={}, config={})
    for template in (state, jax.eval_shape(make_state, 0)):
        got, _ = restore(tmp_path, template)
        assert_same(got, make_state(5))
        assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(got))


def test_a_state_in_parts_comes_back_whole(tmp_path):
    parts = NamedSharding(replicated(8).mesh, P("data"))
    state = make_state(5, 800)
    kernel = jax.device_put(state.params.generator["dense"]["kernel"], parts)
    state.params.generator["dense"]["kernel"] = kernel
    with open_checkpoints(tmp_path, keep=1) as checkpoints:
        save(checkpoints, state, history={}, config={})
    got, _ = restore(tmp_path, jax.eval_shape(partial(make_state, 0, 800)))
    assert_same(got, make_state(5, 800))


def test_a_part_is_restored_alone(tmp_path):
    write(tmp_path, [3])
    want = make_state(3)
    template = jax.eval_shape(lambda: {"step": want.step, "ema": want.ema})
    got, _ = restore(tmp_path, template, partial=True)
    assert_same(got, {"step": want.step, "ema": want.ema})


def test_the_newest_and_the_best_are_kept(tmp_path):
    scores = {1: 9.0, 2: 1.0, 3: 5.0, 4: None, 5: float("nan"), 6: 7.0, 7: None}
    write(tmp_path, range(1, 8), keep=2, scores=scores)
    assert available(tmp_path) == [2, 6, 7]
    template = jax.eval_shape(make_state, 0)
    assert int(restore(tmp_path, template, which="best")[0].step) == 2
    assert int(restore(tmp_path, template, which="last")[0].step) == 7
    assert int(restore(tmp_path, template, which=6)[0].step) == 6


def test_the_best_is_remembered_by_the_next_program(tmp_path):
    write(tmp_path, [1, 2], keep=1, scores={1: 1.0, 2: 2.0})
    write(tmp_path, [3, 4], keep=1, scores={3: 3.0})
    assert available(tmp_path) == [1, 4]
    write(tmp_path, [5, 6], keep=1, scores={5: 0.5})
    assert available(tmp_path) == [5, 6]


def test_without_scores_the_best_is_the_last_and_it_says_so(tmp_path, caplog):
    write(tmp_path, [1, 2])
    state, _ = restore(tmp_path, make_state(0), which="best")
    assert int(state.step) == 2
    assert "no checkpoint has a score: using the last one" in caplog.text


def test_a_step_saved_before_is_left_as_it_is(tmp_path):
    write(tmp_path, [4])
    with open_checkpoints(tmp_path, keep=2, resume_step=4) as checkpoints:
        other = replace(make_state(4), ema=make_state(9).ema)
        save(checkpoints, other, history={"best": 0}, config={}, wait=True)
    state, history = restore(tmp_path, make_state(0))
    assert_same(state, make_state(4))
    assert history == {"best": 4}


def test_nothing_is_printed_on_the_way(tmp_path, capfd):
    write(tmp_path, [1, 2, 3], keep=1, scores={1: 1.0})
    restore(tmp_path, make_state(0))
    assert capfd.readouterr() == ("", "")


FILES = (
    "history/metadata",
    "state/_METADATA",
    "state/manifest.ocdbt",
    "state/d/*",
    "state/ocdbt.process_0/d/*",
)
WAYS = ("remove", "empty", "half")


# Each file is damaged in one way, and in all of them by the slow tests.
@pytest.mark.parametrize(
    ("file", "how"),
    [
        (file, way) if i % 3 == j else slow(file, way)
        for i, file in enumerate(FILES)
        for j, way in enumerate(WAYS)
    ],
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, caplog, file, how):
    write(tmp_path, [1, 2], size=100_000)
    path = max((tmp_path / "2").glob(file), key=lambda path: path.stat().st_size)
    if how == "remove":
        path.unlink()
    else:
        os.truncate(path, 0 if how == "empty" else path.stat().st_size // 2)
    template = jax.eval_shape(partial(make_state, 0, 100_000))
    state, _ = restore(tmp_path, template)
    assert_same(state, make_state(1, 100_000))
    assert "checkpoint 2 is damaged" in caplog.text
    with pytest.raises(
        UsageError, match=r"checkpoint 2 is damaged; .* also has \[1\]$"
    ):
        restore(tmp_path, template, which=2)
    with open_checkpoints(tmp_path, keep=2, resume_step=1) as checkpoints:
        save(checkpoints, make_state(2, 100_000), history={}, config={})
    assert (tmp_path / "set-aside-2").is_dir()
    assert_same(restore(tmp_path, template)[0], make_state(2, 100_000))


def flip(file: Path, share: float) -> None:
    """Flips a bit of the byte at a share of the file."""
    content = bytearray(file.read_bytes())
    content[int(share * len(content))] ^= 0x10
    file.write_bytes(content)


def value_file(checkpoint: Path) -> Path:
    """The largest file with values of a checkpoint."""
    files = checkpoint.glob("state/ocdbt.process_0/d/*")
    return max(files, key=lambda file: file.stat().st_size)


@pytest.mark.parametrize(
    ("file", "share"),
    [
        ("history/digests_0.json", 0.1),
        ("history/metadata", 0.9),
        ("state/_METADATA", 0.1),
        ("state/manifest.ocdbt", 0.9),
        ("state/d/*", 0.1),
        slow("history/digests_0.json", 0.9),
        slow("history/metadata", 0.1),
        slow("state/_METADATA", 0.9),
        slow("state/manifest.ocdbt", 0.1),
        slow("state/d/*", 0.9),
    ],
)
def test_a_flipped_bit_in_any_file_that_is_read_is_found(tmp_path, caplog, file, share):
    write(tmp_path, [1, 2])
    [path] = (tmp_path / "2").glob(file)
    flip(path, share)
    assert_same(restore(tmp_path, jax.eval_shape(make_state, 0))[0], make_state(1))
    [line] = caplog.messages
    assert line.startswith("checkpoint 2 is damaged: ")
    assert "\n" not in line


def test_flipped_bits_of_values_are_found_in_the_part_that_is_read(tmp_path, caplog):
    """Noise is stored as it is, so that a flipped bit is a wrong value."""
    with open_checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2):
            save(checkpoints, noise(step), history={}, config={})
    flip(value_file(tmp_path / "2"), 0.5)
    want = noise(1)
    assert_same(restore(tmp_path, want)[0], want)
    assert "damaged: the values of ema/kernel do not match their" in caplog.text
    step = {"step": want.step}  # lies in another file
    assert int(restore(tmp_path, step, partial=True)[0]["step"]) == 2


def test_a_flipped_bit_in_a_score_does_not_name_the_best(tmp_path):
    write(tmp_path, [1, 2], scores={1: 1.0, 2: 5.0})
    metrics = tmp_path / "2/metrics/metrics"
    metrics.write_text(metrics.read_text().replace("5.0", "0.0"))
    assert int(restore(tmp_path, make_state(0), which="best")[0].step) == 1


def test_each_part_of_a_sharded_leaf_has_its_digest(tmp_path):
    state = make_state(5, 800)
    parts = NamedSharding(replicated(8).mesh, P("data"))
    state = replace(state, ema={"kernel": jax.device_put(jnp.arange(800.0), parts)})
    with open_checkpoints(tmp_path, keep=1) as checkpoints:
        save(checkpoints, state, history={}, config={})
    recorded = digests.read(tmp_path / "5")
    assert recorded
    bounds = sorted(index for index, _ in recorded.parts["ema/kernel"])
    assert bounds == [[[i, i + 100]] for i in range(0, 800, 100)]
    whole = {"ema": {"kernel": np.arange(800, dtype=np.float32)}}
    digests.check_leaves(recorded, whole)
    whole["ema"]["kernel"][799] = -799
    with pytest.raises(ValueError, match="ema/kernel do not match their checksum"):
        digests.check_leaves(recorded, whole)
    whole["ema"]["kernel"][799] = 799
    recorded.parts["ema/kernel"].pop()  # another process did not record
    with pytest.raises(ValueError, match="digests of ema/kernel are incomplete"):
        digests.check_leaves(recorded, whole)


def test_checkpoints_without_digests_are_restored(tmp_path):
    write(tmp_path, [1, 2], scores={1: 1.0, 2: 2.0})
    for step in ("1", "2"):
        (tmp_path / step / "history/digests_0.json").unlink()
    assert_same(restore(tmp_path, make_state(0))[0], make_state(2))
    assert int(restore(tmp_path, make_state(0), which="best")[0].step) == 1


def test_a_run_with_flipped_bits_goes_on_as_if_never_damaged(
    pictures, tmp_path, caplog
):
    flags = {"networks": "mlp((256,), (256,))", "save_every": 5, "samples": 4}
    whole = run(pictures, tmp_path / "whole", 10, **flags)
    copies = [tmp_path / f"{share}" for share in (0.1, 0.6)]
    for copy in copies:
        shutil.copytree(whole, copy)
        flip(value_file(copy / "checkpoints" / "10"), float(copy.name))
    run(pictures, whole, 15, **flags)
    want = state_of(whole, 15)
    for copy in copies:
        caplog.clear()
        run(pictures, copy, 15, **flags)
        assert caplog.text.count("checkpoint 10 is damaged: ") == 1
        assert "resumed at step 5" in caplog.text
        same(want, state_of(copy, 15))
        assert values(copy) == values(whole)


def test_a_damaged_score_stops_nobody(tmp_path):
    write(tmp_path, [1, 2], scores={1: 1.0, 2: 2.0})
    (tmp_path / "1/metrics/metrics").write_text('{"sc')
    assert int(restore(tmp_path, make_state(0), which="best")[0].step) == 2
    write(tmp_path, [3], keep=1)
    assert available(tmp_path) == [2, 3]


def test_when_nothing_is_whole_it_says_so(tmp_path):
    write(tmp_path, [1])
    (tmp_path / "1/state/manifest.ocdbt").unlink()
    with pytest.raises(UsageError, match=r"no checkpoint in .* is intact; use another"):
        restore(tmp_path, make_state(0))


def test_what_a_killed_save_left_is_no_checkpoint_and_goes(tmp_path):
    write(tmp_path, [1])
    shutil.copytree(tmp_path / "1", tmp_path / "2.orbax-checkpoint-tmp")
    assert available(tmp_path) == [1]
    write(tmp_path, [3])
    assert available(tmp_path) == [1, 3]
    assert not (tmp_path / "2.orbax-checkpoint-tmp").exists()


ODD = ["²", "007", "-3", "1_0", "+5", " 5", "٣", "copy_4", "2 (copy)", "\x1b[31m", "x"]


def test_other_folders_among_the_checkpoints_are_no_checkpoints(tmp_path):
    write(tmp_path, [1, 2])
    for name in ODD:
        shutil.copytree(tmp_path / "1", tmp_path / name)
    (tmp_path / "9").write_text("a file")
    assert available(tmp_path) == [1, 2]
    assert int(restore(tmp_path, make_state(0))[0].step) == 2
    write(tmp_path, [3], keep=1)
    assert available(tmp_path) == [3]
    assert all((tmp_path / name).is_dir() for name in ODD)


@pytest.mark.parametrize("kind", ["file", "broken link", "loop"])
def test_checkpoints_that_are_no_folder_are_refused(tmp_path, pictures, capsys, kind):
    place = tmp_path / "run" / "checkpoints"
    place.parent.mkdir()
    if kind == "file":
        place.write_text("")
    else:
        place.symlink_to("checkpoints" if kind == "loop" else "/nowhere")
    for work in (available, lambda folder: write(folder, [1])):
        with pytest.raises(UsageError, match="checkpoints is not a folder; remove it"):
            work(place)
    assert train.main(argv(pictures, tmp_path / "run", 5)) == 2
    assert "error: " in capsys.readouterr().err
    assert list(place.parent.iterdir()) == [place]


def test_a_pipe_within_a_checkpoint_is_damage_and_hangs_nobody(tmp_path, caplog):
    write(tmp_path, [1, 2], scores={1: 2.0, 2: 1.0})
    for file in ("history/metadata", "metrics/metrics"):
        (tmp_path / "2" / file).unlink()
        os.mkfifo(tmp_path / "2" / file)
    for which in ("last", "best"):
        assert int(restore(tmp_path, make_state(0), which=which)[0].step) == 1
    assert "checkpoint 2 is damaged: " in caplog.text
    assert "is not a regular file" in caplog.text
    write(tmp_path, [3], keep=1)


def test_a_score_of_the_wrong_kind_stops_nobody(tmp_path):
    write(tmp_path, [1, 2], scores={1: 1.0, 2: 2.0})
    shutil.rmtree(tmp_path / "1/metrics")
    (tmp_path / "1/metrics").write_text("")
    (tmp_path / "2/metrics/metrics").unlink()
    (tmp_path / "2/metrics/metrics").mkdir()
    write(tmp_path, [3], keep=1)
    assert available(tmp_path) == [3]


@pytest.mark.parametrize(
    ("which", "found"), [("last", 3), ("best", 3), (2, "no checkpoint 2 in")]
)
def test_one_that_training_removes_while_it_is_read_is_not_called_damaged(
    tmp_path, monkeypatch, caplog, which, found
):
    write(tmp_path, [1, 2], scores={1: 5.0, 2: 1.0})

    def removed_meanwhile(path, *given):
        """Training saves a better one; the removal of this one has only begun."""
        if path.name == "2":
            write(tmp_path, [3], keep=3, scores={3: 0.5})
            shutil.rmtree(path / "state")
            threading.Timer(0.02, shutil.rmtree, [path]).start()
        return read(path, *given)

    monkeypatch.setattr(checkpoint, "read", removed_meanwhile)
    if isinstance(found, int):
        state, _ = restore(tmp_path, make_state(0), which=which)
        assert int(state.step) == found
    else:
        with pytest.raises(UsageError, match=found):
            restore(tmp_path, make_state(0), which=which)
    assert "checkpoint 2 was removed while it was read" in caplog.text
    assert "damaged" not in caplog.text


@contextmanager
def limited(kind: int, most: int):
    """This process with a limit of its own."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def test_too_many_open_files_are_one_line(tmp_path):
    write(tmp_path, [1])
    with (
        limited(resource.RLIMIT_NOFILE, 3),
        pytest.raises(UsageError, match=r"cannot be read \(Too many open files\)"),
    ):
        restore(tmp_path, make_state(0))


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied"),
        OSError(errno.EMFILE, "Too many open files"),
        ValueError("PERMISSION_DENIED: ... [os_error_code='13' source locations=..."),
        MemoryError(),
    ],
)
def test_what_says_nothing_of_the_content_is_no_damage(tmp_path, error):
    with pytest.raises(
        UsageError, match=r"20 in .* \((Permission|Cannot allocate|Too many)"
    ):
        raise_unless_damage(tmp_path / "20", error)


def test_space_is_asked_for_only_where_it_is_short(tmp_path):
    message = (
        r"\(File too large\); the last good one \(step 1\) is kept; "
        "raise the file size limit"
    )
    write(tmp_path, [1])
    with (
        limited(resource.RLIMIT_FSIZE, 200_000),
        pytest.raises(UsageError, match=message) as caught,
        open_checkpoints(tmp_path, keep=2) as checkpoints,
    ):
        save(checkpoints, noise(2), history={}, config={})
    assert "free some space" not in str(caught.value)


def test_the_wrong_step_lists_the_right_ones(tmp_path):
    write(tmp_path, [10, 20])
    with pytest.raises(
        UsageError, match=r"no checkpoint 15 in .*; choose from \[10, 20"
    ):
        restore(tmp_path, make_state(0), which=15)
    with pytest.raises(UsageError, match=r"there is no checkpoint in .* --workdir"):
        restore(tmp_path / "none", make_state(0))
    with pytest.raises(UsageError, match="--keep=0 keeps no checkpoint; use --keep=3"):
        write(tmp_path, [30], keep=0)


def other_networks():
    state = make_state(0)
    dense = {"kernel": jnp.zeros((3, 4)), "scale": state.ema["dense"]["scale"]}
    yield (
        replace(state, params=state.params._replace(generator={"dense": dense})),
        r"params/generator/dense/kernel is float32\[1000\] in .*float32\[3, 4\] here",
    )
    yield replace(state, step=jnp.float32(0)), r"step is int32\[\] in .* float32\[\] he"
    yield (
        replace(state, ema={"dense": {**state.ema["dense"], "bias": jnp.zeros(2)}}),
        r"ema/dense/bias is absent in the checkpoint and float32\[2\] here",
    )
    yield (
        replace(state, ema={}),
        r"ema/dense/kernel is float32\[1000\] in the checkpoint and absent here",
    )


@pytest.mark.parametrize("case", range(4))
def test_another_network_is_named_by_its_first_difference(tmp_path, case):
    write(tmp_path, [1])
    template, message = list(other_networks())[case]
    with pytest.raises(UsageError, match=message) as caught:
        restore(tmp_path, template)
    assert "\n" not in str(caught.value)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def noise(step):
    """Three megabytes that do not compress."""
    kernel = jax.random.normal(jax.random.key(step), (800_000,))
    return replace(make_state(step), ema={"kernel": kernel})


def test_a_full_disk_keeps_the_last_good_checkpoint(small_disk, capfd):
    folder = small_disk / "checkpoints"
    message = r"No space left.*; the last good one \(step 2\) is kept; free some space"
    with pytest.raises(UsageError, match=message):  # noqa: SIM117, PT012
        with open_checkpoints(folder, keep=2) as checkpoints:
            save(checkpoints, make_state(1), history={}, config={})
            save(checkpoints, make_state(2), history={}, config={}, wait=True)
            save(checkpoints, noise(3), history={}, config={})
            save(checkpoints, make_state(4), history={}, config={})
    assert available(folder) == [1, 2]
    assert_same(restore(folder, make_state(0))[0], make_state(2))
    with (
        pytest.raises(UsageError, match=message),
        open_checkpoints(folder, keep=2) as c,
    ):
        save(c, noise(5), history={}, config={})  # told when the folder is closed
    write(folder, [6], keep=1)
    assert available(folder) == [6]
    assert capfd.readouterr() == ("", "")


SAVER = """
    import os
    import sys
    import jax.numpy as jnp
    from jaxgan.experiment.checkpoint import available, open_checkpoints, restore, save
    from jaxgan.types import Players, TrainState

    def make(step):
        kernel = jnp.arange(2_500_000, dtype=jnp.float32) * 0.37 + step
        none = Players((), ())
        return TrainState(jnp.int32(step), none, none, none, none, {"kernel": kernel})

    def save_until_killed(folder):
        step = 0
        if available(folder):
            state, _ = restore(folder, make(0))
            step = int(state.step)
            same = bool((state.ema["kernel"] == make(step).ema["kernel"]).all())
            print("restored", step, same, flush=True)
        with open_checkpoints(folder, keep=2, resume_step=step) as checkpoints:
            while True:
                step += 1
                save(checkpoints, make(step), history={}, config={}, wait=True)
                print("saved", step, flush=True)

    for line in sys.stdin:
        # A process for each folder, forked before jax has any thread.
        child = os.fork()
        if not child:
            try:
                print("pid", os.getpid(), flush=True)
                save_until_killed(line.strip())
            finally:
                os._exit(1)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def saver():
    """A program that saves in a process of its own for each folder that is written."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SAVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
    ) as process:
        yield process


def run_and_kill(saver, folder, delay: float) -> list[str]:
    """The lines of a process that is killed `delay` seconds after its first save."""
    saver.stdin.write(f"{folder}\n")
    saver.stdin.flush()
    lines = [saver.stdout.readline()]
    pid = int(lines[0].removeprefix("pid "))
    while not lines[-1].startswith("saved"):
        lines.append(saver.stdout.readline())
        assert lines[-1].startswith(("restored", "saved")), "it ended by itself"
    select.select([], [], [], delay)
    os.kill(pid, signal.SIGKILL)
    while not lines[-1].startswith("ended"):
        lines.append(saver.stdout.readline())
    assert lines[-1] == f"ended {-signal.SIGKILL}\n"
    return lines


def test_kill_9_at_any_moment_loses_no_saved_step(saver, tmp_path):
    rng = random.Random(0)
    folder, reported = tmp_path / "checkpoints", 0
    for kill in range(8):
        lines = [
            line.split() for line in run_and_kill(saver, folder, rng.uniform(0, 0.25))
        ]
        restored = [line for line in lines if line[0] == "restored"]
        assert len(restored) == (kill > 0)
        for _, step, equal in restored:
            assert equal == "True"
            assert int(step) >= reported
        reported = max(int(line[1]) for line in lines if line[0] == "saved")
    assert not list(folder.glob("set-aside-*")), "no save was ever half done"


def test_tasks_that_were_given_up_are_not_logged(tmp_path, monkeypatch, caplog):
    """asyncio logs the exception of a task that is collected before it is read."""
    write(tmp_path, [1])

    def give_up(*_):
        async def fail():
            raise ValueError("a piece is missing, in a page of words")

        async def begin():
            task = asyncio.ensure_future(fail())
            await asyncio.sleep(0)
            cycle: list = [task]
            cycle.append(cycle)  # found by the garbage collection only

        asyncio.run(begin())
        raise ValueError("a piece is missing")

    monkeypatch.setattr(checkpoint, "read", give_up)
    with pytest.raises(UsageError, match="is intact; use another"):
        restore(tmp_path, make_state(0))
    gc.collect()
    assert caplog.messages == ["checkpoint 1 is damaged: a piece is missing"]


def test_reads_that_were_given_up_say_nothing_of_their_own(tmp_path, monkeypatch):
    """Orbax leaves coroutines behind, which Python warns of whenever it finds them."""
    write(tmp_path, [1])
    left = []

    async def read():
        """Never awaited, as Orbax's other reads are after one fails."""

    def give_up(*_):
        cycle: list = [read()]
        cycle.append(cycle)  # found by the garbage collection only
        left.append(read())  # found after all is over
        raise ValueError("a piece is missing")

    monkeypatch.setattr(checkpoint, "read", give_up)
    with pytest.raises(UsageError, match="is intact; use another"):
        restore(tmp_path, make_state(0))
    left.clear()
    gc.collect()  # a warning is an error here, one that cannot be raised
