"""Where the YAML files of the options are, and what their comments say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


def config_folder() -> Path:
    """The folder of the YAML files: packaged in an installed wheel, at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "configs"
    return packaged if packaged.is_dir() else package.parent / "configs"


@dataclass(frozen=True)
class Comments:
    """What a YAML file says of itself.

    Attributes:
        head: The comment lines at its top.
        of: The comment behind each key, by the key's dotted path.
    """

    head: tuple[str, ...]
    of: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> "Comments":
        """Of the file at `path`; a file that cannot be read says nothing."""
        head: list[str] = []
        found: dict[str, str] = {}
        above: list[tuple[int, str]] = []  # indentation and name of the mappings that a line lies in
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return cls((), {})
        for line in lines:
            if line.startswith("#") and not found and not above:
                head.append(line.lstrip("# ").rstrip())
            match = re.match(r"( *)([\w-]+):(.*)", line)
            if not match:
                continue
            indent, key, rest = len(match[1]), match[2], match[3]
            above = [(depth, name) for depth, name in above if depth < indent]
            path_of_key = ".".join([*(name for _, name in above), key])
            # A comment begins at a # that white space precedes; quoted signs such as '#' have none before them.
            comment = re.search(r"\s#\s*(.*)$", rest)
            if comment:
                found[path_of_key] = comment[1].strip()
            above.append((indent, key))
        return cls(tuple(line for line in head if not line.startswith("@package")), found)
