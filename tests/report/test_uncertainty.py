"""What a report says of how sure it is."""

from dataclasses import replace

import pytest
from fresh_records import lucky, measured_again
from report_records import FID, plan_of, record

from harness.plan.expand import expand
from harness.records.protocols import Protocol
from harness.records.quantities import fresh
from harness.records.types import Row
from harness.report import frames
from harness.report.answer import answer
from harness.report.intervals import Interval
from harness.report.markdown import readme_table, report
from harness.report.text import markdown
from harness.report.uncertainty import (
    _verdict,
    comparisons,
    interval_text,
    noises,
    percent_text,
    small_samples,
)
from harness.report.verify import check_tables
from harness.report.write import write
from harness.spec.load import apply_override, validated


@pytest.fixture(scope="module")
def found(plan, tmp_path_factory):
    return frames.collect(plan, record(plan, tmp_path_factory.mktemp("runs"), lucky))


def cells_of(text, begin):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {begin}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_last_best_and_best_again_are_three_columns(found, results):
    text = readme_table(found)
    assert cells_of(text, "arm")[3:7] == [
        "FID[digits-cnn] ↓",
        "min to max",
        "best during training",
        "that best on fresh latents",
    ]
    assert cells_of(text, "`raw`")[3:7] == [
        *("11.00", "10.00 to 12.00", "**3.00**", "**7.00** (6.00 to 8.00)"),
    ]
    assert cells_of(text, "`paper`")[5:7] == ["7.75", "7.85 (6.60 to 9.10)"]
    assert cells_of(text, "*real images*")[6] == ""
    assert "on fresh latents" not in readme_table(results)


def test_the_sentence_says_what_latents_and_what_seeds_move(found, results):
    (noise,) = noises(found)
    assert noise.metric == FID
    assert noise.sentence.startswith(
        "Fresh latents on the same weights move FID[digits-cnn] by 0.26 (0.17 to 0.58), "
        "seeds by 1.1 ("
    )
    assert "standard deviations with 95 % intervals, 3 sets of latents, 3 runs" in noise.sentence
    assert noise.sentence in report(found, ())
    assert noises(results) == []
    assert "resh latents" not in report(results, ())


def test_every_metric_measured_again_has_a_line(found, plan, tmp_path):
    (line,) = [li for li in report(found, ()).splitlines() if li.startswith("| FID[digits-cnn] |")]
    assert line.startswith("| FID[digits-cnn] | 0.26 (0.17 to 0.58) | 1.1 (")
    assert line.endswith(" %) |")


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (Interval(0.02, 0.001, 0.3), "the difference between seeds is training's, evaluation has "),
        (Interval(0.8, 0.6, 1.0), "most of the difference between seeds is evaluation's, 80 % (60"),
        (Interval(0.02, 0.001, 0.6), "evaluation has 2.0 % (0.1 to 60 %) of the variance between"),
        (Interval(0.6, 0.1, 0.9), "evaluation has 60 % (10 to 90 %) of the variance between seeds"),
    ],
)
def test_what_is_said_outright_is_what_the_interval_allows(share, said):
    assert _verdict(share).startswith(said)


def test_one_seed_says_nothing_of_training(tmp_path):
    plan = plan_of(seeds=(0,))
    (noise,) = noises(frames.collect(plan, record(plan, tmp_path, measured_again)))
    assert noise.sentence.endswith("3 sets of latents); one seed says nothing of training.")


def test_arms_closer_than_fresh_latents_move_them_are_said_to_be(plan, tmp_path):
    """Paper is 0.01 below short; the fresh sets move their difference by 0.2."""

    def change(level, seed, rows):
        short = {r.kimg: r.value for r in rows if (r.quantity, r.arm) == (FID, "short")}
        moved = [
            Row(FID, "paper", short[r.kimg] - 0.01, r.kimg, r.iteration, r.sec)
            if (r.quantity, r.arm) == (FID, "paper")
            else r
            for r in rows
        ]
        return measured_again(level, seed, moved)

    results = frames.collect(plan, record(plan, tmp_path, change))
    assert answer(results).endswith(
        "From the next best shadow, `short`, it can be told apart (paired, unadjusted): fresh "
        "latents alone move their difference by more than it is."
    )
    assert answer(results).count("fresh latents") == 1  # from raw it is far enough


