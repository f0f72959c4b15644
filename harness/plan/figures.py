"""What a run's parts cost, measured or guessed, and what the whole run does from that."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.plan.disk import snapshots
from harness.plan.estimate import Estimate, total
from harness.plan.keeping import Keeping, checkpoint_gib
from harness.plan.schedule import drawings, passes, phases
from harness.plan.work import parameters
from harness.spec.schema import Spec

_GIB_PER_VALUE = 4 / 2**30


@dataclass(frozen=True)
class Figures:
    """Seconds and memory of one run, with as many beside it as the plan has.

    Args:
        step_sec: of a training step, by scale in px and whether the scale is being faded in.
        pass_sec: of measuring one arm, by scale.
        frame_sec: of keeping a picture of every arm.
        drawing_sec: of a grid that a hook draws.
        neighbours_sec: of finding the real images nearest to samples, at the end.
        rebuild_sec: of rebuilding one average, for each snapshot that is read.
        checkpoint_sec: of writing one.
        start_sec: from a run's begin to its first step.
        rss_gib: peak of a run's own memory.
        gpu_gib: peak of what it has allocated on its GPU; 0 on a CPU.
        source: where all of this is from, to be added to "from".
    """

    step_sec: Mapping[tuple[int, bool], Estimate]
    pass_sec: Mapping[int, Estimate]
    frame_sec: Estimate
    drawing_sec: Estimate
    neighbours_sec: Estimate
    rebuild_sec: Estimate
    checkpoint_sec: Estimate
    start_sec: Estimate
    rss_gib: Estimate
    gpu_gib: Estimate
    source: str


@dataclass(frozen=True, slots=True)
class RunCost:
    """What one run takes.

    Args:
        start_sec: until its first step.
        run_sec: from there to its end: what ``timing.csv`` counts.
        rss_gib: peak of its memory.
        gpu_gib: peak on the GPU.
        source: where that is from.
    """

    start_sec: Estimate
    run_sec: Estimate
    rss_gib: Estimate
    gpu_gib: Estimate
    source: str

    @property
    def total_sec(self) -> Estimate:
        """All of it."""
        return self.start_sec + self.run_sec


def run_cost(spec: Spec, figures: Figures, keeping: Keeping) -> RunCost:
    """Return what a run of a spec takes by its parts' figures."""
    busy = training_sec(spec, figures) + evaluation_sec(spec, figures)
    return RunCost(
        figures.start_sec,
        busy + keeping_sec(spec, figures, keeping, busy),
        figures.rss_gib,
        figures.gpu_gib,
        figures.source,
    )


def training_sec(spec: Spec, figures: Figures) -> Estimate:
    """Return the sum over phases of steps times their seconds, with the grids that hooks draw."""
    steps = (
        figures.step_sec[phase.scale, phase.fading] * phase.iterations for phase in phases(spec)
    )
    return total(steps) + figures.drawing_sec * drawings(spec)


def evaluation_sec(spec: Spec, figures: Figures) -> Estimate:
    """Return the sum over scales of passes times their seconds, with pictures and rebuilding."""
    counted = passes(spec)
    measured = total(figures.pass_sec[scale].times(n) for scale, n in counted.arms.items())
    read = counted.rebuilt * 2 * snapshots(spec)
    drawn = figures.frame_sec * counted.frames + figures.neighbours_sec
    return measured + drawn + figures.rebuild_sec * read


def keeping_sec(spec: Spec, figures: Figures, keeping: Keeping, busy: Estimate) -> Estimate:
    """Return what writing takes: checkpoints as they fall due, snapshots, and the weights.

    Snapshots take their share of a checkpoint, by size; so do the weights at the end.
    """
    every = keeping.every_sec
    due = Estimate(busy.value // every, busy.low // every, busy.high // every)
    generator, critic = parameters(spec)
    arms = 1 + len(spec.observers.ema)
    values = 2 * snapshots(spec) * generator + arms * generator + critic
    share = values * _GIB_PER_VALUE / checkpoint_gib(spec)
    return figures.checkpoint_sec.times(due + Estimate.exactly(share))
