"""What a plan's reader is told of how it measures."""

from harness.plan.expand import Plan
from harness.spec.sample_size import too_few


def warnings(plan: Plan) -> list[str]:
    """Return a line for each set of images, of any level, that is too small for its metric."""
    found = (few for level in plan.levels for few in too_few(plan.first_run(level).spec))
    return [f"  warning    {few.sentence}" for few in dict.fromkeys(found)]


def fresh(plan: Plan) -> str:
    """Return what is measured on fresh latents, to be added to a sentence; empty for nothing."""
    count = plan.spec.evaluate.fresh
    return f", on {count} more sets of latents at the end and on 1 at new bests" if count else ""
