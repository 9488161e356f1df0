"""What the documentation site adds to the pages of this folder when MkDocs builds it (`hooks:` in mkdocs.yml).

- `map.md`: every file of the package with the first sentence of its docstring.
- `index.md`, `security.md`, `contributing.md`, `changelog.md`: the pages that lie at the top of the repository.
- The pictures of figs/.

Links that lead out of this folder work in a checkout. On the site, those to the pages above are rewritten; those to
source files lead to the repository if mkdocs.yml has a `repo_url`, and are plain text otherwise.
"""

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dpsynth"
PAGES = {
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
HEAD = """# Map of the source

Every file of the package in a line. [Architecture](architecture.md) says how they fit together.
"""


def on_files(files: Any, config: Any) -> Any:
    """Add the generated page, the pages from the top of the repository, and the pictures."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "map.md", content=source_map()))
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for picture in sorted((ROOT / "figs").iterdir()):
        files.append(File.generated(config, f"figs/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite the links that lead out of docs/."""
    own = {target: source for source, target in PAGES.items()}.get(page.file.src_uri)
    origin = ROOT / own if own else ROOT / "docs" / page.file.src_uri
    return rewritten(markdown, origin, page.file.src_uri, config.get("repo_url") or "")


def rewritten(markdown: str, origin: Path, uri: str, repository: str) -> str:
    """A page's text with its links as they must be on the site.

    Args:
        markdown: The text.
        origin: The file it comes from; links are relative to its folder.
        uri: Where the page lies on the site.
        repository: Address of the repository, or empty.
    """
    up = "../" * uri.count("/")

    def link(match: re.Match[str]) -> str:
        mark, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        path = (origin.parent / target).resolve()
        if not path.is_relative_to(ROOT) or not path.exists():
            return match[0]  # a generated page, or a mistake: MkDocs says which
        name = path.relative_to(ROOT).as_posix()
        if name in PAGES:
            return f"{mark}[{text}]({up}{PAGES[name]}{anchor})"
        if name.startswith(("docs/", "figs/")):
            return f"{mark}[{text}]({up}{name.removeprefix('docs/')}{anchor})"
        return f"[{text}]({repository.rstrip('/')}/blob/main/{name})" if repository else text

    return LINK.sub(link, markdown)


def source_map() -> str:
    """The page of all files as Markdown: a table for each package, in the order of the folders."""
    parts = [HEAD]
    for folder in [PACKAGE, *sorted(path for path in PACKAGE.rglob("*") if path.is_dir())]:
        files = sorted(path for path in folder.glob("*.py") if path.name not in ("__init__.py", "__main__.py"))
        init = folder / "__init__.py"
        if not init.exists() or not (files or folder == PACKAGE):
            continue
        name = folder.relative_to(ROOT).as_posix()
        parts.append(f"\n## {name}\n\n{sentence(init)}\n\n| file | what it is |\n|---|---|\n")
        parts += [f"| [{path.name}](../{name}/{path.name}) | {sentence(path)} |\n" for path in files]
    return "".join(parts)


def sentence(path: Path) -> str:
    """The first sentence of a file's docstring, in one line."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.?]) (?=[A-Z`])", text)[0].replace("|", "\\|")
