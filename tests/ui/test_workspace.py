"""Projects keep files and runs apart; names cannot lead out of the folder."""

import io
import stat

import pytest

from dpsynth.errors import ConfigError, DataError
from dpsynth.ui.workspace import Workspace, busy


@pytest.fixture
def project(tmp_path):
    return Workspace(tmp_path / "projects").create("survey 2026")


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", ".hidden", "x" * 61, "a\nb", "-m"])
def test_a_name_stays_inside_the_folder(tmp_path, name):
    with pytest.raises(ConfigError):
        Workspace(tmp_path).create(name)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError):
        Workspace(tmp_path).project(name)


def test_only_the_owner_may_enter(project):
    assert stat.S_IMODE(project.folder.stat().st_mode) == 0o700


def test_a_name_is_taken_once(tmp_path, project):
    with pytest.raises(ConfigError, match="already"):
        Workspace(tmp_path / "projects").create("survey 2026")


def test_an_upload_is_copied_and_its_name_not_used(project):
    source = project.upload("../../evil name.CSV", io.BytesIO(b"a;b\n1;2\n3;4\n"))
    assert source.path == project.folder / "data.csv"
    assert source.dialect == {"delimiter": ";"}
    assert source.first_rows(1) == (["a", "b"], [["1", "2"]])
    assert project.source == source


@pytest.mark.parametrize("name", ["data.xlsx", "data", "x.csv.exe"])
def test_other_files_are_refused(project, name):
    with pytest.raises(ConfigError, match="choose a file that ends with"):
        project.upload(name, io.BytesIO(b"a\n1\n"))
    assert project.source is None


def test_a_new_file_takes_the_old_schema_away(project, tmp_path):
    (tmp_path / "people.csv").write_text("a,b\n1,2\n")
    project.schema.write_text("columns: {a: {kind: boolean}}\n")
    project.choose(tmp_path / "people.csv")
    assert not project.schema.exists()
    with pytest.raises(DataError, match="no such file"):
        project.choose(tmp_path / "gone.csv")


def test_the_words_for_training(project):
    project.upload("x.csv", io.BytesIO("name;größe\nä;1,5\n".encode("cp1252") * 30))
    project.set_person("name", 5)
    words = project.source.as_options(project.schema)
    assert "data=csv" in words
    assert "data.delimiter=;" in words
    assert "data.encoding=cp1252" in words
    assert words[-2:] == ["data.person=name", "data.max_rows_per_person=5"]


def test_runs_get_names_of_their_own(project):
    first = project.new_run("aim", 0.5)
    assert first.path.name == "aim-epsilon-0.5"
    (first.path / "release").mkdir(parents=True)
    assert project.new_run("aim", 0.5).path.name == "aim-epsilon-0.5-2"
    assert [run.path for run in project.runs()] == [first.path]
    assert not busy(first)
