"""The answer to a spec's question in a few sentences, each with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.records.quantities import lookup
from harness.report.frames import REAL, Results
from harness.report.protocols import parts, told
from harness.report.statistics import Judged
from harness.report.tables import SummaryLine, difference_between, summary
from harness.report.text import code, markdown
from harness.report.wording import number
from harness.spec.vocabulary import RAW

MOST_LEVELS = 6
"""Of one figure: panels and lines of more of them cover each other."""


def answer(results: Results) -> str:
    """Return ``answer_text`` as Markdown."""
    return markdown(answer_text(results))


def answer_text(results: Results) -> str:
    """Say which arm, or which level, is best in the main metric, and how surely.

    Numbers of several protocols are answered for one after another.
    """
    return " ".join([*told(results), *map(_answer, parts(results, main_metric(results)))])


def _answer(results: Results) -> str:
    metric = main_metric(results)
    lines = [line for line in summary(results) if line.cell.quantity == metric]
    if metric is None or not lines:
        return "No run has finished with a measured metric, so nothing can be said."
    if lookup(metric).better == "neither":
        return f"{title(metric)} has no better direction: the table stands for itself."
    if len(results.plan.levels) > 1:
        return " ".join(_of_levels(results, lines, arm) for arm in of_interest(lines))
    return _of_arms(results, [line for line in lines if line.cell.arm != REAL])


def main_metric(results: Results) -> str | None:
    """Return the first measured metric that has a better direction, else the first."""
    directed = [metric for metric in results.metrics if lookup(metric).better != "neither"]
    return next(iter([*directed, *results.metrics]), None)


def title(metric: str) -> str:
    """Return a metric's name with its protocol: ``FID[digits-cnn]``."""
    _, bracket, protocol = metric.partition("[")
    return lookup(metric).title + bracket + protocol


def best_of(values: Mapping[str, float], metric: str) -> str | None:
    """Return the name of the best finite value, the first of equals; None without a direction."""
    return next(iter(ranking(values, metric)), None)


def ranking(values: Mapping[str, float], metric: str) -> list[str]:
    """Return the names of the finite values, the best first and equals in their order.

    None without a direction.
    """
    known = [name for name, value in values.items() if math.isfinite(value)]
    sign = {"lower": 1, "higher": -1, "neither": 0}[lookup(metric).better]
    return sorted(known, key=lambda name: sign * values[name]) if sign else []


def of_interest(lines: Sequence[SummaryLine]) -> list[str]:
    """Return raw and the shadow with the best mean of the levels' typical values, in one metric."""
    typical: dict[str, list[float]] = {}
    for line in lines:
        typical.setdefault(line.cell.arm, []).append(line.typical.value)
    means = {name: sum(t) / len(t) for name, t in typical.items() if name not in {RAW, REAL}}
    shadow = best_of(means, lines[0].cell.quantity) if means else None
    return [name for name in (RAW, shadow) if name in typical]


def shown_levels(results: Results) -> tuple[str, ...]:
    """Return the levels that fit into a figure, in the plan's order: the first, and the best.

    The best are those of the arm of interest with the best values; the tables hold all.
    """
    levels, metric = results.plan.levels, main_metric(results)
    lines = [line for line in summary(results) if line.cell.quantity == metric]
    if len(levels) <= MOST_LEVELS or not lines:
        return levels[:MOST_LEVELS]
    arm = of_interest(lines)[-1]
    ranked = _ranked({line.cell.level: line for line in lines if line.cell.arm == arm})
    best = [level for level in [*ranked, *levels] if level != levels[0]]
    chosen = {levels[0], *list(dict.fromkeys(best))[: MOST_LEVELS - 1]}
    return tuple(level for level in levels if level in chosen)


def _of_arms(results: Results, lines: Sequence[SummaryLine]) -> str:
    by_arm = {line.cell.arm: line for line in lines}
    ranked = _ranked(by_arm)
    if not ranked:
        return _NOTHING_FINITE
    best, *rest = ranked
    if best == RAW:
        return _none_better("No shadow has", by_arm, ranked)
    text = _leads(by_arm[best], best) + _claim(by_arm[best].to_raw, RAW)
    rivals = [name for name in rest if name != RAW]
    return f"{text} {_against(results, by_arm[best], rivals[0])}" if rivals else text


def _of_levels(results: Results, lines: Sequence[SummaryLine], arm: str) -> str:
    by_level = {line.cell.level: line for line in lines if line.cell.arm == arm}
    ranked = _ranked(by_level)
    first = results.plan.levels[0]
    if not ranked:
        return f"With {code(arm)}: {_NOTHING_FINITE}"
    if ranked[0] == first:
        return _none_better(f"With {code(arm)}, no level has", by_level, ranked)
    best = by_level[ranked[0]]
    return f"With {code(arm)}, {_leads(best, ranked[0])}{_claim(best.to_first, first)}"


_NOTHING_FINITE = "No value is finite, so nothing can be said."


def _ranked(lines: Mapping[str, SummaryLine]) -> list[str]:
    """Return the names with finite typical values, the best first."""
    values = {name: line.typical.value for name, line in lines.items()}
    return ranking(values, next(iter(lines.values())).cell.quantity) if lines else []


def _leads(line: SummaryLine, name: str) -> str:
    superlative = {"lower": "lowest", "higher": "highest"}[lookup(line.cell.quantity).better]
    return f"{code(name)} has the {superlative} {title(line.cell.quantity)}: {_value(line)}."


def _value(line: SummaryLine) -> str:
    if line.middle is not None:
        low, high = (number(bound) for bound in (line.middle.low, line.middle.high))
        return (
            f"{number(line.middle.value)}, the interquartile mean of {line.last.n} seeds "
            f"(95 % bootstrap interval {low} to {high})"
        )
    seeds = f"the median of {line.last.n} seeds" if line.last.n > 1 else "from one seed"
    return f"{number(line.last.median)}, {seeds}"


def _claim(judged: Judged | None, reference: str) -> str:
    if judged is None:
        return ""
    text = judged.sentence(code(reference))
    return f" It {text}." if text.startswith("cannot") else f" It is {text}."


def _none_better(opening: str, lines: Mapping[str, SummaryLine], ranked: Sequence[str]) -> str:
    name, *rest = ranked
    metric = lines[name].cell.quantity
    than = f"{lookup(metric).better} {title(metric)} than {code(name)}"
    if not rest:
        return f"{title(metric)} of {code(name)}, the only one measured: {_value(lines[name])}."
    nearest = lines[rest[0]]
    claim = _claim(nearest.to_first if name == lines[name].cell.level else nearest.to_raw, name)
    return f"{opening} a {than}: {_value(lines[name])}. The nearest is {code(rest[0])}.{claim}"


def _against(results: Results, line: SummaryLine, rival: str) -> str:
    difference = difference_between(results, line.cell, line.cell._replace(arm=rival))
    verb = "can" if difference is not None and difference.told_apart else "cannot"
    below = difference is not None and difference.below_noise
    noise = ": fresh latents alone move their difference by more than it is" if below else ""
    return (
        f"From the next best shadow, {code(rival)}, it {verb} be told apart (paired, "
        f"unadjusted){noise}."
    )
