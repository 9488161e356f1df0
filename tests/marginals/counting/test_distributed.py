"""Counting with Dask equals counting alone, also when a worker dies in the middle."""

import builtins
import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest

from dpsynth.data import Codec, Domain, Integer
from dpsynth.errors import ConfigError, DataError
from dpsynth.marginals.counting import distributed as ours
from dpsynth.marginals.counting.counting import Engine
from dpsynth.marginals.counting.encoded_files import EncodedFiles, write_encoded

dask = pytest.importorskip("distributed")
CODEC = Codec(Domain(tuple(Integer(f"c{j}", low=0, high=9 + 4 * j) for j in range(6))))
REQUESTS = [(0,), *itertools.combinations(range(6), 2), (5, 1, 0)]


def random_codes(rows, seed=0):
    generator = np.random.default_rng(seed)
    return np.stack([generator.integers(0, size, rows) for size in CODEC.sizes], axis=1).astype(np.uint8)


@pytest.fixture(scope="module")
def scheduler():
    with dask.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address


def test_workers_together_count_what_one_counts(tmp_path, scheduler):
    codes = random_codes(20_011)
    for part, rows in enumerate(np.array_split(codes, 2)):
        write_encoded(tmp_path / f"{part}.parquet", CODEC, [rows], row_group=500)
    files = EncodedFiles.open(tmp_path)
    alone = Engine("numpy").count(codes, CODEC.sizes, REQUESTS)
    engine = Engine("dask", address=scheduler)
    for source in (files, codes, codes[:3], codes[:0]):
        counts = engine.count(source, CODEC.sizes, REQUESTS)
        if len(source) < len(codes):
            alone = Engine("numpy").count(source, CODEC.sizes, REQUESTS)
        assert all(np.array_equal(counts[request], alone[request]) for request in REQUESTS)


def test_mistakes_reach_the_person(monkeypatch, scheduler):
    codes = random_codes(100)
    codes[50, 3] = 255
    with pytest.raises(DataError, match="column 3"):
        Engine("dask", address=scheduler).count(codes, CODEC.sizes, REQUESTS)
    monkeypatch.setattr(ours, "_PATIENCE", 1)
    with pytest.raises(ConfigError, match="no Dask scheduler"):
        Engine("dask", address="tcp://127.0.0.1:1").count(codes, CODEC.sizes, REQUESTS)

    plain = builtins.__import__

    def without(name, *rest):
        if name == "distributed":
            raise ImportError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"dpsynth-torch\[dask\]"):
        Engine("dask").count(codes, CODEC.sizes, REQUESTS)


@pytest.mark.slow
def test_without_an_address_a_cluster_is_started():
    codes = random_codes(1_000)
    counts = Engine("dask", threads=2).count(codes, CODEC.sizes, REQUESTS)
    alone = Engine("numpy").count(codes, CODEC.sizes, REQUESTS)
    assert all(np.array_equal(counts[request], alone[request]) for request in REQUESTS)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_nothing_is_counted_twice(tmp_path, monkeypatch):
    codes = random_codes(3_000_000)
    files = write_encoded(tmp_path / "t.parquet", CODEC, [codes], row_group=20_000)
    monkeypatch.setattr(ours, "_PIECES_PER_THREAD", 75)
    killed = []
    local = dask.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")
    with local as cluster, dask.Client(cluster) as client:

        def kill():
            done = 0
            while done < 20:  # some pieces are finished, on the worker that will be lost too
                time.sleep(0.01)
                done = sum(len(keys) for keys in client.has_what().values())
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            killed.append(done)

        thread = threading.Thread(target=kill)
        thread.start()
        counts = Engine("dask", address=cluster.scheduler_address).count(files, CODEC.sizes, REQUESTS)
        thread.join(60)
    assert killed
    assert killed[0] < 150, "the worker died after the counting"
    alone = Engine().count(codes, CODEC.sizes, REQUESTS)
    assert all(np.array_equal(counts[request], alone[request]) for request in REQUESTS)
