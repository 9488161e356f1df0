import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

import dpsynth
from dpsynth.commands import train as train_command
from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.evaluation.inputs import inputs_of_run
from dpsynth.models.contract import fitted as artifact
from dpsynth.report.guarantee import promises
from dpsynth.report.wording import small
from dpsynth.runs.command_line import fixed, swept
from dpsynth.runs.options import EvaluateOptions

TOY = ("data=toy", "data.rows=300", "trainer.progress=quiet")


def test_a_run_leaves_a_release_and_a_private_folder(finished):
    assert sorted(path.name for path in (finished / "release").iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "croissant.json",
        "datapackage.json",
        "deployment.json",
        "model.json",
        "model.safetensors",
        "privacy.json",
        "schema.yaml",
        "sdv_metadata.json",
        "synthetic.csv",
    ]
    assert sorted(path.name for path in (finished / "private").iterdir()) == [
        "config.yaml",
        "data.txt",
        "intake.json",
        "rows.key",
    ]
    assert (finished / "private" / "rows.key").stat().st_mode & 0o777 == 0o600
    assert len(pd.read_csv(finished / "release" / "synthetic.csv")) == 300
    assert json.loads((finished / "release" / "privacy.json").read_text())["private"]
    kept = yaml.safe_load((finished / "private" / "config.yaml").read_text())
    assert kept["chosen"] == {"model": "example", "data": "toy"}
    assert kept["data"]["rows"] == 300


def test_the_ending_names_guarantee_places_and_time(command):
    out = command("train", *TOY).out
    assert "Guarantee: (1, 1e-05)-differential privacy for one row, neighbours by add_remove" in out
    assert "outputs/example-toy/release" in out
    assert "outputs/example-toy/private" in out
    assert "Took" in out


def test_hydra_leaves_nothing_behind(command, tmp_path):
    command("train", *TOY)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["outputs"]


def test_a_dry_run_prints_the_budget_and_opens_no_data(command, tmp_path, monkeypatch):
    monkeypatch.setattr(train_command, "rows_to_fit", lambda *_: pytest.fail("data were opened"))
    outcome = command("train", *TOY, "privacy.dry_run=true")
    assert outcome.code == 0
    assert "histograms" in outcome.out
    assert "noise_multiplier 3.73" in outcome.out
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("data", ["adult", "pums", "power", "toy", "digits"])
def test_a_dry_run_needs_no_file_of_any_source(command, data):
    form = ["data.form=table"] if data == "digits" else []  # the example model makes tables only
    assert command("train", f"data={data}", *form, "privacy.dry_run=true").code == 0


def test_images_are_refused_by_a_model_of_tables(command):
    assert "does not make images" in command("train", "data=mnist", "privacy.dry_run=true").mistake


def test_finished_runs_are_kept_and_the_new_place_is_named(command, finished):
    outcome = command("train", *TOY, "run=mine")
    assert outcome.out.index("mine is taken; this run goes to mine-2 instead") < outcome.out.index("Guarantee:")
    assert dpsynth.load("mine-2").domain == dpsynth.load(finished).domain


def test_overwrite_replaces_the_run(command, finished):
    assert command("train", *TOY, "run=mine", "overwrite=true", "n=7").code == 0
    assert len(pd.read_csv(finished / "release" / "synthetic.csv")) == 7
    assert not finished.with_name("mine-2").exists()


def test_a_taken_folder_is_said_before_the_data_are_opened(command, finished, monkeypatch, capfd):
    def opened(*_):
        assert "mine is taken; this run goes to mine-2" in capfd.readouterr().out
        raise ConfigError("enough")

    monkeypatch.setattr(train_command, "rows_to_fit", opened)
    assert command("train", *TOY, "run=mine").mistake == "enough"


