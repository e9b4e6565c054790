"""Workdirs that nothing was trained in: for exports and reports, which read files."""

import json

import jax
import numpy as np

from jaxgan.config.resolve import make_config, to_dict
from jaxgan.experiment import checkpoint
from jaxgan.experiment.data_facts import example_to_json
from jaxgan.gan import builder
from jaxgan.types import ExampleSpec, Field, image_example

GRAY = image_example((8, 8, 1), classes=3)
PAIRS = ExampleSpec(image=Field((8, 8, 3)), source=Field((8, 8, 3)))
TEXTS = ExampleSpec(
    tokens=Field((6,), np.dtype(np.int32), "tokens", ("\0", "a", "b", "<c>"))
)
SOUNDS = ExampleSpec(waveform=Field((128, 1), np.dtype(np.int16), "waveform", (), 400))
MLP = {"networks": "mlp((8,), (8,))", "task": "generate(4)"}
CASES = {
    "mlp": (GRAY, MLP),
    "labels": (
        GRAY,
        {"preset": "projection", "networks": "small(1)", "task": "conditional(4)"},
    ),
    # Batch normalization and dropout, in the generator.
    "norms": (
        PAIRS,
        {"preset": "pix2pix", "networks": "image_to_image(unet(2, 3), patch(2, 1))"},
    ),
    "texts": (TEXTS, {"preset": "text_gan", "dataset": "text:some"}),
    "two": (GRAY, {**MLP, "runs": 2}),
}
"""Fields of the data, and flags, by name of the run."""


def config_of(name):
    example, flags = CASES[name]
    return example, make_config(**{"dataset": "mnist", "batch_size": 8, **flags})


def filled(shapes, seed=0):
    """Arrays of such shapes: numbers at random, of which variances are positive."""
    rng = np.random.default_rng(seed)

    def fill(path, x):
        if not np.issubdtype(x.dtype, np.floating):
            return np.zeros(x.shape, x.dtype)
        name = jax.tree_util.keystr(path)
        values = rng.normal(0, 0.3, x.shape)
        # StyleGAN2 multiplies the weights of its mapping by 0.01.
        values *= 100 if "mapping_network" in name else 1
        values = 0.5 + np.abs(values) if "var" in name else values
        return values.astype(x.dtype)

    return jax.tree_util.tree_map_with_path(fill, shapes)


def make(name, folder, steps=(2,)):
    """Writes the workdir of a case, with checkpoints of random numbers."""
    return written(*config_of(name), folder, steps)


def written(example, config, folder, steps=(2,)):
    """Writes the workdir of a configuration, with checkpoints of random numbers."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(to_dict(config)))
    facts = {**example_to_json(example), "size": 40, "fingerprint": "f"}
    (folder / "data.json").write_text(json.dumps(facts))
    gan = builder.build_gan(config, example, trains=False)
    one = jax.eval_shape(gan.init, jax.random.key(0))
    with checkpoint.open_checkpoints(folder / "checkpoints", keep=5) as manager:
        for step in steps:
            many = filled(one, step)
            if config.runs > 1:
                states = [filled(one, step + 10 * i) for i in range(config.runs)]
                many = jax.tree.map(lambda *x: np.stack(x), *states)
            state = many.replace(step=np.asarray(step, np.int32))
            history = {"seconds": 1.0}
            saved = to_dict(config)
            checkpoint.save(manager, state, history=history, config=saved, wait=True)
    return folder
