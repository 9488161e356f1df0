"""Anyone's images in a folder, with their class as the name of a sub-folder or as the beginning of the file's name.

Size, colours and classes are declared, never read off the files: an undeclared class is an error that says how to
declare it. `dpsynth.Images.write(FOLDER)` writes the second form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.image_files import file_name
from dpsynth.data.image.images import Images
from dpsynth.data.selection import Selection
from dpsynth.data.sources.picture_files import FORMATS, PictureFiles, Rendering
from dpsynth.data.sources.source import Source, held_fraction
from dpsynth.errors import ConfigError, DataError

LABELS = ("folder", "prefix", "none")


def image_folder_domain(
    image_size: int | Sequence[int] | None = None,
    channels: int = 3,
    classes: Sequence[str] | None = None,
    label: str = "folder",
    rows: int | None = None,
    size: int | None = None,
    levels: int | None = None,
) -> ImageDomain:
    """The domain that the options declare."""
    if label not in LABELS:
        raise ConfigError(f"data.label={label}: choose {', '.join(LABELS)}")
    if image_size is None:
        raise ConfigError("data.image_size is not set: declare the pixels of a side, 64 or [height,width]")
    sides = [image_size] * 2 if isinstance(image_size, int) else list(image_size)
    if len(sides) != 2:
        raise ConfigError(f"data.image_size={image_size}: declare the pixels of a side, 64 or [height,width]")
    height, width = sides
    if label == "none":
        if classes:
            raise ConfigError("data.classes: not together with data.label=none, which says that images have no class")
        classes = ()
    elif isinstance(classes, str) or not classes:
        raise ConfigError(
            "data.classes is not set: declare the names of the classes, for example 'data.classes=[cat,dog]', or say "
            "data.label=none"
        )
    return ImageDomain(height, width, channels, tuple(classes or ()), rows=rows, size=size, levels=levels)


def image_folder(
    root: str | Path | None = None,
    image_size: int | Sequence[int] | None = None,
    channels: int = 3,
    classes: Sequence[str] | None = None,
    label: str = "folder",
    rows: int | None = None,
    size: int | None = None,
    levels: int | None = None,
    range: Sequence[float] | None = None,  # the name of the option
    background: str = "white",
    holdout: float | str | None = 0.2,
    n_train: int | None = None,
    selection: Selection | None = None,
) -> Source[Images]:
    """label: folder (root/CLASS/any.png), prefix (root/CLASS_any.png) or none.  Images are resized to image_size.

    range: values of black and white of 16-bit and real images. background: shows through transparent pixels.
    holdout: a fraction of the images, another folder of the same form, or 0.
    """
    rendering = Rendering(range, background)
    domain = image_folder_domain(image_size, channels, classes, label, rows, size, levels)
    if root is None:
        raise ConfigError("data.root is not set: name the folder of your images")
    files, passed = found(Path(root).expanduser(), domain.classes, label)
    held = held_fraction(holdout)
    if holdout is not None and held is None:
        held, more = found(Path(str(holdout)).expanduser(), domain.classes, label)
        passed += more
    text = "; ".join([f"images in {root}", *passed])
    return files.source(held, domain, n_train, selection, text, rendering)


def found(root: Path, classes: Sequence[str], label: str) -> tuple[PictureFiles, list[str]]:
    """The image files of a folder in order of their names, and what was passed over, in words with counts (private)."""
    if not root.is_dir():
        raise DataError(f"'{root}': no such folder; data.root names the folder of your images")
    folders = [root]
    if label == "folder":
        folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
        codes = {folder: _code(folder.name, classes, folder, str.__eq__) for folder in folders}
        named = [(path, codes[folder]) for folder in folders for path in _files(folder)]
    elif label == "prefix":
        named = [(path, _code(path.name, classes, path, _begins)) for path in _files(root)]
    else:
        named = [(path, 0) for path in _files(root)]
    if not named:
        seen = "; ".join(_passed_over(root, folders, (), np.empty(0, dtype=np.int64)))
        if folders and seen:
            raise DataError(
                f"'{root}' holds no image files that are read: {seen}; convert them to {', '.join(FORMATS)}"
            )
        where = "sub-folders named as the classes" if label == "folder" else "image files"
        raise DataError(f"'{root}' holds no {where}; data.label={label} looks for them")
    labels = np.array([code for _, code in named], dtype=np.int64)
    return PictureFiles([path for path, _ in named], labels if classes else None), _passed_over(
        root, folders, classes, labels
    )


def _passed_over(root: Path, folders: Sequence[Path], classes: Sequence[str], labels: np.ndarray) -> list[str]:
    """What a folder holds besides the images that are read, and classes without any."""
    known = _known()
    inside = [path for folder in {root, *folders} for path in folder.iterdir() if path not in folders]
    other = Counter(
        path.suffix.lower() or "no suffix" for path in inside if path.is_file() and path.suffix.lower() not in known
    )
    hidden = sum(path.is_file() and path.name.startswith(".") for path in inside)
    deeper = [path for path in inside if path.is_dir()]
    loose = (
        sum(path.is_file() and path.suffix.lower() in known for path in root.iterdir()) if root not in folders else 0
    )
    described = []
    if other:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in sorted(other.items()))
        described.append(f"{sum(other.values())} files of other kinds were not read ({listed})")
    if hidden:
        described.append(f"{hidden} hidden files were not read")
    if deeper:
        described.append(
            f"{len(deeper)} folders further down were not read ({', '.join(path.name for path in deeper[:3])})"
        )
    if loose:
        described.append(f"{loose} images beside the folders of the classes were not read")
    empty = [name for code, name in enumerate(classes) if not (labels == code).any()]
    if empty:
        described.append(f"no image of {', '.join(empty)}")
    return described


def _known() -> set[str]:
    """The endings of files that are read."""
    return {suffix for suffix, form in Image.registered_extensions().items() if form in FORMATS}


def _files(folder: Path) -> list[Path]:
    known = _known()
    return sorted(
        path
        for path in folder.iterdir()
        if not path.is_dir() and path.suffix.lower() in known and not path.name.startswith(".")
    )


def _begins(name: str, class_name: str) -> bool:
    return name.startswith((f"{class_name}_", f"{file_name(class_name)}_"))


def _code(name: str, classes: Sequence[str], path: Path, fits: Callable[[str, str], bool]) -> int:
    """The code of the longest class that the name fits."""
    fitting = [class_name for class_name in classes if fits(name, class_name)]
    if not fitting:
        raise DataError(
            f"'{path}' belongs to no class of data.classes=[{','.join(classes)}]; declare its class there, or move it"
        )
    return list(classes).index(max(fitting, key=len))
