import sys
from pathlib import Path

import pytest

from dpsynth.commands import __main__ as entry
from dpsynth.commands.schema import schema
from dpsynth.data.database import DatabaseDomain
from dpsynth.data.database.toy import Clinic
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError


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
