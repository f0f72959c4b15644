"""A resume at iteration 1,000,000 reads and does what one at iteration 10 does."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from resuming import attempt
from small_spec import content

from harness.data.growing import GrowingImages
from harness.data.order import _Epochs
from harness.engine import checkpoints
from harness.plan.expand import expand
from harness.records.store import CHECKPOINTS, RunFolder
from harness.records.types import Row
from harness.spec.load import validated

EARLY, LATE = 10, 1_000_000
BATCH = 20
LOG_EVERY = 1000
"""Iterations between rows."""
FIELDS = {
    "model__nkimgs_per_scale": {4: 0.1, 8: 10**5},
    "model__transition_kimgs": 0.04,
    "train__kimg": 2 * LATE * BATCH / 1000,
    "train__batch_size": BATCH,
    "train__log_every_kimg": LOG_EVERY * BATCH / 1000,
    "evaluate__every_kimg": 2 * LATE * BATCH / 1000,
    "seeds": [0],
}
STYLEGAN2 = {
    "model": {
        "type": "StyleGAN2",
        "noise_size": 8,
        "out_scale": 8,
        "num_mlps": 2,
        "base_channels": 32,
        "max_channels": 8,
    },
    "train__loss": {"type": "logistic"},
    "train__augment": {"type": "ada", "adjust_kimg": 100},
}


def planned(model):
    fields = FIELDS
    if model == "StyleGAN2":
        fields = {k: v for k, v in FIELDS.items() if not k.startswith("model__")} | STYLEGAN2
    return expand("test", "quick", validated(content(**fields))).runs[0]


def grown(early, late):
    """Make of a run's folder after ``EARLY`` iterations one as after ``LATE``."""
    shutil.copytree(early, late)
    (path,) = checkpoints.find(late / CHECKPOINTS)
    state = checkpoints.load(path)
    path.unlink()
    images = LATE * BATCH
    state["meta"]["iter"] = state["harness_iter_timer"]["iter"] = LATE
    state["state_dict"]["_extra_state"]["images_shown"] = images
    state["harness_ema"] = dict.fromkeys(state["harness_ema"], (LATE, images, 0))
    for of_network in state["optimizer"].values():
        for moments in of_network["state"].values():
            moments["step"].fill_(LATE)
    folder = RunFolder(late)
    names = ("loss/d", "loss/g", "loss/penalty", "train/lr", "train/scale_px")
    folder.append(
        Row(name, "run", 1 / at, at * BATCH / 1000, at, at / 7)
        for at in range(LOG_EVERY, LATE + 1, LOG_EVERY)
        for name in names
    )
    state["rows"] = folder.mark()
    folder._rows.close()
    _grow_trajectory(late / "trajectory" / "generator")
    checkpoints.save(late / CHECKPOINTS, LATE, state, 1)


def _grow_trajectory(folder):
    checks = np.fromfile(folder / "checks.bin", np.int64)
    later = np.arange(checks[-1] + 64, LATE + 1, 64)
    for name, had, has in (("network", EARLY + 1, LATE + 1), ("shadows", 2, 2 + len(later))):
        file = folder / f"{name}.bin"
        size = file.stat().st_size // had
        with file.open("r+b") as opened:
            opened.truncate(size * has)  # with holes: what is in them is not read by a resume
    np.concatenate([checks, later]).tofile(folder / "checks.bin")
    (np.arange(LATE + 1) * BATCH).tofile(folder / "images.bin")


def bytes_read():
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


class Work:
    """What is done until the first step of a resumed run has been made."""

    def __init__(self, monkeypatch):
        self.fetched = self.drawn = 0
        fetch, draw = GrowingImages.__getitems__, _Epochs._drawn

        def fetched(dataset, indices):
            self.fetched += 1
            return fetch(dataset, indices)

        def drawn(epochs, epoch):
            self.drawn += 1
            return draw(epochs, epoch)

        monkeypatch.setattr(GrowingImages, "__getitems__", fetched)
        monkeypatch.setattr(_Epochs, "_drawn", drawn)

    def of(self, run, path, cache):
        self.fetched = self.drawn = 0
        begin, before = time.perf_counter(), bytes_read()
        keeper, steps, _ = attempt(run, path, cache, stop=2)
        self.sec, self.read = time.perf_counter() - begin, bytes_read() - before
        assert steps == 2
        return keeper.iteration


def seconds_to_read(path):
    begin = time.perf_counter()
    next(checkpoints.sound(path / CHECKPOINTS))
    return time.perf_counter() - begin


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts bytes as Linux does")
@pytest.mark.parametrize("model", ["PGGAN", "StyleGAN2"])
def test_a_resume_costs_the_same_at_any_iteration(model, whole, ledger, tmp_path, monkeypatch):
    if model != "PGGAN" and not whole:
        pytest.skip("of one model is enough here")
    run, cache = planned(model), tmp_path / "cache"
    attempt(run, tmp_path / "early", cache, stop=EARLY + 1)
    grown(tmp_path / "early", tmp_path / "late")
    attempt(run, shutil.copytree(tmp_path / "early", tmp_path / "warm"), cache, stop=2)
    work, found = Work(monkeypatch), {}
    for name, iteration in (("early", EARLY), ("late", LATE)):
        read_sec = seconds_to_read(tmp_path / name)
        assert work.of(run, tmp_path / name, cache) == iteration + 1
        found[name] = (work.fetched, work.drawn, work.read)
        ledger.add(
            "resume_cost",
            model=model,
            iteration=iteration,
            read_sec=round(read_sec, 4),
            batches_replayed=work.fetched - 1,
            first_step_sec=round(work.sec, 2),
        )
    assert found["early"][:2] == found["late"][:2] == (1, 1)
    # The rows' last 64 KiB are compared, where there are as many, at loading and at saving.
    assert found["late"][2] - found["early"][2] < 3 * 2**16
