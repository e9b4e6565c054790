"""Exports the weights of a run: an .npz, or a folder as on the Hugging Face hub."""

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import jaxgan
from jaxgan import storage, workdir
from jaxgan.errors import UsageError
from jaxgan.experiment import init_from
from jaxgan.sharing.export import model_card
from jaxgan.sharing.export.bundle import Bundle
from jaxgan.sharing.export.names import flat_arrays
from jaxgan.sharing.record import HERE, read_record, sample_files

CONFIG, SAFETENSORS, NPZ = "config.json", "model.safetensors", "model.npz"
"""Names of the files."""

TRAINING_STATE = init_from.HUB_STATE
"""Name of the folder with the checkpoint from which training continues."""

PATHS = ("workdir", "data_dir", "init_from", "coordinator")
"""Flags with paths or addresses, which are not shared."""

INSTALL = "pip install 'jaxgan[export]'"


def write_npz(folder: Path, bundle: Bundle) -> list[str]:
    """Writes model.npz, whose arrays have names, and config.json."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **flat_arrays(bundle))
    (folder / NPZ).write_bytes(file.getvalue())
    _write_config(folder, bundle)
    return [CONFIG, NPZ]


def write_safetensors(folder: Path, bundle: Bundle) -> list[str]:
    """Writes the files of a repository of the Hugging Face hub.

    Args:
      folder: for the files.
      bundle: the run and its weights.

    Returns:
      Names of the files and folders.
    """
    check_library()
    from safetensors.numpy import save

    about = {"format": "flax", "library": f"jaxgan {jaxgan.__version__}"}
    content = save(flat_arrays(bundle), metadata=about)
    (folder / SAFETENSORS).write_bytes(content)
    _write_config(folder, bundle)
    names = [CONFIG, SAFETENSORS, "README.md"]
    picture = preview_of(bundle.run.folder, bundle.step)
    if picture is not None:
        shutil.copyfile(picture, folder / "samples.png")
        names.append("samples.png")
    card = model_card.text(bundle, has_picture=picture is not None)
    (folder / "README.md").write_text(card, encoding="utf-8")
    if TRAINING_STATE in bundle.parts:
        copy_training_state(bundle, folder / TRAINING_STATE)
        names.append(TRAINING_STATE)
    return sorted(names)


def check_library() -> None:
    """Raises UsageError unless the library `safetensors` is installed."""
    try:
        import safetensors.numpy  # noqa: F401
    except ImportError:
        raise UsageError(
            f"--format=safetensors needs the library safetensors: {INSTALL}"
        ) from None


def _write_config(folder: Path, bundle: Bundle) -> None:
    content = json.dumps(config_of(bundle), indent=2) + "\n"
    (folder / CONFIG).write_text(content, encoding="utf-8")


def config_of(bundle: Bundle) -> dict[str, Any]:
    """Returns config.json: all that it takes to build the networks again."""
    run = bundle.run
    record = read_record(run.folder)
    private = {*PATHS, *HERE}
    flags = {k: x for k, x in record.flags.items() if k not in private}
    return {
        "model_type": "jaxgan",
        "architectures": ["GAN"],
        "jaxgan_version": jaxgan.__version__,
        "step": bundle.step,
        "parameters": "newest" if bundle.raw else "moving average",
        "run": run.number,
        "inputs": _inputs(bundle),
        "flags": {**flags, "dataset": without_folders(flags["dataset"])},
        "data": workdir.read_data(run.folder),
    }


def _inputs(bundle: Bundle) -> dict[str, list[int]] | None:
    """Returns the shapes of one example's inputs, None for texts."""
    try:
        return {k: list(x.shape) for k, x in bundle.generator.inputs.items()}
    except UsageError:
        return None


def without_folders(dataset: str) -> str:
    """Returns the name of a data set with the last part of its paths only.

    >>> without_folders("folder:/home/me/cats"), without_folders("mnist")
    ('folder:cats', 'mnist')
    >>> without_folders("pairs:a/x,/b/y/")
    'pairs:x,y'
    """
    return re.sub(r"[^:,\s]*/([^:,\s/]+)/?(?=[:,\s]|$)", r"\1", dataset)


def preview_of(folder: Path, step: int) -> Path | None:
    """Returns the newest picture of samples that is not after a step."""
    files = sample_files(folder)
    return files.get(max((x for x in files if x <= step), default=-1))


def copy_training_state(bundle: Bundle, folder: Path) -> None:
    """Copies the checkpoint with its flags: a workdir from which training continues."""
    run = bundle.run
    (folder / "checkpoints").mkdir(parents=True)
    for name in ("config.json", "data.json"):
        shutil.copyfile(run.folder / name, folder / name)
    step = str(bundle.step)
    source = storage.checkpoints_in(run.folder / "checkpoints") / step
    storage.copy_tree(source, folder / "checkpoints" / step)
