"""Is a release what it says? Checksums, signature, and epsilon by other accountants than those that proved it.

Four findings, each one line: what was looked at, whether it holds, and why not. A release is confirmed when all that
were looked at hold. It needs nothing but the folder, and reads every file as data (`models/contract/model_files.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpsynth.errors import ArtifactError
from dpsynth.models.contract.fitted import find_release, load
from dpsynth.models.contract.model_files import LARGEST_TENSORS, LARGEST_TEXT, plain, read_json
from dpsynth.privacy.accounting.recomputation import Recomputation, recompute
from dpsynth.privacy.signatures import read_public, verify
from dpsynth.release.folder import SIGNATURE, SUMS, digest_of, files_of

_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\]+(?:/[^/\\]+)?)")
_STATED = re.compile(r"\(([0-9.e+-]+), ([0-9.e+-]+)\)-differential privacy")


@dataclass(frozen=True)
class Finding:
    """what: was looked at. holds: whether it is so; None where it could not be looked at. why: in a sentence."""

    what: str
    holds: bool | None
    why: str


@dataclass(frozen=True)
class Verification:
    """All findings on one release, and what the accountants said."""

    folder: Path
    findings: tuple[Finding, ...]
    recomputation: Recomputation

    @property
    def confirmed(self) -> bool:
        """Whether nothing that was looked at failed."""
        return all(finding.holds is not False for finding in self.findings)


def verify_release(folder: str | Path, public_key: str | None = None) -> Verification:
    """Check a release, or the `release/` of a run.

    Args:
        folder: The release.
        public_key: File or text of the steward's public key; with it a signature is required.

    Raises:
        ArtifactError: There is no release, or its statement cannot be read at all.
    """
    release = find_release(folder)
    statement = read_json(plain(release, "privacy.json", LARGEST_TEXT), infinite=True)
    again = recompute(statement)
    findings = (_hashes(release), _signature(release, public_key), _model(release), _statement(statement),
                _epsilon(statement, again))  # fmt: skip
    return Verification(release, findings, again)


def _hashes(release: Path) -> Finding:
    what = "checksums"
    try:
        text = plain(release, SUMS, LARGEST_TEXT).read_text(encoding="utf-8")
    except (ArtifactError, UnicodeDecodeError) as error:
        return Finding(what, False, str(error))
    stated: dict[str, str] = {}
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if not found:
            return Finding(what, False, f"{SUMS}: a line that is no checksum: {line!r:.60}")
        stated[found[2]] = found[1]
    try:
        wrong = [name for name, digest in stated.items() if digest_of(plain(release, name, LARGEST_TENSORS)) != digest]
    except ArtifactError as error:
        return Finding(what, False, str(error))
    if wrong:
        return Finding(what, False, f"changed since they were listed: {', '.join(wrong)}")
    extra = sorted(set(files_of(release)) - set(stated))
    if extra:
        return Finding(what, True, f"{len(stated)} files as listed; not listed, so not checked: {', '.join(extra)}")
    return Finding(what, True, f"{len(stated)} files as listed in {SUMS}")


def _signature(release: Path, public_key: str | None) -> Finding:
    what, path = "signature", release / SIGNATURE
    if not path.is_file():
        return Finding(what, None if public_key is None else False, "the release is not signed")
    if public_key is None:
        return Finding(what, None, f"{SIGNATURE} is there; give the steward's public key to check it: key=FILE.pub")
    try:
        text = plain(release, SIGNATURE, LARGEST_TEXT).read_text(encoding="utf-8")
        comment = verify(text, plain(release, SUMS, LARGEST_TEXT).read_bytes(), read_public(public_key))
    except (ArtifactError, UnicodeDecodeError) as error:
        return Finding(what, False, str(error))
    return Finding(what, True, f"by this key, over all listed files: {comment}")


def _model(release: Path) -> Finding:
    try:
        fitted = load(release)
    except ArtifactError as error:
        return Finding("model", False, str(error))
    return Finding("model", True, f"{type(fitted).__name__} loads and draws, with the statement it was saved with")


def _statement(statement: Mapping[str, Any]) -> Finding:
    what, guarantee = "statement", str(statement.get("guarantee"))
    if not statement.get("private"):
        return Finding(what, False, f"no guarantee is stated: {guarantee}")
    said = _STATED.match(guarantee)
    proven = statement["proven"]
    if said is None or any(f"{float(proven[key]):.4g}" != said[k] for k, key in ((1, "epsilon"), (2, "delta"))):
        return Finding(what, False, f"its sentence says otherwise than its numbers: {guarantee}")
    if statement.get("noise") != "secure" or not statement.get("finished"):
        return Finding(what, False, "it says private, but not that the noise was secure and the plan carried out")
    return Finding(what, True, guarantee)


def _epsilon(statement: Mapping[str, Any], again: Recomputation) -> Finding:
    what, (epsilon, delta) = "epsilon", again.stated
    if not statement.get("private"):
        return Finding(what, None, "nothing to compute without a guarantee")
    if not again.bounds:
        return Finding(what, None, "no other accountant knows all of its releases")
    listed = ", ".join(f"{name} {bound:.4g}" for name, bound in again.bounds.items())
    words = f"stated {epsilon:.4g} at delta {delta:.3g}; recomputed from the releases: {listed}"
    if again.mu is not None:
        words += f"; mu {again.mu:.4g} of Gaussian DP for one row"
    if again.confirmed is None:
        words += ", a loose bound for these releases; no tighter one than that of the statement is known"
    elif not again.confirmed:
        words += "; none of them confirms what is stated"
    return Finding(what, again.confirmed, words)
