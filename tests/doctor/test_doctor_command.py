"""What a user types and reads: groups, exit codes, one line for a mistake, nothing written."""

import hashlib
import json
import os
import subprocess
import sys
import time

import pytest
from doctored import ROOT

from harness.cli import main
from harness.doctor import Case, Finding, State, examine, show
from harness.doctor.finding import GROUPS
from harness.doctor.show import page, summary
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.spec.load import load

FINDINGS = [
    Finding("Machine", "disk", State.OK, "48.4 GiB free for runs/"),
    Finding("Machine", "device", State.PROBLEM, "torch finds no device", "use --device cpu"),
    Finding("Data", "cifar10", State.NOTE, "not here"),
    Finding("Folders", "leftovers", State.WARNING, "3 files of crashes", "remove them"),
]
PAGE = """\
Machine
  ok       disk       48.4 GiB free
                      for runs/
  problem  device     torch finds no
                      device
                      -> use
                         --device
                         cpu

Data
  note     cifar10    not here

Folders
  warning  leftovers  3 files of
                      crashes
                      -> remove them

4 checks: 1 problem and 1 warning"""


def digests(folder):
    return {
        path.relative_to(folder): path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
    }


def looked(capsys, *arguments):
    """Return the exit code, and what was found by group and name."""
    code = main(["doctor", "--json", *arguments])
    found = json.loads(capsys.readouterr().out)
    return code, {(one["group"], one["name"]): one for one in found}


def problems(found):
    return sorted(name for (_, name), one in found.items() if one["state"] == "problem")


def test_a_page_is_read_in_few_columns():
    assert page(FINDINGS, 36) == PAGE
    assert page(FINDINGS[:1], 80).splitlines()[-1] == "1 check: all is in order"


def test_the_last_line_counts_what_is_not_in_order():
    assert summary(FINDINGS[2:] * 2) == "4 checks: 2 warnings"


def test_colours_are_for_terminals_and_change_no_word():
    coloured = page(FINDINGS, 36, coloured=True)
    assert "\033[1;31m  problem  \033[0m" in coloured
    for code in ("32", "2", "33", "1;31", "0"):
        coloured = coloured.replace(f"\033[{code}m", "")
    assert coloured == PAGE


def test_names_of_files_cannot_move_the_cursor_or_end_the_report(capsys):
    odd = [Finding("Data", "the spec's", State.OK, "a\033[2Jb\udcff.png\tc")]
    assert show(odd, as_json=False) == 0
    assert "a\\x1b[2Jb\\udcff.png\\tc" in capsys.readouterr().out


@pytest.mark.parametrize("as_json", [False, True])
def test_a_problem_alone_gives_exit_code_1(as_json, capsys):
    assert show(FINDINGS, as_json) == 1
    assert show([FINDINGS[0], *FINDINGS[2:]], as_json) == 0
    capsys.readouterr()


def test_without_a_spec_everything_is_looked_at_and_nothing_written(place, capsys):
    before = digests(place)
    code, found = looked(capsys)
    assert problems(found) == []
    assert code == 0
    assert {group for group, _ in found} == set(GROUPS)
    assert digests(place) == before
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line in GROUPS] == list(GROUPS)
    assert lines[-1].startswith(f"{len(found)} checks: ")


def test_a_spec_in_order_is_said_to_be(place, capsys):
    before = digests(place)
    code, found = looked(capsys, "question.yaml", "seeds=[0]", "--tier", "gpu")
    assert code == 0
    assert "predicted" in found["Machine", "disk"]["text"]
    assert "runs/question/gpu~seeds" in found["Folders", "runs"]["text"]
    assert "digits-cnn loads" in found["Weights", "the spec's"]["text"]
    assert digests(place) == before


def test_what_a_spec_needs_has_to_be_there(place, capsys, monkeypatch):
    monkeypatch.setenv("HARNESS_INCEPTION_WEIGHTS", str(place / "none.pth"))
    (place / "images").mkdir()
    (place / "images" / "0.png").write_bytes(b"\x89PNG")
    data = ("data={type: image_folder, root: images}", "evaluate.extractor=inception-v3-compat")
    code, found = looked(capsys, "question.yaml", *data)
    assert code == 1
    assert problems(found) == ["the spec's", "the spec's"]
    assert "0.png" in found["Data", "the spec's"]["text"]
    assert "none.pth" in found["Weights", "the spec's"]["text"]
    assert ("Weights", "inception-v3") not in found


def test_a_missing_cifar10_is_a_warning_to_who_asks_for_it(place, capsys):
    scales = ("model.out_scale=32", "model.nkimgs_per_scale={4: 1, 8: 1, 16: 1, 32: 1}")
    data = ("data={type: cifar10, root: nowhere}", "evaluate.extractor=random-conv-64")
    code, found = looked(capsys, "question.yaml", *scales, *data, "train.batch_size=20")
    assert code == 0
    assert found["Data", "cifar10"]["state"] == "warning"
    assert "the first run downloads" in found["Data", "cifar10"]["advice"]
    assert not (place / "nowhere").exists()


def test_more_disk_than_there_is_is_a_problem(place):
    case = Case(
        runs_dir=place / "runs",
        results_dir=place / "results",
        cache_dir=place / "cache",
        spec=load(place / "question.yaml"),
        disk_gib=1e9,
    )
    found = [one.name for one in examine(case) if one.state is State.PROBLEM]
    assert found == ["disk"]


def test_folders_that_cannot_be_and_runs_that_cannot_be_read_are_problems(place, capsys):
    (place / "results").write_text("")
    run = RunFolder(place / "runs" / "question" / "quick" / "seed0")
    run.begin({}, {})
    run.end(Outcome(Status.FINISHED))
    (run.path / "outcome.json").write_text("{")
    code, found = looked(capsys, "question.yaml")
    assert code == 1
    assert problems(found) == ["earlier runs", "results"]
    (place / "results").unlink()
    code, found = looked(capsys)
    assert code == 0
    assert found["Folders", "earlier runs"]["state"] == "warning"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["question.yaml", "--tier", "paper"], "tier 'paper' is not one of quick, gpu"),
        (["question.yaml", "train.kimg=0"], "command line: train.kimg"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--what"], "unknown arguments: --what"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(place, capsys, arguments, message):
    try:
        code = main(["doctor", *arguments])
    except SystemExit as end:
        code = end.code
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    (line,) = captured.err.splitlines()
    assert message in line


def test_a_user_sees_it_in_a_plain_terminal_within_seconds(place):
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "harness", "doctor"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"  note     encoding         ascii, not UTF-8" in done.stdout
    assert time.monotonic() - begin < 120