def test_a_comparison_with_raw_below_the_noise_says_so(plan, tmp_path):
    def change(level, seed, rows):
        raw = {r.kimg: r.value for r in rows if (r.quantity, r.arm) == (FID, "raw")}
        near = [
            Row(FID, "paper", raw[r.kimg] - 0.1 * seed, r.kimg, r.iteration, r.sec)
            if (r.quantity, r.arm) == (FID, "paper")
            else r
            for r in rows
        ]
        return measured_again(level, seed, near)

    results = frames.collect(plan, record(plan, tmp_path, change))
    said = {c.cell.arm: markdown(c.sentence) for c in comparisons(results)}
    assert said["paper"].startswith("`paper` cannot be told apart from `raw` over 3 seeds, paired")
    assert said["paper"].endswith("; it is less than fresh latents alone move it by (± 0.28)")
    assert f"- {said['paper']}." in report(results, ())


def test_each_comparison_has_its_sentence(results, levelled_results):
    found = comparisons(results)
    assert [one.cell.arm for one in found] == ["paper", "short", "mean"]
    assert {one.reference.arm for one in found} == {"raw"}
    assert markdown(found[0].sentence) == (
        "`paper` is lower by 3.25 ± 0.62 than `raw` over 3 seeds, paired (95 % t interval): holds, "
        "also after Holm's correction over 3 comparisons (p = 0.002)"
    )
    levels = [markdown(one.sentence) for one in comparisons(levelled_results)]
    assert len(levels) == 4
    assert levels[0].startswith("`reduce_lr=off`, `paper` is lower by 3.25")
    assert levels[-1].startswith("`reduce_lr=fid`, `paper` is lower by 5.0 ± 2.8 than `reduce_lr=")


def small(tmp_path, **fields):
    content = plan_of().spec.model_dump(mode="json", exclude={"tiers"})
    for path, value in fields.items():
        content = apply_override(content, path.replace("__", "."), value)
    plan = expand("demo", "quick", validated(content))
    return frames.collect(plan, record(plan, tmp_path))


def test_too_few_images_are_flagged_below_the_table_that_fid_stands_in(tmp_path, results):
    few = small(tmp_path / "few", evaluate__fake_images=64)
    (flag,) = small_samples(few)
    text = report(few, ())
    assert text.index(f"**Caution.** {flag}") < text.index("How to read")
    assert "**Caution.**" in readme_table(few)
    other = report(
        small(tmp_path / "is", evaluate__fake_images=64, evaluate__metrics=["is", "fid"]), ()
    )
    assert other.index("## Other metrics") < other.index("**Caution.** FID of 64 generated images")
    assert small_samples(results) == ()
    assert "Caution" not in report(results, ())


def test_a_level_with_too_few_images_is_named(tmp_path):
    levels = {"data.max_images": {"small": 50, "all": 500}}
    (flag,) = small_samples(small(tmp_path, factors=levels))
    assert markdown(flag).startswith("`data.max_images=small`: FID of 50 real images")


@pytest.mark.parametrize("fact", ["real_images", "reference_images"])
def test_real_images_of_a_folder_are_counted_by_the_protocol(fact, tmp_path):
    found = small(tmp_path, data__type="image_folder", data__root="set")
    assert small_samples(found) == ()
    few = replace(found, protocols={FID: Protocol({fact: 40})})
    assert [flag.split(",")[0] for flag in small_samples(few)] == ["FID of 40 real images"]
    assert small_samples(replace(found, protocols={FID: Protocol({fact: 400})})) == ()
    several = {f"{FID[:-1]};protocol={n}]": Protocol({fact: n}) for n in (40, 400)}
    assert small_samples(replace(found, protocols=several)) == ()


def test_ten_seeds_are_answered_by_their_middle_mean(tmp_path):
    plan = plan_of(seeds=tuple(range(10)))
    results = frames.collect(plan, record(plan, tmp_path))
    said = answer(results)
    assert (
        "`paper` has the lowest FID[digits-cnn]: 3.38, the interquartile mean of 10 seeds" in said
    )
    assert "(95 % bootstrap interval " in said
    text = report(results, ())
    assert cells_of(text, "arm | half")[3:5] == [
        "FID[digits-cnn] ↓, interquartile mean",
        "95 % interval",
    ]
    assert "Interquartile means with 95 % bootstrap intervals" in text


def test_a_results_folder_with_all_of_it_follows_from_its_rows(found, tmp_path):
    write(found, None, tmp_path / "demo" / "quick")
    assert check_tables(tmp_path / "demo" / "quick") == []


def test_a_curve_of_fresh_latents_is_no_metric_s(found, tmp_path):
    text = report(found, ())
    assert fresh(FID, 1) not in text


def test_texts_of_intervals():
    assert interval_text(Interval(0.1234, 0.05, 12.0)) == "0.12 (0.05 to 12.00)"
    assert percent_text(Interval(1.0, 0.999, 1.0)) == "100 % (100 to 100 %)"
    assert (interval_text(None), percent_text(None)) == ("", "")
