"""A real tiny question is calibrated by real steps, beside another process of it."""

import json

import pytest
from small_spec import content, plan
from tiny_singan import singan_spec

from harness.engine.calibrating import measure
from harness.engine.together import Together
from harness.errors import HarnessError
from harness.launch.calibrate import calibrate
from harness.launch.local import server
from harness.launch.worker import Machine
from harness.plan import calibration
from harness.plan.calibration import figures
from harness.plan.expand import expand
from harness.plan.price import Place, price
from harness.plan.schedule import passes, phases
from harness.records.files import read_json

GRID = {"type": "VisualizationHook", "vis_kwargs_list": {"type": "GAN", "name": "x"}, "interval": 8}
RICH = {
    "evaluate__fresh": 2,
    "evaluate__metrics": ["fid", "is"],
    "observers__posthoc": {"every_kimg": 0.05, "rebuild": [0.1, 0.2]},
    "hooks": [GRID],
    "seeds": [0],
    "train__batch_size": 100,  # so that 2.5 kimg are few steps
}
LONG_ENOUGH = 60.0
"""Seconds that no machine needs: all that is timed is timed to its end."""


def machine(folder, jobs):
    return Machine("cpu", jobs, 1, folder / "cache")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Calibrate the rich question in two processes at once."""
    (run,) = plan(**RICH).runs
    return run, calibrate(run, machine(tmp_path_factory.mktemp("two"), 2), LONG_ENOUGH)


def test_every_part_is_measured_in_every_process(found):
    run, measured = found
    steps = {(part["scale"], part["fading"]): part for part in measured["steps"]}
    assert steps.keys() == {(p.scale, p.fading) for p in phases(run.spec)}
    assert {part["scale"] for part in measured["passes"]} >= passes(run.spec).arms.keys()
    assert all(len(part["sec"]) >= 2 * 3 and part["whole"] for part in steps.values())
    assert len(measured["start_sec"]) == len(measured["rss_gib"]) == 2
    for name in ("frame_sec", "drawing_sec", "neighbours_sec", "checkpoint_sec", "rebuild_sec"):
        assert len(measured[name]) >= 2 * 3
        assert all(sec >= 0 for sec in measured[name])
    assert all(0.05 < gib < 4 for gib in measured["rss_gib"])
    assert measured["gpu_gib"] == []


def test_a_plan_takes_it_and_says_so(found, tmp_path):
    run, measured = found
    planned = plan(**RICH)
    calibration.write(calibration.path_of(tmp_path, run.spec, "cpu", 2, 1), measured)
    priced = price(planned, Place("cpu", 2, cache=tmp_path))
    assert priced.source == "a calibration on this kind of machine"
    by_hand = figures(measured, run.spec)
    steps = sum(p.iterations * by_hand.step_sec[p.scale, p.fading].value for p in phases(run.spec))
    cost = priced.of_level["-"]
    assert cost.run_sec.value > steps > 0
    assert cost.run_sec.low < cost.run_sec.value < cost.run_sec.high
    assert price(planned, Place("cpu", 1, cache=tmp_path)).source.startswith("rates of")


def test_a_singan_is_timed_at_every_scale_alone(tmp_path):
    (run,) = expand("singan", "quick", singan_spec(evaluate__fresh=1)).runs
    measured = calibrate(run, machine(tmp_path, 1), 5.0)
    assert [part["scale"] for part in measured["steps"]] == list(run.spec.growth.scales)
    assert figures(measured, run.spec).source == "a calibration on this kind of machine"


def test_stages_beyond_the_time_are_left_out_and_extrapolated(tmp_path):
    (run,) = plan(seeds=[0]).runs
    together = Together(server(), 1)
    import torch

    measured = measure(run, made(tmp_path), torch.device("cpu"), tmp_path / "cache", 1e-6, together)
    assert [part["scale"] for part in measured["steps"]] == [4]
    assert measured["neighbours_sec"] == []
    assert figures(measured, run.spec).source.endswith("of 1 of 2 scales")


def made(folder):
    path = folder / "run"
    path.mkdir()
    return path


def test_what_processes_found_is_put_together():
    one = {
        "steps": [{"scale": 4, "fading": False, "sec": [1.0], "whole": True}],
        "passes": [{"scale": 4, "sec": [2.0, 3.0], "whole": True}],
        "start_sec": [5.0],
    }
    other = json.loads(json.dumps(one))
    other["passes"][0]["whole"] = False
    assert calibration.pooled([one, other]) == {
        "steps": [{"scale": 4, "fading": False, "sec": [1.0, 1.0], "whole": True}],
        "passes": [{"scale": 4, "sec": [2.0, 3.0, 2.0, 3.0], "whole": False}],
        "start_sec": [5.0, 5.0],
    }


def test_what_cannot_be_trained_is_refused_in_one_line(tmp_path):
    missing = content(data={"type": "image_folder", "root": str(tmp_path / "none")})
    from harness.spec.load import validated

    (run, _) = expand("q", "quick", validated(missing)).runs
    with pytest.raises(HarnessError, match="none"):
        calibrate(run, machine(tmp_path, 2), LONG_ENOUGH)


def test_it_is_kept_as_json_of_a_known_format(found, tmp_path):
    run, measured = found
    path = calibration.path_of(tmp_path, run.spec, "cpu", 2, 1)
    calibration.write(path, measured)
    content = read_json(path)
    assert (content["version"], content["name"]) == (calibration.VERSION, path.stem)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
