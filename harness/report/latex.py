"""A results folder's table for a paper: LaTeX with booktabs, everything from outside escaped."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import median_low

from harness.plan.expand import ONLY_LEVEL
from harness.records.quantities import lookup
from harness.report.answer import best_of, main_metric, title
from harness.report.frames import REAL, Results
from harness.report.posthoc import lengths, of_protocols
from harness.report.statistics import Judged, Spread
from harness.report.tables import SummaryLine, summary
from harness.report.wording import decimals, number, p_text, plus_minus

_ESCAPES = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "`": r"\textasciigrave{}",
        '"': r"\textquotedbl{}",
    }
)
_MATHS = str.maketrans({"-": "$-$", "±": r"$\pm$", "<": "$<$"})
_ARROWS = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", "neither": ""}


def escaped(text: str) -> str:
    """Return text from outside as one line that LaTeX prints as it stands."""
    line = " ".join(text.split()).translate(_ESCAPES)
    return re.sub(r"-(?=-)", "-{}", line)  # two would become a dash


def table_name(results: Results) -> str:
    """Return the stem of the table's file, which is its label, too."""
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{results.plan.experiment}-{results.plan.tier}").strip(
        "-"
    )


def latex_table(results: Results) -> str:
    r"""Return a floating table of every metric's median and range, for ``\input``.

    Of the main metric the difference to raw, or to the first level, stands beside. Averages rebuilt
    after training have a table of their own below. Needs the package booktabs and, for quotes, the
    font encoding T1.
    """
    lines = summary(results)
    metrics = list(dict.fromkeys(line.cell.quantity for line in lines))
    levelled = results.plan.levels != (ONLY_LEVEL,)
    words = ["Level", "Arm"] if levelled else ["Arm"]
    reference = escaped(results.plan.levels[0]) if levelled else "raw"
    head = [*words, "Half-life (kimg)", *map(_metric_head, metrics)]
    head += [rf"$\Delta$ to {reference}", "$p$ (Holm)"]
    compared = "between levels (Welch)" if levelled else "in the same runs"
    rows = _rows(lines, metrics, main_metric(results), levelled)
    text = _floating(
        results, "", _caption(results, metrics), len(words), head, rows, _note(results, compared)
    )
    return text + "".join(_rebuilt(results, metric) for metric in of_protocols(results))


