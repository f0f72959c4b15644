"""The schema that editors and readers see is the one that is checked."""

from pathlib import Path

from harness.commands.smaller import schema
from harness.spec import reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_published_schema_is_current():
    """If not: harness schema > docs/spec.schema.json."""
    assert (DOCS / "spec.schema.json").read_text() == schema() + "\n"


def test_the_published_reference_is_current():
    """If not: harness schema --markdown > docs/pages/spec-reference.md."""
    assert (DOCS / "pages" / "spec-reference.md").read_text() == schema(markdown=True) + "\n"


def test_every_field_says_what_it_means():
    whole = reference.json_schema()
    sections = {"Spec": whole, **whole["$defs"]}
    fields = [(s, f, a) for s, part in sections.items() for f, a in part["properties"].items()]
    assert [
        f"{section}.{field}" for section, field, about in fields if not about.get("description")
    ] == []
    assert len(fields) > 90


def row(start):
    return next(line for line in reference.markdown().splitlines() if line.startswith(start))


def test_a_field_stands_with_its_type_range_unit_default_and_meaning():
    every = row("| `every_kimg`")
    assert every.startswith("| `every_kimg` | number | [0.001, 10⁹] kimg | - | Thousands of images")
    interval = row("| `interval` | whole number | [-1, 2³¹ - 1] iterations | `1` |")
    assert interval.endswith("| Iterations between two updates; -1: none after `start_iter`. |")
    assert row("| `betas` | list of 2: number | [0, 1) | `[0, 0.99]` |")


def test_every_section_has_a_table():
    page = reference.markdown()
    for heading in ("`model`: SinGAN", "`observers.ema.NAME.interp_cfg`", "`train.augment`"):
        assert f"## {heading}\n" in page
    assert "## `factors.reduce_lr.LEVEL.scheduler`\n" in page
