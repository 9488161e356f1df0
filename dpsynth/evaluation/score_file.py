"""scores.json: the scores of one evaluation with what they depend on, so that they can be used again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dpsynth.data.table.tabular_files import write_text
from dpsynth.evaluation.suite import Settings
from dpsynth.metrics.framework.metric import Score

NAME = "scores.json"


@dataclass(frozen=True)
class ScoreFile:
    """What one scores.json holds.

    basis: settings, digests of the files and the version of dpsynth; equal bases give equal scores.
    names: what was compared, for people.
    """

    scores: tuple[Score, ...]
    basis: Mapping[str, Any]
    names: Mapping[str, Any]

    def write(self, folder: Path) -> Path:
        """Write `folder`/scores.json, whole or not at all."""
        record = {**self.basis, **self.names, "scores": [score.to_dict() for score in self.scores]}
        text = json.dumps(record, indent=1, default=str, allow_nan=False) + "\n"
        return write_text(folder / NAME, text)

    @classmethod
    def read(cls, folder: Path, basis: Mapping[str, Any]) -> "ScoreFile | None":
        """The scores in `folder` if they rest on this basis; None when there are none, or others, or damaged ones."""
        try:
            record = json.loads((folder / NAME).read_text(encoding="utf-8"))
            if any(record.get(key) != value for key, value in basis.items()):
                return None
            scores = tuple(Score.from_dict(each) for each in record["scores"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        names = {key: value for key, value in record.items() if key not in basis and key != "scores"}
        return cls(scores, dict(basis), names)


def basis_of(settings: Settings, digests: Mapping[str, str]) -> dict[str, Any]:
    """What scores depend on, as scores.json keeps it (plain JSON values, so that read and written ones compare)."""
    facts = {"settings": asdict(settings), "sha256": dict(digests), "dpsynth": _version()}
    facts["settings"].pop("threads", None)  # changes the time, never a score
    return json.loads(json.dumps(facts, default=str))


def _version() -> str:
    try:
        return version("dpsynth-torch")
    except PackageNotFoundError:  # a checkout that was never installed
        return "unknown"
