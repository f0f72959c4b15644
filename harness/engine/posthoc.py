"""A run's post-hoc EMA: the snapshots it takes, and the averages measured at its end."""

import copy
from functools import partial
from pathlib import Path

import torch
from mmengine.hooks import Hook
from torch import nn

from harness.ema.averaging import entries
from harness.ema.closed_form import Setting
from harness.ema.posthoc import rebuild
from harness.ema.snapshots import Profile, find
from harness.engine.arms import Evaluator
from harness.gans.base import GAN
from harness.hooks import PosthocEMAHook
from harness.hooks.posthoc import track_name
from harness.ranks.answers import on_main
from harness.spec.schema import Spec, live_twins, rebuilt_arms

_FOLDER = "posthoc"


def snapshot_hooks(spec: Spec, run_folder: Path) -> list[Hook]:
    """Return the hook that writes snapshots, where the spec asks for them."""
    posthoc = spec.observers.posthoc
    if posthoc is None:
        return []
    return [PosthocEMAHook(run_folder / _FOLDER, posthoc.sigma_rel, posthoc.every_images)]


def track_settings(spec: Spec) -> dict[str, Setting]:
    """Return what the averages that are snapshotted have to be, by their names in the model."""
    posthoc = spec.observers.posthoc
    widths = () if posthoc is None else posthoc.sigma_rel
    return {track_name(i): Setting("power", {"sigma_rel": w}) for i, w in enumerate(widths)}


def with_rebuilt(arms: Evaluator, spec: Spec, run_folder: Path) -> "Evaluator | RebuiltArms":
    """Return what measures the arms and, where the spec asks for them, rebuilt averages."""
    return RebuiltArms(arms, spec, run_folder / _FOLDER) if spec.observers.posthoc else arms


class RebuiltArms:
    """Measures a run's arms and, at the end of training, the averages that are rebuilt.

    Args:
        arms: measures the arms; rebuilt averages are measured on the same latents.
        spec: names the averages and when training ends.
        folder: holds the snapshots.
    """

    def __init__(self, arms: Evaluator, spec: Spec, folder: Path) -> None:
        self.arms = arms
        self.spec = spec
        self.folder = folder

    def evaluate(self, model: GAN, iteration: int) -> dict[str, float]:
        """Return every metric by ``QUANTITY/ARM``.

        At the end also each rebuilt average's ``posthoc_misfit``, and the ``posthoc_error`` of
        every shadow that was averaged in training as one of them: the norm of the difference of
        their weights over the shadow's norm.

        Raises:
            Diverged: if an image is not finite.
            RecordsError: if a snapshot cannot be read; the main process reads them.
        """
        values = self.arms.evaluate(model, iteration)
        if model.images_shown >= self.spec.total_images:
            with self.arms.latents_kept():
                values |= self._rebuilt(model, iteration)
        return values

    @torch.no_grad()
    def _rebuilt(self, model: GAN, iteration: int) -> dict[str, float]:
        files = on_main(partial(find, self.folder))
        images = max((profile.images for profile in files), default=0)
        averaged = {name for name, p in model.generator.named_parameters() if p.requires_grad}
        network = copy.deepcopy(model.generator)
        networks, twins = model.networks(), live_twins(self.spec)
        values: dict[str, float] = {}
        for arm, width in rebuilt_arms(self.spec).items():
            state, misfit = on_main(partial(rebuild, files, Profile(width, images), averaged))
            for name, entry in entries(network).items():
                entry.copy_(state[name])
            values |= self.arms.measure_arm(model, arm, network, iteration)
            values[f"posthoc_misfit/{arm}"] = misfit
            for shadow in (name for name, twin in twins.items() if twin == arm):
                live = networks[self.arms.arms[shadow]]
                values[f"posthoc_error/{shadow}"] = relative_difference(network, live)
        return values


@torch.no_grad()
def relative_difference(ours: nn.Module, theirs: nn.Module) -> float:
    """Return ||ours - theirs|| / ||theirs|| over all parameters of two like networks."""
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    difference = sum(float((a.double() - b.double()).square().sum()) for a, b in pairs)
    size = sum(float(b.double().square().sum()) for _, b in pairs)
    return float((difference / size) ** 0.5)
