"""The schema that editors read is the one that is checked."""

from pathlib import Path

from harness.commands import schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "spec.schema.json"


def test_the_published_schema_is_current():
    """If not: harness schema > docs/spec.schema.json."""
    assert PUBLISHED.read_text() == schema() + "\n"
