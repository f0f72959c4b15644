"""What the tutorial shows is what its commands say, and what it finds is in its results."""

import re
from pathlib import Path

import pytest
from example_scripts import EXAMPLES, ROOT

from harness.cli import main
from harness.report.frames import Cell, read
from harness.report.quoted import check_readme
from harness.report.verify import check_tables

PAGE = ROOT / "docs" / "pages" / "tutorial.md"
SPEC = ROOT / "experiments" / "tutorial.yaml"
FOLDER = ROOT / "results" / "tutorial" / "quick"
LEVEL = "train.loss.penalty_weight={}"
HERE = ("  predicted", "  memory", "  priced by", "  runs", "  kept")
"""Lines of a plan that depend on the machine."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the reader's own tutorial.yaml."""
    (tmp_path / "tutorial.yaml").write_text(SPEC.read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_plan_is_the_one_shown(place, capsys):
    assert main(["plan", "tutorial.yaml"]) == 0
    printed, shown = (
        [line for line in text.splitlines() if not line.startswith(HERE)]
        for text in (capsys.readouterr().out, (EXAMPLES / "tutorial-plan.txt").read_text())
    )
    assert printed == shown


def test_the_slip_is_told_as_shown(place, capsys):
    path = place / "tutorial.yaml"
    path.write_text(path.read_text().replace("kimg: 12", "kimgs: 12"))
    assert main(["plan", "tutorial.yaml"]) == 2
    assert capsys.readouterr().err == (EXAMPLES / "tutorial-slip.txt").read_text()


def test_a_reduced_run_goes_through(place, capfd):
    small = ["train.kimg=0.2", "evaluate.every_kimg=0.1", "evaluate.fake_images=100", "seeds=[0]"]
    assert main(["run", "tutorial.yaml", "--jobs", "1", *small]) == 0
    (report,) = Path("results/tutorial").glob("*/report.md")
    assert "from one seed" in report.read_text()
    assert capfd.readouterr().out.count(": finished, ") == 3


def test_the_committed_tables_follow_from_their_rows():
    assert check_tables(FOLDER) == []
    assert check_readme(PAGE, ROOT / "results") == []


def test_the_finding_is_in_the_results():
    results, fid = read(FOLDER), "fid[digits-cnn]"
    ends = {
        (level, arm): sorted(results.last(Cell(LEVEL.format(level), arm, fid)).values())
        for level in ("none", "weak", "paper")
        for arm in ("raw", "ramp")
    }
    none, weak, paper = (ends[level, "raw"] for level in ("none", "weak", "paper"))
    assert none[1] > 2 * max(weak[1], paper[1])  # medians
    text = PAGE.read_text()
    assert f"between\n{none[0]:.0f} and {none[2]:.0f}" in text
    assert re.search(rf"weak penalty \({weak[2]:.0f}\) is better than the best one without", text)
    assert weak[2] < none[0]
    assert paper[0] < weak[0]
    assert weak[2] < paper[2]
    for level in ("weak", "paper"):
        raw, ramp = ends[level, "raw"], ends[level, "ramp"]
        assert ramp[2] - ramp[0] < raw[2] - raw[0]
    assert ends["none", "ramp"][2] > none[1]
