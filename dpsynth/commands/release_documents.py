"""dpsynth describe, sign, verify, marginals: what is done with a finished release, without the private data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table as Grid

from dpsynth.data.table.tabular_files import kind_of, write_whole
from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.marginals.noisy_tables import CONFIDENCE
from dpsynth.models.contract import fitted as artifact
from dpsynth.models.contract.fitted import find_release, load
from dpsynth.privacy.signatures import SigningKey
from dpsynth.release.facts import Facts
from dpsynth.release.folder import SIGNATURE, SUMS, facts_of, software
from dpsynth.release.folder import describe as write_documents
from dpsynth.release.verification import verify_release
from dpsynth.runs.run_folder import run_being_read

_WORDS = {
    "title": "name of the release",
    "description": "what the table is about",
    "source": "the private data, in words that may be published",
    "intended_use": "what the release is suitable for, and what not",
    "steward": "who is responsible for it",
    "contact": "where to send questions",
    "license": "SPDX name or URL, for example CC-BY-4.0",
    "url": "where it is published",
    "date": "day of the release, YYYY-MM-DD",
}


def describe(arguments: Sequence[str]) -> None:
    """Write the documents of a release anew, with the facts that its steward states."""
    parser = _parser(
        "describe",
        "State who releases what, under which licence and for which use. All documents and checksums of the release "
        "are rewritten; facts stated before are kept unless given again.",
    )
    for name, words in _WORDS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, help=words)
    options = parser.parse_args(_without_key(arguments, "run"))
    with run_being_read(options.run):
        release = find_release(options.run)
        fitted = load(release)
        stated = facts_of(release) if (release / "datapackage.json").is_file() else Facts()
        given = {each.name: getattr(options, each.name) for each in fields(Facts)}
        was_signed = (release / SIGNATURE).exists()
        write_documents(fitted.domain, fitted.statement, release, stated.with_(given))
    print(f"described: {release}" + ("; its signature is gone, sign it again" if was_signed else ""))


def sign(arguments: Sequence[str]) -> None:
    """Sign the checksums of a release."""
    parser = _parser(
        "sign",
        "Sign a release: SHA256SUMS.minisig names the steward and the version of the program. Anybody checks it by "
        "'dpsynth verify RELEASE --key FILE.pub', or by minisign.",
    )
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--key", metavar="FILE", help="secret key (Ed25519, PEM)")
    choice.add_argument("--new-key", metavar="FILE", help="make a key, and FILE.pub to publish")
    options = parser.parse_args(_without_key(arguments, "run"))
    with run_being_read(options.run):
        release = find_release(options.run)
        if not (release / SUMS).is_file():
            raise ArtifactError(f"{release}: has no {SUMS}; write it with: dpsynth describe {release}")
        named = facts_of(release).steward
        if named is None:
            raise ConfigError(f"{release}: names no steward; say who signs: dpsynth describe {release} --steward NAME")
        path = Path(options.new_key or options.key).expanduser()
        if path.resolve().is_relative_to(release.resolve()):
            raise ConfigError(f"{path}: a secret key must not lie in the release")
        key = SigningKey.create(path) if options.new_key else SigningKey.read(path)
        public = path.with_name(path.name + ".pub")
        if options.new_key:
            public.write_text(key.public_text, encoding="ascii")
        comment = f"steward: {' '.join(named.split())}; made with {software()}"
        text = key.sign((release / SUMS).read_bytes(), comment)
        write_whole(release / SIGNATURE, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    print(f"signed: {release / SIGNATURE}; the public key: {key.public_text.splitlines()[1]}")
    if options.new_key:
        print(f"keep {path} secret and publish {public}")


def verify(arguments: Sequence[str]) -> None:
    """Check a release; exit with an error unless it is what it says."""
    parser = _parser(
        "verify",
        "Check a release: checksums, signature, and epsilon computed again by other accountants than those that proved "
        "it.",
    )
    parser.add_argument("--key", metavar="FILE|KEY", help="public key of the steward; a signature is then required")
    options = parser.parse_args(_without_key(arguments, "run"))
    with run_being_read(options.run):
        found = verify_release(options.run, options.key)
    console = Console()
    for finding in found.findings:
        mark = {True: "holds", False: "FAILS", None: "not checked"}[finding.holds]
        console.print(f"{finding.what + ':':<12} {mark}. {finding.why}", markup=False, highlight=False, soft_wrap=True)
    if not found.confirmed:
        failed = ", ".join(finding.what for finding in found.findings if finding.holds is False)
        raise ArtifactError(f"{found.folder}: not confirmed ({failed})")
    console.print(f"confirmed: {found.folder}", markup=False, highlight=False, soft_wrap=True)


def marginals(arguments: Sequence[str]) -> None:
    """Print or write the noisy marginals of a release."""
    parser = _parser(
        "marginals",
        "The noisy counts that a model was fitted to, with the standard deviation of their noise and confidence "
        "intervals of the true counts.",
    )
    parser.add_argument("--columns", help="only the table of these columns, separated by commas")
    parser.add_argument(
        "--confidence", type=float, default=CONFIDENCE, help=f"of the intervals, by default {CONFIDENCE}"
    )
    parser.add_argument("--rows", type=int, default=20, help="cells of a table to print, those with most rows first")
    parser.add_argument(
        "--out", help="write one table as FILE.csv or FILE.parquet instead (all tables: marginals.parquet)"
    )
    options = parser.parse_args(_without_key(arguments, "run"))
    with run_being_read(options.run):
        release = find_release(options.run)
        fitted = load(release)
    if not fitted.measured:
        raise ConfigError(
            f"{release}: its method measured no marginals; aim, mst, privbayes, napsu, independent, maf and dpvi do"
        )
    tables = list(fitted.measured)
    if options.columns is not None:
        wanted = sorted(name.strip() for name in options.columns.split(","))
        tables = [table for table in tables if sorted(table.columns) == wanted]
        if not tables:
            known = "; ".join(",".join(table.columns) for table in fitted.measured)
            raise ConfigError(f"--columns {options.columns}: was not measured; there are {known:.600}")
    frames = [table.frame(options.confidence) for table in tables]
    if options.out is not None:
        out = Path(options.out)
        if len(frames) > 1:
            raise ConfigError(f"--out {out}: holds one table, and there are {len(frames)}; choose it by --columns, or "
                              f"take {release / artifact.MARGINALS}")  # fmt: skip
        if out.exists():
            raise ConfigError(f"--out {out}: exists already; choose another name or remove it first")
        kind = kind_of(out)
        if kind is None:
            raise ConfigError(f"--out {out}: end the name with .csv or .parquet")
        frame = frames[0]
        write_whole(out, lambda temporary: frame.to_parquet(temporary, index=False) if kind == "parquet"
                    else frame.to_csv(temporary, index=False))  # fmt: skip
        print(f"{len(frame)} cells: {out}")
        return
    console = Console()
    for table, frame in zip(tables, frames, strict=True):
        console.print(_grid(table.name, frame, options.rows, options.confidence))


def _grid(name: str, frame: pd.DataFrame, rows: int, confidence: float) -> Grid:
    figures = list(frame.columns[-4:])
    shown = frame.sort_values(figures[0], ascending=False, kind="stable").head(max(rows, 0))
    grid = Grid(title=f"{name}: {len(shown)} of {len(frame)} cells, sigma {frame[figures[1]].max():.4g}",
                title_justify="left")  # fmt: skip
    for column in frame.columns[:-4]:
        grid.add_column(str(column), overflow="fold")
    for word in ("noisy count", f"{100 * confidence:.3g} % interval"):
        grid.add_column(word, justify="right", no_wrap=True)
    for row in shown.itertuples(index=False):
        count, _, low, high = row[-4:]
        grid.add_row(*map(str, row[:-4]), f"{count:,.0f}", f"{max(low, 0):,.0f} to {max(high, 0):,.0f}")
    return grid


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"dpsynth {name}", description=description)
    parser.add_argument("run", metavar="RUN", help="folder of a finished run, or its release/")
    return parser


def _without_key(arguments: Sequence[str], key: str) -> list[str]:
    """The words with run=PATH as PATH, and key=FILE as --key FILE: both ways of writing are understood."""
    found: list[str] = []
    for word in arguments:
        name, sign_, value = word.partition("=")
        if sign_ and name == key:
            found.append(value)
        elif sign_ and name.isidentifier():
            found += [f"--{name.replace('_', '-')}", value]
        else:
            found.append(word)
    return found
