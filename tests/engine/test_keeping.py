"""When a checkpoint is written, which is gone on from, and what is never kept."""

import math
import shutil

import pytest
import torch
from resuming import SHORT, AtIteration, attempt, differences, found, left, stopped_and_resumed
from small_spec import content

from harness.engine import checkpoints
from harness.engine.keeping import Keeper
from harness.errors import Diverged
from harness.interrupts import Interrupts
from harness.plan.expand import expand
from harness.plan.keeping import Keeping
from harness.records.store import CHECKPOINTS, RunFolder
from harness.spec.load import validated


def planned(**fields):
    return expand("test", "quick", validated(content(**(SHORT | fields)))).runs[0]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, cache):
    keeper, _, _ = attempt(planned(), tmp_path_factory.mktemp("whole") / "run", cache)
    return left(keeper)


def test_none_is_written_before_one_is_due_and_none_is_left_at_the_end(tmp_path, cache):
    seen = []
    watch = [AtIteration(i, lambda runner, _: seen.append(found(tmp_path))) for i in (1, 3, 6)]
    attempt(planned(), tmp_path, cache, hooks=watch)
    assert seen == [[], [], []]
    attempt(planned(), tmp_path, cache, every_sec=0.0, hooks=watch)
    assert seen[3:] == [[0], [2, 1], [5, 4]]
    assert not (tmp_path / CHECKPOINTS).exists()


def test_checkpoints_on_the_way_leave_the_bits_as_they_are(unbroken, tmp_path, cache):
    keeper, _, finished = attempt(planned(), tmp_path / "run", cache, every_sec=0.0)
    assert finished
    assert differences(unbroken, left(keeper)) == []


@pytest.fixture
def stopped(tmp_path, cache):
    """A run that has checkpoints of the iterations 3 and 4, and was stopped after the latter."""
    path = tmp_path / "stopped"
    attempt(planned(), path, cache, stop=5, every_sec=0.0)
    assert found(path) == [4, 3]
    return path


def goes_on_from(run, path, cache):
    folder = RunFolder(path)
    return Keeper(folder, run.settings, Keeping(), Interrupts(), lambda: None).iteration


def test_a_torn_one_leads_to_the_one_before(stopped, unbroken, cache):
    newest = checkpoints.find(stopped / CHECKPOINTS)[0]
    newest.write_bytes(newest.read_bytes()[:-5])
    keeper, _, _ = attempt(planned(), stopped, cache)
    assert differences(unbroken, left(keeper)) == []
    assert (stopped / "rows.attempt-1.jsonl").exists()  # of what was measured again


def test_all_torn_lead_to_the_start(stopped, unbroken, cache):
    for path in checkpoints.find(stopped / CHECKPOINTS):
        path.write_bytes(b"")
    assert goes_on_from(planned(), stopped, cache) == 0
    keeper, _, _ = attempt(planned(), stopped, cache)
    assert differences(unbroken, left(keeper)) == []


def test_one_of_another_spec_is_not_gone_on_from(stopped, cache):
    assert goes_on_from(planned(), stopped, cache) == 4
    assert goes_on_from(planned(train__optimizer={"lr": 0.5}), stopped, cache) == 0
    assert len([*(stopped / CHECKPOINTS).glob("*.unsound")]) == 2


def first_value(rows):
    return rows.replace(b'"value": ', b'"value": 1', 1)


@pytest.mark.parametrize("change", [lambda rows: rows[:-200], first_value, lambda rows: b""])
def test_rows_that_are_not_those_of_the_checkpoint_lead_to_an_older_one(change, stopped, cache):
    rows = stopped / "rows.jsonl"
    of_older = checkpoints.load(checkpoints.find(stopped / CHECKPOINTS)[1])["rows"]["bytes"]
    changed = change(rows.read_bytes())
    rows.write_bytes(changed)
    fits = 3 if len(changed) >= of_older and change is not first_value else 0
    assert goes_on_from(planned(), stopped, cache) == fits


def test_a_run_that_is_stopped_where_it_went_on_has_lost_nothing(unbroken, tmp_path, cache):
    keeper, ended = stopped_and_resumed(planned(), tmp_path / "run", cache, [3, 1, 1])
    assert ended == [2, 2, 2]
    assert differences(unbroken, left(keeper)) == []


def test_seconds_go_on_where_they_were(stopped, cache):
    run, folder = planned(), RunFolder(stopped)
    keeper = Keeper(folder, run.settings, Keeping(), Interrupts(), lambda: None)
    _, data = next(checkpoints.sound(stopped / CHECKPOINTS))
    assert 0 < data["meta"]["sec"] <= keeper.total_sec() < data["meta"]["sec"] + 60


def spoil_weight(runner, outputs):
    with torch.no_grad():
        next(runner.model.generator.parameters()).view(-1)[0] = math.inf


def spoil_moment(runner, outputs):
    moments = next(iter(runner.optim_wrapper["discriminator"].optimizer.state.values()))
    moments["exp_avg_sq"].view(-1)[-1] = math.nan


def spoil_shadow(runner, outputs):
    with torch.no_grad():
        next(runner.model.shadow_m0_d1_ema.parameters()).view(-1)[0] = math.nan


@pytest.mark.parametrize("spoil", [spoil_weight, spoil_moment, spoil_shadow])
def test_what_is_not_finite_is_never_kept(spoil, tmp_path, cache):
    hooks = [AtIteration(4, spoil)]
    with pytest.raises(Diverged, match=r"^a weight or a moment of its optimizer was NaN") as error:
        attempt(planned(), tmp_path, cache, every_sec=0.0, hooks=hooks)
    assert error.value.iteration == 4
    assert found(tmp_path) == [3, 2]


def test_a_loss_is_told_of_before_the_weights_that_it_spoiled(tmp_path, cache):
    def spoil(runner, outputs):
        outputs["loss_d"].fill_(math.nan)
        spoil_weight(runner, outputs)

    fields = {"train__log_every_kimg": 5}
    with pytest.raises(Diverged, match=r"^a loss was NaN or infinite at iteration 2"):
        attempt(planned(**fields), tmp_path, cache, stop=4, hooks=[AtIteration(2, spoil)])
    assert found(tmp_path) == []


def test_a_full_state_is_let_go_once_it_is_in_the_runner(stopped, cache):
    keeper, _, _ = attempt(planned(), stopped, cache)
    assert keeper._state is None
    assert keeper.mark is not None


def test_what_hooks_note_for_one_another_is_kept(tmp_path, cache):
    notes = {"shown": 7, "name": "x", "picture": torch.zeros(2)}
    note = AtIteration(2, lambda runner, _: runner.message_hub.update_info_dict(notes))
    attempt(planned(), tmp_path / "a", cache, stop=3, hooks=[note])
    shutil.move(tmp_path / "a", tmp_path / "b")
    keeper, _, _ = attempt(planned(), tmp_path / "b", cache)
    hub = keeper.runner.message_hub.runtime_info
    assert (hub["shown"], hub["name"]) == (7, "x")
    assert "picture" not in hub
