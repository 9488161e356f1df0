"""Steps 4 and 5 of the page: training runs, and what is done with a finished one."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pandas as pd
import streamlit as st

from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import load
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.release.folder import describe, facts_of
from dpsynth.runs.command_line import mapping
from dpsynth.runs.run_folder import RunFolder
from dpsynth.ui.background_command import commands, mistakes, printed
from dpsynth.ui.messages import plain
from dpsynth.ui.preparation import SHOWN_ROWS, checked_source, chosen_before
from dpsynth.ui.workspace import Project, busy

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


# -------------------- 4 Train ----------------------------------------------------------------


def train_step(project: Project) -> None:
    """Start training, watch it, stop it, go on with it."""
    ready = checked_source(project)
    if ready is None:
        return
    source, _ = ready
    method, epsilon, delta = (
        chosen_before("method", "auto"),
        chosen_before("epsilon", 1.0),
        chosen_before("delta", 1e-5),
    )
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
            st.error(plain(line))
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
    said(plain(str(fitted.statement["guarantee"])))
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
    drawn = st.session_state.get("drawn")
    if drawn is not None and drawn[0] == str(run.path):
        st.dataframe(drawn[2].astype(str), hide_index=True)
        st.download_button("Download these rows (CSV)", drawn[1], f"{run.path.name}-more.csv", "text/csv")


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
            st.error(plain(line))
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
            st.error(plain(line))
    elif out.is_file():
        st.error("PRIVATE: scores are computed from the real rows")
        st.dataframe(pd.read_csv(out), hide_index=True)


@st.fragment(run_every=POLL)
def _watch_comparison(log: Path) -> None:
    st.code(printed(log) or "starting", language=None, wrap_lines=True)
    if not commands().alive(log):
        st.rerun()
