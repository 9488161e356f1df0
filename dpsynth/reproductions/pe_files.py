"""The sample format of the original Private Evolution scripts: samples.npz, read by those who go on from there.

Arrays: `samples`, (n, height, width, 3) uint8, classes in equal blocks one after the other, grey images in three equal
channels; `additional_info`, (n,) names of the classes. Written without pickles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dpsynth.data.image.images import Images
from dpsynth.data.table.tabular_files import write_whole

FORM = "pe"


def blocks(images: Images) -> np.ndarray:
    """(m,) int64 positions of the images in equal blocks, class after class; surplus images of a class are left out."""
    if images.labels is None:
        return np.arange(len(images))
    members = [np.flatnonzero(images.labels == code) for code in range(len(images.domain.classes))]
    size = min(map(len, members))
    return np.concatenate([each[:size] for each in members])


def write(images: Images, path: str | Path) -> Path:
    """The images as FILE.npz, whole or not at all. Nothing is written of a class beyond what all classes have."""
    chosen = images.take(blocks(images))
    samples = chosen.pixels.transpose(0, 2, 3, 1)
    samples = np.ascontiguousarray(np.broadcast_to(samples, (*samples.shape[:3], 3)))
    names = np.array(images.domain.classes or ("",), dtype=np.str_)
    info = names[np.zeros(len(chosen), dtype=np.int64) if chosen.labels is None else chosen.labels]

    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, samples=samples, additional_info=info)

    return write_whole(path, save)
