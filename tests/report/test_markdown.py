from report_records import FID, MACHINE, plan_of, record

from harness.records.types import Outcome, Row, Status
from harness.report import frames
from harness.report.answer import answer
from harness.report.markdown import readme_table, report
from harness.report.wording import number, p_text, plus_minus


def shifted(arm, by):
    def change(level, seed, rows):
        moved = [
            Row(r.quantity, r.arm, r.value + by, r.kimg, r.iteration, r.sec)
            for r in rows
            if r.arm == arm and r.quantity == FID
        ]
        return [r for r in rows if not (r.arm == arm and r.quantity == FID)] + moved

    return change


def row(text, *begins):
    (line,) = [line for line in text.splitlines() if line.startswith("| " + " | ".join(begins))]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_answer_names_the_best_arm_and_how_surely(results):
    assert answer(results) == (
        "`paper` has the lowest FID[digits-cnn]: 7.75, the median of 3 seeds. It is lower by "
        "3.25 ± 0.62 than `raw` over 3 seeds, paired (95 % t interval): holds, also after Holm's "
        "correction over 3 comparisons (p = 0.002). From the next best shadow, `short`, it can be "
        "told apart (paired, unadjusted)."
    )


def test_answer_says_when_raw_is_best(plan, tmp_path):
    change = shifted("raw", -20.0)
    said = answer(frames.collect(plan, record(plan, tmp_path, change=change)))
    assert said.startswith(
        "No shadow has a lower FID[digits-cnn] than `raw`: -9.00, the median of 3 seeds. The "
        "nearest is `paper`. It is higher by 16.75 ± 0.62 than `raw`"
    )


def test_answer_with_one_seed_claims_nothing(tmp_path):
    plan = plan_of(seeds=(0,))
    said = answer(frames.collect(plan, record(plan, tmp_path)))
    assert "9.00, from one seed. It is lower by 3.00 than `raw` over 1 seed" in said
    assert "not shown, as one seed gives no interval" in said
    assert "holds" not in said


def test_answer_follows_the_metrics_direction(tmp_path):
    plan = plan_of(metrics=("is",))
    said = answer(frames.collect(plan, record(plan, tmp_path, shifted("raw", 0))))
    assert said.startswith("No shadow has a higher IS[digits-cnn] than `raw`")


def test_answer_compares_levels_on_raw_and_the_best_shadow(levelled_results):
    said = answer(levelled_results)
    assert said.startswith(
        "With `raw`, `reduce_lr=fid` has the lowest FID[digits-cnn]: 6.00, the median of 3 "
        "seeds. It is lower by 5.0 ± 2.3 than `reduce_lr=off` over 3 and 3 seeds, Welch"
    )
    assert " With `paper`, `reduce_lr=fid` has the lowest" in said


def test_answer_keeps_the_first_level_where_it_is_best(levelled, tmp_path):
    def change(level, seed, rows):
        return shifted("raw", 20.0 if level.endswith("=fid") else 0.0)(level, seed, rows)

    said = answer(frames.collect(levelled, record(levelled, tmp_path, change)))
    assert said.startswith("With `raw`, no level has a lower FID[digits-cnn] than `reduce_lr=off`")
    assert "The nearest is `reduce_lr=fid`. It is higher by 15.0 ± 2.3 than `reduce_lr=off`" in said


def test_answer_without_a_finished_run(plan, tmp_path):
    ends = {("-", seed): Outcome(Status.FAILED, "no") for seed in range(3)}
    results = frames.collect(plan, record(plan, tmp_path, outcomes=ends))
    assert answer(results) == "No run has finished with a measured metric, so nothing can be said."
    assert "0 of 3 runs finished" in report(results, ())


def test_main_table_sorts_as_the_spec_and_marks_the_best(results):
    text = readme_table(results)
    arms = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert arms[2:] == ["`raw`", "`paper`", "`short`", "`mean`", "*real images*"]
    assert row(text, "`paper`")[3:] == [
        *("**7.75**", "6.50 to 9.00", "**7.75**", "-3.25 ± 0.62", "0.002", "3e-07")
    ]
    assert row(text, "`short`")[3] == "10.00"
    assert row(text, "*real images*")[3] == "0.51"


