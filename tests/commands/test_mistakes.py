"""Every mistake a person can make: one line that names it, exit code 2, nothing half-written."""

import errno
import json
import os
from pathlib import Path

import pytest

from dpsynth.commands import train as train_command
from dpsynth.models.contract import fitted as artifact

SCHEMA = """\
columns:
  age: {kind: integer, bounds: [0, 100]}
  sex: {kind: category, categories: [Female, Male]}
"""
GOOD = "age,sex\n" + "30,Female\n40,Male\n" * 30


@pytest.fixture
def own(command):
    """own(csv text, schema text, *options): train on a table of one's own."""

    def run(text=GOOD, schema=SCHEMA, *options):
        if text is not None:
            Path("people.csv").write_text(text)
        if schema is not None:
            Path("people.yaml").write_text(schema)
        return command(
            "train", "data=csv", "data.path=people.csv", "data.schema=people.yaml", "trainer.progress=quiet",
            "data.holdout=0", *options,
        )  # fmt: skip

    return run


def test_a_good_table_goes_through(own):
    assert own().code == 0


def test_categories_that_are_all_too_rare_end_the_run(own):
    """Never a release with one value for all; nor the advice to go on, which would end the same way."""
    schema = "columns:\n  age: {kind: category, categories: private}\n  sex: {kind: category, categories: [F, M]}\n"
    text = "age,sex\n" + "".join(f"a{k},{'FM'[k % 2]}\n" for k in range(100))
    mistake = own(text, schema, "run=mine").mistake
    assert "column 'age' (a noisy count of" in mistake
    assert "no category is in enough rows to be named" in mistake
    assert "resume" not in mistake
    assert not Path("mine/release").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "people.csv"),
        ("", "people.csv"),
        ("age,sex\n", "no rows"),
        ("age\n30\n40\n", "sex"),
        ("age,sex,height\n30,Male,1\n", "height"),
        ("age;sex\n30;Male\n", "delimiter"),
        ("age,sex,age\n30,Male,30\n", "age"),
        ("age,sex\n,Male\n,Female\n", "age"),
    ],
    ids=[
        "missing",
        "empty",
        "header only",
        "one column",
        "extra column",
        "delimiter",
        "duplicate",
        "all missing",
    ],
)
def test_bad_files(own, text, message):
    assert message in own(text).mistake
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nan", "column 'age': 1 of 61 values are missing, first 'nan' (row 61); allow 'missing: true' in the schema"),
        ("", "column 'age': 1 of 61 values are missing, first an empty one (row 61)"),
        ("old", "column 'age': 1 of 61 values are no whole numbers, first 'old' (row 61); declare missing_values: "),
        (
            "3O",
            "column 'age': 1 of 61 values are no whole numbers, first '3O' (row 61); if '3O' and '30' are of one unit, "
            "declare symbols: ",
        ),
    ],
)
def test_values_that_cannot_be_read_are_refused_with_column_row_and_remedy(own, value, message):
    assert message in own(GOOD + f"{value},Male\n").mistake
    assert not Path("outputs").exists()
    assert "missing: true" in own(GOOD + f"{value},Male\n", SCHEMA, "data.unreadable=missing").mistake
    schema = SCHEMA.replace("[0, 100]", "[0, 100], missing: true")
    assert own(GOOD + f"{value},Male\n", schema, "data.unreadable=missing").code == 0


def test_two_columns_that_cannot_be_read_have_a_line_each(own):
    text = "age,sex\n" + '"1,000",Male\n,Female\n"2,000",\n'
    lines = own(text).err.strip().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(
        "error: column 'age': 2 of 3 values are no whole numbers, first '1,000' (row 1) and '2,000'"
    )
    assert lines[1].startswith("error: column 'age': 1 of 3 values are missing")
    assert lines[2].startswith("error: column 'sex': 1 of 3 values are missing, first an empty one (row 3)")


def test_what_was_changed_is_counted_in_private_and_on_the_terminal_when_asked(own):
    described = own(GOOD + "200,Male\n", SCHEMA, "run=a", "trainer.private_console=true").out
    line = "column 'age': 1 of 61 values (1.6%) lie outside its domain and were moved to the nearest bound"
    assert line in described
    report = json.loads(Path("a/private/intake.json").read_text())
    assert [column["outside"] for column in report["columns"]] == [1, 0]
    assert "61" not in own(GOOD + "200,Male\n", SCHEMA, "run=b").out
    assert not any("intake" in path.name for path in Path("b/release").iterdir())


@pytest.mark.parametrize("value", ["200", "inf", "-inf"])
def test_values_outside_the_domain_are_clamped_unless_errors_are_asked_for(own, value):
    text = GOOD + f"{value},Male\n"
    assert own(text).code == 0
    assert "age" in own(text, SCHEMA, "data.invalid=error", "run=strict").mistake
    assert not Path("strict").exists()


