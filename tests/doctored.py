"""Ways to break the thing that a check of the doctor looks at, and to look."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from harness.doctor import State

ROOT = Path(__file__).parents[1]
SEEN = """
import json, sys
from dataclasses import asdict
show = lambda finding: print(json.dumps(asdict(finding)))
"""


def states(finding, state, *words):
    """Hold a finding against its state and words of its text; a bad one says what to do."""
    assert finding.state is state, finding
    assert all(word in finding.text for word in words), finding
    assert bool(finding.advice) or state in (State.OK, State.NOTE)
    assert asdict(finding).keys() == {"group", "name", "state", "text", "advice"}


def elsewhere(code, *arguments, before=(), first=None, **environment):
    """Return what a fresh Python prints as JSON that runs ``code`` with a ``show(finding)``.

    Args:
        before: a command that runs Python.
        first: a folder whose modules and metadata are found before the installed ones.
    """
    path = os.pathsep.join(map(str, [*([first] if first else []), ROOT]))
    done = subprocess.run(
        [*before, sys.executable, "-c", f"{SEEN}\n{code}", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
