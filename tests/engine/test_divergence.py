"""NaN and infinity end a run with their iteration, soon, and without a wait at each step."""

import math

import pytest
import torch
from resuming import attempt
from small_spec import content
from test_keeping import AtIteration, found
from tiny_singan import singan_spec
from torch.utils._python_dispatch import TorchDispatchMode

from harness.ema.trajectory import Trajectory
from harness.engine.evaluation import ArmsEvaluator
from harness.engine.single_image import SingleImageEvaluator
from harness.errors import Diverged
from harness.gans.augment import AdaptiveAugment
from harness.metrics.extractor import Features
from harness.plan.expand import expand
from harness.spec.load import validated

LONG = {
    "model__nkimgs_per_scale": {4: 0.3, 8: 0.3},
    "model__transition_kimgs": 0.1,
    "train__kimg": 0.6,
    "train__batch_size": 4,
    "train__log_every_kimg": 5,
    "evaluate__every_kimg": 0.6,
    "evaluate__fake_images": 10,
    "seeds": [0],
}
STYLEGAN2 = {
    "model": {
        "type": "StyleGAN2",
        **{"noise_size": 8, "out_scale": 8, "num_mlps": 2, "base_channels": 32, "max_channels": 8},
    },
    "train__loss": {"type": "logistic"},
    "train__augment": {"type": "ada", "initial_p": 0.5, "adjust_kimg": 0.3},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def planned(**fields):
    return expand("test", "quick", validated(content(**(LONG | fields)))).runs[0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("first", [1, 63, 64, 65])
def test_a_loss_is_looked_at_at_least_every_64_iterations(value, first, tmp_path, cache):
    ends = []

    def spoil(runner, outputs):
        outputs["loss_g"].fill_(value)

    watch = [AtIteration(i, lambda runner, _: ends.append(runner.iter + 1)) for i in range(150)]
    with pytest.raises(Diverged) as error:
        attempt(planned(), tmp_path, cache, hooks=[AtIteration(first, spoil), *watch])
    assert error.value.iteration == first
    assert ends[-1] == 64 * math.ceil(first / 64)
    assert str(error.value).startswith(f"a loss was NaN or infinite at iteration {first}: ")


class Reads(TorchDispatchMode):
    """Notes at which iteration a tensor is read into Python, and of which sizes and by whom."""

    def __init__(self):
        super().__init__()
        self.iteration = 0
        self.found = []
        self.unread = set()
        """Addresses of Adam's step counts, which torch keeps on the CPU whatever the device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "_local_scalar_dense" in str(function) and args[0].data_ptr() not in self.unread:
            self.found.append(self.iteration)
        return function(*args, **(kwargs or {}))


def reads_of(run, path, cache):
    """Return the iterations in the midst of which the device would have been waited for."""
    reads = Reads()

    def note(runner, _):
        reads.iteration = runner.iter + 1
        for _, wrapper in runner.optim_wrapper.items():
            steps = [moments["step"] for moments in wrapper.optimizer.state.values()]
            reads.unread.update(step.data_ptr() for step in steps)
        if reads.iteration == 70:
            raise KeyboardInterrupt

    with reads:
        attempt(run, path, cache, hooks=[AtIteration(i, note) for i in range(1, 71)])
    return [at for at in reads.found if 0 < at < 70]


def test_nothing_is_read_between_two_looks(tmp_path, cache):
    found_at = reads_of(planned(), tmp_path, cache)
    assert set(found_at) == {64}


def test_ada_reads_its_signs_at_each_adjustment_and_nothing_more(tmp_path, cache, monkeypatch):
    found_at = reads_of(planned(**STYLEGAN2), tmp_path / "fixed", cache)
    assert set(found_at) <= {64} | {at for at in range(70) if at % 4 == 3}
