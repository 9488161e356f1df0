"""The page of `dpsynth ui`: five steps from a file to a release, one function each.

Streamlit runs this file from top to bottom whenever somebody clicks. What one browser session chose is in
`st.session_state`; what was made lies in the project's folder (workspace.py), so that a page that is closed loses
nothing. Texts from the data reach the page only where they are shown as they are, never as Markdown.
"""

from __future__ import annotations

import hmac
import io
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import pandas as pd
import streamlit as st

from dpsynth.data.table.domain import Domain
from dpsynth.data.table.draft import draft
from dpsynth.data.table.table import Table
from dpsynth.data.table.tabular_files import write_text
from dpsynth.errors import ConfigError, DpsynthError
from dpsynth.models.auto.prediction import predicted
from dpsynth.models.auto.rule import Signal, chosen, warnings
from dpsynth.models.contract.fitted import load
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.contract.registry import shipped
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.accounting.attacks import gaussian_advantage, gaussian_mu, posterior
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.release.folder import describe, facts_of
from dpsynth.runs.command_line import mapping
from dpsynth.runs.run_folder import RunFolder
from dpsynth.synthesis import recipe_of
from dpsynth.ui.background_command import commands, mistakes, printed
from dpsynth.ui.schema_grid import KINDS, GridRow, estimated_privately, grid_of, text_of, unchecked
from dpsynth.ui.server import FOLDER, TOKEN
from dpsynth.ui.workspace import Project, Source, Workspace, busy

EPSILONS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)
SHOWN_ROWS = 10
POLL = 2.0  # seconds between two looks at a command that runs
MOST_DRAWN = 1_000_000  # rows that are drawn into the browser; more by `dpsynth generate`
FACTS = {
    "title": "Title",
    "description": "What the table is about",
    "steward": "Steward: who answers for it",
    "contact": "Contact: where questions go",
    "license": "License, for example CC-BY-4.0",
    "intended_use": "What it is meant for, and what not",
}
LARGEST_ZIP = 2**30  # bytes; a larger release is taken from its folder
METRICS = ("quick", "full")  # the main scores in about a minute, or all of them
Kept = TypeVar("Kept")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&])")


def main() -> None:
    st.set_page_config(page_title="dpsynth", layout="wide")
    _require_token()
    st.sidebar.title("dpsynth")
    with _said():
        project = _project(Workspace(Path(os.environ[FOLDER])))
        if project is None:
            st.title("From a table to a private synthetic one")
            st.write("Name a project on the left. Everything stays on this computer, in the folder of the project.")
            return
        steps: dict[str, Callable[[Project], None]] = {
            "1 Data": data_step,
            "2 Schema": schema_step,
            "3 Budget and method": budget_step,
            "4 Train": train_step,
            "5 Release": release_step,
        }
        step = st.sidebar.radio("Step", list(steps), key=f"step of {project.name}")
        st.title(step)
        steps[step](project)


def _require_token() -> None:
    """Nothing is shown to a browser that was not given the address."""
    if st.session_state.get("admitted"):
        return
    wanted = os.environ.get(TOKEN, "")
    given = st.query_params.get("token", "")
    if not wanted or not hmac.compare_digest(given.encode(), wanted.encode()):
        st.error("This page opens with the whole address that `dpsynth ui` printed, token included.")
        st.stop()
    st.session_state["admitted"] = True


def _project(workspace: Workspace) -> Project | None:
    names = workspace.projects()
    with st.sidebar.form("new project", clear_on_submit=True):
        name = st.text_input("New project", placeholder="survey 2026")
        if st.form_submit_button("Create") and name:
            project = workspace.create(name)
            st.session_state["project"] = project.name
            names = workspace.projects()
    if not names:
        return None
    if st.session_state.get("project") not in names:
        st.session_state["project"] = names[0]
    return workspace.project(st.sidebar.selectbox("Project", names, key="project"))


