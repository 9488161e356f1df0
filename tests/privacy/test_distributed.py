"""Several processes make one release of every query, and train.py works under torchrun."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import multiprocessing as mp

import dpsynth
from dpsynth.data.sources.toy import DISTRIBUTIONS
from dpsynth.models import MAF
from dpsynth.privacy import DPSGD, Budget, GaussianQuery, Ledger, NoisyMarginals, Plan, PoissonBatches
from dpsynth.privacy.distributed import divided, joined, leading, shared, shared_key, summed, together
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators

ROOT = Path(__file__).resolve().parents[2]
RECIPE = MAF(dp_sgd_fraction=0.5, hidden=8).replace(training={"steps": 2, "batch_size": 30})


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def enter(rank: int, port: int) -> None:
    torch.set_num_threads(1)
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in names.items()})


def member(rank: int, port: int, folder: str, plan: Plan) -> None:
    enter(rank, port)
    with joined():
        torch.save(gate_of(rank), Path(folder) / f"gate {rank}.pt")
        assert together()
        assert leading() == (rank == 0)
        # Secure streams: every process has a key of its own until the leader's is shared.
        fitted = RECIPE.fit(DISTRIBUTIONS["mixed"]().sample(120, 0), plan, RandomGenerators(rank))
        torch.save(dict(fitted.tensors()), Path(folder) / f"fitted {rank}.pt")
    assert not together()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What two processes found, by name; they start once, which takes longer than what they do."""
    folder = tmp_path_factory.mktemp("pair")
    plan = RECIPE.plan_for(DISTRIBUTIONS["mixed"]().sample(120, 0), dpsynth.Budget(3.0, 1e-5))
    mp.spawn(member, (free_port(), str(folder), plan), nprocs=2)
    return lambda name: [torch.load(folder / f"{name} {rank}.pt") for rank in (0, 1)]


def test_noisy_marginals_and_gradients_are_one_release_of_two_processes(pair):
    first, second = pair("fitted")
    assert all(first[name].equal(second[name]) for name in first)


SUM = GaussianQuery(name="sum", neighbours="add_remove", noise_multiplier=2.0, bound=1.0, releases=2)
SGD = DPSGD.sampled("sgd", "add_remove", PoissonBatches(0.5, 2), 2.0, 1.0)
COUNTS = NoisyMarginals(name="counts", neighbours="add_remove", sigma=5.0, marginals=1)
GATE = Plan(Budget(50.0, 1e-5), (SUM, SGD, COUNTS))
ROWS, VALUES = 101, torch.arange(101, dtype=torch.float64)


def batch_sum(rows: np.ndarray) -> torch.Tensor:
    return torch.stack([VALUES[torch.from_numpy(rows)].sum(), torch.tensor(float(len(rows)), dtype=torch.float64)])


def gate_of(rank: int) -> dict[str, torch.Tensor]:
    """What one of two processes gets from the functions of distributed.py, and from the gate."""
    drawn = np.arange(7) * 10
    found = {
        # Rank 1's own numbers must play no part.
        "divided": torch.from_numpy(divided(lambda: drawn if rank == 0 else drawn[:0])),
        "summed": summed(torch.full((3,), rank + 1.0), lambda total: total * 10 if rank == 0 else total / 0),
        "key": torch.frombuffer(bytearray(shared_key(bytes([rank]) * 32)), dtype=torch.uint8),
    }
    randomness = RandomGenerators(5 + rank, "seeded")
    found["shared"] = torch.tensor(shared(randomness).seed)
    ledger = Ledger(GATE, randomness)  # a key of its own on every process
    parts: list[torch.Tensor] = []

    def query(rows: np.ndarray) -> torch.Tensor:
        parts.append(torch.from_numpy(rows))
        return batch_sum(rows)

    found["partial"] = ledger.release(SUM, torch.full((4,), rank + 1.0, dtype=torch.float64), partial=True)
    found["sampled"] = ledger.release(SGD, query, rows=ROWS, partial=True)
    found["rows"] = parts[0]
    found["made"] = torch.tensor([len(steps) for steps in ledger.state_dict()["made"].values()])
    common = Ledger(GATE, shared(randomness))  # the leader's key: every process makes the same release
    found["whole"] = torch.from_numpy(common.release(COUNTS, np.arange(4)))
    common.release(SGD, query, 1, rows=ROWS)
    found["whole rows"] = parts[1]
    return found


