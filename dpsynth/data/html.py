"""Small HTML tables for notebooks. Every text is escaped, whatever it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any


def facts_html(title: str, facts: Mapping[str, Any]) -> str:
    """A title over facts by name; those without a value are left out."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value not in ("", None)
    )
    return f"<div><strong>{escape(title)}</strong><table>{rows}</table></div>"


def rows_html(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A title over a table with a header."""
    head = "".join(f"<th style='text-align:left'>{escape(str(name))}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div><strong>{escape(title)}</strong>{table}</div>"
