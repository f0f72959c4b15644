"""The last line of ``harness verify``: PASS or FAIL, of how many, and the worst."""

from dataclasses import replace

from report_records import FID, MACHINE, plan_of

from harness.report.verify import compare

ELSEWHERE = {**MACHINE, "cpu": "Other CPU"}


def moved(results, by):
    """Return results elsewhere whose raw's FID is moved."""
    keys = zip(results.rows["arm"], results.rows["quantity"], strict=True)
    values = [
        value + by * (key == ("raw", FID))
        for key, value in zip(keys, results.rows["value"], strict=True)
    ]
    return replace(results, rows={**results.rows, "value": values}, machine=ELSEWHERE)


def test_equal_bits_pass(results):
    found = compare(results, results)
    assert found.verdict == f"PASS: {found.checked} of {found.checked} values equal to the bit"


def test_another_machine_s_means_pass_or_fail_with_the_furthest(results):
    near, far = (compare(moved(results, by), results) for by in (1.0, 30.0))
    where = "means inside the committed seeds' spread, on another kind of machine; worst: raw"
    assert near.verdict.startswith(f"PASS: 10 of 10 {where}")
    assert far.verdict.startswith(f"FAIL: 9 of 10 {where}, {FID}: 41.000, committed 11.000 ± ")


def test_another_question_fails_and_says_which(results):
    other = replace(results, plan=plan_of(metrics=("fid",)))
    assert compare(other, results).verdict.startswith("FAIL: not compared: the specs differ in")
