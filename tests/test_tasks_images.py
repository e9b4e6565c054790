"""The tasks that map images to images: samples, augmentation, and tiny runs."""

import image_toys
import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
from games import same
from image_toys import ATTRIBUTES, IMAGE, LABEL, SMALL
from kind_runs import KEY, close, final_state, run, train_flags
from PIL import Image
from slow import slow

from jaxgan import data, tasks, train
from jaxgan.errors import FieldError, UsageError
from jaxgan.gan import builder, objective
from jaxgan.networks.ops.platform import jit_once
from jaxgan.tasks import masks
from jaxgan.tasks.flips import flips
from jaxgan.tasks.super_resolution import shrink
from jaxgan.types import ExampleSpec, Field

SOURCED = ExampleSpec(image=IMAGE, source=IMAGE)
LABELED = ExampleSpec(image=IMAGE, label=LABEL)
WITH_ATTRIBUTES = ExampleSpec(image=IMAGE, attributes=ATTRIBUTES)


@pytest.fixture(autouse=True)
def registered():
    """The tables with the toys, which other tests do not see."""
    tables = [*kinds.TABLES, kinds.KINDS]
    before = [dict(table) for table in tables]
    image_toys.register()
    yield
    for table, own in zip(tables, before, strict=True):
        table.clear()
        table.update(own)


OTHER = {"source": "image", "image": "source"}


def images(count=8, size=8, channels=3, seed=0):
    """Images in [-1, 1] of 256 levels."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (count, size, size, channels), np.uint8)
    return jnp.asarray(data.normalize({"image": raw})["image"])


def keys(count=8, seed=0):
    return objective.example_keys(jax.random.key(seed), count)


def add(amount):
    """A generator of what it reads plus a number, and of the first three channels."""
    return lambda x, condition=None: jax.tree.map(lambda y: y[..., :3] + amount, x)


# Samples of each task.


def transformed(task, generator, inputs, keys):
    """Returns the images of a task for a user's inputs."""
    assert task.transform is not None
    return task.transform(generator, inputs, keys)


def test_a_pair_is_translated():
    task = tasks.paired(example=SOURCED)
    batch = {"image": images(), "source": images(seed=1)}
    samples = task.play(add(1), batch, keys(), 0)
    np.testing.assert_array_equal(samples.real, batch["image"])
    np.testing.assert_array_equal(samples.fake, batch["source"] + 1)
    np.testing.assert_array_equal(samples.condition, batch["source"])
    columns = task.preview(samples)
    assert list(columns) == ["source", "fake", "real"]
    np.testing.assert_array_equal(columns["source"], batch["source"])
    out = transformed(task, add(1), {"source": batch["source"]}, keys())
    np.testing.assert_array_equal(out, samples.fake)


def directions(x):
    """Adds 1 to what becomes an image, and 10 to what becomes a source."""
    return {"image": x["source"] + 1, "source": x["image"] + 10}


def test_both_domains_are_translated_and_back():
    task = tasks.unpaired()
    batch = {"image": images(), "source": images(seed=1)}
    samples = task.play(directions, batch, keys(), 0)
    np.testing.assert_array_equal(samples.fake["image"], batch["source"] + 1)
    np.testing.assert_array_equal(samples.fake["source"], batch["image"] + 10)
    assert samples.condition is None
    for name in ("image", "source"):
        assert samples.real[name] is batch[name]
        np.testing.assert_allclose(
            samples.reconstruction[name], batch[name] + 11, atol=1e-5
        )
    columns = task.preview(samples)
    assert list(columns) == ["source", "fake", "real"]
    assert columns["fake"] is samples.fake["image"]
    assert tasks.unpaired(past=0).stage is None


def test_either_direction_of_ones_own_images():
    task = tasks.unpaired()

    def generator(x):
        return {OTHER[name]: y + 1 for name, y in x.items()}

    x = images(2, 5)
    for name in OTHER:
        np.testing.assert_array_equal(
            transformed(task, generator, {name: x}, keys(2)), x + 1
        )


def labeled(x, label):
    """Adds ten times the label."""
    return x + 10 * label.reshape(-1, 1, 1, 1)


