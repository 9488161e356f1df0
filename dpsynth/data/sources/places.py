"""Places365: photographs of scenes, a few declared classes of the 365, as torchvision lays it out under data.root.

Never downloaded. root/ holds categories_places365.txt, the file lists, and data_256_standard/ and val_256/ (or
data_large_standard/ and val_large/). The middle square of every photograph is resized to the declared size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.selection import Selection
from dpsynth.data.sources.picture_files import PictureFiles, Rendering
from dpsynth.data.sources.source import Source, held_fraction
from dpsynth.errors import ConfigError, DataError

PER_CLASS = 4900  # training images of a class, roughly: from 3,068 to 5,000 as published


def places365_domain(
    classes: Sequence[str] | None = None, image_size: int = 64, size: int | None = None, levels: int | None = None
) -> ImageDomain:
    """What is public about the declared classes."""
    if isinstance(classes, str) or not classes:
        raise ConfigError(
            "data.classes is not set: declare which of the 365 scenes to use, for example "
            "'data.classes=[bedroom,kitchen]' (names as in categories_places365.txt)"
        )
    rows = PER_CLASS * len(classes)
    return ImageDomain(image_size, image_size, 3, tuple(classes), rows=rows, size=size, levels=levels)


def places365(
    root: str | Path | None = None,
    classes: Sequence[str] | None = None,
    image_size: int = 64,
    size: int | None = None,
    levels: int | None = None,
    holdout: float | str | None = "official",
    n_train: int | None = None,
    selection: Selection | None = None,
) -> Source[Images]:
    """classes: names of scenes, with or without the letter before them (/b/bedroom).  image_size: pixels of a side.

    holdout: official holds out the validation images of these classes (the test images have no labels); a fraction of
    the training images; or 0.
    """
    domain = places365_domain(classes, image_size, size, levels)
    if holdout is not None and holdout != "official" and held_fraction(holdout) is None:
        raise ConfigError(f"data.holdout={holdout!r}: use official, a fraction between 0 and 1, or 0 for none")
    if root is None:
        raise ConfigError("data.root is not set: name the folder of Places365, laid out as torchvision wants it")
    folder = Path(root).expanduser()
    train = _part(folder, "train-standard", domain.classes)
    held = _part(folder, "val", domain.classes) if holdout == "official" else held_fraction(holdout)
    text = f"Places365, {', '.join(domain.classes)}: {folder}, file lists with the checksums of torchvision"
    return train.source(held, domain, n_train, selection, text, Rendering(square=True))


def _part(root: Path, part: str, classes: Sequence[str]) -> PictureFiles:
    from torchvision.datasets import Places365  # slow to import

    try:
        found = Places365(str(root), split=part, small=not (root / "data_large_standard").is_dir(), download=False)
    except (RuntimeError, OSError, ValueError) as error:
        raise DataError(
            f"data.root={root}: no Places365 there ({str(error).split('. ')[0]}); it must hold "
            "categories_places365.txt, places365_train_standard.txt, places365_val.txt, data_256_standard/ and val_256/"
        ) from None
    known = {name.removeprefix(name[:3]): code for name, code in found.class_to_idx.items()} | found.class_to_idx
    for name in classes:
        if name not in known:
            raise DataError(f"data.classes: {name!r} is no scene of {root / 'categories_places365.txt'}")
    codes = {known[name]: code for code, name in enumerate(classes)}
    kept = [(Path(path), codes[scene]) for path, scene in found.imgs if scene in codes]
    return PictureFiles([path for path, _ in kept], np.array([code for _, code in kept], dtype=np.int64))
