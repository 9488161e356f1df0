"""Write docs/map.md: every file of the package with the first sentence of its docstring.

python benchmarks/source_map.py            # writes the page
python benchmarks/source_map.py --check    # exit code 1 when the page is out of date
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dpsynth"
PAGE = ROOT / "docs" / "map.md"
HEAD = """# Map of the source

Generated from the docstrings by `python benchmarks/source_map.py`; how the packages fit stands in
[architecture.md](architecture.md).
"""


def sentence(path: Path) -> str:
    """The first sentence of a file's docstring, in one line."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.?]) (?=[A-Z`])", text)[0].replace("|", "\\|")


def page() -> str:
    """The page as Markdown: a table for each package, in the order of the folders."""
    parts = [HEAD]
    for folder in [PACKAGE, *sorted(path for path in PACKAGE.rglob("*") if path.is_dir())]:
        files = sorted(path for path in folder.glob("*.py") if path.name not in ("__init__.py", "__main__.py"))
        init = folder / "__init__.py"
        if not init.exists() or not (files or folder == PACKAGE):
            continue
        name = folder.relative_to(ROOT).as_posix()
        parts.append(f"\n## {name}\n\n{sentence(init)}\n")
        if files:
            parts.append("\n| file | what it is |\n|---|---|\n")
            parts += [f"| [{path.name}](../{name}/{path.name}) | {sentence(path)} |\n" for path in files]
    return "".join(parts)


def main() -> None:
    text = page()
    if "--check" in sys.argv:
        same = PAGE.exists() and PAGE.read_text() == text
        sys.exit(0 if same else "docs/map.md is out of date: run benchmarks/source_map.py")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
