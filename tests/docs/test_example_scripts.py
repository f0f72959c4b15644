"""Three questions are answered from the committed results, in the words that their pages show.

If a change was meant: pytest tests/docs --force-regen.
"""

import pytest
from example_scripts import EXAMPLES, ROOT, said


@pytest.mark.parametrize("name", ["half_life", "best_or_last", "evaluation_cost"])
def test_a_question_is_answered_from_committed_results(name, file_regression):
    file_regression.check(said(name, ROOT), fullpath=EXAMPLES / f"{name}.txt")