def test_another_domain_is_the_target():
    task = tasks.domains(example=LABELED)
    own = jnp.arange(600) % 3
    batch = {"image": images(600, 2), "label": own}
    samples = task.play(labeled, batch, keys(600), 0)
    target = samples.condition["target"]
    # always another one, either of two equally often: 300 +- 4 standard deviations
    assert not np.any(np.asarray(target == own))
    assert 251 < int(jnp.sum((target - own) % 3 == 1)) < 349
    np.testing.assert_array_equal(samples.condition["label"], own)
    np.testing.assert_allclose(samples.fake, labeled(batch["image"], target), 1e-5)
    np.testing.assert_allclose(samples.reconstruction, labeled(samples.fake, own), 1e-5)
    assert list(task.preview(samples)) == ["source", "fake"]
    wanted = {"source": batch["image"], "label": jnp.full(600, 2)}
    out = transformed(task, labeled, wanted, keys(600))
    np.testing.assert_allclose(out, batch["image"] + 20, 1e-5)


@pytest.mark.parametrize("edits", [1, 2, 9])
def test_some_attributes_are_negated(edits):
    task = tasks.domains(edits, example=WITH_ATTRIBUTES)
    own = jnp.asarray(np.random.default_rng(0).integers(0, 2, (400, 4)), jnp.float32)
    batch = {"image": images(400, 2), "attributes": own}
    samples = task.play(lambda x, c: x, batch, keys(400), 0)
    negated = np.asarray(samples.condition["target"] != own)
    assert set(np.unique(samples.condition["target"])) == {0, 1}
    # 1 to `edits` of 4, each attribute equally often
    assert set(negated.sum(1)) == set(range(1, min(edits, 4) + 1))
    share = negated.sum(1).mean() / 4
    assert np.all(abs(negated.mean(0) - share) < 4 * 0.5 / 20)


def test_the_truth_is_for_evaluation_only():
    example = image_toys.TOYS["toy_attributes"].example
    task = tasks.domains(flip=0, example=example)
    own = jnp.zeros((8, 4))
    batch = {"image": images(), "attributes": own, "target": images(seed=1)}
    batch["target_attributes"] = jnp.ones((8, 4))
    samples = task.play(lambda x, c: x, batch, keys(), 0)
    np.testing.assert_array_equal(samples.condition["target"], 1)
    assert samples.real is batch["target"]
    columns = task.preview(samples)
    assert list(columns) == ["source", "fake", "real"]
    assert (columns["source"], columns["real"]) == (batch["image"], batch["target"])
    # a train step draws its own target, and does not see the edited image
    assert task.augment
    training = task.augment(batch, keys())
    assert set(training) == {"image", "attributes"}
    samples = task.play(lambda x, c: x, training, keys(), 0)
    np.testing.assert_array_equal(samples.condition["target"].sum(1), 1)
    assert set(samples.condition) == {"attributes", "target"}


def test_domains_need_domains():
    with pytest.raises(FieldError, match="needs examples with labels of two or more"):
        tasks.domains(example=SOURCED)


