"""Two folders side by side: what differs is named, and unlike numbers are never compared."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from report_records import FID, IS, MACHINE, SHADOWS, plan_of, record
from scipy import stats

from harness.plan.expand import Plan, expand
from harness.records.types import Outcome, Status
from harness.report import frames
from harness.report.beside import beside
from harness.report.beside_text import comparison_csv, markdown, sentences
from harness.spec.load import apply_override, validated

COMMITTED = Path(__file__).parents[2] / "results"


def changed_plan(plan: Plan, **fields) -> Plan:
    settings = {k: v for k, v in plan.settings().items() if k not in {"experiment", "tier"}}
    for name, value in fields.items():
        settings = apply_override(settings, name.replace("__", "."), value)
    return expand("demo", "quick", validated(settings))


def shifted(tmp_path, plan, quantity=FID, by=lambda row, seed: 0.0, losses=0.5, **more):
    """Return results of runs of their own whose values are shifted."""

    def change(level, seed, rows):
        return [
            replace(row, value=row.value + by(row, seed))
            if row.quantity == quantity and row.arm != "real"
            else replace(row, value=row.value + losses)
            if row.quantity == "loss/d"
            else row
            for row in rows
        ]

    return frames.collect(plan, record(plan, tmp_path, change, **more))


def text_of(ours, theirs):
    return markdown(beside(ours, theirs), ("a", ours), ("b", theirs))


def test_results_equal_themselves(results):
    found = beside(results, results)
    assert (found.settings, found.machines, found.unlike) == ([], [], {})
    assert found.alone == {"A": [], "B": []}
    assert all(pair.equal for pair in found.pairs)
    assert len(found.pairs) == 2 * 5
    assert sentences(found) == [
        "FID[digits-cnn]: equal to the bit in all 4 arms.",
        "IS[digits-cnn]: equal to the bit in all 4 arms.",
    ]
    assert "no field of their specs differs" in text_of(results, results)


def test_runs_apart_are_independent_and_the_interval_is_welch_s(results, plan, tmp_path):
    other = shifted(tmp_path, plan, by=lambda row, seed: 2.0 + 0.5 * seed)
    pair = next(p for p in beside(results, other).pairs if p.cell.arm == "raw")
    a, b = (list(r.last(pair.cell).values()) for r in (results, other))
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert pair.judged.difference.paired is False
    assert pair.judged.difference.value == pytest.approx(2.5)
    assert pair.judged.difference.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert pair.judged.difference.half_width == pytest.approx((interval.high - interval.low) / 2)


def test_one_training_measured_in_two_ways_is_compared_in_pairs(results, plan, tmp_path):
    other = shifted(tmp_path, plan, by=lambda row, seed: 2.0 + 0.5 * seed, losses=0.0)
    pair = next(p for p in beside(results, other).pairs if p.cell.arm == "raw")
    a, b = (list(r.last(pair.cell).values()) for r in (results, other))
    assert pair.judged.difference.paired is True
    assert pair.judged.difference.p == pytest.approx(stats.ttest_rel(b, a).pvalue)
    assert "every seed was the same training in both" in text_of(results, other)


def test_one_seed_of_another_training_unpairs_all(results, plan, tmp_path):
    def change(level, seed, rows):
        return [
            replace(row, value=math.nextafter(row.value, 9))
            if row.quantity == "loss/d" and seed == 2 and row.kimg == 40
            else row
            for row in rows
        ]

    other = frames.collect(plan, record(plan, tmp_path, change))
    assert not beside(results, other).pairs[1].judged.difference.paired


def test_holm_is_over_the_whole_page(results, plan, tmp_path):
    other = shifted(tmp_path, plan, by=lambda row, seed: 30.0 + seed)
    found = beside(results, other)
    judged = [pair.judged for pair in found.pairs if pair.judged is not None]
    assert {one.family for one in judged} == {8}
    smallest = min(judged, key=lambda one: one.difference.p)
    assert smallest.p_holm == pytest.approx(8 * smallest.difference.p)
    assert all(pair.judged is None for pair in found.pairs if pair.cell.arm == "real")


@pytest.mark.parametrize(
    ("metric", "by", "first"), [(FID, 40.0, "FID"), (IS, -40.0, "IS"), (FID, -40.0, "IS")]
)
def test_the_worst_metric_stands_first(results, plan, tmp_path, metric, by, first):
    other = shifted(tmp_path, plan, metric, lambda row, seed: by + 0.1 * seed)
    said = sentences(beside(results, other))
    assert said[0].startswith(first)
    moved = next(line for line in said if line.startswith(metric[:3].strip("[").upper()[:2]))
    assert "4 of 4 arms told apart" in moved
    direction = "higher" if by > 0 else "lower"
    assert f"in B is {direction} by" in moved


def test_specs_are_compared_field_by_field(results, plan, tmp_path):
    other_plan = changed_plan(
        plan, train__kimg=80, observers__ema__paper__interp_cfg__momentum=0.01
    )
    other = frames.collect(other_plan, record(other_plan, tmp_path))
    found = beside(results, other)
    assert [(d.name, d.ours, d.theirs) for d in found.settings] == [
        ("train.kimg", "100.0", "80.0"),
        ("observers.ema.paper.interp_cfg.momentum", "0.001", "0.01"),
    ]
    assert "| `train.kimg` | `100.0` | `80.0` |" in text_of(results, other)


@pytest.mark.parametrize(
    ("field", "value", "fact"),
    [
        ("evaluate__fake_images", 1000, "fake_images"),
        ("data__max_images", 500, "data.max_images"),
    ],
)
def test_another_protocol_is_not_compared_and_the_fact_is_named(
    results, plan, tmp_path, field, value, fact
):
    other_plan = changed_plan(plan, **{field: value})
    other = frames.collect(other_plan, record(other_plan, tmp_path))
    found = beside(results, other)
    assert found.pairs == []
    assert {d.name for facts in found.unlike.values() for d in facts} == {fact}
    assert sorted(found.unlike) == [FID, IS]
    text = text_of(results, other)
    assert "not compared" in text
    assert "B - A" not in text
    assert all("is not compared" in line for line in sentences(found))


def test_another_extractor_is_another_metric(results, tmp_path):
    plan = changed_plan(
        results.plan, evaluate__extractor="random-conv-64", evaluate__metrics=["fid"]
    )

    def change(level, seed, rows):
        return [replace(row, quantity="fid[random-conv-64]") for row in rows if row.quantity == FID]

    other = frames.collect(plan, record(plan, tmp_path, change))
    found = beside(results, other)
    assert found.pairs == []
    assert {cell.quantity for cell in found.alone["B"]} == {"fid[random-conv-64]"}
    assert sentences(found) == ["Nothing was measured by both."]
    assert "## Only in A" in text_of(results, other)


def test_real_images_that_score_otherwise_are_another_protocol(results, plan, tmp_path):
    def change(level, seed, rows):
        return [replace(r, value=r.value * 1.01) if r.arm == "real" else r for r in rows]

    other = frames.collect(plan, record(plan, tmp_path, change))
    found = beside(results, other)
    assert found.unlike[FID][0].name == "score of the real images"
    assert found.pairs == []


def test_rounding_of_another_machine_in_the_real_images_is_none(results, plan, tmp_path):
    def change(level, seed, rows):
        return [replace(r, value=r.value * (1 + 1e-6)) if r.arm == "real" else r for r in rows]

    other = frames.collect(plan, record(plan, tmp_path, change))
    assert beside(results, other).unlike == {}


def test_arms_and_levels_of_one_alone_are_named(results, tmp_path):
    plan = plan_of(shadows={"paper": SHADOWS["paper"], "new": SHADOWS["mean"]})
    other = frames.collect(plan, record(plan, tmp_path))
    found = beside(results, other)
    assert {pair.cell.arm for pair in found.pairs} == {"real", "raw", "paper"}
    assert {cell.arm for cell in found.alone["A"]} == {"short", "mean"}
    assert {cell.arm for cell in found.alone["B"]} == {"new"}
    assert "## Only in B\n\n- FID[digits-cnn]: `new`." in text_of(results, other)


def test_levels_are_told_apart(levelled_results):
    text = text_of(levelled_results, levelled_results)
    assert "| `reduce_lr=fid` | `paper` |" in text
    assert len(beside(levelled_results, levelled_results).pairs) == 2 * 2 * 3


def test_machines_and_versions_that_differ_are_named(results, plan, tmp_path):
    machine = {**MACHINE, "cpu": "Other CPU", "libraries": {"torch": "2.12.0", "numpy": "2.4.6"}}
    other = frames.collect(plan, record(plan, tmp_path, machine=machine))
    found = beside(results, other)
    assert [(d.name, d.theirs) for d in found.machines] == [
        ("cpu", '"Other CPU"'),
        ("libraries.torch", '"2.12.0"'),
    ]


def test_values_that_are_not_finite_and_single_seeds_are_said(plan, results, tmp_path):
    one = plan_of(seeds=(5,))
    other = shifted(tmp_path / "one", one, by=lambda row, seed: 1.0)
    assert "as one seed gives no interval" in " ".join(sentences(beside(results, other)))
    wrong = shifted(tmp_path / "inf", plan, by=lambda row, seed: math.inf)
    (first, _) = sentences(beside(results, wrong))
    assert first.startswith("FID")
    assert "a value is not finite" in first


def test_where_nothing_finished_nothing_is_compared(results, plan, tmp_path):
    ends = {("-", seed): Outcome(Status.DIVERGED, "NaN") for seed in range(3)}
    other = frames.collect(plan, record(plan, tmp_path, outcomes=ends))
    text = text_of(results, other)
    assert "0 of 3 runs finished" in text
    assert text.endswith("- Nothing was measured by both.\n")


def test_the_csv_has_a_line_a_pair(results, plan, tmp_path):
    other = shifted(tmp_path, plan, by=lambda row, seed: 2.0 + 0.5 * seed)
    lines = list(csv.DictReader(io.StringIO(comparison_csv(beside(results, other)))))
    raw = next(line for line in lines if (line["arm"], line["metric"]) == ("raw", FID))
    assert (float(raw["mean_a"]), float(raw["mean_b"])) == (11.0, 13.5)
    assert float(raw["difference"]) == 2.5
    assert (raw["paired"], raw["equal_bits"]) == ("False", "False")
    assert len(lines) == 10


def test_committed_folders_side_by_side():
    ours, theirs = (
        frames.read(COMMITTED / name / "quick") for name in ("pggan-ema", "pggan-reduce-lr")
    )
    text = text_of(ours, theirs)
    assert "## Only in A" in text
    assert text.endswith("- Nothing was measured by both.\n")
