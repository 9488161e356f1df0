"""Thousands of small teachers on disjoint shards, and the public space in which they meet rows and queries.

The public space is that of a table's vectors, or of images by their pixels or low frequencies. It follows from the
domain and the recipe; every row is mapped by itself.

The teachers are small discriminators, trained and asked as stacked tensors:

    for a chunk of teachers at a time:
        a few Adam steps on   sum_i  E_shard softplus(-D_i(x, y)) + E_queries softplus(D_i(X, y))
        v_i = compress( sigmoid(-D_i(X)) dD_i/dX )          the direction in which i finds the queries more real
        total += sum_i v_i                                  in float64

The loss is a sum over teachers, Adam works entry by entry, and no norm, statistic or random number is shared along the
teachers' axis; so a record changes its own teacher alone, bit for bit, in a whole run, which is what the sensitivity in
`privacy/mechanisms/votes.py` rests on. A teacher weighs the queries by the classes of its own batch. One that has no
row has a loss of zero, never leaves its start, and votes zero; so does every teacher about classes that it has not seen
yet.

Sizes are public: `batch` rows for each teacher, padded and masked. Chunks bound the memory, never change the result.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, distributed
from torch.nn.functional import softplus

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.image.images import Images
from dpsynth.data.row_maps import ExactProduct
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.models.datalens.image_postprocessing import view_of
from dpsynth.models.shared.row_vectors import VectorView
from dpsynth.privacy.distributed import together
from dpsynth.privacy.mechanisms.shards import Shards
from dpsynth.privacy.mechanisms.votes import Votes, cosine_basis

IMAGES_AT_ONCE = 4096


@dataclass(frozen=True)
class Space:
    """The public space of the rows: what teachers see and vote on, and what the generator makes.

    shape: of the generator's output. heads: blocks of a table's vectors. basis: rows map flat outputs to what teachers
    see; None for the outputs themselves. extent: norm of a typical row.
    """

    shape: tuple[int, ...]
    heads: tuple[int, ...]
    classes: int
    basis: Tensor | None
    extent: float

    @property
    def width(self) -> int:
        return math.prod(self.shape) if self.basis is None else len(self.basis)

    def seen(self, rows: Tensor) -> Tensor:
        """(n, width) of (n, *shape) or (n, flat) rows."""
        flat = rows.flatten(1)
        return flat if self.basis is None else flat @ self.basis.T.to(flat.device)

    def back(self, numbers: Tensor) -> Tensor:
        """(n, *shape) of (n, width): by the transpose."""
        flat = numbers if self.basis is None else numbers @ self.basis.to(numbers.device)
        return flat.view(len(numbers), *self.shape)

    @classmethod
    def of_table(cls, domain: Domain, bins: int) -> Space:
        """One-hot blocks of the columns beside the label, numbers in `bins` bins."""
        view = VectorView(domain, bins)
        extent = math.sqrt(max(1, len(view.blocks)))
        return cls((max(1, view.width),), view.sizes, view.classes, None, extent)

    @classmethod
    def of_images(cls, domain: ImageDomain, size: int | None, frequencies: int | None) -> Space:
        """Pixels at a longer side of `size`, or their low `frequencies` along each side; None for the pixels."""
        shape = view_of(domain, size)
        basis = None
        if frequencies is not None:
            basis = cosine_basis(shape[1], shape[2], shape[0], min(frequencies, *shape[1:]))
        return cls(shape, (), max(1, len(domain.classes)), basis, 0.3 * math.sqrt(math.prod(shape)))

    def table_rows(self, table: Table, bins: int) -> tuple[np.ndarray, np.ndarray]:
        """What teachers see of a table: (n, width) float32, and (n,) int64 classes."""
        vectors, labels = VectorView(table.domain, bins).encode(table)
        return (vectors if vectors.shape[1] else np.zeros((len(table), 1), np.float32)), labels

    def pixels(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """Images at the generator's size, (n, *shape) uint8, and their (n,) int64 classes."""
        pixels = ImageView(images.domain, max(self.shape[1:])).codes(images.pixels)
        return pixels, np.zeros(len(images), np.int64) if images.labels is None else images.labels

    def image_rows(self, pixels: np.ndarray) -> np.ndarray:
        """What teachers see of `pixels`: (n, width), float32 low frequencies, or the bytes themselves. An image gives
        the same numbers in any company, to the last bit."""
        if self.basis is None:
            return pixels.reshape(len(pixels), self.width)
        seen = np.empty((len(pixels), self.width), np.float32)
        for start in range(0, len(pixels), IMAGES_AT_ONCE):
            part = torch.from_numpy(pixels[start : start + IMAGES_AT_ONCE]).flatten(1)
            seen[start : start + IMAGES_AT_ONCE] = (self._product(part) / 255).numpy()
        return seen

    @cached_property
    def _product(self) -> ExactProduct:
        """From bytes to low frequencies."""
        assert self.basis is not None
        return ExactProduct(self.basis.T, 255)


