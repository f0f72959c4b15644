"""Stated figures of a small question's parts, calibrations and reports as they are written."""

from pathlib import Path
from typing import Any

from small_spec import RULE, plan

from harness.plan.estimate import NOTHING, Estimate
from harness.plan.expand import Plan
from harness.plan.figures import Figures
from harness.records.files import write_json
from harness.records.hardware import hardware
from harness.records.store import dump_yaml


def around(value: float) -> Estimate:
    return Estimate(value, 0.5 * value, 2 * value)


FIGURES = Figures(
    step_sec={(4, False): around(1.0), (8, True): around(3.0), (8, False): around(2.0)},
    pass_sec={4: around(10.0), 8: around(20.0)},
    frame_sec=around(0.25),
    drawing_sec=around(0.5),
    neighbours_sec=around(4.0),
    rebuild_sec=around(0.125),
    checkpoint_sec=around(1.5),
    start_sec=around(7.0),
    rss_gib=around(0.6),
    gpu_gib=NOTHING,
    source="a table",
)
"""Of ``small_spec``."""


def measured(**fields: Any) -> dict[str, Any]:
    """Return a calibration of ``small_spec``, every part measured."""
    return {
        "steps": [
            {"scale": 4, "fading": False, "sec": [0.5, 1.0, 1.5], "whole": True},
            {"scale": 8, "fading": True, "sec": [2.0, 3.0, 4.0], "whole": True},
            {"scale": 8, "fading": False, "sec": [1.0, 2.0, 3.0], "whole": True},
        ],
        "passes": [
            {"scale": 4, "sec": [8.0, 12.0], "whole": True},
            {"scale": 8, "sec": [16.0, 24.0], "whole": True},
        ],
        "frame_sec": [0.2, 0.3],
        "drawing_sec": [],
        "neighbours_sec": [4.0],
        "rebuild_sec": [],
        "checkpoint_sec": [1.0, 2.0],
        "start_sec": [7.0],
        "rss_gib": [0.5, 0.7],
        "gpu_gib": [],
        **fields,
    }


TABLE = """\
level,n,run_sec,run_sec_min,run_sec_max,peak_rss_gib,peak_rss_gib_min,peak_rss_gib_max
reduce_lr=off,3,100,80,130,0.5,0.4,0.6
reduce_lr=on,3,300,290,310,0.7,0.7,0.7
"""


def question(**fields: Any) -> Plan:
    return plan(**{"factors": {"reduce_lr": {"off": None, "on": RULE}}, **fields})


def reported(folder: Path, planned: Plan, table: str = TABLE, **machine: Any) -> Path:
    """Leave what a report of a question holds of its costs."""
    here = {name: hardware("cpu")[name] for name in ("cpu", "cores", "device")}
    write_json(folder / "machine.json", {**here, "jobs": 1, **machine})
    (folder / "spec.yaml").write_text(dump_yaml(planned.settings()))
    (folder / "timing.csv").write_text(table)
    return folder
