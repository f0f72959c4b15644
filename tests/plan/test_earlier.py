"""An earlier report of the same question tells what runs take."""

import pytest
from priced import question, reported
from report_records import plan_of

from harness.plan.price import Place, price
from harness.records.hardware import hardware


def priced(planned, results, jobs=1):
    return price(planned, Place("cpu", jobs, results=results))


def test_it_takes_the_place_of_a_guess_level_by_level(tmp_path):
    found = priced(question(), reported(tmp_path, question()))
    off, on = (found.of_level[f"reduce_lr={level}"] for level in ("off", "on"))
    assert (off.run_sec.value, off.run_sec.low, off.run_sec.high) == (100, 80, 130)
    assert on.run_sec.value == 300
    assert (on.run_sec.low, on.run_sec.high) == (pytest.approx(270), pytest.approx(330))
    assert (off.rss_gib.low, off.rss_gib.high) == (0.4, 0.6)
    start = off.start_sec.value
    assert found.minutes == pytest.approx((2 * 100 + 2 * 300 + 4 * start) / 60)
    assert found.source == f"the runs reported in {tmp_path}"


def test_other_seeds_and_another_sentence_are_the_same_question(tmp_path):
    reported(tmp_path, question())
    asked = question(seeds=[7], question="What does it do?")
    assert "reported" in priced(asked, tmp_path).source


@pytest.mark.parametrize(
    "fields", [{"train__kimg": 0.7}, {"evaluate__fresh": 2}, {"model__max_channels": 4}]
)
def test_another_question_is_guessed(fields, tmp_path):
    reported(tmp_path, question())
    assert "reported" not in priced(question(**fields), tmp_path).source


def test_another_kind_of_machine_is_told_and_widened(tmp_path):
    found = priced(question(), reported(tmp_path, question(), cpu="Another CPU"))
    sec = found.of_level["reduce_lr=off"].run_sec
    assert (sec.value, sec.low, sec.high) == (100, pytest.approx(80 / 3), pytest.approx(390))
    assert found.source.endswith("on another kind of machine")


def test_another_device_is_of_no_use(tmp_path):
    reported(tmp_path, question(), device="cuda: NVIDIA H100")
    assert "reported" not in priced(question(), tmp_path).source


def test_more_runs_on_a_core_take_as_much_longer_if_all_of_it_is_computing(tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    cores = hardware("cpu")["cores"]
    assert cores == 2
    reported(tmp_path, question(), jobs=2)
    sec = priced(question(), tmp_path, jobs=4).of_level["reduce_lr=off"].run_sec
    assert (sec.value, sec.low, sec.high) == (200, 80, 260)
    sec = priced(question(), tmp_path, jobs=1).of_level["reduce_lr=off"].run_sec
    assert (sec.value, sec.low, sec.high) == (100, 80, 130)


def test_a_report_of_another_experiment_s_levels_is_not_used(tmp_path):
    reported(tmp_path, plan_of())
    assert "reported" not in priced(question(), tmp_path).source
