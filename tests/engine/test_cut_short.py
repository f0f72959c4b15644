"""A pass that takes too long is ended, and says how much of it there was."""

import pytest
import torch
from small_spec import plan

from harness.engine.build import prepared, runner_of
from harness.engine.cut_short import Counter
from harness.engine.film import Filmed
from harness.records.store import RunFolder

CPU = torch.device("cpu")


@pytest.fixture
def evaluated(tmp_path):
    """An untrained generator, and what measures it on 600 images, 50 at once."""
    (run,) = plan(seeds=[0], evaluate__batch_size=50).runs
    real, evaluator = prepared(run.spec, 0, CPU, tmp_path / "cache")
    folder = RunFolder(tmp_path / tmp_path.name)  # what mmengine keeps, it keeps by this name
    folder.begin(run.settings, {})
    filmed = Filmed(evaluator, evaluator, real, folder.path, 600)
    model = runner_of(run, real, filmed, folder, CPU).model
    return model, evaluator


def passed(model, evaluator, sec):
    counter = Counter(evaluator, sec)
    for _ in range(2):
        with counter.counting():
            evaluator.measure(model, model.generator, 0)
    return counter.shares


def test_a_pass_within_its_time_is_whole(evaluated):
    assert passed(*evaluated, 1e6) == [1, 1]


def test_a_pass_beyond_its_time_ends_after_a_few_batches(evaluated):
    assert passed(*evaluated, 0.0) == [4 / 12, 4 / 12]


def test_another_pass_is_what_it_was(evaluated):
    model, evaluator = evaluated
    before = evaluator.measure(model, model.generator, 0)
    passed(model, evaluator, 0.0)
    evaluator.beat = lambda: None
    assert evaluator.measure(model, model.generator, 0) == before