def test_the_gate_adds_up_parts_and_draws_once(pair):
    """Parts are added, one process draws, all receive; each process is given its own rows of one batch."""
    first, second = pair("gate")
    assert first["divided"].tolist() == [0, 20, 40, 60]
    assert second["divided"].tolist() == [10, 30, 50]
    for name in ("summed", "key", "shared", "partial", "sampled", "made", "whole", "whole rows"):
        assert torch.equal(first[name], second[name]), name
    assert first["summed"].tolist() == [30.0] * 3
    assert first["key"].tolist() == [0] * 32
    assert int(first["shared"]) == 5
    assert first["made"].tolist() == [1, 1, 0]
    # What one process alone would have released with the leader's key.
    alone = Ledger(GATE, RandomGenerators(5, "seeded"))
    assert torch.equal(alone.release(SUM, torch.full((4,), 3.0, dtype=torch.float64)), first["partial"])
    whole: list[np.ndarray] = []

    def query(rows: np.ndarray) -> torch.Tensor:
        whole.append(rows)
        return batch_sum(rows)

    assert torch.equal(alone.release(SGD, query, rows=ROWS), first["sampled"])
    assert np.array_equal(np.sort(torch.cat([first["rows"], second["rows"]]).numpy()), whole[0])
    assert abs(len(first["rows"]) - len(second["rows"])) <= 1
    assert not set(first["rows"].tolist()) & set(second["rows"].tolist())
    assert np.array_equal(first["whole"].numpy(), alone.release(COUNTS, np.arange(4)))
    alone.release(SGD, query, rows=ROWS)
    assert np.array_equal(first["whole rows"].numpy(), whole[1])


@pytest.mark.parametrize("partial", [False, True])
def test_a_part_alone_is_the_whole(partial):
    ledger = Ledger(GATE, RandomGenerators(5, "seeded"))
    noisy = ledger.release(SUM, torch.zeros(4, dtype=torch.float64), partial=partial)
    expected = SUM.draw(torch.zeros(4, dtype=torch.float64), PrivacyGenerator.seeded(5).keystream("sum"))
    assert torch.equal(noisy, expected)


def test_alone_nothing_changes():
    randomness = RandomGenerators(0)
    assert shared(randomness) is randomness
    assert shared_key(b"key") == b"key"
    with joined():
        assert leading()
        assert not together()


def test_torchrun_trains_one_model_and_one_process_writes(tmp_path):
    small = ["rounds=2", "queries=10", "teacher={count: 20, hidden: 8}", "student={steps: 2, last_steps: 2, width: 16}"]
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


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes under /proc")
def test_a_process_that_is_killed_is_named_in_one_line(tmp_path):
    words = ["model=dpvi", "data=adult", "model.inference.steps=100000", "n=40", "run=both"]
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    with open(tmp_path / "said", "wb") as said:
        run = subprocess.Popen(
            [*start, str(ROOT / "train.py"), *words, "trainer.progress=lines"],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            end = time.monotonic() + 120
            while not (tmp_path / "both" / "private").is_dir() and time.monotonic() < end:
                time.sleep(0.2)
            ranks = {}
            for folder in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    if (folder / "stat").read_text().rpartition(")")[2].split()[1] == str(run.pid):
                        variables = (folder / "environ").read_bytes().split(b"\0")
                        ranks |= {int(each[5:]): int(folder.name) for each in variables if each.startswith(b"RANK=")}
            os.kill(ranks[1], signal.SIGKILL)
            assert run.wait(60) != 0
        finally:
            run.kill()
    lines = [line for line in (tmp_path / "said").read_text().splitlines() if "error:" in line]
    assert len(lines) == 1
    assert "process 1 ended before process 0 of 2" in lines[0]
    assert not (tmp_path / "both").exists()
