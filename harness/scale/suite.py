"""Every question about scale, and what is written of them: results/scale/."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.bench.finding import Finding
from harness.bench.suite import page, write_page
from harness.errors import SpecError
from harness.records.files import write_atomically, write_json
from harness.records.machine import describe

TITLES = {
    "growth": "Planner, store and report over the number of runs",
    "workloads": "What the simulated cluster is given",
    "constants": "What the simulated cluster costs beside the work",
    "agreement": "The simulation beside closed forms",
    "simulation": "A cluster with failures",
}
"""Of each question, in the order of asking: the last reads what those before it wrote."""
REPORT = "report.md"
_OPENING = """# Toward thousands of runs

Everything here is synthetic: records that the harness's own code wrote of runs that were never
trained, and a cluster that is simulated. `machine.json` says what measured it, and
[docs/pages/scale.md](../../docs/pages/scale.md) states the model; `nox -s scale` does all of it
again."""


def run(names: Sequence[str], results: Path) -> int:
    """Answer the named questions (all by default), print and write the answers.

    What was written of others stays.

    Raises:
        SpecError: a name is no question's, or what it reads was never written.
    """
    unknown = [name for name in names if name not in TITLES]
    if unknown:
        raise SpecError([f"{unknown[0]!r} is not a question of scale; known: {', '.join(TITLES)}"])
    folder = results / "scale"
    write_json(folder / "machine.json", describe("cpu", "", 1))
    for name in names or TITLES:
        measure: Callable[[Path], Finding] = _module(name).measure
        try:
            finding = measure(folder)
        except FileNotFoundError as error:
            raise SpecError([f"{name}: needs {error.filename}: measure that first"]) from None
        print(f"{name}: {finding.sentence}", flush=True)
        write_page(name, finding, folder)
        write_atomically(folder / REPORT, report(folder))
    return 0


def report(folder: Path) -> str:
    """Return every question's page that a folder has, one below another."""
    parts = [_OPENING]
    for name, title in TITLES.items():
        path = folder / f"{name}.md"
        if path.is_file():
            text = path.read_text().removeprefix(f"# {name}\n\n").replace("\n## ", "\n### ")
            parts.append(f"## {title}\n\n{text.rstrip()}\n\nEvery number: `{name}.csv`.")
    return "\n\n".join(parts) + "\n"


def differences(folder: Path) -> list[str]:
    """Return which files of a folder are not what its CSV files give, a line each."""
    found = []
    for name in TITLES:
        text = (folder / f"{name}.csv").read_text()
        finding = _read(name, text, folder)
        captions = {file: caption for file, (caption, _) in finding.pictures.items()}
        told = {f"{name}.csv": finding.csv(), f"{name}.md": page(name, finding, captions)}
        found += [file for file, content in told.items() if not _is(folder / file, content)]
        found += [file for file in captions if not (folder / file).is_file()]
    return found + ([] if _is(folder / REPORT, report(folder)) else [REPORT])


def _read(name: str, text: str, folder: Path) -> Finding:
    finding: Finding = _module(name).read(text, *([folder] if name == "simulation" else []))
    return finding


def _is(path: Path, content: str) -> bool:
    return path.is_file() and path.read_text() == content


def _module(name: str) -> Any:
    return import_module(f"harness.scale.{name}")