# -------------------- 1 Data -----------------------------------------------------------------


def data_step(project: Project) -> None:
    """Choose the file; look at a few rows of it."""
    with st.form("file"):
        upload = st.file_uploader("Upload a CSV or Parquet file", type=["csv", "gz", "parquet"])
        path = st.text_input("or name a file on this computer", placeholder="~/people.csv")
        if st.form_submit_button("Take this file"):
            if upload is None and not path:
                raise ConfigError("choose a file, or name one")
            with st.spinner("Looking at the file"):
                source = project.upload(upload.name, upload) if upload is not None else project.choose(Path(path))
                write_text(project.schema, draft(source.path, source.csv_dialect))
            st.success("The file is taken and a schema is drafted. Go on with step 2.")
    source = project.source
    if source is None:
        return
    st.text(f"{source.path}\n{_dialect(source)}")
    names, rows = source.first_rows(SHOWN_ROWS)
    st.error(f"PRIVATE: the first {len(rows)} rows as they stand in the file, for your eyes only")
    st.dataframe(pd.DataFrame(rows, columns=_distinct(names)), hide_index=True)


def _dialect(source: Source) -> str:
    if source.csv_dialect is None:
        return "a Parquet file"
    found = ", ".join(f"{key} {value!r}" for key, value in source.dialect.items())
    return f"a CSV file, read with {found}" if found else "a CSV file in the usual form"


def _distinct(names: list[str]) -> list[str]:
    """Names that a frame can be shown with."""
    return [name if name and names.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(names, 1)]


# -------------------- 2 Schema ---------------------------------------------------------------


def schema_step(project: Project) -> None:
    """Check what is public about each column."""
    source = project.source
    if source is None or not project.schema.is_file():
        st.info("Choose a file in step 1 first.")
        return
    st.write(
        "The guarantee holds for what the rows say beyond this table. Bounds and categories below were read from the "
        "data: put what a code book or common sense says in their place, tick **checked**, or let them be estimated "
        "privately, which costs a tenth of the budget."
    )
    rows, rest = grid_of(project.schema.read_text(encoding="utf-8"))
    edited, as_yaml = st.tabs(["Table", "YAML"])
    with edited:
        _grid(project, rows, rest)
    with as_yaml, st.form("yaml"):
        text = st.text_area("schema.yaml", project.schema.read_text(encoding="utf-8"), height=400)
        if st.form_submit_button("Save YAML"):
            Domain.from_yaml(text if "\n" in text else text + "\n")
            _save(project, text)
    _person(project, source, [row.column for row in rows])
    left = unchecked(rows)
    if left:
        st.warning(f"{len(left)} of {len(rows)} columns are not checked yet:")
        st.text(", ".join(left))
    else:
        with st.expander("What the model will see, by declared facts alone"):
            st.dataframe(_declared(Domain.from_yaml(project.schema)), hide_index=True)