# -------------------- Teacher ensemble ------------------------------------------------------


class Stacked(Protocol):
    """Discriminators as one: see `networks/discriminators.py`."""

    @property
    def classes(self) -> int: ...
    @property
    def size(self) -> int: ...
    def parameters(self, members: int, generator: torch.Generator, alike: bool = True) -> list[Tensor]: ...
    def common(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor: ...
    def own(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor: ...
    def slopes(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class TeacherTraining:
    """How teachers are trained; public.

    steps, first_steps: of Adam in a round, and in the first round. rate: of Adam, with betas .5 and .999.
    batch: rows of its shard that a teacher sees in a round. alike: all start from the same weights.
    keep: weights and Adam's moments live on from round to round; else every round starts afresh, from new weights.
    epsilon: of Adam; a large one (1) makes a step follow the size of the gradient, a small one its sign.
    focus: a teacher works on the queries that are nearest to its rows, by weights exp(-|x - X|^2 / 2 w^2) over the
    queries of a row's class: its loss is against these, its vote on them. w is `focus` (a distance) from half of the
    `rounds` on, and four times that at first. 0 gives all queries of a class the same weight, as in the source.
    per_chunk: teachers at a time. seed: of starting weights and of the coins of random votes.
    """

    steps: int = 1
    first_steps: int = 1
    rate: float = 1e-2
    batch: int = 6
    alike: bool = True
    keep: bool = False
    epsilon: float = 1e-8
    focus: float = 0.0
    rounds: int = 1
    per_chunk: int = 1000
    seed: int = 0

    def width(self, turn: int) -> float:
        """w of round `turn`."""
        return self.focus * (1.0 + 3.0 * max(0.0, 1.0 - 2.0 * turn / self.rounds))


class Chunk:
    """Some teachers of the ensemble and their own Adam."""

    def __init__(self, parameters: list[Tensor], rate: float, epsilon: float = 1e-8) -> None:
        self.parameters = [part.requires_grad_() for part in parameters]
        # Fused only means one pass over memory; every entry is updated by itself.
        self.optimizer = torch.optim.Adam(self.parameters, lr=rate, betas=(0.5, 0.999), eps=epsilon, fused=True)

    def detached(self) -> list[Tensor]:
        return [part.detach() for part in self.parameters]


class TeacherEnsemble:
    """`count` teachers of the given shape, in chunks, with whatever they remember from round to round: private."""

    def __init__(
        self, network: Stacked, count: int, teacher_training: TeacherTraining, device: torch.device | str = "cpu"
    ) -> None:
        self.network, self.count, self.teacher_training = network, count, teacher_training
        self.device = torch.device(device)
        self._chunks: dict[int, Chunk] = {}

    def ask(self, turn: int, shards: Shards, data: Tensor, labels: Tensor, x: Tensor, y: Tensor, rule: Votes) -> Tensor:
        """Round `turn`: train on the shards against queries x (B, inputs) of classes y (B,); the exact sum of votes,
        (B, inputs) float64 on the CPU. Private: it leaves through `rule.measure` only.

        data: (n, inputs) float32, or pixels as uint8, of classes `labels` (n,) int64, on the ensemble's device.

        Under torch.distributed every process holds all rows and asks its part of the chunks; the gate adds up the sums.
        """
        total = torch.zeros(x.shape, dtype=torch.float64)
        for first, last in self._ranges():
            total += self.votes(turn, shards, data, labels, x, y, rule, first, last).sum(0, dtype=torch.float64).cpu()
        return total

    def votes(
        self,
        turn: int,
        shards: Shards,
        data: Tensor,
        labels: Tensor,
        x: Tensor,
        y: Tensor,
        rule: Votes,
        first: int,
        last: int,
    ) -> Tensor:
        """The votes (last - first, B, inputs) of a chunk after its training in this round; private."""
        rows, mask = shards.batch(turn, self.teacher_training.batch, first, last)
        index, seen = torch.from_numpy(rows).to(self.device), torch.from_numpy(mask).to(self.device)
        if len(data):
            own, classes = data[index], labels[index]
            own = own.to(x.dtype) / 255 if own.dtype == torch.uint8 else own
        else:
            own, classes = x.new_zeros(*index.shape, x.shape[1]), torch.zeros_like(index)
        weights = seen.to(x.dtype) / seen.sum(1, keepdim=True).clamp_min(1)
        against = (self._attention(turn, own, classes, x, y) * weights[..., None]).sum(1)
        chunk = self._chunk(turn, first, last)
        for _ in range(self.teacher_training.steps if turn else self.teacher_training.first_steps):
            fake = self.network.common(chunk.parameters, x, y)
            real = self.network.own(chunk.parameters, own, classes)
            loss = (softplus(-real) * weights).sum() + (softplus(fake) * against).sum()
            chunk.optimizer.zero_grad()
            loss.backward()
            chunk.optimizer.step()
        chunk.optimizer.zero_grad()
        with torch.no_grad():
            logits, slopes = self.network.slopes(chunk.detached(), x, y)
            coins = self._generator("coins", turn, first)
            scale = torch.sigmoid(-logits) * (against if self.teacher_training.focus else 1.0)
            return rule.vote(slopes * scale[..., None], coins) * seen.any(1)[:, None, None]

    def _attention(self, turn: int, own: Tensor, classes: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """(members, rows, queries): each row's weights on the queries of its class, 1 in all; 0 where there is none."""
        same = classes[..., None] == y
        width = self.teacher_training.width(turn)
        if not width:
            return same.to(x.dtype) / same.sum(2, keepdim=True).clamp_min(1)
        far = own.square().sum(2, keepdim=True) + x.square().sum(1) - 2 * own @ x.T
        near = torch.where(same, -far / (2 * width**2), -torch.inf).softmax(2)
        return torch.where(same, near, 0.0)  # a class without queries has given no number at all

    def _ranges(self) -> Iterator[tuple[int, int]]:
        rank, world = (distributed.get_rank(), distributed.get_world_size()) if together() else (0, 1)
        size = self.teacher_training.per_chunk
        for first in range(rank * size, self.count, world * size):
            yield first, min(first + size, self.count)

    def _chunk(self, turn: int, first: int, last: int) -> Chunk:
        """The teachers first .. last-1 as they are at the start of the round."""
        if not self.teacher_training.keep:
            return self._fresh(turn, first, last)
        if first not in self._chunks:
            self._chunks[first] = self._fresh(0, first, last)
        return self._chunks[first]

    def _fresh(self, turn: int, first: int, last: int) -> Chunk:
        alike = self.teacher_training.alike
        generator = self._generator("start", turn, 0 if alike else first)
        made = self.network.parameters(last - first, generator, alike)
        return Chunk([part.to(self.device) for part in made], self.teacher_training.rate, self.teacher_training.epsilon)

    def _generator(self, name: str, turn: int, first: int) -> torch.Generator:
        """Public randomness that depends on what it is for, never on how often it was asked."""
        text = f"{self.teacher_training.seed} {name} {turn} {first}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)

    def state_dict(self) -> dict[str, Any]:
        """Weights and moments of kept teachers: private, for checkpoints."""
        return {
            str(first): {"parameters": chunk.detached(), "optimizer": chunk.optimizer.state_dict()}
            for first, chunk in self._chunks.items()
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._chunks = {}
        for first, kept in state_dict.items():
            parts = [part.to(self.device).clone() for part in kept["parameters"]]
            chunk = Chunk(parts, self.teacher_training.rate, self.teacher_training.epsilon)
            chunk.optimizer.load_state_dict(kept["optimizer"])
            self._chunks[int(first)] = chunk
