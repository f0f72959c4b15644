"""A report that answers at once, for people who read it on GitHub."""

from __future__ import annotations

from collections.abc import Iterable

from harness.report import provenance
from harness.report.answer import MOST_LEVELS, answer, main_metric, title
from harness.report.frames import Results
from harness.report.leaderboard import main_table, other_metrics, within_levels
from harness.report.posthoc import rebuilt_answers, rebuilt_table
from harness.report.sureness import each_comparison, flags, main_noise, noise_table, reading
from harness.report.wording import code, number, prose, table
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
        main_table(results),
        *flags(results, main=True),
        main_noise(results),
        reading(results),
        each_comparison(results),
        *(_picture(results, name) for name in PICTURES if name in shown),
        *_section("Every arm within its level", within_levels(results)),
        *_section("EMA lengths rebuilt after training", rebuilt_table(results)),
        *_section("Other metrics", other_metrics(results)),
        *flags(results, main=False),
        *_section("Evaluation noise", noise_table(results)),
        *_section("Arms", _arms(results)),
        *_section("Protocol", provenance.protocol(results)),
        *_section("Cost", provenance.cost(results)),
        *_section("Runs", provenance.outcomes(results)),
        *_section("Machine", provenance.machine(results)),
        *_section("Reproduce", provenance.reproduce(results)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def readme_table(results: Results) -> str:
    """Return the answer and the main table, for a block of the README."""
    parts = (answer(results), main_table(results), *flags(results, main=True))
    return "\n\n".join(part for part in parts if part)


def _picture(results: Results, name: str) -> str:
    metric = main_metric(results)
    caption = PICTURES[name].format(metric=title(metric) if metric else "")
    levels = len(results.plan.levels)
    if levels > MOST_LEVELS and name not in OF_ONE_RUN:
        caption += f"; of {levels} levels the first and the best"
    return f"![{caption}]({name})\n\n*{caption}.*"


def _section(heading: str, body: str) -> list[str]:
    return [f"## {heading}", body] if body else []


def _arms(results: Results) -> str:
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
    return table(head, rows, words=2) if rows else ""


def _exact(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
