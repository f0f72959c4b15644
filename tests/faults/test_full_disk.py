"""A disk that fills up under a run, at each file that a run writes."""

from dataclasses import replace
from functools import partial

import pytest
from holding import holds, same_bits, temporary, whole_rows
from small_disk import disks_in
from small_spec import plan
from troubled import PAGE, Order, Troubled, fill, save

from harness.engine import checkpoints
from harness.launch.local import execute
from harness.launch.worker import Machine
from harness.plan.keeping import Keeping
from harness.records.files import read_json
from harness.records.types import Status

# A row after each of 30 iterations.
SPEC = {"train__log_every_kimg": 0.02, "seeds": [0]}
PICTURES = {
    "type": "VisualizationHook",
    "interval": 7,
    "vis_kwargs_list": {"type": "GAN", "name": "fake", "n_samples": 4},
}
SHOWN = {"hooks": [PICTURES], "observers__posthoc": {"every_kimg": 0.075, "rebuild": [0.1]}}
APPENDED = ("rows.jsonl", "network.bin")
KEPT = 5
"""Iterations done by the checkpoint that each run has when its disk fills up."""


CASES = ("a checkpoint", "a row", "the outcome", "the trajectory", "the samples", "the weights")
CASES += ("a picture", "a snapshot")


def ignore(active):
    pass


def pages(path):
    return -(-path.stat().st_size // PAGE)


def cases(done):
    """Return, by what meets the full disk: when it fills, what is left, and the file's name."""
    samples, weights = done / "samples" / "final.npz", done / "weights.safetensors"
    met = (
        ("before_save_checkpoint", 6, 8, "iteration-000000006.safetensors"),
        ("before_train_iter", 11, 0, "rows.jsonl"),
        ("after_run", 30, pages(samples) + pages(weights), "outcome.json"),
        ("before_save_checkpoint", 6, 0, "network.bin"),
        ("after_run", 30, 0, "final.npz"),
        ("after_run", 30, pages(samples), "weights.safetensors"),
        ("after_train_iter", 6, 0, "fake_7.png"),
        ("after_train_iter", 10, 0, "sigma-0.05-images-000000240.safetensors"),
    )
    return dict(zip(CASES, met, strict=True))


def orders(run, disk, at, iteration, left):
    name = run.name
    kept = [Order(name, "before_train_iter", KEPT, save)]
    if at == "before_save_checkpoint":
        kept.append(Order(name, "before_train_iter", iteration, save))
    return [*kept, Order(name, at, iteration, partial(fill, disk=disk, pages=left))]


@pytest.fixture(scope="module")
def met(tmp_path_factory, whole):
    """Runs of one seed, each with a full disk of its own; then the same again with room."""
    folder = tmp_path_factory.mktemp("disks")
    with disks_in(folder) as disks:
        yield trained(folder, disks, whole)


def trained(folder, disks, whole):
    machine = Machine("cpu", 2, 1, folder / "cache", Keeping(1e9, 2))
    plain, shown = plan(**SPEC).runs[0], plan(**SPEC, **SHOWN).runs[0]
    execute([plain, shown] if whole else [plain], folder / "plain", machine, ignore)
    done = folder / "plain" / plain.name
    chosen = dict(list(cases(done).items())[: None if whole else 3])
    runs = {
        what: replace(shown if what in {"a picture", "a snapshot"} else plain, level=what)
        for what in [*chosen, "nothing"]
    }
    trouble, places, runs_dir = [], {}, folder / "runs"
    runs_dir.mkdir()
    for what, case in chosen.items():
        places[what] = disks.make(what.split()[-1], 4096)
        (runs_dir / runs[what].name).symlink_to(places[what])
        trouble += orders(runs[what], places[what], *case[:3])
    troubled = Troubled("cpu", 2, 1, folder / "cache", machine.keeping, orders=tuple(trouble))
    first = execute(list(runs.values()), runs_dir, troubled, ignore)
    found = {what: state(places[what], case) for what, case in chosen.items()}
    for place in places.values():
        (place / "filler").unlink()
    second = execute(list(runs.values()), runs_dir, machine, ignore)
    alike = {
        what: same_bits(runs_dir / run.name, folder / "plain" / replace(run, level="-").name)
        for what, run in runs.items()
        if second[run.name].status is Status.FINISHED
    }
    return cases(done), runs, runs_dir, first, found, alike


def state(folder, case):
    """Return what must hold of a run's folder while its disk is full."""
    log = (folder / "log.txt").read_text()
    kept = [path for path, _ in checkpoints.sound(folder / "checkpoints")]
    return {
        "no traceback in the log": "Traceback" not in log and "Exception" not in log,
        "whole rows": whole_rows(folder),
        "the checkpoint before stands": [path.name for path in kept]
        == [f"iteration-{KEPT:09d}.safetensors"],
        "no temporary file": not temporary(folder),
        "no half of the file": case[3] in APPENDED or not list(folder.rglob(case[3])),
    }


@pytest.mark.parametrize("what", CASES)
def test_a_run_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(what, met, ledger):
    named, runs, runs_dir, first, found, alike = met
    if what not in found:
        pytest.skip("three files stand for all in a sample")
    outcome = first[runs[what].name]
    machine = read_json(runs_dir / runs[what].name / "machine.json")
    told = named[what][3] in outcome.reason and "make room there" in outcome.reason
    holds(
        ledger,
        "disk full",
        f"filled up when {what} was written, then room was made",
        "failed with a line that names the file; what was there stands; the same bits later",
        {
            "failed": outcome.status is Status.FAILED,
            f"a line that names the file ({outcome.reason})": told and "\n" not in outcome.reason,
            **found[what],
            "went on from its checkpoint": machine["resumed"][0]["iteration"] == KEPT,
            "the same bits": alike.get(what, False),
        },
    )


def test_a_full_disk_of_one_run_is_nothing_to_the_others(met):
    _, runs, _, first, _, alike = met
    assert first[runs["nothing"].name].status is Status.FINISHED
    assert alike["nothing"]
