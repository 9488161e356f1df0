"""dpsynth/models/contract/fitted_table.py: rows in blocks are the rows of one sample, however many are asked for."""

import pandas as pd
import pytest

import dpsynth
from dpsynth.data.sources.toy import DISTRIBUTIONS
from dpsynth.errors import ConfigError
from dpsynth.models.contract import fitted_table
from dpsynth.models.contract.fitted import Generators
from dpsynth.privacy import Budget


@pytest.fixture(scope="module")
def fitted():
    table = DISTRIBUTIONS["mixed"]().sample(200, seed=0)
    return dpsynth.models.Independent().replace(counting={"engine": "numpy"}).fit(table, Budget(2.0, 1e-5))


@pytest.fixture
def small(monkeypatch):
    """Blocks of 50 rows."""
    monkeypatch.setattr(fitted_table, "MOST_ROWS", 50)
    monkeypatch.setattr(fitted_table, "FEWEST_ROWS", 50)


@pytest.mark.parametrize("n", [0, 1, 49, 50, 51, 120])
def test_blocks_make_up_the_sample(fitted, small, n):
    blocks = [block.frame for block in fitted.blocks(n, seed=3)]
    assert [len(block) for block in blocks] == [50] * (n // 50) + [n % 50] * (n % 50 > 0 or n == 0)
    assert pd.concat(blocks, ignore_index=True).equals(fitted.sample(n, seed=3).frame)


def test_what_fits_one_block_is_drawn_as_before(fitted, small):
    first = fitted._draw(50, Generators.seeded(3), {})
    assert fitted.sample(50, seed=3).frame.equals(first)
    assert fitted.sample(120, seed=3).frame.head(50).equals(first)


def test_blocks_differ_from_each_other_and_without_a_seed(fitted, small):
    first, second = (block.frame for block in fitted.blocks(100, seed=3))
    assert not first.equals(second)
    assert not fitted.sample(100).frame.equals(fitted.sample(100).frame)


def test_conditions_hold_in_every_block_and_mistakes_come_at_once(fitted, small):
    name, value = "color", "red"
    assert all((block.frame[name] == value).all() for block in fitted.blocks(120, 0, {name: value}))
    for words in ((-1, 0, {}), (3, -1, {}), (3, 0, {"none": 1})):
        with pytest.raises(ConfigError):
            fitted.blocks(*words)


def test_wide_tables_have_smaller_blocks(fitted):
    assert fitted.block_rows == 2**18
    for columns, rows in ((64, 2**18), (128, 2**17), (10_000, 2**14)):
        wide = type("Wide", (), {"domain": type("Domain", (), {"columns": range(columns)})})
        assert fitted_table.FittedTable.block_rows.fget(wide) == rows
