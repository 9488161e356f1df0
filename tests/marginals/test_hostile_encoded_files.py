"""Encoded files that somebody else wrote: codes, or one line, before anything is counted."""

import copy
import json
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpsynth.data import Category, Domain, Number
from dpsynth.data.table.codec import Codec
from dpsynth.errors import ArtifactError
from dpsynth.marginals.counting.encoded_files import _KEY, EncodedFiles, write_encoded

DOMAIN = Domain((Category("sex", categories=("Female", "Male")), Number("age", low=0.0, high=9.0)), rows=50)
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
ODD = [
    None, True, "", "x", [], {}, -1, 0, 1, 2, 7, 2**16, 2**31, 2**40, 10**30, 0.5, 1e308, [2**40], [[]], {"a": 1},
    "99", {"columns": {}},
]  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoded") / "good.parquet"
    write_encoded(path, Codec(DOMAIN, 8), [np.zeros((50, 2), np.uint8)])
    return path


def meaning(path):
    return json.loads(pq.ParquetFile(path).metadata.metadata[_KEY])


def rewrite(good, path, described, columns=None):
    table = pq.read_table(good) if columns is None else pa.table(columns)
    text = described if isinstance(described, bytes) else json.dumps(described).encode()
    pq.write_table(table.replace_schema_metadata({_KEY: text}), path)
    return path


def refusal(path):
    """The line with which a file is refused; empty when it is read."""
    begun, said = time.monotonic(), ""
    try:
        EncodedFiles.open(path).verify()
    except ArtifactError as error:
        said = str(error)
    assert "\n" not in said
    assert time.monotonic() - begun < 20
    return said


def test_an_untouched_file_is_read(good, tmp_path):
    assert refusal(rewrite(good, tmp_path / "a.parquet", meaning(good))) == ""


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([0] * 49 + [2], pa.uint8()), "other values than its 2 codes"),
        (pa.array([0] * 49 + [None], pa.uint8()), "other values"),
        (pa.array([0] * 50, pa.int64()), "other values"),
        (pa.array([0.0] * 49 + [float("nan")]), "other values"),
        (pa.array([2**64 - 1] * 50, pa.uint64()), "other values"),
        (pa.array(["Male"] * 50), "other values"),
        (pa.array([[0]] * 50), "other values"),
    ],
)
def test_what_is_no_code_is_refused_before_counting(good, tmp_path, column, message):
    columns = {"sex": column, "age": pa.array([0] * 50, pa.uint8())}
    assert message in refusal(rewrite(good, tmp_path / "a.parquet", meaning(good), columns))


@pytest.mark.parametrize(
    "columns",
    [
        {"sex": [0]},
        {"age": [0], "sex": [0]},
        {"sex": [0], "age": [0], "more": [0]},
        {"sex": [0], "ages": [0]},
    ],
)
def test_other_columns_than_described(good, tmp_path, columns):
    typed = {name: pa.array(values, pa.uint8()) for name, values in columns.items()}
    assert "disagree" in refusal(rewrite(good, tmp_path / "a.parquet", meaning(good), typed))


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"7", b"{", b"null", b"[" * 100_000, b"\xff", b'{"format": 1}', b'{"format": true}']
)
def test_descriptions_that_are_none(good, tmp_path, text):
    assert refusal(rewrite(good, tmp_path / "a.parquet", text))


def places(content, path=()):
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, each in items:
        yield from places(each, (*path, key))


def tried(good, tmp_path, data):
    described = meaning(good)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([each for each in places(described) if each]))
        described = copy.deepcopy(described)
        inside = described
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = data.draw(st.sampled_from(ODD))
    refusal(rewrite(good, tmp_path / "a.parquet", described))


@given(data=st.data())
@settings(max_examples=50, suppress_health_check=SHARED)
def test_changed_descriptions_are_read_or_refused(good, tmp_path, data):
    tried(good, tmp_path, data)


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=500, suppress_health_check=SHARED)
def test_changed_descriptions_are_read_or_refused_500(good, tmp_path, data):
    tried(good, tmp_path, data)


@given(data=st.data())
@settings(max_examples=30, suppress_health_check=SHARED)
def test_damaged_files_are_read_or_refused(good, tmp_path, data):
    content = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    (tmp_path / "a.parquet").write_bytes(content)
    refusal(tmp_path / "a.parquet")
