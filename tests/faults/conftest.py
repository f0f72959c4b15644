"""The fault suite: a sample of it runs with all tests, `nox -s faults` runs it whole."""

from collections.abc import Iterator

import pytest
from fault_ledger import Ledger


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
