import os
from pathlib import Path

import pytest

from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.runs.folder_lock import FolderLock, reading
from dpsynth.runs.run_folder import RunFolder, restore, run_being_read


def write_config(run):
    run.config.write_text("seed: 0\n")


def claim(wanted, fill=write_config):
    """A claimed run; its lock is given back."""
    run, lock = RunFolder.claim(wanted, fill)
    lock.release()
    return run


def finish(run):
    run.release.mkdir()
    return run


def test_a_free_name_is_taken_as_it_is(tmp_path):
    run = claim(tmp_path / "deep" / "maf-adult")
    assert run.path == tmp_path / "deep" / "maf-adult"
    assert [path.name for path in run.path.iterdir()] == ["private"], (
        "neither a lock nor anything written to a temporary place stays"
    )


def test_finished_unfinished_and_live_runs_are_never_taken(tmp_path):
    wanted = tmp_path / "run"
    finish(claim(wanted))
    claim(wanted)
    live, lock = RunFolder.claim(wanted, write_config)
    paths = [live.path, claim(wanted).path]
    lock.release()
    assert [path.name for path in paths] == ["run-3", "run-4"]


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.doc").write_text("mine")
    assert claim(tmp_path / "home").path.name == "home-2"
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.doc"]
    with pytest.raises(ConfigError, match="not the folder of a run"):
        RunFolder.to_overwrite(tmp_path / "home")


@pytest.mark.parametrize("there", [False, True])
def test_a_claim_appears_with_its_content_or_not_at_all(tmp_path, there):
    wanted = tmp_path / "run"
    if there:
        wanted.mkdir()

    def fill(run):
        assert not (wanted / "private").exists()
        write_config(run)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        RunFolder.claim(wanted, fill)
    assert wanted.exists() is there
    assert not there or not list(wanted.iterdir())


def test_private_is_for_the_owner_only(tmp_path):
    assert claim(tmp_path / "run").private.stat().st_mode & 0o077 == 0


def test_a_run_is_replaced_when_its_successor_is_whole(tmp_path):
    wanted = tmp_path / "run"
    old = finish(claim(wanted))
    (old.release / "model.json").write_text("old")
    (old.path / "notes.txt").write_text("kept")
    assert RunFolder.to_overwrite(wanted)
    new, lock = RunFolder.claim(wanted, write_config)
    assert (new.path.name, (old.release / "model.json").read_text()) == ("run-2", "old")
    finish(new)
    (new.release / "model.json").write_text("new")
    assert new.replace(wanted, lock).path == wanted
    lock.release()
    assert (wanted / "release" / "model.json").read_text() == "new"
    assert sorted(path.name for path in wanted.iterdir()) == ["notes.txt", "private", "release"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_there_may_be_nothing_to_replace(tmp_path):
    assert not RunFolder.to_overwrite(tmp_path / "run")
    (tmp_path / "run").mkdir()
    assert not RunFolder.to_overwrite(tmp_path / "run")
    run, lock = RunFolder.claim(tmp_path / "other", write_config)
    assert finish(run).replace(tmp_path / "run", lock).finished
    lock.release()


def test_a_live_run_is_not_replaced(tmp_path):
    _, lock = RunFolder.claim(tmp_path / "run", write_config)
    with pytest.raises(ConfigError, match="another process is at work"):
        RunFolder.to_overwrite(tmp_path / "run")
    lock.release()


@pytest.mark.parametrize("moved", [False, True])
def test_a_replacement_that_was_killed_between_two_renames(tmp_path, capsys, moved):
    wanted, old = tmp_path / "run", tmp_path / ".run.replaced"
    finish(claim(wanted))
    (wanted / "notes.txt").write_text("kept")
    os.rename(wanted, old)
    if moved:
        finish(claim(wanted))
    restore(wanted)
    assert not old.exists()
    assert (wanted / "notes.txt").read_text() == "kept"
    assert ("removed" if moved else "restored") in capsys.readouterr().err


def test_the_latest_unfinished_run_is_resumed_by_one_process(tmp_path):
    wanted = tmp_path / "run"
    finish(claim(wanted))
    claim(wanted)
    latest = claim(wanted)
    run, lock = RunFolder.to_resume(wanted)
    assert run == latest
    with pytest.raises(ConfigError, match="another process is at work"):
        RunFolder.to_resume(wanted)
    lock.release()
    latest.release.mkdir()
    run, lock = RunFolder.to_resume(wanted)
    lock.release()
    assert run.path.name == "run-2"


def test_nothing_to_resume_says_why(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist"):
        RunFolder.to_resume(tmp_path / "run")
    finish(claim(tmp_path / "run"))
    with pytest.raises(ArtifactError, match="is finished"):
        RunFolder.to_resume(tmp_path / "run")


def test_an_abandoned_claim_leaves_nothing(tmp_path):
    run, lock = RunFolder.claim(tmp_path / "run", write_config)
    run.abandon()
    lock.release()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed_and_stated(tmp_path, capsys):
    run = finish(claim(tmp_path / "run"))
    run.checkpoint.mkdir()
    (run.checkpoint / "generators.state").write_text("the key of the noise")
    for left in (
        run.path / ".release-abc", run.path / ".private-abc", run.path / ".generate-abc",
        run.release / ".x.csv.1f.part", run.private / ".scores.json.2e.part",
    ):  # fmt: skip
        left.mkdir() if left.parent == run.path else left.write_text("half")
    (run.release / "synthetic.csv").write_text("whole")
    with run_being_read(run.path):
        pass
    assert sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*")) == [
        "private", "private/config.yaml", "release", "release/synthetic.csv",
    ]  # fmt: skip
    described = capsys.readouterr().err.splitlines()
    assert len(described) == 6
    assert any("checkpoint" in line for line in described)


def test_the_checkpoint_of_an_unfinished_run_stays(tmp_path):
    run = claim(tmp_path / "run")
    run.checkpoint.mkdir()
    (run.checkpoint / "generators.state").write_text("the key of the noise")
    (run.checkpoint / "training.state.partial").write_text("half")
    _, lock = RunFolder.to_resume(tmp_path / "run")
    lock.release()
    assert [path.name for path in run.checkpoint.iterdir()] == ["generators.state"]


def test_nothing_is_removed_while_another_process_works(tmp_path, capsys):
    run, lock = RunFolder.claim(tmp_path / "run", write_config)
    (run.path / ".release-abc").mkdir()
    run.clear()
    assert (run.path / ".release-abc").exists()
    lock.release()


def test_several_may_read_and_none_while_one_writes(tmp_path):
    run = finish(claim(tmp_path / "run"))
    with run_being_read(run.path), run_being_read(run.release):
        assert not FolderLock(run.path).take(writing=True)
    lock = FolderLock(run.path)
    assert lock.take(writing=True)
    with pytest.raises(ConfigError, match="another process is at work"), run_being_read(run.path):
        pass
    lock.release()
    assert not (run.path / ".lock").exists()


def test_a_lock_whose_file_was_removed_counts_no_more(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.take(writing=True)
    first.path.unlink()
    assert second.take(writing=True)
    first.release()
    assert second.path.exists(), "the file of another holder is not removed"
    second.release()
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written_one_reads_without_a_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError()))
    with reading(Path(tmp_path)) as lock:
        assert lock is None
