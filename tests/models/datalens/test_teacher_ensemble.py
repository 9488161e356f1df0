"""Teachers are strangers: one record changes its own teacher alone, bit for bit, over a whole run."""

from __future__ import annotations

import math
import os
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.functional import softplus

from dpsynth.models.datalens.teachers import TeacherEnsemble, TeacherTraining
from dpsynth.networks.discriminators import StackedConv, StackedMLP
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.mechanisms.shards import Sharding, Shards
from dpsynth.privacy.mechanisms.votes import Votes
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators

WIDTH, CLASSES, TEACHERS, ROWS, ROUNDS = 16, 3, 12, 40, 4
MLP, CONV = StackedMLP(WIDTH, CLASSES, 6), StackedConv((1, 4, 4), CLASSES, 3, kernel=3, stride=2)
KEPT = TeacherTraining(steps=2, first_steps=3, rate=0.05, batch=3, alike=False, keep=True, per_chunk=5)
FOCUSED = replace(KEPT, focus=1.5, rounds=ROUNDS, epsilon=1.0)
COMPRESSIONS = ("topk_sign", "topk_stochastic", "klevel", "clip")


def rule(compress: str = "clip", **fields) -> Votes:
    given = {"neighbours": "add_remove", "noise_multiplier": 0.0, **fields}
    return Votes(
        name="votes",
        releases=ROUNDS,
        teachers=TEACHERS,
        queries=6,
        width=WIDTH,
        compress=compress,  # type: ignore[arg-type]
        k=4,
        bound=0.3,
        **given,
    )


def rows(n: int = ROWS, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, WIDTH, generator=generator), torch.randint(CLASSES, (n,), generator=generator)


def queries(turn: int) -> tuple[Tensor, Tensor]:
    """What the student would show: public, so the same in both runs."""
    return torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(100 + turn)), torch.arange(6) % CLASSES


def history(network, teacher_training, data, labels, shards, votes) -> tuple[Tensor, list[list[Tensor]]]:
    """(ROUNDS, teachers, B, d) votes and the parameters of all chunks after each round."""
    ensemble = TeacherEnsemble(network, TEACHERS, teacher_training)
    described, states = [], []
    for turn in range(ROUNDS):
        ranges = [
            (k, min(k + teacher_training.per_chunk, TEACHERS)) for k in range(0, TEACHERS, teacher_training.per_chunk)
        ]
        described.append(
            torch.cat([ensemble.votes(turn, shards, data, labels, *queries(turn), votes, *r) for r in ranges])
        )
        kept = [chunk["parameters"] for chunk in ensemble.state_dict().values()]
        states.append([torch.cat([part.clone() for part in parts]) for parts in zip(*kept, strict=True)])
    return torch.stack(described), states


@pytest.mark.parametrize("network", [MLP, CONV], ids=["mlp", "conv"])
@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("relation", ["add_remove", "replace_one"])
@pytest.mark.parametrize("teacher_training", [KEPT, FOCUSED], ids=["all queries", "near queries"])
def test_one_record_changes_one_teacher(network, compress, relation, teacher_training):
    data, labels = rows()
    count = ROWS if relation == "replace_one" else ROWS - 1
    other, kinds = data[:count].clone(), labels[:count].clone()
    if relation == "replace_one":
        other[-1], kinds[-1] = 50.0, (labels[-1] + 1) % CLASSES
    votes = rule(compress, neighbours=relation)
    shards = [PrivacyGenerator.seeded(_key(votes)).shards(votes.sharding, n, None) for n in (ROWS, count)]
    touched = int(_owner(shards[0])[-1])
    one, states = history(network, teacher_training, data, labels, shards[0], votes)
    two, others = history(network, teacher_training, other, kinds, shards[1], votes)
    same = [i for i in range(TEACHERS) if i != touched]
    assert one[:, same].equal(two[:, same])
    for before, after in zip(states, others, strict=True):
        for part, twin in zip(before, after, strict=True):
            assert part[same].equal(twin[same])
    assert not one[:, touched].equal(two[:, touched])  # so the test could have failed
    assert ((one - two).double().flatten(1).norm(dim=1) <= votes.sensitivity * (1 + 1e-9)).all()


def _key(votes: Votes) -> int:
    """A key under which the last record is one of few, so that it changes how many rows its teacher sees at a time."""

    def company(key: int) -> int:
        shards = PrivacyGenerator.seeded(key).shards(votes.sharding, ROWS, None)
        return int(shards.sizes[_owner(shards)[-1]])

    return min(range(40), key=company)


def _owner(shards: Shards) -> np.ndarray:
    owner = np.empty(len(shards.order), dtype=np.int64)
    owner[shards.order] = np.repeat(np.arange(len(shards.sizes)), shards.sizes)
    return owner


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_a_teacher_without_rows_votes_zero_and_never_moves(compress):
    data, labels = rows(4)
    shards = Shards.of(np.zeros(4, np.int64), TEACHERS)
    described, states = history(MLP, KEPT, data, labels, shards, rule(compress))
    assert described[:, 0].any()
    assert not described[:, 1:].any()
    assert all(first[1:].equal(last[1:]) for first, last in zip(states[0], states[-1], strict=True))


