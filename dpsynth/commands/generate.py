"""generate.py: more synthetic rows from a finished run.  Post-processing: it costs no privacy budget."""

import math
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from dpsynth.commands.launch import launch
from dpsynth.data.database import Database, files
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.table import Table
from dpsynth.data.table.written_rows import csv_bytes
from dpsynth.errors import ConfigError
from dpsynth.evaluation.evaluation import following
from dpsynth.models.contract.fitted import Fitted, find_release, load
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.contract.machine_limits import refuse_beyond_disk, refuse_beyond_free_memory
from dpsynth.models.contract.synthesizer import kind_of
from dpsynth.models.database.fitted import FittedDatabase
from dpsynth.reproductions import datalens_files, pe_files
from dpsynth.runs.command_line import mapping
from dpsynth.runs.options import GenerateOptions, typed
from dpsynth.runs.run_folder import run_being_read

# By suffix; "" is a folder of single images, or of a file for each table.
FILES = {Table: (".csv", ".parquet"), Images: (".npz", ".png", ""), Database: ("",)}
TRIED_ROWS = 1000  # of which the size of a file is told before it is written
PARQUET = 0.1  # of the size of a CSV file, at least
BYTES_OF_PIXEL = 6  # of an image while it is drawn and written
FORMS = (*datalens_files.FORMS, pe_files.FORM)
KINDS = {"table": Table, "image": Images, "database": Database}


def main() -> None:
    launch("generate", generate)


def generate(config: DictConfig) -> None:
    options = typed(GenerateOptions, config)
    with run_being_read(options.run):
        release = find_release(options.run)
        fitted = load(release)
        kind = KINDS[kind_of(fitted.domain)]
        if options.format is not None:
            check_format(options.format, options.out, kind)
        out = None if options.out is None else Path(options.out)
        if out is not None and out.suffix not in FILES[kind]:
            files = " or ".join(f"FILE{suffix}" if suffix else "FOLDER" for suffix in FILES[kind])
            raise ConfigError(f"out={out}: write {files}")
        if out is not None and out.exists() and not options.overwrite:
            raise ConfigError(f"out={out}: exists already; choose another name, or say overwrite=true")

        as_csv = options.format in (None, "csv") if kind is Database else out is not None and out.suffix == ".csv"
        if options.out_escape and not as_csv:
            raise ConfigError("out_escape=true: writes a CSV file for spreadsheets; name it with out=FILE.csv")

        n, where = fitted.checked_rows(options.n, options.seed), mapping(options.where, "where")
        refuse_beyond_machine(fitted, n, release if out is None else out)
        if isinstance(fitted, FittedTable):

            def write(path: Path) -> Path:
                with following("Rows that meet the conditions", "auto" if where else "quiet") as report:

                    def progress(found: int, wanted: int, drawn: int) -> None:
                        report(found, wanted, f"of {drawn:,} drawn")

                    return fitted.write(path, n, options.seed, where, options.out_escape, progress)

        elif isinstance(fitted, FittedDatabase):
            persons, form = fitted.sample(n, options.seed, where), options.format or "csv"
            out = write_database(persons, release, out, form, options.out_escape)
            print(f"{n} synthetic {kind.unit}: {out}")
            return
        else:
            rows = fitted.sample(n, options.seed, where)

            def write(path: Path) -> Path:
                return write_images(rows, options.format, fitted.statement, path)

        if out is None:
            out = added(write, kind.suffix, release)
        else:
            write(out)
    print(f"{n} synthetic {kind.unit}: {out}")


def refuse_beyond_machine(fitted: Fitted, n: int, out: Path) -> None:
    """`ConfigError` when the images do not fit into memory, or the file of a table not on the disk."""
    if isinstance(fitted, FittedTable):
        if n > fitted.block_rows:  # fewer are not worth a trial
            size = csv_bytes(fitted.sample(TRIED_ROWS, seed=0).frame, fitted.domain) / TRIED_ROWS
            refuse_beyond_disk(round(n * size * (PARQUET if out.suffix == ".parquet" else 1)), out, f"n={n}")
    elif isinstance(fitted.domain, ImageDomain):
        refuse_beyond_free_memory(
            n * math.prod(fitted.domain.shape) * BYTES_OF_PIXEL, f"n={n} images", "make fewer at a time"
        )


def write_images(rows: Images, form: str | None, statement: Mapping[str, Any], out: Path) -> Path:
    """Write images by the name of the file or folder, in the layout `form` of another project if one is named."""
    if form is None:
        return rows.write(out)
    if form == pe_files.FORM:
        pe_files.write(rows, out)
    else:
        datalens_files.write(rows, out, form, statement.get("target", {}).get("epsilon"))
    return out


def check_format(form: str, out: str | None, kind: type[Table] | type[Images] | type[Database]) -> None:
    """`ConfigError` for a format that is not known, not of this kind, or without a place to write into."""
    if kind is Database:
        files.check_form(form)
        return
    if form not in FORMS:
        raise ConfigError(f"format={form}: choose {' or '.join(FORMS)}, or leave it out")
    if kind is Table:
        raise ConfigError(f"format={form}: is for images; leave it out for a table")
    if form == pe_files.FORM:
        if out is None or Path(out).suffix != ".npz":
            raise ConfigError(f"format={form}: writes one file; name it with out=FILE.npz")
    elif out is None or Path(out).suffix:
        raise ConfigError(f"format={form}: writes several files; name a folder with out=FOLDER")


def write_database(rows: Database, release: Path, out: Path | None, form: str, escape: bool) -> Path:
    """Write a database into `out`, which it replaces, or as the first of synthetic-2, ... of the release.

    The folder appears whole. `ConfigError` for a folder that is no database and would be replaced.
    """
    beside = release.parent if out is None and (release.parent / "private").is_dir() else (out or release / "x").parent
    if out is not None and out.exists() and not (out / files.SCHEMA_FILE).is_file():
        raise ConfigError(f"out={out}: is not the folder of a database, so it is not overwritten; choose another name")
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".generate-", dir=beside) as folder:
        whole = rows.write(Path(folder) / "synthetic", form, escape)
        if out is not None:
            if out.exists():
                os.replace(out, Path(folder) / "replaced")
            os.replace(whole, out)
            return out
        for number in count(2):
            path = release / f"synthetic-{number}"
            with suppress(OSError):  # somebody else's folder of that name
                os.rename(whole, path)
                return path
    raise AssertionError("unreachable: there is always another number")


def added(write: Callable[[Path], Path], suffix: str, release: Path) -> Path:
    """Write rows into the release as the first of synthetic-2.csv, synthetic-3.csv, ... that is not there yet.

    It is written beside the release and appears whole under a name that no other process has taken.
    """
    beside = release.parent if (release.parent / "private").is_dir() else release
    with tempfile.TemporaryDirectory(prefix=".generate-", dir=beside) as folder:
        whole = write(Path(folder) / f"synthetic{suffix}")
        for number in count(2):
            path = release / f"synthetic-{number}{suffix}"
            try:
                os.link(whole, path)  # unlike a rename, never replaces a file
            except FileExistsError:
                continue
            except OSError:  # a file system without links
                if path.exists():
                    continue
                os.replace(whole, path)
            return path
    raise AssertionError("unreachable: there is always another number")


if __name__ == "__main__":
    main()
