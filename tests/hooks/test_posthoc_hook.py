"""PosthocEMAHook on a real Runner."""

import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook

from harness.ema.snapshots import Profile, find, tensors
from harness.hooks import ExponentialMovingAverageHook, PosthocEMAHook


def hook(folder, **settings):
    return PosthocEMAHook(folder, **({"every_images": 12, "source": "net"} | settings))


def trained(make_runner, hooks, iterations=8, **settings):
    runner = make_runner(hooks, iterations, **settings)
    runner.train()
    return runner.model


def states(folder):
    return {profile: dict(tensors(path)) for profile, path in find(folder).items()}


def same(a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[p][name], b[p][name]) for p in a for name in a[p]
    )


def test_snapshots_at_each_multiple_and_at_the_end(make_runner, tmp_path):
    """Batches of 4: 12 and 24 are reached by iterations 3 and 6; 32 is the end."""
    trained(make_runner, [hook(tmp_path)])
    assert set(find(tmp_path)) == {Profile(s, n) for s in (0.05, 0.10) for n in (12, 24, 32)}


def test_an_end_on_a_multiple_is_written_once_and_batches_may_step_over_one(make_runner, tmp_path):
    trained(make_runner, [hook(tmp_path / "a", every_images=16)])
    assert {profile.images for profile in find(tmp_path / "a")} == {16, 32}
    trained(make_runner, [hook(tmp_path / "b", every_images=10)])
    assert {profile.images for profile in find(tmp_path / "b")} == {12, 20, 32}


class Kept(Hook):
    """Keeps a copy of a live shadow after each iteration, by images shown."""

    priority = "VERY_LOW"

    def __init__(self, key):
        self.key, self.weights = key, {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        shadow = getattr(runner.model, self.key)
        self.weights[4 * (runner.iter + 1)] = shadow[0].weight.detach().clone()


def test_a_snapshot_is_the_live_average_of_that_moment(make_runner, tmp_path):
    live = ExponentialMovingAverageHook(
        "live_ema", "power", {"sigma_rel": 0.05}, interval=1, source="net"
    )
    kept = Kept("live_ema")
    trained(make_runner, [live, hook(tmp_path), kept])
    found = states(tmp_path)
    for images in (12, 24, 32):
        assert torch.equal(found[Profile(0.05, images)]["0.weight"], kept.weights[images])
        assert not torch.equal(found[Profile(0.10, images)]["0.weight"], kept.weights[images])


def test_a_snapshot_holds_buffers(make_runner, tmp_path):
    model = trained(make_runner, [hook(tmp_path)])
    last = states(tmp_path)[Profile(0.10, 32)]
    assert int(last["1.num_batches_tracked"]) == 8
    assert torch.equal(last["1.running_mean"], model.net[1].running_mean)


def test_training_gives_the_same_bits_with_it(make_runner, tmp_path):
    a, b = trained(make_runner, []), trained(make_runner, [hook(tmp_path)])
    pairs = zip(a.net.parameters(), b.net.parameters(), strict=True)
    assert all(torch.equal(x, y) for x, y in pairs)


def test_a_resumed_run_goes_on_with_its_averages(make_runner, tmp_path):
    """20 images and 12 more give the same snapshots as 32 at once."""
    trained(make_runner, [hook(tmp_path / "straight")])
    save = CheckpointHook(5, by_epoch=False, out_dir=str(tmp_path / "saved"))
    trained(make_runner, [hook(tmp_path / "two"), save], 5)
    half = next((tmp_path / "saved").rglob("iter_5.pth"))
    resumed = {"resume": True, "load_from": str(half)}
    trained(make_runner, [hook(tmp_path / "two")], 8, **resumed)
    straight, two = states(tmp_path / "straight"), states(tmp_path / "two")
    # The first part's own end stays: it is an average like the others.
    ends = {profile for profile in two if profile.images == 20}
    assert len(ends) == 2
    assert same(straight, {profile: two[profile] for profile in two.keys() - ends})


def test_a_fresh_run_removes_what_another_attempt_left(make_runner, tmp_path):
    trained(make_runner, [hook(tmp_path)], 11)
    assert {profile.images for profile in find(tmp_path)} == {12, 24, 36, 44}
    trained(make_runner, [hook(tmp_path)])
    assert {profile.images for profile in find(tmp_path)} == {12, 24, 32}


def test_a_resume_removes_what_comes_after_it(make_runner, tmp_path):
    save = CheckpointHook(5, by_epoch=False, out_dir=str(tmp_path / "saved"))
    trained(make_runner, [hook(tmp_path / "two"), save], 10)
    half = next((tmp_path / "saved").rglob("iter_5.pth"))
    trained(make_runner, [hook(tmp_path / "two")], 6, resume=True, load_from=str(half))
    assert {profile.images for profile in find(tmp_path / "two")} == {12, 24}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigma_rel": (0.05,)}, "two or more different widths"),
        ({"sigma_rel": (0.05, 0.05)}, "two or more different widths"),
        ({"sigma_rel": (0.05, 0.3)}, r"not all in \(0, 0.289\]"),
        ({"sigma_rel": (0.0, 0.1)}, r"not all in \(0, 0.289\]"),
        ({"every_images": 0}, "every_images: 0 is not at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PosthocEMAHook("anywhere", **settings)


def test_a_missing_network_is_named(make_runner, tmp_path):
    with pytest.raises(RuntimeError, match="no network 'generator'"):
        trained(make_runner, [hook(tmp_path, source="generator")])
