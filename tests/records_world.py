"""A spec, its runs and its results as the harness leaves them, without training."""

from pathlib import Path

from report_records import FID, digits, keep_samples, plan_of, record

from harness.records.protocols import FILE, Protocol
from harness.records.protocols import write as write_protocols
from harness.records.store import dump_yaml
from harness.report import frames
from harness.report.write import write


def world(folder: Path) -> Path:
    """Leave ``demo.yaml``, ``runs/demo/quick`` and ``results/demo/quick`` in a folder."""
    plan = plan_of(seeds=(0, 1))
    spec = {k: v for k, v in plan.settings().items() if k not in {"experiment", "tier"}}
    (folder / "demo.yaml").write_text(dump_yaml(spec))
    runs = record(plan, folder / "runs/demo/quick")
    for run in plan.runs:
        write_protocols(runs / run.name / FILE, {FID: Protocol({"metric": "fid", "features": 64})})
    keep_samples(plan, runs, {name: digits(1) for name in ("real", "raw", "paper")})
    write(frames.collect(plan, runs), runs, folder / "results/demo/quick")
    return folder
