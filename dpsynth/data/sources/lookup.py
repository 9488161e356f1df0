"""Finding the file of a public data set: the user's path, the copy that comes with the package, the cache,
the web.

Never a silent substitute: a path that the user gave is the only place looked at, and every file used is
named with its size and checksum.
"""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from dpsynth.data.table import tabular_files
from dpsynth.errors import DataError

PACKAGED = Path(__file__).parents[1] / "files"
_TIMEOUT = 30  # seconds


def cache_folder() -> Path:
    """DPSYNTH_CACHE, else ~/.cache/dpsynth."""
    return Path(os.environ.get("DPSYNTH_CACHE") or "~/.cache/dpsynth").expanduser()


@dataclass(frozen=True)
class Official:
    """Where a data set is published. `sha256` None: none is known; the rows are counted."""

    title: str
    file: str
    urls: tuple[str, ...]
    sha256: str | None = None


def find(
    official: Official, path: str | Path | None = None, names: Sequence[str] = (), bundled: str | None = None
) -> Path:
    """The file to read; `names` are what it may be called inside a folder given as `path`.

    Raises `DataError` naming every place when it is nowhere, and when a download does not have its checksum.
    """
    if path is not None:
        return _given(Path(path).expanduser(), (*names, official.file), official.title)
    if bundled is not None and (PACKAGED / bundled).is_file():
        return PACKAGED / bundled
    cached = cache_folder() / official.file
    if cached.is_file():
        check(cached, official)
        return cached
    failures = [download(url, cached, official) for url in official.urls[:1]]
    if failures[0] is not None:
        failures += [download(url, cached, official) for url in official.urls[1:]]
    if None not in failures:
        raise DataError(
            f"{official.title} was not found: data.path is not set; "
            f"{'the package holds no copy' if bundled is None else f'{bundled} is not in the package'}; "
            f"no {cached}; {'; '.join(map(str, failures))}. Get the file and set data.path to it"
        )
    return cached


def _given(path: Path, names: Sequence[str], title: str) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        for name in names:
            if (path / name).is_file():
                return path / name
        raise DataError(f"folder '{path}' holds none of the {title} files: {', '.join(names)}")
    raise DataError(f"no file '{path}' for {title}; check data.path, or leave it out to use the official file")


def packaged(package: str, file: str) -> Path | None:
    """A file of an installed package, found without importing the package; None when there is none."""
    with suppress(PackageNotFoundError):
        path = Path(str(distribution(package).locate_file(file)))
        return path if path.is_file() else None
    return None


def check(file: Path, official: Official) -> None:
    """`DataError` when the file does not have the known checksum."""
    if official.sha256 is not None and sha256(file) != official.sha256:
        raise DataError(f"'{file}' is not the {official.title} file (its sha256 differs); delete it and try again")


def download(url: str, target: Path, official: Official) -> str | None:
    """None when the file is now in the cache, else why not."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read()
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"{url} could not be fetched ({getattr(error, 'reason', error)})"
    found = hashlib.sha256(content).hexdigest()
    if official.sha256 is not None and found != official.sha256:
        return f"{url} gave another file (sha256 {found[:12]}..., not {official.sha256[:12]}...)"
    tabular_files.write_whole(target, lambda temporary: temporary.write_bytes(content))
    return None


def sha256(file: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def provenance(file: Path, note: str = "") -> str:
    """One line on a file that was used: where it is, its size and its checksum. Private when the file is."""
    text = f"{file}, {file.stat().st_size:,} bytes, sha256 {sha256(file)}"
    return f"{text}; {note}" if note else text
