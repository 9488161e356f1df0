import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from dpsynth.commands import __main__ as entry
from dpsynth.commands.schema import schema
from dpsynth.data import Table
from dpsynth.data.database import DatabaseDomain
from dpsynth.data.database.toy import Clinic
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.runs.command_line import data_options, quoted


@pytest.fixture
def dpsynth_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("age,sex\n" + "31,Female\n47,Male\n" * 40)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["dpsynth", *arguments])
        code = 0
        try:
            entry.main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def test_a_draft_marks_every_guess_and_is_a_schema(dpsynth_command):
    code, out, _ = dpsynth_command("schema", "people.csv")
    assert code == 0
    assert out.count("# guess") == 2
    assert Domain.from_yaml(out).names == ("age", "sex")


def test_a_draft_is_written_but_never_over_a_file(dpsynth_command):
    assert dpsynth_command("schema", "people.csv", "--out", "people.yaml")[0] == 0
    code, _, err = dpsynth_command("schema", "people.csv", "--out", "people.yaml")
    assert (code, err.count("\n")) == (2, 1)
    assert "exists already" in err


@pytest.mark.parametrize(("arguments", "message"), [(("schema", "nowhere.csv"), "nowhere.csv"), (("draw",), "'draw'")])
def test_mistakes_are_one_line(dpsynth_command, arguments, message):
    code, _, err = dpsynth_command(*arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


def test_help_names_the_commands(dpsynth_command):
    assert all(name in dpsynth_command()[1] for name in ("schema", "train", "generate", "evaluate"))


def test_a_database_is_drafted_from_a_folder(tmp_path, capsys):
    folder = Clinic().sample(40, seed=2).write(tmp_path / "clinic")
    (folder / "schema.yaml").unlink()
    schema([str(folder), "--database", "--out", str(tmp_path / "clinic.yaml")])
    assert "check every line marked 'guess'" in capsys.readouterr().out
    assert list(DatabaseDomain.from_yaml(tmp_path / "clinic.yaml").tables) == ["patients", "visits"]
    with pytest.raises(ConfigError, match="name one folder"):
        schema([str(folder), str(folder), "--database"])


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("people.csv", "age,sex\n" + "31,Female\n47,Male\n" * 40, "utf-8"),
        ("a b=(1)'s.csv", "age;sex\n" + "31;Müller\n47;Höß\n" * 40, "cp1252"),
        ("tab.tsv", "age\tsex\n" + "31\tFemale\n47\tMale\n" * 40, "utf-16"),
        ("quote.csv", "age,sex\n" + "'31','Fe,male'\n'47','Male'\n" * 40, "utf-8"),
        ("index.csv", ",age,sex\n" + "".join(f"{k},{30 + k},Male\n" for k in range(40)), "utf-8"),
        ("rows.csv", "31,Female\n47,Male\n" * 40, "utf-8"),
        ("notes.csv", "# by hand\nage,sex\n" + "31,Female\n47,Male\n" * 40, "utf-8"),
        ("report.csv", "Report\n\nage|sex\n" + "31|Female\n47|Male\n" * 40, "utf-8"),
    ],
)
def test_the_command_that_is_printed_last_reads_the_file(dpsynth_command, name, text, encoding):
    """Its words, as the shell splits them and train takes them."""
    Path(name).write_bytes(text.encode(encoding))
    code, out, err = dpsynth_command("schema", name, "--out", "it's.yaml")
    assert code == 0, err
    words = shlex.split(out.splitlines()[-1])
    assert words[:2] == ["dpsynth", "train"]
    parsed = OverridesParser.create().parse_overrides(quoted(words[2:]))
    options = data_options({each.key_or_group.removeprefix("data."): each.value() for each in parsed if each.value()})
    assert (options.pop("model"), options.pop("data")) == ("auto", "csv")
    assert (options["path"], options["schema"]) == (name, "it's.yaml")
    table = Table.read(**options, **{"header": False} if "data.header=false" in words else {})
    assert len(table) == text.count("ale") + text.count("M\u00fcller") + text.count("H\u00f6\u00df")
    assert not table.invalid


def test_the_command_that_is_printed_is_taken_by_train(dpsynth_command):
    Path("a b=(1)'s.csv").write_text("age;sex\n" + "31;Female\n47;Male\n" * 40)
    _, out, _ = dpsynth_command("schema", "a b=(1)'s.csv", "--out", "it's.yaml")
    code, out, err = dpsynth_command(*shlex.split(out.splitlines()[-1])[1:], "privacy.dry_run=true")
    assert code == 0, err


def test_reading_a_table_takes_no_torch():
    """Which is 500 MB of memory and most of the time of a start."""
    read = "import sys, dpsynth.commands.launch, dpsynth.commands.encode, dpsynth.commands.schema"
    code = f"{read}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
