import math
from dataclasses import replace

import pytest
from report_records import FID, IS, MACHINE, plan_of, record

from harness.errors import RecordsError
from harness.records.types import Outcome, Row, Status
from harness.report import frames
from harness.report.markdown import readme_table
from harness.report.quoted import check_readme, update_readme
from harness.report.verify import check_tables, compare
from harness.report.write import write

ELSEWHERE = {**MACHINE, "cpu": "Other CPU"}


def edited(results, **where):
    """Return results with a value replaced: where arm, quantity, seed and iteration fit."""
    value = where.pop("value")
    rows = results.rows
    places = zip(*(rows[column] for column in where), strict=True)
    fits = [place == tuple(where.values()) for place in places]
    assert any(fits)
    values = [value if fit else old for fit, old in zip(fits, rows["value"], strict=True)]
    return replace(results, rows={**rows, "value": values})


def test_committed_tables_follow_from_their_evidence(folder):
    assert check_tables(folder) == []


@pytest.mark.parametrize("name", ["summary.csv", "timing.csv", "report.md"])
def test_an_edited_table_is_found_with_its_line_and_both_values(folder, name):
    path = folder / name
    lines = path.read_text().splitlines()
    lines[1], was = "edited", lines[1]
    path.write_text("\n".join(lines) + "\n")
    assert check_tables(folder) == [f"{path}:2: committed 'edited', rebuilt {was!r}"]


def test_edited_evidence_is_found(folder):
    path = folder / "runs.csv"
    path.write_text(path.read_text().replace("2000,150.0,12.0\n", "2000,150.0,12.5\n"))
    found = check_tables(folder)
    assert any("summary.csv" in line and "12.5" in line for line in found)
    assert any("report.md" in line for line in found)


@pytest.mark.parametrize(("error", "said"), [(2e-5, "2.0e-05, allowed 1e-05"), (None, "was not")])
def test_an_average_that_is_not_what_it_states_is_found(plan, tmp_path, error, said):
    def change(level, seed, rows):
        def wrong(row):
            return (row.quantity, row.arm, seed) == ("ema_error", "paper", 1)

        kept = [row for row in rows if not wrong(row)]
        return kept + [replace(row, value=error) for row in rows if wrong(row) and error]

    runs, out = record(plan, tmp_path / "runs", change), tmp_path / "out"
    write(frames.collect(plan, runs), runs, out)
    (found,) = check_tables(out)
    assert found.startswith(f"{out}: paper, ema_error, seed 1: {said}")
    marked = [line for line in (out / "report.md").read_text().splitlines() if "not this" in line]
    assert ["`paper`" in line for line in marked] == ([True] if error else [])


def test_cut_and_missing_tables_are_found(folder):
    text = (folder / "timing.csv").read_text()
    (folder / "timing.csv").write_text(text.splitlines()[0] + "\n")
    (folder / "summary.csv").unlink()
    missing, cut = check_tables(folder)
    assert missing == f"{folder / 'summary.csv'}: is missing"
    assert "timing.csv:2: committed nothing, rebuilt '-,3," in cut


def test_a_picture_that_went_missing_is_found(folder):
    (folder / "curves.png").unlink()
    assert any("curves.png" in line for line in check_tables(folder))


def test_readme_block_has_to_be_what_results_give(folder, results, tmp_path):
    readme = tmp_path / "README.md"
    block = f"<!-- results:demo/quick -->\n{readme_table(results)}\n<!-- /results -->\n"
    readme.write_text(f"# Title\n\n{block}\nend\n")
    assert check_readme(readme, tmp_path) == []
    readme.write_text(readme.read_text().replace("**7.75**", "**6.75**", 1))
    (found,) = check_readme(readme, tmp_path)
    assert found.startswith(f"{readme}:9: committed '| `paper`")
    assert "rebuilt" in found


