"""The page of `dpsynth ui`: five steps from a file to a release, one function each.

Streamlit runs this file from top to bottom whenever somebody clicks. What one browser session chose is in
`st.session_state`; what was made lies in the project's folder (workspace.py), so that a page that is closed loses
nothing. Texts from the data reach the page only where they are shown as they are, never as Markdown.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from dpsynth.ui.messages import said
from dpsynth.ui.preparation import budget_step, data_step, schema_step
from dpsynth.ui.server import FOLDER, TOKEN
from dpsynth.ui.training_and_release import release_step, train_step
from dpsynth.ui.workspace import Project, Workspace


def main() -> None:
    st.set_page_config(page_title="dpsynth", layout="wide")
    _require_token()
    st.sidebar.title("dpsynth")
    with said():
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


if __name__ == "__main__":  # and not in a process that one of the page's own starts
    main()
