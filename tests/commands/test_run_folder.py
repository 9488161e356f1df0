import pytest

from dpsynth.commands.run_folder import RunFolder
from dpsynth.errors import ArtifactError, ConfigError


def begin(run):
    run.config.write_text("seed: 0\n")
    return run


def finish(run):
    begin(run).release.mkdir()
    return run


def test_a_free_name_is_taken_as_it_is(tmp_path):
    assert RunFolder.claim(tmp_path / "deep" / "maf-adult").path == tmp_path / "deep" / "maf-adult"


def test_finished_and_unfinished_runs_are_never_taken(tmp_path):
    wanted = tmp_path / "run"
    paths = [
        finish(RunFolder.claim(wanted)).path,
        begin(RunFolder.claim(wanted)).path,
        RunFolder.claim(wanted).path,
    ]
    assert [path.name for path in paths] == ["run", "run-2", "run-3"]


def test_a_claim_is_exclusive_even_before_anything_is_written(tmp_path):
    assert RunFolder.claim(tmp_path / "run").path != RunFolder.claim(tmp_path / "run").path


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.doc").write_text("mine")
    assert RunFolder.claim(tmp_path / "home").path.name == "home-2"
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.doc"]
    with pytest.raises(ConfigError, match="not the folder of a run"):
        RunFolder.claim(tmp_path / "home", overwrite=True)


def test_overwrite_replaces_release_and_private_and_nothing_else(tmp_path):
    old = finish(RunFolder.claim(tmp_path / "run"))
    (old.release / "model.json").write_text("{}")
    (old.path / "notes.txt").write_text("kept")
    (old.path / "notes.txt").rename(tmp_path / "notes.txt")
    new = RunFolder.claim(tmp_path / "run", overwrite=True)
    assert new.path == old.path
    assert not new.finished
    assert not new.config.exists()


def test_the_latest_unfinished_run_is_resumed(tmp_path):
    wanted = tmp_path / "run"
    finish(RunFolder.claim(wanted))
    begin(RunFolder.claim(wanted))
    latest = begin(RunFolder.claim(wanted))
    assert RunFolder.to_resume(wanted) == latest
    latest.release.mkdir()
    assert RunFolder.to_resume(wanted).path.name == "run-2"


def test_nothing_to_resume_says_why(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist"):
        RunFolder.to_resume(tmp_path / "run")
    finish(RunFolder.claim(tmp_path / "run"))
    with pytest.raises(ArtifactError, match="is finished"):
        RunFolder.to_resume(tmp_path / "run")


def test_private_is_for_the_owner_only(tmp_path):
    assert RunFolder.claim(tmp_path / "run").private.stat().st_mode & 0o077 == 0


def test_an_abandoned_claim_leaves_nothing(tmp_path):
    RunFolder.claim(tmp_path / "run").abandon()
    assert not (tmp_path / "run").exists()