@pytest.mark.parametrize("factor", [2, 4])
def test_small_images_are_those_of_pillow(factor):
    raw = np.random.default_rng(0).integers(0, 256, (3, 32, 24, 3), np.uint8)
    small = shrink(jnp.asarray(data.normalize({"image": raw})["image"]), factor)
    levels = np.asarray(small) * 127.5 + 127.5
    np.testing.assert_allclose(levels, levels.round(), atol=1e-4)  # of 8 bits
    size = (24 // factor, 32 // factor)
    for x, ours in zip(raw, levels.round(), strict=True):
        pillow = Image.fromarray(x).resize(size, Image.Resampling.BICUBIC)
        # Pillow also rounds between its two passes
        assert np.abs(np.asarray(pillow) - ours).max() <= 1


def test_small_images_are_enlarged():
    task = tasks.super_resolution(2, example=ExampleSpec(image=IMAGE))

    def twice(x):
        return x.repeat(2, 1).repeat(2, 2)

    batch = {"image": images()}
    samples = task.play(twice, batch, keys(), 0)
    np.testing.assert_array_equal(samples.condition, shrink(batch["image"], 2))
    np.testing.assert_array_equal(samples.fake, twice(samples.condition))
    assert task.preview(samples)["source"].shape == (8, 4, 4, 3)
    assert (task.requires, task.inputs) == (("image",), ("image",))
    out = transformed(task, twice, {"source": images(2, 3)}, keys(2))
    assert out.shape == (2, 6, 6, 3)


def test_a_small_source_is_used_if_there_is_one():
    given = ExampleSpec(image=IMAGE, source=SMALL)
    task = tasks.super_resolution(2, example=given)
    batch = {"image": images(), "source": images(8, 4, seed=1)}
    samples = task.play(lambda x: batch["image"], batch, keys(), 0)
    assert samples.condition is batch["source"]
    assert (task.requires, task.inputs) == (("image", "source"), ("source",))
    # any other source is not the image made smaller: no new run may ignore it
    for factor, example in ((2, SOURCED), (4, given)):
        other = tasks.super_resolution(factor, example=example)
        assert other.requires == ("image",)
        assert other.refused
    assert not task.refused
    assert not tasks.super_resolution(4, source=False, example=given).refused


def test_the_factor_divides_the_sides():
    with pytest.raises(FieldError, match=r"multiples of 3, not \[8, 8, 3\]"):
        tasks.super_resolution(3, example=SOURCED)


# Holes.


def drawn(mask, count=200, height=32, width=32):
    return np.asarray(jax.jit(jax.vmap(lambda k: mask(k, height, width)))(keys(count)))


def test_a_hole_in_the_center():
    holes = drawn(masks.center(4), 2, 10, 8)
    expected = np.zeros((10, 8, 1))
    expected[3:7, 2:6] = 1
    np.testing.assert_array_equal(holes, [expected] * 2)
    assert drawn(masks.center(), 1).sum() == 16 * 16
    with pytest.raises(UsageError, match=r"center\(9\) does not fit .*center\(4\)"):
        drawn(masks.center(9), 1, 10, 8)


def test_boxes_have_their_sides_and_are_anywhere():
    holes = drawn(masks.boxes(1, 0.25, 0.5), 500)[..., 0]
    rows, columns = holes.max(2).sum(1), holes.max(1).sum(1)
    # a single box is the product of its rows and columns
    np.testing.assert_array_equal(holes.sum((1, 2)), rows * columns)
    for lengths in (rows, columns):
        assert set(lengths) == set(range(8, 17))
    # anywhere, also at all borders
    where = np.asarray(holes.any(0))
    assert where[2:-2, 2:-2].all()
    assert min(where[0].sum(), where[-1].sum(), where[:, 0].sum()) > 8
    assert holes.mean() < drawn(masks.boxes(4, 0.25, 0.5)).mean() < 0.5


def test_a_stroke_is_as_wide_as_its_brush():
    # a stroke of one straight segment, whose ends are half disks
    at = masks.distances(jnp.array([[10.0, 5.0]]), jnp.array([[10.0, 25.0]]), 32, 32)
    line = np.asarray(at[0] <= 3)
    np.testing.assert_array_equal(line[:, 8:22].sum(0), 6)
    assert abs(line.sum() - (20 * 6 + np.pi * 9)) < 8
    # and of no length, a disk
    disk = masks.distances(jnp.full((1, 2), 16.0), jnp.full((1, 2), 16.0), 32, 32) <= 8
    assert abs(int(disk.sum()) - np.pi * 64) < 8


def test_strokes_cover_some_of_an_image():
    holes = drawn(masks.strokes())
    area = holes.mean((1, 2, 3))
    assert set(np.unique(holes)) == {0, 1}
    assert area.min() > 0.005
    assert 0.1 < area.mean() < 0.4
    assert area.max() < 0.75
    # everywhere about equally often, as strokes begin anywhere
    where = holes.mean(0)[..., 0].reshape(4, 8, 4, 8).mean((1, 3))
    assert where.min() > 0.03
    assert np.allclose(where, where[::-1, ::-1], atol=0.15)
    assert drawn(masks.strokes(8)).mean() > area.mean()
    assert drawn(masks.strokes(low=0.2, high=0.3)).mean() > area.mean()


@pytest.mark.parametrize("name", masks.MASKS)
def test_a_mask_depends_on_its_key_alone(name):
    mask = masks.MASKS[name]()
    whole = drawn(mask, 6, 16, 24)
    assert whole.shape == (6, 16, 24, 1)
    assert whole.dtype == np.float32
    one = mask(keys(6)[4], 16, 24)
    np.testing.assert_array_equal(one, whole[4])
    assert name == "center" or len(np.unique(whole, axis=0)) > 3


def test_a_mixture_draws_each():
    halves = masks.mixture((masks.center(4), masks.center(8)))
    sizes = drawn(halves, 100).sum((1, 2, 3))
    assert set(sizes) == {16, 64}
    assert 30 < (sizes == 16).sum() < 70


def test_sizes_in_the_wrong_order():
    with pytest.raises(UsageError, match=r"boxes: low=0.5 is above high=0.2: use box"):
        masks.boxes(2, 0.5, 0.2)
    with pytest.raises(UsageError, match=r"no name 'hole': choose from any, boxes"):
        tasks.inpainting("hole")


def test_known_pixels_come_back_bit_for_bit():
    task = tasks.inpainting("strokes", example=ExampleSpec(image=IMAGE))
    image = images()
    samples = task.play(
        lambda x: jnp.full_like(x[..., :3], 5.0), {"image": image}, keys(), 0
    )
    mask = np.asarray(samples.condition["mask"])
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_array_equal(samples.fake, np.where(mask == 1, 5, image))
    np.testing.assert_array_equal(
        samples.condition["source"], np.where(mask == 1, 0, image)
    )
    assert list(task.preview(samples)) == ["source", "mask", "fake", "real"]


def test_ones_own_holes_are_filled():
    task = tasks.inpainting(example=ExampleSpec(image=IMAGE))
    raw = np.random.default_rng(0).integers(0, 256, (4, 20, 12, 3), np.uint8)
    mask = np.random.default_rng(1).integers(0, 2, (4, 20, 12, 1)).astype(np.float32)
    source = data.normalize({"image": raw})["image"]
    hidden = np.where(mask == 1, np.nan, source)  # must not matter
    inputs = {"source": jnp.asarray(hidden), "mask": jnp.asarray(mask)}
    out = np.asarray(transformed(task, lambda x: x[..., :3] * 0 + 1, inputs, keys(4)))
    levels = np.uint8(np.round(out * 127.5 + 127.5))
    np.testing.assert_array_equal(levels, np.where(mask == 1, 255, raw))
    with pytest.raises(UsageError, match="inpainting needs a mask for each image"):
        transformed(task, add(0), {"source": inputs["source"]}, keys(4))


def test_the_masks_of_the_data_are_used():
    example = ExampleSpec(image=IMAGE, mask=Field((8, 8, 1), np.dtype(bool), "mask"))
    task = tasks.inpainting(example=example)
    mask = jnp.zeros((8, 8, 8, 1)).at[:, :3].set(1)
    batch = {"image": images(), "mask": mask}
    samples = task.play(lambda x: x[..., 3:].repeat(3, -1), batch, keys(), 0)
    # the generator reads the mask after the colors
    np.testing.assert_array_equal(samples.fake[:, :3], 1)
    np.testing.assert_array_equal(samples.fake[:, 3:], batch["image"][:, 3:])
    assert task.requires == ("image", "mask")


# Augmentation of a batch.


def test_fields_that_belong_together_change_alike():
    batch = {"image": images(64), "source": images(64), "label": jnp.arange(64)}
    augment = flips(0.5, 2)
    assert augment is not None
    changed = augment(batch, keys(64))
    np.testing.assert_array_equal(changed["image"], changed["source"])
    np.testing.assert_array_equal(changed["label"], batch["label"])
    # each is one of 2 x 5 x 5 windows of the padded image
    seen = set()
    for x, y in zip(
        np.asarray(batch["image"]), np.asarray(changed["image"]), strict=True
    ):
        for flip in (0, 1):
            wide = np.pad(
                x[:, ::-1] if flip else x, [(2, 2)] * 2 + [(0, 0)], mode="symmetric"
            )
            for row in range(5):
                for column in range(5):
                    if (wide[row : row + 8, column : column + 8] == y).all():
                        seen.add((flip, row, column))
    for number, choices in enumerate((range(2), range(5), range(5))):
        assert {place[number] for place in seen} == set(choices)


def test_fields_that_do_not_belong_together_change_alone():
    batch = {"image": images(64), "source": images(64)}
    augment = flips(0.5, alike=False)
    assert augment is not None
    changed = augment(batch, keys(64))
    was = {k: np.asarray(changed[k] == batch[k]).all((1, 2, 3)) for k in batch}
    assert not np.array_equal(was["image"], was["source"])
    assert all(16 < x.sum() < 48 for x in was.values())
    assert flips(0) is None


def test_a_shift_needs_images_of_one_size():
    with pytest.raises(FieldError, match=r"image \[8, 8\], source \[4, 4\]\): use jit"):
        tasks.paired(jitter=1, example=ExampleSpec(image=IMAGE, source=SMALL))


def test_both_players_see_the_same_changes_and_samples_none():
    key = jax.random.key(7)
    both = [
        objective.loss_keys(key, player) for player in ("generator", "discriminator")
    ]
    first, second = (jax.random.key_data(x.data) for x in both)
    np.testing.assert_array_equal(first, second)
    others = {bytes(np.asarray(jax.random.key_data(x))) for x in both[0]}
    assert len(others) == len(both[0])
    # sampling translates the images as they are
    chosen = kinds.config("toy_pairs", task="paired(flip=1)")
    gan = builder.build_gan(chosen, SOURCED)
    ema = jit_once(gan.init)(KEY).ema
    batch = {"image": images(), "source": images(seed=1)}
    samples = gan.play(ema, batch, keys())
    np.testing.assert_array_equal(samples.condition, batch["source"])


# Tiny runs.


QUICK = ("toy_holes", "toy_attributes", "toy_large")


@pytest.mark.parametrize(
    "name", [x if x in QUICK else slow(x) for x in image_toys.TOYS]
)
def test_one_and_two_devices_compute_the_same(name):
    # a second derivative of convolutions is slow to compile
    one, two = (run(name, n, steps=2, way="mesh", d_terms="") for n in (1, 2))
    assert all(np.isfinite(x).all() for x in one[1].values())
    close(one, two)


def test_a_resumed_run_is_exact(tmp_path):
    for folder, steps in (("whole", 4), ("parts", 2), ("parts", 4)):
        flags = train_flags("toy_unpaired", tmp_path / folder, steps, d_terms="")
        assert train.main(flags) == 0
    states = [final_state(tmp_path / x, 4) for x in ("whole", "parts")]
    same(*states)
    # 8 of 12 after an update, and full after two
    stage = states[0]["term_state"]["discriminator"]["stage"]
    assert (stage["count"], stage["fake"]["image"].shape) == (12, (12, 8, 8, 3))


def trained(name, batch_of, steps, **other):
    """The state and the GAN after some steps on batches from a NumPy generator."""
    adam = "adam(1e-2, b1=0.5)"
    flags = {"d_terms": "", "g_optimizer": adam, "d_optimizer": adam, "batch_size": 16}
    chosen = kinds.config(name, ema_half_life=0, **(flags | other))
    gan = builder.build_gan(chosen, SOURCED, unroll=True)
    state, step = jit_once(gan.init)(KEY), jax.jit(gan.train_step)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        batch = {name: x[None] for name, x in batch_of(rng).items()}
        state, _ = step(state, batch, KEY)
    return gan, state


def test_pairs_teach_to_swap_colors():
    def batch_of(rng):
        source = rng.integers(0, 256, (16, 8, 8, 3), np.uint8)
        return {"image": source[..., ::-1], "source": source}

    gan, state = trained("toy_pairs", batch_of, 150, task="paired")
    batch = data.normalize(batch_of(np.random.default_rng(1)), SOURCED)
    fake = gan.generate(state.ema, batch, keys(16))
    error = np.abs(fake - batch["image"]).mean()
    assert error < 0.5 * np.abs(batch["source"] - batch["image"]).mean()


def test_two_domains_are_found_without_pairs():
    def spots(rng, channel):
        raw = np.zeros((16, 8, 8, 3), np.uint8)
        raw[..., channel] = 255 * rng.random((16, 8, 8)) ** 4
        return raw

    def batch_of(rng):
        return {"source": spots(rng, 0), "image": spots(rng, 2)}

    gan, state = trained(
        "toy_unpaired", batch_of, 250, loss="least_squares", g_terms="identity(0)"
    )
    # red spots are blue ones in the other domain
    red = spots(np.random.default_rng(1), 0)
    batch = data.normalize({"source": red, "image": red[..., ::-1]}, SOURCED)
    fake = gan.generate(state.ema, batch, keys(16))["image"]
    error = np.abs(fake - batch["image"]).mean()
    assert error < 0.5 * np.abs(batch["source"] - batch["image"]).mean()
    # and better than no spots at all
    assert error < 0.8 * np.abs(-1 - batch["image"]).mean()
