"""What the fault suite found, in words and small tables, from the ledger's rows alone."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.report.wording import cell, number, table

Row = Mapping[str, Any]
_IN_ALL = re.compile(r"in all, (\d+) ")


def report(tables: Mapping[str, Sequence[Row]]) -> str:
    """Return ``report.md``.

    Args:
        tables: the rows of each table of the ledger; one without rows was not run.
    """
    kills, inputs, faults, cost = (
        tables[name] for name in ("kills", "inputs", "faults", "resume_cost")
    )
    parts = [
        "# Nothing is lost",
        f"{_killed(kills)} {_held(faults)} {_answered(inputs)}",
        "What is promised, and what is not, is in [docs/pages/resume.md]"
        "(../../docs/pages/resume.md). `nox -s faults` runs all of this again and rewrites this "
        "folder; `machine.json` says what it ran on.",
        *_section("Kills", kills, _kill_table, _KILLS),
        *_section("Faults", faults, _fault_table, "A row each in `faults.csv`."),
        *_section("Malformed inputs", inputs, _input_table, _INPUTS),
        *_section("What a resume costs", cost, _cost_table, _COST),
    ]
    return "\n\n".join(parts) + "\n"


_KILLS = (
    "Real runs, each killed by SIGKILL in the middle of whatever it did, started again, and "
    "compared with a run that was not killed: weights, averages, snapshots and pictures byte for "
    "byte, rows without their seconds. *Killed at* is how far the newest checkpoint was, as a "
    "share of the run's iterations. A row each in `kills.csv`."
)
_INPUTS = (
    "Each has to be refused with one clear line and exit code 2, or be read rightly, and no file "
    "that existed may change. Generated inputs are counted here and kept in `inputs.csv` as one "
    "example for each kind of answer."
)
_COST = "Replay of batches is what makes a late resume dear elsewhere; here none is replayed."


def _section(
    heading: str, rows: Sequence[Row], body: Callable[[Sequence[Row]], str], note: str
) -> list[str]:
    return [f"## {heading}", *([body(rows), note] if rows else ["Not run."])]


def _killed(kills: Sequence[Row]) -> str:
    if not kills:
        return "Kills were not run."
    same = sum(row["lost"] == "nothing" for row in kills)
    models = len({row["model"] for row in kills})
    return (
        f"**{same} of {len(kills)} killed runs of {_count(models, 'model')} ended with the bits of "
        "one that was not killed**, in weights, averages, rows and samples."
    )


def _held(faults: Sequence[Row]) -> str:
    if not faults:
        return "Other faults were not run."
    held = sum(_yes(row) for row in faults)
    return f"What is promised held in {held} of {_count(len(faults), 'other fault')}."


def _answered(inputs: Sequence[Row]) -> str:
    if not inputs:
        return "Malformed inputs were not run."
    wrong = sum(_wrong(row) for row in inputs)
    total = sum(_number(rows) for rows in _groups(inputs, "kind", "found_by").values())
    wrongly = f"**{wrong}**" if wrong else "none"
    return f"Of {_count(total, 'malformed input')}, {wrongly} was answered wrongly."


def _kill_table(kills: Sequence[Row]) -> str:
    head = ["model", "kills", "same bits", "killed at", "went on from a checkpoint"]
    head += ["began again", "killed more than once", "lost"]
    lines = [_kill_line(model, rows) for (model,), rows in _groups(kills, "model").items()]
    return table(head, lines)


def _kill_line(model: str, rows: Sequence[Row]) -> list[str]:
    at = [n / row["iterations"] for row in rows for n in _numbers(row["killed_at"])]
    places = [n for row in rows for n in _numbers(row["resumed_at"])]
    lost = [row["lost"] for row in rows if row["lost"] != "nothing"]
    return [
        *(model, str(len(rows)), str(len(rows) - len(lost))),
        f"{min(at):.0%} to {max(at):.0%}",
        *(str(sum(place > 0 for place in places)), str(places.count(0))),
        str(sum("times" in row["killed"] for row in rows)),
        cell("; ".join(lost)) or "nothing",
    ]


def _fault_table(faults: Sequence[Row]) -> str:
    columns = ["fault", "done", "promised", "held"]
    lines = [[cell(str(row[name])) for name in columns] for row in faults]
    return table(["fault", "what was done", "what is promised", "held"], lines, words=4)


def _input_table(inputs: Sequence[Row]) -> str:
    lines = [
        [cell(kind), cell(found_by), str(_number(rows)), str(sum(map(_wrong, rows)))]
        for (kind, found_by), rows in _groups(inputs, "kind", "found_by").items()
    ]
    return table(["kind", "found by", "inputs", "answered wrongly"], lines, words=2)


def _cost_table(cost: Sequence[Row]) -> str:
    head = ["model", "went on at iteration", "batches replayed", "checkpoint read (s)"]
    lines = [
        [
            *(row["model"], f"{row['iteration']:,}", str(row["batches_replayed"])),
            *(number(row[name]) for name in ("read_sec", "first_step_sec")),
        ]
        for row in cost
    ]
    return table([*head, "first step (s)"], lines)


def _groups(rows: Sequence[Row], *names: str) -> dict[tuple[str, ...], list[Row]]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def _number(rows: Sequence[Row]) -> int:
    """Count inputs; where a row counts generated ones, the others are examples of them."""
    counted = [int(found[1]) for row in rows if (found := _IN_ALL.match(row["case"]))]
    return sum(counted) if counted else len(rows)


def _wrong(row: Row) -> bool:
    return row["answer"].startswith("WRONG")


def _yes(row: Row) -> bool:
    return row["held"].startswith("yes")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in str(text).split(" + ") if part.isdigit()]


def _count(total: int, noun: str) -> str:
    return f"{total:,} {noun}{'' if total == 1 else 's'}"
