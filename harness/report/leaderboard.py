"""Result tables: a column for each metric with its protocol, the best in bold, the floor last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median_low

from harness.ema.certificate import LIMIT
from harness.records.protocols import plain
from harness.records.quantities import lookup
from harness.report.answer import best_of, main_metric, of_interest, title
from harness.report.frames import REAL, Results
from harness.report.protocols import parts
from harness.report.statistics import Judged, Spread
from harness.report.tables import SummaryLine, summary
from harness.report.text import REAL_IMAGES, Block, Table, code, strong
from harness.report.wording import decimals, number, p_text, plus_minus
from harness.spec.vocabulary import RAW


def main_table(results: Results) -> list[Block]:
    """Return the main metric by arm, or by level for the arms of interest; a table a protocol."""
    return _each(results, _main_table)


def _each(results: Results, write: Callable[[Results], list[Block]]) -> list[Block]:
    return [block for one in parts(results, main_metric(results)) for block in write(one)]


def _main_table(results: Results) -> list[Block]:
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
        *_value_head(lines),
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
    head = ["level", "arm", *_value_head(lines), f"difference to {code(first)}", "p (Holm)"]
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


def _value_head(lines: Sequence[SummaryLine]) -> list[str]:
    metric = _metric_head(lines[0].cell.quantity)
    head = ["seeds", metric, "min to max", "best during training"]
    if lines[0].middle is not None:
        head[1:3] = [f"{metric}, interquartile mean", "95 % interval"]
    if _again(lines):
        head.append("that best on fresh latents")
    return head


def _values(lines: Sequence[SummaryLine]) -> list[list[str]]:
    """Return seeds, typical value, its span and best value, and that best measured again.

    The best of each column in bold.
    """
    metric = lines[0].cell.quantity
    values = [line.typical for line in lines]
    measured = {str(i): line for i, line in enumerate(lines) if line.cell.arm != REAL}
    last = best_of({i: values[int(i)].value for i in measured}, metric)
    early = best_of({i: line.best for i, line in measured.items()}, metric)
    again = {i: line.again.median for i, line in measured.items() if line.again is not None}
    luckless = best_of(again, metric)
    # By the typical arm, so that one that failed does not take the digits of the others.
    places = decimals([median_low([value.value for value in values])])
    cells, again_shown = [], _again(lines)
    for i, (line, value) in enumerate(zip(lines, values, strict=True)):
        seen = "" if line.cell.arm == REAL or early is None else number(line.best, places)
        middle = _bold(number(value.value, places), str(i) == last)
        span = f"{number(value.low, places)} to {number(value.high, places)}"
        cells.append([str(line.last.n), middle, span, _bold(seen, str(i) == early)])
        if again_shown:
            cells[-1].append(_again_text(line.again, places, str(i) == luckless))
    return cells


def _again(lines: Sequence[SummaryLine]) -> bool:
    return any(line.again is not None for line in lines)


def _again_text(found: Spread | None, places: int, best: bool) -> str:
    if found is None:
        return ""
    middle, low, high = (number(v, places) for v in (found.median, found.low, found.high))
    middle = _bold(middle, best)
    return f"{middle} ({low} to {high})" if found.n > 1 else middle


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
    main = plain(main_metric(results) or "")
    metrics = [metric for metric in measured if plain(metric) != main]
    if not metrics:
        return []
    rows = list(dict.fromkeys((level, arm) for level, arm, _ in lines))
    rows = [row for row in rows if row[1] != REAL] + [row for row in rows if row[1] == REAL]
    columns = []
    for metric in metrics:
        own = {row: lines[*row, metric] for row in rows if (*row, metric) in lines}
        texts = zip(own, _values(list(own.values())), strict=True)
        columns.append({row: f"{median} ({span})" for row, (_, median, span, *_) in texts})
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
    return _each(results, _within_levels)


def _within_levels(results: Results) -> list[Block]:
    metric = main_metric(results)
    lines = [line for line in summary(results) if line.cell.quantity == metric]
    if len(results.plan.levels) == 1 or not any(line.to_raw for line in lines):
        return []
    of_level: dict[str, list[SummaryLine]] = {}
    for line in lines:
        of_level.setdefault(line.cell.level, []).append(line)
    return [
        block
        for level in results.plan.levels
        if level in of_level
        for block in (code(level), _arm_table(of_level[level]))
    ]
