import json
import os
import stat

import numpy as np
import pandas as pd
import pytest
import torch

import dpsynth
from dpsynth.errors import ArtifactError
from dpsynth.models.contract import fitted as artifact

CANARY = 41_713_907


@pytest.fixture
def fitted(example, people):
    return example.Example().fit(people, dpsynth.Budget(1.0, 1e-5))


@pytest.fixture
def saved(fitted, tmp_path):
    fitted.save(tmp_path / "release")
    return tmp_path / "release"


def edit(folder, change):
    """Rewrite model.json."""
    content = json.loads((folder / "model.json").read_text())
    change(content)
    (folder / "model.json").write_text(json.dumps(content))


def test_a_loaded_model_is_the_saved_one(fitted, saved):
    again = dpsynth.load(saved)
    assert type(again) is type(fitted)
    assert (again.domain, again.statement, again.rows) == (fitted.domain, fitted.statement, fitted.rows)
    pd.testing.assert_frame_equal(again.sample(50, seed=3).frame, fitted.sample(50, seed=3).frame)


def test_the_run_folder_serves_as_well_as_the_release(saved):
    assert dpsynth.load(saved.parent).config() == dpsynth.load(str(saved)).config()


def test_only_json_and_safetensors_are_written_and_others_may_read_them(saved):
    assert sorted(path.name for path in saved.iterdir()) == sorted(artifact.FILES)
    assert json.loads((saved / "model.json").read_text())["format"] == artifact.FORMAT
    assert stat.S_IMODE(saved.stat().st_mode) == 0o755
    assert not list(saved.parent.glob(".release-*"))


def test_saving_never_overwrites(fitted, saved):
    with pytest.raises(ArtifactError, match="exists already"):
        fitted.save(saved)
    (saved.parent / "empty").mkdir()
    fitted.save(saved.parent / "empty")


def test_a_failed_save_leaves_nothing(fitted, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifact, "sha256", full)
    with pytest.raises(OSError, match="No space"):
        fitted.save(tmp_path / "release")
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_and_files_are_named(saved, tmp_path):
    with pytest.raises(ArtifactError, match="no such folder"):
        dpsynth.load(tmp_path / "nowhere")
    (tmp_path / "other").mkdir()
    with pytest.raises(ArtifactError, match=r"holds no model\.json"):
        dpsynth.load(tmp_path / "other")
    (saved / "privacy.json").unlink()
    with pytest.raises(ArtifactError, match=r"privacy\.json: missing"):
        dpsynth.load(saved)


def test_an_unfinished_run_says_how_to_go_on(tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "config.yaml").write_text("seed: 0\n")
    with pytest.raises(ArtifactError, match=r"not finished.*resume=true"):
        dpsynth.load(tmp_path)


@pytest.mark.parametrize("name", artifact.FILES)
@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_damage_is_noticed(saved, name, damage):
    content = (saved / name).read_bytes()
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    (saved / name).write_bytes(content[:middle] if damage == "truncated" else changed)
    if name == "model.json" and damage == "changed":
        pytest.skip("a changed letter in the description may be legal")
    with pytest.raises(ArtifactError, match=r"not a readable model|does not match its checksum"):
        dpsynth.load(saved)


def test_a_newer_format_asks_for_an_upgrade(saved):
    edit(saved, lambda content: content.update(format=artifact.FORMAT + 1))
    with pytest.raises(ArtifactError, match="upgrade dpsynth"):
        dpsynth.load(saved)


def test_an_older_format_asks_for_the_older_version(saved):
    edit(saved, lambda content: content.update(format=artifact.FORMAT - 1))
    with pytest.raises(ArtifactError, match="older dpsynth in format 1"):
        dpsynth.load(saved)


@pytest.mark.parametrize(
    "target",
    ["os.system", "builtins.eval", "dpsynth_evil.Model", "dpsynth", "subprocess.Popen", "torch.load"],
)
def test_a_model_file_cannot_name_foreign_code(saved, target, monkeypatch):
    monkeypatch.setattr(os, "system", lambda *_: pytest.fail("foreign code ran"))
    edit(saved, lambda content: content.update(target=target))
    with pytest.raises(ArtifactError, match="only classes of dpsynth"):
        dpsynth.load(saved)


@pytest.mark.parametrize(
    "target",
    ["dpsynth.models.contract.fitted.load", "dpsynth.data.table.table.Table", "dpsynth.models.contract.fitted.os"],
)
def test_nor_a_class_of_dpsynth_that_is_no_fitted_model(saved, target):
    edit(saved, lambda content: content.update(target=target))
    with pytest.raises(
        ArtifactError, match=r"not a Fitted|not a class that dpsynth\.models defines|only classes of dpsynth"
    ):
        dpsynth.load(saved)


@pytest.mark.parametrize("nest", [lambda x: x, lambda x: {"deep": [x]}, lambda x: {"a": {"b": x}}])
def test_nor_hide_foreign_code_in_its_configuration(saved, nest):
    edit(saved, lambda content: content["config"].update(extra=nest({"_target_": "os.system"})))
    with pytest.raises(ArtifactError, match=r"names 'os\.system'"):
        dpsynth.load(saved)


@pytest.mark.parametrize("key", ["format", "target", "config", "domain", "sha256"])
def test_a_missing_entry_is_a_damaged_file(saved, key):
    edit(saved, lambda content: content.pop(key))
    with pytest.raises(ArtifactError):
        dpsynth.load(saved)


def test_no_row_and_no_exact_count_is_in_the_files(example, canaries, tmp_path):
    """Planted values that nothing public names must not be found, however they could be written."""
    fitted = example.Example().fit(canaries, dpsynth.Budget(1.0, 1e-5))
    fitted.save(tmp_path / "release")
    content = b"".join(path.read_bytes() for path in (tmp_path / "release").iterdir())
    number = np.array([CANARY])
    planted = [b"canary", str(CANARY).encode(), str(len(canaries)).encode()]
    planted += [number.astype(kind).tobytes() for kind in ("<i4", "<i8", "<f4", "<f8")]
    for trace in planted:
        assert trace not in content, trace


def test_tensors_come_back_whatever_their_type(example, people, tmp_path):
    fitted = example.Example().fit(people, dpsynth.Budget(1.0, 1e-5))
    fitted.counts = torch.stack([fitted.counts.to(torch.float32)] * 2, 1)[:, 0]  # not contiguous
    fitted.save(tmp_path / "release")
    assert torch.equal(dpsynth.load(tmp_path / "release").counts, fitted.counts)


@pytest.mark.parametrize("raised", [NameError("a mistake"), ImportError("no module"), OSError(5, "disk")])
def test_what_no_file_can_cause_is_not_laid_to_the_file(saved, monkeypatch, raised):
    def failing(*words, **options):
        raise raised

    monkeypatch.setattr(type(dpsynth.load(saved)), "restore", failing)
    with pytest.raises(type(raised)):
        dpsynth.load(saved)


@pytest.mark.parametrize(("free", "kind"), [(0, MemoryError), (2**60, ArtifactError), (None, ArtifactError)])
def test_a_full_machine_is_not_a_damaged_model(saved, monkeypatch, free, kind):
    def failing(*words, **options):
        raise MemoryError

    monkeypatch.setattr(type(dpsynth.load(saved)), "restore", failing)
    monkeypatch.setattr("dpsynth.models.contract.fitted.available_memory", lambda: free)
    with pytest.raises(kind):
        dpsynth.load(saved)
