"""mmengine's runner, less what a run's folder says already."""

from typing import Any

from mmengine.dist import broadcast, get_world_size
from mmengine.model import BaseModule
from mmengine.runner import Runner
from torch import Tensor

from harness.engine.keeping import Keeper
from harness.structures import unwrapped


class QuietRunner(Runner):
    """A Runner that starts at once.

    mmengine's own surveys compilers and drivers for seconds and writes its config; machine.json
    and spec.yaml hold both.
    """

    keeper: Keeper | None = None
    """What the run goes on from, and what it leaves for another to go on from."""

    def load_or_resume(self) -> None:
        """Go on from the keeper's checkpoint, where there is one."""
        if self.keeper is None:
            super().load_or_resume()
        else:
            self.keeper.restore(self)

    def _init_model_weights(self) -> None:
        if get_world_size() == 1:
            super()._init_model_weights()
            return
        model = unwrapped(self.model)
        if isinstance(model, BaseModule):
            model.init_weights()
        # mmengine would send all of the state, of which counters are no tensors.
        for value in model.state_dict().values():
            if isinstance(value, Tensor):
                broadcast(value)

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        pass

    def dump_config(self) -> None:
        """Leave the spec to spec.yaml."""
