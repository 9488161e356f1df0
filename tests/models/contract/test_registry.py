"""Only known classes are built, whoever wrote the configuration; names are checked before anything is imported."""

import sys

import pytest

import dpsynth
from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.models.contract import registry
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.models.maf.recipe import MAF
from dpsynth.models.pixels.recipe import PixelMAF

RECIPE = """
from dataclasses import dataclass
from subprocess import Popen
from dpsynth.models.marginal.independent import Independent

@dataclass(frozen=True)
class Mine(Independent):
    part: object = None

class Part:
    def __init__(self, size):
        self.size = size

def harm():
    raise AssertionError("a function ran")
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """installed(package, entry point value): a distribution as pip would leave it; `package` is always importable."""

    def install(package="outside", value=None):
        site = tmp_path / "site"
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text("")
        (site / package / "method.py").write_text(RECIPE)
        if value is not None:
            info = site / f"{package}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[dpsynth.models]\nany_name = {value}\n")
        monkeypatch.syspath_prepend(str(site))

    yield install
    for name in [name for name in sys.modules if name.partition(".")[0] in ("outside", "other")]:
        del sys.modules[name]


def test_nested_recipes_are_built_and_lists_and_mappings_kept():
    recipe = registry.build(
        {"_target_": "dpsynth.models.maf.MAF", "hidden": 3, "images": {"_target_": "dpsynth.models.pixels.PixelMAF"}},
        Synthesizer,
        "model",
    )
    assert recipe == MAF(hidden=3, images=PixelMAF())
    phases = [{"iterations": 1}]
    pe = registry.build({"_target_": "dpsynth.models.PE", "evolution": {"phases": phases}}, Synthesizer, "model")
    assert pe.evolution.phases == phases


@pytest.mark.parametrize("value", ["outside", "outside.method:Mine", "outside.method"])
def test_a_registered_package_is_known_by_whatever_its_entry_point_names(installed, value):
    assert "outside" not in registry.registered()
    installed(value=value)
    assert registry.registered() == ("outside",)
    assert "outside" not in sys.modules, "looking at names imports nothing"
    config = {"_target_": "outside.method.Mine", "part": {"_target_": "outside.method.Part", "size": 2}}
    recipe = registry.build(config, Synthesizer, "model")
    assert recipe.part.size == 2


def test_a_package_without_an_entry_point_is_refused_before_it_is_imported(installed):
    installed()
    installed("other", "other")
    with pytest.raises(ConfigError, match=r"outside\.method\.Mine.*dpsynth\.models \(other\)"):
        registry.build({"_target_": "outside.method.Mine"}, Synthesizer, "model")
    nested = {"_target_": "dpsynth.models.maf.MAF", "order": [{"a": [{"_target_": "outside.method.Part"}]}]}
    with pytest.raises(ConfigError, match=r"outside\.method\.Part"):
        registry.build(nested, Synthesizer, "model")
    assert "outside" not in sys.modules


@pytest.mark.parametrize(
    "target",
    [
        "os.system", "builtins.eval", "joblib.load", "shutil.copyfile", "distutils.spawn.spawn", "dpsynth",
        "dpsynth.models", "dpsynth_evil.Model", "dpsynth.modelsx.A", "dpsynth.commands.train.main",
        "dpsynth.models.contract.fitted.os.system",
        "dpsynth.models.contract.fitted.shutil.rmtree", "dpsynth.models.contract.fitted.save",
        "dpsynth.models.contract.fitted.Path",
        "dpsynth.models.maf.recipe.Synthesizer", "dpsynth.models.marginal.fitted_graph.FittedGraph",
        "outside.method.harm",
        "outside.method.Popen", "outside.nothing.Mine", "outside.method.Nothing", "outside", "", ".", "outside..Mine",
        "outside.method.Mine ", "dpsynth.models.maf.MAF;import os", None, 7, ["dpsynth.models.maf.MAF"], {},
    ],
)  # fmt: skip
@pytest.mark.parametrize("nested", [False, True])
def test_what_is_not_a_recipe_of_a_known_package_is_refused(installed, target, nested):
    installed(value="outside")
    config = {"_target_": target}
    if nested:
        config = {"_target_": "outside.method.Mine", "part": config}
        if target == "dpsynth.models.marginal.fitted_graph.FittedGraph":
            pytest.skip("a part may be of any kind")
    with pytest.raises(ConfigError, match=r"^model"):
        registry.build(config, Synthesizer, "model")


@pytest.mark.parametrize("key", ["extra", "_args_", "_partial_", "_recursive_", "self"])
def test_only_fields_may_be_given(key):
    with pytest.raises(ConfigError, match=f"'{key}'"):
        registry.build({"_target_": "dpsynth.models.marginal.MST", key: 1}, Synthesizer, "model")


def test_values_of_the_wrong_type_are_one_line():
    with pytest.raises(ConfigError):
        registry.build({"_target_": "dpsynth.models.marginal.MST", "cells": "many"}, Synthesizer, "model")


def test_nesting_has_an_end():
    config = {}
    for _ in range(10_000):
        config = {"a": config}
    with pytest.raises(ConfigError, match="levels deep"):
        registry.build({"_target_": "dpsynth.models.marginal.MST", "cells": config}, Synthesizer, "model")


def test_what_an_outside_method_fitted_can_be_loaded_while_its_package_is_registered(installed, people, tmp_path):
    installed(value="outside")
    recipe = registry.build({"_target_": "outside.method.Mine"}, Synthesizer, "model")
    recipe.fit(people, dpsynth.Budget(1.0, 1e-5)).save(tmp_path / "release")
    assert len(dpsynth.load(tmp_path / "release").sample(5)) == 5


def test_a_fitted_class_of_an_outside_package_is_loaded_or_refused_by_name(installed, people, tmp_path, monkeypatch):
    """The file of a fitted model of somebody else's class."""
    installed(value="outside")
    fitted = dpsynth.models.Independent().fit(people, dpsynth.Budget(1.0, 1e-5))
    source = tmp_path / "site" / "outside" / "fitted.py"
    source.write_text(
        f"from {type(fitted).__module__} import {type(fitted).__name__}\nclass Other({type(fitted).__name__}): ...\n"
    )
    from outside.fitted import Other  # pyright: ignore[reportMissingImports]

    fitted.__class__ = Other
    fitted.save(tmp_path / "release")
    assert type(dpsynth.load(tmp_path / "release")).__name__ == "Other"
    monkeypatch.setattr(registry, "entry_points", lambda group: ())
    with pytest.raises(ArtifactError, match=r"outside\.fitted\.Other"):
        dpsynth.load(tmp_path / "release")
