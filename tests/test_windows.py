"""Windows give what the networks give for the whole picture."""

from concurrent.futures import Executor, Future

import numpy as np
import pytest
from impulses import reaches
from pictures import picture

import codec
from codec.coding import decoder, encoder, symbols
from codec.file.container import unpack
from codec.networks import windows as win
from codec.networks.bundle import EXACT
from codec.networks.outputs import synthesis_of
from codec.networks.quantization import rounding_by_table
from codec.networks.rows import Rows
from codec.networks.runtime import Networks
from codec.networks.shipped import DEFAULT_MODEL_ID, SHIPPED, load_bundle
from codec.networks.windowed import WindowedNetworks

CODE = 40000
OFFSET = 18  # of the table index, whatever the quality
GRID = (11, 13)


@pytest.fixture
def small_windows(monkeypatch):
    """So small that a picture of GRID takes many."""
    monkeypatch.setattr(win, "SPAN", 10)


def test_cores_tile_a_region_and_halos_end_with_the_picture(small_windows):
    region = slice(0, 11), slice(1, 13)
    covered = np.zeros(GRID, int)
    for window in win.windows(region, GRID, 2):
        covered[window.core] += 1
        for core, whole, size in zip(window.core, window.whole, GRID, strict=True):
            assert whole.start == max(0, core.start - 2)
            assert whole.stop == min(size, core.stop + 2)
            assert whole.stop - whole.start <= win.SPAN
    assert (covered[region] == 1).all()
    assert covered.sum() == covered[region].sum()


def test_a_picture_of_usual_size_is_one_window():
    (window,) = win.windows((slice(0, 16), slice(0, 24)), (16, 24), 4)
    assert window.core == window.whole == (slice(0, 16), slice(0, 24))


def all_at_once(units, *arrays):
    """Rows of arrays that are there already."""
    return Rows([slice(0, GRID[0])], units, lambda band: arrays)


def test_rows_are_made_once_until_they_are_forgotten():
    made = []

    def make(band):
        made.append(band.start)
        double = np.add.outer(np.arange(2 * band.start, 2 * band.stop), [0.1, 0.2])
        return [double[None, ..., None], double[None, ::2, :1, None]]

    rows = Rows([slice(0, 3), slice(3, 5), slice(5, 6)], [2, 1], make)
    column = slice(0, 1)
    double, single = rows[slice(2, 4), column]
    assert double[0, :, 1, 0].tolist() == [4.2, 5.2, 6.2, 7.2]
    assert single.ravel().tolist() == [4.1, 6.1]
    assert rows[slice(1, 2), column][1].ravel().tolist() == [2.1]
    assert made == [0, 3]
    rows.forget(4)  # all of the first, and most of the second
    assert rows[slice(4, 6), column][1].ravel().tolist() == [8.1, 10.1]
    assert made == [0, 3, 5]
    assert rows[slice(3, 6), column][1].ravel().tolist() == [6.1, 8.1, 10.1]
    assert rows[slice(0, 1), column][1].ravel().tolist() == [0.1]
    assert made == [0, 3, 5, 3, 0]
    rows.forget(1)  # little, so it stays
    assert rows[slice(0, 1), column][1].ravel().tolist() == [0.1]
    assert made == [0, 3, 5, 3, 0]


def test_a_worker_makes_the_band_that_follows_once():
    made, asked = [], []

    def make(band):
        made.append(band.start)
        return [np.full((1, band.stop - band.start, 2, 1), band.start)]

    class Worker(Executor):
        def submit(self, function, band):
            asked.append(band.start)
            future = Future()
            future.set_result(function(band))
            return future

    bands = [slice(0, 3), slice(3, 5), slice(5, 6)]
    rows = Rows(bands, [1], make, Worker())
    for band, ahead in zip(bands, ([3], [3, 5], [3, 5]), strict=True):
        (array,) = rows[band, slice(0, 2)]
        assert np.all(array == band.start)
        assert asked == ahead
    rows[bands[0], slice(0, 2)]
    assert made == [0, 3, 5]


