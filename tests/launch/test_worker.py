"""One run in a process of its own: whatever happens in it ends as an outcome."""

import json
import multiprocessing

import pytest
import torch
from small_spec import plan

from harness.launch.local import execute
from harness.launch.worker import Machine, check
from harness.records.types import Status


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """A run whose images are missing and one that meets a defect, with their folder."""
    folder = tmp_path_factory.mktemp("runs")
    machine = Machine("cpu", 2, 1, folder / "cache")
    # That the model gives no such image shows when it is first asked.
    entry = {"type": "GAN", "target_keys": "nowhere"}
    hook = {"type": "VisualizationHook", "interval": 1, "vis_kwargs_list": entry}
    root = str(folder / "none")
    runs = (
        plan(data={"type": "image_folder", "root": root}, seeds=[0]).runs[0],
        plan(hooks=[hook], seeds=[0]).runs[0],
    )
    outcomes = execute(runs, folder, machine, lambda active: None)
    return [(folder / run.name, outcomes[run.name]) for run in runs]


def test_a_mistake_of_the_user_s_is_the_reason_without_a_traceback(failures):
    (folder, outcome), _ = failures
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("image folder ")
    assert "Traceback" not in (folder / "log.txt").read_text()


def test_a_defect_is_a_reason_and_a_traceback_in_the_log(failures):
    _, (folder, outcome) = failures
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("ValueError: ")
    assert outcome.sec > 0
    log = (folder / "log.txt").read_text()
    assert "Traceback" in log
    assert outcome.reason in log


def test_spec_and_machine_are_written_before_anything_can_fail(failures):
    for folder, _ in failures:
        assert (folder / "spec.yaml").exists()
        assert "kernels" in json.loads((folder / "machine.json").read_text())
        assert (folder / "rows.jsonl").read_text() == '{"format": 1}\n' or folder is failures[1][0]


def answer(run, device, cache):
    here, there = multiprocessing.Pipe(duplex=False)
    with here, there:
        check(run, device, cache, there)
        return here.recv()


def test_a_check_answers_with_nothing_or_the_user_s_message(tmp_path):
    assert answer(plan().runs[0], "cpu", tmp_path) == ""
    (tmp_path / "empty").mkdir()
    run = plan(data={"type": "image_folder", "root": str(tmp_path / "empty")}).runs[0]
    assert answer(run, "cpu", tmp_path).startswith(f"{tmp_path / 'empty'} holds no image")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said(tmp_path):
    assert answer(plan().runs[0], "cuda", tmp_path) == (
        "--device cuda: torch finds no CUDA device here; use --device cpu"
    )
