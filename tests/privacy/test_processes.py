"""Several processes make one release of every query, and train.py works under torchrun."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from torch import multiprocessing as mp

import dpsynth
from dpsynth.data.toy import LAWS
from dpsynth.models import MAF
from dpsynth.privacy.ledger import Plan
from dpsynth.privacy.processes import joined, leading, shared, together
from dpsynth.privacy.random import Streams

ROOT = Path(__file__).resolve().parents[2]
RECIPE = MAF(steps=2, batch_size=30, hidden=8, bins=4, groups=2, fit_steps=1)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def member(rank: int, port: int, folder: str, plan: Plan) -> None:
    torch.set_num_threads(1)
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in names.items()})
    with joined():
        assert together()
        assert leading() == (rank == 0)
        # Secure streams: every process has a key of its own until the leader's is shared.
        fitted = RECIPE.fit(LAWS["mixed"]().sample(120, 0), plan, Streams(rank))
        torch.save(dict(fitted.tensors()), Path(folder) / f"{rank}.pt")
    assert not together()


def test_noisy_marginals_and_gradients_are_one_release_of_two_processes(tmp_path):
    plan = RECIPE.plan_for(LAWS["mixed"]().sample(120, 0), dpsynth.Budget(3.0, 1e-5))
    mp.spawn(member, (free_port(), str(tmp_path), plan), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(first[name].equal(second[name]) for name in first)


def test_alone_nothing_changes():
    streams = Streams(0)
    assert shared(streams) is streams
    with joined():
        assert leading()
        assert not together()


def test_torchrun_trains_one_model_and_one_process_writes(tmp_path):
    small = ["teachers=20", "rounds=2", "queries=10", "student_steps=2", "last_steps=2", "width=16", "hidden=8"]
    words = ["model=datalens", "data=digits", *(f"model.{word}" for word in small), "n=40", "run=both"]
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    run = subprocess.run(
        [*start, str(ROOT / "train.py"), *words, "trainer.progress=quiet"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("Guarantee: (1, 1e-05)") == 1
    assert len(dpsynth.load(tmp_path / "both").sample(12, seed=0)) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["both"]
