"""Result tables: a column for each metric with its protocol, the best in bold, the floor last."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

from harness.ema.certificate import LIMIT
from harness.records.quantities import lookup
from harness.report.answer import best_of, main_metric, of_interest, title
from harness.report.frames import REAL, Results
from harness.report.statistics import Judged
from harness.report.tables import SummaryLine, summary
from harness.report.text import REAL_IMAGES, Block, Table, code, strong
from harness.report.wording import decimals, number, p_text, plus_minus
from harness.spec.vocabulary import RAW


def main_table(results: Results) -> list[Block]:
    """Return the main metric by arm, or by level for the arms of interest; empty without one."""
    metric = main_metric(results)
    lines = [line for line in summary(results) if line.cell.quantity == metric]
    if not lines:
        return []
    if len(results.plan.levels) == 1:
        return [_arm_table(lines)]
    arms = of_interest(lines)
    measured = [line for arm in arms for line in lines if line.cell.arm == arm]
    return [_level_table([*measured, *_distinct_real(results, lines)], results.plan.levels[0])]


def _arm_table(lines: Sequence[SummaryLine]) -> Table:
    head = [
        "arm",
        "half-life (kimg)",
        *_value_head(lines[0]),
        f"difference to {code(RAW)}",
        "p (Holm)",
    ]
    head = [*head, "EMA error"]
    values = _values(lines)
    rows = [
        [_arm_name(line), _half_life(line), *value, *_difference(line.to_raw), _error(line)]
        for line, value in zip(lines, values, strict=True)
    ]
    return Table(head, _real_last(lines, rows))


def _level_table(lines: Sequence[SummaryLine], first: str) -> Table:
    head = ["level", "arm", *_value_head(lines[0]), f"difference to {code(first)}", "p (Holm)"]
    values = _values(lines)
    rows = [
        [code(line.cell.level), _arm_name(line), *value, *_difference(line.to_first)]
        for line, value in zip(lines, values, strict=True)
    ]
    return Table(head, _real_last(lines, rows), words=2)


def _distinct_real(results: Results, lines: Sequence[SummaryLine]) -> list[SummaryLine]:
    """Return one line of the real images for each set of them that some level uses."""
    found: dict[tuple[str, int], SummaryLine] = {}
    for line in lines:
        spec = results.run(line.cell.level).spec
        if line.cell.arm == REAL:
            found.setdefault((spec.data.model_dump_json(), spec.model.out_scale), line)
    return [*found.values()]


def _real_last(lines: Sequence[SummaryLine], rows: Sequence[list[str]]) -> list[list[str]]:
    real = [row for line, row in zip(lines, rows, strict=True) if line.cell.arm == REAL]
    return [row for row in rows if row not in real] + real


def _value_head(line: SummaryLine) -> list[str]:
    return ["seeds", _metric_head(line.cell.quantity), "min to max", "best during training"]


def _values(lines: Sequence[SummaryLine]) -> list[list[str]]:
    """Return seeds, median, range and best value; the best median and best value in bold."""
    metric = lines[0].cell.quantity
    measured = {str(i): line for i, line in enumerate(lines) if line.cell.arm != REAL}
    last = best_of({i: line.last.median for i, line in measured.items()}, metric)
    early = best_of({i: line.best for i, line in measured.items()}, metric)
    # By the typical arm, so that one that failed does not take the digits of the others.
    places = decimals([median_low([line.last.median for line in lines])])
    cells = []
    for i, line in enumerate(lines):
        seen = "" if line.cell.arm == REAL or early is None else number(line.best, places)
        span = f"{number(line.last.low, places)} to {number(line.last.high, places)}"
        median = _bold(number(line.last.median, places), str(i) == last)
        cells.append([str(line.last.n), median, span, _bold(seen, str(i) == early)])
    return cells


def _difference(judged: Judged | None) -> list[str]:
    if judged is None:
        return ["", ""]
    difference = judged.difference
    return [plus_minus(difference.value, difference.half_width), p_text(judged.p_holm)]


def _bold(text: str, best: bool) -> str:
    return strong(text) if best else text


def _arm_name(line: SummaryLine) -> str:
    return REAL_IMAGES if line.cell.arm == REAL else code(line.cell.arm)


def _half_life(line: SummaryLine) -> str:
    return number(line.arm.half_life_kimg) if line.arm is not None else ""


def _error(line: SummaryLine) -> str:
    """Return one digit of it, and say so where it is too large."""
    if line.ema_error is None:
        return ""
    return f"{line.ema_error:.0e}" + (
        "" if line.ema_error <= LIMIT else f" {strong('not this average')}"
    )


def _metric_head(metric: str) -> str:
    quantity = lookup(metric)
    arrow = {"lower": " ↓", "higher": " ↑", "neither": ""}[quantity.better]
    return title(metric) + (f" ({quantity.unit})" if quantity.unit else "") + arrow


def other_metrics(results: Results) -> list[Block]:
    """Return medians of the other metrics: a column for each protocol, never two in one."""
    lines = {tuple(line.cell): line for line in summary(results)}
    measured = dict.fromkeys(metric for _, _, metric in lines)
    metrics = [metric for metric in measured if metric != main_metric(results)]
    if not metrics:
        return []
    rows = list(dict.fromkeys((level, arm) for level, arm, _ in lines))
    rows = [row for row in rows if row[1] != REAL] + [row for row in rows if row[1] == REAL]
    columns = []
    for metric in metrics:
        own = {row: lines[*row, metric] for row in rows if (*row, metric) in lines}
        texts = zip(own, _values(list(own.values())), strict=True)
        columns.append({row: f"{median} ({span})" for row, (_, median, span, _) in texts})
    levelled = len(results.plan.levels) > 1
    body = [
        [*([code(level)] if levelled else []), REAL_IMAGES if arm == REAL else code(arm)]
        + [column.get((level, arm), "") for column in columns]
        for level, arm in rows
    ]
    words = ["level", "arm"] if levelled else ["arm"]
    head = [*words, *(_metric_head(metric) for metric in metrics)]
    return [Table(head, body, words=len(words))]


def within_levels(results: Results) -> list[Block]:
    """Return every arm of each level against raw; nothing where there is one level or arm."""
    metric = main_metric(results)
    lines = [line for line in summary(results) if line.cell.quantity == metric]
    if len(results.plan.levels) == 1 or not any(line.to_raw for line in lines):
        return []
    return [
        block
        for level in results.plan.levels
        if (own := [line for line in lines if line.cell.level == level])
        for block in (code(level), _arm_table(own))
    ]
