"""Constants of the simulated cluster: measured by real code, or said to be assumed."""

import sys
from pathlib import Path

import pytest

from harness.scale import constants
from harness.scale.constants import measure, read

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(constants, "_TENSOR_VALUES", 2**16)
        # Over Ray it is measured in tests/launch/test_ray.py, where a cluster is up.
        patch.setitem(sys.modules, "ray", None)
        patch.delitem(sys.modules, "harness.launch.ray", raising=False)
        patch.setattr(constants, "_RUNS", 3)
        yield measure(ROOT)


def test_every_constant_says_where_it_is_from(found):
    for one in found.constants:
        path = one.source
        known = ("measured: ", "assumed", "the default of")
        assert path.startswith(known) or [*ROOT.glob(path)], one
        assert one.value > 0, one
    assert {one.name for one in found.constants} == set(found.values)


def test_measured_constants_are_of_a_machine_of_this_world(found):
    assert 0.01 < found.values["write_sec_per_gib"] < 3000
    assert 0.01 < found.values["read_sec_per_gib"] < 3000
    assert 1e-4 < found.values["dispatch_sec"] < 10
    assert found.values["length_spread"] < 0.5
    assert found.values["checkpoint_every_sec"] == 300


def test_the_page_tells_what_is_assumed(found):
    assert "assumed, and therefore varied or harmless, are" in found.sentence
    assert "repair_sec" in found.sentence
    assert "write_sec_per_gib" not in found.sentence
    assert all(one.name in found.details for one in found.constants)


def test_constants_come_back_from_their_file(found):
    assert read(found.csv()).csv() == found.csv()


def test_what_is_not_committed_is_assumed(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "_COMMITTED", tmp_path)
    assert [one()[2] for one in (constants._start, constants._resume, constants._spread)] == [
        "assumed"
    ] * 3
