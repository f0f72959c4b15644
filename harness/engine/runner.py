"""mmengine's runner, less what a run's folder says already."""

from typing import Any

from mmengine.runner import Runner


class QuietRunner(Runner):
    """A Runner that starts at once.

    mmengine's own surveys compilers and drivers for seconds and writes its config; machine.json
    and spec.yaml hold both.
    """

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        pass

    def dump_config(self) -> None:
        """Leave the spec to spec.yaml."""
