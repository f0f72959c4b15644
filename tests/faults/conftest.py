"""The fault suite: a sample of it runs with all tests, `nox -s faults` runs it whole."""

from collections.abc import Iterator

import pytest
import small_spec
from commanded import Command
from fault_ledger import Ledger

from harness.launch.local import execute
from harness.launch.worker import Machine
from harness.plan.expand import expand
from harness.spec.load import load

LONGER = small_spec.TEXT.replace("kimg: 0.6", "kimg: 3").replace(
    "every_kimg: 0.3", "every_kimg: 1.5"
)
"""The small question with 150 iterations, and evaluations after 75 and 150."""


@pytest.fixture(scope="session")
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether every case is run, not a sample."""
    return request.config.getoption("--whole") is not None


@pytest.fixture(scope="session")
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """Where each case leaves its row, before it can fail."""
    kept = Ledger()
    yield kept
    folder = request.config.getoption("--whole")
    if folder is not None:
        kept.write(folder)


@pytest.fixture
def question(tmp_path):
    """A folder with the longer small question, to run commands in."""
    small_spec.write(tmp_path, LONGER)
    return tmp_path


@pytest.fixture
def command(question):
    """Return what starts `harness run` in that folder; nothing of it outlives the test."""
    commands = []

    def start(*arguments, **options):
        commands.append(Command(question, *arguments, **options))
        return commands[-1]

    yield start
    for one in commands:
        one.end()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The folders of the longer question's runs, which nothing ever happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    plan = expand("question", "quick", load(small_spec.write(folder, LONGER)))
    execute(plan.runs, folder, Machine("cpu", 2, 1, folder / "cache"), lambda active: None)
    return [folder / run.name for run in plan.runs]