def test_an_unknown_category_is_an_error_that_names_it(own):
    assert "Other" in own(GOOD + "30,Other\n").mistake


def test_an_undeclared_policy(own):
    assert "must be clamp or missing or error" in own(GOOD, SCHEMA, "data.invalid=ignore").mistake


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (None, "dpsynth schema"),
        ("columns: [", "people.yaml"),
        ("columns:\n  age: {kind: integer}\n  sex: {kind: category}\n", "age"),
        (SCHEMA + "constrains: []\n", "constrains"),
        (SCHEMA.replace("[0, 100]", "[100, 0]"), "the low bound 100"),
    ],
    ids=["missing", "not yaml", "undeclared", "misspelt key", "reversed"],
)
def test_bad_schemas(own, schema, message):
    assert message in own(GOOD, schema).mistake
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("privacy.epsilon=0", "epsilon must be above 0"),
        ("privacy.epsilon=-1", "epsilon must be above 0"),
        ("privacy.epsilon=nan", "epsilon must be above 0"),
        ("privacy.epsilon=one", "privacy.epsilon=one: must be a number"),
        ("privacy.delta=0", "delta must lie strictly between 0 and 1"),
        ("privacy.delta=2", "delta must lie strictly between 0 and 1"),
        ("privacy.neighbours=both", "privacy.neighbours=both"),
        ("privacy.noise=loud", "privacy.noise"),
        ("privacy.count_fraction=2", "privacy.count_fraction=2"),
        ("privacy.epsilonn=1", "unknown option privacy.epsilonn"),
        ("+privacy.extra=1", "unknown option privacy.extra"),
        ("+extra=1", "unknown option extra"),
        ("+model.extra=1", "extra"),
        ("+data.extra=1", "extra"),
        ("+trainer.extra=1", "unknown option trainer.extra"),
        ("trainer.progress=loud", "trainer.progress=loud"),
        ("trainer.log_every=0", "trainer.log_every=0"),
        ("model=nothing", "model/nothing: no such choice"),
        ("data.n_train=0", "rows to keep"),
        ("data.path=[", "'[' names no CSV or Parquet file"),
        ("trainer.device=[", "cannot read the option"),
        ("seed=x", "seed=x: must be a whole number"),
        ("n=-5", "n=-5"),
        ("data.person=name", "name"),
        ("resume=true", "nothing to resume"),
    ],
)
def test_bad_options(own, option, message):
    assert message in own(GOOD, SCHEMA, option).mistake
    assert not list(Path().glob("outputs/*"))


def test_five_thousand_categories_run(own):
    names = [f"town-{number}" for number in range(5000)]
    schema = "columns:\n  age: {kind: integer, bounds: [0, 9]}\n"
    schema += f"  town: {{kind: category, categories: {names}}}\n"
    assert own("town,age\n" + "".join(f"{name},3\n" for name in names), schema).code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(own):
    Path("closed").mkdir(mode=0o500)
    assert "Permission denied" in own(GOOD, SCHEMA, "run=closed/run").mistake


def test_a_run_folder_below_a_file(own):
    Path("taken").write_text("a file")
    assert "taken" in own(GOOD, SCHEMA, "run=taken/run").mistake
    assert Path("taken").read_text() == "a file"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("when", ["claim", "save"])
def test_a_full_or_closed_disk(own, command, monkeypatch, code, when):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code), "outputs/example-csv")

    with monkeypatch.context() as patch:
        patch.setattr(*((train_command.RunFolder, "claim") if when == "claim" else (artifact, "write")), fail)
        mistake = own().mistake
    if when == "claim":
        assert mistake == f"outputs/example-csv: {os.strerror(code)}"
        assert not list(Path().glob("outputs/*"))
        return
    # The budget was spent before the disk was full, so nothing is thrown away.
    hint = "what was done is kept, go on with: train.py run=outputs/example-csv resume=true"
    assert mistake == f"outputs/example-csv: {os.strerror(code)}; {hint}"
    assert [path.name for path in Path("outputs/example-csv").iterdir()] == ["private"]
    assert command("train", "run=outputs/example-csv", "resume=true").code == 0


def test_out_of_memory(own, monkeypatch):
    monkeypatch.setattr(train_command, "rows_to_fit", lambda *_: (_ for _ in ()).throw(MemoryError("9 EiB")))
    assert own().mistake.startswith("out of memory (9 EiB)")


def test_errors_of_the_program_itself_keep_their_traceback(own, monkeypatch):
    monkeypatch.setattr(train_command, "rows_to_fit", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        own()
