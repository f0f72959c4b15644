"""Command lines that cannot be meant: exit code 2 and one line, nothing made."""

import pytest
from bad_input import hold, refused
from records_world import world

pytestmark = pytest.mark.timeout(60)

DIGITS = "9" * 5000
LINES = {
    "no command": ([], "COMMAND"),
    "an unknown command": (["trian"], "trian"),
    "a command with a line break": (["pl\nan"], "pl\\nan"),
    "a command of half a character": (["pl\udcff"], "pl\\udcff"),
    "an unknown option": (["schema", "--fast"], "--fast"),
    "an argument too many": (["schema", "x"], "x"),
    "a plan of nothing": (["plan"], "spec"),
    "no jobs": (["plan", "demo.yaml", "--jobs", "0"], "--jobs"),
    "jobs below 0": (["plan", "demo.yaml", "--jobs", "-1"], "--jobs"),
    "half a job": (["plan", "demo.yaml", "--jobs", "0.5"], "--jobs"),
    "jobs of 5,000 digits": (["plan", "demo.yaml", "--jobs", DIGITS], "--jobs"),
    "jobs beyond 2^31": (["plan", "demo.yaml", "--jobs", "4294967296"], "--jobs"),
    "superscript jobs": (["plan", "demo.yaml", "--jobs", "²"], "--jobs"),
    "no tier": (["plan", "demo.yaml", "--tier", ""], "tier"),
    "a tier that goes up": (["plan", "demo.yaml", "--tier", "../.."], "tier"),
    "an unknown device": (["plan", "demo.yaml", "--device", "tpu"], "tpu"),
    "a device of 5,000 characters": (["plan", "demo.yaml", "--device", "x" * 5000], "--device"),
    "a spec with NUL": (["plan", "a\0b.yaml"], "a\\x00b.yaml"),
    "a spec with a line break": (["plan", "a\nb.yaml"], "a\\nb.yaml"),
    "a run of no plan": (["run", "demo.yaml", "--only", "none"], "--only none"),
    "a run with a line break": (["run", "demo.yaml", "--only", "a\nb"], "a\\nb"),
    "an unknown executor": (["run", "demo.yaml", "--executor", "slurm"], "slurm"),
    "an address with a line break": (["run", "demo.yaml", "--address", "a\nb"], "a\\nb"),
    "runs of no protocol": (["report", "demo.yaml", "--runs", "no://x"], "no://x"),
    "a doctor of a URL": (["doctor", "demo.yaml", "--runs", "s3://x"], "s3://x"),
    "a spec of no name": (["plan", ""], "."),
    "runs in a file": (["run", "demo.yaml", "--runs", "demo.yaml"], "demo.yaml"),
    "runs with NUL": (["run", "demo.yaml", "--runs", "a\0b"], "a\\x00b"),
    "results with NUL": (["run", "demo.yaml", "--results", "a\0b"], "a\\x00b"),
    "a report's runs with NUL": (["report", "demo.yaml", "--runs", "a\0b"], "a\\x00b"),
    "a report's results with NUL": (
        ["report", "demo.yaml", "--runs", "runs", "--results", "a\0b"],
        "a\\x00b",
    ),
    "a report of no runs": (["report", "demo.yaml", "--runs", "none"], "none/demo/quick"),
    "a list of nothing": (["list", "none"], "none"),
    "a list of a file": (["list", "demo.yaml"], "demo.yaml"),
    "a list with NUL": (["list", "a\0b"], "a\\x00b"),
    "a check of nothing": (["verify"], "RESULTS"),
    "a check of no folder": (["verify", "none"], "none/machine.json"),
    "a check with NUL": (["verify", "a\0b"], "a\\x00b"),
    "a readme that is missing": (
        ["verify", "results/demo/quick", "--readme", "none.md"],
        "none.md",
    ),
    "a readme to be written that is missing": (
        ["verify", "results/demo/quick", "--readme", "none.md", "--update"],
        "none.md",
    ),
    "a readme of a shallow folder": (["verify", "/", "--readme", "none.md"], "/machine.json"),
    "an unknown benchmark": (["bench", "speeed"], "speeed"),
    "averages of no module": (["check-ema", "none"], "none"),
    "averages of a missing module": (["check-ema", "none.such:make"], "none.such"),
    "averages of a missing name": (["check-ema", "json:none"], "none"),
    "a sample of nothing": (["sample", "none"], "none"),
    "a sample of a spec": (["sample", "demo.yaml"], "demo.yaml"),
    "a sample with NUL": (["sample", "a\0b"], "a\\x00b"),
    "seeds that fall": (["sample", "none", "--seeds", "5-1"], "--seeds"),
    "seeds that are words": (["sample", "none", "--seeds", "one"], "--seeds"),
    "seeds of no number": (["sample", "none", "--seeds", ""], "--seeds"),
    "seeds below 0": (["sample", "none", "--seeds=-1"], "--seeds"),
    "ten million seeds": (["sample", "none", "--seeds", "0-9999999"], "--seeds"),
    "seeds of 5,000 digits": (["sample", "none", "--seeds", DIGITS], "--seeds"),
    "seeds with a line break": (["sample", "none", "--seeds", "1\n2"], "--seeds"),
    "a film of one seed": (["sample", "none", "--interpolate", "1"], "--interpolate"),
    "a film of no frames": (["sample", "none", "--frames", "0"], "--frames"),
    "half a mix": (["sample", "none", "--mix-rows", "1"], "--mix-rows"),
    "a truncation that is a word": (["sample", "none", "--truncation", "x"], "--truncation"),
    "an unknown task": (["singan", "none", "paint"], "paint"),
    "a task of no run": (["singan", "none", "sample"], "none"),
    "a task with NUL": (["singan", "a\0b", "sample"], "a\\x00b"),
    "a size of one side": (["singan", "none", "sample", "--size", "100"], "--size"),
    "a size of 5,000 digits": (["singan", "none", "sample", "--size", f"{DIGITS}x1"], "--size"),
    "a seed below 0": (["singan", "none", "sample", "--seed=-1"], "--seed"),
    "a seed of 5,000 digits": (["singan", "none", "sample", "--seed", DIGITS], "--seed"),
    "a scale of half": (["singan", "none", "sample", "--scale", "0.5"], "--scale"),
    "an image that is not used": (["singan", "none", "sample", "--image", "x"], "--image"),
    "an import of nothing": (["import", "none.pth", "--model", "pggan"], "none.pth"),
    "an import of no model": (["import", "none.pth"], "--model"),
    "an import with NUL": (["import", "a\0b.pth", "--model", "pggan"], "a\\x00b.pth"),
}


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    """Return a folder with a spec, its runs and its results."""
    return world(tmp_path_factory.mktemp("lines"))


@pytest.mark.parametrize("case", LINES)
def test_a_command_line_that_cannot_be_meant(case, ledger, sound, monkeypatch):
    monkeypatch.chdir(sound)
    arguments, named = LINES[case]
    answer = refused(arguments, sound, [named])
    hold(ledger, "command line", case, answer)
    assert len(answer.lines) == 1