def _grid(project: Project, rows: list[GridRow], rest: dict[str, object]) -> None:
    frame = pd.DataFrame([asdict(row) for row in rows])
    frame["guess"] = frame["guess"].str.removeprefix("# guess: ")
    version = st.session_state.setdefault("schema version", 0)
    changed = st.data_editor(
        frame[["checked", "column", "use", "kind", "values", "missing", "label", "more", "guess"]],
        key=f"grid {project.name} {version}",
        hide_index=True,
        disabled=["column", "guess"],
        column_config={
            "checked": st.column_config.CheckboxColumn("checked", help="what this line says is public knowledge"),
            "use": st.column_config.CheckboxColumn("use", help="untick to leave the column out"),
            "kind": st.column_config.SelectboxColumn("kind", options=KINDS, required=True),
            "values": st.column_config.TextColumn(
                "bounds, categories", help="low, high; or the categories; or private; or the pattern of an identifier"
            ),
            "missing": st.column_config.CheckboxColumn("may be missing"),
            "label": st.column_config.CheckboxColumn("label", help="the one column that others are to predict"),
            "more": st.column_config.TextColumn("more", help="other keys, such as decimals: 2, point_masses: 0"),
            "guess": st.column_config.TextColumn("what the draft says", width="large"),
        },
    )
    constraints = st.text_input(
        "Rules between columns, which every synthetic row keeps",
        "; ".join(map(str, rest.get("constraints") or ())),  # type: ignore[call-overload]
        placeholder="start <= end; birth <= start",
    )
    number = st.text_input("About how many rows, as far as that is public", str(rest.get("rows") or ""))
    save, private = st.columns(2)
    guesses = {row.column: row.guess for row in rows}
    new = [_grid_row(values, guesses) for values in changed.fillna("").to_dict("records")]  # type: ignore[call-overload]
    if save.button("Save", type="primary"):
        _save(project, text_of(new, _top(rest, constraints, number)))
    if private.button("Estimate all that is not checked privately"):
        _save(
            project,
            text_of([row if row.checked else estimated_privately(row) for row in new], _top(rest, constraints, number)),
        )


def _grid_row(values: dict[str, object], guesses: dict[str, str]) -> GridRow:
    texts = {key: str(values[key]) for key in ("column", "kind", "values", "more")}
    flags = {key: bool(values[key]) for key in ("use", "missing", "label", "checked")}
    return GridRow(**texts, **flags, guess=guesses[texts["column"]])  # type: ignore[arg-type]


def _top(rest: dict[str, object], constraints: str, rows: str) -> dict[str, object]:
    """The keys of the schema that belong to no column."""
    top = {key: value for key, value in rest.items() if key not in ("constraints", "rows")}
    if rules := [rule.strip() for rule in constraints.split(";") if rule.strip()]:
        top["constraints"] = rules
    return top | ({"rows": rows.replace(",", "").strip()} if rows.strip() else {})


def _save(project: Project, text: str) -> None:
    """Write a schema that reads, and show it anew."""
    Domain.from_yaml(text)
    write_text(project.schema, text)
    st.session_state["schema version"] += 1
    st.session_state["saved"] = True
    st.rerun()


def _person(project: Project, source: Source, columns: list[str]) -> None:
    """Whose rows they are."""
    if st.session_state.pop("saved", False):
        st.success("Saved.")
    st.subheader("Whom the guarantee protects")
    several = st.checkbox("A person may have several rows", source.person is not None)
    if not several:
        if source.person is not None:
            project.set_person(None, None)
        return
    place = columns.index(source.person) if source.person in columns else 0
    with st.form("person"):
        column = st.selectbox("The column that says whose row it is", columns, place)
        most = st.number_input("Most rows of a person that are kept", 1, 10_000, source.max_rows_per_person or 1)
        if st.form_submit_button("Protect persons"):
            rows, rest = grid_of(project.schema.read_text(encoding="utf-8"))
            others = [row for row in rows if row.column != column]
            project.set_person(column, int(most))
            _save(project, text_of(others, rest)) if len(others) < len(rows) else st.rerun()


def _declared(domain: Domain) -> pd.DataFrame:
    """The public facts of each column."""
    entries = domain.to_dict()["columns"]
    shown = [
        {"column": name, "kind": spec["kind"],
         "declared": "; ".join(f"{key} {value}" for key, value in spec.items() if key != "kind")}
        for name, spec in entries.items()
    ]  # fmt: skip
    return pd.DataFrame(shown)


# -------------------- 3 Budget and method ----------------------------------------------------


