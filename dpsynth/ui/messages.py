"""What the page says when its user made a mistake, and texts that must not be read as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dpsynth.errors import DpsynthError

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&])")


@contextmanager
def said() -> Iterator[None]:
    """Show a mistake that its user can mend, in a line."""
    try:
        yield
    except DpsynthError as error:
        for line in getattr(error, "lines", None) or [str(error)]:
            st.error(plain(line))
    except OSError as error:
        st.error(plain(f"{error.filename}: {error.strerror}" if error.filename else str(error)))


def plain(text: str) -> str:
    """A text as it is, whatever Markdown makes of its signs."""
    return _MARKDOWN.sub(r"\\\1", text)
