"""How sure the numbers are, in values and in sentences: what a report says of its uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.plan.expand import ONLY_LEVEL
from harness.report.again import noise
from harness.report.answer import main_metric, title
from harness.report.frames import Cell, Results
from harness.report.intervals import Components, Interval
from harness.report.statistics import Judged
from harness.report.tables import summary
from harness.report.text import code
from harness.report.wording import decimals, number
from harness.spec.sample_size import too_few
from harness.spec.vocabulary import RAW

SMALL, LARGE = 0.1, 0.5
"""Shares of evaluation in the variance over seeds, below and above which it is said outright."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a report.

    Args:
        cell: what was compared.
        reference: with what: ``raw`` of the same runs, or the same arm at the first level.
        judged: the difference, adjusted over all comparisons of its kind.
        sentence: what it shows, in one plain sentence without an end.
    """

    cell: Cell
    reference: Cell
    judged: Judged
    sentence: str


@dataclass(frozen=True, slots=True)
class Noise:
    """How far fresh latents and other seeds move one metric.

    Args:
        metric: with its protocol.
        parts: evaluation's and training's, over all arms and levels.
        sentence: what they say, one or two plain sentences.
    """

    metric: str
    parts: Components
    sentence: str


def comparisons(results: Results) -> list[Comparison]:
    """Return every comparison in the main metric: with raw, then with the first level."""
    lines = [line for line in summary(results) if line.cell.quantity == main_metric(results)]
    first = results.plan.levels[0]
    found = [
        *((line.cell, line.cell._replace(arm=RAW), line.to_raw) for line in lines),
        *((line.cell, line.cell._replace(level=first), line.to_first) for line in lines),
    ]
    return [
        Comparison(cell, reference, judged, _said(cell, reference, judged))
        for cell, reference, judged in found
        if judged is not None
    ]


def noises(results: Results) -> list[Noise]:
    """Return what fresh latents move, for each metric measured on them, the spec's order."""
    every = ((metric, noise(results, metric)) for metric in results.metrics)
    return [
        Noise(metric, parts, _noise_sentence(title(metric), parts))
        for metric, parts in every
        if parts is not None and math.isfinite(parts.evaluation.value)
    ]


def small_samples(results: Results) -> tuple[str, ...]:
    """Return a sentence for each set of images, of any level, too small for its FID."""
    levels = results.plan.levels
    found: dict[str, list[str]] = {}
    for level in levels:
        for few in too_few(results.run(level).spec, _real_images(results)):
            found.setdefault(few.sentence, []).append(level)
    return tuple(
        sentence if own == list(levels) else f"{', '.join(map(code, own))}: {sentence}"
        for sentence, own in found.items()
    )


def _real_images(results: Results) -> int | None:
    """Return how many real images FID was measured against; None where that is not one number."""
    facts = [one.facts for name, one in results.protocols.items() if name.startswith("fid[")]
    counts = {own.get("real_images", own.get("reference_images")) for own in facts}
    count = counts.pop() if len(counts) == 1 else None
    return count if isinstance(count, int) else None


def _said(cell: Cell, reference: Cell, judged: Judged) -> str:
    level = "" if cell.level == ONLY_LEVEL else f"{code(cell.level)}, "
    other = reference.arm if reference.level == cell.level else reference.level
    predicate = judged.sentence(code(other))
    verb = "" if predicate.startswith("cannot") else "is "
    return f"{level}{code(cell.arm)} {verb}{predicate}"


def _noise_sentence(name: str, parts: Components) -> str:
    begin = f"Fresh latents on the same weights move {name} by {interval_text(parts.evaluation)}"
    counts = f"standard deviations with 95 % intervals, {parts.sets} sets of latents"
    if parts.total is None or parts.share is None:
        return f"{begin} ({counts}); one seed says nothing of training."
    return (
        f"{begin}, seeds by {interval_text(parts.total)} ({counts}, {parts.runs} runs): "
        f"{_verdict(parts.share)}."
    )


def _verdict(share: Interval) -> str:
    size = f"{percent_text(share)} of the variance"
    if share.value < SMALL and share.high < LARGE:
        return f"the difference between seeds is training's, evaluation has {size}"
    if share.low > LARGE:
        return f"most of the difference between seeds is evaluation's, {size}: measure more images"
    return f"evaluation has {size} between seeds"


def interval_text(found: Interval | None) -> str:
    """Return an estimate to two digits, with its bounds; empty for None."""
    if found is None:
        return ""
    places = decimals([found.value], 2)
    value, low, high = (number(v, places) for v in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def percent_text(found: Interval | None) -> str:
    """Return a share in percent, with its bounds; empty for None."""
    if found is None:
        return ""
    shares = [100 * share for share in (found.value, found.low, found.high)]
    value, low, high = (number(share, 0 if share >= 10 else 1) for share in shares)
    return f"{value} % ({low} to {high} %)"
