"""In which encoding a text file is written: by its byte order mark, and else a proposal from its bytes.

A byte order mark of UTF-16 or UTF-32 says it, so it is followed. Anything else is a guess, for drafts and messages.
"""

from __future__ import annotations

import io
import re
from typing import Any

from charset_normalizer import from_bytes

LOOK = 1 << 20  # bytes that are looked at
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_WRITTEN = "\u20ac\u00a7\u00b0\u2013\u2014\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u00a0"  # the euro sign, marks
_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяё"
_SCRIPTS = tuple(
    (encoding, frozenset(letters + letters.upper() + _WRITTEN), latin)
    for encoding, letters, latin in (
        ("cp1252", "äöüßéèêëàâçîïôûùñáíóúãõ£", True),
        ("cp1250", "ąćęłńóśźżáčďéěíňřšťúůýžäöüßőűôľĺŕ", True),
        ("cp1251", _CYRILLIC + "іїєґ№", False),
        ("koi8_r", _CYRILLIC, False),
        ("cp1253", "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋ", False),
    )
)
_STRANGE = 1 << 16  # bytes of lines with other signs than ASCII by which their encoding is guessed


def by_mark(head: bytes) -> str | None:
    """The encoding that a byte order mark names; None without one, and for that of UTF-8."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def is_utf8(encoding: str) -> bool:
    return encoding.replace("_", "-").lower() in ("utf-8", "utf8", "utf-8-sig")


def proposed(head: bytes) -> str:
    """The encoding of the first `LOOK` bytes of a text: UTF-8 where it can be, else the most likely one."""
    marked = by_mark(head)
    if marked is not None:
        return marked
    if b"\0" in head:
        wide = next((name for name in _WIDE if _wide(head, name)), None)
        if wide is not None:
            return wide
    cut = head if len(head) < LOOK else head[: head.rfind(b"\n") + 1] or head[:-4]
    if _decoded(cut, "utf-8") is not None:
        return "utf-8"
    lines = [line for line in cut.split(b"\n") if not line.isascii()]
    sample = b"\n".join(lines)[:_STRANGE].rsplit(b"\n", 1)[0] if sum(map(len, lines)) > _STRANGE else b"\n".join(lines)
    for encoding, signs, latin in _SCRIPTS:
        if _in_script(_decoded(sample, encoding), signs, latin):
            return encoding
    best = from_bytes(sample).best()
    if best is not None and str(best) != _decoded(sample, "cp1252") and _decoded(cut, best.encoding) is not None:
        return best.encoding
    return "cp1252" if _decoded(cut, "cp1252") is not None else "latin-1"


def _in_script(text: str | None, signs: frozenset[str], latin: bool) -> bool:
    """Whether a text has no other signs than those, in words as people write them: with one capital letter at most at
    the start, or all of them capital, and beside Latin letters where the script is a Latin one."""
    if text is None or not {sign for sign in text if not sign.isascii()} <= signs:
        return False
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    cased = all(word.islower() or word.isupper() or word.istitle() for word in words)
    beside = (bool(_LETTERS & set(word)) for word in words if len(word) > 2)
    return cased and all(found == latin for found in beside)


def _decoded(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _wide(head: bytes, encoding: str) -> bool:
    """Whether bytes with zeros are text of two or four bytes for a sign: with line breaks, and without zero signs."""
    size = 4 if "32" in encoding else 2
    text = _decoded(head[: len(head) // size * size - (size * 2 if len(head) >= LOOK else 0)], encoding)
    return text is not None and "\0" not in text and any(mark in text for mark in "\r\n")


def first_strange(text: str) -> str | None:
    """The first word of a text with another sign than ASCII, to see whether it reads right."""
    return next((word for word in text.replace(",", " ").replace(";", " ").split() if not word.isascii()), None)


def undecodable(stream: Any, encoding: str) -> tuple[int, bytes] | None:
    """(number of the first line that does not decode, that line), where lines end with a line feed."""
    for number, line in enumerate(io.BufferedReader(stream), start=1):
        if _decoded(line, encoding) is None:
            return number, line.strip()
    return None
