"""How sure a report is, in Markdown: below its main table, and in a section of its own."""

from __future__ import annotations

from harness.report.answer import main_metric, title
from harness.report.frames import Results
from harness.report.tables import summary
from harness.report.uncertainty import (
    comparisons,
    interval_text,
    noises,
    percent_text,
    small_samples,
)
from harness.report.wording import table


def flags(results: Results, main: bool) -> list[str]:
    """Return what is wrong with FID, to be said below the table that it stands in.

    Args:
        results: the evidence.
        main: whether that is the main table.
    """
    is_main = (main_metric(results) or "").partition("[")[0] == "fid"
    return [f"**Caution.** {text}" for text in small_samples(results) if is_main == main]


def main_noise(results: Results) -> str:
    """Return what fresh latents and seeds move the main metric by; empty if not measured."""
    metric = main_metric(results)
    return next((found.sentence for found in noises(results) if found.metric == metric), "")


def each_comparison(results: Results) -> str:
    """Return a sentence for each comparison in the main metric, folded away."""
    sentences = "\n".join(f"- {found.sentence}." for found in comparisons(results))
    return _folded("Each comparison in a sentence", sentences) if sentences else ""


def reading(results: Results) -> str:
    """Return how to read the main table, folded away."""
    if not results.metrics:
        return ""
    lines = summary(results)
    typical, again = "Medians", ""
    if any(line.middle is not None for line in lines):
        typical = "Interquartile means with 95 % bootstrap intervals, all"
    if any(line.again is not None for line in lines):
        again = (
            " *That best on fresh latents* is what the same weights score on other latents, "
            "median and range over the seeds: without the luck of the latents it was picked by."
        )
    pairing = "The arms of a run share its trajectory and latents, so seeds are compared in pairs"
    if len(results.plan.levels) > 1:
        pairing = "Levels are trained apart and taken as independent (Welch)"
    return _folded(
        "How to read the table",
        f"{typical} over the seeds that finished, at the end of training. "
        f"{pairing}; ± is half of the 95 % t interval, and the smallest difference that these "
        "seeds could show. p is adjusted over all comparisons of its kind in the metric (Holm). "
        "*Best during training* is the median over seeds of each one's best evaluation at the "
        f"final resolution: it is picked by looking, so it flatters.{again} *Real images* is the "
        "same metric of the real images themselves; for distances, between two random halves of "
        "them.",
    )


def noise_table(results: Results) -> str:
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
    return table(head, rows) if rows else ""


def _folded(heading: str, body: str) -> str:
    return f"<details><summary>{heading}</summary>\n\n{body}\n\n</details>"
