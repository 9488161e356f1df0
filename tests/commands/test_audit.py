"""dpsynth audit: what it prints and writes, that it opens nobody's data, and that programs which cheat are caught."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from dpsynth.commands import audited_mechanisms as mechanisms
from dpsynth.commands.audited_methods import Auditor, recipe_for
from dpsynth.commands.config_files import config_folder
from dpsynth.commands.neighbour_files import FileFit, NeighbourFiles
from dpsynth.data.selection import Selection
from dpsynth.data.sources.toy import Chain
from dpsynth.data.table.domain import Domain
from dpsynth.evaluation.evaluation import following
from dpsynth.models.marginal.independent import Independent
from dpsynth.models.merf.recipe import MERF
from dpsynth.privacy import Budget
from dpsynth.privacy.audit import Claim, WhiteBox, Workers
from dpsynth.privacy.noise import integer_noise
from dpsynth.runs.options import AuditOptions, typed
from dpsynth.runs.run_folder import free_name

NUMPY = "model.counting.engine=numpy"  # compiles nothing
TINY_MERF = MERF(bins=4).replace(
    embedding={"frequencies": 20}, generator={"hidden": 4}, training={"steps": 1, "batch_size": 4}
)
QUICK = ("processes=1", "progress=quiet", "seed=1", "runs=80")
CSV = {
    "name": "csv", "path": None, "schema": None, "holdout": 0.2, "n_train": None, "person": None,
    "max_rows_per_person": None, "delimiter": ",", "invalid": "clamp",
}  # fmt: skip
SELECTION = Selection(bytes(32))
FOLDER = {"name": "image_folder", "root": None, "image_size": None, "label": "folder", "holdout": 0.2, "n_train": None}


def options_of(*overrides: str) -> AuditOptions:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return typed(AuditOptions, compose("audit", [*QUICK, *overrides]))


@pytest.fixture
def auditor():
    def make(*overrides: str) -> Auditor:
        return Auditor(options_of(*overrides), Workers(None, 1), lambda title: following(title, "quiet"))

    return make


# The command.


def test_it_prints_the_claim_and_the_bound_and_writes_them(command):
    outcome = command("audit", "model=independent", NUMPY, "data=toy", *QUICK)
    assert outcome.code == 0, outcome.err
    assert "claims epsilon 1" in outcome.out
    assert outcome.out.count("not refuted") == 2
    findings = json.loads(Path("outputs/audit-independent-toy.json").read_text())["findings"]
    assert [finding["sees"] for finding in findings] == ["every release", "model and samples"]
    for finding in findings:
        assert finding["claimed_epsilon"] == pytest.approx(1, abs=1e-4)
        assert finding["claimed_mu"] == pytest.approx(0.268, abs=1e-3)
        assert (finding["runs"] >= 48, finding["confidence"], finding["refuted"]) == (True, 0.95, False)
    assert free_name(Path("outputs/audit-independent-toy.json")) == Path("outputs/audit-independent-toy-2.json")


def test_a_refuted_claim_ends_with_exit_code_1(command, monkeypatch):
    monkeypatch.setattr(integer_noise, "sample_rounded_gaussian", lambda stream, sigma, n: np.zeros(n, dtype=np.int64))
    outcome = command("audit", "model=independent", NUMPY, "data=toy", "attacks=[white_box]", "out=found.json", *QUICK)
    assert outcome.code == 1
    assert "REFUTED" in outcome.out
    assert json.loads(Path("found.json").read_text())["findings"][0]["refuted"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data=csv", "data.path=people.csv"], "opens nobody's"),
        (["data=csv", "data.holdout=other.csv"], "holds back a fraction"),
        (["attacks=[guess]"], "choose from white_box, release_only"),
        (["confidence=1.5"], "confidence"),
        (["runs=0"], "runs"),
        (["runs=60"], "runs=60: must be at least 80"),
        (["rows=0"], "rows"),
        (["model=mst", "data=digits"], "does not make images"),
        (["model=nonsense"], "no such choice"),
    ],
)
def test_mistakes(command, words, said):
    assert said in command("audit", *QUICK, *words).mistake


def test_settings_are_lowered_unless_the_user_says_otherwise():
    options = options_of("model=maf", "model.hidden=7")
    assert recipe_for(options.model, "maf", "table", options).hidden == 16
    assert recipe_for(options.model, "maf", "table", options, frozenset({"hidden"})).hidden == 7
    assert recipe_for(options.model, "maf", "table", replace(options, small=False)).hidden == 7
    assert recipe_for(options.model, "maf", "image", options).images.network.width == 8


@pytest.mark.parametrize("modality", ["table", "image"])
def test_the_lowered_settings_are_settings_of_their_models(modality):
    import hydra
    from omegaconf import OmegaConf

    settings = options_of().settings
    assert set(settings) == {"table", "image"}
    for name in settings[modality]:
        model = OmegaConf.to_container(OmegaConf.load(config_folder() / "model" / f"{name}.yaml"))
        recipe = recipe_for(model, name, modality, options_of())
        assert modality in recipe.modalities
        assert hydra.utils.get_class(model["_target_"]) is type(recipe)


def test_all_is_said_in_three_ways(monkeypatch):
    from dpsynth.commands import audit

    seen = []
    monkeypatch.setattr(audit, "launch", lambda name, train_command: seen.append(list(sys.argv)))
    for word in ("--all", "model=all", "all=true"):
        monkeypatch.setattr(sys, "argv", ["dpsynth audit", word])
        audit.main()
    assert seen == [["dpsynth audit", "all=true"]] * 3


# Methods in memory.


def test_a_method_comes_near_its_claim_and_not_beyond(auditor):
    [finding] = auditor("privacy.epsilon=8", "runs=600", "attacks=[white_box]").in_memory(
        "independent", Independent().replace(counting={"engine": "numpy"}), Chain().domain, "toy"
    )
    assert 0.6 * 8 < finding.audited_epsilon <= 8
    assert finding.detail["view"] == "fixed"


def test_half_the_noise_is_caught(auditor, monkeypatch):
    honest = integer_noise.sample_rounded_gaussian
    monkeypatch.setattr(integer_noise, "sample_rounded_gaussian", lambda stream, sigma, n: honest(stream, sigma / 2, n))
    [finding] = auditor("privacy.epsilon=8", "runs=200", "attacks=[white_box]").in_memory(
        "independent", Independent().replace(counting={"engine": "numpy"}), Chain().domain, "toy"
    )
    assert finding.refuted


def test_a_record_that_is_not_clipped_is_caught(auditor, monkeypatch):
    from dpsynth.privacy.mechanisms.mean_embedding import MeanEmbedding

    exact = MeanEmbedding.exact
    monkeypatch.setattr(MeanEmbedding, "exact", lambda *given: 3 * exact(*given))
    [finding] = auditor("privacy.epsilon=8", "runs=100", "attacks=[white_box]").in_memory(
        "merf", TINY_MERF, Chain().domain, "toy"
    )
    assert finding.refuted


def test_the_relation_of_the_budget_is_audited(auditor):
    words = ("privacy.neighbours=replace_one", "privacy.epsilon=8", "runs=400", "attacks=[white_box]")
    [finding] = auditor(*words).in_memory(
        "independent", Independent().replace(counting={"engine": "numpy"}), Chain().domain, "toy"
    )
    assert 0.5 * 8 < finding.audited_epsilon <= 8


def test_a_claim_of_sampled_batches_is_no_gaussian_claim():
    from dpsynth.models.dpvi.recipe import DPVI

    domain = replace(Chain().domain, rows=100)
    recipe = DPVI(components=2, bins=4).replace(inference={"steps": 4, "batch_size": 10})
    claim = Claim.of(recipe.plan(domain, Budget(1.0, 1e-5)))
    assert claim.secret_batches
    assert claim.mu is None
    whole = Claim.of(recipe.replace(inference={"batch_size": 100}).plan(domain, Budget(1.0, 1e-5)))
    assert not whole.secret_batches
    assert whole.mu == pytest.approx(0.268, abs=2e-3)


# From files.


@dataclass(frozen=True)
class SplitByPosition:
    """Reads a file and holds rows back by a public seed and their position: what must not be done."""

    recipe: Independent
    plan: object
    domain: Domain

    def __call__(self, data, randomness):
        whole = FileFit(self.recipe, self.plan, self.domain, None)
        rows = whole.rows({**data, "holdout": 0}, SELECTION)
        kept = np.random.default_rng(0).random(len(rows)) >= 0.2
        return self.recipe.fit(rows.take(np.flatnonzero(kept)), self.plan, randomness)


def written(tmp_path, data, rows=100, neighbours="add_remove", most=1):
    return NeighbourFiles.written(data, rows, Budget(1.0, 1e-5, neighbours, most), tmp_path)


def test_a_split_by_public_position_is_caught(tmp_path, auditor):
    files = written(tmp_path, CSV, 400)
    plan = Independent().replace(counting={"engine": "numpy"}).plan(files.domain, Budget(1.0, 1e-5))
    attack = WhiteBox.prepared(
        SplitByPosition(Independent().replace(counting={"engine": "numpy"}), plan, files.domain), files.options, seed=0
    )
    assert auditor("runs=80").attacked("independent", "csv", attack, Claim.of(plan)).refuted


@pytest.mark.parametrize(
    ("neighbours", "person"),
    [("add_remove", None), ("add_remove", "person"), ("add_remove", "kind"), ("replace_one", None)],
)
def test_the_files_of_a_table_differ_in_the_first_row_or_person(tmp_path, neighbours, person):
    import pandas as pd

    files = written(tmp_path, {**CSV, "person": person, "max_rows_per_person": person and 4}, 20, neighbours)
    without, with_record = (pd.read_csv(options["path"]) for options in files.options)
    first = 4 if person else 1
    more = first if neighbours == "add_remove" else 0
    assert len(with_record) == len(without) + more == 20 + first
    others = with_record.iloc[first:], without.iloc[first - more :]
    pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in others))
    assert (with_record["kind"].iloc[:first] == "e").all()
    assert not (without["kind"] == "e").any()


@pytest.mark.parametrize("label", ["folder", "prefix", "none"])
def test_the_folders_of_images_differ_in_the_first_file(tmp_path, label):
    files = written(tmp_path, {**FOLDER, "label": label, "holdout": 0}, 10)
    program = FileFit(MERF(), None, files.domain, None)
    without, with_record = (program.rows(options, SELECTION) for options in files.options)
    assert len(with_record) == len(without) + 1 == 11
    assert np.array_equal(with_record.pixels[1:], without.pixels)
    assert np.array_equal(with_record.pixels[0], files.record.pixels[0])


def test_own_schemas_have_rows_of_their_own(tmp_path):
    schema = tmp_path / "schema.yaml"
    schema.write_text(
        "columns:\n  age: {kind: integer, bounds: [0, 100]}\n  gain: {kind: number, bounds: private}\n"
        "  born: {kind: date, bounds: [1990-01-01, 2000-01-01]}\n  code: {kind: category, categories: private}\n"
    )
    files = written(tmp_path, {**CSV, "schema": str(schema), "holdout": 0}, 30)
    rows = FileFit(Independent().replace(counting={"engine": "numpy"}), None, files.domain, None).rows(
        files.options[1], SELECTION
    )
    assert len(rows) == 31
    assert not rows.invalid
    assert rows.frame.iloc[0]["age"] == 100


@pytest.mark.parametrize("data", [CSV, {**CSV, "person": "person", "max_rows_per_person": 2}, FOLDER])
def test_the_way_from_a_file_is_not_refuted(tmp_path, auditor, data):
    recipe = TINY_MERF.replace(bins=32) if data is FOLDER else Independent().replace(counting={"engine": "numpy"})
    [finding] = auditor("runs=80", "rows=40", "attacks=[white_box]").from_files("method", recipe, data, tmp_path)
    assert finding.audited_epsilon < 1


# The mechanisms.


def test_the_mechanisms_come_near_their_claims(auditor, monkeypatch):
    for name in ("CHEAP_RUNS", "SAMPLED_RUNS"):
        monkeypatch.setattr(mechanisms, name, 600)
    evaluator, budget = auditor("privacy.epsilon=14"), Budget(14.0, 1e-5)
    for finding in (mechanisms.gaussian_release(evaluator, budget), mechanisms.sgd_step(evaluator, budget, 0.5)):
        assert 0.25 * 14 < finding.audited_epsilon <= 14, finding


def test_canaries_of_one_run_prove_something(auditor, monkeypatch):
    fewer = {"RECORDS": 40, "RECORD_GUESSES": 20, "TEACHERS": 200, "GRADIENTS": 1000, "GRADIENT_GUESSES": 200}
    for name, value in fewer.items():
        monkeypatch.setattr(mechanisms, name, value)
    evaluator, budget = auditor("privacy.epsilon=20"), Budget(20.0, 1e-5)
    gradients = mechanisms.sgd_canaries(evaluator, budget)
    assert 2 < gradients.audited_epsilon <= 20
    records = mechanisms.datalens_canaries(evaluator, budget)
    assert 0.3 < records.audited_epsilon <= 20
    assert records.runs == 1
