"""Two results folders side by side, as Markdown and as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from harness.plan.expand import ONLY_LEVEL
from harness.records.quantities import lookup
from harness.report.answer import title
from harness.report.beside import Beside, Differs, Pair
from harness.report.frames import REAL, Cell, Results
from harness.report.statistics import LEVEL, Judged
from harness.report.tabular import csv_text
from harness.report.wording import code, decimals, number, p_text, plus_minus, prose, table

COLUMNS = (
    *("level", "arm", "metric", "seeds_a", "seeds_b", "mean_a", "mean_b", "equal_bits"),
    *("difference", "half_width", "p", "p_holm", "paired"),
)


def markdown(found: Beside, ours: tuple[str, Results], theirs: tuple[str, Results]) -> str:
    """Return the comparison for a terminal or for GitHub.

    Args:
        found: the comparison.
        ours: name and results of A.
        theirs: of B.
    """
    metrics = dict.fromkeys(pair.cell.quantity for pair in found.pairs)
    parts = [
        "# Side by side",
        "\n".join(_folder(side, *of) for side, of in (("A", ours), ("B", theirs))),
        _listed("Settings", "Both ask the same: no field of their specs differs.", found.settings),
        _listed("Machine", "Both ran on one kind of machine, with one source.", found.machines),
        *(part for metric in metrics for part in _of_metric(found, metric)),
        *_unlike(found),
        *(_alone(side, cells) for side, cells in found.alone.items() if cells),
        "## In a sentence each\n\n" + "\n".join(f"- {said}" for said in sentences(found)),
    ]
    return "\n\n".join(parts) + "\n"


def comparison_csv(found: Beside) -> str:
    """Return every compared level, arm and metric: a line each, B minus A."""
    return csv_text(COLUMNS, (_record(pair) for pair in found.pairs))


def _record(pair: Pair) -> list[object]:
    values = [pair.ours.n, pair.theirs.n, pair.ours.mean, pair.theirs.mean, pair.equal]
    if pair.judged is None:
        return [*pair.cell, *values, *[None] * 5]
    found = pair.judged.difference
    return [
        *(*pair.cell, *values, found.value, found.half_width, found.p),
        *(pair.judged.p_holm, found.paired),
    ]


def sentences(found: Beside) -> list[str]:
    """Say what became of each metric: first not compared, then worse, unclear, equal, better."""
    lines: list[tuple[tuple[int, float], str]] = []
    for metric, facts in found.unlike.items():
        told = "; ".join(f"{fact.name} is {fact.ours} in A, {fact.theirs} in B" for fact in facts)
        lines.append(((0, 0.0), f"{title(metric)} is not compared: {prose(told)}."))
    metrics = dict.fromkeys(pair.cell.quantity for pair in found.pairs)
    for metric in metrics:
        pairs = [p for p in found.pairs if p.cell.quantity == metric and p.judged is not None]
        if pairs:
            lines.append(_sentence(metric, pairs))
    return [text for _, text in sorted(lines)] or ["Nothing was measured by both."]


def _sentence(metric: str, pairs: Sequence[Pair]) -> tuple[tuple[int, float], str]:
    """Return the sentence on a metric, and its place among the others."""
    count = f"{len(pairs)} arm{'s' if len(pairs) > 1 else ''}"
    if all(pair.equal for pair in pairs):
        return (2, 2.0), f"{title(metric)}: equal to the bit in all {count}."
    rank, pair = min(((_rank(pair), pair) for pair in pairs), key=lambda ranked: ranked[0])
    assert pair.judged is not None
    held = sum(_holds(one.judged) for one in pairs if one.judged is not None)
    which = {1: "worst", 2: "nearest to it", 3: "best"}[rank[0]]
    which = "furthest" if lookup(metric).better == "neither" else which
    claim = pair.judged.sentence("that of A")
    verb = "" if claim.startswith("cannot") else "is "
    return rank, (
        f"{title(metric)}: {held} of {count} told apart after Holm's correction; "
        f"{which}: that of {_named(pair.cell)} in B {verb}{claim}."
    )


def _rank(pair: Pair) -> tuple[int, float]:
    """Order pairs: worse and told apart, not told apart, better and told apart."""
    assert pair.judged is not None
    difference, p = pair.judged.difference, pair.judged.difference.p
    sign = {"lower": 1, "higher": -1, "neither": 1}[lookup(pair.cell.quantity).better]
    p = 1.0 if p is None else p
    if not math.isfinite(difference.value):
        return 1, 0.0
    if not _holds(pair.judged):
        return 2, p
    return (1, p) if sign * difference.value > 0 else (3, p)


def _holds(judged: Judged) -> bool:
    return judged.p_holm is not None and judged.p_holm < 1 - LEVEL


def _folder(side: str, name: str, results: Results) -> str:
    plan = results.plan
    finished = sum(map(len, results.finished.values()))
    return (
        f"- {side}: {prose(name)}, {prose(plan.experiment)}, {prose(plan.tier)}: {finished} of "
        f"{len(plan.runs)} runs finished. {prose(plan.spec.question)}"
    )


def _listed(heading: str, none: str, differ: Sequence[Differs]) -> str:
    rows = [[_literal(text) for text in (d.name, d.ours, d.theirs)] for d in differ]
    return f"## {heading}\n\n" + (table(["differs", "A", "B"], rows, words=3) if rows else none)


def _literal(text: str) -> str:
    return prose(text) if "`" in text else code(text)


def _of_metric(found: Beside, metric: str) -> Iterator[str]:
    pairs = [pair for pair in found.pairs if pair.cell.quantity == metric]
    levelled = any(pair.cell.level != ONLY_LEVEL for pair in pairs)
    quantity = lookup(metric)
    arrow = {"lower": " ↓", "higher": " ↑", "neither": ""}[quantity.better]
    unit = f" ({quantity.unit})" if quantity.unit else ""
    places = decimals([pair.ours.median for pair in pairs])
    head = [*(["level"] if levelled else []), "arm", "A", "B", "B - A", "p", "p (Holm)"]
    rows = [[*([code(p.cell.level)] if levelled else []), *_row(p, places)] for p in pairs]
    yield f"## {title(metric)}{unit}{arrow}"
    yield table(head, rows, words=2 if levelled else 1)
    how = {pair.judged.difference.paired for pair in pairs if pair.judged is not None}
    both = "Means over the seeds; ± is half of the 95 % t interval"
    if how == {True}:
        both += " of the seeds' differences: every seed was the same training in both"
    elif how == {False}:
        both += ", the folders' seeds taken as independent runs (Welch)"
    yield f"{both}; p is adjusted over all comparisons of this page (Holm)."


def _row(pair: Pair, places: int) -> list[str]:
    values = [f"{number(s.mean, places)} (n={s.n})" for s in (pair.ours, pair.theirs)]
    if pair.judged is None:
        return [_arm(pair.cell), *values, "", "", ""]
    found = pair.judged.difference
    size = "equal bits" if pair.equal else plus_minus(found.value, found.half_width)
    return [_arm(pair.cell), *values, size, p_text(found.p), p_text(pair.judged.p_holm)]


def _arm(of: Cell) -> str:
    return "*real images*" if of.arm == REAL else code(of.arm)


def _named(of: Cell) -> str:
    return _arm(of) if of.level == ONLY_LEVEL else f"{_arm(of)} at {code(of.level)}"


def _unlike(found: Beside) -> Iterator[str]:
    for metric, facts in found.unlike.items():
        none = ""
        yield _listed(f"{title(metric)}: not compared, as the protocols differ", none, facts)


def _alone(side: str, cells: Sequence[Cell]) -> str:
    """Name what only one side has, metric by metric."""
    by_metric: dict[str, list[str]] = {}
    for one in cells:
        by_metric.setdefault(one.quantity, []).append(_named(one))
    lines = [f"- {title(metric)}: {', '.join(names)}." for metric, names in by_metric.items()]
    return f"## Only in {side}\n\n" + "\n".join(lines)
