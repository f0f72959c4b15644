"""A plan in words: what is trained, measured and kept, and what that is predicted to take."""

from typing import TYPE_CHECKING

from harness.commands import pricing
from harness.plan import remarks
from harness.plan.arms import table
from harness.plan.disk import snapshots, snapshots_gib
from harness.plan.expand import ONLY_LEVEL, Plan
from harness.plan.guess import training_cost
from harness.plan.trunks import shared
from harness.spec.schema import Spec

if TYPE_CHECKING:
    from harness.commands.job import Job


def describe(job: "Job", devices: int = 1) -> str:
    """Return the plan, to be read before it is run; priced for so many GPUs."""
    plan, spec = job.plan, job.plan.spec
    lines = [
        f"{plan.experiment}, tier {plan.tier}: {' '.join(spec.question.split())}",
        "",
        f"  runs       {len(plan.runs)}: {_levels(plan)}{len(spec.seeds)} seeds, "
        f"{job.jobs} at a time on {job.device}",
        f"  training   {spec.model.type} to {spec.model.out_scale} px on {spec.data.title}, "
        f"{spec.kimg:g} kimg or {spec.growth.iterations(spec.total_images)} iterations",
        f"  measured   {', '.join(spec.evaluate.metrics)} with "
        f"{spec.evaluate.extractor_spec.type}, {spec.evaluate.fake_images} images an arm, "
        f"every {spec.evaluate.every_kimg:g} kimg{remarks.fresh(plan)}",
        *pricing.lines(job, devices),
        f"  kept       a checkpoint every {job.keeping.every_sec:g} s of a run, the newest "
        f"{job.keeping.count}: {pricing.size(job.checkpoints_gib)} while it trains",
        *_shared_line(job),
        *_posthoc_line(spec),
        *remarks.warnings(plan),
        f"  report     {job.results_dir}",
        "",
        f"  {len(plan.arms)} arms in every run; an average's half-life is at the final scale:",
        *table(plan.arms),
    ]
    return "\n".join(lines)


def _levels(plan: Plan) -> str:
    return "" if plan.levels == (ONLY_LEVEL,) else f"{len(plan.levels)} levels x "


def _posthoc_line(spec: Spec) -> list[str]:
    posthoc = spec.observers.posthoc
    if posthoc is None:
        return []
    widths = " and ".join(f"{width:g}" for width in posthoc.sigma_rel)
    return [
        f"  post-hoc   {len(posthoc.rebuild)} averages rebuilt from sigma_rel {widths}: "
        f"{snapshots(spec)} snapshots of each, {pricing.size(snapshots_gib(spec))} a run"
    ]


def _shared_line(job: "Job") -> list[str]:
    """Say how much is trained once for several runs: exactly, or within what is certain."""
    found = shared(job.plan.runs) if job.share else {}
    if not found:
        return []
    images, sec = [0, 0], [0.0, 0.0]
    for run, of_run in zip(job.plan.runs, job.price.run_sec, strict=True):
        for bound, taken_over in enumerate(found.get(run.name, (0, 0))):
            images[bound] += taken_over
            sec[bound] += of_run * training_cost(run.spec, taken_over)
    least, most = (f"{bound / 1000:g}" for bound in images)
    times = [_duration(bound / 60) for bound in sec]
    if images[0] == images[1]:
        saved, about = most, times[0]
    else:
        saved = f"at least {least} (before a rule can act) and at most {most} (if none acts)"
        about = " to ".join(times)
    count = "1 run branches" if len(found) == 1 else f"{len(found)} runs branch"
    return [
        f"  shared     {count} from another of their seed: {saved} of "
        f"{sum(run.spec.kimg for run in job.plan.runs):g} kimg",
        f"             are not trained again, about {about} of "
        f"{_duration(sum(job.price.run_sec) / 60)} of all runs; --no-share trains each apart",
    ]


def _duration(minutes: float) -> str:
    return f"{minutes:.1f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
