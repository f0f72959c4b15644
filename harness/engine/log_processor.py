"""LogProcessor: mmengine's, which knows how long a loop over several dataloaders is."""

from typing import Any, Protocol, runtime_checkable

import mmengine.runner
from mmengine.runner import Runner

from harness.registry import LOG_PROCESSORS


@runtime_checkable
class Measured(Protocol):
    """A loop that counts its own iterations."""

    @property
    def total_length(self) -> int:
        """Iterations over all dataloaders and samplers."""


@LOG_PROCESSORS.register_module()
class LogProcessor(mmengine.runner.LogProcessor):
    """As mmengine's; iterations of val and test are the loop's ``total_length`` if it has one."""

    def _get_dataloader_size(self, runner: Runner, mode: str) -> int:
        loop: Any = self._get_cur_loop(runner, mode)
        return loop.total_length if isinstance(loop, Measured) else len(loop.dataloader)
