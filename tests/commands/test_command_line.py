"""Any column, class, category and file can be named on the command line, and types stay as they were typed."""

from pathlib import Path

import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import ConfigError
from dpsynth.runs.command_line import data_options, mapping, quoted, texts

NAMES = [
    "Größe (cm)",
    "income > 50k",
    "null",
    "a=b",
    "x:y",
    "1.0",
    "a b",
    "it's",
    '"quoted"',
    "true",
    "00",
    "a,b",
    "{q}",
]


def through_hydra(word):
    """The value that Hydra makes of a word of the command line."""
    [override] = OverridesParser.create().parse_overrides(quoted([word]))
    return override.value()


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12))
def test_any_text_passes_through_hydra(text):
    value = text + "'" if text[0] == text[-1] and text[0] in "'\"" else text
    if value not in ("null",):
        assert through_hydra(f"where={value}") == value


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_stand_in_a_condition(name):
    import json

    said = f"{{{json.dumps(name, ensure_ascii=False)}: {json.dumps(name, ensure_ascii=False)}}}"
    assert mapping(through_hydra(f"where={said}"), "where") == {name: name}
    assert texts(through_hydra(f"columns=[{json.dumps(name, ensure_ascii=False)}]"), "columns") == [name]


def test_scalars_stay_the_text_that_was_typed(tmp_path):
    assert mapping(through_hydra("where={grade: 1.0, ok: yes, code: 007, e: 1e3, n: null}"), "where") == {
        "grade": "1.0", "ok": "yes", "code": "007", "e": "1e3", "n": "null",
    }  # fmt: skip
    assert texts(through_hydra("data.classes=[true,null,00]"), "data.classes") == ["true", "null", "00"]
    (tmp_path / "w.yaml").write_text("Größe (cm): 170\n", encoding="utf-8")
    assert mapping(f"@{tmp_path / 'w.yaml'}", "where") == {"Größe (cm)": "170"}
    assert texts("a b", "columns") == ["a b"]
    assert data_options({"classes": "[1, 02]", "path": "x.csv"}) == {"classes": ["1", "02"], "path": "x.csv"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[a]", "must be a mapping"),
        ("{a: b", "not valid YAML"),
        ("@nowhere.yaml", "No such file"),
        ("a", "must be a mapping"),
    ],
)
def test_what_is_no_mapping_says_how_to_write_one(value, message):
    with pytest.raises(ConfigError, match=message):
        mapping(value, "where")


def test_words_that_hydra_must_split_are_left_alone():
    words = ["-m", "data.path=a.csv,b.csv", "model=maf"]
    assert quoted(words) == words
    assert quoted(["model=maf", "data.path=a.csv", "seed=1", "run='a b'"]) == [
        "model=maf",
        "data.path=a.csv",
        "seed=1",
        "run='a b'",
    ]


SCHEMA = """\
columns:
  Größe (cm): {kind: integer, bounds: [0, 200]}
  grade: {kind: category, categories: ['1.0', '2.0', 'null']}
"""


@pytest.mark.parametrize("folder", ["My data (1)", "people[1]", "50% a=b", "Größe", "it's", "a, b", "{x}"])
def test_a_file_of_any_name_is_trained_on_and_drawn_from(command, folder):
    Path(folder).mkdir()
    path = Path(folder) / f"{folder}.csv"
    path.write_text("Größe (cm);grade\n" + "170;1.0\n180;null\n" * 30, encoding="utf-8")
    (Path(folder) / "s.yaml").write_text(SCHEMA, encoding="utf-8")
    options = (f"data.path={path}", f"data.schema={path.with_name('s.yaml')}", "data.delimiter=;", "data.holdout=0")
    outcome = command("train", "data=csv", *options, f"run={folder}/run", "trainer.progress=quiet")
    assert outcome.code == 0, outcome.err
    where = "where={Größe (cm): 170, grade: 1.0}"
    outcome = command("generate", f"run={folder}/run", "n=5", where, f"out={folder}/out (1).csv")
    assert outcome.code == 0, outcome.err
    drawn = pd.read_csv(f"{folder}/out (1).csv", dtype=str, keep_default_na=False)
    assert set(drawn["grade"]) == {"1.0"}
    assert set(drawn["Größe (cm)"]) == {"170"}
