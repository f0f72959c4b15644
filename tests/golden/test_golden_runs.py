"""Each model trains as it did; if a change was meant: pytest tests/golden --force-regen."""

import golden_runs
import pytest


@pytest.mark.parametrize("name", golden_runs.SPECS)
def test_a_micro_run_gives_the_committed_numbers(name, tmp_path, dataframe_regression):
    found = golden_runs.run(name, tmp_path)
    dataframe_regression.check(found, basename=name, tolerances=golden_runs.tolerances(name, found))
