"""`torchrun -m harness run` as a user starts it: trained, stopped, gone on with, refused."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from commanded import Command, trained, until
from small_spec import TEXT, write
from tiny_singan import TEXT as ONE_IMAGE

from harness.records.files import read_json
from harness.records.store import RunFolder
from harness.records.types import Status

LONGER = (
    TEXT.replace("kimg: 0.6", "kimg: 1.6")
    .replace("every_kimg: 0.3", "every_kimg: 1.6")
    .replace("fake_images: 600", "fake_images: 20")
    .replace("seeds: [0, 1]", "seeds: [0]")
)
"""The small question with one run of 80 iterations."""
RUN = ("run", "question.yaml")
MINUTES = 280
"""Enough, in seconds, on a machine with much else to do."""


def workers(folder):
    """Return the processes that work in a folder: torchrun gives each a session of its own."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if place.resolve() == folder.resolve():
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def all_ended(folder):
    for _ in range(100):
        if not (left := workers(folder)):
            return True
        time.sleep(0.1)
    return left


def in_environment(process, entry):
    return entry.encode() in Path(f"/proc/{process}/environ").read_bytes().split(b"\0")


@pytest.fixture
def torchrun(tmp_path):
    """Return what starts it in a folder; nothing of it outlives the test."""
    commands = []

    def start(*arguments, processes=2, asks=RUN):
        starter = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
        commands.append(
            Command(tmp_path, *arguments, starter=(*starter, str(processes)), asks=asks)
        )
        return commands[-1]

    yield start
    for one in commands:
        one.end()
    for process in workers(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@pytest.mark.timeout(600)
def test_a_run_is_stopped_by_a_signal_and_goes_on_to_its_report(torchrun, tmp_path):
    write(tmp_path, LONGER)
    first = torchrun()
    until(lambda: trained(first.runs, 0.15), first)
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(MINUTES) != 0
    assert all_ended(tmp_path) is True
    assert sum("harness: interrupted" in line for line in first.err.splitlines()) == 1
    (run,) = trained(first.runs)
    outcome = RunFolder(run).outcome()
    assert outcome.status is Status.INTERRUPTED
    (checkpoint,) = (run / "checkpoints").glob("*.safetensors")
    assert checkpoint.stem == f"iteration-{outcome.iteration:09d}"
    assert not list(run.rglob(".*.tmp"))

    second = torchrun()
    assert second.process.wait(MINUTES) == 0, second.err
    machine = read_json(run / "machine.json")
    assert (machine["ranks"], machine["backend"], machine["jobs"]) == (2, "gloo", 1)
    assert [p["iteration"] for p in machine["resumed"]] == [outcome.iteration]
    assert all(place["same_kind"] for place in machine["resumed"])
    assert RunFolder(run).outcome().status is Status.FINISHED
    assert (tmp_path / "results" / "question" / "quick" / "report.md").exists()
    assert second.out.count("2 processes divide every batch") == 1
    assert second.out.count("report: ") == 1


@pytest.mark.timeout(600)
def test_processes_that_stand_still_are_ended_with_a_reason(torchrun, tmp_path):
    write(tmp_path, LONGER)
    first = torchrun("--stall-min", "0.4")
    until(lambda: trained(first.runs, 0.15), first)
    (other,) = [pid for pid in workers(tmp_path) if in_environment(pid, "RANK=1")]
    os.kill(other, signal.SIGSTOP)
    assert first.process.wait(MINUTES) != 0
    assert all_ended(tmp_path) is True
    (run,) = trained(first.runs)
    outcome = RunFolder(run).outcome()
    assert (outcome.status, outcome.reason) == (
        Status.FAILED,
        "no progress in 24 s: log.txt says where it stood",
    )
    assert "most recent call first" in (run / "log.txt").read_text()


def test_what_cannot_be_divided_is_refused_in_one_line(torchrun, tmp_path):
    write(tmp_path, ONE_IMAGE)
    refused = torchrun()
    assert refused.process.wait(MINUTES) != 0
    (line,) = [line for line in refused.err.splitlines() if line.startswith("harness: ")]
    assert "SinGAN trains on one image, which 2 processes cannot divide" in line
    assert "exitcode  : 2 " in refused.err
    assert not refused.runs.exists()
