"""Encoded files: what is written comes back, block by block, and counts as it does in memory."""

import itertools
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.data import Category, Codec, Domain, Integer
from dpsynth.errors import ArtifactError, ConfigError, DataError
from dpsynth.marginals.counting.counting import Engine
from dpsynth.marginals.counting.encoded_files import EncodedFiles, write_encoded

DOMAIN = Domain(
    (Category("sex", categories=("f", "m")), Integer("place", low=0, high=999), Integer("age", low=0, high=40))
)
CODEC = Codec(DOMAIN, 1000)
PAIRS = [(0,), *itertools.combinations(range(3), 2)]


def random_codes(rows, seed=0):
    generator = np.random.default_rng(seed)
    return np.stack([generator.integers(0, size, rows) for size in CODEC.sizes], axis=1).astype(np.uint16)


@pytest.mark.parametrize("cut", [1, 7, 100, 1000])
def test_rows_come_back_in_order_whatever_the_blocks(tmp_path, cut):
    codes = random_codes(503)
    blocks = (codes[start : start + cut] for start in range(0, len(codes), cut))
    files = write_encoded(tmp_path / "t.parquet", CODEC, blocks, row_group=100)
    assert len(files) == 503
    assert files.sizes == CODEC.sizes == files.codec.sizes
    assert files.domain == DOMAIN
    assert [len(block) for block in files.blocks()] == [100] * 5 + [3]
    assert np.array_equal(np.concatenate(list(files.blocks())), codes)
    assert all(np.array_equal(b[:, 2], codes[i * 100 : i * 100 + 100, 2]) for i, b in enumerate(files.blocks([2])))
    assert files.content_hash == write_encoded(tmp_path / "u.parquet", CODEC, [codes]).content_hash


def test_the_hash_names_the_content(tmp_path):
    codes = random_codes(50)
    one = write_encoded(tmp_path / "a.parquet", CODEC, [codes])
    codes[49, 1] ^= 1
    assert write_encoded(tmp_path / "b.parquet", CODEC, [codes]).content_hash != one.content_hash
    assert len(EncodedFiles.open([tmp_path / "a.parquet", tmp_path / "b.parquet"]).content_hash) == 64


def test_small_columns_are_bytes_that_any_reader_can_read(tmp_path):
    codes = random_codes(50)
    write_encoded(tmp_path / "t.parquet", CODEC, [codes])
    table = pq.read_table(tmp_path / "t.parquet")
    assert [field.type for field in table.schema] == [pa.uint8(), pa.uint16(), pa.uint8()]
    assert table.column("age").to_pylist() == codes[:, 2].tolist()


@pytest.mark.parametrize("engine", ["numba", "numpy", "torch"])
def test_streaming_counts_what_memory_counts(tmp_path, engine):
    codes = random_codes(5_000)
    for part, rows in enumerate(np.array_split(codes, 3)):
        write_encoded(tmp_path / f"part{part}.parquet", CODEC, [rows], row_group=300)
    files = EncodedFiles.open(tmp_path / "part*.parquet")
    assert len(files) == 5_000
    streamed = Engine(engine, threads=2).count(files, files.sizes, PAIRS)
    whole = Engine("numpy").count(codes, CODEC.sizes, PAIRS)
    assert all(np.array_equal(streamed[pair], whole[pair]) for pair in PAIRS)


def test_pieces_hold_every_row_group_once(tmp_path):
    for part in range(2):
        write_encoded(tmp_path / f"part{part}.parquet", CODEC, [random_codes(950)], row_group=100)
    files = EncodedFiles.open(tmp_path)
    for rows in (1, 100, 250, 10_000):
        pieces = files.pieces(rows)
        groups = [(piece.path, group) for piece in pieces for group in range(piece.first, piece.stop)]
        assert groups == [(path, group) for path in files.paths for group in range(10)]
        assert sum(piece.rows for piece in pieces) == 1_900
        assert max(piece.rows for piece in pieces) <= max(rows, 100)


def test_reading_stops_when_its_user_does(tmp_path):
    files = write_encoded(tmp_path / "t.parquet", CODEC, [random_codes(500)], row_group=100)
    before = threading.active_count()
    blocks = files.blocks()
    next(blocks)
    blocks.close()
    assert threading.active_count() == before


def test_a_request_over_the_cap_names_its_columns(tmp_path):
    files = write_encoded(tmp_path / "t.parquet", CODEC, [random_codes(50)])
    with pytest.raises(ConfigError, match="'place', 'age' with 41,000 cells"):
        Engine(most_cells=40_000).count(files, files.sizes, [(1, 2)])


def test_an_unfinished_file_never_appears(tmp_path):
    def broken():
        yield random_codes(300)
        raise DataError("the raw file ends in the middle")

    with pytest.raises(DataError, match="middle"):
        write_encoded(tmp_path / "t.parquet", CODEC, broken(), row_group=100)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_not_ours_or_do_not_agree_are_refused(tmp_path):
    write_encoded(tmp_path / "a.parquet", CODEC, [random_codes(50)])
    write_encoded(tmp_path / "b.parquet", Codec(DOMAIN, 10), [random_codes(50) % 2])
    with pytest.raises(ArtifactError, match=r"b\.parquet.*another schema or bins"):
        EncodedFiles.open([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    pq.write_table(pa.table({"x": [1]}), tmp_path / "c.parquet")
    with pytest.raises(ArtifactError, match="dpsynth encode"):
        EncodedFiles.open(tmp_path / "c.parquet")
    (tmp_path / "d.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ArtifactError, match=r"d\.parquet"):
        EncodedFiles.open(tmp_path / "d.parquet")
    with pytest.raises(DataError, match="nowhere"):
        EncodedFiles.open(tmp_path / "nowhere.parquet")


def test_a_file_damaged_after_opening_is_named(tmp_path):
    files = write_encoded(tmp_path / "a.parquet", CODEC, [random_codes(5000)])
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    (tmp_path / "a.parquet").write_bytes(bytes(content[:100]))
    with pytest.raises(ArtifactError, match=r"a\.parquet"):
        Engine().count(files, files.sizes, PAIRS)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Fifteen times the rows, 160 MB more codes: the peak of a fresh process stays where it was."""
    script = """
import re, sys
from dpsynth.marginals.counting.counting import Engine
from dpsynth.marginals.counting.encoded_files import EncodedFiles
files = EncodedFiles.open(sys.argv[1])
assert int(Engine(threads=1).count(files, files.sizes, [(0, 1), (0, 2)])[0, 1].sum()) == len(files)
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""
    peaks = []
    for name, millions in (("warm", 2), ("few", 2), ("many", 30)):
        block = random_codes(1_000_000)
        write_encoded(tmp_path / f"{name}.parquet", CODEC, (block for _ in range(millions)))
        words = [sys.executable, "-c", script, str(tmp_path / f"{name}.parquet")]
        peaks.append(int(subprocess.run(words, check=True, capture_output=True, text=True).stdout) / 1024)
    assert peaks[2] < peaks[1] + 40, peaks