@pytest.mark.parametrize(
    "text", ["no block", "<!-- results:demo/quick -->\nno end", "<!-- results:demo -->\n"]
)
def test_readme_without_whole_blocks_is_not_checked_silently(folder, tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    (found,) = check_readme(tmp_path / "README.md", tmp_path)
    assert "needs one or more whole blocks" in found


def test_readme_block_without_results_is_found(tmp_path):
    (tmp_path / "README.md").write_text("<!-- results:x/y -->\n<!-- /results -->\n")
    (found,) = check_readme(tmp_path / "README.md", tmp_path)
    assert "README.md:1: " in found
    assert "cannot be read" in found


def test_one_kind_of_machine_has_to_repeat_the_bits(results):
    same = compare(results, results)
    assert (same.check, same.holds, same.failed, same.worst) == ("bits", True, 0, "")
    off = math.nextafter(9.0, 10)
    one = compare(
        edited(results, arm="paper", seed=0, iteration=2000, quantity=FID, value=off), results
    )
    assert (one.holds, one.failed) == (False, 1)
    assert one.worst == f"paper, {FID}, seed 0, iteration 2000: {off!r}, committed 9.0"
    assert "\n" not in one.sentence


def test_clocks_and_memory_are_no_results(results):
    new = edited(results, quantity="time/train_sec", value=1e6)
    assert compare(edited(new, quantity="memory/peak_rss_gib", value=9.0), results).holds


def test_losses_have_to_repeat_too_and_nan_repeats_itself(results):
    nan = edited(results, quantity="loss/d", value=math.nan)
    assert compare(nan, nan).holds
    assert not compare(nan, results).holds
    assert not compare(edited(results, quantity="loss/d", seed=0, value=-0.0), results).holds


def test_the_worst_difference_is_the_largest_relative_one(results):
    new = edited(results, arm="paper", quantity=FID, seed=0, iteration=2000, value=9.01)
    new = edited(new, arm="raw", quantity=FID, seed=1, iteration=2000, value=44.0)
    found = compare(new, results)
    assert found.failed == 2
    assert found.worst == f"raw, {FID}, seed 1, iteration 2000: 44.0, committed 11.0"


def test_rows_on_one_side_only_are_differences(results):
    fewer = replace(results, rows={name: column[1:] for name, column in results.rows.items()})
    for new, old in ((fewer, results), (results, fewer)):
        found = compare(new, old)
        assert (found.holds, found.failed) == (False, 1)
        assert "nothing" in found.worst


def test_fewer_seeds_repeat_their_own_rows(results, tmp_path):
    plan = plan_of(seeds=(1,))
    new = frames.collect(plan, record(plan, tmp_path))
    found = compare(new, results)
    assert found.holds
    assert found.checked < compare(results, results).checked


def test_another_machine_has_to_stay_in_the_prediction_interval(results):
    # Committed raw: 11 with s.d. 1; t(2) at 99 % is 9.9248, so 3 new seeds may be off by 8.10.
    new = replace(results, machine=ELSEWHERE)
    assert (compare(new, results).check, compare(new, results).holds) == ("spread", True)
    near = edited(new, arm="raw", quantity=FID, iteration=2000, value=11 + 8.0)
    far = edited(new, arm="raw", quantity=FID, iteration=2000, value=11 + 8.2)
    assert compare(near, results).holds
    found = compare(far, results)
    assert (found.holds, found.failed) == (False, 1)
    assert found.worst == f"raw, {FID}: 19.200, committed 11.000 ± 8.104"
    assert "99 % t prediction interval" in found.sentence


def test_fewer_new_seeds_may_be_further_off(results, tmp_path):
    plan = plan_of(seeds=(1,))
    new = frames.collect(plan, record(plan, tmp_path, machine=ELSEWHERE))
    # One seed: 9.9248 * sqrt(1/3 + 1) = 11.46
    assert compare(edited(new, arm="raw", quantity=FID, iteration=2000, value=22.4), results).holds
    assert not compare(
        edited(new, arm="raw", quantity=FID, iteration=2000, value=22.5), results
    ).holds


def test_seeds_that_agree_exactly_leave_a_tenth_of_a_percent(results):
    new = replace(results, machine=ELSEWHERE)  # IS of the real images: 9.5 for every seed
    assert compare(edited(new, arm="real", quantity=IS, value=9.509), results).holds
    assert not compare(edited(new, arm="real", quantity=IS, value=9.511), results).holds


def test_one_committed_seed_cannot_be_checked_by_spread(tmp_path):
    plan = plan_of(seeds=(0,))
    old = frames.collect(plan, record(plan, tmp_path))
    found = compare(replace(old, machine=ELSEWHERE), old)
    assert not found.holds
    assert "fewer than two committed runs" in found.worst


def test_an_arm_that_is_not_finite_does_not_pass(results):
    new = edited(replace(results, machine=ELSEWHERE), arm="raw", quantity=FID, value=math.nan)
    assert not compare(new, results).holds


def test_runs_that_did_not_finish_do_not_pass(results, plan, tmp_path):
    ends = {("-", seed): Outcome(Status.DIVERGED, "NaN") for seed in range(3)}
    new = frames.collect(plan, record(plan, tmp_path, outcomes=ends, machine=ELSEWHERE))
    assert not compare(new, results).holds


def test_machines_of_two_kinds_are_not_compared_by_bits(results):
    mixed = replace(results, machine={**MACHINE, "also": [ELSEWHERE]})
    assert compare(mixed, results).check == "spread"


def test_another_question_is_not_compared(results, tmp_path):
    plan = plan_of(metrics=("fid",))
    other = frames.collect(
        plan, record(plan, tmp_path, lambda *_: [Row(FID, "raw", 1.0, 100.0, 2000, 1.0)])
    )
    found = compare(other, results)
    assert (found.check, found.holds) == ("question", False)
    told = 'the specs differ in evaluate.metrics: ["fid"], committed ["fid", "is"]'
    assert found.sentence == f"not compared: {told}"


def test_unreadable_evidence_is_an_error(folder):
    (folder / "runs.csv").unlink()
    with pytest.raises(RecordsError, match="cannot be read"):
        check_tables(folder)


def test_a_readme_is_brought_up_to_date(results, tmp_path):
    root = tmp_path / "results"
    write(results, None, root / "demo" / "quick")
    readme = tmp_path / "README.md"
    readme.write_text("# x\n<!-- results:demo/quick -->\nold\n<!-- /results -->\nend\n")
    assert check_readme(readme, root)
    update_readme(readme, root)
    assert check_readme(readme, root) == []
    assert readme.read_text().endswith("<!-- /results -->\nend\n")
