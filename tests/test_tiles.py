"""Tiles: their weights, padding, and the exactness of tiled results."""

import tracemalloc

import maps
import numpy as np
import pytest

from jaxgan.evaluation.tiles import Axis, axes_for, blend, map_tiles, reflected

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("multiple", [1, 2, 8])
@pytest.mark.parametrize(("tile", "overlap"), [(8, 4), (8, 0), (8, 3), (16, 5), (1, 0)])
def test_weights_sum_to_one_everywhere(tile, overlap, multiple, scale):
    for length in (1, 7, 8, 9, 15, 16, 17, 20, 31, 64):
        axis = Axis(length, tile, overlap, multiple)
        total = np.zeros(scale * axis.padded)
        starts = axis.starts
        for start, weight in zip(starts, axis.weights(scale), strict=True):
            total[scale * start : scale * (start + tile)] += weight
        np.testing.assert_allclose(total, 1, atol=1e-6)
        assert axis.padded >= length
        assert starts[-1] + tile == axis.padded
        assert (np.diff(starts) > 0).all()
        assert (starts[:-1] + tile - starts[1:] >= overlap).all()


def test_the_outer_quarters_of_an_overlap_are_left_out():
    ramp = blend(16)
    np.testing.assert_array_equal(ramp[:4], 0)
    np.testing.assert_array_equal(ramp[12:], 1)
    np.testing.assert_allclose(np.diff(ramp[4:12]), 1 / 8)
    np.testing.assert_allclose(ramp + ramp[::-1], 1)
    first, second = Axis(24, 16, 8).weights()
    np.testing.assert_array_equal(first[:10], 1)
    np.testing.assert_array_equal(first[14:], 0)
    np.testing.assert_array_equal(second[:2], 0)
    np.testing.assert_array_equal(second[6:], 1)


def test_reflection_repeats_as_numpy_pads():
    for length in (1, 2, 3, 5):
        for padded in (length, length + 1, 4 * length + 3):
            got = np.arange(length)[reflected(length, padded)]
            pad = np.pad(np.arange(length), (0, padded - length), "reflect")
            np.testing.assert_array_equal(got, pad)


def filtered(tiles):
    return np.asarray(maps.blur(tiles.astype(np.float32)))


@pytest.mark.parametrize("at_once", [1, 2, 4])
@pytest.mark.parametrize("size", [(16, 16), (16, 41), (40, 17), (53, 61)])
def test_tiles_equal_the_whole_for_a_local_filter(size, at_once):
    image = RNG.normal(size=(*size, 2)).astype(np.float32)
    # The filter reads one pixel beyond, which is a quarter of the overlap.
    got = map_tiles(image, axes_for(size, (16, 16), 4), filtered, at_once=at_once)
    np.testing.assert_allclose(got, filtered(image[None])[0], atol=1e-6)


def test_tiles_that_start_at_multiples_of_a_stride_equal_the_whole():
    def halves(tiles):
        """Means of 4x4 blocks: depends on where the blocks begin."""
        n, h, w, c = tiles.shape
        means = tiles.reshape(n, h // 4, 4, w // 4, 4, c).mean((2, 4))
        return means.repeat(4, 1).repeat(4, 2).astype(np.float32)

    image = RNG.normal(size=(44, 60, 1)).astype(np.float32)
    got = map_tiles(image, axes_for((44, 60), (16, 16), 6, 4), halves)
    np.testing.assert_allclose(got, halves(image[None])[0], atol=1e-6)
    other = map_tiles(image, axes_for((44, 60), (16, 16), 6, 1), halves)
    assert np.abs(other - got).max() > 0.1


def test_results_of_another_scale():
    image = RNG.normal(size=(29, 30, 3)).astype(np.float32)

    def enlarged(tiles):
        return filtered(tiles).repeat(3, 1).repeat(3, 2)[..., :1]

    got = map_tiles(image, axes_for((29, 30), (16, 12), 6), enlarged, scale=3)
    assert got.shape == (87, 90, 1)
    np.testing.assert_allclose(got, enlarged(image[None])[0], atol=1e-6)


def test_any_size_from_one_pixel_up_to_three_tiles():
    calls = set()

    def same(tiles):
        calls.add(tiles.shape)
        return tiles.astype(np.float32)

    for height in range(1, 25):
        image = RNG.integers(0, 256, (height, 25 - height, 1), np.uint8)
        axes = axes_for(image.shape[:2], (8, 8), 4, 4)
        got = map_tiles(image, axes, same, at_once=2)
        np.testing.assert_allclose(got, image, atol=1e-4)
    assert calls == {(2, 8, 8, 1)}  # one compiled shape


def test_the_result_is_held_once():
    parts = []

    def as_float(tiles):
        return tiles.astype(np.float32)

    def finish(row):
        parts.append(row.repeat(64, -1))
        return parts[-1] if small else parts.pop()

    axes = axes_for((512, 32), (16, 16), 0)
    small = False
    tracemalloc.start()
    try:
        image = RNG.integers(0, 256, (512, 32, 1), np.uint8)
        got = map_tiles(image, axes, as_float, finish=finish)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Two would be held if the rows were joined at the end.
    assert peak < 1.5 * got.nbytes
    small = True
    again = map_tiles(image, axes, as_float, finish=finish)
    np.testing.assert_array_equal(again, np.concatenate(parts))
    np.testing.assert_array_equal(got, again)


def test_one_row_of_tiles_is_in_memory_at_a_time():
    rows = []

    def finish(row):
        rows.append(row.shape)
        return row.astype(np.uint8)

    image = np.zeros((64, 10, 1), np.uint8)
    map_tiles(image, axes_for((64, 10), (16, 16), 8), lambda x: x, finish=finish)
    assert len(rows) == 7
    assert max(shape[0] for shape in rows) == 16
    assert sum(shape[0] for shape in rows) == 64
