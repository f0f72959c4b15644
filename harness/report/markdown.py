"""A report that answers at once, for people who read it on GitHub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.report import provenance
from harness.report.answer import MOST_LEVELS, answer, answer_text, main_metric, title
from harness.report.frames import Results
from harness.report.leaderboard import main_table, other_metrics, within_levels
from harness.report.posthoc import rebuilt_answers, rebuilt_table
from harness.report.predicted import beside_actual
from harness.report.sureness import each_comparison, flags, main_noise, noise_table, reading
from harness.report.text import Block, Table, code, markdown_blocks
from harness.report.wording import number, prose
from harness.spec.vocabulary import RAW

PICTURES = {
    "curves.png": "{metric} over training: median and range over the seeds",
    "reduce_lr.png": "Watched metric, its best value and the learning rate, one seed a level",
    "ema.png": "{metric} over the EMA's half-life: median and range over the seeds",
    "posthoc.png": "{metric} over the EMA's relative width, each width rebuilt from snapshots of "
    "one run a seed: median and range over the seeds",
    "samples.png": "Real images, then the same latents for raw and every shadow, one run",
    "training.gif": "Raw beside the best shadow over training, the same latents in every frame, "
    "one run",
    "neighbours.png": "Samples of one run, each beside the 3 real images nearest to it in the "
    "extractor's features; below, their distance over the real images' median distance to the "
    "nearest other one: far below 1 speaks for a copy",
}
"""Pictures of a results folder with their captions, in the report's order."""
OF_ONE_RUN = ("samples.png", "training.gif", "neighbours.png")
"""Those drawn from what a run has kept, not from rows."""


def report(results: Results, pictures: Iterable[str]) -> str:
    """Return ``report.md``.

    Args:
        results: the evidence.
        pictures: which of ``PICTURES`` stand beside the report.
    """
    plan = results.plan
    shown = set(pictures)
    parts = [
        f"# {prose(plan.experiment)}, {prose(plan.tier)}",
        f"**Question.** {prose(plan.spec.question)}",
        f"**Answer.** {' '.join([answer(results), *rebuilt_answers(results)])}",
        markdown_blocks(result(results)),
        *(_picture(results, name) for name in PICTURES if name in shown),
        *(f"## {head}\n\n{markdown_blocks(body)}" for head, body in sections(results).items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def result(results: Results) -> list[Block]:
    """Return the main table and what helps to read it."""
    return [
        *main_table(results),
        *flags(results, main=True),
        *main_noise(results),
        *reading(results),
        *each_comparison(results),
    ]


def sections(results: Results) -> Mapping[str, list[Block]]:
    """Return what follows the main table and the pictures, by heading, in order."""
    every = {
        "Every arm within its level": within_levels(results),
        "EMA lengths rebuilt after training": rebuilt_table(results),
        "Other metrics": [*other_metrics(results), *flags(results, main=False)],
        "Evaluation noise": noise_table(results),
        "Arms": _arms(results),
        "Protocol": provenance.protocol(results),
        "Cost": [*provenance.cost(results), *beside_actual(results)],
        "Runs": provenance.outcomes(results),
        "Machine": provenance.machine(results),
        "Reproduce": provenance.reproduce(results),
    }
    return {heading: blocks for heading, blocks in every.items() if blocks}


def readme_table(results: Results) -> str:
    """Return the answer and the main table, for a block of the README."""
    parts = [answer_text(results), *main_table(results), *flags(results, main=True)]
    return markdown_blocks(parts)


def _picture(results: Results, name: str) -> str:
    metric = main_metric(results)
    caption = PICTURES[name].format(metric=title(metric) if metric else "")
    levels = len(results.plan.levels)
    if levels > MOST_LEVELS and name not in OF_ONE_RUN:
        caption += f"; of {levels} levels the first and the best"
    return f"![{caption}]({name})\n\n*{caption}.*"


def _arms(results: Results) -> list[Block]:
    head = ["arm", "mode", "momentum", "decay", "half-life (kimg)", "span of the run"]
    head += ["updated every (it)", "from (it)"]
    rows = [
        [
            *(code(arm.name), arm.interp_mode, _exact(arm.momentum), _exact(arm.decay)),
            *(number(arm.half_life_kimg), "" if arm.span is None else f"{arm.span:.1%}"),
            *(str(arm.interval), str(arm.start_iter)),
        ]
        for arm in results.plan.arms
        if arm.name != RAW
    ]
    return [Table(head, rows, words=2)] if rows else []


def _exact(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