def test_folders_of_a_sweep_are_named_by_what_varies(command, tmp_path):
    assert command("train", *TOY, "-m", "privacy.epsilon=1,3", "seed=7").code == 0
    assert command("train", *TOY, "-m", "privacy.epsilon=1,3", "seed=0", "run=mine").code == 0
    folders = {path.name for path in (tmp_path / "work" / "outputs").iterdir()}
    assert folders == {"example-toy-epsilon-1", "example-toy-epsilon-3"}
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"outputs", "mine-epsilon-1", "mine-epsilon-3"}


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["model=mst", "privacy.epsilon=0.3", "seed=1", "n=5"], "-epsilon-0.3-seed-1"),
        (["model.student.steps=3", "model.teacher.steps=4"], "-model_student_steps-3-model_teacher_steps-4"),
        (["columns=[a, b]"], "-columns-a-b"),
        (["+trainer.device=cpu"], "-device-cpu"),
    ],
)
def test_names_of_a_sweep(overrides, name):
    assert swept(overrides, ["n"]) == name
    assert fixed(["n=5", "seed=1,2", "-m", "privacy.epsilon=range(1,3)", "a="]) == ["n", "a"]


def test_a_sweep_is_a_run_for_each_combination_and_tells_every_mistake(command, tmp_path):
    outcome = command("train", *TOY, "-m", "privacy.epsilon=1,0,3,-1", "seed=0")
    assert outcome.code == 2
    assert outcome.err.count("error: epsilon must be above 0") == 2
    targets = [
        json.loads((folder / "release" / "privacy.json").read_text())["target"]["epsilon"]
        for folder in sorted((tmp_path / "work" / "outputs").iterdir())
    ]
    assert targets == [1, 3]


def test_infinite_epsilon_and_seeded_noise_are_branded(command):
    infinite = command("train", *TOY, "privacy.epsilon=inf").out
    assert "not private: epsilon is infinite" in infinite
    assert "safe to share" not in infinite
    assert "NOT PRIVATE" in infinite
    out = command("train", *TOY, "privacy.noise=seeded", "run=seeded").out
    assert "Guarantee: not private: seeded noise" in out
    assert not dpsynth.load("seeded").statement["private"]


def test_seeded_runs_repeat_and_secure_ones_do_not(command):
    for name, noise in (("a", "seeded"), ("b", "seeded"), ("c", "secure"), ("d", "secure")):
        assert command("train", *TOY, f"run={name}", f"privacy.noise={noise}").code == 0
    a, b, c, d = (pd.read_csv(f"{name}/release/synthetic.csv") for name in "abcd")
    assert a.equals(b)
    assert not c.equals(d)


def test_delta_that_is_too_large_for_the_table_is_warned_of(command):
    assert "Warning: delta 0.01 is not below 1 / 300 rows" in command("train", *TOY, "privacy.delta=0.01").out


