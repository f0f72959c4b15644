"""What a report says, before it is Markdown or HTML.

A sentence or a table's cell is one string in which private characters open and close spans. What
comes from outside is marked as such and can hold none of them, so that a renderer never has to
guess what was meant, and escapes it as its own format asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from harness.report import wording

Kind = Literal["plain", "code", "outside", "strong", "emphasis"]
_KINDS: dict[str, Kind] = {
    "\ue001": "code",
    "\ue002": "outside",
    "\ue003": "strong",
    "\ue004": "emphasis",
}
_MARKS = {kind: mark for mark, kind in _KINDS.items()}
_CLOSE = "\ue000"
_SPAN = re.compile("([\ue001-\ue004])([^\ue000-\ue004]*)\ue000")
_PRIVATE = re.compile("[\ue000-\ue004]")
_LOST = "\ufffd"
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d*)?(?:e[-+]?\d+)?|[-+]?inf", re.IGNORECASE)


class Span(NamedTuple):
    """A piece of text and how it is meant; ``outside`` is nobody's word but the user's."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts.

    Args:
        head: what the columns are called.
        rows: as many cells each.
        words: how many columns, from the first, hold words; the others hold numbers.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


@dataclass(frozen=True, slots=True)
class Items:
    """A list of sentences."""

    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed into a shell, one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Folded:
    """What is read on demand, under a summary."""

    summary: str
    blocks: Sequence[Block]


Block = str | Table | Items | Command | Folded
"""A text is a paragraph."""


def code(name: str) -> str:
    """Mark the name of something in a spec or a program."""
    return _marked("code", name)


def outside(text: str) -> str:
    """Mark text from outside; it becomes one line."""
    return _marked("outside", " ".join(text.split()))


def strong(text: str) -> str:
    """Mark what matters most."""
    return _marked("strong", text)


def emphasis(text: str) -> str:
    """Mark a term, or words in the place of a name."""
    return _marked("emphasis", text)


def _marked(kind: Kind, text: str) -> str:
    return f"{_MARKS[kind]}{_PRIVATE.sub(_LOST, text)}{_CLOSE}" if text else ""


REAL_IMAGES = emphasis("real images")
"""What the row of the real images themselves is called."""


def spans(text: str) -> list[Span]:
    """Return the pieces of a text in order, none of them empty."""
    pieces: list[Span] = []
    end = 0
    for found in _SPAN.finditer(text):
        pieces += [Span("plain", text[end : found.start()]), Span(_KINDS[found[1]], found[2])]
        end = found.end()
    return [piece for piece in [*pieces, Span("plain", text[end:])] if piece.text]


def plain(text: str) -> str:
    """Return a text without its spans."""
    return "".join(piece.text for piece in spans(text))


def leading_number(text: str) -> float | None:
    """Return what a cell sorts by: the first number it shows, None where there is none."""
    found = _NUMBER.search(plain(text))
    return float(found[0].replace(",", "")) if found else None


def markdown(text: str) -> str:
    """Return a text as Markdown."""
    return _SPAN.sub(lambda found: _as_markdown(_KINDS[found[1]], found[2]), text)


def markdown_blocks(blocks: Sequence[Block]) -> str:
    """Return blocks as Markdown, an empty line between two."""
    return "\n\n".join(filter(None, map(_block, blocks)))


def _as_markdown(kind: Kind, text: str) -> str:
    match kind:
        case "code":
            return wording.code(text)
        case "outside":
            return wording.prose(text)
        case "strong":
            return f"**{text}**"
        case "emphasis":
            return f"*{text}*"
        case "plain":
            return text


def _block(block: Block) -> str:
    match block:
        case Table(head, rows, words):
            body = [[markdown(cell) for cell in row] for row in rows]
            return wording.table([markdown(cell) for cell in head], body, words)
        case Items(lines):
            return "\n".join(f"- {markdown(line)}" for line in lines)
        case Command(text):
            return f"```bash\n{text}\n```"
        case Folded(summary, blocks):
            head = f"<details><summary>{markdown(summary)}</summary>"
            return f"{head}\n\n{markdown_blocks(blocks)}\n\n</details>"
        case str():
            return markdown(block)
