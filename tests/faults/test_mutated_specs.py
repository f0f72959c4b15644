"""Valid specs changed by chance, as trees by hypothesis and as bytes by a fuzzer."""

import random

import pytest
import yaml
from bad_input import harvest, refused
from hypothesis import HealthCheck, given, settings
from mutations import damaged, trees
from rich_specs import SPECS
from small_spec import write

from harness.plan.expand import expand, from_settings
from harness.records.store import dump_yaml
from harness.spec.load import load
from harness.spec.yaml_text import parse

pytestmark = pytest.mark.timeout(280)

IDS = [text.split("\n", 1)[0] for text in SPECS]


def answered(data, folder):
    """Plan a spec; one that is accepted has to come back from what would be written of it."""
    path = write(folder, data)
    arguments = ["plan", path, "--runs", folder / "runs", "--results", folder / "results"]
    answer = refused(arguments, folder, ["FOLDER", "data.root"], allowed=(0,))
    if answer.code == 0:
        plan = expand("question", "quick", load(path))
        assert from_settings(parse(dump_yaml(plan.settings()))[0]).settings() == plan.settings()
    return answer


@pytest.mark.parametrize("text", SPECS, ids=IDS)
def test_fields_changed_by_hypothesis(text, ledger, whole, tmp_path):
    tree = parse(text)[0]
    with harvest(ledger, "spec", "hypothesis", f"changed fields of {text.splitlines()[0]}") as add:

        @settings(
            max_examples=600 if whole else 25,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(trees(tree))
        def plan(changed):
            text = yaml.safe_dump(changed, sort_keys=False, allow_unicode=True)
            add(answered(text.encode("utf-8", "surrogatepass"), tmp_path), "fields changed")

        plan()


@pytest.mark.parametrize("text", SPECS, ids=IDS)
def test_bytes_damaged_by_a_fuzzer(text, ledger, whole, tmp_path):
    chance = random.Random(text)
    with harvest(ledger, "spec", "fuzzer", f"damaged texts of {text.splitlines()[0]}") as add:
        for _ in range(1000 if whole else 25):
            add(answered(damaged(text.encode(), chance), tmp_path), "bytes damaged")
