"""CelebA: 202,599 aligned portraits of 178 x 218, by gender or by hair, as torchvision lays it out under data.root.

Never downloaded. root/celeba/ holds img_align_celeba/ and the annotation files, which torchvision checks. The middle
square of every portrait is resized to the declared size. Hair has three classes; a portrait with none or several of
them is left out, which is a rule about single images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.selection import Selection
from dpsynth.data.sources.picture_files import PictureFiles, Rendering
from dpsynth.data.sources.source import Source, held_fraction
from dpsynth.errors import ConfigError, DataError

# attribute -> names of the classes, CelebA's attributes behind them, and a rough public number of training images
GENDER = (("female", "male"), ("Male",), 160_000)
HAIR = (("black", "blond", "brown"), ("Black_Hair", "Blond_Hair", "Brown_Hair"), 90_000)
ATTRIBUTES = {"gender": GENDER, "hair": HAIR}


def celeba_domain(
    attribute: str = "gender", image_size: int = 64, size: int | None = None, levels: int | None = None
) -> ImageDomain:
    """What is public about CelebA with these options."""
    if attribute not in ATTRIBUTES:
        raise ConfigError(f"data.attribute={attribute}: choose {' or '.join(ATTRIBUTES)}")
    classes, _, rows = ATTRIBUTES[attribute]
    return ImageDomain(image_size, image_size, 3, classes, rows=rows, size=size, levels=levels)


def celeba(
    root: str | Path | None = None,
    attribute: str = "gender",
    image_size: int = 64,
    size: int | None = None,
    levels: int | None = None,
    holdout: float | str | None = "official",
    n_train: int | None = None,
    selection: Selection | None = None,
) -> Source[Images]:
    """attribute: gender or hair.  image_size: pixels of a side, such as 32 or 64.

    holdout: official trains on the official training part and holds out the test part; a fraction of the former; or 0.
    """
    domain = celeba_domain(attribute, image_size, size, levels)
    if holdout is not None and holdout != "official" and held_fraction(holdout) is None:
        raise ConfigError(f"data.holdout={holdout!r}: use official, a fraction between 0 and 1, or 0 for none")
    if root is None:
        raise ConfigError("data.root is not set: name the folder that holds celeba/, laid out as torchvision wants it")
    train = _part(Path(root).expanduser(), "train", attribute)
    held = _part(Path(root).expanduser(), "test", attribute) if holdout == "official" else held_fraction(holdout)
    text = f"CelebA, {attribute}: {Path(root) / 'celeba'}, annotations with the checksums of torchvision"
    return train.source(held, domain, n_train, selection, text, Rendering(square=True))


def _part(root: Path, part: str, attribute: str) -> PictureFiles:
    from torchvision.datasets import CelebA  # slow to import

    try:
        found = CelebA(str(root), split=part, target_type="attr", download=False)
    except (RuntimeError, OSError, ValueError) as error:
        raise DataError(
            f"data.root={root}: no CelebA there ({str(error).split('. ')[0]}); celeba/ must hold img_align_celeba/, "
            "list_eval_partition.txt, list_attr_celeba.txt, identity_CelebA.txt, list_bbox_celeba.txt and "
            "list_landmarks_align_celeba.txt"
        ) from None
    _, names, _ = ATTRIBUTES[attribute]
    marks = found.attr.numpy()[:, [found.attr_names.index(name) for name in names]]
    paths = [root / CelebA.base_folder / "img_align_celeba" / name for name in found.filename]
    files = PictureFiles(paths, marks.argmax(axis=1) if len(names) > 1 else marks[:, 0])
    return files.take(np.flatnonzero(marks.sum(axis=1) == 1)) if len(names) > 1 else files
