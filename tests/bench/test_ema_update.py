"""EMA updates beside one flat lerp: what is compared, and that a wrong average is seen."""

import csv
import io

import pytest
import torch
from torch import nn

from harness.bench import ema_update
from harness.bench.ema_update import MOMENTA, MOMENTUM, ShadowHooks, Side, check, measure
from harness.conformance.candidates import CANDIDATES
from harness.ema.averaging import entries
from harness.hooks import ExponentialMovingAverageHook


def network():
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(7, 2))


@pytest.fixture
def _tiny(monkeypatch):
    tiny = dict.fromkeys(("PGGAN-128", "StyleGAN1-256", "PGGAN-32"), network)
    monkeypatch.setattr(ema_update, "NETWORKS", tiny)
    monkeypatch.setattr(ema_update, "_TURNS", 2)
    monkeypatch.setattr(ema_update, "_SMALL_CALLS", 1)


@pytest.mark.usefixtures("_tiny")
def test_every_side_is_checked_and_timed():
    found = measure("cpu")
    installed = [c for c in CANDIDATES if c.name in ema_update._OTHERS and c.version]
    assert len(found.timings) == 3 * (4 + len(installed))
    assert len(installed) + len(found.missing) == 3
    assert [goal.bound for goal in found.goals] == [1.15, 6.5, 1.15, 6.5]
    rows = list(csv.DictReader(io.StringIO(found.csv())))
    assert len(rows) == 2 * len(found.timings)
    floats = 5 * 27 + 5 + 4 * 5 + 16
    assert {(row["threads"], row["numbers"]) for row in rows} == {("1", str(floats))}
    assert all(float(row["update_ms"]) > 0 for row in rows)
    assert found.details.count("one shadow") == 3
    assert found.details.count("| eight lerps, weights always in the cache |") == 3
    assert "(eight) of StyleGAN1-256" in found.sentence


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("name", ["timm", "ema-pytorch"])
def test_a_library_that_is_not_installed_is_said(monkeypatch, name):
    monkeypatch.setattr(ema_update, "CANDIDATES", [c for c in CANDIDATES if c.name == "torch"])
    monkeypatch.setattr(ema_update, "_OTHERS", ("torch",))
    assert not measure("cpu").missing
    absent = [c for c in CANDIDATES if c.name == name]
    gone = type(absent[0])(name, absent[0].make, absent[0].refusal, f"{name}-that-is-not-there")
    monkeypatch.setattr(ema_update, "CANDIDATES", [gone])
    monkeypatch.setattr(ema_update, "_OTHERS", (name,))
    found = measure("cpu")
    assert found.missing == (name,)
    assert f"Not installed: {name}." in found.details


def test_ours_are_eight_hooks_on_one_runner():
    run = ShadowHooks(network(), MOMENTA)
    assert len(run.hooks) == 8
    assert all(hook in run.runner.hooks for hook in run.hooks)
    assert [hook.interp_cfg["momentum"] for hook in run.hooks] == [*MOMENTA]
    run.hooks_alone()
    assert [hook.updates for hook in run.hooks] == [1] * 8


def wrong_momentum(source, shadow):
    for new, old in zip(entries(source).values(), entries(shadow).values(), strict=True):
        old.data.copy_(old.lerp(new, 2 * MOMENTUM) if new.is_floating_point() else new)


def misses_buffers(source, shadow):
    for new, old in zip(source.parameters(), shadow.parameters(), strict=True):
        old.data.lerp_(new.data, MOMENTUM)


def misses_a_number(source, shadow):
    ema_update.round_trip(source, shadow)
    shadow[0].weight.data.view(-1)[-1] -= 0.01


@pytest.mark.parametrize("update", [wrong_momentum, misses_buffers, misses_a_number])
def test_a_side_that_does_not_average_is_not_timed(update):
    source, shadow = network(), network()
    with torch.no_grad():
        source[1].running_mean.add_(1)
    side = Side(lambda: update(source, shadow), lambda: [(MOMENTUM, entries(shadow))])
    with pytest.raises(RuntimeError, match="does not average"):
        check("a side", side, source)


def test_a_hook_that_forgets_a_shadow_is_seen(monkeypatch):
    due = ExponentialMovingAverageHook._due

    def forgets(self, runner, data_batch):
        weights = due(self, runner, data_batch)
        return [None] if self.module_keys == ("shadow5_ema",) else weights

    monkeypatch.setattr(ExponentialMovingAverageHook, "_due", forgets)
    source = network()
    run = ShadowHooks(source, MOMENTA)
    with pytest.raises(RuntimeError, match="ours does not average"):
        check("ours", Side(run.hooks_alone, run.states), source)


def test_what_bounds_eight_shadows_averages_as_many_numbers(monkeypatch):
    averaged = []
    monkeypatch.setattr(torch, "_foreach_lerp_", lambda old, new, weight: averaged.append(old))
    ema_update.cached_lerps(100_000)()
    assert sum(part.numel() for part in averaged[0]) == 8 * 100_000
    assert len({part.data_ptr() for part in averaged[0]}) == len(averaged[0])