def test_no_rows_at_all():
    empty = torch.zeros(0, WIDTH), torch.zeros(0, dtype=torch.int64)
    total = TeacherEnsemble(MLP, TEACHERS, KEPT).ask(
        0, Shards.of(np.zeros(0, np.int64), TEACHERS), *empty, *queries(0), rule()
    )
    assert total.shape == (6, WIDTH)
    assert not total.any()


@pytest.mark.parametrize("keep", [True, False])
def test_chunks_change_nothing(keep):
    data, labels = rows()
    shards = PrivacyGenerator.seeded(0).shards(Sharding(TEACHERS), ROWS, None)
    settings = replace(KEPT, alike=True, keep=keep)
    sums = []
    for size in (1, 5, 12):
        ensemble = TeacherEnsemble(MLP, TEACHERS, replace(settings, per_chunk=size))
        sums.append(torch.stack([ensemble.ask(t, shards, data, labels, *queries(t), rule()) for t in range(3)]))
    torch.testing.assert_close(sums[0], sums[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sums[0], sums[2], rtol=1e-4, atol=1e-5)


def test_stacked_training_is_each_teachers_own_adam():
    """Against one module and one torch.optim.Adam for a teacher, over several rounds."""
    data, labels = rows()
    shards = PrivacyGenerator.seeded(0).shards(Sharding(TEACHERS), ROWS, None)
    ensemble = TeacherEnsemble(MLP, TEACHERS, replace(KEPT, per_chunk=TEACHERS, batch=2))
    start = ensemble._fresh(0, 0, TEACHERS).detached()
    for turn in range(ROUNDS):
        ensemble.ask(turn, shards, data, labels, *queries(turn), rule())
    learned = ensemble.state_dict()["0"]["parameters"]
    for teacher in range(3):
        own = [nn.Parameter(part[teacher : teacher + 1].clone()) for part in start]
        optimizer = torch.optim.Adam(own, lr=KEPT.rate, betas=(0.5, 0.999))
        for turn in range(ROUNDS):
            index, mask = shards.batch(turn, 2, teacher, teacher + 1)
            index = torch.from_numpy(index[mask])
            for _ in range(KEPT.steps if turn else KEPT.first_steps):
                x, y = queries(turn)
                fraction = torch.bincount(labels[index], minlength=CLASSES) / max(1, len(index))
                loss = softplus(-MLP.common(own, data[index], labels[index])).sum() / max(1, len(index))
                loss = loss + (softplus(MLP.common(own, x, y)) * fraction[y] / 2).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        for part, alone in zip(learned, own, strict=True):
            torch.testing.assert_close(part[teacher], alone[0].detach(), rtol=1e-3, atol=1e-4)


def test_a_resumed_ensemble_goes_on_as_it_was():
    data, labels = rows()
    shards = PrivacyGenerator.seeded(0).shards(Sharding(TEACHERS), ROWS, None)
    through, stopped, resumed = (TeacherEnsemble(MLP, TEACHERS, KEPT) for _ in range(3))
    for turn in range(2):
        through.ask(turn, shards, data, labels, *queries(turn), rule())
        stopped.ask(turn, shards, data, labels, *queries(turn), rule())
    resumed.load_state_dict(stopped.state_dict())
    one, two = (each.ask(2, shards, data, labels, *queries(2), rule()) for each in (through, resumed))
    assert one.equal(two)


def released(rank: int, world: int, port: int, folder: str) -> None:
    if world > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        torch.distributed.init_process_group("gloo", rank=rank, world_size=world)
    data, labels = rows()
    # Every process has a key of its own, as with noise of the operating system; rank 0 decides.
    votes = rule("topk_sign", noise_multiplier=2.0)
    ledger = Ledger(Plan(Budget(math.inf, 1e-5), (votes,)), RandomGenerators(rank, "seeded"))
    shards = ledger.shards(votes.sharding, ROWS)
    ensemble = TeacherEnsemble(MLP, TEACHERS, KEPT)
    described = []
    for turn in range(2):
        total = ensemble.ask(turn, shards, data, labels, *queries(turn), votes)
        described.append(votes.measure(turn, total, ledger))
    torch.save(torch.stack(described), Path(folder) / f"{world}-{rank}.pt")
    if world > 1:
        torch.distributed.barrier()  # who ends first would take the other's connection away
        torch.distributed.destroy_process_group()


def test_two_processes_release_what_one_does(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(released, (2, port, str(tmp_path)), nprocs=2)
    released(0, 1, port, str(tmp_path))
    alone, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    assert first.equal(second)
    assert first.equal(alone)  # whole numbers: no order of summation shows
