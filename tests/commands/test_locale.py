"""Files are UTF-8 with line feeds in every locale, and no name ends a command that its terminal cannot show."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "dpsynth"
SCHEMA = """\
columns:
  Größe: {kind: number, bounds: [0, 9], decimals: 1, decimal: ","}
  Ort: {kind: category, categories: [Köln, 東京, "\\u202eabc"]}
rows: 60
"""
PROGRAM = """
import sys
from dpsynth.commands import train, generate, evaluate, __main__ as dpsynth
for words in {words!r}:
    command, *sys.argv[1:] = words
    if command in ("schema", "encode"):
        sys.argv[1:] = words
        dpsynth.main()
    else:
        {{"train": train, "generate": generate, "evaluate": evaluate}}[command].main()
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder in which all commands ran one after the other in an ASCII locale, and what they printed."""
    folder = tmp_path_factory.mktemp("locale")
    (folder / "s.yaml").write_text(SCHEMA, encoding="utf-8")
    rows = "".join(f"{k % 9},5;{['Köln', '東京', chr(0x202E) + 'abc'][k % 3]}\n" for k in range(60))
    (folder / "a.csv").write_text("Größe;Ort\n" + rows, encoding="utf-8")
    words = [
        ["schema", "a.csv", "--out", "draft.yaml"],
        ["schema", "a.csv"],
        ["encode", "a.csv", "codes.parquet", "schema=s.yaml", "delimiter=;"],
        [
            *("train", "model=independent", "data=csv", "data.path=a.csv", "data.schema=s.yaml", "data.delimiter=;"),
            *("run=run", "trainer.progress=quiet", "trainer.private_console=true"),
        ],
        ["generate", "run=run", "n=20", "where={Ort: Köln}", "out=more.csv"],
        ["evaluate", "run=run", "metrics=quick", "figures=none", "progress=quiet"],
    ]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment |= {"PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "", "OMP_NUM_THREADS": "1"}
    program = ascii(PROGRAM.format(words=words))
    done = subprocess.run(
        [sys.executable, "-c", f"exec({program})"], cwd=folder, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return folder, done.stdout


def test_what_is_written_is_utf8_with_line_feeds(written):
    folder, printed = written
    assert b"Gr\\xf6\\xdfe" in printed  # escaped for this terminal, and none the less said
    texts = [path for path in folder.rglob("*") if path.suffix in (".csv", ".json", ".yaml", ".txt", ".html")]
    assert len(texts) >= 10
    for path in texts:
        content = path.read_bytes()
        content.decode("utf-8")
        assert b"\r" not in content or path.parent.name == "private", path
    assert "Größe" in (folder / "draft.yaml").read_text(encoding="utf-8")
    assert "東京" in (folder / "run/release/synthetic.csv").read_text(encoding="utf-8")
    assert {line.split(",")[-1] for line in (folder / "more.csv").read_text(encoding="utf-8").split()[1:]} == {"Köln"}
    assert "Größe" in json.loads((folder / "run/release/model.json").read_text(encoding="utf-8"))["domain"]["columns"]
    assert not list(folder.rglob("*.part"))


def test_no_text_file_is_opened_in_the_encoding_of_the_locale():
    """Everywhere in the package: `write_text`, `read_text` and `open` in text mode name their encoding."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _in_the_locale(node):
                found.append(f"{path.name}:{node.lineno}")
    assert not found


def test_the_search_finds_what_it_looks_for():
    for line in ("p.write_text(t)", "p.read_text()", "open(p)", "p.open('w', newline='')", "open(p, mode='a')"):
        assert _in_the_locale(ast.parse(line).body[0].value), line  # type: ignore[attr-defined]
    for line in (
        "p.write_text(t, encoding='utf-8')",
        "write_text(p, t)",
        "open(p, 'rb')",
        "lzma.open(p)",
        "os.open(p, 3)",
    ):
        assert not _in_the_locale(ast.parse(line).body[0].value), line  # type: ignore[attr-defined]


def _in_the_locale(call: ast.Call) -> bool:
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("write_text", "read_text"):
        return method and getattr(call.func.value, "id", "") != "tabular_files"  # type: ignore[attr-defined]
    if name != "open":
        return False
    owner = getattr(call.func.value, "id", "") if isinstance(call.func, ast.Attribute) else ""
    if owner in ("os", "Image", "lzma", "archive", "EncodedFiles"):
        return False
    modes = [argument.value for argument in call.args[not method :] if isinstance(argument, ast.Constant)]
    modes += [keyword.value.value for keyword in call.keywords if keyword.arg == "mode"]  # type: ignore[attr-defined]
    return not any("b" in str(mode) for mode in modes)
