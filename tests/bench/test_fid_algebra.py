"""FID's formula beside those of others: values agree, or it is told."""

import pytest

from harness.bench import fid_algebra


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"_FEATURES": 24, "_IMAGES": 90, "_TIMES": 2, "_TURNS": 2}.items():
        monkeypatch.setattr(fid_algebra, name, value)


def test_three_formulas_agree_and_are_timed():
    found = fid_algebra.measure("cpu")
    own, *others = found.goals
    assert (own.bound, own.unit, own.direction) == (4.5, "s", "at most")
    assert [goal.what for goal in others] == [
        "FIDs by the harness / FIDs by scipy's sqrtm",
        "FIDs by the harness / FIDs by torch-fidelity's formula",
    ]
    assert len(found.times_sec) == 2
    lines = found.csv().splitlines()
    assert [line.split(",")[0] for line in lines] == (
        ["case"] + ["sqrtm"] * 2 + ["torch-fidelity"] * 2 + ["alone"] * 2
    )
    assert found.sentence.startswith("FID from statistics of 24 features takes")


@pytest.mark.parametrize("formula", ["by_matrix_root", "by_eigenvalues"])
def test_a_formula_that_comes_to_another_value_is_told(formula, monkeypatch):
    right = getattr(fid_algebra, formula)
    monkeypatch.setattr(fid_algebra, formula, lambda fake, real: right(fake, real) * (1 + 1e-5))
    with pytest.raises(RuntimeError, match="the formulas of FID disagree"):
        fid_algebra.measure("cpu")
