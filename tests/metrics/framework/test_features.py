import numpy as np
import pandas as pd

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.encoding import NATIVE_CATEGORIES, Features


def test_the_label_is_no_feature(domain, draw):
    features = Features(domain)
    assert [column.name for column in features.columns] == ["age", "gain", "day", "region", "flag"]
    assert features.categorical.tolist() == [False, False, False, True, True]


def test_raw_keeps_values_and_missing(domain, draw):
    frame = draw(200, 0)
    raw = Features(domain).raw(frame)
    assert (raw[:, 0] == frame["age"]).all()
    assert np.array_equal(np.isnan(raw[:, 1]), frame["gain"].isna())
    assert np.array_equal(np.isnan(raw[:, 4]), frame["flag"].isna().to_numpy())


def test_one_hot_has_one_block_per_column_and_depends_on_the_domain_only(domain, draw):
    features = Features(domain)
    dense = features.one_hot(draw(300, 0)).toarray()
    assert dense.shape == (300, 3 * 2 + 4 + 2)
    assert dense.min() >= -1.0
    assert dense.max() <= 1.0
    assert np.array_equal(dense[:7], features.one_hot(draw(300, 0).head(7)).toarray())
    assert (dense[:, 6:10].sum(axis=1) == 1).all()


def test_many_categories_fraction_the_last_native_code():
    names = [f"c{i}" for i in range(600)]
    domain = Domain.from_dict({"columns": {"c": {"kind": "category", "categories": names}}})
    features = Features(domain)
    frame = pd.DataFrame({"c": names})
    assert features.raw(frame).max() == NATIVE_CATEGORIES
    assert features.one_hot(frame).shape == (600, 600)
