"""dpsynth download: the cache is filled with checked files, and what cannot be fetched is explained."""

import hashlib

import pytest

from dpsynth.commands import download as module
from dpsynth.commands.download import download
from dpsynth.data.sources.lookup import Official
from dpsynth.errors import ConfigError, DataError


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A data set of one file that is published in a folder, and an empty cache."""
    monkeypatch.setenv("DPSYNTH_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "web" / "PUMS.csv"
    source.parent.mkdir()
    source.write_text("a\n1\n")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "PUMS", Official("PUMS", "PUMS.csv", (source.as_uri(),), digest))
    return source


def test_a_file_is_fetched_once_and_checked(published, capsys, tmp_path):
    download(["pums"])
    assert "as published" in capsys.readouterr().out
    published.unlink()
    download(["pums"])
    (tmp_path / "cache" / "PUMS.csv").write_text("a\n2\n")
    with pytest.raises(DataError, match="sha256 differs"):
        download(["pums"])


def test_what_cannot_be_fetched_is_explained(published):
    published.unlink()
    with pytest.raises(DataError, match=r"get it by hand.*PUMS.csv"):
        download(["pums"])


def test_another_file_is_refused(published, tmp_path):
    published.write_text("b\n1\n")
    with pytest.raises(DataError):
        download(["pums"])
    assert not (tmp_path / "cache" / "PUMS.csv").exists()


@pytest.mark.parametrize("name", [*module.INCLUDED, *module.BY_HAND])
def test_other_data_sets_say_what_to_do(name, capsys):
    download([name])
    assert f"data={name}" in capsys.readouterr().out


def test_a_misspelt_name_has_a_hint():
    with pytest.raises(ConfigError, match="did you mean fashion_mnist"):
        download(["fashion-mnist"])
