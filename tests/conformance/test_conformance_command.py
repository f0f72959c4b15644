"""``harness check-ema``: what another project types, reads and gets as an exit code."""

import os
import subprocess
import sys
from pathlib import Path

import faulty_ema
import pytest

import harness.conformance.cases
from harness.cli import main
from harness.conformance.candidates import OURS, Candidate
from harness.conformance.cases import CASES
from harness.conformance.check import check
from harness.conformance.write import changes, csv, markdown, power, write

ROOT = Path(__file__).parents[2]
FEW = [case for case in CASES if case.name in ("plain", "batch-norm", "uniform", "resume-warmup")]


@pytest.fixture
def few(monkeypatch):
    """Ask four cases rather than all."""
    monkeypatch.setattr(harness.conformance.cases, "CASES", FEW)


def test_an_average_that_agrees_is_zero(few, capsys):
    assert main(["check-ema", "faulty_ema:make_right"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [case.name for case in FEW]
    assert [line.split()[2] for line in lines[:2]] == ["agrees", "agrees"]
    assert "not supported" in lines[2]
    assert lines[-1] == "faulty_ema:make_right: agrees in 3 of 3 cases"


def test_our_own_hook_by_its_name(few):
    assert main(["check-ema", "harness.conformance.candidates:make_ours"]) == 0


def test_an_average_that_differs_is_one_and_says_why(few, capsys):
    assert main(["check-ema", "faulty_ema:make_inverted"]) == 1
    text = capsys.readouterr().out
    assert "weights: momentum is the weight of the old value" in text
    assert text.endswith("faulty_ema:make_inverted: agrees in 1 of 3 cases\n")


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("faulty_ema", "'faulty_ema' is not module:function, such as"),
        (":make", "':make' is not module:function"),
        ("no_such:make", "no_such: cannot be imported (ModuleNotFoundError: No module"),
        ("broken_ema:make", "broken_ema: cannot be imported (NameError: name 'oops'"),
        ("faulty_ema:make_none", "faulty_ema: has no 'make_none'"),
        ("faulty_ema:NUMBER", "faulty_ema:NUMBER: is no function but int; make_ema(network,"),
        ("faulty_ema:make_of_one", "faulty_ema:make_of_one: does not take (network, case): too"),
        ("faulty_ema:make_no_update", "faulty_ema:make_no_update: NoUpdate has no update(); make"),
        ("faulty_ema:make_no_state", "faulty_ema:make_no_state: NoState has neither network nor"),
        ("faulty_ema:make_nothing", "faulty_ema:make_nothing: returned None for every case"),
    ],
)
def test_bad_input_is_two_and_one_line(target, line, few, tmp_path, monkeypatch, capsys):
    (tmp_path / "broken_ema.py").write_text("oops\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["check-ema", target]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (said,) = captured.err.splitlines()
    assert said.startswith(f"harness: {line}")


def test_a_file_in_the_current_folder_is_found(tmp_path):
    text = Path(faulty_ema.__file__).read_text()
    (tmp_path / "my_ema.py").write_text(text)
    code = (
        "import sys; sys.path = [p for p in sys.path if p not in ('', sys.argv[1])]\n"
        "from harness.conformance.factory import load\n"
        "print(load('my_ema:make_right').name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert (done.stdout, done.returncode) == ("my_ema:make_right\n", 0), done.stderr


def cells():
    gone = Candidate("gone", faulty_ema.make_right, package="no-such-library")
    inverted = Candidate("inverted", faulty_ema.make_inverted)
    return list(check(FEW, [OURS, inverted, gone]))


def test_the_tables_are_the_same_bytes_each_time(tmp_path):
    first, second = cells(), cells()
    assert csv(first, FEW) == csv(second, FEW)
    assert markdown(first, FEW) == markdown(second, FEW)
    assert write(first, FEW, tmp_path) == []
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(before) == ["conformance.csv", "conformance.md"]
    assert write(second, FEW, tmp_path) == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "plain,ours,agrees,<1e-5,,,\n" in csv(first, FEW)
    assert "plain,gone,not installed,,,,no-such-library is not installed\n" in csv(first, FEW)


def test_the_markdown_says_who_agrees_and_why_not():
    text = markdown(cells(), FEW)
    assert "| `plain` | agrees | **differs** | not installed |" in text
    assert "| agrees | 4 of 4 | 1 of 3 | 0 of 0 |" in text
    assert "**ours** agrees wherever it can be asked." in text
    assert "weights: momentum is the weight of the old value" in text


def test_changes_name_cells_and_forgive_a_factor_of_ten():
    row = ["plain", "x", "differs", "<1e-1", "", "0", "why"]
    assert changes([row], [[*row[:3], "<1e0", *row[4:]]]) == []
    assert changes([row], [[*row[:3], "<1e1", *row[4:]]]) == [
        "plain x: was differs <1e-1 0 why, is differs <1e1 0 why"
    ]
    assert changes([row], [[*row[:2], "agrees", *row[3:]]]) != []
    assert changes([row], [[*row[:6], "why else"]]) != []
    assert changes([row], [["plain", "x", "not installed", "", "", "", ""]]) == []
    assert changes([row], []) == ["plain x: was differs <1e-1 0 why, is absent"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, ""),
        (0.0, "0"),
        (3e-7, "<1e-5"),
        (2e-5, "<1e-4"),
        (0.2, "<1e0"),
        (float("inf"), "inf"),
    ],
)
def test_errors_are_powers_of_ten(error, text):
    assert power(error, 1e-5) == text


def test_the_committed_table_says_that_ours_agrees_everywhere():
    text = (ROOT / "results/ema-conformance/conformance.csv").read_text()
    ours = [line.split(",") for line in text.splitlines() if line.split(",")[1] == "ours"]
    assert [row[0] for row in ours] == [case.name for case in CASES]
    assert {row[2] for row in ours} == {"agrees"}
