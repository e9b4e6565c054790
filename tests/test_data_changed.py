"""A run resumes with the data that it began with, wherever they are."""

import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_fixtures import png, prepare_own
from PIL import Image
from test_train import argv, run

from jaxgan import data, train, workdir
from jaxgan.config.resolve import make_config, to_dict
from jaxgan.config.training import RESUMABLE
from jaxgan.data.text import tokens_example
from jaxgan.errors import UsageError
from jaxgan.experiment import setup
from jaxgan.experiment.data_facts import data_facts, example_to_json
from jaxgan.types import ExampleSpec, Field

PICTURES = np.random.default_rng(0).integers(0, 256, (40, 8, 8)).astype(np.uint8)


def opened(folder, dataset, **given):
    """Begins or resumes a run as training does, without its steps."""
    config = make_config(dataset=dataset, workdir=str(folder), held_out="none", **given)
    known = data_facts(setup.load_data(config)[0])
    alike = setup.allowed_differences(config, known)
    with workdir.open_workdir(
        folder, to_dict(config), may_change=RESUMABLE, data=known, alike=alike
    ):
        return known


def refusal(folder, dataset, **given):
    with pytest.raises(UsageError) as caught:
        opened(folder, dataset, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def save(path, pictures=PICTURES, **more):
    np.savez(path, images=pictures, **more)
    return f"npz:{path}"


def save_files(folder, pictures=PICTURES):
    folder.mkdir(exist_ok=True)
    for i, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
    return f"folder:{folder}"


def prints(sets):
    return [data.fingerprint(x) for x in sets]


def test_a_fingerprint_tells_sets_apart():
    labels = np.arange(40) % 3
    other, turned = PICTURES.copy(), PICTURES[::-1]
    other[17, 3, 3] ^= 1
    sets = [
        data.from_arrays(PICTURES),
        data.from_arrays(other),
        data.from_arrays(turned),
        data.from_arrays(PICTURES[:-1]),
        data.from_arrays(PICTURES.astype(np.uint16)),
        data.from_arrays(PICTURES.reshape(40, 4, 16)),
        data.from_arrays(PICTURES, labels),
        data.from_arrays(PICTURES, labels[::-1]),
    ]
    assert len(set(prints(sets))) == len(sets)
    assert prints(sets[:1]) == prints([data.from_arrays(PICTURES.copy(order="F"))])


def test_fingerprints_of_files_are_of_what_is_stored(tmp_path):
    name = save_files(tmp_path / "a")
    whole = data.load(name)
    first = data.fingerprint(whole)
    assert data.fingerprint(whole._replace(read=None)) == first  # type: ignore[arg-type]
    Image.fromarray(255 - PICTURES[7]).save(tmp_path / "a" / "007.png")
    assert data.fingerprint(data.load(name)) != first
    examples = [{"image": png(x), "label": 0} for x in PICTURES]
    features = {
        "image": tfds.features.Image(shape=(8, 8, 1)),
        "label": tfds.features.ClassLabel(num_classes=2),
    }
    prepare_own(tmp_path / "1", "own", features, examples)
    prepare_own(tmp_path / "2", "own", features, examples)
    prepare_own(tmp_path / "3", "own", features, [{**x, "label": 1} for x in examples])
    sets = [data.load("own", data_dir=str(tmp_path / i)) for i in "123"]
    one, same, other = prints(sets)
    assert one == same != other
    halves = [data.hold_out(x, "20", "train", data.load)[0] for x in sets]
    assert data.fingerprint(halves[0]) == data.fingerprint(halves[1]) not in (one, None)


def test_a_fingerprint_is_cheap_and_of_points_there_is_none():
    seen = []

    def read(numbers):
        seen.append(len(numbers))
        return {"image": np.zeros((len(numbers), 512, 512, 3), np.uint8)}

    one = data.from_arrays(np.zeros((1, 512, 512, 3), np.uint8))
    data.fingerprint(one._replace(size=10**6, read=read, arrays=None))
    assert seen == [85]
    assert data.fingerprint(data.load("ring8")) is None  # computed: rounded elsewhere


def test_exchanged_content_of_the_same_shape_is_refused(tmp_path):
    for name, again in (
        (save(tmp_path / "a.npz"), lambda: save(tmp_path / "a.npz", 255 - PICTURES)),
        (
            save_files(tmp_path / "b"),
            lambda: save_files(tmp_path / "b", 255 - PICTURES),
        ),
    ):
        folder = tmp_path / f"run-{name.partition(':')[0]}"
        before = opened(folder, name)["fingerprint"]
        again()
        said = refusal(folder, name)
        assert f'different data: fingerprint is "{before}" in the run' in said
        assert "accept the new data with --data_changed=accept" in said
        after = opened(folder, name, data_changed="accept")["fingerprint"]
        assert workdir.read_data(folder)["fingerprint"] == after != before
        opened(folder, name)


def test_an_added_file_is_refused_or_accepted(tmp_path, caplog):
    name, folder = save_files(tmp_path / "a"), tmp_path / "run"
    opened(folder, name)
    Image.fromarray(PICTURES[0]).save(tmp_path / "a" / "new.png")
    said = refusal(folder, name)
    assert "size is 40 in the run and 41 now" in said
    assert "fingerprint" not in said
    opened(folder, name, data_changed="accept")
    assert "continuing with other data: size is 40 in the run and 41 now" in caplog.text
    assert workdir.read_data(folder)["size"] == 41
    opened(folder, name)


def test_a_place_may_be_written_in_many_ways(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    save_files(tmp_path / "pics")
    save(tmp_path / "a.npz")
    (tmp_path / "link").symlink_to("pics")
    for kind, path in (("folder", "pics"), ("npz", "a.npz")):
        folder = tmp_path / f"run-{kind}"
        opened(folder, f"{kind}:{path}")
        file = folder / "data.json"
        kept = json.loads(file.read_text())
        del kept["fingerprint"]  # as of version 0.1.0: only places can be compared
        for other in (f"./{path}", f"~/{path}", tmp_path / path, f"link/../{path}"):
            file.write_text(json.dumps(kept))
            opened(folder, f"{kind}:{other}")
            assert workdir.read_config(folder)["dataset"] == f"{kind}:{other}"
            assert len(workdir.read_data(folder)["fingerprint"]) == 16
    opened(tmp_path / "run-folder", "folder:pics/")
    opened(tmp_path / "run-folder", "folder:link")


def test_another_place_is_the_same_if_its_examples_are(tmp_path):
    name, folder = save(tmp_path / "a.npz"), tmp_path / "run"
    opened(folder, name)
    shutil.copy(tmp_path / "a.npz", tmp_path / "b.npz")
    opened(folder, f"npz:{tmp_path / 'b.npz'}")
    other = save(tmp_path / "c.npz", 255 - PICTURES)
    said = refusal(folder, other)
    assert 'b.npz" in the run and "' in said
    assert 'c.npz" now' in said
    assert "--data_changed=accept" in said
    opened(folder, other, data_changed="accept")
    assert workdir.read_config(folder)["dataset"] == other


def test_another_shape_is_never_accepted(tmp_path):
    folder = tmp_path / "run"
    opened(folder, save(tmp_path / "a.npz"))
    wide = save(tmp_path / "a.npz", np.zeros((40, 8, 9), np.uint8))
    said = refusal(folder, wide, data_changed="accept")
    assert "shape is [8, 8, 1] in the run and [8, 9, 1] now" in said
    assert "--data_changed" not in said
    with pytest.raises(UsageError, match="--data_changed=maybe: choose refuse or acc"):
        make_config(data_changed="maybe")


def test_a_run_of_0_1_0_resumes_and_gets_a_fingerprint(tmp_path):
    name, folder = save(tmp_path / "a.npz", targets=np.arange(40) % 2), tmp_path / "run"
    opened(folder, name)
    file = folder / "data.json"
    kept = json.loads(file.read_text())
    old = {k: v for k, v in kept.items() if k != "fingerprint"} | {"classes": []}
    file.write_text(json.dumps(old))  # its npz knew of no key like `targets`
    config = json.loads((folder / "config.json").read_text())
    new = ("image_field", "label_field", "data_changed")
    config = {k: v for k, v in config.items() if k not in new}
    (folder / "config.json").write_text(json.dumps(config))
    opened(folder, name)
    assert json.loads(file.read_text()) == kept
    others = {k: v for k, v in workdir.read_config(folder).items() if k not in new}
    assert others == config
    save(tmp_path / "a.npz", PICTURES, targets=np.arange(40) % 4)
    assert 'classes is ["0", "1"] in the run' in refusal(folder, name)


def test_a_run_keeps_flags_that_an_earlier_version_ignored(tmp_path):
    name, folder = save(tmp_path / "a.npz"), tmp_path / "run"
    flags = {"rate": 8_000, "seconds": 3, "networks": "small(1)", "batch_size": 8}
    given = {"dataset": name, "workdir": str(folder), "held_out": "none"}
    config = make_config(**given, **flags)
    message = "--rate=8000 is only for audio:PATH; use --rate=0"
    with pytest.raises(UsageError, match=message):
        setup.setup(config)
    # As a workdir of an earlier version, which also has been evaluated.
    opened(folder, name, **flags)
    assert setup.setup(config).dataset.size == 40
    opened(folder, name, **flags)


def test_training_resumes_with_data_that_changed(pictures, tmp_path, capfd):
    mine = tmp_path / "mine.npz"
    shutil.copy(pictures, mine)
    folder = run(mine, tmp_path / "run", 2)
    with np.load(pictures) as held:
        np.savez(mine, images=255 - held["images"], labels=held["labels"])
    assert train.main(argv(mine, folder, 4)) == 2
    (line,) = [x for x in capfd.readouterr().err.splitlines() if "fingerprint" in x]
    assert "--data_changed=accept" in line
    run(mine, folder, 4, data_changed="accept")


def test_other_fields_are_named_one_by_one():
    def said(old, new):
        # Facts of the first field are listed once.
        old, new = (example_to_json(example) for example in (old, new))
        return workdir.format_differences(workdir.differences(old, new))

    texts = [tokens_example(4, (*"abcd"[:n],)) for n in (3, 4)]
    assert said(*texts) == "another vocabulary: 3 tokens in the run and 4 now"
    longer = tokens_example(5, ("a", "b", "d"))
    assert said(texts[0], longer) == (
        "shape is [4] in the run and [5] now, another vocabulary of 3 tokens"
    )
    sound = Field((256, 1), np.dtype(np.int16), "waveform", rate=8_000)
    label = Field((), np.dtype(np.int32), "label", ("a", "b"))
    sounds = ExampleSpec(waveform=sound, label=label)
    other = ExampleSpec(
        waveform=sound._replace(rate=16_000), label=label._replace(names=("a", "c"))
    )
    assert said(sounds, other) == (
        'classes is ["a", "b"] in the run and ["a", "c"] now, '
        "rate of waveform is 8000 in the run and 16000 now"
    )
    alone = ExampleSpec(waveform=sound)
    fields = 'fields is "waveform, label" in the run and "waveform" now'
    assert (
        said(sounds, alone) == f'classes is ["a", "b"] in the run and [] now, {fields}'
    )
    # A damaged file is shown as it stands.
    damaged = {"fields": ({"x": None}, {"x": {"names": []}})}
    assert 'fields is {"x": null} in the run' in workdir.format_differences(damaged)