def _floating(
    results: Results,
    part: str,
    caption: str,
    words: int,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    note: str,
) -> str:
    """Return one table, whose first columns are words."""
    columns = "l" * words + "r" * (len(head) - words)
    return "\n".join(
        [
            f"% harness export: {escaped(results.plan.experiment)}, {escaped(results.plan.tier)}",
            r"% \usepackage{booktabs} \usepackage[T1]{fontenc}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{caption}}}",
            rf"  \label{{tab:{table_name(results)}{part}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            rf"    {' & '.join(head)} \\",
            r"    \midrule",
            *(rf"    {' & '.join(row)} \\" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            "",
            r"  \smallskip",
            rf"  {{\footnotesize {note}\par}}",
            r"\end{table}",
            "",
        ]
    )


def _rebuilt(results: Results, metric: str) -> str:
    """Return the table of averages rebuilt after training; empty without any."""
    levels = results.plan.levels
    found = [(level, lengths(results, level, metric)) for level in levels]
    if not any(every for _, every in found):
        return ""
    levelled = levels != (ONLY_LEVEL,)
    words = ["Level"] if levelled else []
    head = [*words, r"$\sigma_\mathrm{rel}$", "Width (kimg)", _metric_head(metric)]
    head += [r"$\Delta$ to raw", "$p$ (Holm)"]
    places = decimals([one.value.median for _, every in found for one in every])
    rows = []
    for level, every in found:
        medians = {one.cell.arm: one.value.median for one in every}
        best = best_of(medians, metric)
        for one in every:
            value = _spread(one.value, places, one.cell.arm == best)
            own = [rf"\texttt{{{escaped(level)}}}"] if levelled else []
            rows.append(
                [*own, f"{one.sigma_rel:g}", number(one.kimg), value, *_difference(one.to_raw)]
            )
    caption = (
        f"{escaped(results.plan.spec.question)} Averages rebuilt after training from snapshots of "
        "two, by width: the standard deviation of the times averaged over."
    )
    return _floating(
        results, "-rebuilt", caption, len(words), head, rows, _note(results, "in the same runs")
    )


def _rows(
    lines: Sequence[SummaryLine], metrics: Sequence[str], main: str | None, levelled: bool
) -> list[list[str]]:
    cells = {tuple(line.cell): line for line in lines}
    places = {metric: _places(lines, metric) for metric in metrics}
    best = {metric: _best(lines, metric) for metric in metrics}
    names = list(dict.fromkeys((level, arm) for level, arm, _ in cells))
    rows = []
    real: list[list[str]] = []
    for level, arm in sorted(names, key=lambda name: name[1] == REAL):
        own = {metric: cells.get((level, arm, metric)) for metric in metrics}
        first = next(line for line in own.values() if line is not None)
        values = [_value(own[metric], places[metric], best[metric]) for metric in metrics]
        if arm == REAL and values in real:  # levels mostly share their images
            continue
        real += [values] if arm == REAL else []
        against = own.get(main or "")
        judged = None if against is None else against.to_first if levelled else against.to_raw
        name = r"\emph{real images}" if arm == REAL else rf"\texttt{{{escaped(arm)}}}"
        half_life = "" if first.arm is None else number(first.arm.half_life_kimg)
        words = [rf"\texttt{{{escaped(level)}}}", name] if levelled else [name]
        rows.append([*words, half_life, *values, *_difference(judged)])
    return rows


def _places(lines: Sequence[SummaryLine], metric: str) -> int:
    medians = [line.last.median for line in lines if line.cell.quantity == metric]
    return decimals([median_low(medians)])


def _best(lines: Sequence[SummaryLine], metric: str) -> SummaryLine | None:
    """Return the line with the best median, never that of the real images."""
    own = [line for line in lines if line.cell.quantity == metric and line.cell.arm != REAL]
    name = best_of({str(at): line.last.median for at, line in enumerate(own)}, metric)
    return None if name is None else own[int(name)]


def _value(line: SummaryLine | None, places: int, best: SummaryLine | None) -> str:
    """Return the median, bold where it is the best, with the range where there are seeds."""
    if line is None:
        return ""
    return _spread(line.last, places, line is best)


def _spread(found: Spread, places: int, best: bool) -> str:
    median, low, high = (_number(v, places) for v in (found.median, found.low, found.high))
    shown = rf"\textbf{{{median}}}" if best else median
    return shown if found.n == 1 else rf"{shown} {{\scriptsize [{low}, {high}]}}"


def _number(value: float, places: int) -> str:
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    return number(value, places).translate(_MATHS)


def _difference(judged: Judged | None) -> list[str]:
    if judged is None:
        return ["", ""]
    found = judged.difference
    size = plus_minus(found.value, found.half_width)
    return [size.translate(_MATHS), p_text(judged.p_holm).translate(_MATHS)]


def _metric_head(metric: str) -> str:
    return escaped(title(metric)) + _ARROWS[lookup(metric).better]


def _caption(results: Results, metrics: Sequence[str]) -> str:
    units = [f"{escaped(title(m))} in {escaped(lookup(m).unit)}" for m in metrics if lookup(m).unit]
    units.append("half-lives of the averages in thousands of images shown (kimg)")
    return (
        f"{escaped(results.plan.spec.question)} Medians over seeds at the end of training, their "
        f"range in brackets, the best median in bold; {', '.join(units)}."
    )


def _note(results: Results, compared: str) -> str:
    spec, evaluate = results.plan.spec, results.plan.spec.evaluate
    source = results.machine.get("source") or {}
    commit = escaped(str(source.get("commit") or "")[:12])
    main = main_metric(results)
    said = [
        f"{escaped(spec.model.type)} at {spec.model.out_scale} px on {escaped(spec.data.title)}",
        f"{spec.kimg:g} kimg",
        f"seeds {', '.join(map(str, spec.seeds))}",
        f"{evaluate.fake_images} generated images",
        rf"extractor \texttt{{{escaped(evaluate.extractor_spec.type)}}}",
        f"gan-harness {escaped(str(source.get('version')))}",
        *([rf"commit \texttt{{{commit}}}"] if commit else []),
    ]
    if main is None:
        return f"{', '.join(said)}."
    return (
        rf"{', '.join(said)}. $\Delta$: mean difference of {escaped(title(main))} {compared}, "
        r"$\pm$ half of its 95\,\% $t$ interval; $p$ adjusted over all comparisons (Holm)."
    )
