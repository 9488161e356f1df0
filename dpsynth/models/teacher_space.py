"""The public space in which teachers of DataLens meet rows and queries: vectors of a table, or images by their pixels
or low frequencies. It follows from the domain and the recipe; every row is mapped by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from dpsynth.data.domain import Domain
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.image_view import ImageView
from dpsynth.data.images import Images
from dpsynth.data.row_maps import ExactProduct
from dpsynth.data.table import Table
from dpsynth.models.image_finish import view_of
from dpsynth.models.vector_view import VectorView
from dpsynth.privacy.votes import cosine_basis

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
