"""dpsynth/models/marginal/method.py: rows in memory and rows on disk give the same counts, and the same models."""

import pytest
from scipy import stats

import dpsynth
from dpsynth.data.columns import NumericColumn
from dpsynth.data.sources.toy import DISTRIBUTIONS
from dpsynth.data.table.codec import Codec
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.counting import Engine
from dpsynth.marginals.counting.encoded_files import EncodedFiles, write_encoded
from dpsynth.models.marginal.aim import AIM
from dpsynth.models.marginal.independent import Independent
from dpsynth.models.marginal.method import EncodedRows
from dpsynth.models.marginal.mst import MST
from dpsynth.models.marginal.privbayes import PrivBayes
from dpsynth.models.marginal.taxonomy_levels import TaxonomyLevels
from dpsynth.models.shared.domain_compression import DomainCompression, rare_compression
from dpsynth.privacy import RandomGenerators

DISTRIBUTION = DISTRIBUTIONS["mixed"]()
TABLE = DISTRIBUTION.sample(3000, seed=0)
CODEC = Codec(DISTRIBUTION.domain, 32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoded") / "rows.parquet"
    codes = CODEC.encode(TABLE.frame).codes
    write_encoded(path, CODEC, [codes[:1234], codes[1234:]], row_group=700)
    return EncodedFiles.open(path)


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_files_are_counted_as_memory_is(files, engine):
    cliques = [(0,), (1, 3), (4, 2), (0, 3, 5)]
    memory, disk = (
        EncodedRows(CODEC, rows, DomainCompression.none(CODEC.sizes), Engine(engine))
        for rows in (CODEC.encode(TABLE.frame).codes, files)
    )
    noisy = memory.counts([(j,) for j in range(len(CODEC.sizes))])
    compression = rare_compression(CODEC, memory.compression, noisy, 40.0, 1000)
    for one, other in ((memory, disk), (memory.merged(compression), disk.merged(compression))):
        for a, b in zip(one.counts(cliques), other.counts(cliques), strict=True):
            assert (a == b).all()
            assert a.sum() == len(TABLE)
    one, other = memory.merged(compression), disk.merged(compression)
    taxonomy_levels = TaxonomyLevels(CODEC, one.compression)
    positions = [(k, 0) for k in range(1, len(taxonomy_levels.maps))]
    sizes = tuple(taxonomy_levels.sizes.values())
    counted = [one.engine.count(taxonomy_levels.codes(rows), sizes, positions) for rows in (one, other)]
    assert all((counted[0][p] == counted[1][p]).all() for p in positions)


@pytest.mark.parametrize(
    "recipe",
    [Independent(), MST(), PrivBayes(), AIM(rounds=4, workload=2, round_iterations=10, iterations=20)],
    ids=["independent", "mst", "privbayes", "aim"],
)
@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_a_fit_from_files_knows_the_bins_of_the_files(files, recipe, neighbours):
    budget = dpsynth.Budget(2.0, 1e-5, neighbours)
    disk = recipe.fit(files, budget, RandomGenerators(3, "seeded"))
    assert disk.statement["finished"]
    assert disk.statement["proven"]["epsilon"] <= 2 + 1e-9
    memory = recipe.fit(TABLE, budget, RandomGenerators(3, "seeded"))
    assert disk.statement == memory.statement
    assert disk.compression.sizes != ()
    for column in CODEC.columns:
        if column.on_axis:
            assert set(disk.codec[column.name].cut_places) <= set(column.cut_places)
    drawn = disk.sample(3000, seed=1).frame
    for name in DISTRIBUTION.domain.names:
        column = DISTRIBUTION.domain[name]
        if isinstance(column, NumericColumn):
            real, found = (column.numbers(frame[name].dropna()) for frame in (TABLE.frame, drawn))
            assert stats.ks_2samp(real, found).statistic < 0.2


def test_files_that_do_not_fit_the_recipe_are_refused(files):
    budget = dpsynth.Budget(1.0, 1e-5)
    with pytest.raises(ConfigError, match="dask"):
        MST().replace(counting={"engine": "dask"}).fit(files, budget)
