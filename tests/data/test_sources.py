"""Every source by name: row counts and missing values of the real files, options, and honest refusals."""

import gzip
import hashlib
import inspect
import urllib.error
import urllib.request
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from dpsynth.data import Codec, Domain, ImageView
from dpsynth.data.selection import Selection
from dpsynth.data.sources import SOURCES, idx_images, load, lookup
from dpsynth.errors import ConfigError, DataError

KEY, EXACT = Selection(bytes(32)), Selection(bytes(32), "replace_one")
CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "data"


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No test reaches the web or the user's cache."""

    def refuse(url, timeout):
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("DPSYNTH_CACHE", str(tmp_path / "cache"))


def missing(frame):
    counts = frame.isna().sum()
    return counts[counts > 0].to_dict()


def test_adult_as_bundled():
    source = load("adult")
    assert (len(source.train), len(source.holdout)) == (32_561, 16_281)
    assert len(source.domain) == 15
    assert missing(source.train.frame) == {"workclass": 1836, "occupation": 1843, "native-country": 583}
    assert missing(source.holdout.frame) == {"workclass": 963, "occupation": 966, "native-country": 274}
    assert source.train.invalid == source.holdout.invalid == {}
    assert round((source.train.frame["income"] == ">50K").mean(), 4) == 0.2408
    assert round((source.train.frame["capital-gain"] == 0).mean(), 3) == 0.917
    assert source.domain.label == "income"
    assert "sha256" in source.provenance
    assert (lookup.PACKAGED / "adult.parquet").stat().st_size < 1_000_000
    codec = Codec(source.domain)
    assert codec.decode(codec.encode(source.train.frame)).equals(source.train.frame)


def test_adult_options():
    assert len(load("adult", holdout=0).train) == 48_842
    whole = load("adult", KEY, holdout=0.25, n_train=1000)
    assert 900 < len(whole.train) < 1400  # 30,000 rows are declared, 36,600 are left to choose from
    assert 11_000 < len(whole.holdout) < 13_500
    with pytest.raises(ConfigError, match="official"):
        load("adult", holdout="some.csv")


def test_adult_from_the_official_files(real_data):
    bundled, official = load("adult"), load("adult", path=real_data / "adult")
    assert official.train.frame.equals(bundled.train.frame)
    assert official.holdout.frame.equals(bundled.holdout.frame)


def test_pums_and_its_variants(real_data):
    folder = real_data / "pums"
    source = load("pums", KEY, path=folder, holdout=0)
    assert len(source.train) == 1000
    assert source.train.invalid == {}
    null = load(
        "pums",
        KEY,
        path=folder / "PUMS_null.csv",
        schema="pums_null",
        holdout=0,
        person="pid",
        max_rows_per_person=99,
    )
    assert len(null.train) == 1948 - 88
    assert null.train.nameless == 88
    once = load(
        "pums", KEY, path=folder / "PUMS_dup.csv", schema="pums_null", holdout=0, person="pid", max_rows_per_person=1
    )
    assert len(once.train) == 1000
    with pytest.raises(DataError, match="missing: true"):
        load("pums", KEY, path=folder / "PUMS_null.csv", person="pid", max_rows_per_person=1)
    with pytest.raises(DataError, match="'pid' not in the schema"):
        load("pums", KEY, path=folder / "PUMS_pid.csv")


def test_power_in_both_forms(tmp_path):
    text = (
        "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;Sub_metering_1;"
        "Sub_metering_2;Sub_metering_3\n"
        "16/12/2006;17:24:00;4.216;0.418;234.840;18.400;0.000;1.000;17.000\n"
        "16/12/2006;23:59:00;?;?;?;?;?;?;\n"
    )
    with zipfile.ZipFile(tmp_path / "household_power_consumption.zip", "w") as archive:
        archive.writestr("household_power_consumption.txt", text)
    (tmp_path / "household_power_consumption.txt").write_text(text)
    for name in ("household_power_consumption.zip", "household_power_consumption.txt"):
        train = load("power", path=tmp_path / name, holdout=0).train
        assert train.frame["minute"].tolist() == [17 * 60 + 24, 1439]
        assert train.frame.iloc[0, 1:].tolist() == [4.216, 0.418, 234.84, 18.4, 0, 1, 17]
        assert train.frame.iloc[1, 1:].isna().all()
        assert train.invalid == {}
    imputed = text.splitlines()[0].replace("Date;Time", "date_time").replace(";", ",") + "\n"
    (tmp_path / "p.csv").write_text(imputed + "2006-12-16 17:25:00,5.36,0.436,233.63,23.0,0.0,1.0,16.0\n")
    source = load("power", path=tmp_path / "p.csv", holdout=0)
    assert source.train.frame["minute"].tolist() == [17 * 60 + 25]
    assert "imputed" in source.provenance


@pytest.mark.slow
def test_power_of_two_million_minutes(real_data):
    source = load("power", path=real_data / "power")
    assert len(source.train) + len(source.holdout) == 2_075_259
    assert source.train.invalid == {}
    assert source.train.frame.shape[1] == 8
    codec = Codec(source.domain)
    assert codec.decode(codec.encode(source.holdout.frame)).equals(source.holdout.frame)


def test_digits_are_images_or_a_table_of_the_same_values():
    images, table = (load("digits", form=form, holdout=0).train for form in ("images", "table"))
    codes = ImageView(images.domain).codes(images.pixels).reshape(-1, 64)
    assert codes.tolist() == table.frame.iloc[:, :64].to_numpy().tolist()
    assert images.labels.astype(str).tolist() == table.frame["digit"].tolist()
    with pytest.raises(ConfigError, match=r"data\.form"):
        load("digits", form="cubes")


