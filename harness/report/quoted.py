"""Tables that other files quote, and files held line by line to what they have to be."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

from harness.errors import HarnessError
from harness.records.files import read_record, write_atomically
from harness.report.frames import read
from harness.report.markdown import readme_table

_BLOCK = re.compile(r"<!-- results:(\S+)/([^\s/]+) -->\n(.*?)<!-- /results -->", re.DOTALL)
_OPENING = re.compile(r"<!-- results:")


def check_readme(readme: Path, results_root: Path) -> list[str]:
    """Return where blocks ``<!-- results:EXPERIMENT/TIER -->`` are not what results give."""
    text = read_record(readme)
    blocks = list(_BLOCK.finditer(text))
    problems = []
    if len(blocks) != len(_OPENING.findall(text)) or not blocks:
        block = "`<!-- results:NAME/TIER -->`, lines, `<!-- /results -->`"
        problems.append(f"{readme}: needs one or more whole blocks {block}")
    for found in blocks:
        line = text.count("\n", 0, found.start(3)) + 1
        try:
            expected = readme_table(read(results_root / found[1] / found[2])) + "\n"
        except HarnessError as error:
            problems.append(f"{readme}:{line - 1}: {error}")
        else:
            problems += differences(readme, line, found[3], expected)
    return problems


def update_readme(readme: Path, results_root: Path) -> None:
    """Write into each block of a README what its results give."""

    def block(found: re.Match[str]) -> str:
        table = readme_table(read(results_root / found[1] / found[2]))
        return f"<!-- results:{found[1]}/{found[2]} -->\n{table}\n<!-- /results -->"

    write_atomically(readme, _BLOCK.sub(block, read_record(readme)))


def differences(path: Path, first: int, committed: str, rebuilt: str) -> list[str]:
    """Return the lines that differ; the first is line ``first`` of the file."""
    pairs = zip_longest(committed.splitlines(keepends=True), rebuilt.splitlines(keepends=True))
    return [
        f"{path}:{number}: committed {_shown(ours)}, rebuilt {_shown(theirs)}"
        for number, (ours, theirs) in enumerate(pairs, first)
        if ours != theirs
    ]


def _shown(line: str | None) -> str:
    return "nothing" if line is None else repr(line.removesuffix("\n"))
