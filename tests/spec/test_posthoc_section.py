"""observers.posthoc: what it may say, and that a spec without it is the spec it was."""

import csv

import pytest
from small_spec import content
from tiny import ROOT

from harness.errors import SpecError
from harness.plan.expand import expand, from_settings
from harness.spec.load import load, validated
from harness.spec.schema import live_twins, rebuilt_arms

POSTHOC = {"every_kimg": 0.05, "rebuild": [0.03, 0.08, 0.25]}
POWER = {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.08}}


def spec(shadows=None, **fields):
    observers = {"ema": shadows or {}, "posthoc": POSTHOC | fields}
    return validated(content(observers=observers))


def problems(shadows=None, **fields):
    with pytest.raises(SpecError) as caught:
        spec(shadows, **fields)
    return list(caught.value.problems)


def test_tracks_are_the_papers_unless_said_otherwise():
    assert spec().observers.posthoc.sigma_rel == (0.05, 0.10)
    assert rebuilt_arms(spec()) == {
        "posthoc-0.03": 0.03,
        "posthoc-0.08": 0.08,
        "posthoc-0.25": 0.25,
    }
    assert rebuilt_arms(validated(content())) == {}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"sigma_rel": [0.05, 0.05]},
            "sigma_rel: [0.05, 0.05] has to be two widths, one at least 1.2 times the other",
        ),
        (
            {"sigma_rel": [0.11, 0.1]},
            "sigma_rel: [0.11, 0.1] has to be two widths, one at least 1.2 times the other",
        ),
        ({"sigma_rel": [0.1]}, "sigma_rel.1: is missing"),
        ({"sigma_rel": [0.1, 0.3]}, "sigma_rel.1: 0.3 is not in (0, 0.288]"),
        (
            {"rebuild": [0.1, 0.02]},
            "rebuild.1: 0.02 is not in half the narrower sigma_rel to 2.5 times the wider, "
            "0.025 to 0.25",
        ),
        (
            {"rebuild": [0.26]},
            "rebuild.0: 0.26 is not in half the narrower sigma_rel to 2.5 times the wider, "
            "0.025 to 0.25",
        ),
        ({"rebuild": []}, "rebuild: [] is empty: name at least one"),
        ({"rebuild": [0.1, 0.1]}, "rebuild: [0.1, 0.1] names a width twice"),
        (
            {"every_kimg": 0.1},
            "every_kimg: 0.1 leaves too few snapshots: at most 0.075, an eighth of train.kimg",
        ),
        ({"sigma": 0.1}, "sigma: is not a field; did you mean 'sigma_rel'?; known: sigma_rel, "),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(fields, problem):
    (found,) = problems(**fields)
    assert found.startswith(f"observers.posthoc.{problem}")


def test_the_widest_and_narrowest_lengths_may_be_rebuilt():
    assert len(rebuilt_arms(spec(rebuild=[0.025, 0.25]))) == 2


def test_a_shadow_may_not_have_a_rebuilt_averages_name():
    assert problems({"posthoc-0.08": POWER}) == [
        "observers.ema.posthoc-0.08: is the name of an average in observers.posthoc.rebuild"
    ]


def test_twins_are_power_functions_over_the_whole_run():
    shadows = {
        "twin": POWER,
        "every4": POWER | {"interval": 4},
        "never": POWER | {"interval": -1},
        "late": POWER | {"start_iter": 1},
        "width": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.07}},
        "lerp": {"interp_cfg": {"momentum": 0.08}},
    }
    assert live_twins(spec(shadows)) == {"twin": "posthoc-0.08", "every4": "posthoc-0.08"}


def test_its_hook_is_told_to_be_an_observer():
    with pytest.raises(SpecError) as caught:
        validated(content(hooks=[{"type": "PosthocEMAHook"}]))
    (found,) = caught.value.problems
    assert found.endswith("a post-hoc EMA is an observer: name it under observers.posthoc")


def test_null_is_as_if_it_were_not_there():
    plans = [
        expand("q", "quick", validated(content(**fields)))
        for fields in ({}, {"observers__posthoc": None})
    ]
    assert plans[0].settings() == plans[1].settings()
    assert [run.name for run in plans[0].runs] == [run.name for run in plans[1].runs]
    assert "posthoc" not in plans[0].settings()["observers"]


def test_it_is_part_of_a_runs_identity_and_comes_back_from_its_settings():
    plan, other = (expand("q", "quick", one) for one in (spec(), spec(every_kimg=0.06)))
    assert plan.runs[0].name != other.runs[0].name
    assert [run.name for run in from_settings(plan.settings()).runs] == [
        run.name for run in plan.runs
    ]


@pytest.mark.parametrize("name", ["pggan-ema", "pggan-reduce-lr"])
def test_committed_runs_keep_their_names(name):
    with (ROOT / "results" / name / "quick" / "runs.csv").open() as file:
        committed = {row["run"] for row in csv.DictReader(file)}
    plan = expand(name, "quick", load(ROOT / "experiments" / f"{name}.yaml"))
    assert {run.name for run in plan.runs} == committed