def test_best_at_the_end_and_best_during_training_are_marked_apart(plan, tmp_path):
    def change(level, seed, rows):
        return [*rows, Row(FID, "raw", 2.0, 90.0, 1800, 1.0)]

    text = readme_table(frames.collect(plan, record(plan, tmp_path, change)))
    assert (row(text, "`raw`")[3], row(text, "`raw`")[5]) == ("11.00", "**2.00**")
    assert (row(text, "`paper`")[3], row(text, "`paper`")[5]) == ("**7.75**", "7.75")


def test_a_failed_arm_does_not_take_the_others_digits(plan, tmp_path):
    results = frames.collect(plan, record(plan, tmp_path, shifted("mean", 5000.0)))
    assert row(readme_table(results), "`paper`")[3] == "**7.75**"


def test_level_table_compares_with_the_first_level(levelled_results):
    text = readme_table(levelled_results)
    assert "| difference to `reduce_lr=off` |" in text
    assert row(text, "`reduce_lr=fid`", "`raw`")[2:4] == ["3", "6.000"]
    assert row(text, "`reduce_lr=off`", "`raw`")[6:] == ["", ""]
    assert text.count("*real images*") == 1


def test_protocols_have_columns_of_their_own(plan, tmp_path):
    def change(level, seed, rows):
        return [*rows, Row("fid[inception-v3-compat]", "raw", 300.0, 100.0, 2000, 1.0)]

    text = report(frames.collect(plan, record(plan, tmp_path, change)), ())
    (head,) = [line for line in text.splitlines() if line.startswith("| arm | FID[inception")]
    assert head == "| arm | FID[inception-v3-compat] ↓ | IS[digits-cnn] ↑ |"


def test_report_shows_only_pictures_that_exist(results):
    assert "](ema.png)" in report(results, ["ema.png"])
    assert "](curves.png)" not in report(results, ["ema.png"])


def test_report_lists_what_did_not_finish_with_its_reason(plan, tmp_path):
    ends = {("-", 1): Outcome(Status.DIVERGED, "loss a|b was NaN")}
    text = report(frames.collect(plan, record(plan, tmp_path, outcomes=ends)), ())
    assert "2 of 3 runs finished; statistics leave out these:" in text
    assert "| all | 1 | diverged | loss a\\|b was NaN |" in text


def test_report_says_what_it_rests_on(results):
    text = report(results, ())
    assert "100 kimg, 2000 iterations, seeds 0, 1, 2" in text
    assert "every 20 kimg, 2000 generated images" in text
    assert "0.90 (0.80 to 1.00)" in text
    assert "Test CPU, 2 cores; device cpu; runs side by side: 3, threads of each: 2" in text
    assert "harness run experiments/demo.yaml --tier quick" in text
    assert "| `paper` | lerp | 0.001 | 0.999 | 34.6 | 50.0% | 1 | 0 |" in text


def test_report_says_which_kernels_ran(plan, tmp_path):
    path = {"filtering": "depthwise conv2d", "tf32": "off"}
    record(plan, tmp_path, machine={**MACHINE, "kernels": path})
    text = report(frames.collect(plan, tmp_path), ())
    assert "- Kernels: filtering: depthwise conv2d; tf32: off." in text


def test_report_says_when_machines_or_sources_differ(plan, tmp_path):
    record(plan, tmp_path)
    record(plan_of(seeds=(2,)), tmp_path, machine={**MACHINE, "cpu": "Other CPU"})
    text = report(frames.collect(plan, tmp_path), ())
    assert "Not all runs had the same machine and source" in text
    assert "- Other CPU," in text


def test_numbers_bear_their_uncertainty():
    assert plus_minus(-3.1234, 0.8123) == "-3.12 ± 0.81"
    assert plus_minus(12.34, 29.0) == "+12 ± 29"
    assert plus_minus(2.5, 0.0) == "+2.50 ± 0.00"
    assert (number(123.456), number(0.0123456), number(0.0)) == ("123", "0.0123", "0")
    assert (p_text(0.0234), p_text(1e-6), p_text(None)) == ("0.023", "< 0.0001", "")
