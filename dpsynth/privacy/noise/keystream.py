"""One cryptographic byte stream, and exact or vectorised draws from it.

A `Keystream` is AES-256 in counter mode (NIST SP 800-38A) over zeros: under a secret random key its bytes
cannot be told from uniform ones by any known attack. Every draw below consumes the stream in order and is a
function of the key alone.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

_ZEROS = bytes(1 << 18)  # encrypted piece by piece, so that the source stays in the processor's cache
_PIECE = 30_000  # normals made at a time: stays in cache, and below the size at which torch wakes other threads
_SLACK = 16  # the cipher insists on room for one more block


class Scratch:
    """Buffers kept between draws: fresh large arrays cost more in page faults than the arithmetic on them."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype], torch.Tensor] = {}

    def take(self, name: str, size: int, dtype: torch.dtype) -> torch.Tensor:
        """An uninitialised (size,) tensor; valid until `name` is taken again."""
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.numel() < size:
            buffer = torch.empty(size, dtype=dtype)
            self._buffers[name, dtype] = buffer
        return buffer[:size]


class Keystream:
    """Bytes, words, bounded integers and normals from one 32-byte key.

    `scratch` may be shared between streams of one thread.
    """

    def __init__(self, key: bytes, scratch: Scratch | None = None) -> None:
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
        self.scratch = scratch or Scratch()

    def _fill(self, buffer: torch.Tensor, count: int) -> None:
        """Overwrite the first `count` of a uint8 buffer that is `_SLACK` bytes longer."""
        view = memoryview(cast(bytearray, buffer.numpy()))
        for start in range(0, count, len(_ZEROS)):
            size = min(len(_ZEROS), count - start)
            source = _ZEROS if size == len(_ZEROS) else _ZEROS[:size]
            self._encryptor.update_into(source, view[start : start + size + _SLACK])

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes."""
        return self._encryptor.update(bytes(count))

    def words32(self, count: int) -> NDArray[np.uint32]:
        """The next `count` uniform words of 32 bits."""
        return np.frombuffer(self.bytes(4 * count), dtype="<u4").astype(np.uint32, copy=False)

    def words64(self, count: int) -> NDArray[np.uint64]:
        """The next `count` uniform words of 64 bits."""
        return np.frombuffer(self.bytes(8 * count), dtype="<u8").astype(np.uint64, copy=False)

    def below(self, bound: int, count: int) -> NDArray[np.int64]:
        """(count,) integers exactly uniform on {0, ..., bound - 1}, for 1 <= bound <= 2**62, by rejection."""
        if not 1 <= bound <= 1 << 62:
            raise ValueError(f"bound must lie in [1, 2**62], not {bound}")
        mask = np.uint64((1 << (bound - 1).bit_length()) - 1)
        out = np.empty(count, dtype=np.int64)
        filled = 0
        while filled < count:
            words = self.words64(count - filled) & mask
            kept = words[words < np.uint64(bound)].astype(np.int64)
            out[filled : filled + kept.size] = kept
            filled += kept.size
        return out

    def normal(self, count: int, out: torch.Tensor | None = None) -> torch.Tensor:
        """(count,) float64 standard normals by the polar form of Box and Muller (1958).

        The radius comes from 63 bits, so tails reach 9.4 standard deviations; the angle from 32 bits. `out`
        is an optional contiguous (count,) float64 tensor to fill.
        """
        result = torch.empty(count, dtype=torch.float64) if out is None else out
        pairs = (count + 1) // 2
        if not pairs:
            return result
        raw = self.scratch.take("bytes", 12 * pairs + _SLACK, torch.uint8)
        self._fill(raw, 12 * pairs)
        radius_words = raw[: 8 * pairs].view(torch.int64)
        angle_words = raw[8 * pairs : 12 * pairs].view(torch.int32)
        radius = self.scratch.take("radius", _PIECE, torch.float64)
        angle = self.scratch.take("angle", _PIECE, torch.float64)
        for start in range(0, pairs, _PIECE):
            size = min(_PIECE, pairs - start)
            r = radius[:size].copy_(radius_words[start : start + size].bitwise_and_((1 << 63) - 1))
            r.add_(0.5).mul_(2.0**-63).log_().mul_(-2.0).sqrt_()
            a = angle[:size].copy_(angle_words[start : start + size]).mul_(math.pi * 2.0**-31)
            torch.cos(a, out=result[start : start + size]).mul_(r)
            rest = min(size, count - pairs - start)  # an odd count has one cosine more than sines
            torch.sin(a[:rest], out=result[pairs + start : pairs + start + rest]).mul_(r[:rest])
        return result
