"""What a user types and reads: exit codes, one line for each mistake, nothing overwritten."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from small_spec import RULE, TEXT, write

from harness.cli import main
from harness.commands import job
from harness.plan.expand import expand
from harness.records.types import FORMAT
from harness.spec.load import load

ROOT = Path(__file__).parents[1]
DONE = {"status": "finished", "reason": "", "iteration": 30, "sec": 1.0}


def digests(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "cache" not in path.parts
    }


def refused(capsys, *arguments):
    """Return the one line that a command is refused with."""
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    captured = capsys.readouterr()
    assert code == 2
    (line,) = captured.err.splitlines()
    assert line.startswith("harness: ")
    return line.removeprefix("harness: ")


def test_a_plan_says_what_would_run_and_what_it_would_cost(place, capsys):
    assert main(["plan", "question.yaml", "--jobs", "2"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("question, tier quick: Which average is best?\n")
    assert "2: 2 seeds, 2 at a time on cpu" in text
    assert "0.6 kimg or 30 iterations" in text
    assert "rates of two 2.5 GHz cores, within a factor of 3" in text
    assert "2 arms in every run" in text
    row = next(line.split() for line in text.splitlines() if line.strip().startswith("m0.1"))
    assert row[:5] == ["m0.1", "lerp", "0.1", "0.9", "0.132"]
    assert sorted(path.name for path in place.iterdir()) == ["question.yaml"]


def test_a_plan_names_levels_times_seeds(place, capsys):
    factors = f"factors={json.dumps({'reduce_lr': {'off': None, 'on': RULE}})}"
    assert main(["plan", "question.yaml", factors]) == 0
    assert "4: 2 levels x 2 seeds" in capsys.readouterr().out


def test_a_plan_says_what_is_trained_once(place, capsys):
    def told(*arguments):
        assert main(["plan", "question.yaml", *arguments]) == 0
        return capsys.readouterr().out

    rule = f"factors={json.dumps({'reduce_lr': {'off': None, 'on': RULE}})}"
    text = told(rule, "evaluate.every_kimg=0.1")
    assert (
        "  shared     2 runs branch from another of their seed: at least 0.4 (before a rule can "
        "act) and at most 1.2 (if none acts) of 2.4 kimg\n             are not trained again"
    ) in text
    assert "--no-share trains each apart" in text
    rates = f"factors={json.dumps({'train.lr_per_scale': {'same': {}, 'less': {8: 0.0005}}})}"
    assert "  shared     2 runs branch from another of their seed: 0.36 of 2.4 kimg\n" in told(
        rates
    )
    assert "shared" not in told(rates, "--no-share")
    assert "shared" not in told()


@pytest.mark.parametrize(
    "arguments",
    [
        ["question.yaml", "train.kimg=1", "--jobs", "1", "seeds=[7]"],
        ["question.yaml", "--jobs", "1", "train.kimg=1", "seeds=[7]"],
        ["--jobs", "1", "question.yaml", "train.kimg=1", "--tier", "quick", "seeds=[7]"],
    ],
)
def test_overrides_may_stand_anywhere(arguments, place, capsys):
    assert main(["plan", *arguments]) == 0
    text = capsys.readouterr().out
    assert "1: 1 seeds" in text
    assert "1 kimg or 50 iterations" in text
    assert "runs/question/quick~seeds=_7_,train.kimg=1\n" in text


def test_a_tier_of_the_spec(place, capsys):
    assert main(["plan", "question.yaml", "--tier", "gpu", "--device", "cuda"]) == 0
    text = capsys.readouterr().out
    assert "2 kimg or 100 iterations" in text
    assert "rates of a published GPU, not measured" in text


def test_a_list_shows_every_question_and_its_tiers(place, capsys):
    (place / "more").mkdir()
    write(place / "more", TEXT.replace("best?", "worst?"))
    assert main(["list", "."]) == 0
    assert capsys.readouterr().out == (
        "more/question.yaml\n  Which average is worst?\n  tiers: quick, gpu\n"
        "question.yaml\n  Which average is best?\n  tiers: quick, gpu\n"
    )


def test_a_list_goes_on_after_a_broken_spec_and_names_it(place, capsys):
    (place / "a.yaml").write_text("- 1")
    assert main(["list", "."]) == 2
    captured = capsys.readouterr()
    assert "Which average is best?" in captured.out
    assert captured.err.startswith("harness: a.yaml: is not a mapping")


def test_the_schema_is_json(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Spec"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["fly"], "argument COMMAND: invalid choice: 'fly' (choose from"),
        ([], "the following arguments are required: COMMAND; see harness --help"),
        (["plan"], "the following arguments are required: spec"),
        (["plan", "question.yaml", "--jobs", "0"], "argument --jobs: '0' is not a whole number"),
        (
            ["plan", "question.yaml", "--jobs", "two"],
            "argument --jobs: 'two' is not a whole number",
        ),
        (["plan", "question.yaml", "--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        (["plan", "question.yaml", "--turbo"], "unknown arguments: --turbo"),
        (["list", ".", "a=1"], "unknown arguments: a=1"),
        (["plan", "question.yaml", "oops"], "command line: 'oops' is not an override"),
        (["plan", "question.yaml", "--tier", "x"], "question.yaml: tier 'x' is not one of quick"),
        (["plan", "none.yaml"], "none.yaml: cannot be read (No such file or directory)"),
        (["plan", "."], ".: cannot be read (Is a directory)"),
        (["list", "none"], "none: is not a folder with specs (*.yaml)"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments, line, place, capsys):
    assert refused(capsys, *arguments).startswith(line)


def test_every_problem_of_a_spec_is_a_line(place, capsys):
    assert main(["plan", "question.yaml", "train.kimg=0", "seeds=[]"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "harness: command line: train.kimg: 0 is not in [0.001, 1e9] thousand images",
        "harness: command line: seeds: [] is empty: name at least one",
    ]


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, r"image folder images is missing; set data\.root"),
        ({}, r"images holds no image; put \.png"),
        ({"note.txt": b"hello"}, r"images holds no image"),
        (
            {"a.png": png(), "b.png": png()[:40]},
            r"images: 1 of 2 images cannot be read: 'b\.png' \(",
        ),
        ({"a.png": b""}, r"images: 1 of 1 images cannot be read: 'a\.png' \(not an image\)"),
    ],
)
def test_images_that_are_missing_or_broken(files, message, place, capsys):
    if files is not None:
        (place / "images").mkdir()
        for name, data in files.items():
            (place / "images" / name).write_bytes(data)
    line = refused(capsys, "run", "question.yaml", "data={type: image_folder, root: images}")
    assert re.match(message, line)
    assert not list((place / "runs").rglob("rows.jsonl"))


def test_a_wrong_weights_file(place, capsys):
    (place / "w.pth").write_bytes(b"not weights")
    extractor = "evaluate.extractor={type: inception-v3-compat, weights: %s}"
    line = refused(capsys, "run", "question.yaml", extractor % "w.pth")
    assert "w.pth" in line
    assert "sha256" in line.lower() or "digest" in line.lower()
    line = refused(capsys, "run", "question.yaml", extractor % "none.pth")
    assert "none.pth" in line


@pytest.mark.parametrize("option", ["--runs", "--results"])
@pytest.mark.parametrize("folder", ["question.yaml", "/proc/nowhere"])
def test_an_output_folder_that_cannot_be_written(option, folder, place, capsys):
    before = digests(place)
    line = refused(capsys, "run", "question.yaml", option, folder)
    assert line.startswith(f"{folder}/question/quick/.writable: cannot be written (")
    assert "choose another folder with --runs or --results" in line
    assert digests(place) == before


@pytest.mark.parametrize("where", ["results/question/quick", "run"])
def test_results_of_a_newer_format_are_left_as_they_are(where, place, capsys):
    if where == "run":
        (run, _) = expand("question", "quick", load(Path("question.yaml"))).runs
        where = f"runs/question/quick/{run.name}"
    folder = place / where
    folder.mkdir(parents=True)
    (folder / "machine.json").write_text('{"format": 99, "cpu": "of the future"}')
    (folder / "table.csv").write_text("a,b\n")
    before = digests(place)
    line = refused(capsys, "run", "question.yaml")
    assert line.startswith(f"{where}/machine.json: format 99 is not one this harness reads (1 to ")
    assert digests(place) == before


@pytest.mark.parametrize("text", ["", "{", '{"format": "new"}', "[]"])
def test_torn_results_are_left_as_they_are(text, place, capsys):
    folder = place / "results/question/quick"
    folder.mkdir(parents=True)
    (folder / "machine.json").write_text(text)
    before = digests(place)
    assert "machine.json" in refused(capsys, "run", "question.yaml")
    assert digests(place) == before


def test_a_report_of_nothing(place, capsys):
    assert refused(capsys, "report", "question.yaml").startswith("runs/question/quick: ")
    assert not (place / "results").exists()


def test_a_restart_puts_earlier_runs_aside(place, capsys):
    job_folder = place / "runs" / "question" / "quick"
    for number in (1, 2):
        (job_folder / "old").mkdir(parents=True)
        (job_folder / "spec.yaml").write_text(f"attempt: {number}")
        broken = "data={type: image_folder, root: none}"
        folder = job_folder.with_name("quick~" + re.sub(r"[^\w.=+\-]+", "_", broken))
        job_folder.rename(folder)
        refused(capsys, "run", "question.yaml", broken, "--restart")
        kept = folder.with_name(f"{folder.name}.old-{number}")
        assert (kept / "spec.yaml").read_text() == f"attempt: {number}"
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_in_a_process_of_its_own_a_mistake_is_one_line_and_no_traceback(place):
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "question.yaml", "train.kimg=-1"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "harness: command line: train.kimg: -1 is not in [0.001, 1e9] thousand images\n"
    )


def test_a_reader_that_has_seen_enough_is_no_error(place):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "list", "."],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment | {"PYTHONPATH": str(ROOT)},
    )
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), error) == (0, b"")


def test_ctrl_c_is_130_and_one_line(place, capsys, monkeypatch):
    def interrupt(path, tier, overrides):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "load", interrupt)
    assert main(["plan", "question.yaml"]) == 130
    assert (
        capsys.readouterr().err
        == "harness: interrupted; what was measured is kept: the same command goes on\n"
    )


def test_long_overrides_get_a_short_folder(place, capsys):
    names = ",".join(f"shadow{number}: {{}}" for number in range(40))
    assert main(["plan", "question.yaml", f"observers.ema={{{names}}}"]) == 0
    assert re.search(r"runs/question/quick~[0-9a-f]{10}\n", capsys.readouterr().out)


def test_the_format_is_the_first():
    assert FORMAT == 1
