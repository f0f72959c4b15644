"""Fixtures of the report's tests: runs, results and a folder, made once."""

import shutil
from pathlib import Path

import pytest
from report_records import RULES, SHADOWS, digits, keep_samples, plan_of, record

from harness.plan.expand import Plan
from harness.report.frames import Results, collect
from harness.report.write import write


@pytest.fixture(scope="session")
def plan() -> Plan:
    """Three seeds, raw and three shadows."""
    return plan_of()


@pytest.fixture(scope="session")
def levelled() -> Plan:
    """Two levels of a ReduceLR rule, three seeds each."""
    return plan_of(factors={"reduce_lr": RULES}, shadows={"paper": SHADOWS["paper"]})


@pytest.fixture(scope="session")
def runs_dir(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of ``plan``, all finished, with samples; not to be changed."""
    runs = record(plan, tmp_path_factory.mktemp("runs"))
    keep_samples(plan, runs, {n: digits(i) for i, n in enumerate(["mean", "paper", "raw", "real"])})
    return runs


@pytest.fixture(scope="session")
def results(plan: Plan, runs_dir: Path) -> Results:
    """What ``runs_dir`` holds; not to be changed."""
    return collect(plan, runs_dir)


@pytest.fixture(scope="session")
def levelled_results(levelled: Plan, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Both levels' runs; not to be changed."""
    return collect(levelled, record(levelled, tmp_path_factory.mktemp("levelled")))


@pytest.fixture(scope="session")
def _written(results: Results, runs_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "demo" / "quick"
    write(results, runs_dir, folder)
    return folder


@pytest.fixture
def folder(_written: Path, tmp_path: Path) -> Path:
    """A results folder of one's own."""
    shutil.copytree(_written, tmp_path / "demo" / "quick")
    return tmp_path / "demo" / "quick"
