"""The messages that the page quotes are those of the source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/pages/troubleshooting.md").read_text()
QUOTED = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)
GAP = "…"


def template(node):
    """Return a string of the source with a gap for each value that is put in; None for others."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=values):
            return "".join(template(value) or GAP for value in values)
    return None


def templates():
    for path in (ROOT / "harness").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if text := template(node):
                yield " ".join(text.split())


SOURCE = "\n".join(templates())


def fixed_parts(message):
    return [part.strip() for part in message.split(GAP) if re.search(r"\w{2}", part)]


@pytest.mark.parametrize("message", QUOTED)
def test_each_fixed_part_of_a_message_stands_in_the_source(message):
    parts = fixed_parts(message)
    assert parts
    assert [part for part in parts if part not in SOURCE] == []


def test_each_message_has_a_cause_and_a_remedy():
    sections = PAGE.split("\n### ")[1:]
    assert len(sections) == len(QUOTED) > 30
    assert all("**Cause.**" in one and "**Remedy.**" in one for one in sections)


def test_a_message_that_was_changed_would_be_found():
    assert fixed_parts("is not a field…; did you mean …?") == ["is not a field", "; did you mean"]
    assert "is no field of mine" not in SOURCE
