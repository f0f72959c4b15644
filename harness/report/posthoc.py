"""Averages rebuilt after training: one metric over the EMA's length, from one run a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.plan.expand import ONLY_LEVEL
from harness.records.protocols import plain
from harness.records.quantities import lookup
from harness.report.answer import best_of, main_metric, title
from harness.report.frames import Cell, Results
from harness.report.protocols import splits
from harness.report.statistics import Judged, Spread, judged, spread
from harness.report.tables import difference_to_raw
from harness.report.text import Block, Table, code, emphasis, markdown
from harness.report.wording import decimals, number, p_text, plus_minus
from harness.spec.schema import live_twins, rebuilt_arms
from harness.spec.vocabulary import RAW


@dataclass(frozen=True, slots=True)
class Length:
    """One rebuilt average at one level, over the finished runs' seeds.

    Args:
        cell: level, arm and metric.
        sigma_rel: the average's relative width.
        kimg: the same in thousands of images: the standard deviation of the times it averages.
        value: the metric at the end of training.
        to_raw: paired difference to raw, judged over all widths of the level.
        misfit: largest relative distance of the rebuilt density to the one asked for.
        twin: the shadow that was averaged in training as this one was rebuilt, if there is one.
        error: largest relative difference of its weights to the twin's, over the seeds.
    """

    cell: Cell
    sigma_rel: float
    kimg: float
    value: Spread
    to_raw: Judged | None
    misfit: float | None
    twin: str | None
    error: float | None


def lengths(results: Results, level: str, metric: str) -> list[Length]:
    """Return a level's rebuilt averages that have a finished run, the narrowest first."""
    spec = results.run(level).spec
    twins = {arm: name for name, arm in live_twins(spec).items()}
    widths = sorted(rebuilt_arms(spec).items(), key=lambda pair: pair[1])
    cells = {name: Cell(level, name, metric) for name, _ in widths}
    found = [(name, width) for name, width in widths if results.last(cells[name])]
    compared = judged([difference_to_raw(results, cells[name]) for name, _ in found])
    return [
        Length(
            cells[name],
            width,
            width * spec.kimg,
            spread([*results.last(cells[name]).values()]),
            to_raw,
            _most(results, level, name, "posthoc_misfit"),
            twins.get(name),
            _most(results, level, twins[name], "posthoc_error") if name in twins else None,
        )
        for (name, width), to_raw in zip(found, compared, strict=True)
    ]


def rebuilt_answers(results: Results) -> list[str]:
    """Return ``rebuilt_texts`` as Markdown."""
    return [*map(markdown, rebuilt_texts(results))]


def rebuilt_texts(results: Results) -> list[str]:
    """Say for each level which length is best in the main metric, and how surely."""
    found = (
        (level, lengths(results, level, metric))
        for metric in of_protocols(results)
        for level in results.plan.levels
    )
    return [text for level, every in found if every and (text := _answer(level, every))]


def of_protocols(results: Results) -> list[str]:
    """Return the main metric by each name that it has got: one for every protocol."""
    metric = main_metric(results) or ""
    return splits(results).get(plain(metric), [metric])


def rebuilt_table(results: Results) -> list[Block]:
    """Return the main metric by rebuilt length, beside the live shadows; empty without any."""
    return [block for name in of_protocols(results) for block in _rebuilt_table(results, name)]


def _rebuilt_table(results: Results, metric: str) -> list[Block]:
    found = [one for level in results.plan.levels for one in lengths(results, level, metric)]
    if not found:
        return []
    levelled = len(results.plan.levels) > 1
    head = [*(["level"] if levelled else []), "sigma_rel", "width (kimg)", "seeds", title(metric)]
    head += ["min to max", f"difference to {code(RAW)}", "p (Holm)", "density off by"]
    head += ["live shadow", "its value", "its weights off by"]
    places = decimals([one.value.median for one in found])
    rows = [
        [*([code(one.cell.level)] if levelled else []), *_row(results, one, places)]
        for one in found
    ]
    return [Table(head, rows), _READING]


_READING = (
    "Each line is an average that was not kept in training but rebuilt from snapshots of two "
    f"(arXiv 2312.02696, section 3.2). {emphasis('Width')} is the standard deviation of the times "
    f"that it averages over. {emphasis('Density off by')} is the relative distance of the rebuilt "
    "weighting of time to the one asked for. Where a shadow of the same width was averaged in "
    "training, its metric and the largest relative difference of the two networks' weights over "
    "the seeds stand beside it."
)


def _answer(level: str, every: Sequence[Length]) -> str:
    by_arm = {one.cell.arm: one for one in every}
    metric = every[0].cell.quantity
    best = best_of({arm: one.value.median for arm, one in by_arm.items()}, metric)
    if best is None:
        return ""
    one = by_arm[best]
    superlative = {"lower": "lowest", "higher": "highest"}[lookup(metric).better]
    opening = "Of" if level == ONLY_LEVEL else f"With {code(level)}, of"
    text = (
        f"{opening} {len(every)} EMA lengths rebuilt after training, sigma_rel {one.sigma_rel:g} "
        f"({number(one.kimg)} kimg) has the {superlative} {title(metric)}: "
        f"{number(one.value.median)}"
    )
    if one.to_raw is None:
        return f"{text}."
    claim = one.to_raw.sentence(code(RAW))
    return f"{text}; it {'' if claim.startswith('cannot') else 'is '}{claim}."


def _most(results: Results, level: str, arm: str, quantity: str) -> float | None:
    return max(results.last(Cell(level, arm, quantity)).values(), default=None)


def _row(results: Results, one: Length, places: int) -> list[str]:
    value, against = one.value, one.to_raw
    twin = [] if one.twin is None else [*results.last(one.cell._replace(arm=one.twin)).values()]
    return [
        f"{one.sigma_rel:g}",
        number(one.kimg),
        str(value.n),
        number(value.median, places),
        f"{number(value.low, places)} to {number(value.high, places)}",
        plus_minus(against.difference.value, against.difference.half_width) if against else "",
        p_text(against.p_holm) if against else "",
        _percent(one.misfit),
        "" if one.twin is None else code(one.twin),
        number(spread(twin).median, places) if twin else "",
        _percent(one.error),
    ]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2g} %"