def budget_step(project: Project) -> None:
    """Choose epsilon and method, by advice from public facts alone."""
    ready = _ready(project)
    if ready is None:
        return
    source, domain = ready
    epsilon = st.select_slider("Epsilon: less protects more", EPSILONS, _kept("epsilon", 1.0), key="epsilon now")
    delta = st.number_input("Delta: far below 1 / (number of people)", 1e-12, 1e-2, _kept("delta", 1e-5), format="%.1e")
    methods = shipped(Table)
    method = st.selectbox("Method", methods, methods.index(_kept("method", "auto")))
    for key, value in (("epsilon", epsilon), ("delta", delta), ("method", method)):
        st.session_state[key] = value
    budget = Budget(epsilon, delta, "add_remove", source.max_rows_per_person)
    gain, belief = gaussian_advantage(gaussian_mu(epsilon, delta)), posterior(0.5, epsilon)
    st.info(
        f"Whoever thinks it as likely as not that someone is in the table believes it with at most {belief:.0%} after "
        f"the release, and guesses right at most {50 + 50 * gain:.0f} times of 100."
    )
    signal = Signal.of(domain, budget)
    if method == "auto":
        choice = chosen(signal)
        st.text(f"auto takes {choice.method}: {choice.reason}.")
    for sentence in warnings(signal, method):
        st.warning(_plain(f"{sentence[:1].upper()}{sentence[1:]}."))
    st.subheader("What to expect at each epsilon")
    st.caption(
        "Predicted from the schema alone, for a distribution drawn from it; real tables differ. Fraction of rows in a "
        "wrong cell: of single columns, and of pairs of columns."
    )
    st.dataframe(_advice(signal), hide_index=True)
    st.subheader("Who spends what")
    plan = recipe_of(method).plan(domain, budget)
    alone = [prove([charge], budget).epsilon for charge in plan.charges]
    frame = pd.DataFrame({"release": [charge.name for charge in plan.charges], "epsilon alone": alone})
    table, picture = st.columns(2)
    table.dataframe(frame, hide_index=True)
    table.text(f"Together: epsilon {plan.proven.epsilon:.4g}, proven by {plan.proven.accountant}.\n"
               f"Memory: about {plan.memory_bytes / 2**20:.0f} MiB.")  # fmt: skip
    picture.bar_chart(frame, x="release", y="epsilon alone", horizontal=True)


def _kept(key: str, default: Kept) -> Kept:
    """What this session chose before, since widgets forget when another step is shown."""
    return st.session_state.get(key, default)


def _advice(signal: Signal) -> pd.DataFrame:
    rows = []
    for epsilon in sorted({*EPSILONS, signal.budget.epsilon}):
        there = signal.with_epsilon(epsilon)
        row: dict[str, object] = {"epsilon": epsilon, "auto takes": chosen(there).method}
        for each in predicted(there):
            row[f"{each.method}: columns"] = round(each.one_way, 3)
            row[f"{each.method}: pairs"] = None if each.two_way is None else round(each.two_way, 3)
        rows.append(row)
    return pd.DataFrame(rows)


def _ready(project: Project) -> tuple[Source, Domain] | None:
    """File and schema once every column is checked; otherwise says what is left to do."""
    source = project.source
    if source is None or not project.schema.is_file():
        st.info("Choose a file in step 1 first.")
        return None
    left = unchecked(grid_of(project.schema.read_text(encoding="utf-8"))[0])
    if left:
        st.warning(f"Step 2 first: {len(left)} columns of the schema are not checked yet.")
        return None
    return source, Domain.from_yaml(project.schema)


# -------------------- 4 Train ----------------------------------------------------------------


