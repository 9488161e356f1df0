"""The plugin shows synthcity synthetic rows alone. Tested against classes with the interface of synthcity 0.2.12."""

import sys
import types

import numpy as np
import pandas as pd
import pytest

from dpsynth.errors import ConfigError
from dpsynth.integrations.synthcity import REFERENCE_ROWS, plugin_class


class Loader:
    """As `synthcity.plugins.core.dataloader.GenericDataLoader`."""

    def __init__(self, data, target_column=None):
        self.data, self.target_column = data, target_column

    def dataframe(self):
        return self.data

    def decorate(self, data):
        return Loader(data, self.target_column)

    def is_tabular(self):
        return True

    def info(self):
        return {"len": len(self.data)}

    def __len__(self):
        return len(self.data)


class Plugin:
    """As `synthcity.plugins.core.plugin.Plugin`: what it sees of X is what it keeps."""

    def __init__(self, sampling_patience=500, strict=True, random_state=0, workspace=None):
        self.sampling_patience, self.strict, self.random_state = sampling_patience, strict, random_state
        self.fitted = False

    def fit(self, X, *args, **kwargs):
        self.data_info = X.info()
        self._schema = {name: set(X.dataframe()[name]) for name in X.dataframe()}
        self._fit(X, *args, **kwargs)
        self.fitted = True
        return self


class Estimator:
    """Learns nothing but that there are about 80 rows; draws whole numbers."""

    def __init__(self, epsilon=1.0, schema=None, seed=0):
        self.epsilon, self.schema, self.seed, self.seeds = epsilon, schema, seed, []

    def fit(self, frame):
        self.seen = len(frame)

    def sample(self, n=None, seed=None):
        self.seeds.append(seed)
        values = np.random.default_rng(seed).integers(0, 10, 80 if n is None else n)
        return types.SimpleNamespace(to_pandas=lambda: pd.DataFrame({"x": values}))


class AtLeast:
    """As `synthcity.plugins.core.constraints.Constraints`."""

    def __init__(self, low):
        self.low = low

    def match(self, frame):
        return frame[frame["x"] >= self.low]


@pytest.fixture
def made(monkeypatch):
    for name, content in (
        ("synthcity", {"__spec__": object()}),
        ("synthcity.plugins", {}),
        ("synthcity.plugins.core", {}),
        ("synthcity.plugins.core.plugin", {"Plugin": Plugin}),
        ("synthcity.plugins.core.dataloader", {"GenericDataLoader": Loader}),
    ):
        module = types.ModuleType(name)
        module.__path__ = []
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return plugin_class(Estimator)


PRIVATE = pd.DataFrame({"x": np.arange(100, 200)})


def test_nothing_of_the_private_rows_stays_with_the_plugin(made):
    model = made(epsilon=2.0, schema="people.yaml").fit(Loader(PRIVATE, "x"))
    assert (model.estimator.seen, model.estimator.epsilon, model.estimator.schema) == (100, 2.0, "people.yaml")
    assert model._schema["x"] <= set(range(10))
    assert model.data_info == {"len": REFERENCE_ROWS}
    kept = [value for value in vars(model).values() if isinstance(value, (Loader, pd.DataFrame))]
    assert kept
    assert all(value.dataframe()["x"].max() < 10 for value in kept)


def test_rows_are_generated_in_the_roles_of_the_loader(made):
    model = made(random_state=3).fit(Loader(PRIVATE, "x"))
    assert len(model.generate()) == 80  # as released
    found = model.generate(count=7)
    assert (len(found), found.target_column) == (7, "x")
    again = model.generate(count=7)
    other = model.generate(count=7, random_state=4)
    assert found.data.equals(again.data)
    assert not found.data.equals(other.data)
    assert len(made().fit(PRIVATE).generate(5)) == 5


def test_constraints_are_met_by_drawing_again(made):
    model = made().fit(PRIVATE)
    found = model.generate(count=200, constraints=AtLeast(8))
    assert len(found) == 200
    assert found.data["x"].min() == 8
    assert len(set(model.estimator.seeds[-5:])) == 5
    with pytest.raises(ConfigError, match="only 0 of 3 rows met them in 4 draws"):
        made(sampling_patience=4).fit(PRIVATE).generate(count=3, constraints=AtLeast(10))
    assert len(made(sampling_patience=4, strict=False).fit(PRIVATE).generate(3, AtLeast(10))) == 0


def test_what_would_keep_private_rows_is_refused(made):
    with pytest.raises(ConfigError, match="compress_dataset"):
        made(compress_dataset=True)
    with pytest.raises(ConfigError, match="cond"):
        made().fit(PRIVATE, cond=PRIVATE["x"])
    with pytest.raises(ConfigError, match="cond"):
        made().fit(PRIVATE).generate(3, cond=[1, 2, 3])
    with pytest.raises(ConfigError, match="not fitted"):
        made().generate(3)


def test_it_is_a_plugin(made):
    assert (made.name(), made.type(), made.hyperparameter_space()) == ("dpsynth", "privacy", [])
    assert issubclass(made, Plugin)


def test_synthcity_itself_takes_it():
    pytest.importorskip("synthcity", reason="synthcity is not installed, or does not go with this version of torch")
    from synthcity.plugins import Plugins

    import dpsynth

    generators = Plugins(categories=["privacy"])
    generators.add("dpsynth", plugin_class(dpsynth.TableSynthesizer))
    frame = pd.DataFrame({"x": np.arange(300) % 7, "y": np.arange(300) % 3})
    schema = {"columns": {"x": {"kind": "integer", "low": 0, "high": 6}, "y": {"kind": "integer", "low": 0, "high": 2}}}
    model = generators.get("dpsynth", epsilon=1.0, schema=schema, model="independent").fit(frame)
    assert len(model.generate(20)) == 20
