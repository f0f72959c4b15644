"""EMACertificateHook: every shadow of a run is derived again from its setting, and compared."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from harness.ema.averaging import SCHEDULES
from harness.ema.certificate import LIMIT, Certificate, certify
from harness.ema.closed_form import Setting
from harness.ema.trajectory import Trajectory
from harness.hooks.ema import ExponentialMovingAverageHook
from harness.hooks.posthoc import PosthocEMAHook
from harness.registry import HOOKS
from harness.structures import renewed_in, shown_images, unwrapped


@HOOKS.register_module()
class EMACertificateHook(Hook):
    """Prove that shadows are the averages that their settings state.

    The trajectory of about 1,000 fixed scalar entries of each averaged network is kept on disk
    while it trains; at the end each shadow is derived from it in float64 by code of its own and
    compared: where it begins to average, at every 64th iteration or so, and at the end.

    Args:
        settings: the stated setting of each shadow, by its attribute in the model; by default
            those that the run's ExponentialMovingAverageHooks were given.
        folder: where trajectories are kept; by default ``ema-certificate`` in the work directory.
        limit: a larger relative error ends the run with an error; None only reports it.

    Raises:
        RuntimeError: at the end of training, naming each shadow above the limit.
    """

    # After everything that may still change weights or shadows, before what is recorded of them.
    priority = "VERY_LOW"

    def __init__(
        self,
        settings: Mapping[str, Setting] | None = None,
        folder: Path | str | None = None,
        limit: float | None = LIMIT,
    ) -> None:
        self.settings = settings
        self.folder = None if folder is None else Path(folder)
        self.limit = limit
        self.certificates: dict[str, Certificate] = {}
        """What was found, by the shadow's attribute; filled when training ends."""
        self._trajectories: dict[str, Trajectory] = {}
        self._stated: dict[str, Setting] = {}

    def before_train(self, runner: Runner) -> None:
        """Begin the trajectory of each network that has shadows, or go on with it."""
        if not is_main_process():
            return
        model = unwrapped(runner.model)
        sources, stated = _stated(runner)
        self._stated = dict(self.settings or stated)
        folder = self.folder or Path(runner.work_dir) / "ema-certificate"
        for name in sorted({sources[shadow] for shadow in self._stated}):
            shadows = [shadow for shadow in self._stated if sources[shadow] == name]
            trajectory = Trajectory(
                unwrapped(getattr(model, name)),
                {shadow: unwrapped(getattr(model, shadow)) for shadow in shadows},
                folder / name,
                also={i for shadow in shadows for i in _telling(self._stated[shadow])},
            )
            if trajectory.begin(runner.iter):
                self._trajectories[name] = trajectory
            else:
                runner.logger.warning(
                    "%s: no trajectory from before iteration %d in %s: %s cannot be certified",
                    *(name, runner.iter, trajectory.folder, ", ".join(shadows)),
                )

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Note the weights of this iteration."""
        images = shown_images(data_batch)
        renewed = renewed_in(runner.model)
        for name, trajectory in self._trajectories.items():
            trajectory.observe(images, renewed.get(name, ()))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Have on the disk what a resumed run goes on with."""
        for trajectory in self._trajectories.values():
            trajectory.flush()

    def after_train(self, runner: Runner) -> None:
        """Derive every shadow and compare."""
        for trajectory in self._trajectories.values():
            trajectory.check()
            stated = {shadow: self._stated[shadow] for shadow in trajectory.shadows}
            self.certificates |= certify(trajectory.folder, stated)
        for shadow, found in self.certificates.items():
            runner.logger.info(
                "%s: equals the stated average within %.1e, at %d checks",
                *(shadow, found.error, found.checks),
            )
        self._refuse()

    def _refuse(self) -> None:
        wrong = [
            f"{shadow} is off by {found.error:.1e} ({found.tensor}, iteration {found.iteration})"
            for shadow, found in self.certificates.items()
            if self.limit is not None and not found.error <= self.limit
        ]
        if wrong:
            raise RuntimeError(
                f"not the averages that their settings state: {'; '.join(wrong)}; "
                f"allowed are {self.limit:.0e}"
            )


def _stated(runner: Runner) -> tuple[dict[str, str], dict[str, Setting]]:
    """Return each shadow's network and its setting, if that has a closed form."""
    sources, settings = {}, {}
    for hook in _averaging(runner):
        for key in hook.module_keys:
            sources[key] = hook.source_of(key)
            if hook.interp_mode in SCHEDULES:
                settings[key] = Setting(
                    hook.interp_mode, dict(hook.interp_cfg), hook.interval, hook.start_iter
                )
    return sources, settings


def _averaging(runner: Runner) -> Iterator[ExponentialMovingAverageHook]:
    for hook in runner.hooks:
        if isinstance(hook, ExponentialMovingAverageHook):
            yield hook
        elif isinstance(hook, PosthocEMAHook):
            yield from hook.tracks.values()


def _telling(setting: Setting) -> set[int]:
    """Return when a shadow that starts or updates at the wrong iteration differs most."""
    first = setting.start_iter + max(setting.interval, 1)
    return {setting.start_iter, setting.start_iter + 1, first, first + 1}
