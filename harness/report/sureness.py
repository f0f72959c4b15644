"""How sure a report is: what stands below its main table, and a section of its own."""

from __future__ import annotations

from harness.report.answer import main_metric, title
from harness.report.frames import Results
from harness.report.tables import summary
from harness.report.text import Block, Folded, Items, Table, emphasis, strong
from harness.report.uncertainty import (
    comparisons,
    interval_text,
    noises,
    percent_text,
    small_samples,
)


def flags(results: Results, main: bool) -> list[Block]:
    """Return what is wrong with FID, to be said below the table that it stands in.

    Args:
        results: the evidence.
        main: whether that is the main table.
    """
    is_main = (main_metric(results) or "").partition("[")[0] == "fid"
    if is_main != main:
        return []
    caution = strong("Caution.")
    return [f"{caution} {text}" for text in small_samples(results)]


def main_noise(results: Results) -> list[Block]:
    """Return what fresh latents and seeds move the main metric by; empty if not measured."""
    metric = main_metric(results)
    return next(([found.sentence] for found in noises(results) if found.metric == metric), [])


def each_comparison(results: Results) -> list[Block]:
    """Return a sentence for each comparison in the main metric, folded away."""
    sentences = [f"{found.sentence}." for found in comparisons(results)]
    return [Folded("Each comparison in a sentence", [Items(sentences)])] if sentences else []


def reading(results: Results) -> list[Block]:
    """Return how to read the main table, folded away."""
    if not results.metrics:
        return []
    lines = summary(results)
    typical, again = "Medians", ""
    if any(line.middle is not None for line in lines):
        typical = "Interquartile means with 95 % bootstrap intervals, all"
    if any(line.again is not None for line in lines):
        name = emphasis("That best on fresh latents")
        again = (
            f" {name} is what the same weights score on other latents, "
            "median and range over the seeds: without the luck of the latents it was picked by."
        )
    pairing = "The arms of a run share its trajectory and latents, so seeds are compared in pairs"
    if len(results.plan.levels) > 1:
        pairing = "Levels are trained apart and taken as independent (Welch)"
    best, real = emphasis("Best during training"), emphasis("Real images")
    text = (
        f"{typical} over the seeds that finished, at the end of training. "
        f"{pairing}; ± is half of the 95 % t interval, and the smallest difference that these "
        "seeds could show. p is adjusted over all comparisons of its kind in the metric (Holm). "
        f"{best} is the median over seeds of each one's best evaluation at the final resolution: "
        f"it is picked by looking, so it flatters.{again} {real} is the same metric of the real "
        "images themselves; for distances, between two random halves of them."
    )
    return [Folded("How to read the table", [text])]


def noise_table(results: Results) -> list[Block]:
    """Return each metric's evaluation noise, spread over seeds, and share of the one in the other.

    Empty where nothing was measured on fresh latents.
    """
    head = [
        "metric",
        "s.d. over fresh latents",
        "s.d. over seeds",
        "evaluation's share of variance",
    ]
    rows = [
        [
            title(found.metric),
            interval_text(found.parts.evaluation),
            interval_text(found.parts.total),
            percent_text(found.parts.share),
        ]
        for found in noises(results)
    ]
    return [Table(head, rows)] if rows else []