def train_step(project: Project) -> None:
    """Start training, watch it, stop it, go on with it."""
    ready = _ready(project)
    if ready is None:
        return
    source, _ = ready
    method, epsilon, delta = _kept("method", "auto"), _kept("epsilon", 1.0), _kept("delta", 1e-5)
    spent = [run for run in project.runs() if run.finished]
    if spent:
        st.warning(
            f"{len(spent)} finished runs on this table: each spends its own epsilon, and what they reveal adds up. "
            "Hand out one of them, or count all of them."
        )
    st.text(f"model {method}, epsilon {epsilon:g}, delta {delta:g} (step 3)")
    if st.button("Train", type="primary"):
        run = project.new_run(method, epsilon)
        words = [
            "train", f"model={method}", *source.as_options(project.schema), f"privacy.epsilon={epsilon!r}",
            f"privacy.delta={delta!r}", f"run={run.path}", "trainer.progress=lines", "columns=null",
        ]  # fmt: skip
        commands().start(words, project.log_of(run, "train"))
        st.session_state["watched"] = str(run.path)
    watched = st.session_state.get("watched")
    if watched and Path(watched).parent.parent == project.folder:
        _watch(project, RunFolder(Path(watched)), "train")
    open_runs = [run for run in project.runs() if run.unfinished and not busy(run)]
    if open_runs:
        st.subheader("Stopped before the end")
        names = [run.path.name for run in open_runs]
        name = st.selectbox("Run", names, key="resumed run")
        if st.button("Go on with it"):
            run = open_runs[names.index(name)]
            words = ["train", f"run={run.path}", "resume=true", "trainer.progress=lines"]
            commands().start(words, project.log_of(run, "train"))
            st.session_state["watched"] = str(run.path)
            st.rerun()


@st.fragment(run_every=POLL)
def _watch(project: Project, run: RunFolder, command: str) -> None:
    """What a command prints while it runs, and how it ended."""
    log = project.log_of(run, command)
    alive = commands().alive(log)
    st.subheader(run.path.name)
    if alive:
        st.info("It runs. You may close this page and come back.")
        if st.button("Stop", key=f"stop {log.name}"):
            commands().stop(log)
    elif said := mistakes(log):
        for line in said:
            st.error(_plain(line))
    elif run.finished:
        st.success("Finished. Go on with step 5.")
    elif run.unfinished:
        st.warning("Stopped. What was done is kept: you can go on with it below.")
    st.code(printed(log) or "starting", language=None, wrap_lines=True)
    if not alive and st.session_state.pop(f"running {log}", False):
        st.rerun()  # the rest of the page shows what came of it
    if alive:
        st.session_state[f"running {log}"] = True


# -------------------- 5 Release --------------------------------------------------------------


def release_step(project: Project) -> None:
    """Look at a finished run, evaluate it, take it away, draw more rows."""
    finished = [run for run in project.runs() if run.finished]
    if not finished:
        st.info("Train in step 4 first.")
        return
    names = [run.path.name for run in finished]
    run = finished[names.index(st.selectbox("Run", names, key="released run"))]
    fitted = load(run.release)
    if not isinstance(fitted, FittedTable):
        raise ConfigError(f"{run.path.name}: is no table")
    said = st.success if fitted.statement["private"] else st.error
    said(_plain(str(fitted.statement["guarantee"])))
    size = sum(file.stat().st_size for file in run.release.rglob("*"))
    if size <= LARGEST_ZIP:
        name = f"{run.path.name}.zip"
        st.download_button("Download the release (zip)", _zipped(run.release), name, "application/zip", type="primary")
    if fitted.statement["private"]:
        st.caption("Model, synthetic rows, statement and documents: all of it may be shared. It lies in this folder:")
    else:
        st.caption("NOT PRIVATE: keep them as the data themselves. They lie in this folder:")
    st.code(str(run.release), language=None)
    documents, more, evaluation, comparison = st.tabs(["Documents", "More rows", "Evaluate", "Compare runs"])
    with documents:
        _documents(fitted, run)
    with more:
        _more_rows(fitted, run)
    with evaluation:
        _evaluation(project, run)
    with comparison:
        _comparison(project, names)


