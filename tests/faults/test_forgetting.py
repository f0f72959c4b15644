"""What a resume could forget is seen by the comparison that the kills are judged by."""

import shutil

import pytest
import torch
from keepers import keeper_of
from killed_runs import differences, newest
from stateful_specs import run_of

from harness.data.order import ShownImages
from harness.engine import checkpoints
from harness.engine.build import train
from harness.engine.schedulers import ReduceLR
from harness.gans.augment import AdaptiveAugment
from harness.gans.singan import SinGAN
from harness.hooks import ExponentialMovingAverageHook, ReduceLRSchedulerHook
from harness.records.store import CHECKPOINTS, RunFolder
from harness.records.types import Outcome, Status

pytestmark = pytest.mark.timeout(900)

CPU = torch.device("cpu")
MIDDLE = 58
"""Iterations after which each has much to forget, half a mean of ReduceLR's too."""


def skipped(owner, name):
    """Return what lets a method do nothing."""
    return lambda patch: patch.setattr(owner, name, lambda *_: True)


def followed(owner, name, then):
    """Return what lets ``then`` be done to the object after a method."""

    def plant(patch):
        method = getattr(owner, name)

        def forgetful(self, *arguments, **named):
            method(self, *arguments, **named)
            then(self)

        patch.setattr(owner, name, forgetful)

    return plant


def from_the_first_image(patch):
    method = ShownImages.__iter__

    def forgetful(self):
        self.shown = 0
        yield from method(self)

    patch.setattr(ShownImages, "__iter__", forgetful)


def count_again(hook):
    hook.updates = 0


def average_again(hook):
    hook.validations, hook._sum, hook._weight = 0, 0.0, 0


def draw_again(gan):
    gan.fixed_noises = [noise.flip(-1) for noise in gan.fixed_noises]


FAULTS = {
    "nothing": ("PGGAN", lambda _: None, set()),
    "that rows were measured": ("PGGAN", skipped(RunFolder, "_cut_back"), {"rows"}),
    "an average's updates": (
        "PGGAN",
        followed(ExponentialMovingAverageHook, "after_load_checkpoint", count_again),
        {"shadows"},
    ),
    "moments": ("PGGAN", skipped(torch.optim.Adam, "load_state_dict"), {"weights", "samples"}),
    "the order of the data": ("PGGAN", from_the_first_image, {"weights", "rows"}),
    "ReduceLR's count": ("StyleGAN1", skipped(ReduceLR, "load_state_dict"), {"rows"}),
    "ReduceLR's mean": (
        "StyleGAN1",
        followed(ReduceLRSchedulerHook, "after_load_checkpoint", average_again),
        {"rows"},
    ),
    "ADA's p": ("StyleGAN2", skipped(AdaptiveAugment, "set_extra_state"), {"weights", "rows"}),
    "SinGAN's noises": ("SinGAN", followed(SinGAN, "set_extra_state", draw_again), {"weights"}),
}
"""What is forgotten: of which model's run, how, and where that has to be seen."""
SAMPLE = ("nothing", "that rows were measured", "an average's updates")


def pytest_generate_tests(metafunc):
    if "forgotten" in metafunc.fixturenames:
        whole = metafunc.config.getoption("--whole") is not None
        metafunc.parametrize("forgotten", FAULTS if whole else SAMPLE)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a function that gives a model's run, its folder, and where its data are prepared."""
    made, cache = {}, tmp_path_factory.mktemp("cache")

    def of(model):
        if model not in made:
            path = tmp_path_factory.mktemp(model)
            made[model] = trained(run_of(model), path, cache, every_sec=0.2)
        return run_of(model), made[model], cache

    return of


def trained(run, path, cache, every_sec=1e9):
    """Train in this process, from the newest checkpoint where there is one; keep all."""
    folder = RunFolder(path)
    keeper = keeper_of(run, folder, every_sec, count=10**6)
    folder.begin(run.settings, {}, keeper.mark)
    train(run, keeper, CPU, cache)
    folder.end(Outcome(Status.INTERRUPTED))  # one that has finished keeps no checkpoints
    return path


def test_what_is_forgotten_is_seen(forgotten, runs, tmp_path, monkeypatch):
    model, plant, seen = FAULTS[forgotten]
    run, expected, cache = runs(model)
    path = shutil.copytree(expected, tmp_path / "run")
    while newest(path) > MIDDLE:
        checkpoints.find(path / CHECKPOINTS)[0].unlink()
    plant(monkeypatch)
    trained(run, path, cache)
    differ = {column for column, names in differences(expected, path).items() if names}
    assert differ >= seen
    assert bool(differ) == bool(seen)
