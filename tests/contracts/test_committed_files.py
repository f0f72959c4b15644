"""What is committed: specs that load in every tier, and no trace of anyone's machine."""

import csv
import re
import subprocess
from pathlib import Path

import pytest

from harness.plan.expand import expand, from_settings
from harness.records.store import dump_yaml
from harness.spec.load import load
from harness.spec.yaml_text import parse

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "experiments").rglob("*.yaml"))
TIERS = [
    (path, tier)
    for path in SPECS
    for tier in dict.fromkeys(["quick", *(parse(path.read_text())[0].get("tiers") or {})])
]
# Written so that this file does not find itself.
TRACES = re.compile(
    "|".join(
        [
            r"(?<![\w.])/(?:work|root|home|Users)/[\w.]",
            r"\b(?:pypi|files\.pythonhosted|conda\.anaconda)\.org\b",
            r"\b(?:index-url|extra-index|find-links|proxy)\s*=",
            r"://(?:[^/\s]*@)?(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d",
        ]
    )
)


def committed():
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return []
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize(("path", "tier"), TIERS, ids=lambda value: getattr(value, "stem", value))
def test_every_spec_loads_in_every_tier(path, tier):
    spec = load(path, tier)
    planned = expand(path.stem, tier, spec)
    assert spec.question.endswith("?")
    assert len({run.name for run in planned.runs}) == len(planned.levels) * len(spec.seeds)
    again = from_settings(parse(dump_yaml(planned.settings()))[0])
    assert [run.name for run in again.runs] == [run.name for run in planned.runs]


def test_there_are_specs():
    assert {path.stem for path in SPECS} >= {"pggan-ema", "pggan-reduce-lr"}


def test_no_committed_file_names_a_machine_s_paths_or_hosts():
    found = []
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if (trace := TRACES.search(line)) and path != Path(__file__):
                found.append(f"{path.relative_to(ROOT)}:{number}: {trace[0]}")
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "see /" + "work/main/x",
        "/" + "home/me",
        "https://pypi" + ".org/simple",
        "--index-url" + "=https://x",
        "https://10" + ".0.0.7/simple",
    ],
)
def test_traces_are_found(line):
    assert TRACES.search(line)


@pytest.mark.parametrize("line", ["cusparse 10.4.0.35", "arXiv 1710.10196", "a/home/b", "./home/x"])
def test_other_words_are_left_alone(line):
    assert not TRACES.search(line)


def test_every_line_of_a_committed_table_has_the_columns_of_its_header():
    found = []
    for path in (path for path in committed() if path.suffix == ".csv"):
        with path.open(newline="") as file:
            widths = [len(row) for row in csv.reader(file)]
        found += [str(path)] if len({*widths}) > 1 else []
    assert found == []