def _documents(fitted: FittedTable, run: RunFolder) -> None:
    """Whose release it is: facts that the steward states, for its README and metadata."""
    stated = facts_of(run.release)
    with st.form("facts"):
        given = {key: st.text_input(words, getattr(stated, key) or "") for key, words in FACTS.items()}
        if st.form_submit_button("Write the documents"):
            describe(
                fitted.domain, fitted.statement, run.release, stated.with_({k: v or None for k, v in given.items()})
            )
            st.success("README.md and the metadata of the release are written anew.")


def _zipped(folder: Path) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, Path("release") / file.relative_to(folder))
    return memory.getvalue()


def _more_rows(fitted: FittedTable, run: RunFolder) -> None:
    """Draw rows, if wanted under conditions; costs no budget."""
    with st.form("more rows"):
        n = st.number_input("Rows", 1, MOST_DRAWN, min(fitted.checked_rows(None, 0), MOST_DRAWN))
        seed = st.number_input("Seed", 0, 2**31, 1)
        where = st.text_input("Conditions", placeholder="{sex: [F, M], age: [20, 30]}")
        if st.form_submit_button("Draw"):
            with st.spinner("Drawing"):
                drawn = fitted.sample(int(n), int(seed), mapping(where, "conditions") if where else None)
            st.session_state["drawn"] = (str(run.path), drawn.frame.to_csv(index=False), drawn.frame.head(SHOWN_ROWS))
    kept = st.session_state.get("drawn")
    if kept is not None and kept[0] == str(run.path):
        st.dataframe(kept[2].astype(str), hide_index=True)
        st.download_button("Download these rows (CSV)", kept[1], f"{run.path.name}-more.csv", "text/csv")


def _evaluation(project: Project, run: RunFolder) -> None:
    """The report on a run; private, as it is computed from the real rows."""
    log, report = project.log_of(run, "evaluate"), run.private / "report.html"
    metrics = st.radio(
        "Scores", METRICS, horizontal=True, help="quick: the main ones; full: all, with several learners"
    )
    if st.button("Evaluate" if not report.is_file() else "Evaluate again"):
        commands().start(["evaluate", f"run={run.path}", f"metrics={metrics}", "progress=lines"], log)
    if commands().alive(log):
        _watch(project, run, "evaluate")
    elif said := mistakes(log):
        for line in said:
            st.error(_plain(line))
    if report.is_file() and not commands().alive(log):
        st.error("PRIVATE: the report is computed from the real rows; keep it as the data themselves")
        st.iframe(report.read_text(encoding="utf-8"), height=900, alt="The report on this run")


def _comparison(project: Project, names: list[str]) -> None:
    """Several runs side by side."""
    taken = st.multiselect("Runs", names, names)
    out, log = project.folder / "comparison.csv", project.logs / "comparison.log"
    if st.button("Compare", disabled=len(taken) < 2):
        folders = [str(project.folder / "runs" / name) for name in taken]
        commands().start(["compare", *folders, f"out={out}", "metrics=quick", "progress=lines"], log)
    if commands().alive(log):
        _watch_comparison(log)
    elif said := mistakes(log):
        for line in said:
            st.error(_plain(line))
    elif out.is_file():
        st.error("PRIVATE: scores are computed from the real rows")
        st.dataframe(pd.read_csv(out), hide_index=True)


@st.fragment(run_every=POLL)
def _watch_comparison(log: Path) -> None:
    st.code(printed(log) or "starting", language=None, wrap_lines=True)
    if not commands().alive(log):
        st.rerun()


# -------------------- Messages ---------------------------------------------------------------


@contextmanager
def _said() -> Iterator[None]:
    """Show a mistake that its user can mend, in a line."""
    try:
        yield
    except DpsynthError as error:
        for line in getattr(error, "lines", None) or [str(error)]:
            st.error(_plain(line))
    except OSError as error:
        st.error(_plain(f"{error.filename}: {error.strerror}" if error.filename else str(error)))


def _plain(text: str) -> str:
    """A text as it is, whatever Markdown makes of its signs."""
    return _MARKDOWN.sub(r"\\\1", text)


main()
