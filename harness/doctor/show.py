"""Findings as a page for people and as JSON for scripts."""

import json
import os
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from harness.doctor.finding import GROUPS, Finding, State, counted

_STATE_WIDTH = max(map(len, State))
_MOST_COLUMNS = 100
_COLOURS = {State.OK: "32", State.NOTE: "2", State.WARNING: "33", State.PROBLEM: "1;31"}


def show(findings: Sequence[Finding], as_json: bool) -> int:
    """Print findings; return 1 if there is a problem among them, else 0."""
    if as_json:
        print(json.dumps([asdict(one) for one in findings], indent=1))
    else:
        columns = min(shutil.get_terminal_size().columns, _MOST_COLUMNS)
        coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        encoding = sys.stdout.encoding or "ascii"
        text = page(findings, columns, coloured)
        print(text.encode(encoding, "backslashreplace").decode(encoding))
    return 1 if any(one.state is State.PROBLEM for one in findings) else 0


def page(findings: Sequence[Finding], columns: int, coloured: bool = False) -> str:
    """Return the report, by groups, in lines of at most ``columns`` where words allow it."""
    names = max((len(one.name) for one in findings), default=0)
    lines: list[str] = []
    for group in GROUPS:
        members = [one for one in findings if one.group == group]
        if members:
            lines += [group, *(line for one in members for line in _lines(one, names, columns))]
            lines.append("")
    text = "\n".join([*lines, summary(findings)])
    return _coloured(text) if coloured else text


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line: how many checks there were, and what they came to."""
    counts = Counter(one.state for one in findings)
    found = [
        counted(counts[state], state.value)
        for state in (State.PROBLEM, State.WARNING)
        if counts[state]
    ]
    return f"{counted(len(findings), 'check')}: {' and '.join(found) or 'all is in order'}"


def _lines(one: Finding, names: int, columns: int) -> list[str]:
    head = f"  {one.state.value:{_STATE_WIDTH}}  {one.name:{names}}  "
    blank = " " * len(head)
    return [
        *_wrapped(one.text, head, blank, columns),
        *(_wrapped(one.advice, f"{blank}-> ", f"{blank}   ", columns) if one.advice else []),
    ]


def _wrapped(text: str, first: str, other: str, columns: int) -> list[str]:
    # The names of files may hold anything, also what moves a terminal's cursor.
    plain = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return textwrap.wrap(
        plain,
        columns,
        initial_indent=first,
        subsequent_indent=other,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _coloured(text: str) -> str:
    for state, colour in _COLOURS.items():
        word = f"  {state.value:{_STATE_WIDTH}}  "
        text = text.replace(f"\n{word}", f"\n\033[{colour}m{word}\033[0m")
    return text
