"""PGGAN beside MMagic: a real process is asked in turns, and has to compute the same."""

import os
import sys
from pathlib import Path

import peer_stand_in
import pytest

from harness.bench import pggan_peer, suite
from harness.bench.peer import mmagic_pggan
from harness.bench.peer.asked import PYTHON, NotHereError
from harness.bench.pggan_speed import Speeds
from harness.errors import HarnessError, SpecError


@pytest.fixture
def tiny(monkeypatch):
    for name, value in {
        "_BATCH": 4,
        "_IMAGES": 12,
        "_CHANNELS": {"noise_size": 8, "base_channels": 64, "max_channels": 8},
        "_TURNS": 2,
        "_CALLS": 1,
    }.items():
        monkeypatch.setattr(pggan_peer, name, value)


@pytest.fixture
def stand_in(tiny, monkeypatch, tmp_path):
    # A peer's environment has nothing of this Python's path: the script brings its own.
    launcher = tmp_path / "stand_in.py"
    source = Path(peer_stand_in.__file__)
    root = Path(pggan_peer.__file__).parents[2]
    launcher.write_text(f"import sys; sys.path.insert(0, {str(root)!r})\n{source.read_text()}")
    monkeypatch.setenv(PYTHON, sys.executable)
    monkeypatch.setattr(mmagic_pggan, "__file__", str(launcher))


def test_the_sides_are_told_with_their_distance_to_the_limit(stand_in):
    found = pggan_peer.measure("cpu")
    assert [turn[0] for turn in found.turns] == [0.5, 0.5]
    assert found.flops > 1e6
    assert 0 < found.share < 1
    (goal,) = found.goals
    assert goal.direction == "at least"
    assert goal.bound == 3
    assert goal.value == pytest.approx(0.5 / found.turns[0][2], rel=10)
    assert "| the limit |" in found.details
    assert len(found.csv().splitlines()) == 3


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_networks_that_differ_are_refused(stand_in, monkeypatch, network):
    monkeypatch.setenv("STAND_IN_FAULT", network)
    with pytest.raises(RuntimeError, match=f"the peer's {network} differs"):
        pggan_peer.measure("cpu")


@pytest.mark.parametrize(
    ("fault", "said"), [("no start", "no module named mmagic"), ("ends", "out of memory")]
)
def test_a_peer_that_ends_is_quoted(stand_in, monkeypatch, fault, said):
    monkeypatch.setenv("STAND_IN_FAULT", fault)
    with pytest.raises(HarnessError, match=f"ended with 1, saying: {said}"):
        pggan_peer.measure("cpu")


def test_a_gpu_is_not_what_it_is_about():
    with pytest.raises(SpecError, match="about a CPU, not cuda"):
        pggan_peer.measure("cuda")


def test_without_mmagic_it_is_left_out_of_all_and_refused_by_name(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv(PYTHON, raising=False)
    monkeypatch.setattr(suite, "BENCHMARKS", ("pggan_peer",))
    assert suite.run([], tmp_path, "cpu") == 0
    said = capsys.readouterr().out
    assert said.startswith("pggan_peer is left out: HARNESS_MMAGIC_PYTHON is not set: name a")
    assert said.count("\n") == 1
    with pytest.raises(NotHereError, match="bench-peer"):
        suite.run(["pggan_peer"], tmp_path, "cpu")
    monkeypatch.setenv(PYTHON, "/no/such/python")
    with pytest.raises(NotHereError, match="is '/no/such/python', which is no file"):
        suite.run(["pggan_peer"], tmp_path, "cpu")


def test_speeds_are_medians_and_their_ratio_that_of_turns():
    turns = ((0.4, 0.2, 0.1), (0.8, 0.2, 0.1), (0.4, 0.2, 0.1))
    found = Speeds(turns, 16, "{}", 2e9, 3e11, 0.8)
    assert found.speeds == [40, 80, 160]
    assert found.ratio(2)[0] == pytest.approx(4)
    assert found.floor == pytest.approx(150)
    assert found.goals[0].met
    assert "| MMagic on its Runner | 40.0 | 1.00 | 27% |" in found.details
    assert "take 80% of the time: with all else for nothing it would be 5.00" in found.details


@pytest.mark.skipif(not os.environ.get(PYTHON), reason="needs a Python that has MMagic")
def test_mmagic_itself_computes_the_same(tiny):
    found = pggan_peer.measure("cpu")
    assert all(time > 0 for turn in found.turns for time in turn)
