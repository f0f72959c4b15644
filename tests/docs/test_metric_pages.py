"""A page for every metric, each saying the same things and naming tests that are there."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from harness.spec.measuring import MetricName
from harness.spec.yaml_text import parse

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pages" / "metrics"
PAGES = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.md"))}
SECTIONS = ["Equation", "Biased by", "Traps", "Here", "How it was proven"]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def metrics_of(page):
    return parse(page.split("---\n")[1])[0]["metrics"]


def test_every_metric_of_a_spec_has_one_page():
    named = [metric for page in PAGES.values() for metric in metrics_of(page)]
    assert sorted(named) == sorted(get_args(MetricName))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_it_has_to(name):
    page = PAGES[name]
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    assert re.search(r"^\*\*Papers?\.\*\* .*?(arxiv\.org|20\d\d)", page, re.MULTILINE | re.DOTALL)
    assert page.count("$$") >= 2
    assert all(f"`{metric}" in page for metric in metrics_of(page))


@pytest.mark.parametrize("name", PAGES)
def test_the_tests_that_prove_it_are_there(name):
    proof = PAGES[name].split("## How it was proven")[1]
    found = TEST.findall(proof)
    assert len(found) >= 3
    for path, test in found:
        tree = ast.parse((ROOT / path).read_text())
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
