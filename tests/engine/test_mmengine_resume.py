"""What mmengine 0.10.7 does when a run begins or is resumed, and what is done about it.

X-numbers are behaviours of mmengine's that a resume which is exact cannot have.
"""

import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from resuming import SHORT, AtIteration, attempt, found
from small_spec import content

from harness.data.growing import GrowingImages
from harness.data.order import _Epochs
from harness.engine import checkpoints
from harness.engine.checkpoints import Torn
from harness.plan.expand import expand
from harness.records.store import CHECKPOINTS
from harness.spec.load import validated

WATCH = {
    "val_metric": "fid[digits-cnn]/raw",
    "interval": 2,
    "scheduler": {"patience": 0, "factor": 0.5, "threshold": 0.99, "cooldown": 1},
}


def planned(**fields):
    return expand("test", "quick", validated(content(**(SHORT | fields)))).runs[-1]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def stopped(tmp_path, cache):
    """A run that was stopped after its fourth iteration."""
    attempt(planned(), tmp_path / "run", cache, stop=5)
    assert found(tmp_path / "run") == [4]
    return tmp_path / "run"


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle of a checkpoint was run",))


def test_x1_nothing_of_a_checkpoint_is_unpickled(stopped, cache):
    (path,) = checkpoints.find(stopped / CHECKPOINTS)
    for content_ in (pickle.dumps(Bomb()), path.read_bytes() + pickle.dumps(Bomb())):
        path.write_bytes(content_)
        with pytest.raises(Torn):
            checkpoints.load(path)
    torch.save({"state_dict": Bomb()}, path)
    attempt(planned(), stopped, cache)
    assert path.with_suffix(".unsound").exists() or not path.parent.exists()


class Streams(Hook):
    """Notes what the global streams give after an iteration."""

    def __init__(self):
        self.seen = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        drawn = (float(torch.rand(())), float(np.random.rand()), random.random())
        self.seen[runner.iter] = drawn


def test_x2_the_random_state_is_in_the_checkpoint(tmp_path, cache):
    whole, first, second = Streams(), Streams(), Streams()
    attempt(planned(), tmp_path / "whole", cache, hooks=[whole])
    attempt(planned(), tmp_path / "run", cache, stop=4, hooks=[first])
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(11)
    attempt(planned(), tmp_path / "run", cache, hooks=[second])
    assert (sorted(first.seen), sorted(second.seen)) == ([0, 1, 2], [3, 4, 5])
    assert first.seen | second.seen == whole.seen


def test_x3_no_batch_is_fetched_again(stopped, cache, monkeypatch):
    fetched, drawn = [], []
    fetch, draw = GrowingImages.__getitems__, _Epochs._drawn

    def noted(self, indices):
        fetched.append([*indices])
        return fetch(self, indices)

    monkeypatch.setattr(GrowingImages, "__getitems__", noted)
    monkeypatch.setattr(_Epochs, "_drawn", lambda self, at: drawn.append(at) or draw(self, at))
    before = []
    step = AtIteration(5, lambda runner, _: before.extend(fetched))
    attempt(planned(), stopped, cache, hooks=[step])
    assert len(before) == 1  # the batch of the step itself
    assert len(fetched) == 2  # iterations 5 and 6
    assert drawn == [0]


def test_x4_a_checkpoint_is_there_whole_or_not_at_all(stopped, tmp_path):
    (path,) = checkpoints.find(stopped / CHECKPOINTS)
    content_ = path.read_bytes()
    path.unlink()
    half = path.with_name(f".{path.name}.1.tmp")
    half.write_bytes(content_[: len(content_) // 2])  # as a kill in mid-write leaves it
    assert [*checkpoints.sound(path.parent)] == []
    half.rename(path)
    assert [*checkpoints.sound(path.parent)] == []


def test_x5_schedulers_go_on_at_their_own_count_and_settings(tmp_path, cache):
    run = planned(factors={"reduce_lr": {"off": None, "watch": WATCH}}, evaluate__every_kimg=0.02)
    states = []

    def note(runner, _):
        schedulers = [s for of_one in runner.param_schedulers.values() for s in of_one]
        states.append([scheduler.state_dict() for scheduler in schedulers])

    attempt(run, tmp_path / "whole", cache, hooks=[AtIteration(6, note)])
    # An iteration is three steps here: one of training, and a batch of each of two arms.
    attempt(run, tmp_path / "run", cache, stop=10)
    assert found(tmp_path / "run") == [3]
    attempt(run, tmp_path / "run", cache, hooks=[AtIteration(6, note)])
    whole, resumed = states
    assert whole == resumed
    assert whole[0]["num_bad_epochs"] + whole[0]["cooldown_counter"] > 0


def test_x6_another_hub_made_meanwhile_changes_nothing(tmp_path, cache):
    notes = {"counted": 3}
    take = AtIteration(1, lambda runner, _: runner.message_hub.update_info_dict(notes))
    other = AtIteration(2, lambda runner, _: MessageHub.get_instance(f"other-{tmp_path.name}"))
    attempt(planned(), tmp_path / "run", cache, stop=4, hooks=[take, other])
    keeper, _, _ = attempt(planned(), tmp_path / "run", cache, hooks=[other])
    assert keeper.runner.message_hub.get_info("counted") == 3


def test_x7_shadows_made_before_the_weights_are_read_are_those_of_the_checkpoint(stopped, cache):
    state = checkpoints.load(checkpoints.find(stopped / CHECKPOINTS)[0])["state_dict"]
    begun = []

    class Begun(Hook):
        priority = "LOWEST"

        def before_train(self, runner):
            begun.append({k: v.clone() for k, v in runner.model.state_dict().items() if "." in k})

    attempt(planned(), stopped, cache, hooks=[Begun()])
    shadows = [name for name in state if name.startswith("shadow_")]
    assert shadows
    assert all(torch.equal(begun[0][name], state[name]) for name in shadows)
    assert any(
        not torch.equal(state[name], state[f"generator.{name.partition('.')[2]}"])
        for name in shadows
    )
