"""What runs leave on disk, held to real networks and to a real run's folder."""

import pytest
from keepers import keeper_of
from small_spec import larger, plan, spec

from harness.engine.build import train
from harness.engine.families import gan
from harness.plan.disk import run_gib, trajectory_gib, weights_gib
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status


def test_the_weights_are_generator_critic_and_shadows():
    described = larger(observers__ema={"a": {}}, model__max_channels=256)
    described = described.model_copy(
        update={"model": described.model.model_copy(update={"base_channels": 512})}
    )
    model = gan(described, 0)
    networks = (model.generator, model.generator, model.discriminator)
    size = 4 * sum(weights.numel() for one in networks for weights in one.parameters())
    assert weights_gib(described) * 2**30 == pytest.approx(size, rel=0.02)


def test_a_run_s_folder_is_as_large_as_is_said(tmp_path):
    import torch

    (run,) = plan(seeds=[0], train__kimg=2, evaluate__every_kimg=0.2).runs
    folder = RunFolder(tmp_path / "run")
    folder.begin(run.settings, {})
    train(run, keeper_of(run, folder), torch.device("cpu"), tmp_path / "cache")
    folder.end(Outcome(Status.FINISHED))
    sizes = {p: p.stat().st_size / 2**30 for p in folder.path.rglob("*") if p.is_file()}
    trajectory = sum(size for path, size in sizes.items() if "trajectory" in path.parts)
    assert trajectory_gib(run.spec).contains(trajectory)
    assert run_gib(run.spec).contains(sum(sizes.values()))


def test_a_trajectory_grows_with_the_run_and_needs_an_average():
    short, long = (trajectory_gib(spec(train__kimg=kimg)).value for kimg in (60, 600))
    assert long == pytest.approx(10 * short, rel=0.01)
    assert trajectory_gib(spec(observers__ema={})).high == 0
    whole = spec(train__kimg=600, evaluate__every_kimg=600)
    assert run_gib(whole).low > trajectory_gib(whole).low > run_gib(spec()).low
