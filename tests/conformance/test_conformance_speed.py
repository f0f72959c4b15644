"""The speed tables: real updates of every library that is there; their times are not judged."""

import pytest

from harness.conformance import speed
from harness.conformance.candidates import OURS, Candidate

HEADER = "candidate,sizing,tensors,numbers_a_tensor,turns,update_ms_q1,update_ms_median"


def test_speed_writes_a_line_for_each_size(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "COUNTS", (2, 6))
    monkeypatch.setattr(speed, "TOTAL", 600)
    monkeypatch.setattr(speed, "EACH", 20)
    gone = Candidate("gone", OURS.make, package="no-such-library")
    timings = speed.measure([OURS, gone], tmp_path, rounds=1)
    assert [(t.sizing, t.tensors, t.numbers) for t in timings] == [
        ("same total", 2, 300),
        ("same size", 2, 20),
        ("same total", 6, 100),
        ("same size", 6, 20),
    ]
    assert all(a > 0 and b > 0 for t in timings for a, b in t.pairs)
    lines = (tmp_path / "speed.csv").read_text().splitlines()
    assert lines[0].startswith(HEADER)
    assert len(lines) == 5
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "machine.json").exists()


class Idle:
    """Never averages."""

    def __init__(self, network, case):
        self.network = network

    def update(self):
        pass


def test_what_does_not_average_is_not_timed(tmp_path):
    with pytest.raises(RuntimeError, match="idle does not average"):
        speed.measure([Candidate("idle", Idle)], tmp_path, rounds=1)