def test_interrupted_says_how_to_go_on_and_resuming_gives_the_same_release(command, monkeypatch, tmp_path):
    write = artifact.write

    def interrupted(fitted, folder):
        write(fitted, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(artifact, "write", interrupted)
    outcome = command("train", *TOY, "run=mine", "seed=4")
    assert outcome.code == 130
    assert outcome.err.strip() == "stopped: interrupted; go on with: train.py run=mine resume=true"
    assert sorted(path.name for path in (tmp_path / "work" / "mine").iterdir()) == ["private"]

    kept = []
    monkeypatch.setattr(artifact, "write", lambda fitted, folder: (kept.append(fitted), write(fitted, folder)))
    monkeypatch.setattr(train_command.Checkpoint, "delete", lambda self: None)  # so that it can be resumed twice
    assert command("train", "run=mine", "resume=true").code == 0
    (tmp_path / "work" / "mine" / "release").rename(tmp_path / "first")
    assert command("train", "run=mine", "resume=true").code == 0
    assert kept[0].counts.equal(kept[1].counts)
    assert (tmp_path / "first" / "synthetic.csv").read_bytes() == (
        tmp_path / "work" / "mine" / "release" / "synthetic.csv"
    ).read_bytes()


def test_resuming_takes_the_old_options_and_refuses_others(command, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        command("train", *TOY, "run=mine", "seed=4")
    assert "started otherwise" in command("train", "run=mine", "resume=true", "seed=5").mistake
    assert "started otherwise" in command("train", "run=mine", "resume=true", "data=adult").mistake
    outcome = command("train", "run=mine", "resume=true", "seed=4", "trainer.log_every=7", "data=toy")
    assert outcome.code == 0, outcome.err


def test_the_checkpoint_is_gone_when_the_run_is_done(finished):
    assert not (finished / "private" / "checkpoint").exists()


def test_columns_can_be_left_out_of_run_and_evaluation(command):
    assert command("train", *TOY, "columns=[color,group]", "run=mine").code == 0
    assert dpsynth.load("mine").domain.names == ("color", "group")
    assert command("evaluate", "run=mine", "metrics=quick").code == 0
    assert "no column 'height'" in command("train", *TOY, "columns=[height]").mistake
    assert command("train", *TOY, "columns=color", "run=one").code == 0
    assert dpsynth.load("one").domain.names == ("color",)
    assert "must be a list of names" in command("train", *TOY, "columns={color: 1}").mistake


def test_under_replace_one_the_number_of_rows_is_public_and_exact(command):
    assert command("train", *TOY, "privacy.neighbours=replace_one", "run=mine").code == 0
    fitted = dpsynth.load("mine")
    assert fitted.statement["neighbours"] == "replace_one"
    assert fitted.rows == 300


SCHEMA = "columns:\n  age: {kind: integer, bounds: [0, 199]}\nrows: 200\n"


@pytest.fixture
def own(command, monkeypatch):
    """own(*options): train on a table of one's own; the outcome and the rows that were fitted to."""
    Path("s.yaml").write_text(SCHEMA)
    Path("a.csv").write_text("age,who\n" + "".join(f"{k},p{k // 2}\n" for k in range(200)))
    Path("b.csv").write_text("age\n" + "".join(f"{k}\n" for k in range(200)))
    opened, seen = train_command.rows_to_fit, []
    monkeypatch.setattr(train_command, "rows_to_fit", lambda *given: seen.append(opened(*given)) or seen[-1])

    def run(*options, file="b.csv"):
        seen.clear()
        base = ("data=csv", f"data.path={file}", "data.schema=s.yaml", "trainer.progress=quiet", "run=mine")
        outcome = command("train", *base, *options)
        return outcome, seen[-1] if seen else None

    return run


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_evaluate_and_resume_find_the_rows_of_the_run(own, command, monkeypatch, neighbours):
    options = (f"privacy.neighbours={neighbours}", "data.n_train=90")
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        _, first = own(*options)
    assert command("train", "run=mine", "resume=true").code == 0
    inputs = inputs_of_run(EvaluateOptions(run="mine"))
    assert inputs.train.frame.equals(first.frame)
    assert not set(inputs.train.frame["age"]) & set(inputs.holdout.frame["age"])
    assert "each row with probability" in inputs.statement["covers"] or neighbours == "replace_one"
    Path("mine/private/rows.key").unlink()
    with pytest.raises(ArtifactError, match=r"rows\.key: missing"):
        inputs_of_run(EvaluateOptions(run="mine"))


def test_other_runs_select_other_rows_unless_they_are_seeded(own):
    seen = [own("overwrite=true")[1].frame for _ in range(2)]
    assert not seen[0].equals(seen[1])
    seeded = [own("overwrite=true", "privacy.noise=seeded")[1].frame for _ in range(2)]
    assert seeded[0].equals(seeded[1])


def test_a_promise_to_persons_says_so_even_with_one_row_each(own):
    outcome, rows = own("data.person=who", "data.max_rows_per_person=1", file="a.csv")
    assert "differential privacy for one person (at most 1 row)" in outcome.out
    assert rows.rows_per_person == 1
    statement = json.loads(Path("mine/release/privacy.json").read_text())
    assert statement["covers"].startswith(
        "every person of the data; used in training: at most 1 row of each person, then"
    )
    refused, _ = own("data.person=who", "privacy.neighbours=replace_one", "privacy.dry_run=true", file="nowhere.csv")
    assert "data.person needs privacy.neighbours=add_remove" in refused.mistake


def test_persons_without_a_bound_are_refused_before_data_are_opened(own):
    refused, _ = own("data.person=who", file="nowhere.csv")
    assert "data.person=who needs a maximum: say data.max_rows_per_person=5" in refused.mistake


def test_figures_of_a_person_are_not_mixed_with_those_of_a_row(own):
    own("data.person=who", "data.max_rows_per_person=3", file="a.csv")
    proven = json.loads(Path("mine/release/privacy.json").read_text())["proven"]
    assert "bounds" not in proven
    row = proven["one row"]
    assert row["epsilon"] == pytest.approx(proven["epsilon"] / 3)
    assert row["delta"] < proven["delta"]
    assert min(row["bounds"].values()) == row["epsilon"]
    words = dict(promises({"proven": proven}))["Proven by"]
    assert "for one row" in words
    assert f"which gives {small(proven['epsilon'])} for all rows of a person" in words


TWO = "columns:\n  age: {kind: integer, bounds: [0, 199]}\n  kind: {kind: category, categories: [a, b]}\nrows: 200\n"


@pytest.fixture
def two(own):
    """own, on a table of two columns."""
    Path("c.csv").write_text("age,kind\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(200)))
    Path("s.yaml").write_text(TWO)
    return lambda *options: own(*options, file="c.csv")


@pytest.mark.parametrize("way", ["option", "schema", "headerless"])
def test_columns_can_be_left_out(two, way):
    Path("s.yaml").write_text(TWO if way == "option" else TWO.replace("age: {", "age: {ignore: true, "))
    if way == "headerless":
        Path("c.csv").write_text(Path("c.csv").read_text().partition("\n")[2])
    given = {"option": "columns=-[age]", "schema": "seed=0", "headerless": "data.header=false"}
    outcome, rows = two(given[way])
    assert outcome.code == 0, outcome.err
    assert rows.frame.columns.tolist() == ["kind"]
    assert pd.read_csv("mine/release/synthetic.csv").columns.tolist() == ["kind"]
    assert inputs_of_run(EvaluateOptions(run="mine")).train.frame.columns.tolist() == ["kind"]


@pytest.mark.parametrize(
    ("columns", "message"), [("-[agee]", "no column 'agee' in the schema"), ("-[age, kind]", "leaves no column")]
)
def test_columns_that_cannot_be_left_out(two, columns, message):
    assert message in two(f"columns={columns}", "privacy.dry_run=true")[0].mistake


def test_a_limit_without_a_public_number_of_rows_is_refused_before_data_are_opened(own):
    Path("s.yaml").write_text(SCHEMA.replace("rows: 200\n", ""))
    assert "declare 'rows: NUMBER' in the schema" in own("data.n_train=50", "privacy.dry_run=true")[0].mistake
    assert own("data.n_train=50", "privacy.dry_run=true", "privacy.neighbours=replace_one")[0].code == 0


def test_synthetic_rows_are_written_as_parquet_when_asked(command):
    assert command("train", *TOY, "run=mine", "out_format=parquet").code == 0
    assert not Path("mine/release/synthetic.csv").exists()
    schema = pq.read_schema("mine/release/synthetic.parquet")
    assert str(schema.field("joined").type) == "date32[day]"
    assert str(schema.field("age").type) == "int64"
    assert str(schema.field("member").type) == "bool"
    inputs = inputs_of_run(EvaluateOptions(run="mine"))
    assert len(inputs.raw[0]) == 300
    assert "out_format=xml: choose csv or parquet" in command("train", *TOY, "out_format=xml").mistake


def test_numbers_that_the_bounds_cannot_tell_apart_are_named(command, tmp_path):
    """600 values below 1e-310 with bounds from 0 to 1 would come back as zeros, without a word."""
    (tmp_path / "tiny.csv").write_text("tiny,g\n" + "".join(f"{n + 1}e-313,{'ab'[n % 2]}\n" for n in range(600)))
    (tmp_path / "tiny.yaml").write_text(
        "columns:\n  tiny: {kind: number, bounds: [0, 1]}\n  g: {kind: category, categories: [a, b]}\nrows: 600\n"
    )
    data = ["data=csv", f"data.path={tmp_path / 'tiny.csv'}", f"data.schema={tmp_path / 'tiny.yaml'}"]
    outcome = command("train", "model=independent", *data, "privacy.epsilon=100", "run=r")
    assert outcome.code == 0, outcome.err
    assert "column 'tiny' is 0.0 in all of 1,000 rows drawn" in " ".join(outcome.out.split())
    assert "column 'g'" not in outcome.out
