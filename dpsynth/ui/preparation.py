"""Steps 1 to 3 of the page: the file, the schema, the budget and the method, before any budget is spent.

Step 1 shows a few rows of the file; advice and plan in step 3 follow from the schema alone.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import pandas as pd
import streamlit as st

from dpsynth.data.table.domain import Domain
from dpsynth.data.table.draft import draft
from dpsynth.data.table.table import Table
from dpsynth.data.table.tabular_files import write_text
from dpsynth.errors import ConfigError
from dpsynth.models.auto.prediction import predicted
from dpsynth.models.auto.rule import Signal, branches, chosen, warnings
from dpsynth.models.contract.registry import shipped
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.accounting.attacks import gaussian_advantage, gaussian_mu, posterior
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.synthesis import recipe_of
from dpsynth.ui.messages import plain
from dpsynth.ui.schema_grid import KINDS, GridRow, estimated_privately, grid_of, text_of, unchecked
from dpsynth.ui.workspace import Project, Source

EPSILONS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)
SHOWN_ROWS = 10
Kept = TypeVar("Kept")


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
    ready = checked_source(project)
    if ready is None:
        return
    source, domain = ready
    epsilon = st.select_slider(
        "Epsilon: less protects more", EPSILONS, chosen_before("epsilon", 1.0), key="epsilon now"
    )
    delta = st.number_input(
        "Delta: far below 1 / (number of people)", 1e-12, 1e-2, chosen_before("delta", 1e-5), format="%.1e"
    )
    methods = shipped(Table)
    method = st.selectbox("Method", methods, methods.index(chosen_before("method", "auto")))
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
        if domain.rows is None:
            st.text(f"auto decides by the noisy number of rows, as none is declared: {branches(signal)}.")
        else:
            st.text(f"auto takes {choice.method}: {choice.reason}.")
    for sentence in warnings(signal, method):
        st.warning(plain(f"{sentence[:1].upper()}{sentence[1:]}."))
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


def chosen_before(key: str, default: Kept) -> Kept:
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


def checked_source(project: Project) -> tuple[Source, Domain] | None:
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
