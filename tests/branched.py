"""Tiny runs that begin alike, trained together or apart in the test's own process."""

from killed_runs import differences
from mmengine.hooks import Hook
from resuming import attempt
from small_spec import spec

from harness.launch.waiting import Waiting
from harness.plan.expand import Run
from harness.records.files import read_json
from harness.spec.schema import ReduceLR

RAW, SHADOW = "fid[digits-cnn]/raw", "fid[digits-cnn]/lerp"
FIELDS = {
    "model__nkimgs_per_scale": {4: 0.08, 8: 0.12},
    "model__transition_kimgs": 0.06,
    "train__kimg": 0.2,
    "train__log_every_kimg": 0.04,
    "train__optimizer": {"lr": 0.004},
    "data__max_images": 70,
    "evaluate__every_kimg": 0.04,
    "evaluate__fake_images": 10,
    "observers": {"ema": {"lerp": {"interp_cfg": {"momentum": 0.1}, "start_iter": 3}}},
}
"""Ten iterations of 20 images, four of them at the first scale; an evaluation after every two."""
FULL = {
    "evaluate__fresh": 1,
    "observers": {
        "ema": {
            "lerp": {"interp_cfg": {"momentum": 0.1}, "interval": 2, "start_iter": 3},
            "power": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.1}},
        },
        "posthoc": {"sigma_rel": [0.05, 0.1], "every_kimg": 0.02, "rebuild": [0.08]},
    },
    "hooks": [
        {
            "type": "VisualizationHook",
            "interval": 3,
            "vis_kwargs_list": {"type": "GAN", "name": "fake_img", "n_samples": 4},
        }
    ],
}
"""Everything else that a run can leave behind."""


def rule(metric=RAW, interval=1, **scheduler):
    """A rule for which no value is ever better than the first."""
    settings = {"factor": 0.5, "threshold": 0.99, **scheduler}
    return ReduceLR(val_metric=metric, interval=interval, scheduler=settings)


RULES = {
    "off": None,
    "early": rule(patience=0, cooldown=1),  # acts at the second evaluation
    "late": rule(SHADOW, patience=2),  # at the fourth
    "slow": rule(patience=0, interval=2),  # at the fourth, too
    "final": rule(patience=3),  # at the last
    "never": rule(patience=9),
    "kept": rule(patience=0, min_lr=1.0),  # acts, and lowers nothing
}
LATER = {
    "base": {},
    "rate": {"train__lr_per_scale": {8: 0.002}},
    "length": {"train__kimg": 0.15},
    "scales": {"model__nkimgs_per_scale": {4: 0.12, 8: 0.12}},
    "fade": {"model__transition_kimgs": 0.02},
    "batch": {"train__batch_size": {4: 20, 8: 10}},
    "reset": {"train__reset_optimizer_per_scale": True},
}
"""What may differ, each where it acts late; ``base`` is FIELDS as they are."""


def run(later="base", of="off", **fields):
    described = spec(**(FIELDS | LATER[later] | fields))
    return Run(f"{later},{of}", 0, described, RULES[of])


class Counted(Hook):
    """Counts the iterations that are trained."""

    def __init__(self):
        self.iterations = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.iterations += 1


def together(runs, folder, cache, stops=()):
    """Train runs one after the other, those that begin alike once; return all iterations.

    Args:
        stops: at which step each attempt is stopped, and all is begun again.
    """
    counted, stops = Counted(), [*stops]
    while waiting := Waiting(runs, folder, share=True):
        while due := waiting.take():
            one, riders = due
            stop = stops.pop(0) if stops else None
            finished = attempt(one, folder / one.name, cache, stop, 1e9, [counted], riders)[2]
            if not finished:
                break
    return counted.iterations


def apart(runs, folder, cache):
    """Train each run by itself; return all iterations."""
    counted = Counted()
    for one in runs:
        attempt(one, folder / one.name, cache, hooks=[counted])
    return counted.iterations


def unlike(runs, expected, found):
    """Return what differs between two folders of finished runs, by level."""
    every = {one.level: differences(expected / one.name, found / one.name) for one in runs}
    return {level: parts for level, parts in every.items() if any(parts.values())}


def origin(folder, one):
    """Return the level of the trunk that a run left last, and after how many iterations."""
    places = read_json(folder / one.name / "machine.json").get("shared", [])
    if not places:
        return None
    return places[-1]["trunk"].rpartition("-seed")[0], places[-1]["iteration"]
