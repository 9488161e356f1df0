"""Every config composes, every key is a field of what it configures, and every field is read somewhere."""

import ast
import inspect
import json
from dataclasses import asdict, fields
from pathlib import Path

import hydra
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from dpsynth.commands.config_files import config_folder
from dpsynth.data.sources import SOURCES
from dpsynth.evaluation.suite import Settings
from dpsynth.models.contract.option_groups import groups_of
from dpsynth.models.contract.registry import build
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.models.datalens.options import PublishedVariant
from dpsynth.runs.data_options import declared_domain
from dpsynth.runs.options import AuditOptions, EvaluateOptions, GenerateOptions, PrivacyOptions, TrainOptions, typed
from dpsynth.training import TrainerSettings

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def composed(script: str, *overrides: str):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(script, list(overrides))


def keys(path: str) -> set[str]:
    content = OmegaConf.load(CONFIGS / path)
    return {str(key) for key in content} - {"defaults", "hydra"}


def read_names() -> set[str]:
    """Every attribute read, and every name loaded, anywhere in the package."""
    found = set()
    for path in (ROOT / "dpsynth").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
    return found


READ = read_names()


def test_the_configs_of_the_checkout_are_used():
    assert config_folder() == CONFIGS


@pytest.mark.parametrize("model", names("model"))
@pytest.mark.parametrize("data", names("data"))
def test_every_model_composes_with_every_data_set(model, data):
    options = typed(TrainOptions, composed("train", f"model={model}", f"data={data}"))
    assert isinstance(options.recipe(), Synthesizer)
    assert options.data["name"] == data


OWN = ("csv", "parquet", "encoded", "database", "image_folder", "places365")  # the domain is the user's to declare


@pytest.mark.parametrize("data", [name for name in names("data") if name not in OWN])
def test_every_public_data_set_declares_its_domain_without_data(data):
    domain = declared_domain(OmegaConf.to_container(composed("train", f"data={data}").data))
    assert not domain.undeclared
    assert domain.rows


@pytest.mark.parametrize("group", ["privacy", "trainer"])
def test_every_choice_of_a_group_composes(group):
    for name in names(group):
        typed(TrainOptions, composed("train", f"{group}={name}"))


@pytest.mark.parametrize("reproduction", names("reproduction"))
def test_every_reproduction_composes(reproduction):
    options = typed(TrainOptions, composed("train", f"reproduction={reproduction}"))
    options.recipe()


@pytest.mark.parametrize("metrics", names("metrics"))
def test_every_choice_of_metrics_composes(metrics):
    options = typed(EvaluateOptions, composed("evaluate", f"metrics={metrics}"))
    Settings.from_dict(options.metrics)


RECORDS = [
    ("train.yaml", TrainOptions, {"model", "data", "privacy", "trainer"}),
    ("generate.yaml", GenerateOptions, set()),
    ("evaluate.yaml", EvaluateOptions, {"metrics"}),
    ("audit.yaml", AuditOptions, {"model", "data", "privacy"}),
    *((f"privacy/{name}.yaml", PrivacyOptions, set()) for name in names("privacy")),
    *((f"trainer/{name}.yaml", TrainerSettings, set()) for name in names("trainer")),
    *((f"metrics/{name}.yaml", Settings, set()) for name in names("metrics")),
]


@pytest.mark.parametrize(("path", "kind", "groups"), RECORDS, ids=[record[0] for record in RECORDS])
def test_the_keys_of_a_file_are_the_fields_of_its_record_and_all_are_read(path, kind, groups):
    known = {field.name for field in fields(kind)}
    assert keys(path) | groups == known
    assert known <= READ, f"never read: {sorted(known - READ)}"


@pytest.mark.parametrize("model", names("model"))
def test_the_keys_of_a_model_are_fields_of_its_recipe_and_all_are_read(model):
    content = OmegaConf.to_container(OmegaConf.load(CONFIGS / "model" / f"{model}.yaml"))
    _same_keys(hydra.utils.get_class(content["_target_"]), content)


def _same_keys(kind: type, content: dict) -> None:
    """Also of groups of options within the recipe. A group that is null is left to those who ask for it."""
    known = {field.name for field in fields(kind)}
    assert set(content) - {"_target_"} == known, "show every field in the config, with its default"
    assert known <= READ, f"never read: {sorted(known - READ)}"
    for name, group in groups_of(kind).items():
        if content[name] is not None:
            _same_keys(group, content[name])


MOST_OPTIONS = 12  # and groups


@pytest.mark.parametrize("model", names("model"))
def test_a_model_shows_at_most_twelve_options_and_groups(model):
    assert len(set(OmegaConf.load(CONFIGS / "model" / f"{model}.yaml")) - {"_target_"}) <= MOST_OPTIONS


def test_the_published_variant_of_datalens_shows_every_choice():
    published = composed("train", "reproduction=datalens").model.published
    assert set(published) == {field.name for field in fields(PublishedVariant)}


@pytest.mark.parametrize("model", names("model"))
def test_the_values_of_a_model_are_the_defaults_of_its_recipe(model):
    content = OmegaConf.to_container(OmegaConf.load(CONFIGS / "model" / f"{model}.yaml"))
    configured = build(content, Synthesizer, "model")
    assert json.dumps(asdict(configured)) == json.dumps(asdict(hydra.utils.get_class(content["_target_"])()))


def test_the_keys_of_encoded_data_are_all_it_has():
    assert keys("data/encoded.yaml") == {"name", "path"}


@pytest.mark.parametrize("data", [name for name in names("data") if name != "encoded"])
def test_the_keys_of_a_data_set_are_the_parameters_of_its_source_and_all_are_read(data):
    source = SOURCES[data]
    known = set(inspect.signature(source).parameters) - {"selection"}
    assert keys(f"data/{data}.yaml") - {"name"} == known
    body = ast.walk(ast.parse(inspect.getsource(source)))
    assert known <= {node.id for node in body if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def test_every_line_of_the_front_pages_says_what_it_is_for():
    for path in (
        "train.yaml",
        "generate.yaml",
        "evaluate.yaml",
        "audit.yaml",
        "privacy/default.yaml",
        "trainer/default.yaml",
    ):
        for line in (CONFIGS / path).read_text().split("hydra:\n")[0].splitlines():
            if line and not line.startswith((" ", "#", "defaults", "-")):
                assert "#" in line, f"{path}: {line}"
