"""The table for a paper: its numbers, its marks, and nothing of a user's text that LaTeX obeys."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from report_records import FID

from harness.report import frames
from harness.report.answer import main_metric
from harness.report.latex import escaped, latex_table, table_name
from harness.report.posthoc import lengths

COMMITTED = sorted((Path(__file__).parents[2] / "results").glob("*/quick"))
HOSTILE = r"50% of $x_1$ & {y}#~^\write18{rm} <a|b> `c` ---"
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\usepackage[T1]{fontenc}
\usepackage{lmodern}
\begin{document}
\input{%s}
\end{document}
"""


def cells(text, table=1):
    """Return the lines of the first or a later table, their cells by the column's head."""
    lines = re.findall(r"^    (.*) \\\\$", text.split(r"\begin{table}")[table], re.MULTILINE)
    head, *rows = ([cell.strip() for cell in line.split(" & ")] for line in lines)
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_a_line_an_arm_with_median_range_difference_and_p(results):
    rows = {row["Arm"]: row for row in cells(latex_table(results))}
    fid = escaped(FID).replace("fid", "FID") + r" $\downarrow$"
    assert [*rows] == [
        r"\texttt{raw}",
        r"\texttt{paper}",
        r"\texttt{short}",
        r"\texttt{mean}",
        r"\emph{real images}",
    ]
    assert rows[r"\texttt{raw}"][fid] == r"11.00 {\scriptsize [10.00, 12.00]}"
    assert rows[r"\texttt{paper}"][fid] == r"\textbf{7.75} {\scriptsize [6.50, 9.00]}"
    assert rows[r"\texttt{paper}"][r"$\Delta$ to raw"] == r"$-$3.25 $\pm$ 0.62"
    assert rows[r"\texttt{short}"]["Half-life (kimg)"] == "2.00"
    assert rows[r"\emph{real images}"][r"$\Delta$ to raw"] == ""


def test_one_best_value_a_metric_is_bold_never_the_real_images(results, levelled_results):
    for found in (results, levelled_results):
        text = latex_table(found)
        assert text.count(r"\textbf{") == len(found.metrics)
        assert not re.search(r"real images.*textbf", text)


def test_levels_are_a_column_and_compared_with_the_first(levelled_results):
    text = latex_table(levelled_results)
    rows = cells(text)
    assert [row["Level"] for row in rows[:4]] == [
        *[r"\texttt{reduce\_lr=off}"] * 2,
        *[r"\texttt{reduce\_lr=fid}"] * 2,
    ]
    delta = r"$\Delta$ to reduce\_lr=off"
    assert rows[2][delta].startswith("$-$5")
    assert rows[0][delta] == ""
    assert len([row for row in rows if "real" in row["Arm"]]) == 1


def test_caption_and_note_state_protocol_units_and_seeds(results):
    text = latex_table(results)
    caption = re.search(r"\\caption\{(.*)\}", text)[1]
    assert "Which average of the generator is best?" in caption
    assert "thousands of images shown (kimg)" in caption
    for said in ("PGGAN at 8 px on digits", "100 kimg", "seeds 0, 1, 2", "2000 generated images"):
        assert said in text
    assert r"\texttt{digits-cnn}" in text
    assert r"\label{tab:demo-quick}" in text


def test_what_a_user_writes_is_printed_not_obeyed():
    shown = escaped(HOSTILE + "\n\n\\end{table}")
    assert "\n" not in shown
    left = re.sub(r"\\text[a-z]+\{\}|\\[&%$#_{}]|-\{\}", "", shown)
    assert not set(left) & set('\\&%$#_{}~^<>|`"')
    assert "--" not in shown


def test_braces_and_environments_are_closed(results):
    plan = results.plan
    spec = plan.spec.model_copy(update={"question": HOSTILE})
    text = latex_table(replace(results, plan=replace(plan, spec=spec, experiment="a_b & c")))
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    begun = re.findall(r"\\begin\{(\w+)", text)
    assert sorted(begun) == sorted(re.findall(r"\\end\{(\w+)", text)) == ["table", "tabular"]
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"\label{tab:a-b-c-quick}" in text


def test_values_that_are_not_finite_are_shown(results):
    rows = results.rows
    keys = zip(rows["arm"], rows["quantity"], rows["iteration"], strict=True)
    wrong = [
        float("inf") if key == ("paper", FID, 2000) else value
        for key, value in zip(keys, rows["value"], strict=True)
    ]
    found = cells(latex_table(replace(results, rows={**rows, "value": wrong})))
    assert r"$\infty$" in " ".join(found[1].values())
    assert r"\textbf{10.00}" in " ".join(found[2].values())


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda path: path.parent.name)
def test_committed_results_make_tables(folder):
    results = frames.read(folder)
    text = latex_table(results)
    assert len(cells(text)) >= len(results.plan.arms)
    assert f"tab:{table_name(results)}" in text


def test_averages_rebuilt_after_training_have_a_table_of_their_own():
    results = frames.read(Path(__file__).parents[2] / "results/pggan-posthoc/quick")
    text = latex_table(results)
    found = lengths(results, "-", main_metric(results))
    rows = cells(text, table=2)
    assert r"\label{tab:pggan-posthoc-quick-rebuilt}" in text
    assert [row[r"$\sigma_\mathrm{rel}$"] for row in rows] == [f"{o.sigma_rel:g}" for o in found]
    values = [row[r"FID[digits-cnn] $\downarrow$"] for row in rows]
    best = min(range(len(found)), key=lambda at: found[at].value.median)
    assert [at for at, value in enumerate(values) if "textbf" in value] == [best]
    assert all(
        f"{one.value.low:.1f}"[:3] in value for one, value in zip(found, values, strict=True)
    )
    assert len(text.split(r"\begin{table}")) == 3


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a TeX")
def test_latex_takes_it(results, tmp_path):
    plan = results.plan
    spec = plan.spec.model_copy(update={"question": HOSTILE})
    (tmp_path / "t.tex").write_text(latex_table(replace(results, plan=replace(plan, spec=spec))))
    (tmp_path / "d.tex").write_text(DOCUMENT % "t.tex")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
