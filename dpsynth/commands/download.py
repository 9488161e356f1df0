"""dpsynth download NAME: a public data set into the cache, its checksum compared, or how to get it by hand."""

import difflib
from collections.abc import Callable, Sequence

from dpsynth.data.sources.idx_images import FASHION, MNIST, IdxSet, fetch
from dpsynth.data.sources.lookup import Official, cache_folder, check, find, sha256
from dpsynth.data.sources.power import POWER
from dpsynth.data.sources.pums import PUMS
from dpsynth.errors import ConfigError, DataError

# What nothing has to be fetched for, and what may not be fetched by a program.
INCLUDED = {
    "adult": "comes with the package",
    "digits": "comes with scikit-learn",
    "toy": "is drawn when it is used",
}
BY_HAND = {
    "celeba": "its authors give it to people who accept their terms: get it from "
    "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, put img_align_celeba/ and the annotation files into "
    "FOLDER/celeba/, and say data=celeba data.root=FOLDER",
    "places365": "its authors give it to people who accept their terms: get it from "
    "http://places2.csail.mit.edu/download.html, unpack data_256_standard/, val_256/ and the lists of files into "
    "FOLDER, and say data=places365 data.root=FOLDER",
}
HELP = """usage: dpsynth download NAME ...

Fetch public data sets into the cache (DPSYNTH_CACHE, else ~/.cache/dpsynth), where data=NAME finds them. What is there
already is checked, not fetched again.

  pums            1,000 people of the US Census of 2000
  power           two million minutes of a household's electricity; 20 MB
  mnist           70,000 digits; 12 MB
  fashion_mnist   70,000 pieces of clothing; 31 MB

adult, digits and toy need no download; of celeba and places365 it says how to get them by hand."""


def download(arguments: Sequence[str]) -> None:
    """Run the command on its words."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP)
        return
    for name in arguments:
        if name not in (*FETCHED, *INCLUDED, *BY_HAND):
            near = difflib.get_close_matches(name, (*FETCHED, *INCLUDED, *BY_HAND), 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join((*FETCHED, *INCLUDED, *BY_HAND))}"
            raise ConfigError(f"no data set '{name}' to download; {hint}")
    for name in arguments:
        if name in INCLUDED:
            print(f"{name}: {INCLUDED[name]}; use it with data={name}")
        elif name in BY_HAND:
            print(f"{name}: {BY_HAND[name]}")
        else:
            print(f"{name}: {FETCHED[name]()}; use it with data={name}", flush=True)


def _file(official: Official) -> str:
    cached = cache_folder() / official.file
    if cached.is_file():
        check(cached, official)
    try:
        path = find(official)
    except DataError:
        raise DataError(
            f"{official.title} could not be fetched from {' or '.join(official.urls)}; get it by hand, and put it into "
            f"{cache_folder()} as {official.file}, or say where it is with data.path=FILE"
        ) from None
    known = "as published" if official.sha256 else "no published one is known; rows are counted when it is read"
    return f"{path}, {path.stat().st_size:,} bytes, sha256 {sha256(path)} ({known})"


def _images(published: IdxSet) -> str:
    folders = dict.fromkeys(str(path.parent) for path in fetch(published))
    return f"four files in {', '.join(folders)}, checksums as published"


FETCHED: dict[str, Callable[[], str]] = {
    "pums": lambda: _file(PUMS),
    "power": lambda: _file(POWER),
    "mnist": lambda: _images(MNIST),
    "fashion_mnist": lambda: _images(FASHION),
}
