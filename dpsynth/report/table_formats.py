"""A table of runs for the terminal, for spreadsheets, for Markdown and for LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from dpsynth.report.run_table import FACTS, Cell, RunTable
from dpsynth.report.wording import ARROWS

CAPTION = (
    "Private: computed from real rows. Values are means over draws of rows, ± the reach of the 95 % interval of one "
    "more draw (for the real sample, of one more real sample). Bold: the best run on that data set with that epsilon."
)
_LATEX = {
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "±": "$\\pm$",
    ARROWS["lower"]: "$\\downarrow$",
    ARROWS["higher"]: "$\\uparrow$",
}


def rich_table(table: RunTable) -> Table:
    """For the terminal: a section for each data set."""
    shown = Table(title="Runs compared", title_justify="left", header_style="bold", box=None, pad_edge=False)
    for heading in table.headings:
        fact = heading in ("run", "model", "data")
        shown.add_column(heading, justify="left" if fact else "right", overflow="fold")
    for section in table.sections:
        for line in section:
            cells = [Text(cell.text, style="bold" if cell.best else "") for cell in line.cells]
            shown.add_row(*(Text(word) for word in line.words), *cells, style="dim" if line.yardstick else "")
        shown.add_section()
    return shown


def csv_text(table: RunTable) -> str:
    """One line for each run and yardstick; a score takes three columns: value, low, high."""
    records: list[dict[str, Any]] = []
    for section in table.sections:
        for line in section:
            record = {key: line.facts.get(key) for key in FACTS}
            for name, cell in zip(table.names, line.cells, strict=True):
                record |= {name: cell.value, f"{name}_low": cell.low, f"{name}_high": cell.high}
            records.append(record)
    return records_text(records)


def records_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Records with the same keys as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def markdown(table: RunTable) -> str:
    """One table for all data sets, what to know about it, and the remarks."""
    left = len(("run", "model", "data"))
    lines = ["| " + " | ".join(table.headings) + " |"]
    lines.append("|" + "|".join([" --- "] * left + [" ---: "] * (len(table.headings) - left)) + "|")
    for section in table.sections:
        for line in section:
            words = [word.replace("|", "\\|") for word in line.words]
            words = [f"_{word}_" if line.yardstick and word else word for word in words]
            lines.append("| " + " | ".join([*words, *(_bold(cell, "**{}**") for cell in line.cells)]) + " |")
    remarks = [f"- {remark}" for remark in table.remarks]
    return "\n".join([*lines, "", CAPTION, *(["", *remarks] if remarks else [])]) + "\n"


def latex(table: RunTable) -> str:
    """A tabular of the package booktabs, data sets divided by rules."""
    lines = [f"% {CAPTION}", "% Needs \\usepackage{booktabs}"]
    lines.append("\\begin{tabular}{lll" + "r" * (len(table.headings) - 3) + "}")
    lines += ["\\toprule", " & ".join(map(_escaped, table.headings)) + " \\\\"]
    for section in table.sections:
        lines.append("\\midrule")
        for line in section:
            words = [_escaped(word) for word in line.words]
            words = [f"\\emph{{{word}}}" if line.yardstick and word else word for word in words]
            lines.append(" & ".join([*words, *(_bold(cell, "\\textbf{{{}}}", True) for cell in line.cells)]) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _bold(cell: Cell, form: str, escaped: bool = False) -> str:
    text = _escaped(cell.text) if escaped else cell.text
    return form.format(text) if cell.best else text


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)
