"""Whole runs of 2 and 3 processes beside those of one: numbers, order, resume, ends."""

import errno
import math
import os
import zlib
from pathlib import Path

import pytest
import torch
from many_processes import join, together
from mmengine.hooks import Hook
from resuming import OpenKeeper, attempt
from small_spec import content
from torch import distributed

from harness.engine.build import train
from harness.engine.peers import Elsewhere, Peers, Word
from harness.errors import Diverged, HarnessError
from harness.interrupts import Interrupts
from harness.launch.worker import Machine, Told, outcome_of
from harness.plan.expand import expand
from harness.plan.keeping import Keeping
from harness.ranks.shares import Share
from harness.records.files import read_json
from harness.records.silent import SilentFolder
from harness.records.store import RunFolder
from harness.records.types import Status
from harness.spec.load import validated

BATCH, STEPS = 7, 50
SHORT = {
    "train__kimg": BATCH * STEPS / 1000,
    "train__batch_size": BATCH,
    "train__log_every_kimg": BATCH / 1000,
    "data__max_images": 60,
    "evaluate__every_kimg": BATCH * STEPS / 2000,
    "evaluate__fake_images": 10,
    "seeds": [0],
}
GROWING = {"nkimgs_per_scale": {4: 0.1, 8: 0.25}, "transition_kimgs": 0.05}
STYLED = {"noise_size": 8, "out_scale": 8, "num_mlps": 2, "base_channels": 32, "max_channels": 8}
FAMILIES = {
    "PGGAN": {
        **{f"model__{name}": value for name, value in GROWING.items()},
        # At ten times this some processors' rounding grows past 1e-5 after 35 steps.
        "train__optimizer__lr": 1e-4,
    },
    "StyleGAN1": {
        "model": {"type": "StyleGAN1", **STYLED, **GROWING},
        "train__loss": {"type": "logistic", "r1_gamma": 2, "r1_interval": 3},
        "observers__posthoc": {"sigma_rel": [0.05, 0.1], "every_kimg": 0.02, "rebuild": [0.07]},
        # Later it amplifies rounding of any origin; test_steps_over_ranks has 50 in float64.
        "train__kimg": BATCH * 25 / 1000,
        "evaluate__every_kimg": BATCH * 25 / 1000,
        "model__nkimgs_per_scale": {4: 0.05, 8: 0.1},
        "model__transition_kimgs": 0.03,
    },
    "StyleGAN2": {
        "model": {"type": "StyleGAN2", **STYLED},
        "train__loss": {
            "type": "logistic",
            "r1_gamma": 2,
            "r1_interval": 4,
            "path_weight": 2,
            "path_interval": 3,
        },
        "train__augment": {"type": "ada", "initial_p": 0.5, "adjust_kimg": 0.3},
    },
}
LOSSES = ("loss/", "train/")


def run_of(name, **more):
    spec = validated(content(**(SHORT | FAMILIES[name] | more)))
    return expand("test", "quick", spec).runs[0]


class Seen(Hook):
    """Notes each batch's images, of all processes, by what they hold."""

    def __init__(self):
        self.images = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        pixels = Share.of(data_batch).gather(data_batch["inputs"].long())
        self.images.append([zlib.crc32(image.numpy().tobytes()) for image in pixels])


def place(rank, run, path):
    """Return a folder of the process's own, so that one knows who wrote what.

    Averages are rebuilt from files that the main one wrote, which all read.
    """
    shared = rank == 0 or run.spec.observers.posthoc
    return path if shared else path.with_name(f"{path.name}-{rank}")


def trained(rank, run, path, cache, stops=None, every_sec=1e9):
    """Train a run in a folder of each process; return what was seen, and whether it has ended."""
    seen, stop = Seen(), (stops or {}).get(rank)
    keeper, _, ended = attempt(run, place(rank, run, path), cache, stop, every_sec, [seen])
    state = {k: v for k, v in keeper.runner.model.state_dict().items() if torch.is_tensor(v)}
    return {"images": seen.images, "ended": ended, "state": state, "done": keeper.iteration}


