"""The conformance tables: the same bytes for the same behaviour, whoever runs them."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.conformance.candidates import CANDIDATES
from harness.conformance.cases import Case
from harness.conformance.check import (
    AGREES,
    DIFFERS,
    FAILS,
    KINDS,
    MISSING,
    UNASKED,
    UNSUPPORTED,
    Cell,
)
from harness.records.files import write_atomically
from harness.report.tabular import csv_text, read_csv
from harness.report.wording import cell as escaped
from harness.report.wording import code, table

CSV, MARKDOWN = "conformance.csv", "conformance.md"
_COLUMNS = dict.fromkeys(
    ("case", "candidate", "verdict", "trained", "floating", "integer", "reason"), str
)
_SHORT = {
    AGREES: "agrees",
    DIFFERS: "**differs**",
    FAILS: "**fails**",
    UNASKED: "–",
    UNSUPPORTED: "–",
    MISSING: "not installed",
}


def power(error: float | None, tolerance: float) -> str:
    """Return an error as the power of ten it is below; what agrees is below its tolerance."""
    if error is None:
        return ""
    if error <= tolerance:
        return "0" if error == 0 else f"<{tolerance:.0e}".replace("e-0", "e-")
    if not math.isfinite(error):
        return "inf"
    return f"<1e{math.floor(math.log10(error)) + 1}"


def csv(cells: Iterable[Cell], cases: Sequence[Case]) -> str:
    """Return ``conformance.csv``: a line for each case and candidate."""
    return csv_text([*_COLUMNS], (_record(cell, cases) for cell in cells))


def lines(cells: Iterable[Cell]) -> str:
    """Return a table to be read on a terminal: a line for each cell."""
    rows = [(cell.case, cell.candidate, cell.verdict, cell.reason) for cell in cells]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(text.ljust(w) for text, w in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    )


def markdown(cells: Sequence[Cell], cases: Sequence[Case]) -> str:
    """Return ``conformance.md``: who agrees where, then why each differs, then versions."""
    names = list(dict.fromkeys(cell.candidate for cell in cells))
    parts = [
        "# EMA conformance",
        "Each case trains a small network once and states one average of it. Every library is "
        "told the setting as its own documentation says, follows the same weights to the bit, and "
        "is compared after every iteration with the closed form in float64. `agrees` is a largest "
        "error of at most 1e-5 of the tensor's magnitude (1e-12 in float64), buffers included; – "
        "is a setting that the library cannot be told. A difference is not a fault: it says that "
        "the same words give another average.",
        _grid(cells, cases, names),
        "## Where and why they differ",
        "Each reason is measured: the setting read that way gives, through the same closed form, "
        "what the library did, to the case's tolerance.",
        *(_differences(cells, name) for name in names),
        "## What cannot be asked",
        _unasked(cells),
        "## Cases",
        _cases(cases),
        "## Versions",
        _versions(names),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write(cells: Sequence[Cell], cases: Sequence[Case], folder: Path) -> list[str]:
    """Write both tables; return how they differ from those that were there."""
    path = folder / CSV
    before = zip(*read_csv(path, _COLUMNS).values(), strict=True) if path.exists() else None
    now = [_record(cell, cases) for cell in cells]
    write_atomically(path, csv(cells, cases))
    write_atomically(folder / MARKDOWN, markdown(cells, cases))
    return [] if before is None else changes([*before], now)


def changes(before: Sequence[Sequence[str]], now: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each cell that is not as it was.

    Errors may move by a factor of ten, as trainings do between machines; what is not installed now
    is not compared.
    """
    old, new = ({(row[0], row[1]): row[2:] for row in rows} for rows in (before, now))
    result = []
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key), new.get(key)
        if b is not None and b[0] == MISSING:
            continue
        if a is None or b is None or a[0] != b[0] or a[4] != b[4] or not _near(a[1:4], b[1:4]):
            result.append(f"{' '.join(key)}: was {_said(a)}, is {_said(b)}")
    return result


def _record(cell: Cell, cases: Sequence[Case]) -> list[str]:
    tolerance = next(case.tolerance for case in cases if case.name == cell.case)
    errors = [power(cell.errors.get(kind), tolerance) for kind in KINDS]
    return [cell.case, cell.candidate, cell.verdict, *errors, cell.reason]


def _near(a: Sequence[str], b: Sequence[str]) -> bool:
    return all(
        x == y or (x[:3] == y[:3] == "<1e" and abs(int(x[3:]) - int(y[3:])) <= 1)
        for x, y in zip(a, b, strict=True)
    )


def _said(fields: Sequence[str] | None) -> str:
    return "absent" if fields is None else " ".join(field for field in fields if field)


def _grid(cells: Sequence[Cell], cases: Sequence[Case], names: Sequence[str]) -> str:
    verdicts = {(cell.case, cell.candidate): _SHORT[cell.verdict] for cell in cells}
    rows = [[code(case.name), *(verdicts[case.name, name] for name in names)] for case in cases]
    counts = [_count(cells, name) for name in names]
    return table(["case", *names], [*rows, ["agrees", *counts]], len(names) + 1)


def _count(cells: Sequence[Cell], name: str) -> str:
    own = [cell.verdict for cell in cells if cell.candidate == name]
    asked = [verdict for verdict in own if verdict in (AGREES, DIFFERS, FAILS)]
    return f"{asked.count(AGREES)} of {len(asked)}"


def _differences(cells: Sequence[Cell], name: str) -> str:
    own = [c for c in cells if c.candidate == name and c.verdict in (DIFFERS, FAILS, MISSING)]
    if not own:
        return f"**{name}** agrees wherever it can be asked."
    by_reason: dict[str, list[str]] = {}
    for cell in own:
        for reason in cell.reason.split("; "):
            by_reason.setdefault(reason, []).append(code(cell.case))
    rows = [[escaped(reason), ", ".join(found)] for reason, found in by_reason.items()]
    return f"**{name}**\n\n{table(['what it does', 'cases'], rows, 2)}"


def _unasked(cells: Sequence[Cell]) -> str:
    by_reason: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        if cell.verdict in (UNASKED, UNSUPPORTED):
            by_reason.setdefault((cell.candidate, cell.reason), []).append(code(cell.case))
    rows = [[name, escaped(reason), ", ".join(of)] for (name, reason), of in by_reason.items()]
    return table(["library", "why", "cases"], sorted(rows), 3)


def _cases(cases: Sequence[Case]) -> str:
    return table(
        ["case", "setting", "interval", "start_iter", "iterations", "network"],
        (
            [
                code(case.name),
                _setting(case),
                str(case.setting.interval),
                str(case.setting.start_iter),
                str(case.iterations),
                _network(case),
            ]
            for case in cases
        ),
        2,
    )


def _setting(case: Case) -> str:
    cfg = ", ".join(f"{name} {value:g}" for name, value in case.setting.interp_cfg.items())
    return f"{case.setting.interp_mode}: {cfg}" if cfg else case.setting.interp_mode


def _network(case: Case) -> str:
    words = [case.dtype, case.optimizer, *sorted(case.parts)]
    if case.dtype != case.shadow_dtype:
        words.append(f"{case.shadow_dtype} shadow")
    if len(case.batches) > 1:
        words.append("batches of " + ", ".join(str(size) for _, size in case.batches))
    if case.resume is not None:
        words.append(f"resumed after {case.resume}")
    return ", ".join(words)


def _versions(names: Sequence[str]) -> str:
    known = [candidate for candidate in CANDIDATES if candidate.package]
    rows = [[c.name, c.version or "not installed"] for c in known if c.name in names]
    return table(["library", "version"], rows, 2)
