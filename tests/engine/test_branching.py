"""Runs that begin alike leave the same bits, trained once up to where they part, or apart."""

from dataclasses import replace

import pytest
from branched import FULL, LATER, RULES, apart, origin, run, together, unlike
from resuming import AtIteration, attempt

from harness.engine import branching, ghosts
from harness.engine.ghosts import Ghost
from harness.errors import OutputError
from harness.records.files import read_json
from harness.records.store import RunFolder

ALL = [
    *(run("base", of) for of in RULES if of not in {"slow", "never"}),
    *(run(later) for later in LATER if later != "base"),
    run("rate", "early"),
]
WHOLE = [run("base", of, **FULL) for of in ("off", "late")]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def each(tmp_path_factory, cache):
    """Every run by itself: their folder, and the iterations trained."""
    folder = tmp_path_factory.mktemp("apart")
    return folder, apart(ALL, folder, cache)


@pytest.fixture(scope="module")
def once(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("together")
    return folder, together(ALL, folder, cache)


def test_every_run_has_the_bits_that_it_has_apart(each, once):
    assert unlike(ALL, each[0], once[0]) == {}


def test_each_parts_where_it_first_differs(once):
    places = {one.level: origin(once[0], one) for one in ALL}
    assert places == {
        "base,off": None,
        "base,early": ("base,off", 4),
        "base,late": ("base,off", 8),
        "base,final": ("base,off", 10),
        "base,kept": ("base,off", 10),
        "rate,off": ("base,off", 3),
        "length,off": ("base,off", 7),
        "scales,off": ("base,off", 3),
        "fade,off": ("base,off", 3),
        "batch,off": ("base,off", 3),
        "reset,off": ("base,off", 3),
        # The rule had not acted where the scale began: it rode on, and acted later.
        "rate,early": ("rate,off", 4),
    }


def test_no_iteration_before_a_fork_is_trained_twice(each, once):
    shared = sum(place[1] for one in ALL if (place := origin(once[0], one)))
    ends = [RunFolder(once[0] / one.name).outcome().iteration for one in ALL]
    assert each[1] == sum(ends)
    assert (each[1], once[1]) == (124, 124 - shared)
    assert shared == 58


def test_all_that_a_run_leaves_behind_is_the_same(tmp_path, cache):
    """Post-hoc averages, measurements on fresh latents, pictures."""
    folders = tmp_path / "apart", tmp_path / "together"
    for folder in folders:
        folder.mkdir()
    apart(WHOLE, folders[0], cache)
    together(WHOLE, folders[1], cache)
    assert [origin(folders[1], one) for one in WHOLE] == [None, ("base,off", 8)]
    assert unlike(WHOLE, *folders) == {}
    names = {path.name for path in (folders[1] / WHOLE[1].name).rglob("*")}
    assert names >= {"fake_img_6.png", "film-000000006.npz", "neighbours.npz", "network.bin"}
    assert any(name.startswith("sigma-0.05-images-") for name in names)


def test_a_branch_says_where_it_comes_from(once):
    """The latest place last, with the seconds that its clocks begin with."""
    names = {one.level: one.name for one in ALL}
    machine = read_json(once[0] / names["rate,early"] / "machine.json")
    first, last = machine["shared"]
    assert (first["trunk"], first["iteration"], first["kimg"]) == (names["base,off"], 3, 0.06)
    assert (last["trunk"], last["kimg"]) == (names["rate,off"], 0.08)
    assert 0 < first["sec"] < last["sec"]
    assert [place["iteration"] for place in machine["resumed"]] == [3, 4]
    log = (once[0] / names["base,kept"] / "log.txt").read_text()
    assert log == f"the first 10 iterations are those of {names['base,off']}, as all of them are\n"


def test_nothing_is_left_of_how_it_was_done(each, once):
    assert sorted(p.name for p in once[0].iterdir()) == sorted(p.name for p in each[0].iterdir())
    assert not [
        *once[0].rglob("riders.json"),
        *once[0].rglob("*.tmp"),
        *once[0].rglob("checkpoints"),
    ]


FEW = [run("base", of) for of in ("early", "off", "late", "kept")]


def test_a_rule_of_the_trunk_s_own_parts_it_from_all_others(each, tmp_path, cache):
    together(FEW, tmp_path, cache)
    assert [origin(tmp_path, one) for one in FEW] == [
        *(None, ("base,early", 4), ("base,off", 8), ("base,off", 10)),
    ]
    assert unlike(FEW, each[0], tmp_path) == {}


@pytest.mark.parametrize("stop", [3, 8])
def test_a_trunk_that_is_stopped_goes_on_with_its_riders(stop, each, tmp_path, cache):
    """In training and in evaluations, before a fork and after it, and in a branch."""
    runs = [one for one in ALL if one.level in {"base,off", "base,late", "rate,off"}]
    alone = sum(RunFolder(each[0] / one.name).outcome().iteration for one in runs)
    assert together(runs, tmp_path, cache, stops=[stop, stop]) < alone
    assert unlike(runs, each[0], tmp_path) == {}


def test_what_has_a_folder_is_left_as_it_is(each, tmp_path, cache):
    """One is trained by another process while the trunk rides towards its fork."""
    trunk, early, late = (run("base", of) for of in ("off", "early", "late"))
    own = tmp_path / early.name

    def begin(runner, outputs):
        RunFolder(own).begin(early.settings, {})

    attempt(
        trunk, tmp_path / trunk.name, cache, hooks=[AtIteration(2, begin)], riders=[early, late]
    )
    assert not (own / "checkpoints").exists()
    assert len((own / "rows.jsonl").read_text().splitlines()) == 1
    together([early, late], tmp_path, cache)
    assert unlike([trunk, early, late], each[0], tmp_path) == {}
    assert origin(tmp_path, early) is None
    assert origin(tmp_path, late) == ("base,off", 8)


def test_those_a_checkpoint_does_not_know_are_not_carried(each, tmp_path, cache):
    """A trunk that went on without its riders for a while has lost their rules."""
    trunk, late = run("base", "off"), run("base", "late")
    path = tmp_path / trunk.name
    attempt(trunk, path, cache, stop=4, riders=[late])
    attempt(trunk, path, cache, stop=4)
    attempt(trunk, path, cache, riders=[late])
    assert not (tmp_path / late.name).exists()
    together([trunk, late], tmp_path, cache)
    assert unlike([trunk, late], each[0], tmp_path) == {}


def test_a_branch_that_cannot_be_written_is_not_there_in_part(each, tmp_path, cache, monkeypatch):
    """The checkpoint is the last of it; with room, the trunk goes on and leaves it whole."""
    runs = [run("base", of) for of in ("off", "early", "kept")]
    trunk, early, kept = runs
    path = tmp_path / trunk.name

    def full(folder, *_, **__):
        raise OutputError(f"{folder}: cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr(branching.checkpoints, "save", full)
        with pytest.raises(OutputError, match="No space left"):
            attempt(trunk, path, cache, riders=[early, kept])
    assert [one.name for one in tmp_path.iterdir()] == [trunk.name]
    together(runs, tmp_path, cache)
    assert unlike(runs, each[0], tmp_path) == {}
    assert origin(tmp_path, early) == ("base,off", 4)


def forgets(patch):
    patch.setattr(Ghost, "restore", lambda *_: None)


def acts_early(patch):
    made = ghosts.rule_of

    def impatient(rule, optimizers):
        scheduler = rule.scheduler.model_copy(update={"patience": rule.scheduler.patience - 1})
        return made(rule.model_copy(update={"scheduler": scheduler}), optimizers)

    patch.setattr(ghosts, "rule_of", impatient)


def acts_late(patch):
    look = Ghost.look

    def late(self, metrics, iteration):
        acted = look(self, metrics, iteration)
        before, self.acted = getattr(self, "acted", False), acted
        return before

    patch.setattr(Ghost, "look", late)


def begins_after(patch):
    """The evaluation's own look is in the state that the branch begins it with."""
    after_val = branching.BranchHook.after_val

    def later(self, runner):
        if self._acted:
            ghosts_now = self._states(runner)
            self._before = replace(self._before, ghosts=ghosts_now)
        after_val(self, runner)

    patch.setattr(branching.BranchHook, "after_val", later)


def without_moments(patch):
    state = branching.BranchHook._state

    def lacking(self, *arguments):
        found = state(self, *arguments)
        bare = {name: {**of_one, "state": {}} for name, of_one in found["optimizer"].items()}
        return {**found, "optimizer": bare}

    patch.setattr(branching.BranchHook, "_state", lacking)


def parts_late(patch):
    fork = branching.fork_images

    def late(one, other):
        images = fork(one, other)
        return images and images + 20

    patch.setattr(branching, "fork_images", late)


def same_rows(patch):
    patch.setattr(branching, "branch_rows", lambda rows, looks: rows)


FAULTS = (forgets, acts_early, acts_late, begins_after, without_moments, parts_late, same_rows)


@pytest.mark.parametrize("plant", FAULTS)
def test_a_planted_fault_shows(plant, each, tmp_path, cache, monkeypatch):
    runs = [run("base", "off"), run("scales") if plant is parts_late else run("base", "late")]
    plant(monkeypatch)
    together(runs, tmp_path, cache, stops=[7])
    assert unlike(runs, each[0], tmp_path) != {}