def measured(path, *kinds):
    """Return the rows of a run that are of these kinds, by iteration, quantity and arm."""
    return {
        (row.iteration, row.quantity, row.arm): row.value
        for row in RunFolder(path).rows()
        if row.quantity.startswith(kinds)
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def alone(tmp_path_factory, cache):
    """What one process makes of each family, by its name."""
    folder = tmp_path_factory.mktemp("alone")
    return {
        name: (together(1, folder, trained, run_of(name), folder / name, cache)[0], folder / name)
        for name in FAMILIES
    }


def close(found, expected, rel=1e-5):
    assert found.keys() == expected.keys()
    off = {
        key: (found[key], value)
        for key, value in expected.items()
        if not math.isclose(found[key], value, rel_tol=rel, abs_tol=rel / 10)
    }
    assert not off, dict(list(off.items())[:5])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_has_the_losses_and_the_order_of_one_process(name, alone, cache, tmp_path):
    expected, path = alone[name]
    answers = together(2, tmp_path, trained, run_of(name), tmp_path / "run", cache)
    assert len(expected["images"]) == run_of(name).spec.total_images / BATCH
    for answer in answers:
        assert answer["ended"]
        assert answer["images"] == expected["images"]
        for key, value in answers[0]["state"].items():
            assert torch.equal(answer["state"][key], value), key
    close(measured(tmp_path / "run", *LOSSES), measured(path, *LOSSES))
    assert len(measured(path, "loss/d")) == len(expected["images"])
    certified = measured(tmp_path / "run", "ema_error")
    assert certified
    assert max(certified.values()) < 1e-6
    # What the others would have written, had they been asked to.
    assert [file for file in (tmp_path / "run-1").rglob("*") if file.is_file()] == []


def stopped_and_resumed(rank, run, path, cache, folder):
    """Two processes, then one, then three, each but the last stopped by a signal to one of them.

    The first signal comes in the middle of an evaluation.
    """
    distributed.destroy_process_group()
    first = second = None
    if rank < 2:
        join(rank, 2, folder / "two")
        first = trained(rank, run, path, cache, {1: STEPS // 2 + 2})
        distributed.destroy_process_group()
    if rank == 0:
        second = trained(rank, run, path, cache, {0: 15})
    join(rank, 3, folder / "three")
    return first, second, trained(rank, run, path, cache)


def test_two_processes_then_one_then_three_go_through_the_same_images(alone, cache, tmp_path):
    expected, path = alone["StyleGAN2"]
    main, other, third = together(
        3, tmp_path, stopped_and_resumed, run_of("StyleGAN2"), tmp_path / "run", cache, tmp_path
    )
    assert [part["ended"] for part in main] == [False, False, True]
    assert [other[0]["ended"], other[2]["ended"], third[2]["ended"]] == [False, True, True]
    assert main[0]["done"] == other[0]["done"] == STEPS // 2
    assert main[1]["done"] == STEPS // 2 + 14
    images = [batch for part in main for batch in part["images"]]
    assert images == expected["images"]
    assert other[2]["images"] == third[2]["images"] == main[2]["images"]
    close(measured(tmp_path / "run", *LOSSES), measured(path, *LOSSES))


class Ordered(Hook):
    """Does something in one process after an iteration."""

    def __init__(self, rank, iteration, action):
        self.rank, self.iteration, self.action = rank, iteration, action

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration and distributed.get_rank() == self.rank:
            self.action(runner)


def full(runner):
    raise OSError(errno.ENOSPC, "No space left on device", "rows.jsonl")


def broken(runner):
    raise ZeroDivisionError("a defect")


def moved(runner):
    runner.model.discriminator.decision.linear1.bias.data += 1e-7


def ended(rank, run, path, cache, order, every_sec):
    """Return how a run ends in which one process meets something."""
    try:
        attempt(run, place(rank, run, path), cache, None, every_sec, [Ordered(*order)])
    except Exception as error:
        return type(error).__name__, str(error)
    return "no error", ""


@pytest.mark.parametrize(
    ("order", "names", "text"),
    [
        ((0, 4, full), ["OSError", "Elsewhere"], "No space left"),
        ((1, 4, broken), ["Elsewhere", "ZeroDivisionError"], "a defect"),
        ((1, 4, moved), ["HarnessError"] * 2, "state_dict.discriminator.decision.linear1.bias"),
    ],
    ids=["a full disk in the main one", "a defect in another", "a weight that is another's not"],
)
def test_what_one_process_meets_ends_all_of_them(order, names, text, cache, tmp_path):
    every_sec = 0.0 if order[2] is moved else 1e9
    answers = together(
        2, tmp_path, ended, run_of("PGGAN"), tmp_path / "run", cache, order, every_sec
    )
    assert [name for name, _ in answers] == names
    assert all(text in words for _, words in answers)


def outcome(rank, run, path, cache):
    own = place(rank, run, path)
    own.mkdir(parents=True)
    folder = RunFolder(own) if rank == 0 else SilentFolder(own)
    machine = Machine("cpu", 1, 1, cache, Keeping(0.0, 2))
    found = outcome_of(run, folder, machine, Interrupts(), Told(), Peers())
    folder.end(found)
    return found


def test_a_divergence_is_that_of_one_process_in_all(cache, tmp_path):
    run = run_of("PGGAN", train__optimizer__lr=1e18)
    answers = together(2, tmp_path, outcome, run, tmp_path / "run", cache)
    (one,) = together(1, tmp_path, outcome, run, tmp_path / "one", cache)
    assert [a.status for a in answers] == [Status.DIVERGED] * 2
    assert {(a.iteration, a.reason) for a in answers} == {(one.iteration, one.reason)}


def left_alone(rank, run, path, cache, folder):
    """Return how a run ends for the main process when the other one dies."""

    def die(runner):
        torch.save(None, folder / "answer-1")
        os._exit(0)

    folder_of = (RunFolder if rank == 0 else SilentFolder)(path)
    peers = Peers()
    keeper = OpenKeeper(folder_of, run.settings, Keeping(0.0, 2), Interrupts(), lambda: None, peers)
    keeper.hooks = (Ordered(1, 4, die),)
    folder_of.begin(run.settings, {}, keeper.mark)
    with pytest.raises(RuntimeError), peers.heard():
        train(run, keeper, torch.device("cpu"), cache)
    return peers.lost, keeper.iteration


def test_a_process_that_dies_leaves_a_run_that_goes_on(alone, cache, tmp_path):
    run, path = run_of("PGGAN"), tmp_path / "run"
    (lost, iteration), _ = together(2, tmp_path, left_alone, run, path, cache, tmp_path)
    assert lost
    assert iteration >= 3
    (again,) = together(1, tmp_path, trained, run, path, cache)
    assert again["ended"]
    assert again["images"] == alone["PGGAN"][0]["images"][iteration:]


def test_the_machine_says_how_many_processes_there_were(cache, tmp_path):
    run = run_of("PGGAN", train__kimg=0.014, evaluate__every_kimg=0.014)
    first, second = together(2, tmp_path, outcome, run, tmp_path / "run", cache)
    assert first.status is second.status is Status.FINISHED
    machine = read_json(tmp_path / "run" / "machine.json")
    assert (machine["ranks"], machine["backend"]) == (2, "gloo")


def heard(rank):
    """Return what each process hears of a divergence that only one has met."""
    peers = Peers()
    try:
        with peers.heard():
            if rank == 1:
                raise Diverged(17, "a generated image")
    except HarnessError as error:
        return type(error).__name__, str(error)


def test_a_divergence_in_one_process_is_one_in_all(tmp_path):
    first, second = together(2, tmp_path, heard)
    assert first == second
    assert first[0] == "Diverged"
    assert "a generated image was NaN or infinite at iteration 17" in first[1]


def threads():
    """Return the names of this process's threads that are gloo's."""
    names = {task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")}
    return {name for name in names if "gloo" in name}


def left(rank):
    """Return gloo's threads before a process leaves the others, and after."""
    peers = Peers()
    peers.agreed(Word.GO)
    before = threads()
    peers.leave()
    return before, threads()


def test_no_thread_outlives_the_group_and_aborts_the_process_at_its_end(tmp_path):
    for before, after in together(2, tmp_path, left):
        assert before
        assert not after


def test_a_process_alone_agrees_with_itself():
    peers = Peers()
    with pytest.raises(ZeroDivisionError), peers.heard():
        raise ZeroDivisionError
    assert peers.facts == {}
    assert issubclass(Elsewhere, HarnessError)