def test_windows_change_nothing(bundle, monkeypatch):
    """Neither symbols, but for ties that a last bit of a sum decides, nor pixels."""
    rgb = picture(64 * GRID[0] - 10, 64 * GRID[1] - 20)
    networks = Networks(bundle, synthesis=EXACT)
    vectors = bundle.vectors(CODE)
    region = slice(0, GRID[0]), slice(0, GRID[1])
    rounding = rounding_by_table(bundle.residual_tables, bundle.skip_below)

    def coded():
        windowed = WindowedNetworks(networks, GRID)
        latents = windowed.analyze(rgb)
        hyper = windowed.hyper_analyze(latents, vectors["gain"])
        index = all_at_once([4], networks.table_index(hyper[region][0], OFFSET))
        residuals = windowed.quantize(latents, hyper, index, rounding, vectors)
        return [rows[region][0] for rows in (latents, hyper, residuals)]

    def decoded(symbols):
        windowed = WindowedNetworks(networks, GRID)
        image = windowed.synthesize(
            all_at_once([1, 4], *symbols), vectors, region, synthesis_of(networks)
        )
        return image[region][0]

    whole = coded()
    image = decoded(whole[1:])
    monkeypatch.setattr(win, "SPAN", 10)
    latents, *symbols = coded()
    assert np.abs(latents - whole[0]).max() < 1e-4 * np.abs(latents).max()
    for found, expected in zip(symbols, whole[1:], strict=True):
        assert np.mean(found != expected) < 1e-4
    assert np.abs(decoded(whole[1:]).astype(int) - image).max() <= 1


@pytest.mark.parametrize(("tune", "effort"), [("psnr", 4), ("psnr", 7), ("visual", 7)])
def test_files_and_pictures_are_the_same_in_small_windows(monkeypatch, tune, effort):
    """Through all that encodes and decodes, over several rows of tiles."""
    image = picture(2200, 90)
    data = codec.encode(image, tune=tune, effort=effort)
    whole = np.asarray(codec.decode(data, precision=EXACT), int)
    monkeypatch.setattr(win, "SPAN", 10)
    other = codec.encode(image, tune=tune, effort=effort)
    # Refinement stops where a window ends.
    assert len(other) == pytest.approx(len(data), rel=0.01 if effort == 7 else 0.001)
    again = codec.decode(data, precision=EXACT)
    assert np.abs(np.asarray(again) - whole).max() <= 1
    region = 10, 900, 60, 500
    part = np.asarray(codec.decode(data, region=region, precision=EXACT))
    assert np.abs(part - whole[900:1400, 10:70]).max() <= 1
    broken = bytearray(data)
    broken[unpack(data).spans[2][1] + 5] ^= 1
    salvaged, faults = codec.salvage(bytes(broken), precision=EXACT)
    assert len(faults) == 1
    assert np.abs(np.asarray(salvaged)[:1700] - whole[:1700]).max() <= 1


@pytest.fixture(scope="module")
def wide():
    image = picture(70, 7000)
    return image, codec.encode(image, effort=1)


def test_a_wide_picture_is_encoded_in_strips_to_the_same_file(monkeypatch, wide):
    image, expected = wide
    grids, shares = [], []

    class Watched(WindowedNetworks):
        def __init__(self, networks, grid, *rest):
            grids.append(grid)
            super().__init__(networks, grid, *rest)

    monkeypatch.setattr(encoder, "STRIP_PX", 2048)
    monkeypatch.setattr(encoder, "WindowedNetworks", Watched)
    assert codec.encode(image, effort=1, progress=shares.append) == expected
    assert [columns for _, columns in grids] == [64, 96, 78, 46]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_searches_keep_to_the_strips(monkeypatch, wide):
    image, _ = wide
    monkeypatch.setattr(encoder, "STRIP_PX", 4096)
    size_bytes = len(codec.encode(image, effort=1, quality=30))
    found = codec.encode(image, effort=1, size_bytes=size_bytes)
    assert 0.98 * size_bytes <= len(found) <= size_bytes


@pytest.mark.parametrize(
    "asked", [{}, {"scale": 1 / 2}, {"scale": 1 / 8}, {"region": (99, 9, 6000, 50)}]
)
def test_a_wide_picture_is_decoded_in_strips_to_the_same_pixels(
    monkeypatch, wide, asked
):
    _, file = wide
    expected = codec.decode(file, precision=EXACT, **asked)
    shares = []
    monkeypatch.setattr(decoder, "STRIP_PX", 1024)
    found = codec.decode(file, precision=EXACT, progress=shares.append, **asked)
    difference = np.asarray(found, int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("model_id", SHIPPED)
def test_an_impulse_does_not_reach_beyond_the_halo(model_id):
    """Or windows would show as seams."""
    bundle = load_bundle(model_id)
    for name, (found, allowed) in reaches(bundle, CODE).items():
        assert 0 < found <= allowed, name


def test_symbols_of_a_region_are_those_of_its_tiles_alone():
    data = codec.encode(picture(64, 3 * 1024), content="photo")
    container, networks = unpack(data), Networks(load_bundle(DEFAULT_MODEL_ID))
    everything = symbols.symbol_rows(container, networks, (slice(0, 1), slice(0, 48)))
    region = slice(0, 1), slice(20, 24)  # in the second tile
    rows = symbols.symbol_rows(container, networks, region)
    for found, expected in zip(rows[region], everything[region], strict=True):
        assert np.array_equal(found, expected)
    _, made = rows.made[0]
    assert [part.shape[2] for part in made] == [16, 64]  # cells, and latents
