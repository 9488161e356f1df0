"""Every engine counts exactly what numpy counts, for every shape, type, memory order, skew and number of rows."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigError, DataError
from dpsynth.marginals.counting import numba_kernel
from dpsynth.marginals.counting.counting import Engine, count
from dpsynth.marginals.counting.kernels import NumpyTally, TorchTally
from dpsynth.marginals.counting.numba_kernel import NumbaTally

ENGINES = [Engine("numba", threads=1), Engine("numba", threads=3), Engine("torch"), Engine("numpy")]


def expected(codes, sizes, request):
    table = np.zeros([sizes[j] for j in request], dtype=np.int64)
    if not request:
        return table + len(codes)
    np.add.at(table, tuple(codes[:, j].astype(np.int64) for j in request), 1)
    return table


def random_codes(rows, sizes, skew, seed, dtype=np.uint8, order="F"):
    generator = np.random.default_rng(seed)
    codes = np.empty((rows, len(sizes)), dtype=dtype, order=order)
    for j, size in enumerate(sizes):
        weights = np.arange(1, size + 1) ** -float(skew)
        codes[:, j] = generator.choice(size, rows, p=weights / weights.sum())
    return codes


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 256), min_size=1, max_size=6),
    rows=st.integers(0, 300),
    skew=st.sampled_from([0, 1, 4, 30]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    order=st.sampled_from("FC"),
    data=st.data(),
)
def test_every_engine_is_exact(sizes, rows, skew, dtype, order, data):
    codes = random_codes(rows, sizes, skew, seed=rows, dtype=dtype, order=order)
    columns = st.lists(st.integers(0, len(sizes) - 1), max_size=3, unique=True).map(tuple)
    requests = [
        request
        for request in data.draw(st.lists(columns, min_size=1, max_size=8))
        if np.prod([sizes[j] for j in request]) <= 300_000
    ]
    for engine in ENGINES:
        counts = engine.count(codes, sizes, requests)
        assert set(counts) == set(requests)
        for request in requests:
            assert counts[request].dtype == np.int64
            assert np.array_equal(counts[request], expected(codes, sizes, request)), (engine.engine, request)


@pytest.mark.parametrize("tally", [NumbaTally, NumpyTally, TorchTally])
@pytest.mark.parametrize("order", ["F", "C"])
def test_no_row_is_lost_at_the_end_of_a_vector_or_chunk(tally, order):
    sizes, scans = (5, 7, 40, 90), [(0, 1), (0, 2, 3), (1, 2, 3), (2,)]  # 4, 1, 1 and 4 lanes
    for rows in [*range(33), *(numba_kernel._CHUNK + extra for extra in (-1, 0, 1, 2, 3, 5))]:
        codes = random_codes(rows, sizes, 1, seed=rows, order=order)
        counter = tally(scans, sizes)
        counter.add(codes)
        for scan, total in zip(scans, counter.totals(), strict=True):
            assert np.array_equal(total, expected(codes, sizes, scan).ravel()), (rows, scan)


@pytest.mark.parametrize("cells", [(40, 50), (100, 160), (250, 262), (256, 256), (256, 257), (65_535, 3)])
def test_every_width_of_index_and_number_of_lanes(cells):
    codes = random_codes(40_007, cells, 0.8, seed=1, dtype=np.uint16)
    codes[-1] = np.array(cells) - 1
    for engine in ENGINES:
        assert np.array_equal(engine.count(codes, cells, [(0, 1)])[0, 1], expected(codes, cells, (0, 1)))


def test_constant_rows_and_many_merged_requests():
    sizes = (6,) * 8
    pairs = list(itertools.combinations(range(8), 2))
    for codes in (np.full((100_000, 8), 5, dtype=np.uint8), random_codes(100_000, sizes, 1, seed=3)):
        for engine in (Engine(threads=2), Engine(threads=2, cells_cap=10**6), Engine(cells_cap=0)):
            counts = engine.count(codes, sizes, pairs)
            assert all(np.array_equal(counts[pair], expected(codes, sizes, pair)) for pair in pairs)


def test_tables_with_many_counters_have_one_lane_and_are_as_exact(monkeypatch):
    monkeypatch.setattr(numba_kernel, "_MOST_LANES", 1_000)
    sizes, scans = (30, 40, 20), [(0, 1), (1, 2), (0, 2)]
    codes = random_codes(500_001, sizes, 1, seed=8)
    tally = NumbaTally(scans, sizes, threads=2)
    tally.add(codes)
    assert sum(counters.size for counters in tally._counters) == 2 * (1_200 + 800 + 600)
    for scan, total in zip(scans, tally.totals(), strict=True):
        assert np.array_equal(total, expected(codes, sizes, scan).ravel())


def test_blocks_add_up_and_counters_are_flushed_before_they_wrap(monkeypatch):
    sizes, scans = (3, 90), [(0, 1), (0,)]
    codes = random_codes(5_000, sizes, 1, seed=4)
    monkeypatch.setattr(numba_kernel, "_FLUSH_ROWS", 700)
    tally = NumbaTally(scans, sizes, threads=2)
    counters = []
    for start in range(0, 5_000, 450):
        tally.add(codes[start : start + 450])
        counters.append(max((int(c.max()) for c in tally._counters), default=0))
    assert max(counters) <= 700
    assert [total.tolist() for total in tally.totals()] == [expected(codes, sizes, s).ravel().tolist() for s in scans]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: f"{e.engine}-{e.threads}")
def test_a_code_beyond_its_column_is_named_and_never_written(engine):
    codes = random_codes(20_000, (4, 9), 1, seed=5)
    codes[17_001, 1] = 9
    with pytest.raises(DataError, match="column 1"):
        engine.count(codes, (4, 9), [(0, 1)])
    assert engine.count(codes, (4, 9), [(0,)])[0,].sum() == 20_000


def test_tensors_and_wider_integers_count_the_same():
    codes = random_codes(1_000, (4, 9), 1, seed=6)
    truth = expected(codes, (4, 9), (1, 0))
    for other in (torch.from_numpy(codes), torch.from_numpy(codes).long(), codes.astype(np.int64), codes.tolist()):
        rows = np.array(other) if isinstance(other, list) else other
        for engine in ENGINES:
            assert np.array_equal(engine.count(rows, (4, 9), [(1, 0)])[1, 0], truth)
    with pytest.raises(DataError, match="column 0 has codes outside 0 to 3"):
        count(codes.astype(np.int64) - 1, (4, 9), [(0, 1)])
    with pytest.raises(DataError, match="column 0"):
        count(torch.from_numpy(codes).long() - 1, (4, 9), [(0, 1)], engine="torch")
    with pytest.raises(DataError, match="float64"):
        count(codes.astype(float), (4, 9), [(0, 1)])


def test_read_only_and_sliced_arrays():
    codes = random_codes(999, (4, 9, 2), 1, seed=7, order="C")
    codes.flags.writeable = False
    for view in (codes, codes[::2], codes[5:], np.asfortranarray(codes)[3:]):
        for engine in ENGINES:
            assert np.array_equal(engine.count(view, (4, 9, 2), [(0, 2)])[0, 2], expected(view, (4, 9, 2), (0, 2)))


def test_wrong_options_and_shapes_are_refused():
    with pytest.raises(ConfigError, match="engine"):
        Engine("pandas")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="threads"):
        Engine(threads=0)
    codes = np.zeros((3, 2), dtype=np.uint8)
    with pytest.raises(ConfigError, match="one size for each"):
        count(codes, (2,), [(0,)])
    with pytest.raises(ConfigError, match="shape"):
        count(codes[0], (2, 2), [(0,)])
    with pytest.raises(ConfigError, match="device"):
        count(codes, (2, 2), [(0,)], engine="torch", device="nonsense")
    assert count(codes, (2, 2), []) == {}
    assert count(codes, (2, 2), [()])[()] == 3
