"""What is written of simulated clusters follows from constants, workloads and seeds."""

import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from harness.scale import studies, workloads
from harness.scale.cluster import Cluster
from harness.scale.constants import Constant, Constants
from harness.scale.simulation import Simulation, given, measure, read
from harness.scale.studies import TITLES, VARIED, cluster, grouped, settings, simulated
from harness.scale.workloads import Kind, Workloads, tasks

COMMITTED = Path(__file__).parents[2] / "results" / "scale"
VALUES = {
    "write_sec_per_gib": 4.0,
    "read_sec_per_gib": 2.0,
    "start_sec": 0.5,
    "resume_sec": 0.1,
    "dispatch_sec": 0.004,
    "length_spread": 0.02,
    "checkpoint_every_sec": 300.0,
    "gpus_per_node": 8.0,
    "mtbf_sec": 30 * 86400.0,
    "repair_sec": 3600.0,
}
KINDS = (
    Kind("paper", "one", 200, 2e5, 1.2, "test"),
    Kind("paper", "another", 240, 5e5, 0.9, "test"),
    Kind("short", "quick", 300, 200.0, 0.05, "test"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("scale")
    held = Constants(tuple(Constant(name, value, "", "test") for name, value in VALUES.items()))
    (place / "constants.csv").write_text(held.csv())
    (place / "workloads.csv").write_text(Workloads(KINDS).csv())
    return place


@pytest.fixture(scope="module")
def found(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies, "_SEEDS", 2)
        yield measure(folder)


def test_what_stands_in_the_folder_comes_back(folder):
    assert given(folder) == (VALUES, KINDS)


def test_lengths_are_spread_evenly_around_their_price():
    drawn = tasks(KINDS[:2], 0.1, 7)
    assert [task.predicted_sec for task in drawn] == [2e5] * 200 + [5e5] * 240
    ratios = [task.work_sec / task.predicted_sec for task in drawn]
    assert 0.9 <= min(ratios) < 0.91
    assert 1.09 < max(ratios) <= 1.1
    assert sum(ratios) / len(ratios) == pytest.approx(1, abs=0.01)
    assert drawn == tasks(KINDS[:2], 0.1, 7) != tasks(KINDS[:2], 0.1, 8)


def test_a_cluster_has_the_constants_and_what_its_setting_says(folder):
    setting = next(settings(VALUES))
    assert setting.checkpoint_min == 5.0
    made = cluster(replace(setting, gpus=64, mtbf_days=2.0, checkpoint_min=10.0), VALUES)
    assert made == Cluster(
        64,
        gpus_per_node=8,
        mtbf_sec=2 * 86400.0,
        repair_sec=3600.0,
        checkpoint_every_sec=600.0,
        write_sec_per_gib=4.0,
        read_sec_per_gib=2.0,
        start_sec=0.5,
        resume_sec=0.1,
        dispatch_sec=0.004,
    )


def test_every_study_is_there_and_says_what_bounds_it(found):
    assert {line.setting.study for line in found.lines} == {*TITLES}
    for line in found.lines:
        assert sum(line.shares.values()) == pytest.approx(1)
        assert sum(grouped(line.shares).values()) == pytest.approx(1 - line.shares["useful"])
        assert line.makespan_days >= line.bound_days
    assert {line.bounded_by for line in found.of("dispatch")[10.0, 64]} == {"the dispatcher"}
    assert {line.failures for line in found.of("mtbf")[math.inf, 64]} == {0}


@pytest.mark.parametrize(
    ("study", "worse_first", "part"),
    [
        ("mtbf", [(1.0, 64), (10.0, 64), (math.inf, 64)], "failures"),
        ("interval", [(10.0, 1.0), (10.0, 15.0), (10.0, 240.0)], "writing checkpoints"),
        ("interval", [(1.0, 960.0), (1.0, 240.0), (1.0, 15.0)], "failures"),
        ("storage", [(0.1,), (0.3,), (1.0,)], "the storage"),
        ("dispatch", [(10.0, 64), (1.0, 64), (0.1, 64)], "the dispatcher"),
    ],
)
def test_what_is_worse_costs_more(found, study, worse_first, part):
    shares = [grouped(found.of(study)[key][0].shares)[part] for key in worse_first]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]


def test_settings_are_told_apart_by_what_their_study_varies(found):
    for study in TITLES:
        for key, lines in found.of(study).items():
            assert len({line.setting.seed for line in lines}) == len(lines), (study, key)
            same = {replace(line.setting, seed=0) for line in lines}
            assert len(same) == 1, (study, VARIED[study])


def test_the_simulation_comes_back_from_its_file(found, folder):
    again = read(found.csv(), folder)
    assert again.csv() == found.csv()
    assert again.sentence == found.sentence
    assert again.details == found.details
    assert all(title in again.details for title in TITLES.values())


def test_pictures_are_small(found):
    assert len(found.pictures) == 3
    for caption, picture in found.pictures.values():
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 500_000
        assert caption


def rebuilt(folder, lines):
    held, kinds = given(folder)
    again = tuple(simulated(line.setting, held, kinds) for line in lines)
    return Simulation(again, 1.0).csv().splitlines()[1:]


def test_a_line_follows_from_its_setting_to_the_byte(found, folder):
    lines = [*found.of("gpus")[64, "longest"], *found.of("mtbf")[1.0, 1024][:2]]
    written = read(found.csv(), folder).csv().splitlines()
    assert all(line in written for line in rebuilt(folder, lines))
    other = [replace(line, setting=replace(line.setting, seed=99)) for line in lines]
    assert not any(line in written for line in rebuilt(folder, other))


def test_committed_lines_follow_from_their_settings_to_the_byte():
    text = (COMMITTED / "simulation.csv").read_text()
    found = read(text, COMMITTED)
    lines = [line for line in found.lines if line.setting.study != "storage"][::11]
    assert {line.setting.study for line in lines} == {*TITLES} - {"storage"}
    written = text.splitlines()
    assert all(line in written for line in rebuilt(COMMITTED, lines))


def test_the_workloads_are_those_of_committed_specs(monkeypatch):
    monkeypatch.setitem(
        workloads.QUESTIONS, "paper", workloads.QUESTIONS["paper"]._replace(levels=2, seeds=3)
    )
    own = [*workloads._priced("paper")]
    assert [kind.runs for kind in own] == [6] * len(own)
    assert {"pggan-celeba-hq-1024", "stylegan2-ffhq-256"} < {kind.experiment for kind in own}
    assert all(kind.run_sec > 3600 and 0.1 < kind.checkpoint_gib < 10 for kind in own)
    assert workloads.read(Workloads(tuple(own)).csv()).csv() == Workloads(tuple(own)).csv()


def test_the_finding_says_what_the_order_of_runs_makes(found):
    assert "440 synthetic runs" in found.sentence
    assert "They begin with the longest, as those of `harness run` do" in found.sentence
    ends = found.of("gpus")[1024, "plan"]
    ratio = statistics.median(line.makespan_days / line.bound_days for line in ends)
    assert found.sentence.endswith(f" in the plan's order after {ratio:.3f}.")