def idx(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


@pytest.mark.parametrize("layout", ["", "MNIST/raw"])
@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_stated_by_what_is_inside(tmp_path, monkeypatch, layout, packed):
    draw = np.random.default_rng(0)
    arrays = [draw.integers(0, 10, shape).astype(np.uint8) for shape in ((6, 28, 28), (6,), (3, 28, 28), (3,))]
    folder = tmp_path / layout
    folder.mkdir(parents=True, exist_ok=True)
    for part, array in zip(idx_images.PARTS, arrays, strict=True):
        content = idx(array)
        (folder / f"{part}{'.gz' if packed else ''}").write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match="sha256"):
        load("mnist", root=tmp_path)
    sums = {part: hashlib.sha256(idx(array)).hexdigest() for part, array in zip(idx_images.PARTS, arrays, strict=True)}
    monkeypatch.setattr(idx_images, "MNIST", replace(idx_images.MNIST, sha256=sums))
    source = load("mnist", Selection(bytes(32), "replace_one"), root=tmp_path, n_train=4, size=14)
    assert (len(source.train), len(source.holdout), source.domain.size) == (4, 3, 14)
    assert np.array_equal(source.holdout.pixels[:, 0], arrays[2])
    assert np.array_equal(source.holdout.labels, arrays[3])


def test_a_root_without_the_files_names_both_places(tmp_path):
    with pytest.raises(DataError, match="holds no train-images"):
        load("fashion_mnist", root=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_published_images(real_data, name):
    source = load(name, root=real_data / name)
    assert (len(source.train), len(source.holdout)) == (60_000, 10_000)
    assert np.bincount(source.holdout.labels).min() > 800


def test_digits():
    source = load("digits", form="table", holdout=0)
    assert source.train.frame.shape == (1797, 65)
    assert source.train.invalid == {}
    assert sorted(source.train.frame["digit"].unique()) == list("0123456789")


def test_csv_and_parquet_of_anyone(people, tmp_path):
    (tmp_path / "s.yaml").write_text(people.domain.to_yaml())
    people.head(300).write(tmp_path / "a.csv")
    people.head(100).write(tmp_path / "b.csv")
    people.write(tmp_path / "c.parquet")
    source = load("csv", EXACT, path=str(tmp_path / "[ab].csv"), schema=tmp_path / "s.yaml", holdout=0, n_train=50)
    assert len(source.train) == 50
    source = load("csv", path=tmp_path / "a.csv", schema=str(tmp_path / "s.yaml"), holdout=tmp_path / "b.csv")
    assert (len(source.train), len(source.holdout)) == (300, 100)
    assert source.provenance.count("sha256") == 2
    source = load("parquet", KEY, path=tmp_path / "c.parquet", schema=tmp_path / "s.yaml", holdout=0.5)
    assert len(source.train) + len(source.holdout) == 400
    with pytest.raises(ConfigError, match=r"data\.path"):
        load("csv", schema=tmp_path / "s.yaml")
    with pytest.raises(ConfigError, match="dpsynth schema"):
        load("csv", path=tmp_path / "a.csv")
    with pytest.raises(ConfigError, match=r"data\.person"):
        load("csv", path=tmp_path / "a.csv", schema=tmp_path / "s.yaml", max_rows_per_person=2)


def test_nothing_is_substituted_silently(tmp_path):
    with pytest.raises(DataError, match=r"data\.path is not set; .*cache.*PUMS\.csv; https.*no network here") as caught:
        load("pums")
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="check data"):
        load("adult", path=tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds none of"):
        load("adult", path=tmp_path)
    with pytest.raises(DataError, match=r"235.*no network here"):
        load("power")


def test_downloads_are_checked_and_cached(monkeypatch, tmp_path):
    class Answer:
        def __init__(self, content):
            self.content = content

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self):
            return self.content

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Answer(b"something else"))
    with pytest.raises(DataError, match="another file"):
        load("pums")
    cached = lookup.cache_folder() / "PUMS.csv"
    assert not cached.exists()
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_text("tampered")
    with pytest.raises(DataError, match="sha256 differs"):
        load("pums")


def test_a_download_that_is_right_is_kept(monkeypatch, real_data):
    content = (real_data / "pums" / "PUMS.csv").read_bytes()

    class Answer:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self):
            return content

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Answer())
    assert len(load("pums", holdout=0).train) == 1000
    assert (lookup.cache_folder() / "PUMS.csv").read_bytes() == content


@pytest.mark.parametrize("name", SOURCES)
def test_every_key_of_a_config_is_an_option(name):
    options = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert options.pop("name") == name
    parameters = inspect.signature(SOURCES[name]).parameters
    assert set(options) == set(parameters) - {"selection"}
    for key, value in options.items():  # the config shows the defaults
        assert parameters[key].default == value


def test_unknown_names_and_options():
    with pytest.raises(ConfigError, match="did you mean 'adult'"):
        load("adlt")
    with pytest.raises(ConfigError, match="no option 'rows'"):
        load("adult", rows=3)
    with pytest.raises(ConfigError, match="mixed"):
        load("toy", distribution="chaos")


@pytest.mark.parametrize("file", sorted(lookup.PACKAGED.glob("*.yaml")), ids=lambda file: file.stem)
def test_packaged_schemas_round_trip(file):
    domain = Domain.from_yaml(file)
    assert Domain.from_yaml(domain.to_yaml()) == domain
    assert domain.rows is not None
    assert isinstance(
        Codec(domain).decode(Codec(domain).encode(pd.DataFrame(columns=list(domain.names)))), pd.DataFrame
    )
