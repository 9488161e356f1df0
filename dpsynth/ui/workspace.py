"""The folder in which `dpsynth ui` keeps what it makes: a folder for each project, and in it

    project.json    the data file, how it is written, whose rows it holds
    data.csv        the file, if it was uploaded and not named by its path
    schema.yaml     what is public about it
    runs/NAME/      one run each (runs/run_folder.py)
    logs/NAME.log   what its commands printed

Everything but `runs/NAME/release/` is private, so that only the owner may enter a project's folder.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from dpsynth.data.table.csv_dialect import CsvDialect, first_rows
from dpsynth.data.table.csv_sniffer import ignorable, sniff
from dpsynth.data.table.tabular_files import kind_of, write_text, write_whole
from dpsynth.errors import ArtifactError, ConfigError, DataError
from dpsynth.runs.folder_lock import FolderLock
from dpsynth.runs.run_folder import RunFolder

SUFFIXES = (".csv", ".csv.gz", ".parquet")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,59}")
_COPIED = 1 << 20  # bytes of an upload that are copied at a time

Option = str | int | bool | tuple[str, ...]


class Readable(Protocol):
    """Something that gives bytes, a part at a time."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Source:
    """The private file of a project.

    Attributes:
        path: Absolute.
        dialect: How a CSV file is written, where it differs from the default: options of `CsvDialect`.
        person: The column that says whose row it is, or None.
        max_rows_per_person: Rows that are kept of each person; needed with `person`.
    """

    path: Path
    dialect: dict[str, Option] = field(default_factory=dict)
    person: str | None = None
    max_rows_per_person: int | None = None

    @classmethod
    def found(cls, path: Path) -> Source:
        """The file, and how it looks to be written. Raises `DataError` or `ConfigError`."""
        path = path.expanduser().absolute()
        if not path.is_file():
            raise DataError(f"'{path}': there is no such file")
        if not path.name.lower().endswith(SUFFIXES):
            raise ConfigError(f"'{path.name}': choose a file that ends with {', '.join(SUFFIXES)}")
        if kind_of(path) == "parquet":
            return cls(path)
        return cls(path, ignorable(path, sniff(path)).options)

    @property
    def csv_dialect(self) -> CsvDialect | None:
        """None for a Parquet file."""
        if kind_of(self.path) == "parquet":
            return None
        return CsvDialect(**{key: tuple(value) if isinstance(value, list) else value
                             for key, value in self.dialect.items()})  # type: ignore[arg-type]  # fmt: skip

    def first_rows(self, count: int) -> tuple[list[str], list[list[str]]]:
        """Names of the columns and the first rows, as texts; private."""
        dialect = self.csv_dialect
        if dialect is None:
            import pyarrow.parquet as pq

            batch = next(pq.ParquetFile(self.path).iter_batches(batch_size=count), None)
            if batch is None:
                return list(pq.read_schema(self.path).names), []
            rows = [[str(value) for value in row.values()] for row in batch.to_pylist()]
            return list(batch.schema.names), rows
        rows = first_rows(self.path, dialect, count + 1)[0]
        if not rows:
            raise DataError(f"'{self.path}': holds no row")
        if not dialect.header:
            return [f"column {place}" for place in range(1, len(rows[0]) + 1)], rows[:count]
        return rows[0], rows[1:]

    def as_options(self, schema: Path) -> list[str]:
        """The words that tell `dpsynth train` of the file."""
        kind = kind_of(self.path)
        words = [f"data={kind}", f"data.path={self.path}", f"data.schema={schema}"]
        for key, value in self.dialect.items():
            text = json.dumps(list(value), ensure_ascii=False) if isinstance(value, (list, tuple)) else value
            words.append(f"data.{key}={str(text).lower() if isinstance(text, bool) else text}")
        if self.person is not None:
            words += [f"data.person={self.person}", f"data.max_rows_per_person={self.max_rows_per_person}"]
        return words


@dataclass(frozen=True)
class Project:
    """One table, its schema and the runs on it."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def schema(self) -> Path:
        return self.folder / "schema.yaml"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def source(self) -> Source | None:
        """The file of the project, if one was chosen. Raises `ArtifactError` for a damaged project."""
        try:
            content = json.loads((self.folder / "project.json").read_text(encoding="utf-8"))
            return Source(**{**content, "path": Path(content["path"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ArtifactError(f"{self.folder / 'project.json'}: damaged ({error}); choose the file again") from None

    def choose(self, path: Path) -> Source:
        """Take a file by its path. A schema that was there for another file goes."""
        source = Source.found(path)
        self._keep(source)
        self.schema.unlink(missing_ok=True)
        return source

    def upload(self, name: str, stream: Readable) -> Source:
        """Take a copy of a file into the project. name: only its ending is used."""
        suffix = next((each for each in SUFFIXES if name.lower().endswith(each)), None)
        if suffix is None:
            raise ConfigError(f"{name}: choose a file that ends with {', '.join(SUFFIXES)}")

        def copy(temporary: Path) -> None:
            with temporary.open("wb") as file:
                while block := stream.read(_COPIED):
                    file.write(block)

        path = self.folder / f"data{suffix}"
        write_whole(path, copy)
        return self.choose(path)

    def set_person(self, column: str | None, most: int | None) -> None:
        """Protect persons with all their rows, or single rows."""
        source = self.source
        if source is not None:
            self._keep(replace(source, person=column, max_rows_per_person=most))

    def _keep(self, source: Source) -> None:
        content = {**asdict(source), "path": str(source.path)}
        write_text(self.folder / "project.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def runs(self) -> list[RunFolder]:
        """The runs that were begun, by name."""
        folder = self.folder / "runs"
        found = [RunFolder(entry) for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
        return sorted((run for run in found if run.finished or run.unfinished), key=lambda run: run.path.name)

    def new_run(self, method: str, epsilon: float) -> RunFolder:
        """A run that is not there yet, named after what it is."""
        return RunFolder(RunFolder.first_free(self.folder / "runs" / f"{method}-epsilon-{epsilon:g}"))

    def log_of(self, run: RunFolder, command: str) -> Path:
        """Where what a command on a run prints is kept."""
        return self.logs / f"{run.path.name}.{command}.log"


def busy(run: RunFolder) -> bool:
    """Whether some process works in a run."""
    lock = FolderLock(run.path)
    if not run.path.is_dir() or lock.take(writing=True):
        lock.release()
        return False
    return True


@dataclass(frozen=True)
class Workspace:
    """All projects of one person on this computer."""

    folder: Path

    def projects(self) -> list[str]:
        """Names, sorted."""
        if not self.folder.is_dir():
            return []
        return sorted(entry.name for entry in self.folder.iterdir() if entry.is_dir() and _NAME.fullmatch(entry.name))

    def project(self, name: str) -> Project:
        """A project that exists. Raises `ConfigError`."""
        if name not in self.projects():
            raise ConfigError(f"there is no project {name!r}")
        return Project(self.folder / name)

    def create(self, name: str) -> Project:
        """A new project. Raises `ConfigError` for a name that is taken or cannot be a folder's."""
        name = name.strip()
        if not _NAME.fullmatch(name):
            raise ConfigError("a project's name has up to 60 letters, digits, blanks, - and _, first a letter or digit")
        folder = self.folder / name
        if folder.exists():
            raise ConfigError(f"there is a project {name!r} already: choose it, or another name")
        folder.mkdir(parents=True, mode=0o700)
        (folder / "logs").mkdir(mode=0o700)
        return Project(folder)
