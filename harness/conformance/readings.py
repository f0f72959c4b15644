"""Other readings of a setting: what an average did, found by the closed form that fits it.

A reading is the stated setting with some knobs turned; its weights go through the same closed
form. The reading with the fewest turns that fits an average to its tolerance is why it differs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from harness.conformance.cases import Case
from harness.conformance.trajectory import INTEGERS, TIED_WEIGHTS, WEIGHTS
from harness.ema.closed_form import Floats, Setting, advance


@dataclass(frozen=True, slots=True)
class Reading:
    """How a setting may be read; the defaults are as it is stated.

    Args:
        weight: the weight of an update: stated, inverted (1 - w), copied (1), averaged (the
            weights' own), kept (0), twice (applied two times), cut (averaged to whole numbers).
        every: whether updates come at every iteration, whatever the interval.
        late: iterations by which each update comes later.
        start: iterations by which averaging starts later.
        count: what a schedule counts: updates or iterations.
        before: until averaging starts the shadow is copied, kept, or copied at the interval.
        first: the first update averages or is a copy.
        opening: whether the first iteration that could average is a copy.
        stale: iterations by which the weights seen are older.
        resume: exact, counted (the counters begin again), network (the average begins again
            from the network), or copied (its first update is a copy).
        missed: the one iteration whose update is missing.
        decay: the dtype that 1 - w is rounded to.
        phases: whether updates copy while requires_grad is off.
    """

    weight: str = "stated"
    every: bool = False
    late: int = 0
    start: int = 0
    count: str = "updates"
    before: str = "copied"
    first: str = "averaged"
    opening: bool = False
    stale: int = 0
    resume: str = "exact"
    missed: int | None = None
    decay: str = "float64"
    phases: bool = False

    def weights(self, case: Case, group: str) -> Floats:
        """Return w_t of a group's entries for each iteration, of shape (T,)."""
        stated, trained, active = self._schedules(case, group)
        begin = max(case.setting.start_iter + self.start, 0)
        active[: begin + max(self.late, 0)] = 0
        weights: Floats = np.where(active > 0, self._weighted(stated, trained), 0.0)
        changes = np.flatnonzero(active)
        if self.phases:
            weights[(active > 0) & case.phase_off] = 1
        if self.first == "copied":
            weights[changes[:1]] = 1
        if self.opening:
            weights[begin : begin + 1] = 1
        if self.before != "kept":
            step = case.setting.interval if self.before == "at the interval" else 1
            weights[:begin:step] = 1
        if case.resume is not None and self.resume == "copied":
            weights[changes[changes >= case.resume][:1]] = 1
        if case.resume is not None and self.resume == "network":
            weights[case.resume - 1] = 1
        if self.missed is not None:
            weights[self.missed] = 0
        return 1 - (1 - weights).astype(self.decay).astype(np.float64)

    def _weighted(self, stated: Floats, trained: Floats) -> Floats:
        return {
            "stated": stated,
            "inverted": 1 - stated,
            "copied": np.ones_like(stated),
            "averaged": trained,
            "cut": trained,
            "kept": np.zeros_like(stated),
            "twice": 1 - (1 - stated) ** 2,
        }[self.weight]

    def _schedules(self, case: Case, group: str) -> tuple[Floats, Floats, Floats]:
        """Return w_t as stated, w_t of trained weights, and where anything changes."""
        images = case.images
        whole = self._at(case.setting, images, group)
        if case.resume is None or self.resume != "counted":
            return whole
        left = max(case.setting.start_iter - case.resume, 0)
        again = replace(case.setting, start_iter=left)
        rest = self._at(again, images[case.resume :] - images[case.resume - 1], group)
        first, second, third = (
            np.concatenate([a[: case.resume], b]) for a, b in zip(whole, rest, strict=True)
        )
        return first, second, third

    def _at(
        self, setting: Setting, images: np.ndarray[tuple[int], np.dtype[np.int64]], group: str
    ) -> tuple[Floats, Floats, Floats]:
        # Iterations put in front, so that an earlier start is one of the closed form's too.
        pad = setting.interval + 1
        padded = np.concatenate([np.zeros(pad, np.int64), images])
        interval = 1 if self.every else setting.interval
        moved = replace(
            setting,
            interval=interval,
            start_iter=max(setting.start_iter + self.start, 0) + self.late + pad,
        )
        active = moved.copy_weights(padded)[pad:]
        counted = replace(moved, interval=1, start_iter=moved.start_iter - self.late)
        schedule = counted if self.count == "iterations" else moved
        with np.errstate(all="ignore"):
            trained = schedule.weights(padded)[pad:]
        stated = {WEIGHTS: trained, INTEGERS: active}.get(
            group, moved.nontrainable_weights(padded)[pad:]
        )
        return (trained if group == TIED_WEIGHTS else stated), trained, active


@dataclass(frozen=True, slots=True)
class Turn:
    """One knob turned, and what it is called."""

    knob: str
    value: str | int | bool
    words: str


TURNS = (
    Turn("weight", "averaged", "averaged like the weights"),
    Turn("weight", "copied", "copied, not averaged"),
    Turn("weight", "kept", "never updated"),
    Turn("weight", "twice", "averaged twice an update"),
    Turn("weight", "inverted", "momentum is the weight of the old value"),
    Turn("weight", "cut", "averaged and cut to whole numbers"),
    Turn("first", "copied", "the first update copies"),
    Turn("opening", True, "the first iteration copies"),
    Turn("before", "kept", "before the start nothing is copied"),
    Turn("before", "at the interval", "before the start copied at the interval alone"),
    Turn("start", 1, "starts one iteration late"),
    Turn("start", -1, "starts one iteration early"),
    Turn("late", 1, "updates one iteration late"),
    Turn("late", -1, "updates one iteration early"),
    Turn("every", True, "updated at every iteration"),
    Turn("count", "iterations", "the schedule counts iterations, not updates"),
    Turn("phases", True, "copied while requires_grad is off"),
    Turn("decay", "float32", "the decay is rounded to float32"),
    Turn("stale", 1, "averages the weights of one iteration before"),
    Turn("resume", "counted", "the counter restarts on resume"),
    Turn("resume", "copied", "the first update after a resume copies"),
    Turn("resume", "network", "the average restarts from the network on resume"),
)


def expected(reading: Reading, case: Case, group: str, values: Floats, looks: list[int]) -> Floats:
    """Return the average after each look's iteration, of shape (looks, size).

    Args:
        reading: of the case's setting.
        values: the entry as initialised and after each iteration, (T + 1, size).
        looks: iterations, rising.
    """
    weights = reading.weights(case, group)
    seen = values[1 - reading.stale : len(values) - reading.stale]
    if group == INTEGERS and reading.weight == "cut":
        return _cut(weights, values[0], seen)[looks]
    average, done, result = values[0], 0, []
    for look in looks:
        average = advance(average, seen[done : look + 1], weights[done : look + 1])
        done = look + 1
        result.append(average)
    return np.stack(result)


def readings(case: Case, group: str) -> Iterator[tuple[Reading, tuple[str, ...]]]:
    """Yield readings of a setting with their words, those of fewer turns first."""
    known = [turn for turn in TURNS if _meant(turn, case, group)]
    if (early := case.setting.interval - 1) > 1:
        known.append(Turn("late", -early, f"updates {early} iterations early"))
    for count in (1, 2, 3):
        for turns in combinations(known, count):
            if len({turn.knob for turn in turns}) == count:
                changes = {turn.knob: turn.value for turn in turns}
                yield replace(Reading(), **changes), tuple(turn.words for turn in turns)  # type: ignore[arg-type]
        if count == 1:
            for iteration in np.flatnonzero(case.setting.copy_weights(case.images)).tolist():
                yield Reading(missed=iteration), (f"misses the update of iteration {iteration}",)


def _meant(turn: Turn, case: Case, group: str) -> bool:
    """Tell whether a turn can change anything of a group in a case."""
    if turn.knob == "resume":
        return case.resume is not None
    if turn.knob in ("every", "late"):
        return case.setting.interval > 1
    if turn.knob == "before":
        return case.setting.start_iter > 0
    if turn.knob == "phases":
        return bool(case.phase_off.any())
    if turn.knob == "decay":
        return case.shadow_dtype == "float64"
    if turn.value == "cut":
        return group == INTEGERS
    return not (turn.value == "twice" and group == INTEGERS)


def _cut(weights: Floats, first: Floats, seen: Floats) -> Floats:
    """Return averages whose every update is cut to a whole number; float32, as torch computes."""
    average, result = first.astype(np.float32), []
    for weight, value in zip(weights.astype(np.float32), seen.astype(np.float32), strict=True):
        average = np.trunc(average * (1 - weight) + value * weight)
        result.append(average)
    return np.stack(result).astype(np.float64)
