"""Whether the simulation is what mathematics says, and whether a page says where it is not."""

from dataclasses import replace

from harness.scale import agreement
from harness.scale.agreement import Agreement, Check, failing, measure, read
from harness.scale.closed_forms import best_interval_sec


def test_one_gpu_that_fails_takes_what_renewal_says():
    for every in (300.0, 720.0, 3600.0):
        assert failing(every, 150).holds, every


def test_the_simulated_optimum_lies_where_the_closed_form_has_it():
    write = agreement.LONG.checkpoint_gib * agreement.FAILING.write_sec_per_gib
    best = best_interval_sec(write, agreement.FAILING.mtbf_sec)
    means = [failing(best * factor, 150).simulated for factor in (0.25, 1.0, 4.0)]
    assert means[1] < 0.95 * min(means[0], means[2])


def test_every_check_holds_and_comes_back_from_its_file(monkeypatch, tmp_path):
    monkeypatch.setattr(agreement, "_SEEDS", 40)
    found = measure(tmp_path)
    assert [check.what for check in found.checks if not check.holds] == []
    assert len(found.intervals) == 9
    again = read(found.csv())
    assert again.csv() == found.csv()
    assert again.sentence == found.sentence
    [(caption, picture)] = found.pictures.values()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 500_000
    assert "closed form" in caption


def test_a_check_that_fails_is_named():
    checks = [replace(check, simulated=2 * check.high) for check in (Check("a", 1, 1, 1, 1),)]
    intervals = [Check(f"{agreement.INTERVALS}600 s", 1.0, 1.0, 0.9, 1.1)]
    said = Agreement((*checks, *intervals)).sentence
    assert "agrees with the closed form in 1 of 2 cases" in said
    assert said.endswith("It does not in: a.")
