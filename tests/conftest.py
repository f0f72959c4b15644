"""Shared by all tests: one thread, a small real Runner, and a folder to try commands in."""

import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from small_spec import write
from tiny import Numbers, TinyModel
from torch.utils.data import DataLoader

from harness import compat  # noqa: F401  (before anything of mmengine)

# isort: split
from mmengine.dataset import InfiniteSampler
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from harness.commands import job
from harness.engine.runner import QuietRunner


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the fault suite be run whole, which otherwise runs a sample of its cases."""
    parser.addoption("--whole", type=Path, metavar="FOLDER", help="tests/faults: where results go")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    """Draw the same random numbers in every run, or a test by chance fails for somebody else."""
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


RunnerMaker = Callable[..., Runner]


@pytest.fixture
def make_runner(tmp_path: Path) -> RunnerMaker:
    """Return a function that makes a real iteration-based Runner of a tiny model."""
    made: list[Runner] = []

    def make(
        hooks: Sequence[Hook] = (),
        iterations: int = 8,
        model: BaseModel | None = None,
        **settings: Any,
    ) -> Runner:
        torch.manual_seed(0)
        model = model or TinyModel()
        arguments: dict[str, Any] = {
            "train_dataloader": DataLoader(
                data := Numbers(), batch_size=4, sampler=InfiniteSampler(data, shuffle=False)
            ),
            "train_cfg": {"by_epoch": False, "max_iters": iterations},
            "optim_wrapper": OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)),
            "default_hooks": {"logger": None, "checkpoint": None},
            "default_scope": "harness",
            "randomness": {"seed": 0},
            "experiment_name": f"{tmp_path.name}-{len(made)}",
        }
        runner = QuietRunner(
            model=model,
            work_dir=str(tmp_path / f"work-{len(made)}"),
            custom_hooks=list(hooks),
            **(arguments | settings),
        )
        made.append(runner)
        return runner

    return make


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the small question in it, to stand in, and a cache of its own."""
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "CACHE_DIR", tmp_path / "cache")
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)  # a command may put its own there
